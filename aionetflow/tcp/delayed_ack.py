"""When what was received is acknowledged: at once, with an answer, or when its time is up (Linux icsk_ack).

RFC 1122 4.2.3.2 lets an acknowledgment wait for half a second, RFC 5681 4.2 for one full segment more. Linux decides by
what the connection does:

    quick       the first segments, those after a pause, and those that show that an ACK was lost: each at once
    ping-pong   what we send answers what we receive: the acknowledgment waits for the answer, `ato` at most
    neither     it waits for `ato`, which follows the time between segments, or for the application to read everything
"""

from aionetflow.config import DELAYED_ACK_MAX, DELAYED_ACK_MIN, DUP_ACK_THRESHOLD, MAX_QUICK_ACKS, NEVER
from aionetflow.tcp.receive import Receiver
from aionetflow.tcp.segment import PSH, Segment
from aionetflow.widths import i64, u32

_PSH = PSH
_MAX_PING_PONG = 255


class Acknowledgments:
    """What one connection knows of its peer's way of sending, and whether it owes an acknowledgment."""

    def __init__(self) -> None:
        self.scheduled = False  # one is owed, for now or for later
        self.pushed = 0  # segments that were not full, or ended a write, since the last one was sent; 2: or more
        self.quick = 0  # so many more segments are acknowledged at once
        self.ping_pong = 0  # more than 0: our data answer the peer's
        self.ato: i64 = 0  # how long one may wait; 0: no data yet
        self.ahead = 0  # how often the peer was told at once that an octet is missing from what came ...
        self.ahead_nxt: u32 = 0  # ... this one
        self.compressed = 0  # reports of more behind it that wait, to be made in one (Linux compressed_ack)
        self.received_at: i64 = 0  # when data came last, or the handshake ended

    def on_data(self, segment: Segment, rcv: Receiver, rto: i64, now: i64) -> None:
        """Data have come in their turn (Linux tcp_event_data_recv)."""
        self.scheduled = True
        if not rcv.measure(segment):
            self.pushed = min(self.pushed + 1, 2)
        elif segment.flags & _PSH:
            self.pushed = max(self.pushed, 1)
        gap = now - self.received_at
        self.received_at = now
        if self.ato == 0:
            self._add_quick(rcv)
            self.ato = DELAYED_ACK_MIN
        elif gap <= DELAYED_ACK_MIN // 2:
            self.ato = self.ato // 2 + DELAYED_ACK_MIN // 2
        elif gap < self.ato:
            self.ato = min(self.ato // 2 + gap, rto)
        elif gap > rto:
            self._add_quick(rcv)  # the sender begins anew, with a small window

    def is_due(self, rcv: Receiver) -> bool:
        """Whether what was received is acknowledged at once (Linux __tcp_ack_snd_check).

        RFC 5681 4.2: when it is more than a full segment. Linux lets that wait until the application has read, if no
        new window could be offered now, and no read is awaited.
        """
        if self.quick > 0 and self.ping_pong == 0:
            return True
        return rcv.unacknowledged() > rcv.mss and (rcv.queue.length < rcv.low_water or rcv.keeps_window())

    def reports_ahead(self, rcv_nxt: u32, most: int) -> bool:
        """Data came ahead of their turn, which a SACK reports: whether it is sent now (Linux __tcp_ack_snd_check).

        The first three are, by which the peer knows that something is lost; more make one of up to `most`, as each
        says all that those before it did.
        """
        if self.compressed >= most or (self.quick > 0 and self.ping_pong == 0):
            return True
        if self.ahead_nxt != rcv_nxt:
            self.ahead_nxt = rcv_nxt
            self.ahead = 0
        if self.ahead < DUP_ACK_THRESHOLD:
            self.ahead += 1
            return True
        self.compressed += 1
        return False

    def wait_until(self, armed: i64, srtt: i64, now: i64) -> i64:
        """Until when the acknowledgment waits, if it is not due; armed is until when one waits already.

        `now` means: not at all (Linux tcp_send_delayed_ack).
        """
        wait = min(self.ato, DELAYED_ACK_MAX)  # RFC 1122 4.2.3.2: less than half a second
        if srtt > 0:
            wait = min(wait, max(srtt, DELAYED_ACK_MIN))
        if armed == NEVER:
            return now + wait
        return now if armed <= now + wait // 4 else min(armed, now + wait)

    def on_timeout(self, rto: i64) -> None:
        """Nothing came to send it with: next time it waits longer, or our data were no answers (tcp_delack_timer)."""
        if self.ping_pong == 0:
            self.ato = min(2 * self.ato, rto)
        else:
            self.ping_pong = 0
            self.ato = DELAYED_ACK_MIN

    def on_sent(self, tight: bool) -> None:
        """An acknowledgment has left, with data or without; tight: the buffer is more than half full."""
        if tight:
            self.quick = 0
        elif self.quick > 0 and self.scheduled:
            self.quick -= 1
            if self.quick == 0:
                self.ato = DELAYED_ACK_MIN
        self.scheduled = False
        self.pushed = self.compressed = 0

    def on_data_sent(self, now: i64) -> None:
        """Data have left: an answer, if something came a moment ago (Linux tcp_event_data_sent)."""
        if now - self.received_at < self.ato and self.ping_pong < _MAX_PING_PONG:
            self.ping_pong += 1

    def after_read(self, rcv: Receiver) -> bool:
        """Whether the application's having read something calls for the acknowledgment (Linux tcp_cleanup_rbuf).

        It does if nothing is left to read and what was read ended a write of the peer's, who may wait for it.
        """
        if not self.scheduled:
            return False
        if rcv.unacknowledged() > rcv.mss:
            return True
        ended = self.pushed > 1 or (self.pushed > 0 and self.ping_pong == 0)
        return ended and rcv.queue.length == 0 and rcv.reassembly.length == 0

    def be_quick(self, rcv: Receiver) -> None:
        """The next segments are acknowledged at once: one came again, so the peer misses our ACKs."""
        self._add_quick(rcv)
        self.ping_pong = 0
        self.ato = DELAYED_ACK_MIN

    def _add_quick(self, rcv: Receiver) -> None:
        """For half the window's worth of segments (Linux tcp_incr_quickack)."""
        count = rcv.offered() // (2 * rcv.mss)
        self.quick = max(self.quick, min(count, MAX_QUICK_ACKS) if count else 2)
