"""Which runs are lost: RACK-TLP (RFC 8985), and the older ways where that is off or the peer knows no SACK.

RACK goes by time: what was sent a reordering window before something that was delivered is lost. TLP sends the last
segment again when nothing is heard for two round trips, so that the loss of a tail is seen before the time-out.
"""

from aionetflow.config import MILLISECOND, RTO_INITIAL, RTO_MIN
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.pacing import pacing_delay
from aionetflow.tcp.recovery import CWR, OPEN, PROBE, RACK_PATIENCE, RECOVERY, REORDER, SYN_ACK, TIMEOUT
from aionetflow.tcp.scoreboard import LOST, RESENT, SACKED, Ack, Run, after_segments
from aionetflow.tcp.sequence import seq_gt, seq_lt, seq_sub
from aionetflow.widths import i64

_LEAST_WAIT = 2 * MILLISECOND  # Linux TCP_TIMEOUT_MIN
# Bits of net.ipv4.tcp_recovery
_LOSS_DETECTION = 1
_STATIC_REO_WND = 2
_NO_DUPTHRESH = 4


def is_used(connection: Connection) -> bool:
    """Whether losses are told by time."""
    return connection.recovery.selective and connection.sysctl.tcp_recovery & _LOSS_DETECTION != 0


def identify_losses(connection: Connection, ack: Ack) -> bool:
    """Marks what is lost by now; True if what had been sent again is among it (Linux tcp_identify_packet_loss)."""
    recovery = connection.recovery
    if recovery.head is None:
        return False
    if not recovery.selective:
        _mark_head_of_reno(connection, ack.advanced)
        return False
    if not is_used(connection):
        return False
    resent = recovery.resent
    if recovery.rack_advanced:
        recovery.rack_advanced = False
        wait = _detect(connection, ack.now)
        if wait > 0:
            connection.timers.retransmit = ack.now + min(wait + _LEAST_WAIT, recovery.rtt.rto())
            recovery.pending = REORDER
            ack.timer_set = True
    return recovery.resent < resent


def look_again(connection: Connection, now: i64) -> bool:
    """The reordering window has passed for something: True if it is lost (Linux tcp_rack_reo_timeout)."""
    lost = connection.recovery.lost
    _detect(connection, now)
    return connection.recovery.lost > lost


def update_reordering_window(connection: Connection) -> None:
    """RFC 8985 6.2 step 4: a D-SACK widens it by a quarter of the least round trip, for sixteen recoveries."""
    recovery = connection.recovery
    if connection.sysctl.tcp_recovery & _STATIC_REO_WND:
        return
    if recovery.delivered < recovery.last_delivered:
        recovery.dsack_seen = False
    if recovery.dsack_seen:
        recovery.reo_wnd_steps = min(255, recovery.reo_wnd_steps + 1)
        recovery.dsack_seen = False
        recovery.last_delivered = recovery.delivered + recovery.cc.cwnd  # not again within a round trip
        recovery.reo_wnd_persist = RACK_PATIENCE
    elif recovery.reo_wnd_persist == 0:
        recovery.reo_wnd_steps = 1


def wait_for(connection: Connection, run: Run, window: i64, now: i64) -> i64:
    """How long until a run is lost unless it is heard of."""
    return connection.recovery.rack_rtt + window - (now - run.sent_at)


def update_by_count(connection: Connection, fast: bool) -> None:
    """RFC 6675 3, IsLost(): what has DupThresh segments behind it that arrived; at first at least the oldest."""
    recovery = connection.recovery
    if not recovery.selective:
        return
    behind = recovery.sacked
    enough = recovery.reordering * recovery.cc.mss
    run = recovery.head
    while run is not None and (behind >= enough or fast):
        if run.flags & SACKED:
            behind -= seq_sub(run.end, run.start)
        elif not run.flags & LOST:
            if fast and behind < enough:
                _trim(connection, run)
            recovery.mark_lost(run)
        fast = False
        run = run.next


def schedule_probe(connection: Connection, advancing: bool, now: i64) -> bool:
    """Arms the timer for a tail loss probe instead of the time-out, where that comes first (RFC 8985 7.2)."""
    recovery = connection.recovery
    if (
        recovery.head is None
        or not recovery.selective
        or connection.sysctl.tcp_early_retrans < 3
        or (recovery.state != OPEN and recovery.state != CWR)
    ):
        return False
    rtt = recovery.rtt
    wait = RTO_INITIAL
    if rtt.srtt:
        alone = seq_sub(connection.snd.snd_nxt, connection.snd.snd_una) <= recovery.cc.mss
        wait = 2 * rtt.srtt + (RTO_MIN if alone else _LEAST_WAIT)
    latest = rtt.rto() if advancing else recovery.head.sent_at + rtt.rto() - now
    if latest > 0:
        wait = min(wait, latest)
    if connection.pace is not None:
        wait += pacing_delay(connection, now)
    recovery.pending = PROBE
    connection.timers.retransmit = now + wait
    return True


