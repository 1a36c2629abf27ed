"""TCP under twenty link conditions, beside the kernel's: python -m benchmarks.conditions (as root)

Rate, round trip, loss and queue of one emulated link, ours in both cases. Across it go, once, flows between two
namespaces of the kernel's, by TAP devices and in real time, with no TCP of ours on the way; and once flows between two
virtual hosts, in virtual time. What is counted is what has arrived at the application between a third of the time and
its end. It writes docs/conditions.json, docs/conditions.md and docs/conditions.svg; --only and --quick try less.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import aionetflow as anf
from aionetflow.link.memory import MemoryLink
from benchmarks import machine
from benchmarks.measure import ROOT

DOCS = ROOT / "docs"
PAGE, FIGURES, PLOT = DOCS / "conditions.md", DOCS / "conditions.json", DOCS / "conditions.svg"
SENDER, RECEIVER = "10.1.0.1", "10.1.0.2"
MTU = 1500
MBIT = 1e6
CLEAN, LOSSY, PAIR, CLOSE_PAIR, QUICK = 9.0, 18.0, 10.0, 30.0, 1.5  # s
PATIENCE = 30.0  # s
SEEDS = (1, 2, 3, 4, 5)  # of what is looked at more closely; the others have the first alone
KERNEL, OURS = "#9aa5b1", "#2a78b8"


class Condition(NamedTuple):
    """What a link is like: Mbit/s, ms there and back, probability per frame, bandwidth-delay products."""

    rate: float
    rtt: float
    loss: float
    queue: float
    close: bool = False  # whether it is looked at more closely

    @property
    def queue_octets(self) -> int:
        """The queue, of four full frames at the least."""
        return max(4 * (MTU + 14), round(self.queue * self.rate * MBIT * self.rtt / 1000 / 8))

    @property
    def seconds(self) -> float:
        """How long one flow is watched: longer where chance plays a part."""
        return LOSSY if self.loss else CLEAN

    @property
    def pair_seconds(self) -> float:
        """How long two flows are watched: they take a while to find their shares."""
        return CLOSE_PAIR if self.close else PAIR

    def apply(self, link: MemoryLink) -> None:
        """Makes a link so; the way of the acknowledgments loses nothing."""
        link.delay = self.rtt / 2000
        link.rate = self.rate * MBIT
        link.queue = self.queue_octets
        link.loss = (self.loss, 0.0)

    def __str__(self) -> str:
        return f"{self.rate:g} Mbit/s, {self.rtt:g} ms, {self.loss:.2%} lost, {self.queue:g} BDP"


CONDITIONS = (
    Condition(1, 20, 0, 2),
    Condition(1, 200, 0, 1),
    Condition(10, 5, 0, 1),
    Condition(10, 20, 0, 0.5),
    Condition(10, 20, 0, 1),
    Condition(10, 20, 0, 4),
    Condition(10, 20, 0.01, 1),
    Condition(10, 100, 0, 1),
    Condition(10, 100, 0.001, 1),
    Condition(10, 100, 0.01, 1),
    Condition(50, 10, 0, 1),
    Condition(50, 40, 0, 0.25),
    Condition(50, 40, 0, 1),
    Condition(50, 40, 0.001, 1),
    Condition(50, 40, 0.01, 1),
    Condition(100, 20, 0, 1),
    Condition(100, 20, 0.0001, 1),
    Condition(100, 80, 0, 0.5),
    Condition(100, 80, 0, 1, close=True),
    Condition(100, 80, 0.001, 1, close=True),
)


def marks_of(seconds: float) -> list[float]:
    """When to count: after a third, and at the end."""
    return [seconds / 3, seconds]


def rates(counted: Sequence[Sequence[int]], seconds: float) -> list[float]:
    """Mbit/s of each flow between the two marks."""
    first, last = counted
    return [(b - a) * 8 / (seconds * 2 / 3) / MBIT for a, b in zip(first, last, strict=True)]


# ---- the kernel's flows


async def _child(role: str, flows: int, seconds: float) -> asyncio.subprocess.Process:
    marks = [str(mark) for mark in marks_of(seconds)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.kernel_end", role, RECEIVER, str(flows), *marks,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    await _line(process)
    return process


async def _line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode()


def _go(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"go\n")


async def _kernel(condition: Condition, flows: int, seconds: float, seed: int) -> list[float]:
    async with anf.Network(seed=seed) as net:
        left, right = net.switch("left"), net.switch("right")
        condition.apply(net.link(left, right, mtu=MTU))
        sender, receiver = await _child("send", flows, seconds), await _child("receive", flows, seconds)
        try:
            net.tap(left, "tap0", f"{SENDER}/24", namespace=f"/proc/{sender.pid}/ns/net")
            net.tap(right, "tap0", f"{RECEIVER}/24", namespace=f"/proc/{receiver.pid}/ns/net")
            _go(receiver)
            await _line(receiver)
            _go(sender)
            async with asyncio.timeout(seconds + PATIENCE):
                return rates(json.loads(await _line(receiver)), seconds)
        finally:
            for process in (sender, receiver):
                if process.returncode is None:
                    os.kill(process.pid, signal.SIGTERM)
                await process.wait()


def kernel(condition: Condition, flows: int, seconds: float, seed: int) -> list[float]:
    """Mbit/s of each of the kernel's flows."""
    return anf.run(_kernel(condition, flows, seconds, seed))


