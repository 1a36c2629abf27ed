"""A segment arrives at a connection that knows its peer (RFC 9293 3.10.7.4, SYN-RECEIVED and later).

The order is the RFC's: sequence number, RST, SYN, ACK, data, FIN. The urgent pointer is not looked at.
"""

import errno

from aionetflow.config import DELAYED_ACK, INVALID_RATELIMIT, NEVER, TIME_WAIT_TIME
from aionetflow.fast_paths import FAST
from aionetflow.tcp.connection import IP_PMTUDISC_DONT, Connection
from aionetflow.tcp.departure import follow_mtu
from aionetflow.tcp.handshake import receive_ack_of_syn, receive_in_syn_sent
from aionetflow.tcp.receive import IN_ORDER, OUT_OF_ORDER, REFUSED
from aionetflow.tcp.recovery import OPEN
from aionetflow.tcp.segment import ACK, FIN, PSH, RST, SYN, Segment
from aionetflow.tcp.sequence import seq_add, seq_between, seq_gt, seq_sub
from aionetflow.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    ESTABLISHED,
    SYN_RECEIVED,
    SYN_SENT,
    TIME_WAIT,
    Event,
    is_synchronized,
    may_receive,
)
from aionetflow.widths import i64

_ABORT = int(Event.ABORT)
_RCV_FIN = int(Event.RCV_FIN)
_RCV_ACK_OF_FIN = int(Event.RCV_ACK_OF_FIN)
_RCV_RST = int(Event.RCV_RST)
_MAX_DUP_ACKS = 64  # what one batch of frames ahead of their turn may call for
ECONNRESET = errno.ECONNRESET
EPIPE = errno.EPIPE
EMSGSIZE = errno.EMSGSIZE


def receive(connection: Connection, segment: Segment, now: i64) -> None:
    """Takes a segment whose checksum has been verified."""
    if FAST.header_prediction and _is_predicted(connection, segment):
        _receive_predicted(connection, segment, now)
        return
    if connection.state == SYN_SENT:
        receive_in_syn_sent(connection, segment, now)
        return
    if connection.state == CLOSED or not _check(connection, segment, now):
        return
    if connection.state == SYN_RECEIVED and not receive_ack_of_syn(connection, segment, now):
        return
    if not _receive_ack(connection, segment, now):
        return
    if segment.length:
        _receive_data(connection, segment, now)
    if segment.flags & FIN:
        _receive_fin(connection, segment, now)
    if connection.rcv.fin_received:
        _deliver_fin(connection, now)


def receive_icmp(connection: Connection, code: int, now: i64) -> None:
    """ICMP says that a segment of ours did not get through (RFC 1122 4.2.3.9, Linux tcp_v4_err).

    code is an errno; with EMSGSIZE, the connection's route knows by now what the way takes.
    """
    if code == EMSGSIZE:
        if is_synchronized(connection.state) and connection.mtu_discover != IP_PMTUDISC_DONT:
            follow_mtu(connection, now)
    elif connection.state == SYN_SENT or connection.state == SYN_RECEIVED:
        connection.fail(_ABORT, code)
    else:
        connection.soft_error = code


def _is_predicted(connection: Connection, segment: Segment) -> bool:
    """Whether it is the next data, or acknowledges ours, and says nothing else (Linux tcp_rcv_established)."""
    snd, rcv = connection.snd, connection.rcv
    return (
        segment.flags | PSH == ACK | PSH
        and connection.state == ESTABLISHED
        and segment.seq == rcv.rcv_nxt
        and (segment.ack != snd.snd_una or segment.length > 0)
        and seq_between(snd.snd_una, segment.ack, snd.snd_nxt)
        and segment.length <= seq_sub(rcv.rcv_adv, rcv.rcv_nxt)
        and connection.recovery.state == OPEN
        and connection.timers.persist == NEVER
        and rcv.reassembly.length == 0
        and not rcv.fin_received
        and not connection.read_shut
    )


