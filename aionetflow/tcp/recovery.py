"""What was lost, and what to send again: fast retransmit and recovery (RFC 5681 3.2, RFC 6582), time-outs (RFC 6298).

Without selective acknowledgments the sender knows one hole at a time, the one at snd_una. After a time-out it sends
again from there on as fast as the window allows, unless duplicate ACKs have shown that the peer holds data behind the
hole: then only the hole, so that nothing is sent twice that arrived once.
"""

from aionetflow.config import DUP_ACK_THRESHOLD
from aionetflow.tcp.congestion.base import CongestionControl
from aionetflow.tcp.rtt import RttEstimator
from aionetflow.tcp.sequence import seq_add, seq_geq, seq_gt, seq_lt, seq_sub
from aionetflow.widths import i64, u32

# Linux's ca_state
OPEN = 0
DISORDER = 1
RECOVERY = 3
LOSS = 4
_OPEN = OPEN
_DISORDER = DISORDER
_RECOVERY = RECOVERY
_LOSS = LOSS


class Recovery:
    """Loss detection of one connection."""

    def __init__(self, iss: u32, cc: CongestionControl, rtt: RttEstimator) -> None:
        self.cc = cc
        self.rtt = rtt
        self.state = OPEN
        self.dup_acks = 0
        self.recover: u32 = iss  # snd_nxt when the loss was seen: recovery ends when this is acknowledged
        self.rexmit_nxt: u32 = iss  # LOSS: the next octet to send again
        self.one_by_one = False  # LOSS: the peer holds data behind the hole
        self.hole_due = False  # the segment at snd_una is to be sent again now
        self.timing = False  # a round trip is being measured ...
        self.timed_seq: u32 = iss  # ... until this is acknowledged
        self.timed_at: i64 = 0

    def on_sent(self, end: u32, now: i64) -> None:
        """A segment that never was sent before has left; end is the number after its last octet."""
        if not self.timing:
            self.timing = True
            self.timed_seq = end
            self.timed_at = now

    def on_ack(self, snd_una: u32, acked: i64, flight: i64, now: i64) -> None:
        """New data was acknowledged: snd_una has moved by acked, flight is what was out before."""
        if self.timing and seq_geq(snd_una, self.timed_seq):
            self.timing = False
            self.rtt.sample(now - self.timed_at)
        if self.state == _RECOVERY:
            self._on_ack_in_recovery(snd_una, acked)
        elif self.state == _LOSS:
            self._on_ack_in_loss(snd_una, acked, flight, now)
        else:
            self.state = _OPEN
            if seq_gt(snd_una, self.recover):
                self.recover = seq_sub(snd_una, 1)  # keeps up, so that it stays behind when the numbers wrap
            self.cc.on_ack(acked, flight, now)
        self.dup_acks = 0

    def on_dup_ack(self, snd_una: u32, snd_nxt: u32, flight: i64, now: i64) -> bool:
        """An ACK repeated that snd_una is missing; True if that starts a fast retransmit."""
        self.dup_acks += 1
        if self.state == _RECOVERY:
            self.cc.cwnd += self.cc.mss  # RFC 6582 3.2 step 3: another segment has left the network
            return False
        if self.state == _LOSS:
            self.one_by_one = True
            return False
        self.state = _DISORDER
        if self.dup_acks != DUP_ACK_THRESHOLD:
            return False
        # RFC 6582 3.2 step 1: not for losses of before the last recovery
        if not seq_gt(snd_una, self.recover):
            return False
        self.cc.on_congestion(flight, now)
        self.cc.cwnd = self.cc.ssthresh + DUP_ACK_THRESHOLD * self.cc.mss
        self.state = _RECOVERY
        self.recover = snd_nxt
        self.hole_due = True
        self.timing = False  # Karn: what is sent twice is not measured
        return True

    def on_timeout(self, snd_una: u32, snd_nxt: u32, flight: i64, again: bool, now: i64) -> None:
        """Nothing was acknowledged for the retransmission time-out (RFC 6298 5.4 to 5.7), perhaps once again."""
        if again or (self.state == _RECOVERY and seq_lt(snd_una, self.recover)):
            self.cc.cwnd = self.cc.mss  # RFC 5681 3.1, Linux tcp_enter_loss: ssthresh is halved once for one loss
        else:
            self.cc.on_timeout(flight, now)
        self.rtt.backoff += 1
        self.one_by_one = self.dup_acks > 0
        self.state = _LOSS
        self.recover = snd_nxt
        self.rexmit_nxt = snd_una
        self.hole_due = False
        self.timing = False

    def window(self) -> i64:
        """How much may be in flight now: the congestion window, and on the first duplicate ACKs a little more.

        RFC 3042 (RFC 5681 3.2 step 1): each of the first two lets a new segment out, so that a third may come.
        """
        if self.state == _DISORDER and self.dup_acks < DUP_ACK_THRESHOLD:
            return self.cc.cwnd + self.dup_acks * self.cc.mss
        return self.cc.cwnd

    def retransmit_at(self, snd_una: u32) -> bool:
        """Whether something is to be sent again now; where from is in rexmit_nxt."""
        if self.hole_due:
            self.rexmit_nxt = snd_una
            return True
        if self.state != _LOSS or not seq_lt(self.rexmit_nxt, self.recover):
            return False
        if self.rexmit_nxt == snd_una:
            return True
        out = seq_sub(self.rexmit_nxt, snd_una)
        return not self.one_by_one and out + self.cc.mss <= self.cc.cwnd

    def on_resent(self, length: i64) -> None:
        """That many octets from rexmit_nxt on were sent again."""
        self.rexmit_nxt = seq_add(self.rexmit_nxt, length)
        self.hole_due = False

    def resend_all(self, snd_una: u32, snd_nxt: u32) -> None:
        """What is in flight was too long for the path: it goes again, without blame for anyone's loss."""
        self.state = _LOSS
        self.recover = snd_nxt
        self.rexmit_nxt = snd_una
        self.one_by_one = False
        self.timing = False

    def _on_ack_in_recovery(self, snd_una: u32, acked: i64) -> None:
        """RFC 6582 3.2 steps 4 and 5."""
        cc = self.cc
        if seq_geq(snd_una, self.recover):
            cc.cwnd = cc.ssthresh  # step 3, option 2, as Linux tcp_end_cwnd_reduction
            self.state = _OPEN
            self.hole_due = False  # it may have been asked for and filled in one batch
            # only holes were sent again, so duplicate ACKs from here on are news of another loss
            self.recover = seq_sub(self.recover, 1)
            return
        self.hole_due = True  # a partial acknowledgment: the next hole
        cc.cwnd = max(cc.cwnd - acked, cc.mss)
        if acked >= cc.mss:
            cc.cwnd += cc.mss

    def _on_ack_in_loss(self, snd_una: u32, acked: i64, flight: i64, now: i64) -> None:
        if seq_geq(snd_una, self.recover):
            self.state = _OPEN
        elif seq_gt(snd_una, self.rexmit_nxt):
            self.one_by_one = True  # more was acknowledged than sent again: the rest was there already
        if seq_gt(snd_una, self.rexmit_nxt):
            self.rexmit_nxt = snd_una
        # RFC 3465 2.3: after a time-out, what one ACK acknowledges may have arrived long before
        self.cc.on_ack(min(acked, self.cc.mss), flight, now)
