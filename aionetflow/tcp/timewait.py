"""TIME-WAIT: what a connection that is over still answers, and when its two ends may be used again."""

from aionetflow.tcp.connection import Connection
from aionetflow.widths import i64


def may_reuse(connection: Connection, now: i64) -> bool:
    """Whether connect() may begin anew between the two ends of a connection (Linux tcp_twsk_unique)."""
    return False
