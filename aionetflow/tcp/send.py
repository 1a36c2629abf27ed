"""What goes out: how much of what was written may be sent now.

              snd_una             snd_nxt                 snd_una + snd_wnd
    -------------|-------------------|---------------------------|-----------
      acknowledged      in flight       may be sent now             not yet
"""

from collections import deque

from aionetflow.config import DEFAULT_MSS, MAX_SEGMENT_RUN, MIN_IP_MTU
from aionetflow.tcp.buffer import SendQueue
from aionetflow.tcp.segment import Segment
from aionetflow.tcp.sequence import seq_add, seq_gt, seq_lt, seq_sub
from aionetflow.widths import i64, u32

_LARGE_WINDOW = 2 * MAX_SEGMENT_RUN  # half of it holds every super-segment


class Sender:
    """The sending half of a connection."""

    def __init__(self, iss: u32, limit: i64) -> None:
        self.iss = iss
        self.snd_una: u32 = iss  # the oldest octet not yet acknowledged
        self.snd_nxt: u32 = iss  # the next octet to send that never was sent
        self.snd_wnd: i64 = 0  # what the peer takes, counted from snd_una, scaled
        self.snd_wl1: u32 = 0  # the sequence number of the segment that told snd_wnd
        self.snd_wscale = 0
        self.max_wnd: i64 = 0  # the largest window the peer ever offered
        self.mss: i64 = DEFAULT_MSS  # what a full segment holds ...
        self.path_mss: i64 = DEFAULT_MSS  # ... which is this, if half of the peer's largest window is no less
        self.is_bounded = False  # it is less, or may become so with the first window
        self.limit = limit  # octets that may wait in the queue ...
        self.most = limit  # ... and how many it may come to
        self.unsent_limit: i64 = 0  # TCP_NOTSENT_LOWAT: no more is taken while so many are unsent; 0: no limit
        self.queue = SendQueue()  # begins at snd_una, once the SYN is acknowledged
        self.syn_acked = False
        self.fin_queued = False
        self.fin_sent = False
        self.nodelay = False  # TCP_NODELAY
        self.corked = False  # TCP_CORK
        self.more = False  # MSG_MORE: what was written last is held back as by the cork, until something comes
        self.push_once = False  # what is held back goes now: the cork's time is up
        self.burst: i64 = MAX_SEGMENT_RUN  # octets that may leave in one go
        self.pushed: i64 = 0  # how far the application's writes were pushed, counted from the first octet written
        self.marks: deque[int] | None = None  # what else ends with PSH, counted likewise; None: nothing
        self.snd_sml: u32 = iss  # the end of the last segment sent that was not full (Linux tp->snd_sml)

    def in_flight(self) -> u32:
        """Octets sent and not acknowledged, SYN and FIN counted."""
        return seq_sub(self.snd_nxt, self.snd_una)

    def unacknowledged(self) -> i64:
        """Octets of data sent and not acknowledged: they begin the queue."""
        flight: i64 = self.in_flight()
        return flight - (0 if self.syn_acked else 1) - (1 if self.fin_sent and flight else 0)

    def unsent(self) -> i64:
        """Octets written and never sent."""
        return self.queue.length - self.unacknowledged()

    def is_done(self) -> bool:
        """Whether everything has been sent, a FIN that is to follow included."""
        return self.queue.length == self.unacknowledged() and (self.fin_sent or not self.fin_queued)

    def grow(self, cwnd: i64) -> None:
        """Makes the queue hold two congestion windows: one on the way, one to follow (Linux tcp_sndbuf_expand)."""
        if 2 * cwnd > self.limit and self.limit < self.most:
            self.limit = min(2 * cwnd, self.most)

    def room(self) -> i64:
        """How much the buffer has room for."""
        return max(0, self.limit - self.queue.length)

    def unsent_room(self, going: i64) -> i64:
        """How much TCP_NOTSENT_LOWAT lets wait, and `going` octets leave at once.

        As Linux (tcp_sendmsg), which looks at that before each buffer that it fills, as large as a super-segment.
        """
        mss = self.mss
        goal = max(min(self.max_wnd // 2, MAX_SEGMENT_RUN) // mss, 1) * mss
        waiting = (self.unsent_limit + goal - 1) // goal * goal
        return max(0, waiting + max(going, 0) // mss * mss - self.unsent())

    def is_writable(self) -> bool:
        """What poll(2) calls so: a third of the buffer is free, and not too much unsent (sk_stream_is_writeable)."""
        if self.unsent_limit and 2 * self.unsent() >= self.unsent_limit:
            return False
        return 3 * self.queue.length <= 2 * self.limit

    def next_length(self, room: i64, mss: i64) -> i64:
        """How many octets may be sent now, in full segments of mss octets and perhaps a last short one.

        room is what the congestion window has left.

        RFC 9293 3.8.6.2.1 (silly windows), 3.7.4 (Nagle); RFC 5681 3 (cwnd).
        """
        unsent = self.unsent()
        if unsent <= 0:
            return 0
        usable = min(self.snd_wnd - self.in_flight(), room)
        length = min(unsent, usable, max(self.burst, mss))
        if length <= 0:
            return 0
        if self.marks is not None:
            length = min(length, self._until_mark(mss))
        if self.fin_queued and length == unsent and self._is_filled_by(length) and not self.push_once:
            length -= length % mss or mss  # what the FIN is to end waits for room for the FIN (Linux tcp_snd_wnd_test)
        short = length % mss
        if short == 0 or (length == unsent and self._short_may_go()):
            return length
        if length > short:
            return length - short
        return length if self.push_once else 0  # less than a segment is waited for no longer than a time-out

    def fin_due(self, room: i64) -> bool:
        """Whether the FIN is all that is left to send, and may go."""
        if not self.fin_queued or self.fin_sent or self.unsent() > 0:
            return False
        return room > 0 and not self._is_filled_by(0)

    def ends_here(self, length: i64) -> bool:
        """Whether the FIN, which is queued, goes with the last length octets: it fits the window with them."""
        return not self.fin_sent and not self._is_filled_by(length)

    def wrote(self, length: i64, more: bool) -> None:
        """So much was queued by one call, with MSG_MORE or without: notes what of it ends with PSH.

        RFC 9293 3.9.1.2 and Linux tcp_sendmsg: the last segment of what was written, and whichever comes to more than
        half of the peer's largest window since the last such one. A segment that was filled later is not the last of a
        write any more.
        """
        end: i64 = self.queue.released + self.queue.length
        if self.queue.length > length and self.pushed == end - length:
            waiting = self.unsent() - length
            if waiting > 0 and waiting % self.mss == 0:
                self._mark(self.pushed)
        if end - self.pushed > self.max_wnd >> 1:
            self._mark_within(end - length, end)
            if more and end - self.pushed > self.max_wnd >> 1:
                self._mark(end)
        if not more:
            self.pushed = end

    def mark_short(self, length: i64) -> None:
        """Notes that length octets are about to leave whose time was up: they bear PSH (Linux tcp_write_wakeup)."""
        self._mark(self.queue.released + self.unacknowledged() + length)
        self.marks = deque(sorted(self.marks or ()))

    def pushes(self, offset: i64, length: i64) -> bool:
        """Whether a segment of length octets, offset of them behind the oldest unacknowledged one, bears PSH."""
        start: i64 = self.queue.released + offset
        stop = start + length
        if stop == self.pushed and offset + length == self.queue.length:
            return True
        return self.marks is not None and self._has_mark(start, stop)

    def sent(self, length: i64, fin: bool) -> None:
        """New data has left, with or without the FIN behind it."""
        self.snd_nxt = seq_add(self.snd_nxt, length)
        if length % self.mss:
            self.snd_sml = self.snd_nxt
        if self.unsent() <= 0:
            self.push_once = False
        if fin:
            self.snd_nxt = seq_add(self.snd_nxt, 1)
            self.fin_sent = True

    def acknowledge(self, ack: u32) -> i64:
        """Moves snd_una up to ack; returns how many octets of data that acknowledged."""
        acked: i64 = seq_sub(ack, self.snd_una)
        if not self.syn_acked:
            self.syn_acked = True
            acked -= 1
        data = min(acked, self.queue.length)
        self.queue.release(data)
        if seq_lt(self.snd_sml, ack):
            self.snd_sml = ack
        self.snd_una = ack
        return data

    def fin_acknowledged(self) -> bool:
        """Whether everything has been acknowledged, the FIN included."""
        return self.fin_sent and self.snd_una == self.snd_nxt

    def update_window(self, segment: Segment, advanced: bool) -> bool:
        """Takes the window of a segment that is no older than the last that told one; True if it is another one.

        RFC 9293 3.10.7.4 fifth, as Linux tcp_may_update_window: of two that are the same age the wider counts, so that
        one which was overtaken takes nothing back.
        """
        window: i64 = segment.window
        window <<= self.snd_wscale
        newer = advanced or seq_lt(self.snd_wl1, segment.seq)
        if not newer and (segment.seq != self.snd_wl1 or (window <= self.snd_wnd and window)):
            return False
        self.snd_wl1 = segment.seq
        if window == self.snd_wnd:
            return False
        self.set_window(window)
        return True

    def set_window(self, window: i64) -> None:
        """The peer takes that many octets from snd_una on."""
        self.snd_wnd = window
        self.max_wnd = max(self.max_wnd, window)

    def fitting_mss(self, header: i64) -> i64:
        """What a full segment holds, behind a TCP header of so many octets (Linux tcp_bound_to_half_wnd).

        With half of the largest window at most there are always two to fill it (RFC 9293 3.8.6.2.1); one that is tiny
        is not divided.
        """
        most = self.max_wnd // 2 if self.max_wnd > DEFAULT_MSS else self.max_wnd
        if most == 0 or self.path_mss <= most:
            return self.path_mss
        return max(most, MIN_IP_MTU - header)

    def _short_may_go(self) -> bool:
        """Whether a last segment that is not full may be sent (Linux tcp_nagle_check, with Minshall's variant)."""
        if self.push_once or self.fin_queued:
            return True
        if self.corked or self.more:
            return False
        return self.nodelay or not seq_gt(self.snd_sml, self.snd_una)

    def _is_filled_by(self, length: i64) -> bool:
        """Whether so many octets more leave no room for a FIN in the peer's window."""
        return self.in_flight() + length >= self.snd_wnd

    def _mark_within(self, start: i64, end: i64) -> None:
        """Marks what of a write, [start, end), is more than half of the largest window behind the last push."""
        half = self.max_wnd >> 1
        first: i64 = self.queue.released + self.unacknowledged()  # from which on it is cut
        push = max(self.pushed + half, start) + 1
        while True:
            push = first + (push - first + self.mss - 1) // self.mss * self.mss
            if push >= end:
                return
            self._mark(push)
            self.pushed = push
            push += half + 1

    def _mark(self, position: i64) -> None:
        if self.marks is None:
            self.marks = deque()
        self.marks.append(position)

    def _until_mark(self, mss: i64) -> i64:
        """How much may go in one piece, so that PSH is on the right segment: up to the end of the next that has it.

        To a peer with large windows it is the last of a super-segment, as with those that Linux makes.
        """
        if self.marks is not None and self.max_wnd < _LARGE_WINDOW:
            here: i64 = self.queue.released + self.unacknowledged()
            mark: i64
            for mark in self.marks:
                if mark > here:
                    return (mark - here + mss - 1) // mss * mss
        return self.queue.length

    def _has_mark(self, start: i64, stop: i64) -> bool:
        """Whether something in (start, stop] is marked; forgets what is acknowledged."""
        marks = self.marks
        while marks and marks[0] <= self.queue.released:
            marks.popleft()
        if not marks:
            self.marks = None
            return False
        mark: i64
        for mark in marks:
            if mark > start:
                return mark <= stop
        return False
