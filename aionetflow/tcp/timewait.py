"""TIME-WAIT: what a connection that is over still answers, and when its two ends may be used again.

RFC 9293 3.10.7.4 and 3.6.1, RFC 1337, RFC 6191; as Linux's tcp_timewait_state_process().
"""

from aionetflow.config import MILLISECOND, TIME_WAIT_TIME
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.paws import paws_rejects
from aionetflow.tcp.segment import ACK, RST, SYN, Segment
from aionetflow.tcp.sequence import seq_add, seq_gt, seq_lt
from aionetflow.tcp.states import TIME_WAIT, Event
from aionetflow.widths import i64, u32

_RCV_RST = int(Event.RCV_RST)
_ON_LOOPBACK = 2  # net.ipv4.tcp_tw_reuse


def receive(connection: Connection, segment: Segment, now: i64) -> None:
    """Takes a segment for a connection in TIME-WAIT that is not its successor's."""
    timestamped = connection.timestamps and segment.timestamped
    old = timestamped and paws_rejects(connection, segment, now)
    rcv = connection.rcv
    if not old and segment.seq == rcv.rcv_nxt and (segment.flags & RST or segment.occupies() == 0):
        if not segment.flags & RST:
            connection.timers.wait = now + TIME_WAIT_TIME
        elif not connection.sysctl.tcp_rfc1337:
            connection.fail(_RCV_RST, 0)  # RFC 1337: its assassination
        if timestamped:
            rcv.ts_recent = segment.tsval
            rcv.ts_recent_at = now
        return
    if old:
        connection.stats.PAWSTimewait += 1
    if segment.flags & RST:
        return
    if old or segment.flags & ACK:  # a SYN without one may be of a connection to come
        connection.timers.wait = now + TIME_WAIT_TIME
    if not segment.is_progress() and connection.was_answered(now):
        connection.stats.TCPACKSkippedTimeWait += 1
    else:
        connection.need_ack = True


def is_succeeded_by(connection: Connection, segment: Segment, now: i64) -> bool:
    """RFC 9293 3.6.1: a SYN beyond the numbers of a connection in TIME-WAIT may begin another; so may one with a later
    timestamp (RFC 6191 2).
    """
    if segment.flags & (SYN | ACK | RST) != SYN:
        return False
    if not connection.timestamps or not segment.timestamped:
        return seq_gt(segment.seq, connection.rcv.rcv_nxt)
    if paws_rejects(connection, segment, now):
        return False
    return seq_gt(segment.seq, connection.rcv.rcv_nxt) or seq_lt(connection.rcv.ts_recent, segment.tsval)


def next_iss(connection: Connection) -> u32:
    """The number for the successor: one that the old connection cannot have used, whatever its windows were."""
    return seq_add(connection.snd.snd_nxt, 65535 + 2)


def may_reuse(connection: Connection, now: i64) -> bool:
    """Whether connect() may begin anew between the two ends of a connection (Linux tcp_twsk_unique).

    Timestamps must tell the old segments from the new ones: both had them, and the clock has gone on.
    """
    reuse = connection.sysctl.tcp_tw_reuse
    if connection.state != TIME_WAIT or not connection.timestamps or reuse == 0:
        return False
    if reuse == _ON_LOOPBACK and not (_is_loopback(connection.local) or _is_loopback(connection.remote)):
        return False
    since = connection.timers.wait - TIME_WAIT_TIME
    return now > since + connection.sysctl.tcp_tw_reuse_delay * MILLISECOND


def _is_loopback(address: bytes) -> bool:
    return address[0] == 127 if len(address) == 4 else address == bytes(15) + b"\x01"
