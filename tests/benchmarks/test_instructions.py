"""Instruction counts: what valgrind's files say, and when a count has grown too much."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("benchmarks.report", reason="the benchmarks are not in an installed package")

from benchmarks import instructions, shares
from benchmarks.count import LONG, OPERATIONS, SHORT

KEPT = {operation.name: 1000 for operation in OPERATIONS}


def test_a_count_is_what_a_longer_run_takes_more() -> None:
    begin = 5_000_000  # to import everything, say
    sections = []
    for operation in OPERATIONS:
        work = operation.times * operation.parts * 700
        sections += [begin, 300 + SHORT * work, 300 + LONG * work]
    assert instructions.figures(sections) == {operation.name: 700 for operation in OPERATIONS}


def test_the_files_are_read_in_the_order_of_the_marks(tmp_path: Path) -> None:
    for number in (2, 10, 1):
        (tmp_path / f"out.{number}").write_text(f"version: 1\nevents: Ir\nsummary: {number * 100} 7\n")
    (tmp_path / "out").write_text("what came after the last mark")
    found = [instructions.summary(path) for path in instructions.dumps(tmp_path / "out")]
    assert found == [100, 200, 1000]


@pytest.mark.parametrize(("now", "good"), [(900, True), (1000, True), (1050, True), (1051, False)])
def test_a_count_may_grow_by_five_percent(now: int, good: bool) -> None:
    found = KEPT | {"round trip": now}
    lines, verdict = instructions.compare(found, KEPT)
    assert verdict == good
    (line,) = [line for line in lines if line.startswith("round trip")]
    assert ("too many more" in line) == (not good)


def test_a_count_that_was_not_kept_yet_is_shown_as_new() -> None:
    lines, good = instructions.compare({"round trip": 5}, {})
    assert good
    assert lines[0].split() == ["round", "trip", "5", "new"]


@pytest.mark.parametrize(("now", "status"), [(1000, 0), (2000, 1)])
def test_the_status_says_whether_a_count_grew(
    now: int, status: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    baseline = tmp_path / "baseline.json"
    baseline.write_text(json.dumps(KEPT))
    monkeypatch.setattr(instructions, "BASELINE", baseline)
    monkeypatch.setattr(instructions, "reason_to_skip", lambda: "")
    monkeypatch.setattr(instructions, "count", lambda: dict.fromkeys(KEPT, now))
    assert instructions.main([]) == status
    assert ("--update" in capsys.readouterr().err) == bool(status)
    assert instructions.main(["--update"]) == 0
    assert instructions.main([]) == 0  # what was kept changes only when it is asked for


def test_without_valgrind_nothing_is_counted_and_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert instructions.main([]) == 0
    assert "valgrind is not installed" in capsys.readouterr().out


def test_every_operation_has_its_count_in_the_baseline() -> None:
    assert list(json.loads(instructions.BASELINE.read_text())) == [operation.name for operation in OPERATIONS]


# ---- where they go

CALLGRIND = """\
# callgrind format
version: 1
events: Ir
ob=(1) /x/aionetflow/tcp/arrival.cpython-311-x86_64-linux-gnu.so
fl=(1) ???
fn=(1) on_segment
0 100
cob=(2) /usr/bin/python3.11
cfn=(2) PyDict_GetItem
calls=3 0
0 5000
+1 20
ob=(2)
fn=(2)
0 60
* 15
ob=(3) /x/aionetflow/_fast.cpython-311-x86_64-linux-gnu.so
fn=(3) sum
0 {sum}
totals: 200
"""


def test_shares_are_of_what_each_object_took_itself_and_a_long_run_took_more(tmp_path: Path) -> None:
    short, long = tmp_path / "out.1", tmp_path / "out.2"
    short.write_text(CALLGRIND.format(sum=5))
    assert {shares.layer(name): count for name, count in shares.by_object(short).items()} == {
        "tcp/": 120, "Python": 75, "_fast": 5,
    }  # fmt: skip
    long.write_text(CALLGRIND.format(sum=305).replace("\n0 100\n", "\n0 200\n"))
    assert shares.shares(short, long) == {"_fast": 0.75, "tcp/": 0.25}
