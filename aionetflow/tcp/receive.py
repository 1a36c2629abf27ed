"""What comes in: which segments are acceptable, what is delivered, what window is offered, when to acknowledge.

                 rcv_wup      rcv_nxt                    rcv_adv
    -----------------|------------|--------------------------|-----------------
      acknowledged     received     the window we offered      not allowed yet
"""

from aionetflow.config import DEFAULT_MSS, MIN_MSS, TCP_TUNED_RTT
from aionetflow.tcp.buffer import ReceiveQueue
from aionetflow.tcp.reassembly import Reassembly
from aionetflow.tcp.segment import FIN, PSH, SYN, URG, Segment
from aionetflow.tcp.sequence import seq_add, seq_geq, seq_gt, seq_leq, seq_lt, seq_sub
from aionetflow.widths import i64, u32

# What a piece of data was
OLD = 0  # all of it was here before
IN_ORDER = 1
OUT_OF_ORDER = 2  # there is a hole before it
REFUSED = 3  # no room

_OLD = OLD
_IN_ORDER = IN_ORDER
_OUT_OF_ORDER = OUT_OF_ORDER
_REFUSED = REFUSED
_EMPTY = Reassembly()
_REMNANT = FIN | SYN | PSH | URG  # Linux TCP_REMNANT: what a segment that need not be full has
_LARGEST_FIELD = 65535
_WORTH_MORE = 128  # Linux: so many octets in a segment say that the peer makes use of the window


