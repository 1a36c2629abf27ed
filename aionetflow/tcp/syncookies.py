"""SYN cookies (RFC 4987 3.6): a half-open connection of which nothing is kept, but what its own answer says.

The number that our SYN-ACK begins with holds, as on Linux (net/ipv4/syncookies.c):

    hash of the ends + the peer's number + (minute << 24) + (hash of the ends and the minute + index of the MSS) % 2**24

It comes back with the ACK of the handshake, for one minute or two. Of what else a SYN offers only that can be kept that
the lowest bits of a timestamp have room for, which comes back as well:

    bit  5     4      3 2 1 0
        ECN  SACK  window scale, 15: none
"""

from typing import NamedTuple

from aionetflow.config import SECOND
from aionetflow.rng import Random
from aionetflow.siphash import SipHash, keyed
from aionetflow.tcp import options
from aionetflow.tcp.segment import CWR, ECE, SYN, Segment
from aionetflow.tcp.sequence import seq_sub
from aionetflow.widths import i64, u32, u64

# What most offer; the index of one of them is in a cookie
MSS_TABLE = (536, 1300, 1440, 1460)
MSS_TABLE_6 = (1220, 1420, 1440, 8940)
_MINUTE = 60 * SECOND
_LIFETIME = 2  # minutes, the one that has begun counted: Linux MAX_SYNCOOKIE_AGE
_M24 = 0xFFFFFF
_M32 = 0xFFFFFFFF
_IPV4_KEY = 12  # octets of a connection's key
_NO_SCALE = 15
_SACK = 16
_ECN = 32
_CARRIED = 63


class Carried(NamedTuple):
    """What a timestamp carries of a SYN's offers."""

    window_scale: int  # -1: not offered
    sack: bool
    ecn: bool


def stamp(clock: u32, offered: Carried) -> u32:
    """The last timestamp not after `clock` whose lowest six bits carry what was offered (Linux cookie_init_timestamp).

    >>> stamp(0x12345678, Carried(7, True, False)) == 0x12345657
    True
    """
    bits = _NO_SCALE if offered.window_scale < 0 else offered.window_scale
    bits |= (_SACK if offered.sack else 0) | (_ECN if offered.ecn else 0)
    stamped = clock & ~_CARRIED | bits
    return (stamped - _CARRIED - 1 if stamped > clock else stamped) & _M32


def read_stamp(echoed: u32) -> Carried:
    """What such a timestamp carries.

    >>> read_stamp(0x12345657)
    Carried(window_scale=7, sack=True, ecn=False)
    """
    scale = echoed & _NO_SCALE
    return Carried(-1 if scale == _NO_SCALE else scale, echoed & _SACK != 0, echoed & _ECN != 0)


NOTHING = Carried(-1, False, False)


class SynCookies:
    """The cookies of one host."""

    def __init__(self, random: Random) -> None:
        self._ends: SipHash = keyed(random)
        self._minutes: SipHash = keyed(random)

    def make(self, key: bytes, offer: Segment, syn: Segment, now: i64) -> u32:
        """The number to answer a SYN with; key is the connection's. `syn` becomes as much of the SYN as is kept."""
        offered = options.parse(offer.frame, offer.options, offer.options_end)
        table = _table(key)
        index = len(table) - 1
        while index > 0 and offered.mss < table[index]:
            index -= 1
        syn.flags = SYN
        syn.mark = 0
        if offered.timestamps:
            syn.flags = offer.flags
            syn.mark = offer.mark
            syn.frame = options.emit_syn(
                table[index], offered.window_scale, offered.sack_permitted, True, offered.tsval, 0
            )  # fmt: skip
        else:
            syn.frame = options.emit_syn(table[index], -1, False, False, 0, 0)
        _fill(syn, offer, offer.seq)
        minute = now // _MINUTE
        varied = (self._hash(key, minute) + index) & _M24
        return (self._ends.hash(key) + offer.seq + (minute << 24) + varied) & _M32

    def are_awaited(self, sent_at: i64, now: i64) -> bool:
        """Whether a cookie that was sent at that time may still come back."""
        return now < sent_at + _LIFETIME * _MINUTE

    def take(self, key: bytes, ack: Segment, syn: Segment, ts_offset: u32, now: i64) -> bool:
        """Whether an ACK returns a cookie of ours; then `syn` becomes what was kept of its SYN.

        ts_offset is what our timestamps to that peer begin with.
        """
        seq = seq_sub(ack.seq, 1)
        rest = (ack.ack - 1 - self._ends.hash(key) - seq) & _M32
        minute = now // _MINUTE
        age = (minute - (rest >> 24)) & 255
        if age >= _LIFETIME:
            return False
        index = (rest - self._hash(key, minute - age)) & _M24
        table = _table(key)
        if index >= len(table):
            return False
        carried = read_stamp(seq_sub(ack.tsecr, ts_offset)) if ack.timestamped else NOTHING
        syn.flags = SYN | (ECE | CWR if carried.ecn else 0)
        syn.mark = 0
        syn.frame = options.emit_syn(
            table[index], carried.window_scale, carried.sack, ack.timestamped, ack.tsval, 0
        )  # fmt: skip
        _fill(syn, ack, seq)
        return True

    def _hash(self, key: bytes, minute: i64) -> u64:
        return self._minutes.hash(key + (minute & _M32).to_bytes(4, "big"))


def _table(key: bytes) -> tuple[int, ...]:
    return MSS_TABLE if len(key) == _IPV4_KEY else MSS_TABLE_6


def _fill(syn: Segment, segment: Segment, seq: u32) -> None:
    """Makes a SYN with that number, between the ends of a segment and with its window; its options are there."""
    syn.seq = seq
    syn.ack = 0
    syn.window = segment.window
    syn.source_port, syn.destination_port = segment.source_port, segment.destination_port
    syn.options = 0
    syn.options_end = len(syn.frame)
