"""The link conditions: what they make of a link, what is counted, and the table; ours alone, in virtual time."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("benchmarks.report", reason="the benchmarks are not in an installed package")

from aionetflow.clock import ManualClock
from aionetflow.link.memory import MemoryLink
from benchmarks import conditions
from benchmarks.conditions import CONDITIONS, Condition


def test_there_are_twenty_and_the_three_that_matter_are_among_them() -> None:
    assert len(set(CONDITIONS)) == 20
    wanted = {(100, 80, 0.001, 1), (100, 80, 0, 1)}
    assert wanted <= {(each.rate, each.rtt, each.loss, each.queue) for each in CONDITIONS if each.close}


def test_a_condition_makes_a_link_of_that_rate_and_round_trip() -> None:
    link = MemoryLink(ManualClock(), random.Random(1))
    Condition(100, 80, 0.001, 0.5).apply(link)
    assert (link.rate, link.delay) == (100e6, 0.04)
    assert link.queue == 500_000
    assert (link.a_to_b.loss, link.b_to_a.loss) == (0.001, 0.0)


def test_a_queue_holds_four_frames_at_the_least() -> None:
    assert Condition(1, 1, 0, 0.1).queue_octets == 4 * 1514


def test_what_arrives_after_a_third_of_the_time_counts() -> None:
    assert conditions.rates([[1_000_000, 0], [3_000_000, 1_000_000]], 12.0) == [2.0, 1.0]


def test_flows_that_share_evenly_are_not_apart() -> None:
    assert conditions.unevenness([5.0, 5.0]) == 0
    assert conditions.unevenness([9.0, 1.0]) == pytest.approx(0.8)
    assert conditions.unevenness([0.0, 0.0]) == 0


def test_our_flows_fill_a_link_and_a_run_repeats() -> None:
    condition = Condition(2, 20, 0, 2)
    first = conditions.ours(condition, 1, 3.0, 1)
    assert 1.6 < first[0] < 2.0
    assert conditions.ours(condition, 1, 3.0, 1) == first
    assert len(conditions.ours(condition, 2, 1.0, 1)) == 2


def test_the_page_shows_both_sides() -> None:
    row = {
        "condition": Condition(100, 80, 0.001, 1, True)._asdict(),
        "kernel": {"one": 50.0, "runs": [49.0, 50.0, 51.0], "two": [40.0, 40.0]},
        "ours": {"one": 45.0, "runs": [44.0, 45.0, 46.0], "two": [44.0, 36.0]},
    }
    figures = {"machine": {"cpu": "cpu", "system": "Linux", "python": "CPython", "build": "compiled"}, "rows": [row]}
    made = conditions.page(figures)
    assert "| 100 | 80 | 0.10% | 1 | 50.00 | 45.00 | 0.90 | 80.00 | 80.00 | ±0% | ±10% |" in made
    assert "kernel 49.0, 50.0, 51.0, ours 44.0, 45.0, 46.0" in made
