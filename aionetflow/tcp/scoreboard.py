"""What is in flight and what has become of it: the sender's scoreboard (RFC 2018, RFC 6675 3, RFC 8985 5).

    snd_una                                                         snd_nxt
       |---- run ----|-- SACKED --|-- LOST, RESENT --|----- run -----|

Octets that left at the same time are one run, of as many segments as it takes; a run is split where the news about its
parts differs. So what costs something is a loss, not a segment. The counters are in octets, a FIN counted as one.
"""

from aionetflow.config import NEVER, SECOND
from aionetflow.tcp.sequence import seq_add, seq_gt, seq_leq, seq_lt, seq_sub
from aionetflow.widths import i64, u32

# What has become of a run
SACKED = 1  # the peer holds it
LOST = 2  # it is taken to be lost
RESENT = 4  # it was sent again, and that is not known to be lost
EVER_RESENT = 8  # its acknowledgment does not tell how long it took (Karn)
_SACKED = SACKED
_LOST = LOST
_RESENT = RESENT
_EVER_RESENT = EVER_RESENT
_MIN_RTT_WINDOW = 300 * SECOND  # net.ipv4.tcp_min_rtt_wlen


class Run:
    """The octets [start, end), which left at the same time."""

    def __init__(self, start: u32, end: u32, sent_at: i64) -> None:
        self.start = start
        self.end = end
        self.sent_at = sent_at
        self.flags = 0
        self.next: Run | None = None

    def is_sacked(self) -> bool:
        """Whether the peer has reported it."""
        return self.flags & _SACKED != 0

    def is_resent(self) -> bool:
        """Whether it was ever sent again."""
        return self.flags & _EVER_RESENT != 0


class Ack:
    """What one acknowledgment says, gathered while it is taken."""

    def __init__(self, prior_una: u32, now: i64) -> None:
        self.prior_una = prior_una
        self.now = now
        self.advanced = False  # snd_una has moved
        self.delivered: i64 = 0  # octets that are now known to have arrived
        self.first_sent: i64 = NEVER  # when the oldest of what it acknowledges was sent, if that was once ...
        self.last_sent: i64 = NEVER  # ... and the newest
        self.first_sacked: i64 = NEVER  # the same of what it reports selectively
        self.last_sacked: i64 = NEVER
        self.resent = False  # some of what it acknowledges had been sent again
        self.original = False  # something of before the recovery arrived without having been sent again
        self.sacked = False  # it reports something selectively that was not known to have arrived
        self.dsack = False  # it reports something that arrived twice
        self.dsack_probe = False  # ... which was our loss probe
        self.reordered: u32 = 0  # the first of what arrived without being sent again, behind what came before it ...
        self.any_reordered = False  # ... if there is any
        self.duplicates = 0  # how many duplicate ACKs it is
        self.ece = False  # the peer has seen congestion marked
        self.echoed: i64 = -1  # the round-trip time by its timestamp; -1 if it tells none

    def note_order(self, start: u32) -> None:
        """Something that begins at start arrived, and had been sent once."""
        if not self.any_reordered or seq_lt(start, self.reordered):
            self.any_reordered = True
            self.reordered = start


