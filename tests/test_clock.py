"""Timers run exactly when due, in order, once."""

import math
import random
from collections.abc import Callable

import pytest

from aionetflow.clock import Clock, Due, ManualClock
from aionetflow.config import NEVER


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def note(clock: Clock, log: list[tuple[str, int]], word: str) -> Callable[[], object]:
    return lambda: log.append((word, clock.now()))


def test_timers_run_in_order_of_time_then_of_call(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []
    for word, when in ("c", 30), ("a", 10), ("b1", 20), ("b2", 20), ("b3", 20):
        clock.call_at(when, note(clock, log, word))
    assert clock.advance(1) == 5
    assert log == [("a", 10), ("b1", 20), ("b2", 20), ("b3", 20), ("c", 30)]
    assert clock.now() == 1_000_000_000


def test_advance_runs_what_is_due_at_its_end_and_nothing_later(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []
    clock.call_at(1_000, note(clock, log, "at"))
    clock.call_at(1_001, note(clock, log, "after"))
    assert clock.advance_to(999) == 0
    assert clock.advance_to(1_000) == 1
    assert log == [("at", 1_000)]
    assert clock.next_deadline() == 1_001


def test_a_timer_set_by_a_timer_runs_in_the_same_advance(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []
    clock.call_at(10, lambda: clock.call_at(25, note(clock, log, "child")))
    assert clock.advance_to(100) == 2
    assert log == [("child", 25)]


def test_a_time_that_has_passed_is_due_now_and_time_does_not_go_back(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []
    clock.advance_to(50)
    clock.call_at(10, note(clock, log, "late"))
    assert clock.run() == 1
    assert log == [("late", 50)]


def test_call_soon_never_calls_back_before_it_returns(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []

    def outer() -> None:
        clock.call_soon(note(clock, log, "inner"))
        log.append(("outer", clock.now()))

    clock.call_soon(outer)
    assert log == []
    assert clock.run() == 2
    assert log == [("outer", 0), ("inner", 0)]


def test_cancelled_timers_do_not_run_and_do_not_count(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []
    first = clock.call_at(10, note(clock, log, "first"))
    second = clock.call_at(20, note(clock, log, "second"))
    first.cancel()
    first.cancel()
    assert clock.next_deadline() == second.when == 20
    assert clock.advance_to(30) == 1
    second.cancel()
    assert clock.next_deadline() == NEVER
    assert log == [("second", 20)]


def test_a_timer_can_cancel_its_neighbour(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []

    def first() -> None:
        neighbour.cancel()

    clock.call_at(10, first)
    neighbour = clock.call_at(10, note(clock, log, "neighbour"))
    assert clock.advance_to(20) == 1
    assert log == []


def test_many_cancelled_timers_leave_the_others_in_order(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []
    times = random.Random(1).sample(range(1, 5000), 1000)
    timers = [clock.call_at(when, note(clock, log, str(when))) for when in times]

    def cancel_most() -> None:
        for n, timer in enumerate(timers):
            if n % 20:
                timer.cancel()

    clock.call_at(0, cancel_most)
    assert clock.advance_to(5000) == 51
    assert log == [(str(when), when) for when in sorted(times[::20])]


def test_a_timer_for_never_is_not_kept(clock: ManualClock) -> None:
    clock.call_at(NEVER, lambda: pytest.fail("never came")).cancel()
    assert clock.next_deadline() == NEVER
    assert clock.run_timers(NEVER) == 0
    assert clock.now() == 0


def test_run_timers_stops_at_its_limit_and_goes_on(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []
    for n in range(5):
        clock.call_at(n, note(clock, log, str(n)))
    assert clock.run_timers(10, limit=2) == 2
    assert clock.now() == 1
    assert clock.run_timers(10, limit=100) == 3
    assert [when for _, when in log] == [0, 1, 2, 3, 4]
    assert clock.now() == 10


def test_an_exception_reaches_the_caller_and_the_rest_stays(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []

    def fail() -> None:
        raise ZeroDivisionError

    clock.call_at(10, fail)
    clock.call_at(10, note(clock, log, "rest"))
    with pytest.raises(ZeroDivisionError):
        clock.advance_to(20)
    assert clock.advance_to(20) == 1
    assert log == [("rest", 10)]


@pytest.mark.parametrize("move", [lambda c: c.run(), lambda c: c.advance(1), lambda c: c.advance_to(9)])
def test_a_callback_cannot_move_the_clock(clock: ManualClock, move: Callable[[ManualClock], int]) -> None:
    clock.call_soon(lambda: move(clock))
    with pytest.raises(RuntimeError, match="cannot move the clock"):
        clock.run()
    assert clock.now() == 0


def test_callbacks_without_end_at_one_instant_are_an_error(clock: ManualClock) -> None:
    def again() -> None:
        clock.call_soon(again)

    clock.call_soon(again)
    with pytest.raises(RuntimeError, match="at one instant"):
        clock.run()


def test_run_until_idle_jumps_from_deadline_to_deadline(clock: ManualClock) -> None:
    log: list[tuple[str, int]] = []
    clock.call_at(5, lambda: clock.call_at(3_000_000_000, note(clock, log, "end")))
    assert clock.run_until_idle()
    assert log == [("end", 3_000_000_000)]
    assert clock.now() == 3_000_000_000


def test_run_until_idle_stops_at_its_limit(clock: ManualClock) -> None:
    beats: list[int] = []

    def beat() -> None:
        beats.append(clock.now())
        clock.call_at(clock.now() + 400_000_000, beat)

    clock.call_soon(beat)
    assert not clock.run_until_idle(limit_seconds=1.0)
    assert beats == [0, 400_000_000, 800_000_000]
    assert clock.now() == 1_000_000_000


@pytest.mark.parametrize("seconds", [-1, math.nan, math.inf, 1e300])
def test_time_goes_forwards_and_stays_finite(clock: ManualClock, seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds must be finite and not negative"):
        clock.advance(seconds)
    clock.advance(1)
    with pytest.raises(ValueError, match="time goes forwards"):
        clock.advance_to(0)


class Posted(Due):
    """Notes when it is run; posts another, if it was given one."""

    def __init__(self, clock: Clock, log: list[str], word: str, then: "Posted | None" = None) -> None:
        super().__init__(self.run)
        self.clock, self.log, self.word, self.then = clock, log, word, then

    def run(self) -> None:
        self.log.append(self.word)
        if self.then is not None:
            self.clock.post(self.then)


def test_what_is_posted_runs_among_timers_in_order_of_time_then_of_call(clock: ManualClock) -> None:
    log: list[str] = []
    clock.call_at(0, lambda: log.append("timer before"))
    clock.post(Posted(clock, log, "posted"))
    clock.call_soon(lambda: log.append("timer after"))
    clock.call_at(-5, lambda: log.append("timer long due"))
    assert clock.next_deadline() == -5
    assert clock.run() == 4
    assert log == ["timer long due", "timer before", "posted", "timer after"]
    assert clock.next_deadline() == NEVER


def test_what_is_posted_by_what_was_posted_runs_in_the_same_run_up_to_the_limit(clock: ManualClock) -> None:
    log: list[str] = []
    clock.post(Posted(clock, log, "one", Posted(clock, log, "two", Posted(clock, log, "three"))))
    assert clock.run_timers(0, limit=2) == 2
    assert log == ["one", "two"]
    assert clock.next_deadline() == 0
    assert clock.run() == 1
    assert log == ["one", "two", "three"]


def test_what_is_posted_twice_runs_once_and_can_be_posted_again(clock: ManualClock) -> None:
    log: list[str] = []
    due = Posted(clock, log, "x")
    clock.post(due)
    clock.post(due)
    assert clock.run() == 1
    clock.advance(1)
    clock.post(due)
    assert clock.next_deadline() == 1_000_000_000
    assert clock.run() == 1
    assert log == ["x", "x"]


def test_what_is_posted_and_fails_is_raised_and_the_rest_stays(clock: ManualClock) -> None:
    def fail() -> None:
        raise ValueError("broken")

    log: list[str] = []
    clock.post(Due(fail))
    clock.post(Posted(clock, log, "after"))
    with pytest.raises(ValueError, match="broken"):
        clock.run()
    assert clock.run() == 1
    assert log == ["after"]