# ---- ours


async def _ours(condition: Condition, flows: int, seconds: float, seed: int) -> list[float]:
    async with anf.Network(seed=seed) as net:
        near, far = net.host("near", f"{SENDER}/24"), net.host("far", f"{RECEIVER}/24")
        condition.apply(net.link(near, far, mtu=MTU))
        counts = [0] * flows

        async def receive(sock: anf.Socket, number: int) -> None:
            while data := await sock.read(1 << 20):
                counts[number] += len(data)

        async def send() -> None:
            sock = await anf.socket()
            await sock.connect((RECEIVER, 5001))
            while True:
                await sock.write(bytes(65536))

        async with far:
            listener = await anf.socket()
        await listener.bind((RECEIVER, 5001))
        await listener.listen()
        for _ in range(flows):
            near.spawn(send())
        for number in range(flows):
            far.spawn(receive((await listener.accept())[0], number))
        told: list[list[int]] = []
        last = 0.0
        for mark in marks_of(seconds):
            await asyncio.sleep(mark - last)
            last = mark
            told.append(list(counts))
        return rates(told, seconds)


def ours(condition: Condition, flows: int, seconds: float, seed: int) -> list[float]:
    """Mbit/s of each of our flows."""
    return anf.run(_ours(condition, flows, seconds, seed), time="virtual")


# ---- all of it


