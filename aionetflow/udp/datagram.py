"""The UDP header (RFC 768).

     0               1               2               3
    +-------------------------------+-------------------------------+
    |          source port          |       destination port        |
    +-------------------------------+-------------------------------+
    |            length             |           checksum            |
    +-------------------------------+-------------------------------+
"""

from aionetflow.fast import get16, put16, verify
from aionetflow.packet import RxPacket, TxPacket
from aionetflow.widths import u16

HEADER_LENGTH = 8
PROTOCOL = 17
MAX_PAYLOAD = 65507  # what fits one IPv4 packet


def emit(packet: TxPacket, source_port: u16, destination_port: u16, payload: bytes) -> None:
    """Makes a packet of a datagram; length and checksum are written with the frame."""
    packet.reset(PROTOCOL, HEADER_LENGTH)
    put16(packet.header, packet.l4, source_port)
    put16(packet.header, packet.l4 + 2, destination_port)
    packet.payload = payload
    packet.length = len(payload)


def is_whole(packet: RxPacket) -> bool:
    """Whether the header is there and the datagram inside the IP packet; sets where the datagram ends."""
    if packet.stop - packet.l4 < HEADER_LENGTH:
        return False
    length = get16(packet.frame, packet.l4 + 4)
    if length < HEADER_LENGTH or packet.l4 + length > packet.stop:
        return False
    packet.stop = packet.l4 + length
    return True


def is_intact(packet: RxPacket) -> bool:
    """Whether the checksum is right, or was not computed by the sender."""
    return verify(packet.frame, packet.l3, packet.l4, packet.stop, PROTOCOL)
