"""How costs grow: python -m benchmarks.costs writes build/bench/costs.json and prints the tables.

Per message, with the number of connections and of hosts; per octet, with the length of the stream; and how much of its
rate a link with delay carries. Sizes are run one after the other and back again, as the other benchmarks' contenders.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from benchmarks import machine
from benchmarks.growth import DELAY
from benchmarks.instructions import BASELINE
from benchmarks.measure import DISTURBING, ROOT

OUTPUT = ROOT / "build" / "bench" / "costs.json"
FORMAT = 1
ROUNDS = 1
QUICK = 200  # operations of a quick run
TIMEOUT = 900  # s for one size
CROWDS = (1, 10, 100, 1_000, 10_000)
STREAMS = (64 << 10, 1 << 20, 16 << 20, 256 << 20, 1 << 30)
US, NS = 1e6, 1e9


class Growth(NamedTuple):
    """One table: a cost at some sizes."""

    name: str  # a key of growth.GROWTHS
    title: str
    sizes: tuple[int, ...]
    scale: float  # what is shown is the cost times this
    unit: str
    why: str


GROWTHS = (
    Growth(
        "connections in turn", "a message there and back, one at a time, by connections on lo", CROWDS, US, "µs",
        "A segment finds its connection by one look into a dictionary, timers are numbers of which the host keeps the"
        " earliest, and nothing goes through all connections: a message takes as many instructions on one of a thousand"
        " as on the only one, within 2 %. What grows is how long they wait for memory: what many connections hold, in"
        " Python and below, does not fit the processor's caches.",
    ),
    Growth(
        "connections at once", "the same, a message on every connection at the same time", CROWDS, US, "µs",
        "Many messages share a turn of the loop, which is why ten cost less each than one does; the rest is as above,"
        " only that here each message finds the caches full of the others' connections.",
    ),
    Growth(
        "hosts", "a message there and back, one at a time, by hosts on one switch", (2, 10, 100, 1_000), US, "µs",
        "A switch looks the destination up, a host its neighbour and its route: a dictionary each, the route's answer"
        " remembered, and the instructions stay the same. What grows is as above. Only what is said to all, a question"
        " of ARP, is more work with more hosts, and is done once.",
    ),
    Growth(
        "octets lo", "an octet of a stream, by how many are sent at a time, on lo (MTU 65536)", STREAMS, NS, "ns",
        "Two passes over the octets, into the frame and out of it, and a fixed cost for each segment of up to 64 KiB."
        " A short one has to be begun and waited for, too.",
    ),
    Growth(
        "octets link-1500", "the same, on a link of true frames (MTU 1500)", STREAMS, NS, "ns",
        "As above, and for each 1,460 octets a frame with headers of its own, a bytes object on the link, and its"
        " checksum, verified when the frames are merged.",
    ),
)  # fmt: skip
DELAYS = (10, 100, 300, 1_000)  # Mbit/s
DELAY_TITLE = "what a link with a delay of 100 ms each way carries, after slow start"
DELAY_COLUMNS = ("carried in a round trip, KB", "send buffer holds, KB", "window, KB")
DELAY_WHY = (
    "No more can be carried in a round trip than the receiver's window lets through and the send buffer holds, which"
    " keeps what is not acknowledged yet: of each, half of what SO_RCVBUF and SO_SNDBUF say. A writer is woken when a"
    " third of the send buffer is free, as on Linux, so that at times only two thirds of it are on their way. Where the"
    " product of rate and round trip is more than that, these numbers and not the link are the bound."
)
OPERATIONS_WHY = {
    "round trip": "64 bytes there and back by Protocol on lo: two segments, two turns of the loop, two calls to Python",
    "datagram round trip": "the same by UDP; addresses are tuples of Python, and the transport's sendto() is Python",
    "link round trip": "the same over an Ethernet link without delay: MAC headers, and a delivery each way",
    "connection": "connect, accept, close at the server's end, EOF, close: seven segments; most of it is making and"
    " freeing two sockets, two transports and what belongs to them",
    "64 KiB": "one segment on lo: copied and summed once on its way down and once up",
    "64 KiB, MTU 1500": "the same in 45 true frames: a header and a checksum for each, merged again where they arrive",
}  # fmt: skip


def measure(quick: bool, rounds: int) -> dict[str, Any]:
    """All tables; quick leaves out the largest sizes and says nothing exact."""
    described = machine.describe()
    tables = [_table(growth, quick, rounds) for growth in GROWTHS]
    delays = [{"rate": rate, **_run("delay", rate, quick)} for rate in (DELAYS[:1] if quick else DELAYS)]
    operations = json.loads(BASELINE.read_text())
    return {
        "format": FORMAT, "machine": described, "settings": {"rounds": rounds}, "growths": tables, "delays": delays,
        "operations": operations,
    }  # fmt: skip


def _table(growth: Growth, quick: bool, rounds: int) -> dict[str, Any]:
    sizes = growth.sizes[:2] if quick else growth.sizes
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes if quick else (*sizes, *reversed(sizes)):
            found[size] += _run(growth.name, size, quick)
    rows = [{"size": size, "best": min(costs), "median": median(costs)} for size, costs in found.items()]
    return {"name": growth.name, "rows": rows}


def _run(name: str, size: int, quick: bool) -> Any:
    """What one size came to, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.growth", name, str(size), *([str(QUICK)] if quick else [])]
    environment = {key: value for key, value in os.environ.items() if key not in DISTURBING}
    print(f"\r\x1b[K{name}: {size:,}", end="", file=sys.stderr, flush=True) if sys.stderr.isatty() else None
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name} at {size} failed: {(done.stderr.strip() or 'no message').splitlines()[-1]}")
    return json.loads(done.stdout)


