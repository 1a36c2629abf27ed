"""What a connection sends next, and what its timers make it do (RFC 9293 3.8 and 3.10.8)."""

import errno

from aionetflow.config import CORK_LIMIT, NEVER, ORPHAN_RETRIES
from aionetflow.packet import TxPacket
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.handshake import emit_syn
from aionetflow.tcp.segment import ACK, FIN, PSH, RST, emit
from aionetflow.tcp.sequence import seq_add, seq_sub
from aionetflow.tcp.states import CLOSED, SYN_RECEIVED, SYN_SENT, Event, may_send
from aionetflow.widths import i64, u32

_ABORT = int(Event.ABORT)
_TIMEOUT = int(Event.TIMEOUT)
ETIMEDOUT = errno.ETIMEDOUT


def output(connection: Connection, packet: TxPacket, now: i64) -> bool:
    """Makes the next segment that is due; False when there is none."""
    snd = connection.snd
    if connection.refuse_due or connection.reset_due:
        _emit_reset(connection, packet)
        return True
    if connection.syn_due:
        _emit_syn(connection, packet, now)
        return True
    if connection.state == CLOSED or connection.state == SYN_SENT:
        return False
    if connection.dup_acks_due > 0:
        connection.dup_acks_due -= 1
        _emit(connection, packet, snd.snd_nxt, ACK)
        return True
    if may_send(connection.state):
        if connection.mtu != connection.route.path_mtu(now):
            follow_mtu(connection, now)
        if connection.recovery.retransmit_at(snd.snd_una):
            _emit_again(connection, packet, now)
            return True
        if not snd.is_done() and _emit_new(connection, packet, now):
            return True
    if connection.probe_due:
        # Linux tcp_xmit_probe_skb: a number already acknowledged, so that the peer must answer with its window
        connection.probe_due = False
        _emit(connection, packet, seq_sub(snd.snd_una, 1), ACK)
        return True
    if connection.need_ack:
        _emit(connection, packet, snd.snd_nxt, ACK)
        return True
    _arm_holding_timers(connection, now)
    return False


def expire(connection: Connection, now: i64) -> None:
    """Does what is due by timer."""
    timers = connection.timers
    if timers.delayed_ack <= now:
        timers.delayed_ack = NEVER
        connection.stats.DelayedACKs += 1
        connection.need_ack = True
    if timers.cork <= now:
        timers.cork = NEVER
        connection.snd.push_once = True
    if timers.retransmit <= now:
        timers.retransmit = NEVER
        _on_retransmission_timeout(connection, now)
    if timers.persist <= now:
        timers.persist = NEVER
        _on_persist_timeout(connection)
    if timers.wait <= now:
        timers.wait = NEVER
        connection.fail(_TIMEOUT, 0)


def follow_mtu(connection: Connection, now: i64) -> None:
    """The MTU of the way has changed, or the way (RFC 1191 6.4, Linux tcp_current_mss): cut to fit, and send again."""
    snd = connection.snd
    connection.mtu = connection.route.path_mtu(now)
    if snd.mss > connection.max_mss():
        connection.set_mss(connection.max_mss())
        if snd.syn_acked and snd.in_flight():
            connection.recovery.resend_all(snd.snd_una, snd.snd_nxt)


def _emit(connection: Connection, packet: TxPacket, seq: u32, flags: int) -> None:
    """Writes a segment's header: with our acknowledgment and window, which settles any ACK that was owed."""
    rcv = connection.rcv
    window = rcv.window() >> rcv.rcv_wscale
    emit(packet, connection.local_port, connection.remote_port, seq, rcv.rcv_nxt, flags, window, b"")
    rcv.rcv_wup = rcv.rcv_nxt
    connection.need_ack = False
    connection.timers.delayed_ack = NEVER


def _emit_reset(connection: Connection, packet: TxPacket) -> None:
    connection.stats.OutRsts += 1
    if connection.refuse_due:
        connection.refuse_due = False
        emit(packet, connection.local_port, connection.remote_port, connection.refused, 0, RST, 0, b"")
        return
    connection.reset_due = False
    _emit(connection, packet, connection.snd.snd_nxt, RST | ACK)


def _emit_syn(connection: Connection, packet: TxPacket, now: i64) -> None:
    recovery = connection.recovery
    connection.syn_due = False
    connection.need_ack = False
    emit_syn(connection, packet)
    if connection.timers.retransmit == NEVER:
        connection.timers.retransmit = now + recovery.rtt.rto()
    if connection.syn_sent:
        recovery.timing = False  # Karn
        connection.stats.RetransSegs += 1
    else:
        recovery.on_sent(connection.snd.snd_nxt, now)
    connection.syn_sent = True


