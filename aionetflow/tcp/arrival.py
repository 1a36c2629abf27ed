"""A segment arrives at a connection that knows its peer (RFC 9293 3.10.7.4, SYN-RECEIVED and later).

The order is the RFC's: sequence number, RST, SYN, ACK, URG, data, FIN.
"""

import errno

from aionetflow.config import NEVER
from aionetflow.fast_paths import FAST
from aionetflow.ip.route import IP_PMTUDISC_DONT
from aionetflow.tcp.acknowledgment import receive_ack, take_plain
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.departure import follow_mtu
from aionetflow.tcp.early_data import is_syn_again
from aionetflow.tcp.ecn import CE, take_marks
from aionetflow.tcp.handshake import receive_ack_of_syn, receive_ack_of_syn_ack, receive_in_syn_sent
from aionetflow.tcp.paws import keep_timestamp, paws_rejects
from aionetflow.tcp.receive import IN_ORDER, OLD, OUT_OF_ORDER, REFUSED
from aionetflow.tcp.recovery import OPEN
from aionetflow.tcp.sack import note_duplicate
from aionetflow.tcp.segment import ACK, FIN, PSH, RST, SYN, URG, Segment
from aionetflow.tcp.sequence import seq_add, seq_between, seq_geq, seq_gt, seq_lt, seq_sub
from aionetflow.tcp.states import (
    CLOSE_WAIT,
    CLOSED,
    CLOSING,
    ESTABLISHED,
    LAST_ACK,
    SYN_RECEIVED,
    SYN_SENT,
    Event,
    is_synchronized,
    may_receive,
)
from aionetflow.tcp.urgent import receive_urgent
from aionetflow.widths import i64

_ABORT = int(Event.ABORT)
_RCV_FIN = int(Event.RCV_FIN)
_RCV_RST = int(Event.RCV_RST)
_MAX_DUP_ACKS = 64  # what one batch of frames ahead of their turn may call for
ECONNRESET = errno.ECONNRESET
EPIPE = errno.EPIPE
EMSGSIZE = errno.EMSGSIZE


def receive(connection: Connection, segment: Segment, now: i64) -> None:
    """Takes a segment whose checksum has been verified."""
    connection.segs_in += segment.count
    if segment.length:
        connection.data_segs_in += segment.count
    if FAST.header_prediction and _is_predicted(connection, segment):
        _receive_predicted(connection, segment, now)
        return
    if connection.state == SYN_SENT:
        receive_in_syn_sent(connection, segment, now)
        if connection.rcv.fin_received:  # RFC 7413 4.2.2
            _deliver_fin(connection, now)
        return
    early = connection.fast_open is not None and connection.fast_open.pending
    if early and is_syn_again(connection, segment, now):
        return
    if connection.state == CLOSED or not _check(connection, segment, now):
        return
    if early:
        if not receive_ack_of_syn_ack(connection, segment, now):
            return
    elif connection.state == SYN_RECEIVED and not receive_ack_of_syn(connection, segment, now):
        return
    keep_timestamp(connection, segment, now)
    if not receive_ack(connection, segment, now):
        return
    if segment.flags & URG or connection.urgent is not None:
        receive_urgent(connection, segment)
    owed = segment.length > 0 and _receive_data(connection, segment, now)
    if segment.flags & FIN:
        _receive_fin(connection, segment, now)
    if connection.rcv.fin_received and _deliver_fin(connection, now):
        owed = True
    if owed:
        _acknowledge(connection, now)


def receive_icmp(connection: Connection, code: int, at_once: bool, now: i64) -> None:
    """ICMP says that a segment of ours did not get through (RFC 1122 4.2.3.9, Linux tcp_v4_err).

    code is an errno; with EMSGSIZE, the connection's route knows by now what the way takes. An open connection goes on:
    it tells of the error at once, or if it is given up (and who asks, by SO_ERROR).
    """
    if code == EMSGSIZE:
        if is_synchronized(connection.state) and connection.mtu_discover != IP_PMTUDISC_DONT:
            follow_mtu(connection, now)
        elif connection.fast_open is not None and connection.state == SYN_SENT and connection.fast_open.length:
            connection.syn_due = True  # Linux tcp_simple_retransmit: the next one is bare, and fits
    elif connection.state == SYN_SENT or (
        connection.state == SYN_RECEIVED and (connection.fast_open is None or not connection.fast_open.accepted)
    ):
        connection.fail(_ABORT, code)
    elif at_once:
        connection.error = code
        connection.wake = True
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
        and connection.recovery.is_clean()
        and segment.sack_count == 0
        and segment.mark != CE
        and (not connection.timestamps or (segment.timestamped and not seq_lt(segment.tsval, rcv.ts_recent)))
        and connection.timers.persist == NEVER
        and rcv.reassembly.length == 0
        and not rcv.fin_received
        and not connection.read_shut
        and connection.urgent is None
    )


