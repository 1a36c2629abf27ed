"""How long to wait for an acknowledgment (RFC 6298), in nanoseconds."""

from aionetflow.config import RTO_INITIAL, RTO_MAX, RTO_MIN
from aionetflow.widths import i64


class RttEstimator:
    """The smoothed round-trip time of one connection and the retransmission time-out that follows from it."""

    def __init__(self) -> None:
        self.srtt: i64 = 0  # 0: nothing measured yet
        self.rttvar: i64 = 0
        self.base_rto: i64 = RTO_INITIAL  # without back-off
        self.backoff = 0  # how often it was doubled since the last acknowledgment of new data

    def sample(self, rtt: i64) -> None:
        """Takes a measured round trip of a segment that was sent once (Karn's rule is the caller's).

        That alone ends the back-off (5.7): an acknowledgment of what was sent twice does not tell how long it took.
        """
        self.backoff = 0
        rtt = max(rtt, 1)
        if self.srtt == 0:
            self.srtt = rtt  # 2.2
            self.rttvar = rtt >> 1
        else:
            # 2.3: RTTVAR before SRTT, from the old SRTT
            self.rttvar += (abs(self.srtt - rtt) - self.rttvar) >> 2
            self.srtt += (rtt - self.srtt) >> 3
        # Linux tcp_set_rto: the minimum is one of the variance, so that RTO is never below SRTT + 200 ms
        self.base_rto = min(self.srtt + max(4 * self.rttvar, RTO_MIN), RTO_MAX)

    def rto(self) -> i64:
        """The time-out now, back-off included (5.5, bounded by 2.5)."""
        rto = self.base_rto
        for _ in range(self.backoff):
            rto = rto * 2
            if rto >= RTO_MAX:
                return RTO_MAX
        return rto
