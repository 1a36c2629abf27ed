"""How a sender gets over losses: its state, and how the congestion window shrinks and comes back.

    OPEN        nothing is missing
    DISORDER    something came out of order, or was sent again: perhaps a loss
    CWR         congestion was marked (ECN), or a tail was lost: the window is being reduced
    RECOVERY    a loss was seen by what arrived after it (RFC 5681 3.2, RFC 6675, RFC 8985)
    LOSS        nothing arrived for the retransmission time-out (RFC 6298 5)

The names are Linux's (tcp_ca_state). What moves a connection between them is in loss.py, which runs are lost is decided
in rack.py, what the peer reports is read in sack.py. Sizes are in octets, times in nanoseconds.
"""

from aionetflow.config import NEVER
from aionetflow.tcp.congestion.base import INFINITE, CongestionControl
from aionetflow.tcp.rtt import RttEstimator
from aionetflow.tcp.scoreboard import Scoreboard, segments_in
from aionetflow.tcp.sequence import seq_gt, seq_lt
from aionetflow.widths import i64, u32

# Linux's ca_state
OPEN = 0
DISORDER = 1
CWR = 2
RECOVERY = 3
LOSS = 4
_OPEN = OPEN
_DISORDER = DISORDER
_CWR = CWR
_RECOVERY = RECOVERY
_LOSS = LOSS
# What the retransmission timer is for
TIMEOUT = 0  # RFC 6298
PROBE = 1  # RFC 8985 7: a tail may have been lost
REORDER = 2  # RFC 8985 6.2 step 5: what looks lost may only be late
SYN_ACK = 3  # RFC 7413: data are on their way already, but it is the SYN-ACK that would be sent again
RACK_PATIENCE = 16  # Linux TCP_RACK_RECOVERY_THRESH: recoveries that a wider reordering window lasts


