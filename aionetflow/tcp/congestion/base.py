"""What a congestion control is asked. All sizes are in octets."""

from aionetflow.config import INITIAL_WINDOW
from aionetflow.widths import i64

INFINITE = 0x7FFFFFFF  # Linux TCP_INFINITE_SSTHRESH


class CongestionControl:
    """A fixed window, and the hooks that an algorithm overrides.

    The connection calls the hooks; what an algorithm decides it writes into cwnd and ssthresh.
    """

    name = "fixed"

    def __init__(self) -> None:
        self.mss: i64 = 0
        self.cwnd: i64 = 0  # what may be in flight
        self.ssthresh: i64 = INFINITE  # below it: slow start

    def start(self, mss: i64) -> None:
        """The connection is open and the segment size known."""
        self.mss = mss
        self.cwnd = INITIAL_WINDOW * mss  # RFC 6928

    def on_ack(self, acked: i64, flight: i64, now: i64) -> None:
        """New data was acknowledged, nothing seems lost; flight is what was out before."""

    def on_congestion(self, flight: i64, now: i64) -> None:
        """A loss was seen while acknowledgments still arrive; sets ssthresh (recovery sets cwnd from it)."""

    def on_timeout(self, flight: i64, now: i64) -> None:
        """Nothing was heard for the retransmission time-out; sets ssthresh and cwnd."""

    def on_idle(self, idle: i64, rto: i64) -> None:
        """Nothing was sent for longer than a retransmission time-out: what was learned of the network is old.

        RFC 5681 4.1, as Linux tcp_cwnd_restart does it: the window is halved for each time-out that has passed, down
        to the initial one.
        """
        restart = min(self.cwnd, INITIAL_WINDOW * self.mss)
        while idle > rto and self.cwnd > restart:
            self.cwnd = self.cwnd // 2
            idle -= rto
        self.cwnd = max(self.cwnd, restart)

    def on_mss(self, mss: i64) -> None:
        """The segment size changed: the path's MTU is smaller than was thought."""
        self.mss = mss