def take_probe_ack(connection: Connection, ack: Ack, number: int, pure: bool) -> None:
    """Whether the loss probe showed that a tail was lost (RFC 8985 7.4.2, Linux tcp_process_tlp_ack)."""
    recovery = connection.recovery
    if seq_lt(number, recovery.probe_end):
        return
    if not recovery.probe_resent or ack.dsack_probe:
        recovery.probing = False  # it was new data, or the original arrived as well
    elif seq_gt(number, recovery.probe_end):
        # something of after the probe arrived and nobody said that the probe came twice: it repaired a loss
        recovery.probing = False
        recovery.undo_possible = False
        recovery.prior_ssthresh = 0
        recovery.begin_reduction(connection.snd.snd_nxt, ack.now)
        recovery.state = CWR
        recovery.end_reduction(ack.now)
        recovery.keep_open(connection.snd.snd_nxt)
        connection.stats.TCPLossProbeRecovery += 1
    elif not ack.advanced and pure and not ack.sacked:
        recovery.probing = False  # a duplicate ACK: both arrived


def arm_timeout(connection: Connection, now: i64) -> None:
    """Linux tcp_rearm_rto: the time-out counts from the oldest segment's departure where another timer was pending."""
    recovery = connection.recovery
    rto = recovery.rtt.rto()
    if recovery.pending != TIMEOUT:
        if recovery.pending == SYN_ACK:
            return
        if recovery.head is not None:
            rto = max(recovery.head.sent_at + rto - now, 1)
    if connection.pace is not None:
        rto += pacing_delay(connection, now)
    recovery.pending = TIMEOUT
    connection.timers.retransmit = now + rto


def _detect(connection: Connection, now: i64) -> i64:
    """RFC 8985 6.2 step 5: marks what is lost, returns how long until the last of what looks so is."""
    recovery = connection.recovery
    window = _reordering_window(connection)
    longest: i64 = 0
    run = recovery.head
    while run is not None:
        flags = run.flags
        if flags & SACKED == 0 and flags & (LOST | RESENT) != LOST and _was_before(connection, run):
            wait = wait_for(connection, run, window, now)
            if wait <= 0:
                if flags & RESENT:
                    connection.stats.TCPLostRetransmit += 1
                recovery.mark_lost(run)
            else:
                longest = max(longest, wait)
        run = run.next
    return longest


def _was_before(connection: Connection, run: Run) -> bool:
    """Whether a run was sent before the newest that was delivered."""
    recovery = connection.recovery
    if run.sent_at != recovery.rack_sent_at:
        return run.sent_at < recovery.rack_sent_at
    return seq_gt(recovery.rack_end, run.end)


def _reordering_window(connection: Connection) -> i64:
    """Linux tcp_rack_reo_wnd: none until reordering was seen, once there is a loss or DupThresh segments arrived."""
    recovery = connection.recovery
    if not recovery.reord_seen:
        if recovery.state >= RECOVERY:
            return 0
        enough = recovery.sacked >= recovery.reordering * recovery.cc.mss
        if enough and not connection.sysctl.tcp_recovery & _NO_DUPTHRESH:
            return 0
    return min((recovery.min_rtt >> 2) * recovery.reo_wnd_steps, recovery.rtt.srtt)


def _mark_head_of_reno(connection: Connection, advanced: bool) -> None:
    """RFC 6582 without SACK: the third duplicate shows one hole, a partial acknowledgment the next."""
    recovery = connection.recovery
    head = recovery.head
    if head is None or head.flags & LOST:
        return
    enough = recovery.sacked >= recovery.reordering * recovery.cc.mss
    if (recovery.state < RECOVERY and enough) or (recovery.state == RECOVERY and advanced):
        _trim(connection, head)
        recovery.mark_lost(head)


def _trim(connection: Connection, run: Run) -> None:
    """Makes a run one segment long; what is behind it is another."""
    mss = connection.recovery.cc.mss
    if seq_sub(run.end, run.start) > mss:
        connection.recovery.split(run, after_segments(run.start, 1, mss))
