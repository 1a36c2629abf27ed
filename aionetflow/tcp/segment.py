"""The TCP header (RFC 9293 3.1).

     0               1               2               3
    +-------------------------------+-------------------------------+
  0 |          source port          |       destination port        |
    +-------------------------------+-------------------------------+
  4 |                        sequence number                        |
    +---------------------------------------------------------------+
  8 |                     acknowledgment number                     |
    +-------+-------+---------------+-------------------------------+
 12 |offset |  0    |C E U A P R S F|            window             |
    +-------+-------+---------------+-------------------------------+
 16 |           checksum            |        urgent pointer         |
    +-------------------------------+-------------------------------+
 20 |               options, padded to 4 octets (options.py)        |
"""

from aionetflow.fast import gather, get16, get32, put_tcp_header
from aionetflow.packet import RxPacket, TxPacket
from aionetflow.tcp.options import SACK, TIMESTAMPS, find
from aionetflow.widths import u32

PROTOCOL = 6
HEADER_LENGTH = 20
FIN = 0x01
SYN = 0x02
RST = 0x04
PSH = 0x08
ACK = 0x10
URG = 0x20
ECE = 0x40
CWR = 0x80
_FLAG_NAMES = (
    (SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (PSH, "PSH"), (ACK, "ACK"), (URG, "URG"), (ECE, "ECE"), (CWR, "CWR"),
)  # fmt: skip
PLAIN_TIMESTAMPS = 0x0101080A  # NOP, NOP, timestamps, 10: as everybody writes them
_PLAIN_TIMESTAMPS = PLAIN_TIMESTAMPS
_FIN = FIN
_SYN = SYN


class Segment:
    """One received segment, or the sum of a run of segments that continue one another."""

    def __init__(self) -> None:
        self.seq: u32 = 0
        self.ack: u32 = 0
        self.flags = 0
        self.window = 0  # as in the header: not scaled
        self.source_port = 0
        self.destination_port = 0
        self.payload = b""
        self.length: u32 = 0  # of the payload
        self.count = 1  # how many frames it came in, or would have without merging on the way
        self.broadcast = False
        self.frame = b""  # where its options are: [options, options_end)
        self.options = 0
        self.options_end = 0
        self.mark = 0  # the ECN field of the IP header (RFC 3168 5)
        self.timestamped = False
        self.tsval: u32 = 0
        self.tsecr: u32 = 0
        self.sack_count = 0  # how many blocks are reported ...
        self.sack_at = 0  # ... and where the first is in `frame`

    def parse(self, packet: RxPacket) -> bool:
        """Reads the header of a received packet; False if header or options do not fit into it."""
        frame, l4 = packet.frame, packet.l4
        if packet.stop - l4 < 20:
            return False
        offset = (frame[l4 + 12] >> 4) * 4
        if offset < 20 or l4 + offset > packet.stop:
            return False
        self.source_port = get16(frame, l4)
        self.destination_port = get16(frame, l4 + 2)
        self.seq = get32(frame, l4 + 4)
        self.ack = get32(frame, l4 + 8)
        self.flags = frame[l4 + 13]
        self.window = get16(frame, l4 + 14)
        self.frame = frame
        self.options = l4 + 20
        self.options_end = l4 + offset
        self.count = packet.segments()
        self.broadcast = packet.broadcast
        ip = packet.l3
        self.mark = frame[ip + 1] & 3 if frame[ip] >> 4 == 4 else frame[ip + 1] >> 4 & 3
        self.timestamped = False
        self.sack_count = 0
        if offset == 32 and get32(frame, l4 + 20) == _PLAIN_TIMESTAMPS:
            self.timestamped = True
            self.tsval = get32(frame, l4 + 24)
            self.tsecr = get32(frame, l4 + 28)
        elif offset > 20:
            self._find_options()
        return True

    def _find_options(self) -> None:
        """Timestamps and SACK blocks, wherever they are."""
        frame = self.frame
        at = find(frame, self.options, self.options_end, TIMESTAMPS)
        if at >= 0 and frame[at + 1] == 10:
            self.timestamped = True
            self.tsval = get32(frame, at + 2)
            self.tsecr = get32(frame, at + 6)
        at = find(frame, self.options, self.options_end, SACK)
        if at >= 0 and frame[at + 1] >= 10 and (frame[at + 1] - 2) % 8 == 0:
            self.sack_count = (frame[at + 1] - 2) // 8
            self.sack_at = at + 2

    def take_payload(self, packet: RxPacket) -> bool:
        """Copies the payload out of the frames and verifies their checksums; False if one is wrong."""
        payload = gather(packet.frames, packet.first, packet.count, packet.l3, packet.l4, self.options_end)
        if payload is None:
            return False
        self.payload = payload
        self.length = len(payload)
        return True

    def occupies(self) -> u32:
        """SEG.LEN: the sequence numbers it takes, SYN and FIN counted (RFC 9293 3.4)."""
        return self.length + (1 if self.flags & _SYN else 0) + (1 if self.flags & _FIN else 0)

    def is_progress(self) -> bool:
        """Whether it is data or a FIN: two ends do not answer each other's for ever (Linux tcp_oow_rate_limited)."""
        return self.occupies() > 0 and not self.flags & _SYN

    def __repr__(self) -> str:
        return f"<Segment {flag_names(self.flags)} seq {self.seq} ack {self.ack} win {self.window} len {self.length}>"


def urgent_pointer(segment: Segment) -> int:
    """The field of that name, which counts only with the URG flag."""
    return get16(segment.frame, segment.options - 2)


def flag_names(flags: int) -> str:
    """The flags as people write them.

    >>> flag_names(SYN | ACK)
    'SYN|ACK'
    """
    return "|".join(name for bit, name in _FLAG_NAMES if flags & bit)


def emit(
    packet: TxPacket, source_port: int, destination_port: int, seq: u32, ack: u32, flags: int, window: int,
    options: bytes,
) -> None:  # fmt: skip
    """Makes a packet of a segment; the checksum is written with the frame."""
    offset = 20 + len(options)
    packet.reset(PROTOCOL, offset)
    put_tcp_header(packet.header, packet.l4, source_port, destination_port, seq, ack, offset << 10 | flags, window)
    if options:
        packet.header[packet.l4 + 20 : packet.l4 + offset] = options
