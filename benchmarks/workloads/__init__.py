"""What is measured: each workload is one program per style, in coroutines.py, streams.py and protocols.py.

A program is an async context manager over two ends: entering it sets everything up and gives `work`, which does
the workload's operation so many times. Only `work` is measured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import NamedTuple

from benchmarks.places import Ends

Work = Callable[[int], Awaitable[None]]
Program = Callable[[Ends], AbstractAsyncContextManager[Work]]

MESSAGE = b"x" * 64
BLOCK = b"\xa5\x5a" * (128 << 10)  # 256 KiB, what a sender writes at once
PIECE = 64 << 10  # what a receiver reads at once
GB = 1e9  # octets


class Workload(NamedTuple):
    """One thing that programs do with a network.

    A cost is in seconds of CPU, or octets of memory, per operation; all ratios are of costs.
    """

    name: str
    program: str  # the function's name in each style's module
    title: str
    unit: str
    meter: str  # "cpu" or "memory"
    chunk: int  # operations between two readings of the meter
    limit: int  # operations in one run, at most
    scale: float  # what is shown: cost * scale ...
    inverse: bool = False  # ... or scale / cost, more being better

    def shown(self, cost: float) -> float:
        """A cost in the unit."""
        return self.scale / cost if self.inverse else cost * self.scale

    def open(self, style: str, ends: Ends) -> AbstractAsyncContextManager[Work]:
        """The program of that style."""
        program: Program = getattr(import_module(f"benchmarks.workloads.{style}"), self.program)
        return program(ends)


WORKLOADS = (
    Workload("round-trip", "round_trip", "round trip of 64 bytes", "µs CPU", "cpu", 200, 100_000, 1e6),
    Workload(
        "throughput", "throughput", "one stream, 256 KiB writes, 64 KiB reads", "GB per CPU-second",
        "cpu", 64, 10_000, len(BLOCK) / GB, inverse=True,
    ),
    # Bounded by the ports that the kernel keeps in TIME-WAIT.
    Workload(
        "connections", "connections", "connect, server closes, read EOF, close", "µs CPU", "cpu", 50, 4_000, 1e6
    ),
    Workload(
        "memory", "idle", "memory per idle connection, both ends, kernel's included", "KB", "memory", 1_000, 1_500, 1e-3
    ),
)  # fmt: skip
