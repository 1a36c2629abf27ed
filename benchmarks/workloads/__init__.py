"""What is measured: each workload is one program per style, in coroutines.py, streams.py, protocols.py and buffered.py;
those of a library that has a style of its own are in http.py.

A program is an async context manager over two ends: entering it sets everything up and gives `work`, which does
the workload's operation so many times. Only `work` is measured.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from benchmarks.contenders import Contender
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
    styles: tuple[str, ...]  # that it is written in
    title: str
    unit: str
    meter: str  # "cpu" or "memory"
    chunk: int  # operations between two readings of the meter
    limit: int  # operations in one run, at most
    scale: float  # what is shown: cost * scale ...
    inverse: bool = False  # ... or scale / cost, more being better
    descriptors: int = 4096  # of the kernel that a process may need
    places: tuple[str, ...] = ()  # where it makes sense; everywhere, if none is named
    needs: str = ""  # a module that may not be installed

    def missing(self) -> bool:
        """Whether it needs something that is not here."""
        return bool(self.needs) and find_spec(self.needs) is None

    def shown(self, cost: float) -> float:
        """A cost in the unit."""
        return self.scale / cost if self.inverse else cost * self.scale

    def suits(self, contender: Contender) -> bool:
        """Whether the contender can do it."""
        return contender.style in self.styles and (not self.places or contender.place in self.places)

    def open(self, style: str, ends: Ends) -> AbstractAsyncContextManager[Work]:
        """The program of that style."""
        program: Program = getattr(import_module(f"benchmarks.workloads.{style}"), self.program)
        return program(ends)


INTERNET = ("kernel", "lo", "link-1500", "link-64k")  # where addresses are pairs of host and port
TALK = ("coroutines", "streams", "protocols")
WORKLOADS = (
    Workload("round-trip", "round_trip", TALK, "round trip of 64 bytes", "µs CPU", "cpu", 200, 100_000, 1e6),
    Workload(
        "udp-round-trip", "udp_round_trip", ("protocols",), "round trip of a datagram of 64 bytes", "µs CPU", "cpu",
        200, 100_000, 1e6, places=INTERNET,
    ),
    # Bounded by the ports that the kernel keeps in TIME-WAIT.
    Workload(
        "connections", "connections", TALK, "connect, server closes, read EOF, close", "µs CPU", "cpu", 50, 4_000, 1e6
    ),
    Workload(
        "crowd-1000", "thousand", ("protocols",), "1,000 connections, messages of 64 bytes there and back",
        "µs CPU per message", "cpu", 10_000, 1_000_000, 1e6,
    ),
    Workload(
        "crowd-10000", "ten_thousand", ("protocols",), "9,900 connections, messages of 64 bytes there and back",
        "µs CPU per message", "cpu", 19_800, 1_000_000, 1e6, descriptors=20_000, places=INTERNET,
    ),
    Workload(
        "throughput", "throughput", (*TALK, "buffered"), "one stream, 256 KiB writes, 64 KiB reads",
        "GB per CPU-second", "cpu", 64, 10_000, len(BLOCK) / GB, inverse=True,
    ),
    Workload(
        "http-1", "one_client", ("http",), "aiohttp, GET of 1 KB on a connection that stays, 1 client",
        "µs CPU per request", "cpu", 50, 20_000, 1e6, places=INTERNET, needs="aiohttp",
    ),
    Workload(
        "http-64", "many_clients", ("http",), "aiohttp, GET of 1 KB on connections that stay, 64 clients",
        "µs CPU per request", "cpu", 256, 40_000, 1e6, places=INTERNET, needs="aiohttp",
    ),
    Workload(
        "memory", "idle", ("protocols",), "memory per idle connection, both ends, kernel's included", "KB", "memory",
        1_000, 1_500, 1e-3, places=INTERNET,
    ),
)  # fmt: skip
