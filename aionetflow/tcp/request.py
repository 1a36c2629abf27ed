"""A connection that is half open: its SYN has been answered, and little more than that SYN is kept of it until the
answer is acknowledged (Linux struct request_sock).
"""

from typing import Any

from aionetflow.config import NEVER
from aionetflow.ip.route import Route
from aionetflow.tcp.segment import RST, SYN, Segment
from aionetflow.tcp.sequence import seq_add, seq_gt, seq_lt
from aionetflow.widths import i64, u32


class Request:
    """What is known of a half-open connection."""

    def __init__(
        self, listener: Any, key: bytes, route: Route, local: bytes, remote: bytes, iss: u32, syn: Segment, now: i64
    ) -> None:  # fmt: skip
        self.listener = listener
        self.key = key
        self.route = route
        self.local = local
        self.remote = remote
        self.remote_port = syn.source_port
        self.local_port = syn.destination_port
        self.iss = iss
        self.irs = syn.seq
        self._flags = syn.flags
        self._window = syn.window
        self._mark = syn.mark
        self._frame = syn.frame
        self._options = syn.options
        self._options_end = syn.options_end
        self.timeouts = 0  # how often the answer was not acknowledged in time
        self.retransmitted = False
        self.acknowledged = False  # by what did not suffice (TCP_DEFER_ACCEPT), or came when there was no room
        self.sent_at: i64 = now  # the answer, for the first time
        self.answered_at: i64 = -NEVER  # when a segment that makes no sense was last answered
        self.due: i64 = NEVER  # when to send the answer again, or to give up
        self.before: Request | None = None  # neighbours in the row of those that wait equally long
        self.after: Request | None = None

    def fill(self, syn: Segment) -> None:
        """Makes the segment what the SYN was."""
        syn.seq = self.irs
        syn.ack = 0
        syn.flags = self._flags
        syn.window = self._window
        syn.mark = self._mark
        syn.source_port = self.remote_port
        syn.destination_port = self.local_port
        syn.frame = self._frame
        syn.options = self._options
        syn.options_end = self._options_end

    def acceptable(self, segment: Segment, window: u32) -> bool:
        """Whether any of the segment is within the window that was offered (Linux tcp_in_window)."""
        left = seq_add(self.irs, 1)
        right = seq_add(left, window)
        end = seq_add(segment.seq, segment.occupies())
        if segment.seq == left or (seq_gt(end, left) and seq_lt(segment.seq, right)):
            return True
        return segment.seq == right and segment.seq == end

    def is_reset_by(self, segment: Segment) -> bool:
        """RFC 5961 3.2: only the number that is expected next resets it."""
        return segment.flags & RST != 0 and segment.seq == seq_add(self.irs, 1)

    def is_repeated_by(self, segment: Segment) -> bool:
        """Whether the segment is the same SYN once more."""
        return segment.seq == self.irs and segment.flags & SYN != 0


class Row:
    """Requests that wait equally long, first come first due; each can leave at any time."""

    def __init__(self) -> None:
        self.first: Request | None = None
        self.last: Request | None = None

    def append(self, request: Request) -> None:
        """Puts a request at the end."""
        request.before = self.last
        if self.last is None:
            self.first = request
        else:
            self.last.after = request
        self.last = request

    def remove(self, request: Request) -> None:
        """Takes a request out."""
        before, after = request.before, request.after
        request.before = request.after = None
        if before is None:
            self.first = after
        else:
            before.after = after
        if after is None:
            self.last = before
        else:
            after.before = before
