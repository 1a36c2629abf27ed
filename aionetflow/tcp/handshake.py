"""Opening a connection: who sends which SYN, and what the options agree on (RFC 9293 3.5, RFC 7323 2)."""

import errno

from aionetflow.config import (
    DEFAULT_MSS,
    DEFAULT_MSS_6,
    DELAYED_ACK_MAX,
    MIN_MSS,
    NEVER,
    RTO_FALLBACK,
    TCP_BUFFER_MAX,
    TIMEOUT_MIN,
)
from aionetflow.packet import TxPacket
from aionetflow.tcp import options
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.early_data import end_handshake, take_syn_ack
from aionetflow.tcp.ecn import offer_ecn, take_ecn_offer
from aionetflow.tcp.mtu_probing import begin_with_search
from aionetflow.tcp.options import TIMESTAMPS_LENGTH
from aionetflow.tcp.rack import arm_timeout
from aionetflow.tcp.sack import note_duplicate
from aionetflow.tcp.segment import ACK, ECE, RST, SYN, Segment, emit
from aionetflow.tcp.sequence import seq_add, seq_geq, seq_gt, seq_leq
from aionetflow.tcp.states import SYN_RECEIVED, SYN_SENT, Event
from aionetflow.tcp.timeouts import arm_keepalive
from aionetflow.widths import i64

_PASSIVE_OPEN = int(Event.PASSIVE_OPEN)
_ACTIVE_OPEN = int(Event.ACTIVE_OPEN)
_RCV_SYN = int(Event.RCV_SYN)
_RCV_SYN_ACK = int(Event.RCV_SYN_ACK)
_RCV_ACK_OF_SYN = int(Event.RCV_ACK_OF_SYN)
_RCV_RST = int(Event.RCV_RST)
_CLOSE = int(Event.CLOSE)


def window_scale() -> int:
    """The least scale with which the largest buffer fits a window field (Linux tcp_select_initial_window)."""
    scale = 0
    while (65535 << scale) < TCP_BUFFER_MAX:
        scale += 1
    return scale


_WINDOW_SCALE = window_scale()


def open_actively(connection: Connection, now: i64) -> None:
    """connect(): the SYN is due."""
    connection.transition(_ACTIVE_OPEN)
    connection.snd.snd_nxt = seq_add(connection.snd.iss, 1)
    connection.rcv.rcv_wscale = _WINDOW_SCALE
    if connection.fast_open is None or not connection.fast_open.deferred:
        send_first_syn(connection)


def send_first_syn(connection: Connection) -> None:
    """The SYN of connect() is due; that may be later than connect() (RFC 7413)."""
    connection.stats.ActiveOpens += 1
    connection.syn_due = True


def open_passively(connection: Connection, syn: Segment, now: i64) -> None:
    """A listener has taken a SYN: the SYN-ACK is due."""
    connection.transition(_PASSIVE_OPEN)
    connection.transition(_RCV_SYN)
    connection.passive = True
    connection.snd.snd_nxt = seq_add(connection.snd.iss, 1)
    _take_syn(connection, syn, now)
    connection.syn_due = True


def resume_passively(connection: Connection, syn: Segment, sent_at: i64, retries: int, now: i64) -> None:
    """As open_passively, but the SYN-ACK was sent before: at sent_at, NEVER if that is not certain, and again for each
    of the retries that it was not acknowledged in time.
    """
    open_passively(connection, syn, now)
    connection.syn_due = False
    connection.syn_sent = True
    connection.retries = retries
    connection.sent_at = sent_at


