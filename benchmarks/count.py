"""What `benchmarks.instructions` counts: each operation on our own loop, in one process, with marks between.

The clock is virtual and the seed given, so that every run does the same.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from typing import NamedTuple

import aionetflow
from aionetflow.config import NEVER
from benchmarks.places import PLACES
from benchmarks.workloads import WORKLOADS

# Runs of two lengths: what their difference took is free of what a run takes to begin and to end.
SHORT, LONG = 1, 3


class Operation(NamedTuple):
    """One thing whose instructions are counted."""

    name: str
    workload: str
    place: str
    times: int  # operations of the workload in a run of length 1
    parts: int = 1  # of what is counted, in one operation of the workload
    style: str = "protocols"


OPERATIONS = (
    Operation("round trip", "round-trip", "lo", 60),
    Operation("datagram round trip", "udp-round-trip", "lo", 60),
    Operation("link round trip", "round-trip", "link-1500", 60),
    Operation("connection", "connections", "lo", 20),
    Operation("64 KiB", "throughput", "lo", 12, parts=4),
    Operation("64 KiB, MTU 1500", "throughput", "link-1500", 6, parts=4),
)


def mark() -> None:
    """Ends a count: a call of libc that nothing else here makes."""
    os.getppid()


async def count(operation: Operation) -> None:
    """Marks around a short and a long run of an operation."""
    workload = next(workload for workload in WORKLOADS if workload.name == operation.workload)
    # How often a busy loop asks the kernel depends on real time; here it never does.
    asyncio.get_running_loop()._looked = NEVER  # type: ignore[attr-defined]
    async with PLACES[operation.place]() as ends, workload.open(operation.style, ends) as work:
        await work(operation.times)
        gc.collect()
        for length in (SHORT, LONG):
            mark()
            await work(length * operation.times)
        mark()


def main() -> None:
    """Runs all operations; or one that the command line describes: workload, style, place, times."""
    gc.disable()
    operations: tuple[Operation, ...] = OPERATIONS
    if len(sys.argv) > 1:
        workload, style, place, times = sys.argv[1:]
        operations = (Operation("", workload, place, int(times), style=style),)
    for operation in operations:
        aionetflow.run(count(operation), time="virtual", seed=1)


if __name__ == "__main__":
    main()
