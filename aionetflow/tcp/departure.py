"""What a connection sends next, and what its timers make it do (RFC 9293 3.8 and 3.10.8)."""

from aionetflow.config import NEVER, RTO_MIN
from aionetflow.ip.route import IP_PMTUDISC_DONT
from aionetflow.packet import TxPacket
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.ecn import ECT_0
from aionetflow.tcp.emission import blocks_due, emit_reset, emit_run, emit_segment, mss_in, send_syn
from aionetflow.tcp.loss import on_reorder_timeout, on_timeout
from aionetflow.tcp.mtu_probing import limit_search, look_for_black_hole, note_probe, probe_length
from aionetflow.tcp.pacing import is_held, pacing_delay
from aionetflow.tcp.rack import arm_timeout, schedule_probe
from aionetflow.tcp.recovery import LOSS, PROBE, REORDER, SYN_ACK, TIMEOUT
from aionetflow.tcp.scoreboard import after_segments, segments_in
from aionetflow.tcp.segment import ACK, CWR, FIN, PSH
from aionetflow.tcp.sequence import seq_gt, seq_sub
from aionetflow.tcp.states import CLOSED, SYN_SENT, Event, may_send
from aionetflow.tcp.timeouts import (
    give_up,
    has_probed_enough,
    has_retransmitted_enough,
    on_wait,
    within_user_timeout,
)
from aionetflow.tcp.urgent import is_sending, probes_urgent
from aionetflow.widths import i64

_TIMEOUT = int(Event.TIMEOUT)


def output(connection: Connection, packet: TxPacket, now: i64) -> bool:
    """Makes the next segment that is due; False when there is none."""
    snd = connection.snd
    if connection.refuse_due or connection.reset_due:
        emit_reset(connection, packet, now)
        return True
    if connection.syn_due:
        send_syn(connection, packet, now)
        return True
    if connection.state == CLOSED or connection.state == SYN_SENT:
        return False
    if connection.dup_acks_due > 0:
        connection.dup_acks_due -= 1
        emit_segment(connection, packet, snd.snd_nxt, ACK, now)
        return True
    if (may_send(connection.state) or connection.is_early()) and _emit_data(connection, packet, now):
        return True
    if connection.probe_due:
        # Linux tcp_xmit_probe_skb: a number already acknowledged, so that the peer must answer with its window
        back = 0 if connection.urgent is not None and probes_urgent(connection) else 1
        connection.probe_due = back == 0
        emit_segment(connection, packet, seq_sub(snd.snd_una, back), ACK, now)
        return True
    if connection.need_ack:
        emit_segment(connection, packet, snd.snd_nxt, ACK, now)
        return True
    _arm_holding_timers(connection, now)
    return False


def _emit_data(connection: Connection, packet: TxPacket, now: i64) -> bool:
    """What was lost goes before what is new, unless new data are to show whether anything was."""
    snd, recovery = connection.snd, connection.recovery
    if connection.mtu != connection.route.path_mtu(now):
        follow_mtu(connection, now)
    if snd.is_bounded:
        connection.bound_mss()
    if connection.pace is not None and is_held(connection, now):
        if connection.tail_due:
            connection.tail_due = False  # Linux tcp_send_loss_probe: what was to be the probe is on its way
            arm_timeout(connection, now)
        return False
    if recovery.wants_to_resend() and _emit_again(connection, packet, now):
        return True
    if not snd.is_done() and _emit_new(connection, packet, now):
        return True
    if recovery.resend_held and not seq_gt(snd.snd_nxt, recovery.high_seq):
        recovery.resend_held = recovery.frto = False  # there was no new data to send after all
        return recovery.wants_to_resend() and _emit_again(connection, packet, now)
    if connection.tail_due:
        connection.tail_due = False
        return _emit_tail(connection, packet, now)
    return False


def expire(connection: Connection, now: i64) -> None:
    """Does what is due by timer."""
    timers = connection.timers
    if timers.delayed_ack <= now:
        timers.delayed_ack = NEVER
        connection.need_ack = True
        if connection.acks.compressed > 0:
            connection.acks.compressed -= 1  # as one is sent after all
        else:
            connection.stats.DelayedACKs += 1
            connection.acks.on_timeout(connection.recovery.rtt.rto())
    if timers.pacing <= now:
        timers.pacing = NEVER
    if timers.retransmit <= now:
        timers.retransmit = NEVER
        _on_retransmission_timer(connection, now)
    if timers.persist <= now:
        timers.persist = NEVER
        _on_persist_timeout(connection, now)
    if timers.wait <= now:
        timers.wait = NEVER
        if on_wait(connection, now):
            connection.fail(_TIMEOUT, 0)


def follow_mtu(connection: Connection, now: i64) -> None:
    """The MTU of the way has changed, or the way (RFC 1191 6.4, Linux tcp_current_mss): cut to fit, and send again.

    What had been learned may be forgotten by now: then segments are longer again (6.3).
    """
    snd = connection.snd
    known = connection.mtu
    connection.mtu = connection.route.path_mtu(now)
    if connection.search is not None:
        limit_search(connection)
    if connection.is_cut_too_long():
        connection.fit_mss()
        if snd.syn_acked and snd.in_flight() and connection.mtu_discover != IP_PMTUDISC_DONT:
            connection.recovery.resend(snd.snd_una, snd.snd_nxt, snd.snd_nxt)
    elif connection.mtu > known:
        connection.fit_mss()