def receive_in_syn_sent(connection: Connection, segment: Segment, now: i64) -> None:
    """RFC 9293 3.10.7.3."""
    snd = connection.snd
    acknowledges = False
    if segment.flags & ACK:
        if not (seq_gt(segment.ack, snd.iss) and seq_leq(segment.ack, snd.snd_nxt)):
            if connection.retries == 0:
                # the peer was in another life, which the RST ends, or this does: it may take the SYN now (Linux)
                connection.timers.retransmit = now + TIMEOUT_MIN
            connection.refuse(segment)
            return
        if not connection.echoes_our_syn(segment, now):
            connection.refuse(segment)
            return
        acknowledges = True
    if segment.flags & RST:
        if acknowledges:  # RFC 5961 3.2: only the answer to our SYN ends it
            connection.fail(_RCV_RST, errno.ECONNREFUSED)
        return
    if not segment.flags & SYN:
        return
    _take_syn(connection, segment, now)
    if acknowledges:
        connection.transition(_RCV_SYN_ACK)
        snd.acknowledge(segment.ack)
        _establish(connection, segment, now)
        if connection.fast_open is not None:
            take_syn_ack(connection, segment, now)
        if connection.acks.ping_pong == 0:
            connection.need_ack = True
        else:  # TCP_QUICKACK was turned off: data that go with it are about to come
            connection.acks.be_quick(connection.rcv)
            connection.acks.scheduled = True
            connection.timers.delayed_ack = now + DELAYED_ACK_MAX
    else:
        connection.transition(_RCV_SYN)  # simultaneous open
        connection.syn_due = True


def receive_ack_of_syn(connection: Connection, segment: Segment, now: i64) -> bool:
    """RFC 9293 3.10.7.4 fifth, SYN-RECEIVED: our SYN is acknowledged, or the segment is from another life."""
    snd = connection.snd
    if not (seq_gt(segment.ack, snd.snd_una) and seq_leq(segment.ack, snd.snd_nxt)):
        connection.refuse(segment)
        return False
    connection.transition(_RCV_ACK_OF_SYN)
    snd.acknowledge(segment.ack)
    if connection.passive:
        _take_window(connection, segment)
    _establish(connection, segment, now)
    if connection.fast_open is not None:  # our SYN had data, and crossed the peer's
        take_syn_ack(connection, segment, now)
    if segment.flags & SYN:
        connection.need_ack = True  # the SYN has come once more, like data that have
        connection.acks.be_quick(connection.rcv)
        connection.stats.DelayedACKLost += 1
        note_duplicate(connection, segment)
    return True


def receive_ack_of_syn_ack(connection: Connection, segment: Segment, now: i64) -> bool:
    """As receive_ack_of_syn, of a connection that data have been received and perhaps sent on (RFC 7413 4.2.2).

    It may be closed by now; what else the segment acknowledges is left to others.
    """
    snd = connection.snd
    if not (seq_geq(segment.ack, snd.snd_una) and seq_leq(segment.ack, snd.snd_nxt)):
        if connection.state == SYN_RECEIVED:
            connection.refuse(segment)
            return False
        return True
    connection.transition(_RCV_ACK_OF_SYN)
    end_handshake(connection)
    _establish(connection, segment, now)
    if connection.recovery.head is not None:
        arm_timeout(connection, now)
    if connection.write_shut and not snd.fin_queued:
        snd.fin_queued = True
        connection.transition(_CLOSE)
    return True


def emit_syn(connection: Connection, packet: TxPacket, now: i64) -> None:
    """Makes the SYN, or the SYN-ACK when the peer's SYN has been received."""
    snd, rcv, sysctl = connection.snd, connection.rcv, connection.sysctl
    if connection.passive:  # nothing that the peer has not offered
        scale = rcv.rcv_wscale if connection.scaling else -1
        sack, timestamps = connection.recovery.selective, connection.timestamps
    else:  # also to a SYN that has crossed ours (Linux tcp_send_synack)
        scale = _WINDOW_SCALE if sysctl.tcp_window_scaling else -1
        sack, timestamps = sysctl.tcp_sack != 0, sysctl.tcp_timestamps != 0
    if connection.state == SYN_SENT:
        flags = SYN | offer_ecn(connection)
    else:
        flags = SYN | ACK | (ECE if connection.ecn else 0)
    window = rcv.first_window(_window_unit(connection, now))
    rcv.rcv_adv = seq_add(rcv.rcv_nxt, window)
    rcv.rcv_wup = rcv.rcv_nxt
    offer = options.emit_syn(
        connection.offered_mss(now), scale, sack, timestamps, connection.tsval(now), rcv.ts_recent
    )  # fmt: skip
    if connection.fast_open is not None:
        offer += connection.fast_open.take_option()
    emit(
        packet, connection.local_port, connection.remote_port, snd.iss, rcv.rcv_nxt, flags, window, offer
    )  # fmt: skip


