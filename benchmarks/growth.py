"""What grows, one size at a time, each in a process of its own: `python -m benchmarks.growth NAME SIZE [MOST]`.

Prints the cost of each chunk of operations as JSON, in s of CPU time per operation; of "delay", what a run came to.
Everything runs on our own loop in virtual time, so that every run does the same and only the CPU's time differs.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from socket import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET
from typing import Any

import aionetflow
from aionetflow import Host
from benchmarks.places import PLACES, Ends
from benchmarks.run import WARM_UP
from benchmarks.workloads import BLOCK, MESSAGE, Work
from benchmarks.workloads.protocols import Asker, Echo, End, Sink, Task, connect, crowd, listening

MESSAGES = 4_000  # in a chunk, about
CHUNKS = 5
OCTETS = 16 << 20  # in a chunk at least
DELAY = 0.1  # s, one way
SLOW_START, STEADY = 5.0, 3.0  # s of virtual time before and while the rate is measured
Opened = AbstractAsyncContextManager[tuple[Work, int]]


async def ask_in_turn(askers: list[Asker], count: int) -> None:
    """So many messages, there and back, each on the next connection when the one before has come back."""
    for number in range(count):
        asker = askers[number % len(askers)]
        done = asker.start(1)
        asker.transport.write(MESSAGE)
        await done


@asynccontextmanager
async def in_turn(size: int) -> AsyncIterator[tuple[Work, int]]:
    """One message at a time, over so many connections."""
    async with PLACES["lo"]() as ends, listening(ends, Echo) as port:
        askers = [await connect(ends, port, Asker) for _ in range(size)]
        yield partial(ask_in_turn, askers), max(MESSAGES, size)
        for asker in askers:
            await asker.close()


@asynccontextmanager
async def at_once(size: int) -> AsyncIterator[tuple[Work, int]]:
    """A message on each of so many connections, all at the same time."""
    async with PLACES["lo"]() as ends, crowd(ends, size) as work:
        yield work, max(MESSAGES // size, 1) * size


@asynccontextmanager
async def hosts(size: int) -> AsyncIterator[tuple[Work, int]]:
    """One message at a time, over the pairs that so many hosts on one switch make."""
    async with aionetflow.Network(seed=1) as net, AsyncExitStack() as stack:
        machines = [net.host(f"host{number}") for number in range(size)]
        askers = [
            await stack.enter_async_context(pair(server, client))
            for server, client in zip(machines[::2], machines[1::2], strict=True)
        ]
        yield partial(ask_in_turn, askers), MESSAGES


@asynccontextmanager
async def pair(server: Host, client: Host) -> AsyncIterator[Asker]:
    """A connection between two hosts."""
    ends = Ends(server.addresses[0], server, client)
    async with listening(ends, Echo) as port:
        asker = await connect(ends, port, Asker)
        yield asker
        await asker.close()


class Sender(Task):
    """Sends so many octets, in blocks, whenever it may."""

    may_write = True

    def start(self, amount: int) -> asyncio.Future[None]:
        done = super().start(amount)
        self.resume_writing()
        return done

    def pause_writing(self) -> None:
        self.may_write = False

    def resume_writing(self) -> None:
        self.may_write = True
        while self.may_write and self.left > 0:
            block = BLOCK[: self.left]
            self.transport.write(block)
            self.did(len(block))


@asynccontextmanager
async def stream(place: str, size: int) -> AsyncIterator[tuple[Work, int]]:
    """So many octets, and when they are there, as many again, on one connection; an operation is an octet."""
    accepted: asyncio.Queue[End] = asyncio.Queue()
    async with PLACES[place]() as ends, listening(ends, lambda: Sink(accepted)) as port:
        sender = await connect(ends, port, Sender)
        sink = await accepted.get()
        assert isinstance(sink, Sink)

        async def work(count: int) -> None:
            for _ in range(count // size):
                received = sink.start(size)
                await sender.start(size)
                await received

        yield work, max(OCTETS // size, 1) * size
        await sender.close()


async def delay(rate: int) -> dict[str, float]:
    """How much of its rate (in Mbit/s) a link of 100 ms each way carries, once a connection has got going."""
    loop = asyncio.get_running_loop()
    accepted: asyncio.Queue[End] = asyncio.Queue()
    async with aionetflow.Network(seed=1) as net:
        server, client = net.host("server"), net.host("client")
        net.link(server, client, delay=DELAY, rate=rate * 1e6)
        ends = Ends(server.addresses[0], server, client)
        async with listening(ends, lambda: Sink(accepted)) as port:
            sender = await connect(ends, port, Sender)
            sink = await accepted.get()
            assert isinstance(sink, Sink)
            sink.start(1 << 60)
            sender.start(1 << 60).cancel()
            await asyncio.sleep(SLOW_START)
            before, begin = sink.left, loop.time()
            await asyncio.sleep(STEADY)
            goodput = (before - sink.left) * 8 / (loop.time() - begin)
            buffers = _option(sender, SO_SNDBUF), _option(sink, SO_RCVBUF)
            sender.transport.abort()
            await sender.lost
            await sink.lost
        retransmitted = client.stats.tcp.RetransSegs
    return {
        "goodput": goodput, "share": goodput / (rate * 1e6), "retransmitted": retransmitted, "send": buffers[0],
        "receive": buffers[1],
    }  # fmt: skip


def _option(end: End, name: int) -> int:
    """An option of an end's socket."""
    value: int = end.transport.get_extra_info("socket").getsockopt(SOL_SOCKET, name)
    return value


async def costs(opened: Callable[[int], Opened], size: int, most: int) -> list[float]:
    """What an operation costs, once for each chunk; about `most` operations in all, or as many as the size."""
    async with opened(size) as (work, usual):
        count = max(min(usual, most) // size, 1) * size
        for _ in range(WARM_UP if most > count else 1):
            await work(count)
        gc.collect()
        found = []
        for _ in range(max(min(CHUNKS, most // count), 1)):
            begin = time.process_time()
            await work(count)
            found.append((time.process_time() - begin) / count)
        return found


OPENED: dict[str, Callable[[int], Opened]] = {
    "connections in turn": in_turn,
    "connections at once": at_once,
    "hosts": hosts,
    "octets lo": partial(stream, "lo"),
    "octets link-1500": partial(stream, "link-1500"),
}
Measure = Callable[[int, int], Coroutine[Any, Any, object]]
GROWTHS: dict[str, Measure] = {
    **{name: partial(costs, opened) for name, opened in OPENED.items()},
    "delay": lambda rate, most: delay(rate),
}


def main(arguments: list[str]) -> None:
    """Measures what the command line names, and prints it."""
    name, size, *most = arguments
    measured = GROWTHS[name](int(size), int(most[0]) if most else 1 << 62)
    print(json.dumps(aionetflow.run(measured, time="virtual", seed=1)))


if __name__ == "__main__":
    main(sys.argv[1:])