def markdown(measured: dict[str, Any]) -> str:
    """The tables, for a page of the documentation."""
    return "\n\n".join("\n".join(block) for block in _blocks(measured))


def _blocks(measured: dict[str, Any]) -> Iterator[list[str]]:
    yield _operations(measured["operations"])
    found = {table["name"]: table["rows"] for table in measured["growths"]}
    for growth in GROWTHS:
        if growth.name in found:
            yield _growth(growth, found[growth.name])
    yield _delays(measured["delays"])
    described = measured["machine"]
    yield [f"{described['cpu']}, {described['cores']} cores, {described['python']}, {described['build']} build."]


def _operations(counts: dict[str, int]) -> list[str]:
    lines = ["| operation | instructions | what they are spent on |", "|---|---:|---|"]
    return lines + [f"| {name} | {count:,} | {OPERATIONS_WHY.get(name, '')} |" for name, count in counts.items()]


def _growth(growth: Growth, rows: Sequence[dict[str, Any]]) -> list[str]:
    first = rows[0]["best"]
    return [
        f"**{_begun(growth.title)}**, {growth.unit} of CPU time, best of the runs. {growth.why}",
        "",
        _line("", *(_size(growth, row["size"]) for row in rows)),
        "|---|" + "---:|" * len(rows),
        _line(growth.unit, *(f"{row['best'] * growth.scale:.3g}" for row in rows)),
        _line("against the first", *(f"x{row['best'] / first:.2f}" for row in rows)),
    ]


def _begun(title: str) -> str:
    """As it begins a sentence."""
    return title[0].upper() + title[1:]


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _size(growth: Growth, size: int) -> str:
    if not growth.name.startswith("octets"):
        return f"{size:,}"
    return f"{size >> 10} KiB" if size < 1 << 20 else f"{size >> 20} MiB" if size < 1 << 30 else f"{size >> 30} GiB"


def _delays(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        f"**{_begun(DELAY_TITLE)}**, in virtual time. {DELAY_WHY}",
        "",
        _line("rate, Mbit/s", "carried", "of the rate", "rate × round trip, KB", *DELAY_COLUMNS),
        "|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        trip = 2 * DELAY / 8  # bits per second to octets in a round trip
        octets = row["rate"] * 1e6 * trip, row["goodput"] * trip, row["send"] / 2, row["receive"] / 2
        figures = (f"{figure / 1e3:,.0f}" for figure in octets)
        lines.append(_line(f"{row['rate']:,}", f"{row['goodput'] / 1e6:.1f}", f"{row['share']:.0%}", *figures))
    return lines


def main(arguments: list[str] | None = None) -> int:
    """Measures, prints and writes; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description="How costs grow.")
    parser.add_argument("--quick", action="store_true", help="the small sizes, once: does it run")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"rounds (default {ROUNDS})")
    parser.add_argument("--json", type=Path, default=OUTPUT, metavar="FILE", help="default build/bench/costs.json")
    options = parser.parse_args(arguments)
    measured = measure(options.quick, options.rounds)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(measured, indent=1, ensure_ascii=False) + "\n")
    print(markdown(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
