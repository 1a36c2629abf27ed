"""Protection against wrapped sequence numbers, and the timestamp to give back (RFC 7323 4 and 5)."""

from aionetflow.config import MILLISECOND, SECOND
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.segment import ACK, FIN, SYN, Segment
from aionetflow.tcp.sequence import seq_gt, seq_lt, seq_sub
from aionetflow.widths import i64

_VALID_FOR = 24 * 24 * 3600 * SECOND  # 5.5: a timestamp of before that long says nothing
_SLACK = 1  # Linux TCP_PAWS_WINDOW: one tick backwards is no news from another life


def paws_rejects(connection: Connection, segment: Segment, now: i64) -> bool:
    """Whether a segment is older than what was received already, and so perhaps of another round of numbers (5.3)."""
    rcv = connection.rcv
    if rcv.ts_recent == 0 or not seq_lt(segment.tsval, rcv.ts_recent):
        return False
    behind = seq_sub(rcv.ts_recent, segment.tsval)
    if behind <= _SLACK or now - rcv.ts_recent_at > _VALID_FOR:
        return False
    return not _is_late_ack(connection, segment, behind)


def keep_timestamp(connection: Connection, segment: Segment, now: i64) -> None:
    """Keeps the timestamp of a segment that begins at or before what we acknowledged last (4.3)."""
    rcv = connection.rcv
    if not connection.timestamps or not segment.timestamped or seq_gt(segment.seq, rcv.rcv_wup):
        return
    if not seq_lt(segment.tsval, rcv.ts_recent) or now - rcv.ts_recent_at > _VALID_FOR:
        rcv.ts_recent = segment.tsval
        rcv.ts_recent_at = now


def _is_late_ack(connection: Connection, segment: Segment, behind: i64) -> bool:
    """A pure acknowledgment that was overtaken: a duplicate, not a danger (Linux tcp_disordered_ack)."""
    snd = connection.snd
    window: i64 = segment.window
    return (
        segment.flags & (ACK | SYN | FIN) == ACK
        and segment.length == 0
        and segment.seq == connection.rcv.rcv_nxt
        and segment.ack == snd.snd_una
        and segment.seq == snd.snd_wl1
        and 0 < window << snd.snd_wscale <= snd.snd_wnd
        and behind * MILLISECOND <= connection.recovery.rtt.rto()
    )
