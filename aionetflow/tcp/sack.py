"""What the peer reports selectively (RFC 2018, RFC 2883), read on the sender's side (Linux tcp_sacktag_write_queue)."""

from aionetflow.config import NEVER
from aionetflow.fast import get32
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.recovery import LOSS, Recovery
from aionetflow.tcp.scoreboard import EVER_RESENT, LOST, RESENT, SACKED, Ack, Run, segments_in
from aionetflow.tcp.segment import Segment
from aionetflow.tcp.sequence import seq_add, seq_geq, seq_gt, seq_leq, seq_lt, seq_sub
from aionetflow.widths import i64, u32

_MAX_BLOCKS = 4  # RFC 2018 3: what 40 octets of options hold


def take_blocks(connection: Connection, segment: Segment, ack: Ack) -> None:
    """Marks what the blocks of an acknowledgment name. A first block that came twice is a D-SACK."""
    recovery, snd = connection.recovery, connection.snd
    frame, at = segment.frame, segment.sack_at
    first = 0
    if _is_dsack(segment):
        _take_dsack(connection, get32(frame, at), get32(frame, at + 4), segment.ack, ack)
        first = 1
        if ack.dsack:  # while what was sent again is still a run of its own
            _clear_resent_twice(recovery, get32(frame, at), get32(frame, at + 4))
    for i in range(first, segment.sack_count):
        start = get32(frame, at + 8 * i)
        end = get32(frame, at + 8 * i + 4)
        if not seq_lt(start, end) or seq_gt(end, snd.snd_nxt) or seq_lt(start, snd.snd_una):
            if not seq_leq(end, snd.snd_una):
                connection.stats.TCPSACKDiscard += 1  # RFC 2018 does not know such a block
            continue
        _mark(recovery, start, end, ack)
    if ack.any_reordered:
        if recovery.state != LOSS or recovery.undo_possible:
            check_reordering(connection, ack.reordered, False)
        ack.any_reordered = False


def check_reordering(connection: Connection, low: u32, by_timestamp: bool) -> None:
    """Something at low arrived in its first life behind later data: the path reorders."""
    recovery = connection.recovery
    if not recovery.selective:
        return
    highest = recovery.fack if recovery.sacked else connection.snd.snd_una
    if not seq_lt(low, highest):
        return
    metric = segments_in(seq_sub(highest, low), recovery.cc.mss)
    if metric > recovery.reordering:
        recovery.reordering = min(metric, connection.sysctl.tcp_max_reordering)
    recovery.reord_seen = True
    if by_timestamp:
        connection.stats.TCPTSReorder += 1
    else:
        connection.stats.TCPSACKReorder += 1


def _is_dsack(segment: Segment) -> bool:
    """RFC 2883 4: the first block lies below the acknowledgment, or inside the second."""
    frame, at = segment.frame, segment.sack_at
    start, end = get32(frame, at), get32(frame, at + 4)
    if seq_lt(start, segment.ack):
        return True
    if segment.sack_count < 2:
        return False
    return seq_leq(end, get32(frame, at + 12)) and seq_geq(start, get32(frame, at + 8))


def _take_dsack(connection: Connection, start: u32, end: u32, ack_number: u32, ack: Ack) -> None:
    """Something arrived twice: what was sent again had not been lost (Linux tcp_check_dsack, tcp_dsack_seen)."""
    recovery, snd = connection.recovery, connection.snd
    if seq_lt(start, ack_number):
        connection.stats.TCPDSACKRecv += 1
    else:
        connection.stats.TCPDSACKOfoRecv += 1
    length: i64 = seq_sub(end, start)
    if not seq_lt(start, end) or length > snd.max_wnd:
        return
    count = max(segments_in(length, recovery.cc.mss), 1)
    if recovery.dsack_count + count > connection.total_retrans:
        return  # more than was ever sent again: somebody makes it up, or the network duplicates
    recovery.dsack_count += count
    ack.delivered += length  # what was sent again needlessly has arrived, too
    ack.dsack = True
    ack.dsack_probe = recovery.probing and recovery.probe_resent and end == recovery.probe_end
    if not ack.dsack_probe:
        recovery.dsack_seen = True
    if (
        recovery.undo_possible
        and recovery.undo_retrans > 0
        and seq_leq(end, ack.prior_una)
        and seq_gt(end, recovery.undo_marker)
    ):
        recovery.undo_retrans = max(0, recovery.undo_retrans - count)