class Receiver:
    """The receiving half of a connection."""

    def __init__(self, limit: i64) -> None:
        self.irs: u32 = 0
        self.rcv_nxt: u32 = 0  # the next octet expected
        self.rcv_wup: u32 = 0  # what our last acknowledgment said
        self.rcv_adv: u32 = 0  # the right edge of the window that was offered: never taken back
        self.rcv_wscale = 0
        self.mss: i64 = DEFAULT_MSS  # what the peer's full segments are taken to hold
        self.last_size: i64 = 0  # of a segment that was shorter, and may have been full all the same
        self.low_water: i64 = 1  # SO_RCVLOWAT
        self.clamp: i64 = 0  # TCP_WINDOW_CLAMP: no larger window is offered; 0: no limit
        self.limit = limit  # octets that may wait to be read ...
        self.most = limit  # ... and how many it may come to
        self.trusted: i64 = limit  # no larger window is offered before more has come (Linux rcv_ssthresh) ...
        self.full: i64 = DEFAULT_MSS  # ... by two segments of this size, our MSS, at least
        self.reserved: i64 = 0  # octets of the buffer that are not offered
        self.tuned_at: i64 = 0  # when it was last looked at whether that is enough ...
        self.tuned_nxt: u32 = 0  # ... and what the application had read up to then
        self.received: i64 = 0  # octets in all
        self.ts_recent: u32 = 0  # RFC 7323 4.3: the timestamp to give back ...
        self.ts_recent_at: i64 = 0  # ... and when it came
        self.dsack_due = False  # RFC 2883: the next acknowledgment says that this came twice
        self.dsack_start: u32 = 0
        self.dsack_end: u32 = 0
        self.queue = ReceiveQueue()
        self.reassembly = _EMPTY  # one of its own once something comes ahead of its turn
        self.fin_received = False  # a FIN has been seen, perhaps ahead of its turn
        self.fin_seq: u32 = 0
        self.ended = False  # everything up to the FIN was received
        self.told_closed = False  # the window that was told last is zero

    def start(self, irs: u32) -> None:
        """The peer's SYN has arrived."""
        self.irs = irs
        self.rcv_nxt = seq_add(irs, 1)
        self.rcv_wup = self.rcv_nxt
        self.rcv_adv = self.rcv_nxt
        self.tuned_nxt = self.rcv_nxt

    def acceptable(self, segment: Segment) -> bool:
        """Whether any of the segment may belong into the window (Linux tcp_sequence).

        RFC 9293 3.10.7.4 with two differences of Linux's: a segment that begins at the right edge is let through, so
        that its ACK counts while the window is closed, and the left edge is what was acknowledged last.
        """
        end = seq_add(segment.seq, segment.occupies())
        return seq_geq(end, self.rcv_wup) and seq_leq(segment.seq, self.rcv_adv)

    def take(self, segment: Segment) -> int:
        """Takes a segment's data: trims it to the window, delivers it, or keeps it until the hole is filled."""
        seq, data = segment.seq, segment.payload
        if seq_lt(seq, self.rcv_nxt):
            behind = seq_sub(self.rcv_nxt, seq)
            if behind >= segment.length:
                return _OLD
            data = data[behind:]
            seq = self.rcv_nxt
        edge = self.fin_seq if self.fin_received else self.rcv_adv  # nothing follows a FIN
        room = seq_sub(edge, seq) if seq_leq(seq, edge) else 0
        if room == 0:
            return _REFUSED
        if len(data) > room:
            data = data[:room]
        if seq != self.rcv_nxt:
            if self.reassembly is _EMPTY:
                self.reassembly = Reassembly()
            held = self.reassembly.length
            if not self.reassembly.insert(seq, data):
                return _REFUSED
            return _OUT_OF_ORDER if self.reassembly.length > held else _OLD
        self._deliver(data)
        if self.reassembly.length:
            for block in self.reassembly.take(self.rcv_nxt):
                self._deliver(block)
        return _IN_ORDER

    def take_next(self, segment: Segment) -> None:
        """As take, of data that begin at rcv_nxt, lie inside the window, and have nothing waiting behind them."""
        self.queue.append(segment.payload)
        self.received += segment.length
        self.rcv_nxt = seq_add(self.rcv_nxt, segment.length)

    def measure(self, segment: Segment) -> bool:
        """Learns from data in order what a full segment holds (Linux tcp_measure_rcv_mss): False if this is not one."""
        length: i64 = segment.length
        if self.trusted < self.limit - self.reserved:
            self._widen(length)
        count: i64 = segment.count
        last = self.last_size
        self.last_size = 0
        if length >= self.mss * count:
            self.mss = length // count
            return True
        if count > 1:  # of a run the last may be short
            return length > self.mss * (count - 1)
        if length >= DEFAULT_MSS or (length >= MIN_MSS and not segment.flags & _REMNANT):
            self.last_size = length
            if length == last:
                self.mss = length
                return True
        return False

    def note_fin(self, segment: Segment) -> None:
        """Remembers where the peer's stream ends, once its FIN lies inside the window."""
        fin_seq = seq_add(segment.seq, segment.length)
        if not self.fin_received and seq_leq(fin_seq, self.rcv_adv):
            self.fin_received = True
            self.fin_seq = fin_seq
            if fin_seq != self.rcv_nxt:
                if self.reassembly is _EMPTY:
                    self.reassembly = Reassembly()
                self.reassembly.note_fin(fin_seq)

    def reaches_fin(self) -> bool:
        """Whether everything before the peer's FIN has been received."""
        return self.fin_received and self.rcv_nxt == self.fin_seq

    def window(self) -> i64:
        """The window to offer now, which is never less than what was offered before; remembers its right edge."""
        unit = 1 << self.rcv_wscale
        offered = max(self.select_window(), (self.open() + unit - 1) & -unit)
        self.rcv_adv = seq_add(self.rcv_nxt, offered)
        return min(offered, _LARGEST_FIELD << self.rcv_wscale)

    def first_window(self, mss: i64) -> i64:
        """What a SYN offers: whole segments, and what its field holds unscaled (Linux tcp_select_initial_window)."""
        return min(self._first_space(mss), _LARGEST_FIELD)

    def offer_first(self, mss: i64) -> None:
        """The peer's SYN has come, and ours offers, or has offered, that window."""
        self.trusted = self._first_space(mss)
        self.rcv_adv = seq_add(self.rcv_nxt, min(self.trusted, _LARGEST_FIELD))

    def reserve(self, full: i64) -> None:
        """The handshake is done: from now on there is room for one of our MSS more than is offered.

        Linux tcp_init_buffer_space.
        """
        self.full = full
        self.reserved = 0
        most = self._most_offered()
        if most > 2 * full and most + full > self.limit:
            self.reserved = min(full, self.limit - 2 * full)
        self.trusted = min(self.trusted, self._most_offered())

    def select_window(self) -> i64:
        """What would be offered if nothing had been before (Linux __tcp_select_window).

        RFC 9293 3.8.6.2.2: rather none than one that is too small for a segment, or for a sixteenth of the buffer. With
        window scaling it is what is free, else whole segments.
        """
        full = self._most_offered()
        free = max(self.free(), 0)
        mss = min(self.mss, full)
        if 2 * free < full:
            free &= -(1 << self.rcv_wscale)
            if free < self.limit >> 4 or free < mss:
                return 0
        free = min(free, full, self.trusted)
        if self.rcv_wscale:
            unit = 1 << self.rcv_wscale
            return (free + unit - 1) & -unit
        window: i64 = self.offered()
        if window <= free - mss or window > free:
            return free - free % mss
        return free if mss == full and free > window + full // 2 else window

    def window_opened(self) -> bool:
        """Whether reading made so much room that the peer should hear of it at once (Linux tcp_cleanup_rbuf).

        That is when the window was at most half of what it can be, and will be at least twice as large.
        """
        offered = self.open()
        if 2 * offered > self._most_offered():
            return False
        window = self.select_window()
        return window > 0 and window >= 2 * offered

    def keeps_window(self) -> bool:
        """Whether an acknowledgment sent now would offer no less than the last one did: its right edge moves along."""
        return self.select_window() >= self.offered()

    def offered(self) -> u32:
        """The window of the last acknowledgment, counted from what that acknowledged (Linux tp->rcv_wnd)."""
        return seq_sub(self.rcv_adv, self.rcv_wup)

    def open(self) -> i64:
        """How much the peer may still send of it (Linux tcp_receive_window)."""
        return seq_sub(self.rcv_adv, self.rcv_nxt) if seq_geq(self.rcv_adv, self.rcv_nxt) else 0

    def free(self) -> i64:
        """How much of the buffer is free."""
        return self.limit - self.queue.length - self.reassembly.length

    def is_tight(self) -> bool:
        """Whether more than half of the buffer is taken."""
        return 2 * self.free() < self._most_offered()

    def unacknowledged(self) -> u32:
        """How much was received since our last acknowledgment."""
        return seq_sub(self.rcv_nxt, self.rcv_wup)

    def grow(self, rtt: i64, now: i64) -> None:
        """Once a round trip: the buffer should hold twice what the application read in it (Linux tcp_rcv_space_adjust).

        Then the window never keeps back a sender that doubles what it sends in each.
        """
        if now - self.tuned_at < rtt or rtt < TCP_TUNED_RTT:
            return
        done = seq_sub(self.rcv_nxt, self.queue.length)
        wanted = 2 * seq_sub(done, self.tuned_nxt) + 16 * self.mss
        if wanted > self.limit:
            self.limit = self.trusted = min(wanted, self.most)  # Linux has the window follow in the next segments
            self.reserved = 0
        self.tuned_at = now
        self.tuned_nxt = done

    def is_readable(self) -> bool:
        """What poll(2) calls so: as much as SO_RCVLOWAT asks for, or no room for more (Linux tcp_epollin_ready)."""
        length = self.queue.length
        return length > 0 and (length >= self.low_water or self.open() <= self.mss)

    def _most_offered(self) -> i64:
        most = min(self.limit - self.reserved, _LARGEST_FIELD << self.rcv_wscale)
        return min(most, self.clamp) if self.clamp else most

    def _first_space(self, mss: i64) -> i64:
        space = min(self.limit, self.clamp) if self.clamp else self.limit
        return space - space % mss if space > mss else space

    def _widen(self, length: i64) -> None:
        """So much has come, as much as to say that the peer uses the window (Linux tcp_grow_window)."""
        room = min(self._most_offered(), self.free()) - self.trusted
        if room > 0 and length >= _WORTH_MORE:
            self.trusted += min(room, 2 * max(self.full, length))

    def _deliver(self, data: bytes) -> None:
        self.queue.append(data)
        self.received += len(data)
        self.rcv_nxt = seq_add(self.rcv_nxt, len(data))
        if seq_gt(self.rcv_nxt, self.rcv_adv):
            self.rcv_adv = self.rcv_nxt
