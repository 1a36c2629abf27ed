"""The harness of the benchmarks: its arithmetic, its JSON, and one quick run for real."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("benchmarks.report", reason="the benchmarks are not in an installed package")

import aionetflow
from benchmarks import goals, page, plot, report
from benchmarks.contenders import CONTENDERS, LOOPS, OWN, PEERS, PLACE_TITLES, Contender, available_loops
from benchmarks.measure import ROOT, BenchmarkError, Table, measure, run_in_process, with_references
from benchmarks.places import PLACES
from benchmarks.workloads import WORKLOADS, Workload
from support.build import only_on_the_fastest_build

ROUND_TRIP = WORKLOADS[0]
THEIRS = Contender("kernel", "streams", "asyncio")
OURS = Contender("link-1500", "coroutines", OWN)
MACHINE: dict[str, object] = {
    "cpu": "a cpu", "cores": 2, "system": "Linux", "python": "CPython 3.11", "uvloop": None, "aionetflow": "0",
    "build": "pure",
}  # fmt: skip


class Script:
    """Runs whose costs are given, in the order in which they are asked for."""

    def __init__(self, *costs: list[float]) -> None:
        self.costs = list(costs)
        self.asked: list[Contender] = []

    def __call__(self, workload: Workload, contender: Contender) -> list[float]:
        self.asked.append(contender)
        return self.costs.pop(0)


def silent(workload: Workload, contender: Contender) -> None:
    """No progress shown."""


def scripted(*costs: list[float], workload: Workload = ROUND_TRIP) -> Table:
    """Tables of theirs and ours, four runs to a round: theirs, ours, ours, theirs."""
    (table,) = measure([workload], [THEIRS, OURS], len(costs) // 4, Script(*costs), silent)
    return table


# ---- arithmetic


def test_a_round_goes_there_and_back() -> None:
    script = Script(*[[1.0]] * 4)
    measure([ROUND_TRIP], [THEIRS, OURS], 1, script, silent)
    assert script.asked == [THEIRS, OURS, OURS, THEIRS]


def test_a_rounds_figure_is_the_mean_of_its_two_runs_and_best_the_least_of_all() -> None:
    theirs, ours = scripted([9.0, 7.0, 8.0], [2.0], [4.0], [10.0]).rows
    assert (theirs.rounds, theirs.best) == ([9.0], 7.0)
    assert (ours.rounds, ours.best) == ([3.0], 2.0)


def test_a_ratio_is_the_median_of_the_ratios_within_the_rounds() -> None:
    # The machine is ten times slower in the second round, which must not show.
    table = scripted(
        [4.0], [2.0], [2.0], [4.0],
        [50.0], [20.0], [20.0], [50.0],
        [9.0], [3.0], [3.0], [9.0],
    )  # fmt: skip
    theirs, ours = table.rows
    assert table.ratios(ours) == {"asyncio": (2.5, 2.0, 3.0)}
    assert table.ratios(theirs) == {}


def test_costs_are_shown_in_the_workloads_unit() -> None:
    round_trip, throughput = (one for one in WORKLOADS if one.name in ("round-trip", "throughput"))
    assert round_trip.shown(54e-6) == pytest.approx(54)
    assert throughput.shown(262144 / 2.5e9) == pytest.approx(2.5)  # 2.5 GB/s in blocks of 256 KiB


def test_every_workload_suits_our_own_loop_and_what_it_is_compared_with() -> None:
    for workload in WORKLOADS:
        suited = [contender for contender in CONTENDERS if workload.suits(contender)]
        assert any(contender.loop == OWN for contender in suited)
        assert all(contender.reference(loop) in suited for contender in suited for loop in LOOPS)


def test_a_contender_is_measured_beside_its_like_in_the_kernel_on_each_loop() -> None:
    references = [Contender("kernel", "streams", loop) for loop in available_loops()]
    assert with_references([OURS]) == [*references, OURS]


def test_every_contender_has_its_place_style_loop_and_references() -> None:
    for contender in CONTENDERS:
        assert contender.place in PLACES
        assert contender.place in PLACE_TITLES
        assert contender.loop in (*LOOPS, OWN)
        assert contender.style in PEERS
        for loop in LOOPS:
            assert contender.reference(loop) in CONTENDERS


# ---- goals

UVLOOP, OWN_LO = Contender("kernel", "protocols", "uvloop"), Contender("lo", "protocols", OWN)


def measured(workload: Workload, reference: float, ours: float) -> Table:
    """A table of one round: uvloop on the kernel, and our own loop on lo."""
    (table,) = measure([workload], [UVLOOP, OWN_LO], 1, Script([reference], [ours], [ours], [reference]), silent)
    return table


@pytest.mark.parametrize(("ours", "share"), [(2e-6, 1.25), (2.5e-6, 1.0), (5e-6, 0.5)])
def test_a_goal_is_met_by_a_ratio_that_is_large_enough(ours: float, share: float) -> None:
    (verdict,) = goals.verdicts([measured(ROUND_TRIP, 10e-6, ours)])
    assert (verdict.goal.title, verdict.place, verdict.wanted) == ("round trip, Protocol", "lo", ">= x4")
    assert verdict.share == pytest.approx(share)
    assert verdict.met == (share >= 1)


def test_a_goal_may_be_a_figure_that_is_not_to_be_exceeded() -> None:
    (memory,) = (workload for workload in WORKLOADS if workload.name == "memory")
    (verdict,) = goals.verdicts([measured(memory, 9_000, 8_000)])
    assert (verdict.wanted, verdict.measured, verdict.share) == ("<= 4", "8.00", 0.5)


def test_every_goal_names_contenders_and_workloads_that_there_are() -> None:
    workloads = {workload.name: workload for workload in WORKLOADS}
    for goal in goals.GOALS:
        for place in goal.places:
            for loop in (*LOOPS, OWN):  # those of others stand beside it
                contender = Contender(place, goal.style, loop)
                assert contender in CONTENDERS
                assert workloads[goal.workload].suits(contender)


def test_the_table_says_how_far_a_goal_is_from_being_met() -> None:
    text = report.text([measured(ROUND_TRIP, 10e-6, 5e-6)], MACHINE)
    line, again = (line for line in text.splitlines() if "round trip, Protocol" in line)
    assert line.split()[-9:] == [">=", "x4", "x2.00", "50%", "of", "it,", "short", "by", "x2.00"]
    assert again.split()[-7:] == ["127.0.0.1:", "50%", "of", "it,", "short", "by", "x2.00"]


def test_a_row_that_misses_its_goal_says_what_bounds_it_and_others_stand_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    title, counted = "round trip, Protocol", {"instructions": 30_000, "shares": {"Python": 0.4, "tcp/": 0.25}}
    monkeypatch.setattr(goals, "bounds", lambda: {title: {"lo": "two calls to Python"}})
    monkeypatch.setattr(goals, "measured_shares", lambda: {title: {"lo": counted}})
    why = "two calls to Python (30,000 instructions: Python 40%, tcp/ 25%)"
    attached = Contender("lo", "protocols", "uvloop")
    script = Script([10e-6], [8e-6], [5e-6], [5e-6], [8e-6], [10e-6])
    (table,) = measure([ROUND_TRIP], [UVLOOP, attached, OWN_LO], 1, script, silent)
    (verdict,) = goals.verdicts([table])
    assert (verdict.beside, verdict.bound) == ({"uvloop": "x1.25"}, why)
    text = report.text([table], MACHINE)
    assert f"      {why}" in text.splitlines()
    assert "x1.25" in next(line for line in text.splitlines() if "50% of it" in line)
    (goal,) = json.loads(json.dumps(report.as_json([table], MACHINE, {})))["goals"]
    assert (goal["beside"], goal["bound"]) == ({"uvloop": "x1.25"}, why)


def test_a_row_that_meets_its_goal_has_nothing_to_explain() -> None:
    text = report.text([measured(ROUND_TRIP, 10e-6, 2e-6)], MACHINE)
    assert "what bounds" not in text
    assert "met" in next(line for line in text.splitlines() if "round trip, Protocol" in line)


def test_every_bound_is_of_a_row_that_there_is() -> None:
    places = {goal.title: goal.places for goal in goals.GOALS}
    named = [(title, place) for title, reasons in goals.bounds().items() for place in reasons]
    counted = [(title, place) for title, reasons in goals.measured_shares().items() for place in reasons]
    assert all(place in places[title] for title, place in named + counted)


# ---- what comes out


def test_the_table_tells_best_median_and_ratio() -> None:
    text = report.text([scripted([80e-6], [25e-6], [20e-6, 40e-6], [80e-6])], MACHINE)
    (line,) = [line for line in text.splitlines() if "MTU 1500" in line]
    assert line.split()[-6:] == ["coroutines", "own", "20.0", "..", "27.5", "x2.91"]
    assert "a cpu" in text


def test_the_json_has_everything_the_table_has() -> None:
    content = report.as_json([scripted([8e-6], [2e-6], [2e-6], [8e-6])], MACHINE, {"rounds": 1})
    read = json.loads(json.dumps(content))
    assert set(read) == {"format", "machine", "settings", "workloads", "goals"}
    (workload,) = read["workloads"]
    assert set(workload) == {"name", "title", "unit", "meter", "contenders"}
    ours = workload["contenders"][1]
    assert ours == {
        "name": "link-1500-coroutines-own", "place": "link-1500", "style": "coroutines", "loop": "own",
        "best": 2e-6, "median": 2e-6, "rounds": [2e-6], "shown": {"best": 2.0, "median": 2.0},
        "against": {"asyncio": {"median": 4.0, "low": 4.0, "high": 4.0}},
    }  # fmt: skip


def test_the_tables_can_be_made_again_of_the_json() -> None:
    tables = [scripted([80e-6], [25e-6], [20e-6, 40e-6], [80e-6]), measured(ROUND_TRIP, 10e-6, 5e-6)]
    content = json.loads(json.dumps(report.as_json(tables, MACHINE, {})))
    assert report.text(report.from_json(content), content["machine"]) == report.text(tables, MACHINE)


def test_the_page_of_the_documentation_is_made_of_the_json_beside_it() -> None:
    performance, costs = (json.loads(path.read_text()) for path in (page.PERFORMANCE, page.COSTS))
    assert page.PAGE.read_text(encoding="utf-8") == page.text(performance, costs), "run make bench-page"


@pytest.mark.skipif(not plot.available(), reason="no matplotlib")
@only_on_the_fastest_build
def test_the_plot_is_drawn(tmp_path: Path) -> None:
    table = scripted([8e-6], [2e-6], [2e-6], [8e-6])
    plot.draw([table, table], MACHINE, tmp_path / "made" / "bench.svg")
    assert "<svg" in (tmp_path / "made" / "bench.svg").read_text()


# ---- for real


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    """python -m benchmarks, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@only_on_the_fastest_build
@pytest.mark.kernel
def test_a_quick_run_prints_a_ratio_and_writes_the_json(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    picture = ["--plot", str(tmp_path / "bench.svg")] if plot.available() else []
    only = ["--only", "round-trip", "--only", OURS.name]
    done = benchmarks("--quick", *only, "--json", str(output), *picture)
    assert (done.returncode, done.stderr) == (0, "")
    assert "round trip of 64 bytes" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "MTU 1500" in line]
    read = json.loads(output.read_text())
    assert read["machine"]["build"] in ("compiled", "pure")
    measured: dict[str, dict[str, Any]] = {row["name"]: row for row in read["workloads"][0]["contenders"]}
    ratio = measured[OURS.name]["against"]["asyncio"]["median"]
    assert f"x{ratio:.2f}" in line
    assert ratio == pytest.approx(measured[THEIRS.name]["median"] / measured[OURS.name]["median"])