def _receive_predicted(connection: Connection, segment: Segment, now: i64) -> None:
    """What `receive` comes to in that case."""
    rcv = connection.rcv
    if connection.timestamps:
        connection.tsecr = segment.tsecr
        if rcv.rcv_nxt == rcv.rcv_wup:
            rcv.ts_recent = segment.tsval
            rcv.ts_recent_at = now
    if segment.ack != connection.snd.snd_una:
        take_plain(connection, segment, now)
        connection.snd.more = False
    else:
        connection.snd.update_window(segment, False)
    connection.heard_at = now
    if segment.length:
        rcv.take_next(segment)
        connection.wake = True
        connection.acks.on_data(segment, rcv, connection.recovery.rtt.rto(), now)
        _acknowledge(connection, now)


def _check(connection: Connection, segment: Segment, now: i64) -> bool:
    """First to fourth: sequence number, RST, SYN; False if there is nothing more to do."""
    rcv = connection.rcv
    if connection.timestamps and segment.timestamped:
        if paws_rejects(connection, segment, now) and not segment.flags & RST:
            connection.stats.PAWSEstab += 1
            if segment.is_progress() or not connection.is_answered(now, True):
                connection.need_ack = True
            return False
        connection.tsecr = segment.tsecr
    if not rcv.acceptable(segment):
        if segment.flags & RST:
            if _resets_a_closed_stream(connection, segment):
                _receive_reset(connection)
        elif segment.flags & SYN:
            connection.stats.TCPSYNChallenge += 1
            connection.challenge(now)
        elif segment.is_progress() or not connection.is_answered(now, False):
            # data are answered always, as our ACK may have been lost; the rest is not (Linux tcp_oow_rate_limited)
            connection.need_ack = True
            if segment.length:
                note_duplicate(connection, segment)
                if is_synchronized(connection.state):  # Linux tcp_send_dupack
                    connection.stats.DelayedACKLost += 1
                    connection.acks.be_quick(rcv)
        return False
    if segment.flags & RST:
        # RFC 5961 3.2: exactly the next number, or a challenge
        if segment.seq == rcv.rcv_nxt or _resets_a_closed_stream(connection, segment):
            _receive_reset(connection)
        else:
            connection.challenge(now)
        return False
    if segment.flags & SYN:
        if connection.state == SYN_RECEIVED and _is_other_syn_ack(connection, segment):
            return True
        connection.stats.TCPSYNChallenge += 1
        connection.challenge(now)  # RFC 5961 4.2
        return False
    return segment.flags & ACK != 0


def _is_other_syn_ack(connection: Connection, segment: Segment) -> bool:
    """Whether it is the answer to our SYN in a simultaneous open: the SYN once more, and an ACK (RFC 9293 3.5)."""
    return (
        segment.flags & ACK != 0
        and segment.seq == connection.rcv.irs
        and segment.occupies() == 1
        and segment.ack == connection.snd.snd_nxt
    )


def _resets_a_closed_stream(connection: Connection, segment: Segment) -> bool:
    """Linux tcp_reset_check: after its FIN a peer may be one that resets with the FIN's own number."""
    return segment.seq == seq_sub(connection.rcv.rcv_nxt, 1) and connection.state in (CLOSE_WAIT, LAST_ACK, CLOSING)


def _receive_reset(connection: Connection) -> None:
    connection.fail(_RCV_RST, EPIPE if connection.state == CLOSE_WAIT else ECONNRESET)


def _receive_data(connection: Connection, segment: Segment, now: i64) -> bool:
    """Seventh; True if an acknowledgment is owed, of which `_acknowledge` says when (RFC 5681 4.2)."""
    rcv = connection.rcv
    fresh = seq_gt(seq_add(segment.seq, segment.length), rcv.rcv_nxt)
    if not may_receive(connection.state):
        _receive_after_fin(connection, segment)
        return False
    if connection.read_shut and connection.write_shut and fresh:
        # RFC 1122 4.2.2.13, Linux tcp_rcv_state_process: nobody will read this, and the peer must know
        connection.stats.TCPAbortOnData += 1
        connection.refuse(segment)
        connection.fail(_RCV_RST, ECONNRESET)
        return False
    if connection.ecn:
        take_marks(connection, segment)
    hole = rcv.reassembly.length > 0 or rcv.fin_received
    if seq_lt(segment.seq, rcv.rcv_nxt):
        note_duplicate(connection, segment)
    kind = rcv.take(segment)
    if kind == IN_ORDER:
        connection.wake = True
        connection.acks.on_data(segment, rcv, connection.recovery.rtt.rto(), now)
        if hole:
            connection.need_ack = True
            if connection.recovery.selective and rcv.reassembly.length > 0:
                connection.acks.reports_ahead(rcv.rcv_nxt, connection.sysctl.tcp_comp_sack_nr)
        return True
    if kind == OUT_OF_ORDER:
        connection.stats.TCPOFOQueue += segment.count
        if connection.recovery.selective:
            _report_ahead(connection, now)  # which says all that a duplicate for each would
        else:
            connection.dup_acks_due = min(connection.dup_acks_due + segment.count, _MAX_DUP_ACKS)
    else:
        connection.need_ack = True
        connection.acks.be_quick(rcv)
        if kind == OLD and seq_geq(segment.seq, rcv.rcv_nxt):
            note_duplicate(connection, segment)
        if kind == REFUSED:
            connection.stats.TCPRcvQDrop += 1
        else:
            connection.stats.DelayedACKLost += 1
    return False


