"""What an acknowledgment or a time-out means for the state of recovery (Linux tcp_fastretrans_alert, tcp_enter_loss).

All that decides whether something was lost, whether that was an error, and when it is over, is here; recovery.py says
what it does to the window.
"""

from aionetflow.config import MILLISECOND, NEVER
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.mtu_probing import probe_failed
from aionetflow.tcp.rack import arm_timeout, identify_losses, is_used, look_again, update_by_count, wait_for
from aionetflow.tcp.recovery import CWR, DISORDER, LOSS, OPEN, RACK_PATIENCE, RECOVERY, TIMEOUT
from aionetflow.tcp.sack import check_reordering
from aionetflow.tcp.scoreboard import SACKED, Ack, segments_in
from aionetflow.tcp.sequence import seq_gt, seq_lt
from aionetflow.widths import i64

_PATIENCE = 10 * MILLISECOND  # with a peer that dropped what it had


def on_ack(connection: Connection, ack: Ack) -> None:
    """Takes what an acknowledgment tells about losses."""
    recovery, snd = connection.recovery, connection.snd
    recovery.resend_held = recovery.head_due = False
    if ack.ece:
        recovery.prior_ssthresh = 0  # congestion was marked: there is nothing to undo
    if _is_reneging(connection, ack):
        return
    if recovery.state == OPEN:
        recovery.retrans_stamp = NEVER
    elif not seq_lt(snd.snd_una, recovery.high_seq) and _leave(connection, ack):
        return
    if recovery.state == RECOVERY:
        _take_in_recovery(connection, ack)
    elif recovery.state == LOSS:
        _take_in_loss(connection, ack)
        lost_again = identify_losses(connection, ack)
        if recovery.state != OPEN and not lost_again:
            return
        _look_for_loss(connection, ack)
    else:
        if not recovery.selective:
            _count_duplicates(connection, ack)
        if recovery.state <= DISORDER:
            _undo_by_dsack(connection, ack)
        identify_losses(connection, ack)
        _look_for_loss(connection, ack)


def on_timeout(connection: Connection, now: i64) -> None:
    """Nothing was acknowledged for the retransmission time-out (RFC 6298 5.4 to 5.7, Linux tcp_enter_loss)."""
    recovery, snd = connection.recovery, connection.snd
    cc = recovery.cc
    _count_failure(connection)
    new = recovery.state < RECOVERY
    _mark_all_lost(connection, now)
    if (
        recovery.state <= DISORDER
        or not seq_gt(recovery.high_seq, snd.snd_una)
        or (recovery.state == LOSS and connection.retries <= 1)
    ):
        recovery.prior_ssthresh = recovery.current_ssthresh()
        recovery.prior_cwnd = cc.cwnd
        cc.ssthresh = cc.on_loss(now)
        cc.on_timeout(now)
        recovery.begin_undo(snd.snd_una)
    cc.cwnd = recovery.in_flight(snd.in_flight()) + cc.mss
    recovery.cwnd_stamp = now
    if recovery.state <= DISORDER and recovery.sacked >= recovery.reordering * cc.mss:
        # so much arrived behind the hole and was not trusted: reordering was overestimated
        recovery.reordering = min(recovery.reordering, connection.sysctl.tcp_reordering)
    recovery.state = LOSS
    recovery.high_seq = snd.snd_nxt
    recovery.resend_held = False
    recovery.head_due = True
    recovery.probing = False
    recovery.pending = TIMEOUT
    recovery.rtt.backoff += 1
    connection.queue_cwr()
    # RFC 5682 2.1 step 1
    recovery.frto = connection.sysctl.tcp_frto != 0 and (new or connection.retries > 1)


def on_reorder_timeout(connection: Connection, now: i64) -> None:
    """What looked lost has had its time to arrive late."""
    recovery, snd = connection.recovery, connection.snd
    lost = recovery.lost
    if look_again(connection, now) and recovery.state != RECOVERY:
        _enter_recovery(connection, False, now)
        recovery.reduce(1, recovery.lost - lost, False, snd.in_flight())
    if recovery.pending != TIMEOUT:
        arm_timeout(connection, now)


# Leaving a state ----------------------------------------------------------------------------------------------------


def _leave(connection: Connection, ack: Ack) -> bool:
    """Everything of before is acknowledged; True if that is all there is to do."""
    recovery, snd = connection.recovery, connection.snd
    if recovery.state == CWR:
        # for a whole round trip: until something of after it is acknowledged
        if snd.snd_una != recovery.high_seq:
            recovery.end_reduction(ack.now)
            recovery.state = OPEN
    elif recovery.state == RECOVERY:
        if not recovery.selective:
            recovery.sacked = 0
        if _undo_recovery(connection, ack):
            return True
        recovery.end_reduction(ack.now)
    return False


