"""The replay window against what it stands for: the set of all counters that have come (RFC 6479)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aionetflow.tunnel.sealing.replay import WINDOW, ReplayWindow

# Runs of counters, relative to one after the greatest so far: back into the window, behind it, and far ahead.
RUNS = st.lists(
    st.tuples(st.integers(-WINDOW - 200, 200) | st.integers(0, 4 * WINDOW), st.integers(1, 200) | st.just(WINDOW)),
    max_size=30,
)


@given(RUNS, st.lists(st.integers(0, 2 * WINDOW), max_size=50))
def test_a_counter_is_seen_once_it_came_and_late_when_it_left_the_window(
    runs: list[tuple[int, int]], looks: list[int]
) -> None:
    window, came = ReplayWindow(), set[int]()
    for ahead, length in runs:
        first = max(window.next + ahead, window.next - WINDOW, 0)
        window.mark(first, first + length - 1)
        came.update(range(first, first + length))
        assert window.next == max(came) + 1
    for back in looks:
        counter = window.next + WINDOW // 2 - back
        if counter >= 0:
            assert window.late(counter) == (counter < window.next - WINDOW)
            assert window.late(counter) or window.seen(counter) == (counter in came)


def test_the_window_holds_more_than_a_few_batches() -> None:
    window = ReplayWindow()
    window.mark(10_000, 10_000)
    assert WINDOW >= 2048
    assert not window.late(10_001 - WINDOW)
    assert not window.seen(10_001 - WINDOW)
    assert window.late(10_000 - WINDOW)


def test_a_jump_over_the_whole_window_forgets_all_that_was_before() -> None:
    window = ReplayWindow()
    window.mark(0, WINDOW - 1)
    window.mark(5 * WINDOW, 5 * WINDOW)
    assert [counter for counter in range(4 * WINDOW + 1, 5 * WINDOW + 2) if window.seen(counter)] == [5 * WINDOW]
