"""Reno (RFC 5681)."""

from aionetflow.tcp.congestion.base import CongestionControl, register
from aionetflow.widths import i64


class Reno(CongestionControl):
    """Slow start, then one segment more per round trip; half of it at a loss."""

    name = "reno"

    def __init__(self) -> None:
        CongestionControl.__init__(self)
        self.acked: i64 = 0  # acknowledged since cwnd last grew, in congestion avoidance

    def on_ack(self, acked: i64, rtt: i64, now: i64) -> None:
        """3.1; a window that was not used up does not grow (RFC 7661, Linux tcp_is_cwnd_limited)."""
        if not self.limited:
            return
        if self.cwnd < self.ssthresh:
            acked = self.slow_start(acked)
        if acked:
            self.acked += acked
            if self.acked >= self.cwnd:
                self.acked -= self.cwnd
                self.cwnd += self.mss

    def on_loss(self, now: i64) -> i64:
        """3.2 step 2, equation 4; Linux halves the window, not what is in flight."""
        self.acked = 0
        return max(self.cwnd // 2, 2 * self.mss)


register(Reno)
