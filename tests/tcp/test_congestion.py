"""How the window grows and shrinks: CUBIC and HyStart++, choosing and writing an algorithm (RFC 9438, RFC 9406)."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aionetflow.socket.options import IPPROTO_TCP, TCP_CONGESTION
from aionetflow.tcp.congestion import CongestionControl, available, create, register
from aionetflow.tcp.congestion.cubic import Cubic, cube_root
from support.fixtures import established
from support.modern import Peer
from support.rules import rule
from support.script import ACK, MSS

SECOND = 1_000_000_000
MS = 1_000_000


def cubic(cwnd: int, ssthresh: int | None = None) -> Cubic:
    """CUBIC with a window of so many segments of 1000 octets, which limits the connection."""
    cc = Cubic()
    cc.start(1000)
    cc.cwnd = cwnd * 1000
    cc.limited = True
    if ssthresh is not None:
        cc.ssthresh = ssthresh * 1000
    return cc


def run(cc: Cubic, seconds: float, rtt: float, start: int = 1) -> list[int]:
    """Acknowledges one window per round trip, in segments; returns the window after each, in segments."""
    windows = []
    now = start
    end = start + round(seconds * SECOND)
    while now < end:
        now += round(rtt * SECOND)
        cc.rounds += 1
        for _ in range(cc.cwnd // 1000):
            cc.on_ack(1000, round(rtt * SECOND), now)
        windows.append(cc.cwnd // 1000)
    return windows


@rule("RFC 9438 4.6", "At a loss the window falls to seven tenths", code="tcp/congestion/cubic.py")
def test_a_loss_takes_three_tenths() -> None:
    assert cubic(100).on_loss(0) == 70 * 1000


@rule("RFC 9438 4.6", "... but never below two segments", code="tcp/congestion/cubic.py")
def test_two_segments_are_the_least() -> None:
    assert cubic(2).on_loss(0) == 2000


@rule(
    "RFC 9438 4.7",
    "A second loss before the old window is reached gives more room to others",
    code="tcp/congestion/cubic.py",
)
def test_fast_convergence() -> None:
    cc = cubic(100)
    cc.on_loss(0)
    assert cc.w_max == 100
    cc.cwnd = 80_000
    cc.on_loss(0)
    assert cc.w_max == 80 * (1024 + 717) // 2048


@rule(
    "RFC 9438 4.2",
    "The window is back at the old one after K seconds, and flat about there",
    code="tcp/congestion/cubic.py",
)
def test_the_window_follows_the_cubic_function() -> None:
    cc = cubic(1000)
    cc.cwnd = cc.ssthresh = cc.on_loss(1)
    windows = run(cc, 20, 0.1)
    k = (1000 * 0.3 / 0.4) ** (1 / 3)  # equation 2: 9.1 s
    there = windows[round(k / 0.1)]
    assert 960 <= there <= 1010
    early = windows[20] - windows[0]
    middle = windows[round(k / 0.1) + 10] - windows[round(k / 0.1) - 10]
    late = windows[-1] - windows[-21]
    assert middle < early
    assert middle < late
    for step, got in enumerate(windows[::20]):
        time = 0.1 * (20 * step + 1)
        assert got == pytest.approx(0.4 * (time - k) ** 3 + 1000, rel=0.05)


@rule("RFC 9438 4.3", "On short round trips it is never slower than Reno", code="tcp/congestion/cubic.py")
def test_it_is_friendly_to_reno() -> None:
    cc = cubic(20)
    cc.cwnd = cc.ssthresh = cc.on_loss(1)
    windows = run(cc, 1, 0.01)
    assert windows[-1] >= 14 + 0.5 * 100  # Reno-friendly alpha is 0.53 segments per round trip


@rule(
    "RFC 9406 4.2",
    "Slow start slows down when the round trips of a round grow by an eighth",
    code="tcp/congestion/cubic.py",
)
def test_longer_round_trips_begin_conservative_slow_start() -> None:
    cc = cubic(100)
    run(cc, 0.1, 0.1)
    doubled = cc.cwnd
    assert doubled == 200_000
    for _ in range(2):
        cc.rounds += 1
        for _ in range(20):
            cc.on_ack(1000, 120 * MS, 300 * MS)
    assert cc.css_baseline == 120 * MS
    grown = cc.cwnd
    for _ in range(40):
        cc.on_ack(1000, 120 * MS, 300 * MS)
    assert cc.cwnd - grown == 10_000  # a quarter


@rule("RFC 9406 4.2", "Eight round trips of a round are enough to tell", code="tcp/congestion/cubic.py")
def test_eight_samples_are_enough() -> None:
    cc = cubic(100)
    run(cc, 0.1, 0.1)
    cc.rounds += 1
    for count in range(1, 9):
        cc.on_ack(1000, 120 * MS, 300 * MS)
        assert (cc.css_baseline > 0) == (count == 8)


@rule("RFC 9406 4.2", "After five such rounds slow start is over", code="tcp/congestion/cubic.py")
def test_five_rounds_of_conservative_slow_start_end_it() -> None:
    cc = cubic(10)
    run(cc, 0.1, 0.1)
    run(cc, 0.9, 0.12)
    assert cc.ssthresh <= cc.cwnd
    assert cc.css_baseline == 0


@rule(
    "RFC 9406 4.2",
    "If the round trips are short again, it was jitter: slow start goes on",
    code="tcp/congestion/cubic.py",
)
def test_shorter_round_trips_resume_slow_start() -> None:
    cc = cubic(100)
    run(cc, 0.1, 0.1)
    run(cc, 0.1, 0.13)
    assert cc.css_baseline
    run(cc, 0.1, 0.1)
    assert cc.css_baseline == 0
    assert cc.cwnd < cc.ssthresh


@rule("RFC 9438 4.2", "A window that is not used does not grow", code="tcp/congestion/cubic.py")
def test_an_unused_window_does_not_grow() -> None:
    cc = cubic(100)
    cc.limited = False
    cc.on_ack(1000, 10 * MS, 1)
    assert cc.cwnd == 100_000


def test_what_was_acknowledged_before_a_loss_does_not_count_after_it() -> None:
    """RFC 9438 4.3: what a Reno flow would have is reckoned from the last reduction on."""
    cc = cubic(10, ssthresh=10)
    for _ in range(9):
        cc.on_ack(1000, 100 * MS, SECOND)
    cc.cwnd = cc.ssthresh = cc.on_loss(SECOND)
    cc.on_ack(1000, 100 * MS, 2 * SECOND)
    assert cc.acked == 1000


@given(st.integers(0, (1 << 62)))
def test_cube_roots_are_right(value: int) -> None:
    root = cube_root(value)
    assert root**3 <= value < (root + 1) ** 3


# Choosing one -----------------------------------------------------------------------------------------------------


def test_cubic_is_the_default_and_the_host_may_choose() -> None:
    script = established()
    assert script.sock.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 16) == b"cubic".ljust(16, b"\0")
    script.stack.sysctl.tcp_congestion_control = "reno"
    other = script.stack.socket()
    assert other.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 16) == b"reno".ljust(16, b"\0")
    assert {"cubic", "reno"} <= set(available())


def test_an_unknown_name_is_refused() -> None:
    script = established()
    with pytest.raises(FileNotFoundError) as failure:
        script.sock.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b"vegas")
    assert failure.value.errno == errno.ENOENT


def test_a_connection_that_changes_goes_on_from_its_window() -> None:
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    peer.acks(10)
    connection = peer.script.sock.connection
    assert connection is not None
    before = connection.recovery.cc.cwnd
    assert before == 20 * MSS
    peer.script.sock.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b"cubic")
    assert (connection.recovery.cc.name, connection.recovery.cc.cwnd) == ("cubic", before)


class Steady(CongestionControl):
    """Whatever happens, four segments."""

    name = "steady"

    def start(self, mss: int) -> None:
        self.mss = mss
        self.cwnd = 4 * mss
        self.keeps_window = True


def test_an_algorithm_in_a_few_lines_of_python_is_used() -> None:
    register(Steady)
    assert isinstance(create("steady"), Steady)
    script = established()
    script.sock.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b"steady")
    connection = script.sock.connection
    assert connection is not None
    connection.recovery.cc.start(MSS)
    script.sock.send(bytes(20 * MSS))
    assert len(script.drain()) == 4
    script.sends(ACK)
    assert len(script.drain()) == 4


def test_the_acknowledgments_of_one_window_are_one_round_trip() -> None:
    peer = Peer()
    connection = peer.script.sock.connection
    assert connection is not None
    peer.sends(8)
    rounds = []
    for acked in range(1, 9):
        peer.acks(acked)
        rounds.append(connection.recovery.cc.rounds)
    assert rounds == [rounds[0]] * 8
    peer.sends(1)
    peer.acks(9)
    assert connection.recovery.cc.rounds == rounds[0] + 1


# The use of it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("used", "then"), [(10, 20), (6, 16), (5, 10), (4, 10)])
@rule("RFC 7661 4.3", "A window that is used grows; in slow start if it is by more than half", code="tcp/recovery.py")
def test_in_slow_start_more_than_half_of_the_window_must_be_used(used: int, then: int) -> None:
    peer = Peer()
    peer.sends(used)
    peer.script.after(0.1)
    peer.acks(used)
    assert len(peer.sends(40)) == then


@rule("RFC 7661 4.5", "A window that was not used for a round trip or more wears off", code="tcp/recovery.py")
def test_a_window_larger_than_what_is_used_wears_off() -> None:
    peer = Peer()
    peer.sends(60)
    acked, sent = 0, 10
    while acked < 60:
        acked += 1
        sent += len(peer.acks(acked))
    connection = peer.script.sock.connection
    assert connection is not None
    large = connection.recovery.cc.cwnd
    for _ in range(40):  # a segment at a time, often: the connection is not idle
        peer.script.after(0.1)
        peer.sends(1)
        acked += 1
        peer.acks(acked)
    assert connection.recovery.cc.cwnd < large // 2
