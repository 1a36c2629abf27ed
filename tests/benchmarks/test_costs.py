"""How costs grow: the shape, by counting lines of Python that are run and not by a clock; and the tables.

Lines are counted in a process of its own, on the pure build, where all that is done is lines of Python. What a loop in
C would add is not seen; the tables of the documentation are of time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("benchmarks.report", reason="the benchmarks are not in an installed package")

import support.pure.sitecustomize as pure
from benchmarks import costs, growth
from benchmarks.instructions import BASELINE
from benchmarks.measure import DISTURBING, ROOT
from support.build import only_on_the_fastest_build, only_on_the_pure_build

COUNT = """
import asyncio, sys
import aionetflow
from aionetflow.config import NEVER
from benchmarks import growth

async def lines(opened, size, operations):
    found = 0
    def local(frame, event, argument):
        nonlocal found
        found += event == "line"
        return local
    def count(frame, event, argument):
        return local
    asyncio.get_running_loop()._looked = NEVER  # how often it asks the kernel is a matter of real time
    async with opened(size) as (work, _):
        await work(operations)
        sys.settrace(count)
        await work(operations)
        sys.settrace(None)
    return found / operations

name, size, operations = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print(aionetflow.run(lines(growth.OPENED[name], size, operations), time="virtual", seed=1))
"""


@cache
def lines(name: str, size: int, operations: int) -> float:
    """The lines of Python that one operation takes at that size."""
    environment = {key: value for key, value in os.environ.items() if key not in DISTURBING}
    environment |= {"AIONETFLOW_PURE": "1", "PYTHONPATH": str(Path(pure.__file__).parent)}
    command = [sys.executable, "-c", COUNT, name, str(size), str(operations)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@only_on_the_pure_build
def test_lines_are_counted_and_their_number_is_the_same_in_every_run() -> None:
    assert lines("connections in turn", 1, 30) > 100
    assert lines("connections in turn", 1, 30) == lines.__wrapped__("connections in turn", 1, 30)


@only_on_the_pure_build
@pytest.mark.parametrize("many", [10, 300])
def test_a_message_costs_the_same_however_many_connections_there_are(many: int) -> None:
    assert lines("connections in turn", many, 100) < 1.1 * lines("connections in turn", 1, 100)


@only_on_the_pure_build
def test_a_message_costs_no_more_when_all_connections_speak_at_once() -> None:
    assert lines("connections at once", 100, 100) < 1.1 * lines("connections at once", 10, 100)


@only_on_the_pure_build
def test_a_message_costs_the_same_however_many_hosts_there_are() -> None:
    assert lines("hosts", 30, 60) < 1.1 * lines("hosts", 2, 60)


@only_on_the_pure_build
@pytest.mark.parametrize("place", ["lo", "link-1500"])
def test_an_octet_costs_the_same_however_long_the_stream_is(place: str) -> None:
    short, long = (lines(f"octets {place}", size, size) for size in (1 << 18, 1 << 20))
    assert long < 1.1 * short


# ---- the tables


def test_every_table_names_what_is_measured_and_sizes_that_grow() -> None:
    assert {one.name for one in costs.GROWTHS} | {"delay"} == set(growth.GROWTHS)
    for one in costs.GROWTHS:
        assert list(one.sizes) == sorted(one.sizes)
        assert one.why.endswith(".")


def test_every_operation_that_is_counted_has_its_reason() -> None:
    assert set(costs.OPERATIONS_WHY) >= set(json.loads(BASELINE.read_text()))


def scripted(name: str, size: int, quick: bool) -> Any:
    """What growth.py would have measured."""
    if name == "delay":
        return {"goodput": 10e6, "share": 10e6 / (size * 1e6), "retransmitted": 0, "send": 500_000, "receive": 500_000}
    return [2e-6 + size * 1e-9, 4e-6]


def test_the_tables_say_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "_run", scripted)
    measured = json.loads(json.dumps(costs.measure(quick=False, rounds=2)))
    text = costs.markdown(measured)
    assert "| µs | 2 | 2.01 | 2.1 | 3 | 4 |" in text
    assert "| against the first | x1.00 | x1.00 | x1.05 | x1.50 | x2.00 |" in text
    assert "| 100 | 10.0 | 10% | 2,500 | 250 | 250 | 250 |" in text
    assert "64 KiB | 1 MiB | 16 MiB | 256 MiB | 1 GiB" in text


@only_on_the_fastest_build
def test_a_quick_run_measures_and_writes_the_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "made" / "costs.json"
    assert costs.main(["--quick", "--json", str(path)]) == 0
    read = json.loads(path.read_text())
    assert [table["name"] for table in read["growths"]] == [one.name for one in costs.GROWTHS]
    assert all(row["best"] > 0 for table in read["growths"] for row in table["rows"])
    (delay,) = read["delays"]
    assert 0 < delay["share"] <= 1
    assert costs.markdown(read) in capsys.readouterr().out
