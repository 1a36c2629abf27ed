"""Urgent data (RFC 9293 3.8.5, RFC 6093): a mark in the stream, and one octet that Linux hands out beside it.

RFC 6093: the pointer is of the octet behind the urgent one, as all systems have it, and new programs leave urgent data
alone. What there is for old ones is Linux's: the octet before the mark is taken out of the stream, unless SO_OOBINLINE
is set, and recv(MSG_OOB) has it.

        copied_seq                 urg_seq             rcv_nxt
    --------|-------------------------|-------------------|----
      read      to read, up to here   the octet     to read after it
"""

import errno

from aionetflow.errors import os_error
from aionetflow.packet import TxPacket
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.segment import URG, Segment, urgent_pointer
from aionetflow.tcp.sequence import seq_add, seq_geq, seq_gt, seq_lt, seq_sub
from aionetflow.tcp.states import CLOSED
from aionetflow.tcp.urgent_mark import AWAITED, HERE, NONE, TAKEN, UrgentMark
from aionetflow.widths import u32

_AWAITED = AWAITED
_HERE = HERE
_NONE = NONE
_TAKEN = TAKEN
_FARTHEST = 0xFFFF  # what the pointer's field holds


def mark_of(connection: Connection) -> UrgentMark:
    """What a connection knows of urgent data, made when it is first needed."""
    if connection.urgent is None:
        connection.urgent = UrgentMark()
    return connection.urgent


def send_urgent(connection: Connection) -> None:
    """What was written last is urgent: up to here (Linux tcp_mark_urg)."""
    snd = connection.snd
    mark = mark_of(connection)
    mark.snd_up = seq_add(snd.snd_nxt, snd.unsent())
    mark.sending = True


def is_sending(connection: Connection) -> bool:
    """Whether something urgent is not acknowledged yet (Linux tcp_urg_mode)."""
    mark = connection.urgent
    assert mark is not None
    if mark.sending and seq_geq(connection.snd.snd_una, mark.snd_up):
        mark.sending = False
    return mark.sending


def stamp(connection: Connection, packet: TxPacket, seq: u32) -> None:
    """Puts the urgent pointer into a segment that begins at or before what is urgent and not yet acknowledged."""
    mark, snd = connection.urgent, connection.snd
    assert mark is not None
    if not is_sending(connection) or not seq_lt(seq, mark.snd_up):
        return
    distance: u32 = seq_sub(mark.snd_up, seq)
    if distance > _FARTHEST:
        if not seq_gt(seq_add(seq, _FARTHEST), snd.snd_nxt):
            return
        distance = _FARTHEST
    header, l4 = packet.header, packet.l4
    header[l4 + 13] |= URG
    header[l4 + 18] = distance >> 8
    header[l4 + 19] = distance & 0xFF


def probes_urgent(connection: Connection) -> bool:
    """Whether a probe is to tell first that there is something urgent (Linux tcp_write_wakeup): twice, yes and no."""
    mark = connection.urgent
    assert mark is not None
    mark.probed = is_sending(connection) and not mark.probed
    return mark.probed


def receive_urgent(connection: Connection, segment: Segment) -> None:
    """A segment has the URG flag, or may have the octet that an earlier one has announced (Linux tcp_urg)."""
    if segment.flags & URG:
        _notice(connection, segment)
    mark = connection.urgent
    if mark is None or mark.state != _AWAITED:
        return
    offset: u32 = seq_sub(mark.urg_seq, segment.seq)
    if offset < segment.length:
        mark.octet = segment.payload[offset]
        mark.state = _HERE
        connection.wake = True


def _notice(connection: Connection, segment: Segment) -> None:
    """Linux tcp_check_urg: a new mark, unless it lies in what was received, or before the one that is known."""
    mark, rcv = mark_of(connection), connection.rcv
    pointer = urgent_pointer(segment)
    if pointer and not connection.sysctl.tcp_stdurg:
        pointer -= 1
    urg_seq = seq_add(segment.seq, pointer)
    if seq_gt(copied_seq(connection), urg_seq) or seq_lt(urg_seq, rcv.rcv_nxt):
        return
    if mark.state != _NONE:
        if not seq_gt(urg_seq, mark.urg_seq):
            return
        if mark.urg_seq == copied_seq(connection) and not mark.inline and rcv.queue.length > 0:
            rcv.queue.read(1)  # the octet of the old mark does not become data
    mark.state = _AWAITED
    mark.urg_seq = urg_seq


# The application's side -------------------------------------------------------------------------------------------


def copied_seq(connection: Connection) -> u32:
    """The number of the next octet to read (Linux tp->copied_seq)."""
    rcv = connection.rcv
    read: u32 = seq_sub(rcv.rcv_nxt, rcv.queue.length)
    return seq_sub(read, 1) if rcv.ended else read


def is_at_mark(connection: Connection) -> bool:
    """sockatmark(3): whether the next octet to read is the urgent one."""
    mark = connection.urgent
    return mark is not None and mark.state != _NONE and mark.urg_seq == copied_seq(connection)


def read_until_mark(connection: Connection, limit: int, peek: bool) -> bytes:
    """As the queue's read, stopping before the urgent octet, which is passed over next time (Linux tcp_recvmsg)."""
    mark, queue = connection.urgent, connection.rcv.queue
    assert mark is not None
    skip = 0
    length = min(limit, queue.length)
    if mark.state != _NONE and length > 0:
        before: u32 = seq_sub(mark.urg_seq, copied_seq(connection))
        if before == 0 and not mark.inline:
            skip = 1
        elif 0 < before < length:
            length = before
    if peek:
        return queue.peek(limit + skip)[skip:] if skip else queue.peek(length)
    if skip:
        queue.read(1)
        length = min(limit, queue.length)
    data = queue.read(length)
    if mark.state != _NONE and seq_gt(copied_seq(connection), mark.urg_seq):
        mark.state = _NONE
    return data


def take_urgent(connection: Connection | None, limit: int, peek: bool) -> bytes:
    """recv(MSG_OOB): the urgent octet (Linux tcp_recv_urg).

    EINVAL if there is none, it was taken, or it is in the stream (SO_OOBINLINE); EAGAIN if it has not come yet.
    """
    mark = connection.urgent if connection is not None else None
    if connection is None or mark is None or mark.inline or mark.state in (_NONE, _TAKEN):
        raise os_error(errno.EINVAL)
    if connection.state == CLOSED and not connection.rcv.ended:
        raise os_error(errno.ENOTCONN)
    if mark.state == _HERE:
        if not peek:
            mark.state = _TAKEN
        return bytes((mark.octet,))[:limit]
    if connection.state == CLOSED or connection.read_shut:
        return b""
    raise os_error(errno.EAGAIN)


def readable_without_mark(connection: Connection) -> int:
    """How many octets SIOCINQ tells: those before the mark, or all (Linux tcp_inq)."""
    mark, queue = connection.urgent, connection.rcv.queue
    if mark is None or mark.inline or mark.state == _NONE:
        return queue.length
    before: u32 = seq_sub(mark.urg_seq, copied_seq(connection))
    return before if before < queue.length else queue.length