class Scoreboard:
    """The runs in flight, oldest first, and the newest of what was delivered."""

    def __init__(self, iss: u32) -> None:
        self.head: Run | None = None
        self.tail: Run | None = None
        self._spare: Run | None = None  # one that was done with: most connections have one in flight, again and again
        self.sacked: i64 = 0  # Linux sacked_out; without SACK, what the duplicate ACKs stand for
        self.lost: i64 = 0  # Linux lost_out
        self.resent: i64 = 0  # Linux retrans_out
        self.high_seq: u32 = iss  # snd_nxt when the present state was entered
        self.fack: u32 = iss  # the end of the highest run that was reported (while `sacked` is not 0)
        # RACK (RFC 8985 5.2): the newest of what was delivered ...
        self.rack_sent_at: i64 = 0  # ... when it was sent
        self.rack_end: u32 = iss
        self.rack_rtt: i64 = 0
        self.rack_advanced = False  # ... and whether losses have been looked for since
        self.min_rtt: i64 = 0  # the least round-trip time of the last five minutes; 0: none measured
        self.min_rtt_at: i64 = 0

    def is_clean(self) -> bool:
        """Whether nothing in flight is missing or was sent again."""
        return self.sacked == 0 and self.lost == 0 and self.resent == 0

    # Sending --------------------------------------------------------------------------------------------------------

    def sent(self, start: u32, end: u32, now: i64) -> None:
        """New octets have left."""
        tail = self.tail
        if tail is not None and tail.sent_at == now and tail.flags == 0:
            tail.end = end
            return
        run = self._spare
        if run is not None:
            self._spare = None
            run.start = start
            run.end = end
            run.sent_at = now
            run.flags = 0
        else:
            run = Run(start, end, now)
        if tail is None:
            self.head = run
        else:
            tail.next = run
        self.tail = run

    def sent_again(self, run: Run) -> None:
        """A run that was lost is on its way again."""
        if not run.flags & _RESENT:
            self.resent += seq_sub(run.end, run.start)
        run.flags |= _RESENT

    # News -----------------------------------------------------------------------------------------------------------

    def acknowledge_plain(self, una: u32, now: i64) -> i64:
        """As acknowledge, while nothing is sacked, lost or resent: returns when the oldest of it was sent, or NEVER."""
        run = self.head
        first = NEVER
        while run is not None and seq_lt(run.start, una):
            if run.flags & _EVER_RESENT == 0:
                if first == NEVER:
                    first = run.sent_at
                self.rack_advance(run, now)
            if seq_gt(run.end, una):
                run.start = una
                break
            self._drop_head(run)
            run = self.head
        return first

    def acknowledge(self, una: u32, selective: bool, ack: Ack) -> None:
        """Everything before una has arrived: takes it off, and notes in ack what that tells."""
        run = self.head
        while run is not None and seq_lt(run.start, una):
            partly = seq_gt(run.end, una)
            length: i64 = seq_sub(una if partly else run.end, run.start)
            if run.flags & _EVER_RESENT:
                if run.flags & _RESENT:
                    self.resent -= length
                ack.resent = True
            elif not run.flags & _SACKED:
                ack.last_sent = run.sent_at
                if ack.first_sent == NEVER:
                    ack.first_sent = run.sent_at
                ack.note_order(run.start)
                if seq_leq(run.end, self.high_seq):
                    ack.original = True
            if run.flags & _SACKED:
                self.sacked -= length
            elif selective:
                ack.delivered += length
                self.rack_advance(run, ack.now)
            if run.flags & _LOST:
                self.lost -= length
            if partly:
                run.start = una
                return
            self._drop_head(run)
            run = self.head

    def rack_advance(self, run: Run, now: i64) -> None:
        """RFC 8985 6.2 step 2: a run was delivered, perhaps the newest so far."""
        rtt = now - run.sent_at
        if run.flags & _EVER_RESENT and rtt < self.min_rtt:
            return  # it came too soon to be the answer to what was sent again
        self.rack_advanced = True
        self.rack_rtt = rtt
        if run.sent_at > self.rack_sent_at or (run.sent_at == self.rack_sent_at and seq_gt(run.end, self.rack_end)):
            self.rack_sent_at = run.sent_at
            self.rack_end = run.end

    def note_min_rtt(self, rtt: i64, now: i64) -> None:
        """The least of the last five minutes."""
        if self.min_rtt == 0 or rtt <= self.min_rtt or now - self.min_rtt_at > _MIN_RTT_WINDOW:
            self.min_rtt = max(rtt, 1)
            self.min_rtt_at = now

    # Marking --------------------------------------------------------------------------------------------------------

    def mark_sacked(self, run: Run) -> None:
        """The peer holds a run: it is neither lost nor on its way any more."""
        length: i64 = seq_sub(run.end, run.start)
        if run.flags & _LOST:
            self.lost -= length
        if run.flags & _RESENT and run.flags & _LOST:
            self.resent -= length
            run.flags &= ~_RESENT
        run.flags = (run.flags & ~_LOST) | _SACKED
        self.sacked += length
        if seq_gt(run.end, self.fack) or self.sacked == length:
            self.fack = run.end

    def mark_lost(self, run: Run) -> i64:
        """A run is taken to be lost, or lost again: returns how many octets are newly so."""
        length: i64 = seq_sub(run.end, run.start)
        if run.flags & _RESENT:
            run.flags &= ~_RESENT
            self.resent -= length
        if run.flags & _LOST:
            return 0
        run.flags |= _LOST
        self.lost += length
        return length

    def forget_losses(self) -> None:
        """Nothing is lost after all."""
        run = self.head
        while run is not None:
            run.flags &= ~_LOST
            run = run.next
        self.lost = 0

    def split(self, run: Run, at: u32) -> None:
        """Makes two of a run, the second from at on."""
        rest = Run(at, run.end, run.sent_at)
        rest.flags = run.flags
        rest.next = run.next
        run.next = rest
        run.end = at
        if self.tail is run:
            self.tail = rest

    def first_to_resend(self) -> "Run | None":
        """The oldest run that is lost and not on its way again."""
        run = self.head
        while run is not None:
            if run.flags & (_LOST | _RESENT | _SACKED) == _LOST:
                return run
            run = run.next
        return None

    def clear(self) -> None:
        """Forgets everything in flight."""
        self.head = self.tail = None
        self.sacked = self.lost = self.resent = 0

    def in_flight(self, outstanding: i64) -> i64:
        """How much is thought to be on the way, of what is not acknowledged (Linux tcp_packets_in_flight)."""
        return outstanding - self.sacked - self.lost + self.resent

    def join_sacked(self, run: Run) -> None:
        """Makes one of a sacked run and those that follow it sacked: there are never more than there are holes."""
        following = run.next
        while following is not None and following.flags & _SACKED and following.flags & _RESENT == 0:
            run.end = following.end
            run.flags |= following.flags & _EVER_RESENT
            run.next = following.next
            if self.tail is following:
                self.tail = run
            following = run.next

    def _drop_head(self, run: Run) -> None:
        self.head = run.next
        if run.next is None:
            self.tail = None
        run.next = None
        self._spare = run


def segments_in(length: i64, mss: i64) -> i64:
    """How many segments that many octets take."""
    return (length + mss - 1) // mss


def after_segments(start: u32, count: i64, mss: i64) -> u32:
    """The number that many full segments after start."""
    return seq_add(start, count * mss)
