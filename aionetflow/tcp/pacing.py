"""Pacing: data leave at a rate, in bursts of about a millisecond, and not as acknowledgments come.

As Linux paces without a queueing discipline that would (tcp_pacing_check): a connection has it where SO_MAX_PACING_RATE
was set, or where its congestion control asks for it. A burst that leaves says when the next one may. Octets are those
of the payload.
"""

from aionetflow.config import MAX_SEGMENT_RUN, SECOND
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.pace import UNLIMITED, Pace
from aionetflow.tcp.scoreboard import segments_in
from aionetflow.tcp.sequence import seq_sub
from aionetflow.widths import i64

_UNLIMITED = UNLIMITED
_MICROSECOND = 1000
_HUNDREDTHS = 10_000  # microseconds of a second, for ratios in per cent
_BURST_SHIFT = 10  # Linux sk_pacing_shift: a burst is what leaves in 1/1024 s
_FREE_SEGMENTS = 10  # Linux tcp_update_skb_after_send: the first segments are not held up


def pace_of(connection: Connection) -> Pace:
    """The connection's pace; it is paced from now on."""
    if connection.pace is None:
        connection.pace = Pace(connection.snd.snd_nxt, connection.bytes_retrans)
    return connection.pace


def limit(connection: Connection, rate: i64) -> None:
    """So many octets per second at most. A higher limit counts from the next acknowledgment on (sk_setsockopt)."""
    pace = pace_of(connection)
    pace.asked = rate
    pace.most = min(pace.most, rate)
    pace.until = connection.snd.snd_una


def pacing_rate(connection: Connection) -> i64:
    """Octets per second: what the congestion control says, or twice what the window and the round trip come to.

    Linux tcp_update_pacing_rate: 1.2 times that where slow start is over or nearly so. What was set is the limit.
    """
    recovery, sysctl, pace = connection.recovery, connection.sysctl, connection.pace
    cc = recovery.cc
    most = _UNLIMITED
    if pace is not None:
        if connection.snd.snd_una != pace.until:
            pace.most = pace.asked
        most = pace.most
    if cc.pacing_rate > 0:
        return min(cc.pacing_rate, most)
    if cc.cwnd == 0:
        return most  # before the handshake
    ratio: i64 = sysctl.tcp_pacing_ss_ratio if 2 * cc.cwnd < cc.ssthresh else sysctl.tcp_pacing_ca_ratio
    flight: i64 = connection.snd.in_flight()
    return min(max(cc.cwnd, flight) * ratio * _HUNDREDTHS // max(recovery.rtt.srtt // _MICROSECOND, 1), most)


def is_held(connection: Connection, now: i64) -> bool:
    """Whether data have to wait for their time, for which the timer is armed then (Linux tcp_pacing_check).

    What a time-out asks for goes at once.
    """
    pace, snd, recovery = connection.pace, connection.snd, connection.recovery
    assert pace is not None
    _count(connection, pace, 0, now)
    if pace.next_at <= now:
        snd.burst = _burst(connection)
        return False
    if recovery.head_due or (snd.is_done() and not recovery.wants_to_resend()):
        return False
    if connection.tail_due and snd.unsent() <= 0:
        return False
    connection.timers.pacing = pace.next_at
    return True


def pacing_delay(connection: Connection, now: i64) -> i64:
    """How long until the next data may leave, for which a retransmission timer waits too (Linux tcp_pacing_delay)."""
    pace = connection.pace
    assert pace is not None
    _count(connection, pace, 1, now)
    return max(pace.next_at - now, 0)


def _count(connection: Connection, pace: Pace, uncounted: int, now: i64) -> None:
    """Sets the time for what follows the data that have left since the last look (Linux tcp_update_skb_after_send).

    uncounted is 1 if these are not yet among the connection's data_segs_out.
    """
    snd = connection.snd
    sent: i64 = seq_sub(snd.snd_nxt, pace.counted)
    sent += connection.bytes_retrans - pace.counted_again
    if sent == 0:
        return
    segments = connection.data_segs_out + uncounted * segments_in(sent, snd.mss)
    pace.counted = snd.snd_nxt
    pace.counted_again = connection.bytes_retrans
    late = max(now - pace.next_at, 0)
    pace.next_at += late
    rate = pacing_rate(connection)
    if 0 < rate < _UNLIMITED and segments >= _FREE_SEGMENTS:
        wait = sent * SECOND // rate
        pace.next_at += wait - min(wait // 2, late)  # a burst that left late is made up for, by half at most


def _burst(connection: Connection) -> i64:
    """How many octets leave at once: more on a short way, where it does no harm (Linux tcp_tso_autosize)."""
    sysctl, mss = connection.sysctl, connection.snd.mss
    octets = pacing_rate(connection) >> _BURST_SHIFT
    shift = connection.recovery.min_rtt // _MICROSECOND >> sysctl.tcp_tso_rtt_log
    if connection.recovery.min_rtt and shift < 32:
        octets += MAX_SEGMENT_RUN >> shift
    segments = max(min(octets, MAX_SEGMENT_RUN) // mss, sysctl.tcp_min_tso_segs)
    return min(segments * mss, max(MAX_SEGMENT_RUN, mss))