def _emit_again(connection: Connection, packet: TxPacket, now: i64) -> None:
    """Sends one segment again, from where recovery says."""
    snd, recovery = connection.snd, connection.recovery
    seq = recovery.rexmit_nxt
    offset: i64 = seq_sub(seq, snd.snd_una)
    data = max(snd.unacknowledged() - offset, 0)
    length = min(data, snd.mss)
    fin = snd.fin_sent and length == data
    flags = ACK
    if length == data and snd.unsent() == 0:
        flags |= PSH
    if fin:
        flags = (flags | FIN) if length else ACK | FIN
    _emit(connection, packet, seq, flags)
    if length > 0:
        snd.queue.fill(packet, offset, length)
    recovery.on_resent(length + (1 if fin else 0))
    connection.stats.RetransSegs += 1
    if offset == 0 or connection.timers.retransmit == NEVER:
        # Linux tcp_xmit_retransmit_queue: the oldest segment gets its full time to be acknowledged anew
        connection.timers.retransmit = now + recovery.rtt.rto()


def _emit_new(connection: Connection, packet: TxPacket, now: i64) -> bool:
    """Sends what the windows, Nagle and the cork allow: a super-segment, the FIN on its end."""
    snd, recovery = connection.snd, connection.recovery
    idle = now - connection.sent_at
    if idle > recovery.rtt.base_rto and snd.in_flight() == 0 and snd.unsent() > 0:
        recovery.cc.on_idle(idle, recovery.rtt.base_rto)
        connection.sent_at = now
    cwnd = recovery.window()
    length = snd.next_length(cwnd)
    if length == 0:
        if not snd.fin_due(cwnd):
            return False
        _emit(connection, packet, snd.snd_nxt, ACK | FIN)
        snd.sent(0, True)
    else:
        last = length == snd.unsent()
        fin = last and snd.fin_queued and not snd.fin_sent
        flags = ACK | PSH if last else ACK
        _emit(connection, packet, snd.snd_nxt, (flags | FIN) if fin else flags)
        snd.queue.fill(packet, snd.unacknowledged(), length)
        packet.mss = snd.mss
        recovery.on_sent(seq_add(snd.snd_nxt, min(length, snd.mss)), now)
        snd.sent(length, fin)
        connection.sent_at = now
        connection.timers.cork = NEVER
    if connection.timers.retransmit == NEVER:
        connection.timers.retransmit = now + recovery.rtt.rto()  # RFC 6298 5.1
    return True


def _arm_holding_timers(connection: Connection, now: i64) -> None:
    """Nothing may be sent now: makes sure that what waits for the peer or for the cork does not wait for ever."""
    snd, timers = connection.snd, connection.timers
    if snd.is_done() or not may_send(connection.state):
        return
    if snd.is_held() and timers.cork == NEVER:
        timers.cork = now + CORK_LIMIT
    elif snd.in_flight() == 0 and timers.persist == NEVER and timers.cork == NEVER:
        timers.persist = now + connection.recovery.rtt.rto()


def _on_retransmission_timeout(connection: Connection, now: i64) -> None:
    """RFC 6298 5.4 to 5.7; gives up as Linux does (tcp_write_timeout)."""
    snd, recovery = connection.snd, connection.recovery
    connection.retries += 1
    connection.stats.TCPTimeouts += 1
    if connection.retries > _retry_limit(connection):
        _give_up(connection)
        return
    if not snd.syn_acked:
        recovery.rtt.backoff += 1
        connection.syn_due = True
        return
    recovery.on_timeout(snd.snd_una, snd.snd_nxt, snd.in_flight(), connection.retries > 1, now)


def _on_persist_timeout(connection: Connection) -> None:
    """RFC 9293 3.8.6.1: the window is closed, or too small for a segment; ask, or send what fits."""
    # Linux tcp_probe_timer: a peer that only answers probes does not keep what no application holds
    patience = connection.recovery.rtt.backoff if connection.user is None else connection.retries
    if patience >= _retry_limit(connection):
        _give_up(connection)
        return
    connection.retries += 1
    connection.recovery.rtt.backoff += 1
    if connection.snd.snd_wnd > connection.snd.in_flight():
        connection.snd.push_once = True
    else:
        connection.probe_due = True


def _give_up(connection: Connection) -> None:
    connection.stats.TCPAbortOnTimeout += 1
    connection.fail(_ABORT, connection.soft_error or ETIMEDOUT)


def _retry_limit(connection: Connection) -> int:
    if connection.state == SYN_SENT:
        return connection.sysctl.tcp_syn_retries
    if connection.state == SYN_RECEIVED:
        return connection.sysctl.tcp_synack_retries
    if connection.user is not None:
        return connection.sysctl.tcp_retries2
    return connection.sysctl.tcp_orphan_retries or ORPHAN_RETRIES