def _undo_recovery(connection: Connection, ack: Ack) -> bool:
    """The end of a recovery, which may turn out to have been needless; True if the state is held."""
    recovery, snd = connection.recovery, connection.snd
    if recovery.may_undo(_original_answered(connection)):
        if recovery.state == LOSS:
            connection.stats.TCPLossUndo += 1
        else:
            connection.stats.TCPFullUndo += 1
        recovery.undo(False, ack.now)
    elif recovery.reo_wnd_persist:
        recovery.reo_wnd_persist -= 1
    if snd.snd_una == recovery.high_seq and not recovery.selective:
        # RFC 6582 4: duplicates of before must not begin another recovery
        if not recovery.any_resent():
            recovery.retrans_stamp = NEVER
        return True
    if recovery.state == RECOVERY:
        recovery.end_reduction(ack.now)
    recovery.state = OPEN
    return False


def _undo_partial(connection: Connection, ack: Ack) -> bool:
    """A hole was filled by the original: it was late, not lost. True if more is to be waited for."""
    recovery = connection.recovery
    if not recovery.undo_possible or not _original_answered(connection):
        return False
    check_reordering(connection, ack.prior_una, True)
    if recovery.resent:
        return True
    if not recovery.any_resent():
        recovery.retrans_stamp = NEVER
    recovery.undo(True, ack.now)
    connection.stats.TCPPartialUndo += 1
    recovery.keep_open(connection.snd.snd_nxt)
    return False


def _undo_by_dsack(connection: Connection, ack: Ack) -> bool:
    recovery = connection.recovery
    if not recovery.undo_possible or recovery.undo_retrans != 0:
        return False
    recovery.reo_wnd_persist = min(RACK_PATIENCE, recovery.reo_wnd_persist + 1)
    connection.stats.TCPDSACKUndo += 1
    recovery.undo(False, ack.now)
    return True


def _undo_loss(connection: Connection, by_frto: bool, ack: Ack) -> bool:
    """The time-out was spurious: by F-RTO, by timestamps or by D-SACK (Linux tcp_try_undo_loss)."""
    recovery = connection.recovery
    if not by_frto and not recovery.may_undo(_original_answered(connection)):
        return False
    recovery.undo(True, ack.now)
    connection.stats.TCPLossUndo += 1
    if by_frto:
        connection.stats.TCPSpuriousRTOs += 1
    connection.retries = 0
    if by_frto or recovery.selective:
        recovery.state = OPEN
    return True


def _original_answered(connection: Connection) -> bool:
    """RFC 3522 3.2: the echoed timestamp is from before the first retransmission (Linux tcp_packet_delayed)."""
    recovery = connection.recovery
    return recovery.retrans_stamp != NEVER and connection.echoes_before(recovery.retrans_stamp)


# Being in one -------------------------------------------------------------------------------------------------------


def _take_in_recovery(connection: Connection, ack: Ack) -> None:
    """Linux tcp_fastretrans_alert, TCP_CA_Recovery."""
    recovery = connection.recovery
    if not ack.advanced:
        if not recovery.selective:
            _add_duplicates(connection, ack)
    elif _undo_partial(connection, ack):
        return
    if _undo_by_dsack(connection, ack):
        _try_to_open(connection, ack)
    identify_losses(connection, ack)
    if recovery.state != RECOVERY:
        if not _is_time_to_recover(connection):
            return
        _enter_recovery(connection, ack.ece, ack.now)
    _update_by_count(connection, ack, False)


def _take_in_loss(connection: Connection, ack: Ack) -> None:
    """RFC 5682 3.1, Linux tcp_process_loss."""
    recovery, snd = connection.recovery, connection.snd
    recovered = not seq_lt(snd.snd_una, recovery.high_seq)
    if ack.advanced and _undo_loss(connection, False, ack):
        return
    if recovery.frto:
        if ack.original and _undo_loss(connection, True, ack):
            return  # step 3.b: data that were sent once arrived, so not all was lost
        if seq_gt(snd.snd_nxt, recovery.high_seq):
            if ack.sacked or ack.duplicates:
                recovery.frto = False  # step 3.a: the loss was real
        elif ack.advanced and not recovered:
            recovery.high_seq = snd.snd_nxt
            if snd.unsent() > 0 and snd.snd_wnd > snd.in_flight():
                recovery.resend_held = True  # step 2.b: new data first, whose answer will tell
                return
            recovery.frto = False
    if recovered:
        _undo_recovery(connection, ack)
        return
    if not recovery.selective:
        if seq_gt(snd.snd_nxt, recovery.high_seq) and ack.duplicates:
            _add_duplicates(connection, ack)
        elif ack.advanced:
            recovery.sacked = 0


