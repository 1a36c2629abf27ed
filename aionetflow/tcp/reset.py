"""The answer to a segment that belongs to no connection (RFC 9293 3.10.7.1)."""

from aionetflow.packet import TxPacket
from aionetflow.tcp.segment import ACK, RST, Segment, emit
from aionetflow.tcp.sequence import seq_add


def answer(packet: TxPacket, segment: Segment) -> bool:
    """Makes the RST that a segment deserves; False if it deserves none: a RST, or one sent to many."""
    if segment.flags & RST or segment.broadcast:
        return False
    source, destination = segment.destination_port, segment.source_port
    if segment.flags & ACK:
        emit(packet, source, destination, segment.ack, 0, RST, 0, b"")
    else:
        ack = seq_add(segment.seq, segment.occupies())
        emit(packet, source, destination, 0, ack, RST | ACK, 0, b"")
    return True
