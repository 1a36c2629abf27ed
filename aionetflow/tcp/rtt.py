"""How long to wait for an acknowledgment (RFC 6298), in nanoseconds, with Linux's estimate of the variance.

Linux (tcp_rtt_estimator) takes the largest mean deviation within a round trip, lets it sink by a quarter per round
trip, and never below the least time-out: so RTO does not fall to SRTT on a steady path.
"""

from aionetflow.config import RTO_INITIAL, RTO_MAX, RTO_MIN
from aionetflow.tcp.sequence import seq_gt
from aionetflow.widths import i64, u32


class RttEstimator:
    """The smoothed round-trip time of one connection and the retransmission time-out that follows from it."""

    def __init__(self) -> None:
        self.srtt: i64 = 0  # 0: nothing measured yet
        self.mdev: i64 = 0  # four times the mean deviation
        self.mdev_max: i64 = 0  # the largest of this round trip
        self.rttvar: i64 = 0
        self.rtt_seq: u32 = 0  # a new round trip begins when this is acknowledged
        self.base_rto: i64 = RTO_INITIAL  # without back-off
        self.backoff = 0  # how often it was doubled since the last acknowledgment of new data

    def sample(self, rtt: i64, snd_una: u32, snd_nxt: u32) -> None:
        """Takes a measured round trip of a segment that was sent once (Karn's rule is the caller's).

        That alone ends the back-off (5.7): an acknowledgment of what was sent twice does not tell how long it took.
        """
        self.backoff = 0
        rtt = max(rtt, 1)
        if self.srtt == 0:
            self.srtt = rtt  # 2.2
            self.mdev = rtt << 1
            self.rttvar = self.mdev_max = max(self.mdev, RTO_MIN)
            self.rtt_seq = snd_nxt
        else:
            self._update(rtt)
            if seq_gt(snd_una, self.rtt_seq):
                if self.mdev_max < self.rttvar:
                    self.rttvar -= (self.rttvar - self.mdev_max) >> 2
                self.rtt_seq = snd_nxt
                self.mdev_max = RTO_MIN
        self.base_rto = min(self.srtt + self.rttvar, RTO_MAX)

    def _update(self, rtt: i64) -> None:
        """2.3; a sample that is far below the average widens the deviation by less (Linux: Eifel's variance)."""
        error = rtt - self.srtt
        self.srtt = max(self.srtt + (error >> 3), 1)
        if error < 0:
            error = -error - (self.mdev >> 2)
            if error > 0:
                error >>= 3
        else:
            error -= self.mdev >> 2
        self.mdev += error
        if self.mdev > self.mdev_max:
            self.mdev_max = self.mdev
            self.rttvar = max(self.rttvar, self.mdev)

    def rto(self) -> i64:
        """The time-out now, back-off included (5.5, bounded by 2.5)."""
        rto = self.base_rto
        for _ in range(self.backoff):
            rto = rto * 2
            if rto >= RTO_MAX:
                return RTO_MAX
        return rto