def measure(side: Any, condition: Condition, quick: bool) -> dict[str, Any]:
    """One flow and two of one side: Mbit/s, the median of the seeds; and of all runs."""
    seeds = SEEDS if condition.close and not quick else SEEDS[:1]
    one = [side(condition, 1, QUICK if quick else condition.seconds, seed)[0] for seed in seeds]
    pairs = [side(condition, 2, QUICK if quick else condition.pair_seconds, seed) for seed in seeds]
    return {"one": median(one), "runs": one, "two": sorted(pairs, key=unevenness)[len(pairs) // 2]}


def run(conditions: Sequence[Condition], quick: bool) -> dict[str, Any]:
    """All figures; ours are computed meanwhile by another process."""
    rows = []
    _schedule("SCHED_FIFO", 5)  # a link that is late delays what it carries: it goes before all else
    with ProcessPoolExecutor(1, initializer=_schedule, initargs=("SCHED_OTHER", 0)) as pool:
        jobs = [pool.submit(measure, ours, condition, quick) for condition in conditions]
        for condition, job in zip(conditions, jobs, strict=True):
            figures = {"kernel": measure(kernel, condition, quick), "ours": job.result()}
            rows.append({"condition": condition._asdict(), **figures})
            print(line(rows[-1]), file=sys.stderr, flush=True)
    return {"machine": machine.describe(), "rows": rows}


def _schedule(policy: str, priority: int) -> None:
    """Has this process and its children scheduled so, where it may (Linux, root)."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, getattr(os, policy), os.sched_param(priority))


def unevenness(two: Sequence[float]) -> float:
    """How far each of two flows is from their mean, of the mean."""
    mean = sum(two) / len(two)
    return max(abs(rate - mean) for rate in two) / mean if mean else 0.0


def line(row: dict[str, Any]) -> str:
    """One row of the table."""
    condition = Condition(**row["condition"])
    theirs, mine = row["kernel"], row["ours"]
    cells = [
        f"{condition.rate:g}", f"{condition.rtt:g}", f"{condition.loss:.2%}", f"{condition.queue:g}",
        f"{theirs['one']:.2f}", f"{mine['one']:.2f}", f"{mine['one'] / max(theirs['one'], 1e-9):.2f}",
        f"{sum(theirs['two']):.2f}", f"{sum(mine['two']):.2f}",
        f"±{unevenness(theirs['two']):.0%}", f"±{unevenness(mine['two']):.0%}",
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


HEAD = """\
# Twenty link conditions, beside the kernel

Made by `make bench-conditions`, as root. One emulated link, ours in both cases: its rate, its round trip, the share of
data frames that it loses, and its queue in bandwidth-delay products. Across it go flows of the kernel's CUBIC, between
two network namespaces and through TAP devices, with no TCP of ours on the way; and flows of ours between two virtual
hosts. Figures are Mbit/s of payload at the receiving application, between a third of the run and its end; "ratio" is
ours to the kernel's. Two flows begin together; "apart" is how far each is from their mean.

![Goodput of one flow and of two, ours beside the kernel's](conditions.svg)

| Mbit/s | ms | lost | queue | one: kernel | one: ours | ratio | two: kernel | two: ours | apart: kernel | apart: ours |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
"""


def page(figures: dict[str, Any]) -> str:
    """The page with the table."""
    about = figures["machine"]
    rows = "".join(line(row) + "\n" for row in figures["rows"])
    closer = "; ".join(
        f"{Condition(**row['condition'])}: kernel {_runs(row['kernel'])}, ours {_runs(row['ours'])}"
        for row in figures["rows"]
        if len(row["ours"]["runs"]) > 1
    )
    foot = f"\nRuns of those that were looked at more closely, in Mbit/s: {closer}.\n" if closer else ""
    return f"{HEAD}{rows}{foot}\n{about['cpu']}, {about['system']}, {about['python']}, {about['build']} build.\n"


def _runs(side: dict[str, Any]) -> str:
    return ", ".join(f"{rate:.1f}" for rate in side["runs"])


def draw(figures: dict[str, Any], path: Path) -> None:
    """The same as a picture: what share of the rate arrives. ImportError without matplotlib."""
    figure_type: Any = import_module("matplotlib.figure").Figure
    rows = figures["rows"]
    figure = figure_type(figsize=(10, 1.2 + 0.36 * len(rows)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    labels = [str(Condition(**row["condition"])) for row in rows]
    for axes, key, title in ((left, "one", "one flow"), (right, "two", "two flows, the smaller one darker")):
        for side, colour, shift in (("kernel", KERNEL, -0.2), ("ours", OURS, 0.2)):
            places = [place + shift for place in range(len(rows))]
            whole = [_share(row, side, key) for row in rows]
            axes.barh(places, whole, height=0.38, color=colour, label=side if key == "one" else None)
            if key == "two":
                smaller = [min(row[side]["two"]) / row["condition"]["rate"] for row in rows]
                axes.barh(places, smaller, height=0.38, color="black", alpha=0.3)
        axes.axvline(1.0, color="black", linewidth=0.5)
        axes.set_title(f"{title}: share of the rate", fontsize=9, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    left.set_yticks(range(len(rows)), labels, fontsize=8)
    left.invert_yaxis()
    left.legend(fontsize=8, loc="lower left")
    figure.savefig(path)


def _share(row: dict[str, Any], side: str, key: str) -> float:
    figure = row[side][key]
    return float(sum(figure) if isinstance(figure, list) else figure) / float(row["condition"]["rate"])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only conditions whose line has this in it")
    parser.add_argument("--quick", action="store_true", help="a second or two each, to see that it works")
    parser.add_argument("--page", action="store_true", help="make the page and the plot anew, of docs/conditions.json")
    arguments = parser.parse_args()
    if arguments.page:
        figures = json.loads(FIGURES.read_text())
    else:
        chosen = [condition for condition in CONDITIONS if arguments.only in str(condition)]
        figures = run(chosen, arguments.quick)
        if arguments.quick or arguments.only:
            return
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    PAGE.write_text(page(figures), encoding="utf-8")
    draw(figures, PLOT)
    print(page(figures))


if __name__ == "__main__":
    main()