class Recovery(Scoreboard):
    """Loss recovery of one connection."""

    def __init__(self, iss: u32, cc: CongestionControl, rtt: RttEstimator, reordering: int) -> None:
        Scoreboard.__init__(self, iss)
        self.cc = cc
        self.rtt = rtt
        self.state = OPEN
        self.pending = TIMEOUT
        self.selective = False  # both ends know SACK
        self.reordering = reordering  # segments: how far the path is known to change their order
        self.reord_seen = False
        self.delivered: i64 = 0  # octets that are known to have arrived
        # The reduction of the window (RFC 6937)
        self.prior_cwnd: i64 = 0
        self.prior_ssthresh: i64 = 0  # what an undo brings back; 0: nothing
        self.prr_delivered: i64 = 0
        self.prr_out: i64 = 0
        # Whether it was needed at all
        self.undo_possible = False
        self.undo_marker: u32 = 0  # snd_una when it began
        self.undo_retrans = -1  # segments sent again since, less those that a D-SACK says were needless; -1: none yet
        self.retrans_stamp: i64 = NEVER  # when the first of them left
        self.frto = False  # RFC 5682: the time-out may have been spurious
        self.resend_held = False  # ... which new data are to show
        self.head_due = False  # after a time-out the oldest segment goes, whatever else is on its way
        # The tail loss probe (RFC 8985 7)
        self.probing = False
        self.probe_resent = False  # it was not new data
        self.probe_end: u32 = 0
        # The reordering window of RACK (RFC 8985 6.2 step 4)
        self.dsack_seen = False
        self.dsack_count: i64 = 0  # segments that the peer says came twice
        self.reo_wnd_steps = 1
        self.reo_wnd_persist = 0
        self.last_delivered: i64 = 0
        # Whether the window is used (RFC 7661, Linux tcp_cwnd_validate)
        self.window_full = False  # it was, when data were last sent (Linux is_cwnd_limited)
        self.max_out: i64 = 0
        self.usage_seq: u32 = iss
        self.cwnd_used: i64 = 0
        self.cwnd_stamp: i64 = 0
        self.round_end: u32 = iss  # a round trip has passed when this is acknowledged

    def take_over(self, cc: CongestionControl) -> None:
        """Another algorithm goes on from where this one is."""
        old = self.cc
        cc.mss, cc.cwnd, cc.ssthresh = old.mss, old.cwnd, old.ssthresh
        cc.limited, cc.rounds = old.limited, old.rounds
        self.cc = cc

    # The window -----------------------------------------------------------------------------------------------------

    def room(self, outstanding: i64) -> i64:
        """How many more octets may be on the way."""
        return self.cc.cwnd - self.in_flight(outstanding)

    def wants_to_resend(self) -> bool:
        """Whether something is lost and not on its way again."""
        return (self.lost > self.resent or self.head_due) and not self.resend_held

    def current_ssthresh(self) -> i64:
        """Linux tcp_current_ssthresh: while the window is being reduced, or while it is not."""
        if self.is_reducing():
            return self.cc.ssthresh
        return max(self.cc.ssthresh, (self.cc.cwnd >> 1) + (self.cc.cwnd >> 2))

    def is_reducing(self) -> bool:
        """Whether the window is on its way down to ssthresh."""
        return self.state == _CWR or self.state == _RECOVERY

    def validate(self, outstanding: i64, snd_nxt: u32, snd_una: u32, now: i64) -> None:
        """New data have left: was the window the limit? One that is not used does not grow, and wears off."""
        flight = self.in_flight(outstanding)
        limited = flight + self.cc.mss > self.cc.cwnd
        if not seq_lt(snd_una, self.usage_seq) or limited or (not self.window_full and outstanding > self.max_out):
            self.window_full = limited
            self.max_out = outstanding
            self.usage_seq = snd_nxt
        if self.is_limited():
            self.cwnd_used = 0
            self.cwnd_stamp = now
            return
        self.cwnd_used = max(self.cwnd_used, outstanding)
        if now - self.cwnd_stamp >= self.rtt.base_rto:
            self._wear_off(now)

    def is_limited(self) -> bool:
        """Linux tcp_is_cwnd_limited: whether the window is used so far that it deserves to grow.

        In slow start half of it is enough, as it may double.
        """
        if self.window_full:
            return True
        return self.cc.cwnd < self.cc.ssthresh and self.cc.cwnd < 2 * self.max_out

    def grow(self, acked: i64, rtt: i64, now: i64) -> None:
        """So many octets have arrived, and nothing keeps the window from growing."""
        self.cc.limited = self.is_limited()
        self.cc.on_ack(acked, rtt, now)

    def _wear_off(self, now: i64) -> None:
        """RFC 2861, Linux tcp_cwnd_application_limited: halfway down to what was used."""
        if self.state == _OPEN:
            used = max(self.cwnd_used, self.cc.initial_window())
            if used < self.cc.cwnd:
                self.cc.ssthresh = self.current_ssthresh()
                self.cc.cwnd = (self.cc.cwnd + used) >> 1
            self.cwnd_used = 0
        self.cwnd_stamp = now

    # Reducing it ----------------------------------------------------------------------------------------------------

    def begin_reduction(self, snd_nxt: u32, now: i64) -> None:
        """Linux tcp_init_cwnd_reduction."""
        self.high_seq = snd_nxt
        self.probing = False
        self.prior_cwnd = self.cc.cwnd
        self.prr_delivered = 0
        self.prr_out = 0
        self.cc.ssthresh = self.cc.on_loss(now)

    def reduce(self, delivered: i64, newly_lost: i64, advanced: bool, outstanding: i64) -> None:
        """Proportional rate reduction (RFC 6937 3): what may leave now follows what arrived."""
        if delivered <= 0 or self.prior_cwnd == 0:
            return
        cc = self.cc
        flight = self.in_flight(outstanding)
        self.prr_delivered += delivered
        delta = cc.ssthresh - flight
        if delta < 0:
            share = cc.ssthresh * self.prr_delivered // self.prior_cwnd
            allowed = segments_in(share, cc.mss) * cc.mss - self.prr_out  # whole segments, as Linux counts
        else:
            allowed = max(self.prr_delivered - self.prr_out, delivered)
            if advanced and newly_lost == 0:
                allowed += cc.mss
            allowed = min(delta, allowed)
        # the first retransmission goes at once
        allowed = max(allowed, 0 if self.prr_out else cc.mss)
        cc.cwnd = flight + allowed

    def end_reduction(self, now: i64) -> None:
        """Linux tcp_end_cwnd_reduction: the window is ssthresh now, unless all was undone."""
        if self.cc.ssthresh < INFINITE and (self.state == _CWR or self.undo_possible) and not self.cc.keeps_window:
            self.cc.cwnd = self.cc.ssthresh
            self.cwnd_stamp = now

    def enter_cwr(self, snd_nxt: u32, now: i64) -> None:
        """Congestion without a loss (RFC 3168 6.1.2): the window is reduced, once a round trip."""
        self.prior_ssthresh = 0
        if self.state < _CWR:
            self.undo_possible = False
            self.begin_reduction(snd_nxt, now)
            self.state = _CWR

    def enter_recovery(self, snd_una: u32, snd_nxt: u32, ece: bool, now: i64) -> None:
        """A loss was seen (RFC 6675 5, RFC 6582 3.2 step 2)."""
        self.prior_ssthresh = 0
        self.begin_undo(snd_una)
        if not self.is_reducing():
            if not ece:
                self.prior_ssthresh = self.current_ssthresh()
            self.begin_reduction(snd_nxt, now)
        self.state = _RECOVERY

    def keep_open(self, snd_nxt: u32) -> None:
        """Linux tcp_try_keep_open."""
        state = _OPEN
        if self.sacked or self.lost or self.any_resent():
            state = _DISORDER
        if self.state != state:
            self.state = state
            self.high_seq = snd_nxt

    def any_resent(self) -> bool:
        """Linux tcp_any_retrans_done: whether something in flight has been sent again."""
        return self.resent > 0 or (self.head is not None and self.head.is_resent())

    # Undoing it -----------------------------------------------------------------------------------------------------

    def begin_undo(self, snd_una: u32) -> None:
        """Remembers what an undo needs to know (Linux tcp_init_undo)."""
        self.undo_possible = True
        self.undo_marker = snd_una
        # what is on its way again already may yet be said to have come twice
        self.undo_retrans = segments_in(self.resent, self.cc.mss) or -1

    def may_undo(self, original_answered: bool) -> bool:
        """Whether the reduction was needless: the answer is to the original, or all that was sent again came twice."""
        return self.undo_possible and (self.undo_retrans == 0 or original_answered)

    def undo(self, all_arrived: bool, now: i64) -> None:
        """Linux tcp_undo_cwnd_reduction: the window is what it was (RFC 4015, RFC 3522)."""
        if all_arrived:
            self.forget_losses()
        if self.prior_ssthresh:
            self.cc.cwnd = max(self.cc.cwnd, self.cc.undo(self.prior_cwnd))
            if self.prior_ssthresh > self.cc.ssthresh:
                self.cc.ssthresh = self.prior_ssthresh
        self.cwnd_stamp = now
        self.undo_possible = False
        self.rack_advanced = True  # looks at the losses anew

    # Round trips ----------------------------------------------------------------------------------------------------

    def note_round(self, snd_una: u32, snd_nxt: u32) -> None:
        """Counts round trips: one has passed when what was in flight at its beginning is acknowledged."""
        if seq_gt(snd_una, self.round_end):
            self.cc.rounds += 1
            self.round_end = snd_nxt

    def resend(self, start: u32, end: u32, snd_nxt: u32) -> None:
        """What is in flight of [start, end) was too long for the path: it goes again, without blame for its loss."""
        run = self.head
        while run is not None and seq_lt(run.start, end):
            if seq_lt(run.start, start) and seq_gt(run.end, start):
                self.split(run, start)
            elif not seq_lt(run.start, start):
                if seq_gt(run.end, end):
                    self.split(run, end)
                if not run.is_sacked():
                    self.mark_lost(run)
            run = run.next
        if self.state != _LOSS:
            self.state = _LOSS
            self.high_seq = snd_nxt
            self.undo_possible = False
            self.frto = False
