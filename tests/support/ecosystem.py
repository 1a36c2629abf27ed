"""A server and a client in one process, on every loop, in real and in virtual time, over a good link and a bad one.

A program is two functions: `serve(name)`, an asynchronous context manager that listens on a host's name and gives the
port, and `use(name, port)`, which is a client. They know nothing of networks; `run` says where they are:

    kernel                      127.0.0.1 of this machine, on asyncio's loop: that the program itself is right
    asyncio-clean, -lossy       two hosts of a network, on asyncio's loop
    uvloop-…, own-…             the same on uvloop and on our loop
    virtual-…                   on our loop in virtual time
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import uvloop

import aionetflow

Serve = Callable[[str], AbstractAsyncContextManager[int]]
Use = Callable[[str, int], Coroutine[Any, Any, None]]

PATIENCE = 20.0  # s of the loop; nothing here takes a quarter of it
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
    "own": aionetflow.new_event_loop,
    "virtual": lambda: aionetflow.new_event_loop(time="virtual"),
}
LINKS: dict[str, dict[str, Any]] = {"clean": {}, "lossy": {"delay": 0.020, "loss": 0.02}}
KERNEL, LOOPBACK = "kernel", "127.0.0.1"
PLACES = [KERNEL, *(f"{loop}-{link}" for loop in LOOPS for link in LINKS)]


@dataclasses.dataclass
class World:
    """Where the server is, how to be on its host, and how to be on the client's."""

    name: str
    spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
    client: AbstractAsyncContextManager[Any]


@contextlib.asynccontextmanager
async def hosts(link: str, patched: bool) -> AsyncIterator[World]:
    """Two hosts of a network, which has the running loop's network calls."""
    async with aionetflow.Network(seed=7) as net:
        server, client = net.host("server.example"), net.host("client.example")
        net.link(server, client, **LINKS[link])
        with aionetflow.patch() if patched else contextlib.nullcontext():
            yield World("server.example", server.spawn, client)


def run(place: str, serve: Serve, use: Use, *, patched: bool = False) -> None:
    """Runs a program at one of PLACES; `patched` is for libraries that make their own sockets.

    Raises AssertionError if something was told to the loop's exception handler, if a task is left over, or if a program
    on a network touched the kernel's.
    """
    loop, _, link = place.partition("-")
    told: list[dict[str, Any]] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        world = World(LOOPBACK, asyncio.create_task, contextlib.nullcontext())
        async with asyncio.timeout(PATIENCE), hosts(link, patched) if link else contextlib.nullcontext(world) as here:
            await meet(here, serve, use)
        for _ in range(3):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left over: {left}"

    with contextlib.ExitStack() as stack:
        used = stack.enter_context(kernel_calls())
        runner = stack.enter_context(asyncio.Runner(loop_factory=LOOPS["asyncio" if place == KERNEL else loop]))
        try:
            runner.run(main())
        except BaseException as error:
            error.add_note(f"told to the exception handler: {told}")
            raise
    assert not told, told
    assert bool(used) == (place == KERNEL), used


async def meet(world: World, serve: Serve, use: Use) -> None:
    """The client uses the server, each on its own host; then the server ends."""
    loop = asyncio.get_running_loop()
    port, done = loop.create_future(), asyncio.Event()

    async def serving() -> None:
        async with serve(world.name) as listening:
            port.set_result(listening)
            await done.wait()

    server = world.spawn(serving())
    await asyncio.wait([server, port], return_when=asyncio.FIRST_COMPLETED)
    try:
        if not server.done():
            async with world.client:
                await use(world.name, port.result())
            assert bool(kernel_sockets()) == (world.name == LOOPBACK), kernel_sockets()
    finally:
        done.set()
        await server


def kernel_sockets() -> list[str]:
    """This process's TCP and UDP sockets of the kernel: uvloop's are made in C, where no audit hook sees them."""
    tables = [Path("/proc/self/net", kind) for kind in ("tcp", "tcp6", "udp", "udp6")]
    rows = [line.split() for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    known = {f"socket:[{row[9]}]": row[1] for row in rows}
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the one by which this folder is read
            found.append(os.readlink(descriptor))
    return [f"{known[name]} {name}" for name in found if name in known]


# An audit hook cannot be taken away: there is one, and it writes to whoever listens.
_listening: list[list[str]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _listening and event in {"socket.connect", "socket.bind", "socket.sendto"}:
        _listening[-1].append(f"{event}{arguments}")


sys.addaudithook(_audit)


@contextlib.contextmanager
def kernel_calls() -> Iterator[list[str]]:
    """Lists what is asked of the kernel's network meanwhile."""
    used: list[str] = []
    _listening.append(used)
    try:
        yield used
    finally:
        _listening.pop()
