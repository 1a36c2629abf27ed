"""An acknowledgment arrives (RFC 9293 3.10.7.4 fifth): what it frees, and tells of time, losses and the window."""

from aionetflow.config import NEVER
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.loss import on_ack
from aionetflow.tcp.mtu_probing import take_ack_of_probe
from aionetflow.tcp.rack import arm_timeout, schedule_probe, take_probe_ack, update_reordering_window
from aionetflow.tcp.recovery import OPEN, TIMEOUT
from aionetflow.tcp.sack import check_reordering, take_blocks
from aionetflow.tcp.scoreboard import Ack
from aionetflow.tcp.segment import ECE, SYN, Segment
from aionetflow.tcp.sequence import seq_gt, seq_lt, seq_sub
from aionetflow.tcp.states import CLOSED, Event
from aionetflow.widths import i64

_RCV_ACK_OF_FIN = int(Event.RCV_ACK_OF_FIN)


def receive_ack(connection: Connection, segment: Segment, now: i64) -> bool:
    """Takes the acknowledgment of a segment that belongs here; False if the segment is to be dropped."""
    snd, recovery = connection.snd, connection.recovery
    if seq_gt(segment.ack, snd.snd_nxt):
        connection.need_ack = True  # it acknowledges what was not sent
        return False
    if seq_lt(segment.ack, snd.snd_una):
        if seq_sub(snd.snd_una, segment.ack) > snd.max_wnd:
            connection.challenge(now)  # RFC 5961 5.2: older than anything in flight can be
            return False
        if recovery.selective and segment.sack_count and recovery.head is not None:
            _take_old(connection, segment, now)
        return True
    connection.heard_at = now
    snd.more = False
    connection.soft_error = 0  # Linux tcp_ack: something gets through
    advanced = segment.ack != snd.snd_una
    ece = connection.ecn and segment.flags & (ECE | SYN) == ECE
    if recovery.head is None and not advanced:
        _take_idle(connection, segment)
    elif recovery.state == OPEN and recovery.is_clean() and not segment.sack_count and not ece and (
        advanced or segment.length
    ):
        take_plain(connection, segment, now)
    else:
        _take(connection, segment, advanced, ece, now)
    if advanced and snd.fin_acknowledged():
        connection.wake = True  # someone may be lingering
        connection.transition(_RCV_ACK_OF_FIN)
        connection.settle(now)
    if snd.snd_wnd > 0 and connection.timers.persist != NEVER:
        connection.timers.persist = NEVER
        connection.stuck_since = NEVER
        recovery.rtt.backoff = 0
    return connection.state != CLOSED


def take_plain(connection: Connection, segment: Segment, now: i64) -> None:
    """The usual case: nothing is missing, nothing out of order, and this changes neither."""
    snd, recovery = connection.snd, connection.recovery
    advanced = segment.ack != snd.snd_una
    snd.update_window(segment, advanced)
    if not advanced:
        return
    acked = snd.acknowledge(segment.ack)
    sent_at = recovery.acknowledge_plain(segment.ack, now)
    recovery.delivered += acked
    rtt: i64 = 0
    if sent_at != NEVER:
        rtt = max(now - sent_at, 1)
    elif connection.timestamps and segment.timestamped:
        rtt = connection.echoed_rtt(segment.tsecr, now)
    if rtt > 0:
        recovery.note_min_rtt(rtt, now)
        recovery.rtt.sample(rtt, snd.snd_una, snd.snd_nxt)
    _free(connection, acked, now)
    if recovery.probing and not seq_lt(segment.ack, recovery.probe_end):
        take_probe_ack(connection, Ack(segment.ack, now), segment.ack, False)
    if recovery.head is None:
        connection.timers.retransmit = NEVER
    elif not schedule_probe(connection, True, now):
        arm_timeout(connection, now)  # RFC 6298 5.3
    recovery.note_round(snd.snd_una, snd.snd_nxt)
    if recovery.state == OPEN:
        recovery.grow(acked, rtt, now)
        snd.grow(recovery.cc.cwnd)


