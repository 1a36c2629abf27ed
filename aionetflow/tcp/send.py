"""What goes out: how much of what was written may be sent now.

              snd_una             snd_nxt                 snd_una + snd_wnd
    -------------|-------------------|---------------------------|-----------
      acknowledged      in flight       may be sent now             not yet
"""

from aionetflow.config import DEFAULT_MSS, MAX_SEGMENT_RUN
from aionetflow.tcp.buffer import SendQueue
from aionetflow.tcp.segment import Segment
from aionetflow.tcp.sequence import seq_add, seq_gt, seq_lt, seq_sub
from aionetflow.widths import i64, u32


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
        self.mss: i64 = DEFAULT_MSS
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
        """How much the application may write now."""
        if self.unsent_limit and self.unsent() >= self.unsent_limit:
            return 0
        return max(0, self.limit - self.queue.length)

    def is_writable(self) -> bool:
        """What poll(2) calls so: a third of the buffer is free, and not too much unsent (sk_stream_is_writeable)."""
        if self.unsent_limit and self.unsent() >= self.unsent_limit:
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
        short = length % mss
        if short == 0 or (length == unsent and self._short_may_go()):
            return length
        if length > short:
            return length - short
        # less than a segment, and not because there is no more: worth it only for a peer with a tiny buffer
        return length if length < unsent and (2 * length >= self.max_wnd or self.push_once) else 0

    def fin_due(self, room: i64) -> bool:
        """Whether the FIN is all that is left to send, and may go."""
        if not self.fin_queued or self.fin_sent or self.unsent() > 0:
            return False
        flight = self.in_flight()
        return flight == 0 or (flight < self.snd_wnd and room > 0)

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

    def _short_may_go(self) -> bool:
        """Whether a last segment that is not full may be sent (Linux tcp_nagle_check, with Minshall's variant)."""
        if self.push_once or self.fin_queued:
            return True
        if self.corked or self.more:
            return False
        return self.nodelay or not seq_gt(self.snd_sml, self.snd_una)
