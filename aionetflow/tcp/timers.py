"""The timers of one connection: numbers, not objects. Arming one is storing when it is due (nanoseconds).

The host keeps one entry per connection, for the earliest of them, and looks here when it is due.
"""

from aionetflow.config import NEVER
from aionetflow.widths import i64


class Timers:
    """When each timer of a connection is due; NEVER while it is off."""

    def __init__(self) -> None:
        self.retransmit: i64 = NEVER  # RFC 6298: what was sent is not acknowledged in time
        # RFC 9293 3.8.6.1: the peer's window is closed, ask whether it still is; or what is corked goes at last
        self.persist: i64 = NEVER
        self.delayed_ack: i64 = NEVER  # RFC 9293 3.8.6.3: an acknowledgment is owed
        self.pacing: i64 = NEVER  # what waits for its time may leave (pacing.py)
        self.wait: i64 = NEVER  # TIME-WAIT's 2 MSL, Linux's limit on FIN-WAIT-2; before them the next look of keepalive

    def deadline(self) -> i64:
        """The earliest of them."""
        earliest = min(self.retransmit, self.delayed_ack)
        earliest = min(earliest, self.persist)
        earliest = min(earliest, self.pacing)
        return min(earliest, self.wait)

    def stop(self) -> None:
        """Turns all of them off."""
        self.retransmit = NEVER
        self.persist = NEVER
        self.delayed_ack = NEVER
        self.pacing = NEVER
        self.wait = NEVER