@only_on_the_fastest_build
def test_the_list_names_all_workloads_and_contenders() -> None:
    done = benchmarks("--list")
    assert done.returncode == 0
    for name in (*(workload.name for workload in WORKLOADS), *(contender.name for contender in CONTENDERS)):
        assert f"  {name}" in done.stdout


@only_on_the_fastest_build
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--only", "nonsense"), "'nonsense'"),
        (("--rounds", "0"), "--rounds"),
        (("--plot", "picture.txt"), "--plot"),
    ],
)
def test_a_bad_value_is_one_line_and_status_2(arguments: tuple[str, ...], complaint: str) -> None:
    done = benchmarks(*arguments)
    assert done.returncode == 2
    assert complaint in done.stderr.splitlines()[-1]


@only_on_the_fastest_build
@pytest.mark.parametrize("workload", [workload for workload in WORKLOADS if workload.program.endswith("clients")])
def test_requests_of_a_library_go_over_our_network(workload: Workload) -> None:
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")

    async def main() -> int:
        async with PLACES["link-64k"]() as ends, workload.open("http", ends) as work:
            await work(workload.chunk)
            octets: int = ends.server.interfaces[0].tx_bytes  # type: ignore[attr-defined]
            return octets

    octets = aionetflow.run(main(), seed=1)
    assert 1000 * workload.chunk < octets < 2000 * workload.chunk  # the pages, and not much more


def test_a_workload_whose_library_is_not_there_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = next(workload for workload in WORKLOADS if workload.needs)
    assert not ROUND_TRIP.missing()
    monkeypatch.setattr("benchmarks.workloads.find_spec", lambda name: None)
    assert workload.missing()
    assert not ROUND_TRIP.missing()


@only_on_the_fastest_build
def test_a_run_that_fails_says_which_and_why() -> None:
    with pytest.raises(BenchmarkError, match=r"^round-trip of nowhere-streams-asyncio failed: KeyError: 'nowhere'$"):
        run_in_process(0.01)(ROUND_TRIP, Contender("nowhere", "streams", "asyncio"))