def _mark(recovery: Recovery, start: u32, end: u32, ack: Ack) -> None:
    """Marks [start, end) as held by the peer; runs that it covers in part are split."""
    run = recovery.head
    while run is not None and seq_lt(run.start, end):
        if seq_leq(run.end, start) or run.flags & SACKED:
            run = run.next
            continue
        if seq_lt(run.start, start):
            recovery.split(run, start)
            run = run.next
            continue
        if seq_gt(run.end, end):
            recovery.split(run, end)
        _mark_run(recovery, run, ack)
        run = run.next
    _join(recovery, start, end)


def _mark_run(recovery: Recovery, run: Run, ack: Ack) -> None:
    recovery.rack_advance(run, ack.now)
    if not run.flags & EVER_RESENT:
        if recovery.sacked and seq_lt(run.start, recovery.fack):
            ack.note_order(run.start)  # it was in a hole and is there without having been sent again
        if seq_leq(run.end, recovery.high_seq):
            ack.original = True
        if ack.first_sacked == NEVER:
            ack.first_sacked = run.sent_at
        ack.last_sacked = run.sent_at
    ack.sacked = True
    ack.delivered += seq_sub(run.end, run.start)
    recovery.mark_sacked(run)


def _join(recovery: Recovery, start: u32, end: u32) -> None:
    """Runs that the peer holds side by side become one."""
    run = recovery.head
    while run is not None and seq_lt(run.start, end):
        if run.flags & (SACKED | RESENT) == SACKED:
            recovery.join_sacked(run)
        run = run.next


def _clear_resent_twice(recovery: Recovery, start: u32, end: u32) -> None:
    """A D-SACK about what is still in flight: that is not on its way again any more."""
    run = recovery.head
    while run is not None and seq_lt(run.start, end):
        if seq_geq(run.start, start) and seq_leq(run.end, end):
            if run.flags & EVER_RESENT and recovery.undo_possible and recovery.undo_retrans > 0:
                count = segments_in(seq_sub(run.end, run.start), recovery.cc.mss)
                recovery.undo_retrans = max(0, recovery.undo_retrans - count)
            if run.flags & RESENT and not run.flags & LOST:
                run.flags &= ~RESENT
                recovery.resent -= seq_sub(run.end, run.start)
        run = run.next


def blocks_to_send(connection: Connection) -> int:
    """How many blocks our next segment reports: a D-SACK and what is held out of order, as many as fit."""
    rcv = connection.rcv
    count = (1 if rcv.dsack_due else 0) + rcv.reassembly.recent_count()
    return min(count, 3 if connection.timestamps else _MAX_BLOCKS)


def block(connection: Connection, number: int) -> tuple[u32, u32]:
    """The block of that number: the D-SACK first (RFC 2883 4), then the newest (RFC 2018 4)."""
    rcv = connection.rcv
    if rcv.dsack_due:
        if number == 0:
            return rcv.dsack_start, rcv.dsack_end
        number -= 1
    return rcv.reassembly.recent(number)


def note_duplicate(connection: Connection, segment: Segment) -> None:
    """Data, a SYN or a FIN came that were here: the next acknowledgment says so (Linux tcp_dsack_set)."""
    rcv = connection.rcv
    if not connection.recovery.selective or not connection.sysctl.tcp_dsack:
        return
    end = seq_add(segment.seq, segment.occupies())
    if seq_lt(segment.seq, rcv.rcv_nxt):
        connection.stats.TCPDSACKOldSent += 1
        if seq_gt(end, rcv.rcv_nxt):
            end = rcv.rcv_nxt
    else:
        connection.stats.TCPDSACKOfoSent += 1
    rcv.dsack_due = True
    rcv.dsack_start = segment.seq
    rcv.dsack_end = end
