"""CUBIC (RFC 9438) with HyStart++ (RFC 9406): the default.

In congestion avoidance the window follows a cubic function of the time since the last reduction: it comes back quickly
to what it was, stays about there for a while, then looks for more. The arithmetic is Linux's (tcp_cubic.c): integers,
windows in segments, time in 1/1024 s, so that a run is the same on every machine.
"""

from aionetflow.config import MILLISECOND, NEVER, SECOND
from aionetflow.tcp.congestion.base import INFINITE, CongestionControl, register
from aionetflow.widths import i64

_BETA = 717  # of 1024: 0.7 (RFC 9438 4.6)
_SCALE = 410  # 1024 * C = 0.4 (RFC 9438 5.1)
_CUBE_FACTOR = (1 << 40) // 410
_FRIENDLY = 15  # eight times what a Reno flow needs to be as fast: 8 (1 + beta) / 3 (1 - beta) (RFC 9438 4.3)
_LONGEST = 1 << 18  # 256 s from the inflection point the window is far beyond any limit
_UPDATE_TIME = SECOND // 32

# RFC 9406 4.3
_MIN_RTT_THRESH = 4 * MILLISECOND
_MAX_RTT_THRESH = 16 * MILLISECOND
_RTT_DIVISOR = 8
_SAMPLES = 8
_CSS_GROWTH_DIVISOR = 4
_CSS_ROUNDS = 5