def _receive_predicted(connection: Connection, segment: Segment, now: i64) -> None:
    """What `receive` comes to in that case."""
    if segment.ack != connection.snd.snd_una:
        _receive_new_ack(connection, segment, now)
    else:
        _receive_same_ack(connection, segment, now)
    if segment.length:
        connection.rcv.take_next(segment)
        connection.wake = True
        _acknowledge(connection, now)


def _check(connection: Connection, segment: Segment, now: i64) -> bool:
    """First to fourth: sequence number, RST, SYN; False if there is nothing more to do."""
    rcv = connection.rcv
    if not rcv.acceptable(segment):
        # data are answered always, as our ACK may have been lost; the rest is not (Linux tcp_oow_rate_limited)
        if not segment.flags & RST and (segment.length or not _is_repeated(connection, now)):
            connection.need_ack = True
        return False
    if segment.flags & RST:
        # RFC 5961 3.2: exactly the next number, or a challenge
        if segment.seq == rcv.rcv_nxt:
            _receive_reset(connection)
        else:
            _challenge(connection, now)
        return False
    if segment.flags & SYN:
        if connection.state != SYN_RECEIVED or segment.seq != rcv.irs:
            _challenge(connection, now)  # RFC 5961 4.2
            return False
        if segment.flags & ACK:
            return True  # simultaneous open: the peer's SYN-ACK
        connection.syn_due = True  # our SYN-ACK was lost
        return False
    return segment.flags & ACK != 0


def _receive_reset(connection: Connection) -> None:
    if connection.state == TIME_WAIT:
        connection.fail(_RCV_RST, 0)  # net.ipv4.tcp_rfc1337 is 0
    else:
        connection.fail(_RCV_RST, EPIPE if connection.state == CLOSE_WAIT else ECONNRESET)


def _challenge(connection: Connection, now: i64) -> None:
    """RFC 5961: asks the peer by an ACK whether it meant that."""
    if not _is_repeated(connection, now):
        connection.stats.TCPChallengeACK += 1
        connection.need_ack = True


def _is_repeated(connection: Connection, now: i64) -> bool:
    """Whether such an answer was given a moment ago: two ends must not answer each other for ever."""
    if now < connection.answered_at + INVALID_RATELIMIT:
        connection.stats.TCPACKSkippedSeq += 1
        return True
    connection.answered_at = now
    return False


def _receive_ack(connection: Connection, segment: Segment, now: i64) -> bool:
    """Fifth: False if the segment is to be dropped."""
    snd = connection.snd
    if seq_gt(segment.ack, snd.snd_nxt):
        connection.need_ack = True  # it acknowledges what was not sent
        return False
    if seq_gt(segment.ack, snd.snd_una):
        _receive_new_ack(connection, segment, now)
    elif segment.ack == snd.snd_una:
        _receive_same_ack(connection, segment, now)
    elif seq_sub(snd.snd_una, segment.ack) > snd.max_wnd:
        _challenge(connection, now)  # RFC 5961 5.2: older than anything in flight can be
        return False
    if snd.snd_wnd > 0 and connection.timers.persist != NEVER:
        connection.timers.persist = NEVER
        connection.recovery.rtt.backoff = 0
    return connection.state != CLOSED


def _receive_new_ack(connection: Connection, segment: Segment, now: i64) -> None:
    snd = connection.snd
    flight = snd.in_flight()
    acked = snd.acknowledge(segment.ack)
    snd.update_window(segment)
    connection.retries = 0
    connection.soft_error = 0
    connection.recovery.on_ack(snd.snd_una, acked, flight, now)
    snd.grow(connection.recovery.cc.cwnd)
    # RFC 6298 5.2, 5.3
    connection.timers.retransmit = now + connection.recovery.rtt.rto() if snd.in_flight() else NEVER
    if acked:
        connection.wake = True  # there is room to write
    if snd.fin_acknowledged():
        connection.transition(_RCV_ACK_OF_FIN)
        connection.settle(now)