def _report_ahead(connection: Connection, now: i64) -> None:
    """A SACK is due for data ahead of their turn: now, or with those that come within a twentieth of a round trip."""
    timers, sysctl = connection.timers, connection.sysctl
    wait = min(sysctl.tcp_comp_sack_delay_ns, connection.recovery.rtt.srtt // 20)
    if wait <= 0 or connection.acks.reports_ahead(connection.rcv.rcv_nxt, sysctl.tcp_comp_sack_nr):
        connection.need_ack = True
    else:
        timers.delayed_ack = min(timers.delayed_ack, now + wait)


def _acknowledge(connection: Connection, now: i64) -> None:
    """What came in its turn is acknowledged now, with what we send next, or in a while (delayed_ack.py)."""
    rcv, acks, timers = connection.rcv, connection.acks, connection.timers
    if rcv.limit < rcv.most:
        rcv.grow(connection.recovery.rtt.srtt, now)
    if acks.is_due(rcv):
        connection.need_ack = True
        return
    timers.delayed_ack = acks.wait_until(timers.delayed_ack, connection.recovery.rtt.srtt, now)
    if timers.delayed_ack <= now:
        connection.need_ack = True


def _receive_fin(connection: Connection, segment: Segment, now: i64) -> None:
    """Eighth: notes where the peer's stream ends."""
    if may_receive(connection.state):
        if connection.rcv.fin_received and segment.length == 0:
            note_duplicate(connection, segment)
        connection.rcv.note_fin(segment)
        if not connection.rcv.reaches_fin():
            connection.need_ack = True  # it came ahead of its turn
    elif segment.length == 0:
        _receive_after_fin(connection, segment)


def _receive_after_fin(connection: Connection, segment: Segment) -> None:
    """Data or a FIN of a stream that has ended (Linux tcp_rcv_state_process).

    What came before is acknowledged again, as our last ACK may have been lost; what nobody can have sent in good order
    is dropped without a word; what is both ends the connection (RFC 1122 4.2.2.13).
    """
    rcv = connection.rcv
    if seq_geq(segment.seq, rcv.rcv_nxt):
        return
    if seq_gt(seq_add(segment.seq, segment.length), rcv.rcv_nxt):
        connection.stats.TCPAbortOnData += 1
        connection.refuse(segment)
        _receive_reset(connection)
        return
    connection.stats.DelayedACKLost += 1
    connection.acks.be_quick(rcv)
    connection.need_ack = True
    note_duplicate(connection, segment)


def _deliver_fin(connection: Connection, now: i64) -> bool:
    """Everything before the FIN is here: the stream has ended. True if the acknowledgment may wait for our FIN."""
    rcv = connection.rcv
    if not rcv.reaches_fin() or not may_receive(connection.state):
        return False
    rcv.rcv_nxt = seq_add(rcv.rcv_nxt, 1)
    if not connection.numbered:
        rcv.rcv_adv = seq_add(rcv.rcv_adv, 1)  # what has no socket offers the same window always (Linux tw_rcv_wnd)
    if seq_gt(rcv.rcv_nxt, rcv.rcv_adv):
        rcv.rcv_adv = rcv.rcv_nxt
    rcv.ended = True
    rcv.reassembly.clear()  # SACK has reported the FIN, perhaps
    connection.read_shut = True
    connection.wake = True
    connection.transition(_RCV_FIN)
    connection.settle(now)
    connection.acks.scheduled = True
    if connection.state == CLOSE_WAIT:  # Linux tcp_fin: our answer is expected to come soon
        connection.acks.ping_pong = max(connection.acks.ping_pong, 1)
        return True
    connection.need_ack = True
    return False