class Cubic(CongestionControl):
    """The window as a cubic function of time."""

    name = "cubic"

    def __init__(self) -> None:
        CongestionControl.__init__(self)
        self.epoch: i64 = 0  # when this congestion avoidance began; 0: not yet
        self.w_max: i64 = 0  # segments: the window before the last reduction
        self.origin: i64 = 0  # segments: where the function is flat ...
        self.k: i64 = 0  # ... and after which time
        self.w_est: i64 = 0  # segments: what Reno would have
        self.acked: i64 = 0  # octets acknowledged, towards w_est ...
        self.toward: i64 = 0  # ... and towards the next segment of cwnd
        self.count: i64 = 0  # segments acknowledged for which cwnd grows by one
        self.looked_at: i64 = 0
        self.looked_cwnd: i64 = 0
        self.delay_min: i64 = 0
        # HyStart++
        self.round: i64 = -1
        self.last_round_rtt: i64 = NEVER
        self.round_rtt: i64 = NEVER
        self.samples = 0
        self.css_baseline: i64 = 0  # the round-trip time with which conservative slow start began; 0: it has not
        self.css_round: i64 = 0

    def on_ack(self, acked: i64, rtt: i64, now: i64) -> None:
        """Grows the window: slow start, conservative slow start, or by the cubic function."""
        if rtt and (self.delay_min == 0 or rtt < self.delay_min):
            self.delay_min = rtt
        if self.cwnd < self.ssthresh and rtt:
            self._watch_delay(rtt)
        if not self.limited:
            return
        if self.cwnd < self.ssthresh:
            if self.css_baseline:
                self.toward += acked
                acked = self.toward // _CSS_GROWTH_DIVISOR
                self.toward -= acked * _CSS_GROWTH_DIVISOR
            acked = self.slow_start(acked)
        if acked:
            self._update(acked, now)
            self._grow(acked)

    def on_loss(self, now: i64) -> i64:
        """RFC 9438 4.6, 4.7: fast convergence gives room to new flows."""
        cwnd = self.cwnd // self.mss
        self.epoch = 0
        self.w_max = cwnd * (1024 + _BETA) // 2048 if cwnd < self.w_max else cwnd
        return max(cwnd * _BETA // 1024, 2) * self.mss

    def on_timeout(self, now: i64) -> None:
        """Starts anew."""
        self.w_max = self.origin = self.k = self.w_est = 0
        self.acked = self.toward = self.count = 0
        self.epoch = self.looked_at = self.looked_cwnd = self.delay_min = 0
        self.round = -1
        self.round_rtt = self.last_round_rtt = NEVER
        self.css_baseline = 0

    def on_restart(self, idle: i64, now: i64) -> None:
        """The time of silence does not count (Linux cubictcp_cwnd_event)."""
        if self.epoch:
            self.epoch = min(self.epoch + idle, now)

    # HyStart++ ------------------------------------------------------------------------------------------------------

    def _watch_delay(self, rtt: i64) -> None:
        """RFC 9406 4.2: slow start slows down when the round trips grow longer, before anything is lost."""
        if self.rounds != self.round:
            if self.round >= 0 and self.css_baseline and self.rounds - self.css_round >= _CSS_ROUNDS:
                self.ssthresh = self.cwnd
                self.css_baseline = 0
            self.round = self.rounds
            self.last_round_rtt = self.round_rtt
            self.round_rtt = NEVER
            self.samples = 0
        self.round_rtt = min(self.round_rtt, rtt)
        self.samples += 1
        if self.samples < _SAMPLES:
            return
        if self.css_baseline:
            if self.round_rtt < self.css_baseline:
                self.css_baseline = 0  # it was jitter: slow start goes on
                self.toward = 0
        elif self.last_round_rtt != NEVER:
            threshold = max(_MIN_RTT_THRESH, min(self.last_round_rtt // _RTT_DIVISOR, _MAX_RTT_THRESH))
            if self.round_rtt >= self.last_round_rtt + threshold:
                self.css_baseline = self.round_rtt
                self.css_round = self.rounds
                self.toward = 0

    # The cubic function ---------------------------------------------------------------------------------------------

    def _update(self, acked: i64, now: i64) -> None:
        """For how many acknowledged segments the window now grows by one (Linux bictcp_update)."""
        cwnd = self.cwnd // self.mss
        self.acked += acked
        if self.looked_cwnd == cwnd and now - self.looked_at <= _UPDATE_TIME and self.count:
            return
        if self.epoch == 0 or now != self.looked_at:
            self.looked_cwnd = cwnd
            self.looked_at = now
            if self.epoch == 0:
                self._begin_epoch(cwnd, acked, now)
            self._aim(cwnd, now)
        self._be_friendly(cwnd)
        self.count = max(self.count, 2)

    def _begin_epoch(self, cwnd: i64, acked: i64, now: i64) -> None:
        self.epoch = now
        self.acked = acked
        self.w_est = cwnd
        if self.w_max <= cwnd:
            self.k = 0
            self.origin = cwnd
        else:
            self.k = cube_root(_CUBE_FACTOR * (self.w_max - cwnd))
            self.origin = self.w_max

    def _aim(self, cwnd: i64, now: i64) -> None:
        """RFC 9438 4.2, equation 1: where the window should be one round trip from now."""
        time = (now - self.epoch + self.delay_min) * 1024 // SECOND
        offset = min(abs(time - self.k), _LONGEST)
        delta = _SCALE * offset * offset * offset >> 40
        target = self.origin - delta if time < self.k else self.origin + delta
        self.count = cwnd // (target - cwnd) if target > cwnd else 100 * cwnd
        if self.w_max == 0:
            self.count = min(self.count, 20)  # nothing was lost yet: five per cent per round trip

    def _be_friendly(self, cwnd: i64) -> None:
        """RFC 9438 4.3: never slower than Reno."""
        per_segment = (cwnd * _FRIENDLY >> 3) * self.mss
        if self.acked > per_segment:
            self.w_est += self.acked // per_segment
            self.acked %= per_segment
        if self.w_est > cwnd:
            self.count = min(self.count, cwnd // (self.w_est - cwnd))

    def _grow(self, acked: i64) -> None:
        """Linux tcp_cong_avoid_ai."""
        needed = self.count * self.mss
        if self.toward >= needed:
            self.toward = 0
            self.cwnd += self.mss
        self.toward += acked
        if self.toward >= needed:
            self.cwnd += self.toward // needed * self.mss
            self.toward %= needed
        self.cwnd = min(self.cwnd, INFINITE)


def cube_root(value: i64) -> i64:
    """The integer cube root.

    >>> cube_root(26), cube_root(27), cube_root(10**15)
    (2, 3, 100000)
    """
    root: i64 = 0
    for bit in range(20, -1, -1):
        trial = root | (1 << bit)
        if trial * trial * trial <= value:
            root = trial
    return root


register(Cubic)
