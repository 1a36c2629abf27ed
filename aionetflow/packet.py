"""A packet on its way through the layers of one host, up (RxPacket) or down (TxPacket).

Neither owns a copy of the payload. A received packet points into the frames that the link handed over; a packet to
send points into the application's bytes, and its headers are written, from the inside out, into a headroom that ends
where the payload begins:

    header:  |....| Ethernet | IP | TCP or UDP or ICMP |      payload: |...| start ... start + length |...|
                  l2         l3   l4                   l5

Both carry more than one segment's worth: a received packet may stand for a run of frames that continue one another
(as after Linux's GRO), one to send is cut into frames by the interface, as late as possible (as by GSO).
"""

from typing import Any, NamedTuple

from aionetflow.config import MAX_SEGMENT_RUN
from aionetflow.fast import get16, tcp_run
from aionetflow.fast_paths import FAST
from aionetflow.gso import frames_in
from aionetflow.widths import i64

HEADROOM = 64  # where the transport header begins: Ethernet (14) and the longest IP header (40) fit before it
_HEADROOM = HEADROOM
HEADER_SPACE = 128  # the longest TCP header (60) fits behind


def packet_end(frame: bytes, l3: int) -> int:
    """Where the IP packet at l3 ends, by its own length field. What follows in the frame is padding."""
    if frame[l3] >> 4 == 4:
        return l3 + get16(frame, l3 + 2)
    return l3 + 40 + get16(frame, l3 + 4)


class RxPacket:
    """One received IP packet, or a run of count frames of one TCP flow, each the continuation of the one before."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.first = 0
        self.count = 1
        self.frame = b""  # frames[first]
        self.l2 = 0
        self.l3 = 0
        self.l4 = 0
        self.stop = 0  # where the IP packet in `frame` ends: padding may follow
        self.source = b""
        self.destination = b""
        self.protocol = 0
        self.ttl = 0
        self.broadcast = False  # sent to more than one host: never answered with an error (RFC 1122 3.2.2)
        self.interface: Any = None
        self.merged_by = 0  # octets: the MTU by which `frames` is merged (see gso.py); 0 if it is not

    def take(self, interface: object, frames: list[bytes], first: int, l2: int, l3: int, broadcast: bool) -> None:
        """Points at one frame of a batch, its IP header at l3."""
        self.frames = frames
        self.first = first
        self.count = 1
        self.frame = frames[first]
        self.l2 = l2
        self.l3 = l3
        self.broadcast = broadcast
        self.interface = interface

    def merge(self) -> None:
        """Takes the frames that continue this one's TCP segment together with it, as many as there are."""
        if FAST.merging and self.first + 1 < len(self.frames) and self.stop - self.l4 > 20:
            self.count = tcp_run(self.frames, self.first, self.l2, self.l3, self.l4, MAX_SEGMENT_RUN)

    def service(self) -> int:
        """The type of service, or the traffic class."""
        if self.frame[self.l3] >> 4 == 4:
            return self.frame[self.l3 + 1]
        return get16(self.frame, self.l3) >> 4 & 0xFF

    def segments(self) -> int:
        """How many frames this was when it was sent, or would have been without merging."""
        if not self.merged_by:
            return self.count
        count = 0
        for i in range(self.first, self.first + self.count):
            count += frames_in(self.frames[i], self.merged_by)
        return count


class TxPacket:
    """One packet to send: headers in the headroom, payload by reference."""

    def __init__(self) -> None:
        self.header = bytearray(HEADER_SPACE)
        self.l2 = HEADROOM
        self.l3 = HEADROOM
        self.l4 = HEADROOM
        self.l5 = HEADROOM
        self.payload = b""
        self.start = 0
        self.length = 0
        self.tail: bytes | None = None  # where the rest of the payload is, if not all of it is in `payload` ...
        self.tail_start = 0
        self.split = 0  # ... but only so many octets
        self.mss = 0  # cut the payload into pieces of this size; 0: one packet
        self.protocol = 0
        self.ttl = 64
        self.tos = 0
        self.ecn = 0  # what the transport adds to it (RFC 3168)
        self.ident = 0  # IPv4's identification; -1: the IP layer draws one
        self.dont_fragment = True
        self.loop = False  # to a group whose members may be on this host
        self.mtu = 0  # octets: beyond these it is cut into fragments, where it may be; 0: as the way takes

    def reset(self, protocol: int, header_length: int) -> None:
        """Makes room for a transport header of that length, and forgets the payload.

        As it is now no router may cut it, and it needs no identification (RFC 6864 4.1).
        """
        self.l4 = _HEADROOM
        self.l5 = _HEADROOM + header_length
        self.protocol = protocol
        self.payload = b""
        self.start = 0
        self.length = 0
        self.mss = 0
        self.ecn = 0
        self.tail = None
        self.ident = 0
        self.dont_fragment = True
        self.mtu = 0
        self.loop = False

    def count(self) -> int:
        """How many frames it is cut into."""
        return 1 if self.mss <= 0 or self.length <= self.mss else (self.length + self.mss - 1) // self.mss


class IcmpOrigin(NamedTuple):
    """What an ICMP error said, and who: for IP_RECVERR."""

    kind: int
    code: int
    sender: bytes
    hops: int = 0  # TTL << 8 | type of service of its packet, or hop limit << 8 | traffic class


class PacketHandler:
    """Whoever takes received packets from the layer below: an IP layer, or a transport protocol."""

    def receive(self, packet: RxPacket, now: i64) -> None:
        """Takes a packet. It is the caller's again when this returns."""

    def unreachable(self, frame: bytes, l3: int, now: i64) -> None:
        """Hears that a frame which was to be sent could not be: nobody answers for its next hop."""

    def error(
        self, quote: bytes, l4: int, code: int, final: bool, info: int, now: i64, origin: IcmpOrigin | None = None
    ) -> None:
        """Hears of an ICMP error about a packet that this host sent.

        quote is the ICMP message from the quoted IP header on, l4 where the quoted transport header begins; code is an
        errno, final whether it ends a connection, info the next hop's MTU when code is EMSGSIZE, or which octet of the
        header is wrong when it is EPROTO.
        """
