"""Reno (RFC 5681)."""

from aionetflow.tcp.congestion.base import CongestionControl
from aionetflow.widths import i64


class Reno(CongestionControl):
    """Slow start, then one segment more per round trip; half of it at a loss."""

    name = "reno"

    def __init__(self) -> None:
        CongestionControl.__init__(self)
        self.acked: i64 = 0  # acknowledged since cwnd last grew, in congestion avoidance

    def on_ack(self, acked: i64, flight: i64, now: i64) -> None:
        """3.1; a window that was not used up does not grow (RFC 7661, Linux tcp_is_cwnd_limited)."""
        if self.cwnd < self.ssthresh:
            if 2 * flight < self.cwnd:
                return
            # Linux tcp_slow_start: by what was acknowledged (RFC 3465, without its limit), up to ssthresh
            grown = min(self.cwnd + acked, self.ssthresh)
            acked -= grown - self.cwnd
            self.cwnd = grown
        elif flight + self.mss < self.cwnd:
            return
        self.acked += acked
        if self.acked >= self.cwnd:
            self.acked -= self.cwnd
            self.cwnd += self.mss

    def on_congestion(self, flight: i64, now: i64) -> None:
        """3.2 step 2, equation 4."""
        self.ssthresh = max(flight // 2, 2 * self.mss)
        self.acked = 0

    def on_timeout(self, flight: i64, now: i64) -> None:
        """3.1: half of what was out, and one segment to start again with."""
        self.ssthresh = max(flight // 2, 2 * self.mss)
        self.cwnd = self.mss
        self.acked = 0
