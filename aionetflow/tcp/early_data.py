"""Data before the handshake has ended (RFC 7413 4.2): in a SYN, in a SYN-ACK, and behind a SYN-ACK.

fast_open.py says who may send them. A server's connection that was made by a SYN with data is in SYN-RECEIVED and may
nevertheless be read and written; its SYN counts as acknowledged, as on Linux, so that what is in flight are data alone,
and its retransmission timer is the SYN-ACK's until that is acknowledged.
"""

from aionetflow.config import DEFAULT_MSS, DEFAULT_MSS_6
from aionetflow.packet import TxPacket
from aionetflow.tcp import options
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.fast_open import DATA_NOT_ACKED, SYN_RETRANSMITTED, FastOpen, cookie_in
from aionetflow.tcp.recovery import SYN_ACK, TIMEOUT
from aionetflow.tcp.segment import ACK, FIN, RST, SYN, Segment
from aionetflow.tcp.sequence import seq_add
from aionetflow.tcp.states import SYN_SENT
from aionetflow.widths import i64

_MAX_OPTIONS = 40  # octets
_LEAST_DATA = 8  # Linux net.ipv4.tcp_min_snd_mss, less the options


def most_in_syn(connection: Connection, mss: int, now: i64) -> i64:
    """How many octets of data a SYN holds to a peer with that MSS, 0 if it is not known (Linux tcp_send_syn_data).

    There is room for all options, as some boxes on the way add their own.
    """
    way = connection.route.path_mtu(now) - connection.header_length()
    clamp = connection.advertised_mss()
    if mss:
        clamp = min(mss, connection.user_mss) if connection.user_mss else mss
    return max(min(way, clamp) - _MAX_OPTIONS, _LEAST_DATA)


def fill_syn(connection: Connection, packet: TxPacket, now: i64) -> None:
    """Puts what was written into the first SYN; in those that are sent again there are none (RFC 7413 4.1.3.1)."""
    snd, fast = connection.snd, connection.fast_open
    length = snd.queue.length
    if fast is None or connection.state != SYN_SENT or connection.syn_sent or length == 0:
        return
    snd.queue.fill(packet, 0, length)
    start = snd.snd_nxt
    snd.snd_nxt = seq_add(start, length)
    connection.recovery.sent(start, snd.snd_nxt, now)
    fast.length = length


def take_syn_ack(connection: Connection, segment: Segment, now: i64) -> None:
    """A SYN-ACK has come that ends a client's handshake: it may bring a cookie, and has taken our data or not.

    Linux tcp_rcv_fastopen_synack. What was not taken goes again at once, and that is no sign of congestion
    (RFC 7413 4.2.2).
    """
    fast, snd, recovery = connection.fast_open, connection.snd, connection.recovery
    if fast is None or not (fast.asked or fast.length):
        return
    recovery.acknowledge_plain(segment.ack, now)
    if segment.flags & SYN:
        cookie = cookie_in(segment) if fast.asked else None
        offered = options.parse(segment.frame, segment.options, segment.options_end)
        mss = offered.mss or (DEFAULT_MSS if len(connection.remote) == 4 else DEFAULT_MSS_6)
        fast.host.learn(connection.local, connection.remote, cookie or b"", mss)
    if recovery.head is not None:
        fast.client_fail = SYN_RETRANSMITTED if connection.total_retrans else DATA_NOT_ACKED
        connection.stats.TCPFastOpenActiveFail += 1
        recovery.resend(snd.snd_una, snd.snd_nxt, snd.snd_nxt)
        return
    if fast.length:
        fast.acknowledged = True
        connection.stats.TCPFastOpenActive += 1
    if segment.flags & SYN:
        _take_data(connection, segment)


def take_syn(connection: Connection, segment: Segment, fast: FastOpen) -> None:
    """A server's connection has been opened by a SYN that may bring data: they are received.

    Linux tcp_fastopen_create_child.
    """
    snd = connection.snd
    connection.fast_open = fast
    snd.snd_una = snd.snd_nxt
    snd.syn_acked = True
    connection.recovery.pending = SYN_ACK
    connection.segs_in = segment.count
    if segment.length:
        connection.data_segs_in = segment.count
        fast.acknowledged = True
    _take_data(connection, segment)


def is_syn_again(connection: Connection, segment: Segment, now: i64) -> bool:
    """Whether a segment for a connection that waits for its handshake's end is its SYN again, with data or without.

    Then it is answered by the SYN-ACK (Linux tcp_check_req), but not too often. A RST is noted as well.
    """
    rcv, fast = connection.rcv, connection.fast_open
    if segment.flags & RST and segment.seq == rcv.rcv_nxt and fast is not None:
        fast.reset(now)
    if segment.flags & (SYN | ACK | RST) != SYN or segment.seq != rcv.irs:
        return False
    if connection.was_answered(now):
        connection.stats.TCPACKSkippedSynRecv += 1
    else:
        connection.syn_due = True
    return True


def _take_data(connection: Connection, segment: Segment) -> None:
    """What comes with a SYN is received: it begins behind the SYN. A FIN is noted."""
    rcv = connection.rcv
    if segment.length:
        rcv.take_next(segment)
    if segment.flags & FIN:
        rcv.fin_received = True
        rcv.fin_seq = rcv.rcv_nxt


def end_handshake(connection: Connection) -> None:
    """A server's SYN-ACK is acknowledged: the timer is the data's from now on."""
    fast = connection.fast_open
    if fast is not None:
        fast.end()
    connection.recovery.pending = TIMEOUT
