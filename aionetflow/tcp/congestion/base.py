"""What a congestion control is asked, and how one is chosen by name (TCP_CONGESTION, net.ipv4.tcp_congestion_control).

    >>> class Half(CongestionControl):
    ...     name = "half"
    ...     def on_ack(self, acked, rtt, now):
    ...         self.cwnd += self.mss * acked // self.cwnd // 2     # half as fast as Reno
    >>> register(Half)
    >>> create("half").name
    'half'

All sizes are in octets, times in nanoseconds. Losses, their repair and the way down to ssthresh (RFC 6937) are the
connection's business (tcp/recovery.py); an algorithm says how the window grows and how far it falls.
"""

import errno
from collections.abc import Callable

from aionetflow.config import INITIAL_WINDOW
from aionetflow.errors import os_error
from aionetflow.widths import i64

INFINITE = 0x7FFFFFFF  # Linux TCP_INFINITE_SSTHRESH
_kinds: "dict[str, Callable[[], CongestionControl]]" = {}


class CongestionControl:
    """A window that stays as it is, and the hooks that an algorithm overrides.

    The connection calls the hooks; what an algorithm decides it writes into cwnd and ssthresh. One that sets `paces` in
    __init__ has data leave at a rate (tcp/pacing.py): that of `pacing_rate`, which it may change at any time, or while
    that is 0 a rate that follows from cwnd and the round trip. SO_MAX_PACING_RATE limits both.
    """

    name = "fixed"

    def __init__(self) -> None:
        self.mss: i64 = 0
        self.cwnd: i64 = 0  # what may be in flight
        self.ssthresh: i64 = INFINITE  # below it: slow start
        self.limited = False  # the window, and not the application, is what limits the connection
        self.rounds: i64 = 0  # round trips so far
        self.paces = False  # data are to leave at a rate (Linux SK_PACING_NEEDED), as BBR's do
        self.pacing_rate: i64 = 0  # octets per second; 0: what the window and the round trip make it
        self.keeps_window = False  # cwnd is the algorithm's alone: it is not reduced at a loss (Linux cong_control)

    def start(self, mss: i64) -> None:
        """The connection is open and the segment size known."""
        self.mss = mss
        self.cwnd = self.initial_window()

    def on_ack(self, acked: i64, rtt: i64, now: i64) -> None:
        """So many octets have arrived and the window is not being reduced; rtt is a new round-trip time, or 0.

        `limited` says whether the window is what limits the connection: one that is not used should not grow.
        """

    def on_loss(self, now: i64) -> i64:
        """Congestion was seen, by a loss, a mark or a time-out: returns the new ssthresh."""
        return self.cwnd

    def on_timeout(self, now: i64) -> None:
        """A retransmission time-out, after `on_loss`: what was learned of the network is old, cwnd falls to one."""

    def undo(self, prior_cwnd: i64) -> i64:
        """The last reduction was needless: returns the window, given that of before."""
        return prior_cwnd

    def on_restart(self, idle: i64, now: i64) -> None:
        """Sends again after having been idle, with nothing in flight."""

    def on_mss(self, mss: i64) -> None:
        """The segment size changed: the path's MTU is smaller than was thought."""
        self.mss = mss

    def initial_window(self) -> i64:
        """RFC 6928."""
        return INITIAL_WINDOW * self.mss

    def slow_start(self, acked: i64) -> i64:
        """RFC 5681 3.1, by what was acknowledged (RFC 3465 without its limit): returns what is left beyond ssthresh."""
        grown = min(self.cwnd + acked, self.ssthresh)
        rest = acked - (grown - self.cwnd)
        self.cwnd = grown
        return rest


def register(kind: "type[CongestionControl]") -> None:
    """Makes an algorithm known by its name, for TCP_CONGESTION and net.ipv4.tcp_congestion_control."""
    _kinds[kind.name] = kind


def create(name: str) -> CongestionControl:
    """An algorithm's state for one connection; OSError ENOENT if there is none of that name."""
    kind = _kinds.get(name)
    if kind is None:
        raise os_error(errno.ENOENT)
    return kind()


def available() -> list[str]:
    """The names (net.ipv4.tcp_available_congestion_control)."""
    return list(_kinds)
