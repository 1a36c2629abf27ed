"""What `make bench-parts` runs: the time of each part, by pytest-benchmark."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.parts import PARTS

RUNS = 5_000  # of a part that must be prepared for each


@pytest.mark.parametrize("name", PARTS)
def test_part(name: str, benchmark: Any) -> None:
    part = PARTS[name]()
    try:
        if part.prepare is None:
            benchmark(part.run)
        else:
            benchmark.pedantic(part.run, setup=part.prepare, rounds=RUNS, warmup_rounds=RUNS // 10)
    finally:
        part.close()