def _window_unit(connection: Connection, now: i64) -> i64:
    """In what size of segments the first window is counted: of a listener's, less timestamps if there are to be any."""
    mss = connection.offered_mss(now)
    return mss - TIMESTAMPS_LENGTH if connection.passive and connection.timestamps else mss


def _take_syn(connection: Connection, syn: Segment, now: i64) -> None:
    """Notes the peer's first number and what its options offer."""
    offered = options.parse(syn.frame, syn.options, syn.options_end)
    snd, rcv, sysctl = connection.snd, connection.rcv, connection.sysctl
    rcv.start(syn.seq)
    connection.scaling = offered.window_scale >= 0 and sysctl.tcp_window_scaling != 0
    if connection.scaling:
        snd.snd_wscale = offered.window_scale
        rcv.rcv_wscale = _WINDOW_SCALE
    else:  # RFC 7323 2.2: both or none
        snd.snd_wscale = 0
        rcv.rcv_wscale = 0
    connection.recovery.selective = offered.sack_permitted and sysctl.tcp_sack != 0
    connection.timestamps = offered.timestamps and sysctl.tcp_timestamps != 0
    if connection.timestamps:
        rcv.ts_recent = offered.tsval
        rcv.ts_recent_at = now
    take_ecn_offer(connection, syn)
    said_nothing = DEFAULT_MSS if len(connection.remote) == 4 else DEFAULT_MSS_6
    connection.peer_mss = offered.mss or said_nothing
    snd.set_window(syn.window)  # never scaled in a SYN
    connection.fit_mss()
    if sysctl.tcp_mtu_probing > 1:
        begin_with_search(connection, now)
    rcv.mss = max(min(snd.mss, DEFAULT_MSS), MIN_MSS)  # until a longer one is seen
    snd.snd_wl1 = syn.seq
    rcv.offer_first(_window_unit(connection, now))
    connection.recovery.cc.start(snd.mss)


def _take_window(connection: Connection, segment: Segment) -> None:
    """The window of the handshake's last ACK is the first that counts: the SYN's was not scaled, and maybe smaller
    than that (Linux tcp_create_openreq_child).
    """
    snd = connection.snd
    window: i64 = segment.window
    snd.max_wnd = 0
    snd.set_window(window << snd.snd_wscale)
    mss = snd.mss
    connection.bound_mss()
    if snd.mss != mss:
        connection.recovery.cc.start(snd.mss)


def _establish(connection: Connection, segment: Segment, now: i64) -> None:
    snd, recovery = connection.snd, connection.recovery
    recovery.usage_seq = recovery.round_end = segment.ack
    recovery.cwnd_stamp = now
    rtt: i64 = 0
    if connection.retries == 0 and connection.sent_at != NEVER:
        rtt = max(now - connection.sent_at, 1)
    elif connection.timestamps and segment.timestamped:
        rtt = connection.echoed_rtt(segment.tsecr, now)
    connection.rcv.reserve(connection.advertised_mss())
    recovery.rtt.backoff = 0
    if rtt > 0:
        recovery.note_min_rtt(rtt, now)
        recovery.rtt.sample(rtt, snd.snd_una, snd.snd_nxt)
    elif connection.retries > 0:
        recovery.rtt.base_rto = RTO_FALLBACK  # RFC 6298 5.7
    if connection.retries > 1:
        recovery.cc.cwnd = snd.mss  # RFC 5681 3.1: a lost SYN means one segment; Linux forgives one
    connection.sent_at = NEVER
    connection.syn_due = False  # it may not have left yet, if both segments came in one batch
    connection.retries = 0
    connection.timers.stop()
    connection.acks.received_at = connection.heard_at = now
    connection.stuck_since = NEVER
    if connection.patience is not None:
        arm_keepalive(connection, now)
    connection.wake = True