def _emit_again(connection: Connection, packet: TxPacket, now: i64) -> bool:
    """Sends the oldest of what is lost again, as much as the window allows (Linux tcp_xmit_retransmit_queue)."""
    snd, recovery = connection.snd, connection.recovery
    room = recovery.room(snd.in_flight())
    run = recovery.first_to_resend()
    if run is None or room <= 0:
        return False
    if seq_sub(run.end, snd.snd_una) > snd.snd_wnd and run.start != snd.snd_una:
        return False  # the peer's window has shrunk
    count = max(room // snd.mss, 1)
    if connection.urgent is not None and is_sending(connection):
        count = 1
    if seq_sub(run.end, run.start) > min(count * snd.mss, snd.burst):
        count = min(count, max(snd.burst // snd.mss, 1))
        recovery.split(run, after_segments(run.start, count, snd.mss))
    if recovery.state == LOSS:
        connection.stats.TCPSlowStartRetrans += 1
    else:
        connection.stats.TCPFastRetrans += 1
    emit_run(connection, packet, run, now)
    forced = recovery.head_due
    recovery.head_due = False
    recovery.sent_again(run)
    recovery.undo_retrans = max(recovery.undo_retrans, 0) + segments_in(seq_sub(run.end, run.start), snd.mss)
    if recovery.retrans_stamp == NEVER:
        recovery.retrans_stamp = now
    if recovery.is_reducing():
        recovery.prr_out += seq_sub(run.end, run.start)
    if (run.start == snd.snd_una and recovery.pending != REORDER) or connection.timers.retransmit == NEVER:
        # the oldest segment gets its full time to be acknowledged anew
        recovery.pending = TIMEOUT
        wait = within_user_timeout(connection, recovery.rtt.rto(), now)
        if connection.pace is not None and not forced:
            wait += pacing_delay(connection, now)
        connection.timers.retransmit = now + wait
    return True


def _emit_tail(connection: Connection, packet: TxPacket, now: i64) -> bool:
    """The tail loss probe: new data if there are any, or the last segment again (RFC 8985 7.3)."""
    snd, recovery = connection.snd, connection.recovery
    tail = recovery.tail
    if tail is None:
        return False
    connection.stats.TCPLossProbes += 1
    recovery.probing = True
    recovery.probe_resent = False
    wnd = snd.snd_wnd - snd.in_flight()
    length = min(snd.unsent(), snd.mss, wnd)
    if length > 0:
        _emit_length(connection, packet, length, now)
    else:
        recovery.probe_resent = True
        if seq_sub(tail.end, tail.start) > snd.mss:
            recovery.split(tail, seq_sub(tail.end, snd.mss))
            tail = recovery.tail
        if tail is not None:
            emit_run(connection, packet, tail, now)
    recovery.probe_end = snd.snd_nxt
    recovery.pending = TIMEOUT  # which counts anew from the probe (Linux tcp_send_loss_probe)
    arm_timeout(connection, now)
    return True


def _emit_new(connection: Connection, packet: TxPacket, now: i64) -> bool:
    """Sends what the windows, Nagle and the cork allow: a super-segment, the FIN on its end."""
    snd, recovery = connection.snd, connection.recovery
    if recovery.head is None and snd.unsent() > 0:
        _restart(connection, now)
    room = recovery.room(snd.in_flight())
    blocks = blocks_due(connection)
    mss = snd.mss - (8 * blocks + 4) if blocks else snd.mss
    if connection.search is not None and not blocks:
        length = probe_length(connection, now)
        if length:
            return length > 0 and _emit_probe(connection, packet, length, now)
    length = snd.next_length(room, mss)
    if connection.urgent is not None and is_sending(connection):
        length = min(length, mss)  # each segment has a pointer of its own
    if length == 0:
        if not snd.fin_due(room):
            return False
        emit_segment(connection, packet, snd.snd_nxt, ACK | FIN, now)
        _note_sent(connection, 0, True, now)
    else:
        _emit_length(connection, packet, length, now)
    return True


def _emit_probe(connection: Connection, packet: TxPacket, length: i64, now: i64) -> bool:
    """A segment that is longer than the others, to find out whether the way takes it (mtu_probing.py)."""
    note_probe(connection, length)
    _emit_length(connection, packet, length, now)
    packet.mss = 0
    return True


def _emit_length(connection: Connection, packet: TxPacket, length: i64, now: i64) -> None:
    """Sends that many new octets, the FIN on their end if it is due."""
    snd = connection.snd
    offset = snd.unacknowledged()
    last = offset + length == snd.queue.length
    fin = last and snd.fin_queued and snd.ends_here(length)
    flags = ACK
    if (last or snd.marks is not None) and snd.pushes(offset, length):
        flags |= PSH
    elif snd.push_once and length < snd.mss:
        snd.mark_short(length)
        flags |= PSH
    if connection.cwr_due:
        connection.cwr_due = False
        flags |= CWR
    emit_segment(connection, packet, snd.snd_nxt, (flags | FIN) if fin else flags, now)
    snd.queue.fill(packet, offset, length)
    packet.mss = mss_in(connection, packet)
    if connection.ecn:
        packet.ecn = ECT_0
    _note_sent(connection, length, fin, now)
    connection.sent_at = now
    connection.timers.persist = NEVER
    connection.acks.on_data_sent(now)


def _note_sent(connection: Connection, length: i64, fin: bool, now: i64) -> None:
    """Linux tcp_event_new_data_sent: new octets are on their way."""
    snd, recovery = connection.snd, connection.recovery
    start = snd.snd_nxt
    first = recovery.head is None
    snd.sent(length, fin)
    recovery.sent(start, snd.snd_nxt, now)
    if recovery.is_reducing():
        recovery.prr_out += seq_sub(snd.snd_nxt, start)
    recovery.validate(snd.in_flight(), snd.snd_nxt, snd.snd_una, now)
    if first or recovery.pending == PROBE:
        arm_timeout(connection, now)  # RFC 6298 5.1
    if recovery.pending == TIMEOUT:
        schedule_probe(connection, False, now)


def _restart(connection: Connection, now: i64) -> None:
    """After silence the window is what it was at first (RFC 5681 4.1, Linux tcp_cwnd_restart)."""
    recovery = connection.recovery
    cc, rto = recovery.cc, recovery.rtt.base_rto
    if connection.sent_at == NEVER:
        return
    idle = now - connection.sent_at
    if idle > 0:
        cc.on_restart(idle, now)
    if idle <= rto or not connection.sysctl.tcp_slow_start_after_idle or cc.keeps_window:
        return
    cc.ssthresh = recovery.current_ssthresh()
    least = min(cc.cwnd, cc.initial_window())
    while idle > rto and cc.cwnd > least:
        cc.cwnd >>= 1
        idle -= rto
    cc.cwnd = max(cc.cwnd, least)
    recovery.cwnd_used = 0
    recovery.cwnd_stamp = now
    connection.sent_at = now


def _arm_holding_timers(connection: Connection, now: i64) -> None:
    """Nothing may be sent now: makes sure that what waits for the peer or for the cork does not wait for ever."""
    snd, timers = connection.snd, connection.timers
    if snd.is_done() or not may_send(connection.state):
        return
    if snd.in_flight() == 0 and timers.persist == NEVER and timers.pacing == NEVER:
        wait = max(connection.recovery.rtt.rto(), RTO_MIN)  # Linux tcp_probe0_base
        timers.persist = now + within_user_timeout(connection, wait, now)


def _on_retransmission_timer(connection: Connection, now: i64) -> None:
    """It stands for one of three things (Linux tcp_write_timer_handler)."""
    recovery = connection.recovery
    if recovery.pending == PROBE:
        if recovery.probing:  # one probe at a time
            arm_timeout(connection, now)
        else:
            connection.tail_due = True
    elif recovery.pending == REORDER:
        on_reorder_timeout(connection, now)
    else:
        _on_retransmission_timeout(connection, now)


def _on_retransmission_timeout(connection: Connection, now: i64) -> None:
    """RFC 6298 5.4 to 5.7; gives up as Linux does (tcp_write_timeout)."""
    snd, recovery = connection.snd, connection.recovery
    over = has_retransmitted_enough(connection, now)
    fast = connection.fast_open
    if fast is not None and fast.is_suspicious(connection.retries, over):
        fast.host.pause(now)
    if over:
        give_up(connection)
        return
    if snd.syn_acked:
        look_for_black_hole(connection, now)
    if connection.retries == 0 and snd.syn_acked:
        connection.stuck_since = now
    connection.retries += 1
    connection.total_rto += 1
    connection.stats.TCPTimeouts += 1
    if not snd.syn_acked or recovery.pending == SYN_ACK:
        # Linux: the first SYNs are sent again at the same intervals
        if connection.state != SYN_SENT or connection.retries > connection.sysctl.tcp_syn_linear_timeouts:
            recovery.rtt.backoff += 1
        connection.syn_due = True
        return
    on_timeout(connection, now)


def _on_persist_timeout(connection: Connection, now: i64) -> None:
    """RFC 9293 3.8.6.1: the window is closed, or too small for a segment; ask, or send what fits.

    What the cork holds back goes too, which is as long as it may (tcp(7) says 200 ms; Linux takes the time-out).
    """
    if has_probed_enough(connection, now):
        give_up(connection)
        return
    snd, rtt = connection.snd, connection.recovery.rtt
    if snd.snd_wnd > snd.in_flight():
        snd.push_once = True
        connection.retries = rtt.backoff = 0
        return
    connection.stats.TCPWinProbe += 1
    connection.probe_due = True
    connection.retries += 1
    if rtt.backoff < connection.sysctl.tcp_retries2:
        rtt.backoff += 1