def _look_for_loss(connection: Connection, ack: Ack) -> None:
    """Begins a recovery if it is time."""
    if not _is_time_to_recover(connection):
        _try_to_open(connection, ack)
        return
    if connection.search is not None and probe_failed(connection):
        return
    _enter_recovery(connection, ack.ece, ack.now)
    _update_by_count(connection, ack, True)


def _is_time_to_recover(connection: Connection) -> bool:
    recovery = connection.recovery
    if recovery.lost:
        return True
    enough = recovery.sacked + recovery.cc.mss > recovery.reordering * recovery.cc.mss
    return recovery.selective and not is_used(connection) and enough


def _enter_recovery(connection: Connection, ece: bool, now: i64) -> None:
    recovery, snd = connection.recovery, connection.snd
    if recovery.selective:
        connection.stats.TCPSackRecovery += 1
    else:
        connection.stats.TCPRenoRecovery += 1
    if not recovery.is_reducing():
        connection.queue_cwr()
    recovery.enter_recovery(snd.snd_una, snd.snd_nxt, ece, now)


def _try_to_open(connection: Connection, ack: Ack) -> None:
    """Linux tcp_try_to_open."""
    recovery, snd = connection.recovery, connection.snd
    if not recovery.any_resent():
        recovery.retrans_stamp = NEVER
    if ack.ece:
        if recovery.state < CWR:
            connection.queue_cwr()
        recovery.enter_cwr(snd.snd_nxt, ack.now)
    if recovery.state != CWR:
        recovery.keep_open(snd.snd_nxt)


def _update_by_count(connection: Connection, ack: Ack, fast: bool) -> None:
    if not is_used(connection) and (ack.duplicates or ack.sacked):
        update_by_count(connection, fast)


# Without SACK: duplicates stand for segments that have arrived ------------------------------------------------------


def _count_duplicates(connection: Connection, ack: Ack) -> None:
    if ack.advanced:
        connection.recovery.sacked = 0
    _add_duplicates(connection, ack)


def _add_duplicates(connection: Connection, ack: Ack) -> None:
    """Linux tcp_add_reno_sack, tcp_check_reno_reordering."""
    recovery = connection.recovery
    if not ack.duplicates:
        return
    mss = recovery.cc.mss
    before = recovery.sacked
    recovery.sacked += ack.duplicates * mss
    out = segments_in(connection.snd.in_flight(), mss) * mss
    holes = min(max(recovery.lost, mss), out)
    if recovery.sacked + holes > out:
        # more duplicates than segments: the network duplicates, or reorders
        recovery.sacked = out - holes
        if recovery.selective is False and ack.duplicates:
            wider = min(segments_in(out, mss) + ack.duplicates, connection.sysctl.tcp_max_reordering)
            if wider > recovery.reordering:
                recovery.reordering = wider
                recovery.reord_seen = True
                connection.stats.TCPRenoReorder += 1
    ack.delivered += max(recovery.sacked - before, 0)


# Time-outs and lies -------------------------------------------------------------------------------------------------


def _is_reneging(connection: Connection, ack: Ack) -> bool:
    """The peer dropped what it had reported (RFC 2018 8): snd_una stands at something it said it has."""
    recovery = connection.recovery
    head = recovery.head
    if head is None or not head.flags & SACKED:
        return False
    # Linux tcp_check_sack_reneging: a moment's patience, then as after a time-out
    connection.timers.retransmit = ack.now + max(recovery.rtt.srtt >> 1, _PATIENCE)
    recovery.pending = TIMEOUT
    ack.timer_set = True
    return True


def _mark_all_lost(connection: Connection, now: i64) -> None:
    """Linux tcp_timeout_mark_lost: all, but what was sent so late that it may yet arrive."""
    recovery = connection.recovery
    head = recovery.head
    reneged = head is not None and head.flags & SACKED != 0
    if reneged:
        connection.stats.TCPSACKReneging += 1
    if reneged or not recovery.selective:
        recovery.sacked = 0
    young = is_used(connection)
    run = head
    while run is not None:
        if reneged:
            run.flags &= ~SACKED
        if not run.flags & SACKED and (
            run is head or not young or wait_for(connection, run, 0, now) <= 0
        ):
            recovery.mark_lost(run)
        run = run.next


def _count_failure(connection: Connection) -> None:
    """Linux tcp_retransmit_timer: which kind of recovery the time-out ends."""
    recovery, stats = connection.recovery, connection.stats
    if connection.retries > 1:
        return
    if recovery.state == RECOVERY:
        if recovery.selective:
            stats.TCPSackRecoveryFail += 1
        else:
            stats.TCPRenoRecoveryFail += 1
    elif recovery.state == LOSS:
        stats.TCPLossFailures += 1
    elif recovery.state == DISORDER or recovery.sacked:
        if recovery.selective:
            stats.TCPSackFailures += 1
        else:
            stats.TCPRenoFailures += 1
