"""Every part that is timed alone runs, and does what its name says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("benchmarks.report", reason="the benchmarks are not in an installed package")

from benchmarks import parts, time_parts
from benchmarks.parts import PARTS, SEGMENT, Part


class Untimed:
    """Stands for pytest-benchmark: runs a part as it would, a few times, and looks at no clock."""

    runs = 0

    def __call__(self, run: Callable[[], object]) -> None:
        for _ in range(3):
            run()
            self.runs += 1

    def pedantic(self, run: Callable[[], object], setup: Callable[[], object], **times: int) -> None:
        for _ in range(min(times["rounds"], 50)):
            setup()
            run()
            self.runs += 1


@pytest.mark.parametrize("name", PARTS)
def test_a_part_runs_again_and_again(name: str) -> None:
    benchmark = Untimed()
    time_parts.test_part(name, benchmark)
    assert benchmark.runs in (3, 50)


def octets_through(part: Part, pair: parts.Pair) -> int:
    """How many octets are in the receiver's buffer after one run."""
    assert part.prepare is not None
    part.prepare()
    part.run()
    return pair.receiver.queued()[0]


def test_the_segments_that_are_timed_are_single_and_full(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = parts.Pair()
    monkeypatch.setattr(parts, "Pair", lambda: pair)
    coming, going = parts.segment_in(), parts.segment_out()
    for _ in range(3):
        assert octets_through(coming, pair) == len(SEGMENT) == 1448
        assert octets_through(going, pair) == 0
        (frame,) = pair.frames(pair.client[1])
        assert len(frame) == 1500
        pair.server[1].receive([frame])

