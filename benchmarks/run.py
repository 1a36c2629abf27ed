"""One run of one contender: `python -m benchmarks.run WORKLOAD PLACE STYLE LOOP SECONDS` prints its costs as JSON.

In a process of its own, so that no contender finds what another has left behind.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable

from benchmarks.contenders import Contender, new_loop
from benchmarks.memory import memory
from benchmarks.places import PLACES
from benchmarks.workloads import WORKLOADS, Work, Workload

LEAST = 3  # readings of the CPU's time in one run, however long they take
WARM_UP = 2  # chunks


async def costs(workload: Workload, contender: Contender, seconds: float) -> list[float]:
    """What one operation costs, once for each chunk of operations; after a warm-up."""
    async with PLACES[contender.place]() as ends, workload.open(contender.style, ends) as work:
        if workload.meter == "memory":
            await work(workload.limit - workload.chunk)
            return [await _cost(work, workload.chunk, memory)]
        for _ in range(WARM_UP):
            await work(workload.chunk)
        found: list[float] = []
        most = workload.limit // workload.chunk - WARM_UP
        gc.collect()
        end = time.process_time() + seconds
        while len(found) < LEAST or (time.process_time() < end and len(found) < most):
            found.append(await _cost(work, workload.chunk, time.process_time))
        return found


async def _cost(work: Work, count: int, meter: Callable[[], float]) -> float:
    """What one of so many operations takes from the meter."""
    before = meter()
    await work(count)
    return (meter() - before) / count


def _allow_descriptors(wanted: int) -> None:
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = hard if hard != resource.RLIM_INFINITY else wanted
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, most)))
            except (ValueError, OSError):  # only root may ask for more than the hard limit
                resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main(arguments: list[str]) -> None:
    """Does one run, as the arguments say, and prints its costs."""
    name, place, style, loop, seconds = arguments
    workload = next(workload for workload in WORKLOADS if workload.name == name)
    _allow_descriptors(workload.descriptors)
    with asyncio.Runner(loop_factory=lambda: new_loop(loop), debug=False) as runner:
        print(json.dumps(runner.run(costs(workload, Contender(place, style, loop), float(seconds)))))


if __name__ == "__main__":
    main(sys.argv[1:])