def _take(connection: Connection, segment: Segment, advanced: bool, ece: bool, now: i64) -> None:
    """Linux tcp_ack, the slow way: something is or was missing, or is reported."""
    snd, recovery = connection.snd, connection.recovery
    ack = Ack(snd.snd_una, now)
    ack.advanced = advanced
    ack.ece = ece
    if connection.timestamps and segment.timestamped:
        ack.echoed = connection.echoed_rtt(segment.tsecr, now)
    updated = snd.update_window(segment, advanced)
    lost = recovery.lost
    acked: i64 = snd.acknowledge(segment.ack) if advanced else 0
    if recovery.selective and segment.sack_count:
        take_blocks(connection, segment, ack)
    if advanced:
        _take_off(connection, acked, ack)
    rtt = _measure(connection, ack)
    update_reordering_window(connection)
    if recovery.probing:
        take_probe_ack(connection, ack, segment.ack, segment.length == 0 and not updated)
    fresh = advanced or segment.length > 0 or updated
    if not fresh and not ack.dsack:
        ack.duplicates = max(1, segment.count)
    if not fresh or ack.sacked or ack.ece or ack.dsack or recovery.state != OPEN:
        on_ack(connection, ack)
    if advanced:
        _free(connection, acked, now)
    if recovery.head is None:
        connection.timers.retransmit = NEVER
        recovery.pending = TIMEOUT
    elif advanced and not ack.timer_set and not schedule_probe(connection, True, now):
        arm_timeout(connection, now)
    recovery.delivered += ack.delivered
    _control(connection, ack, rtt, max(recovery.lost - lost, 0))


def _take_off(connection: Connection, acked: i64, ack: Ack) -> None:
    """What is acknowledged leaves the scoreboard."""
    snd, recovery = connection.snd, connection.recovery
    highest = recovery.fack
    any_sacked = recovery.sacked > 0
    recovery.acknowledge(snd.snd_una, recovery.selective, ack)
    if recovery.selective:
        if ack.any_reordered and any_sacked and seq_lt(ack.reordered, highest):
            check_reordering(connection, ack.reordered, False)
        return
    # Linux tcp_remove_reno_sacks: one segment was the hole, the others had been announced by duplicates
    mss = recovery.cc.mss
    ack.delivered += max(acked - recovery.sacked, mss)
    recovery.sacked = max(recovery.sacked - max(acked - mss, 0), 0)
    if ack.resent:
        ack.original = False


def _take_idle(connection: Connection, segment: Segment) -> None:
    """Nothing is in flight: a window update, or the answer to a probe."""
    connection.snd.update_window(segment, False)
    connection.retries = 0  # the peer lives


def _take_old(connection: Connection, segment: Segment, now: i64) -> None:
    """An acknowledgment overtaken by a later one: what it reports selectively counts all the same."""
    snd, recovery = connection.snd, connection.recovery
    ack = Ack(snd.snd_una, now)
    lost = recovery.lost
    take_blocks(connection, segment, ack)
    if ack.sacked or ack.dsack:
        on_ack(connection, ack)
        recovery.delivered += ack.delivered
        _control(connection, ack, 0, max(recovery.lost - lost, 0))


def _measure(connection: Connection, ack: Ack) -> i64:
    """Takes a round-trip time if there is one to take (RFC 6298 3, RFC 7323 4): returns the newest, 0 for none."""
    recovery = connection.recovery
    rtt: i64 = -1
    newest: i64 = -1
    if ack.first_sent != NEVER and not ack.resent:
        rtt = ack.now - ack.first_sent
        newest = ack.now - ack.last_sent
    if ack.first_sacked != NEVER:
        newest = ack.now - ack.last_sacked
        if rtt < 0:
            rtt = ack.now - ack.first_sacked
    if rtt < 0 and ack.advanced:
        rtt = newest = ack.echoed
    if rtt < 0:
        return 0
    recovery.note_min_rtt(newest, ack.now)
    recovery.rtt.sample(rtt, connection.snd.snd_una, connection.snd.snd_nxt)
    return max(newest, 1)


def _free(connection: Connection, acked: i64, now: i64) -> None:
    """The peer has made progress: there is room to write, and nothing to give up."""
    if connection.retries > 0:
        connection.retries = 0
        connection.stuck_since = NEVER
    if connection.search is not None:
        take_ack_of_probe(connection, now)
    connection.soft_error = 0
    if acked:
        connection.wake = True


def _control(connection: Connection, ack: Ack, rtt: i64, newly_lost: i64) -> None:
    """Linux tcp_cong_control: the window shrinks towards ssthresh, or grows."""
    snd, recovery = connection.snd, connection.recovery
    recovery.note_round(snd.snd_una, snd.snd_nxt)
    if recovery.cc.keeps_window:
        recovery.grow(ack.delivered, rtt, ack.now)
    elif recovery.is_reducing():
        recovery.reduce(ack.delivered, newly_lost, ack.advanced, snd.in_flight())
    elif ack.delivered and (ack.advanced or recovery.reordering > connection.sysctl.tcp_reordering):
        recovery.grow(ack.delivered, rtt, ack.now)
    snd.grow(recovery.cc.cwnd)