def _receive_same_ack(connection: Connection, segment: Segment, now: i64) -> None:
    """An ACK that acknowledges nothing new: a duplicate, a window update, or one that came with data."""
    snd = connection.snd
    window: i64 = segment.window
    # RFC 5681 2, DUPLICATE ACKNOWLEDGMENT, (a) to (e)
    duplicate = (
        snd.snd_una != snd.snd_nxt
        and segment.length == 0
        and segment.flags & (SYN | FIN) == 0
        and segment.ack == snd.snd_una
        and window << snd.snd_wscale == snd.snd_wnd
    )
    if duplicate:
        if connection.recovery.on_dup_ack(snd.snd_una, snd.snd_nxt, snd.in_flight(), now):
            connection.stats.TCPFastRetrans += 1
        return
    snd.update_window(segment)
    if snd.snd_una == snd.snd_nxt:
        connection.retries = 0  # the answer to a probe: the peer lives


def _receive_data(connection: Connection, segment: Segment, now: i64) -> None:
    """Seventh; RFC 5681 4.2 on when to acknowledge."""
    rcv = connection.rcv
    fresh = seq_gt(seq_add(segment.seq, segment.length), rcv.rcv_nxt)
    if not may_receive(connection.state):
        connection.need_ack = True  # retransmitted from before the FIN, or not allowed after it
        return
    if connection.read_shut and connection.write_shut and fresh:
        # RFC 1122 4.2.2.13, Linux tcp_rcv_state_process: nobody will read this, and the peer must know
        connection.stats.TCPAbortOnData += 1
        connection.refuse(segment)
        connection.fail(_RCV_RST, ECONNRESET)
        return
    hole = rcv.reassembly.length > 0
    kind = rcv.take(segment)
    if kind == IN_ORDER:
        connection.wake = True
        if hole:
            connection.need_ack = True
        else:
            _acknowledge(connection, now)
    elif kind == OUT_OF_ORDER:
        connection.stats.TCPOFOQueue += segment.count
        connection.dup_acks_due = min(connection.dup_acks_due + segment.count, _MAX_DUP_ACKS)
    else:
        connection.need_ack = True
        if kind == REFUSED:
            connection.stats.TCPRcvQDrop += 1


def _acknowledge(connection: Connection, now: i64) -> None:
    """What came in its turn is acknowledged at once if it is more than a full segment; else with what we send next,
    or in 40 ms.
    """
    rcv, timers = connection.rcv, connection.timers
    if rcv.limit < rcv.most:
        rcv.grow(connection.recovery.rtt.srtt, now)
    if rcv.unacknowledged() > rcv.mss:
        connection.need_ack = True
    elif timers.delayed_ack == NEVER:
        timers.delayed_ack = now + DELAYED_ACK


def _receive_fin(connection: Connection, segment: Segment, now: i64) -> None:
    """Eighth: notes where the peer's stream ends."""
    connection.need_ack = True  # again, if it was seen before: our last ACK was lost
    if may_receive(connection.state):
        connection.rcv.note_fin(segment)
    elif connection.state == TIME_WAIT:
        connection.timers.wait = now + TIME_WAIT_TIME


def _deliver_fin(connection: Connection, now: i64) -> None:
    """Everything before the FIN is here: the stream has ended."""
    rcv = connection.rcv
    if not rcv.reaches_fin() or not may_receive(connection.state):
        return
    rcv.rcv_nxt = seq_add(rcv.rcv_nxt, 1)
    if seq_gt(rcv.rcv_nxt, rcv.rcv_adv):
        rcv.rcv_adv = rcv.rcv_nxt
    rcv.ended = True
    connection.need_ack = True
    connection.read_shut = True
    connection.wake = True
    connection.transition(_RCV_FIN)
    connection.settle(now)
