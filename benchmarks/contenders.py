"""Who is measured: a place, a style of programming, and an event loop."""

from __future__ import annotations

import asyncio
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import aionetflow

LOOPS = ("asyncio", "uvloop")  # those that everything is compared with, on the kernel's loopback
OWN = "own"  # aionetflow's
# Each style is compared with the kernel under a program written in the like style.
PEERS = {
    "coroutines": "streams", "streams": "streams", "protocols": "protocols", "buffered": "buffered", "http": "http",
}  # fmt: skip
PLACE_TITLES = {
    "kernel": "kernel, 127.0.0.1",
    "unix": "kernel, AF_UNIX",
    "lo": "aionetflow, 127.0.0.1",
    "link-1500": "aionetflow, link, MTU 1500",
    "link-64k": "aionetflow, link, MTU 65535",
}


class Contender(NamedTuple):
    """One way to run a workload."""

    place: str  # a key of places.PLACES
    style: str  # a key of PEERS; the module of workloads/ with the program
    loop: str  # one of LOOPS, or OWN

    @property
    def name(self) -> str:
        """What --only and the JSON call it."""
        return f"{self.place}-{self.style}-{self.loop}"

    def reference(self, loop: str) -> Contender:
        """What it is compared with on that loop."""
        return Contender("kernel", PEERS[self.style], loop)


CONTENDERS = tuple(
    Contender(place, style, loop)
    for place, styles, loops in (
        ("kernel", ("streams", "protocols", "buffered", "http"), LOOPS),
        ("unix", ("streams", "protocols", "buffered"), LOOPS),
        ("lo", ("streams", "protocols", "buffered", "http"), (*LOOPS, OWN)),
        ("lo", ("coroutines",), (OWN,)),
        ("link-1500", ("streams", "buffered", "coroutines"), (OWN,)),
        ("link-1500", ("protocols",), (*LOOPS, OWN)),
        ("link-64k", ("streams", "protocols", "buffered", "http"), (*LOOPS, OWN)),
    )
    for style in styles
    for loop in loops
)


def available_loops() -> list[str]:
    """The event loops to compare with that are installed here."""
    return [loop for loop in LOOPS if find_spec(loop) is not None]


def new_loop(name: str) -> asyncio.AbstractEventLoop:
    """A new event loop of that name."""
    if name == OWN:
        return aionetflow.new_event_loop(seed=1)
    loop: asyncio.AbstractEventLoop = import_module(name).new_event_loop()
    return loop
