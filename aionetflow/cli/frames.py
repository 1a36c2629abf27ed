"""What the story reads in a frame: the fields of an IPv4 packet with a TCP segment."""

from typing import NamedTuple

from aionetflow.ethernet.frame import ETHERTYPE_IPV4, HEADER_LENGTH
from aionetflow.fast import get16, get32
from aionetflow.ip.v4 import PROTOCOL_TCP
from aionetflow.tcp import options
from aionetflow.tcp.segment import FIN, SYN, flag_names
from aionetflow.tcp.sequence import seq_add

_IP = HEADER_LENGTH


class TcpFrame(NamedTuple):
    """One TCP segment, in its packet, in its frame."""

    destination_mac: bytes
    source_mac: bytes
    ident: int
    ttl: int
    ip_checksum: int
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    seq: int
    ack: int
    flags: int
    window: int  # as in the header: not scaled
    length: int  # octets of payload
    mss: int  # from the options; 0: not there
    window_scale: int  # from the options; -1: not there

    @property
    def end(self) -> int:
        """The sequence number after the segment, SYN and FIN counted."""
        return seq_add(self.seq, self.length + bool(self.flags & SYN) + bool(self.flags & FIN))

    @property
    def occupies(self) -> bool:
        """Whether it has sequence numbers of its own, and so is sent again if it is lost."""
        return self.end != self.seq

    @property
    def names(self) -> str:
        """The flags in words: "SYN ACK"."""
        return flag_names(self.flags).replace("|", " ")


def read_tcp(frame: bytes) -> TcpFrame | None:
    """The TCP segment that an Ethernet frame carries over IPv4; None if there is none that is whole."""
    if len(frame) < _IP + 20 or get16(frame, 12) != ETHERTYPE_IPV4 or frame[_IP + 9] != PROTOCOL_TCP:
        return None
    tcp = _IP + (frame[_IP] & 15) * 4
    stop = _IP + get16(frame, _IP + 2)
    if stop > len(frame) or tcp + 20 > stop:
        return None
    payload = tcp + (frame[tcp + 12] >> 4) * 4
    if payload < tcp + 20 or payload > stop:
        return None
    offered = options.parse(frame, tcp + 20, payload)
    return TcpFrame(
        frame[:6], frame[6:12], get16(frame, _IP + 4), frame[_IP + 8], get16(frame, _IP + 10),
        frame[_IP + 12 : _IP + 16], frame[_IP + 16 : _IP + 20], get16(frame, tcp), get16(frame, tcp + 2),
        get32(frame, tcp + 4), get32(frame, tcp + 8), frame[tcp + 13], get16(frame, tcp + 14),
        stop - payload, offered.mss, offered.window_scale,
    )  # fmt: skip
