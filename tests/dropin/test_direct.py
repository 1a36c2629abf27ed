"""The short ways of connecting and accepting: programs see what they see the long way, and send the same frames."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import pytest

import aionetflow
from aionetflow.fast_paths import FAST

SWITCHES = ("direct_connect", "direct_accept")
NAMES = ("peername", "sockname", "sslcontext", "socket", "nothing")


@pytest.fixture(autouse=True)
def _switches_are_on_again() -> Iterator[None]:
    yield
    for name in SWITCHES:
        setattr(FAST, name, True)


class Witness:
    """Notes what a program sees, each time with the number of the loop's turn."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self._turn = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._next)
        self._loop.set_exception_handler(self._failed)

    def note(self, *what: Any) -> None:
        self.seen.append((self._turn, self._loop.time(), *what))

    def stop(self) -> None:
        self._handle.cancel()

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    def _next(self) -> None:
        self._turn += 1
        # not for ever: time passes only while nothing is ready
        if self._turn % 20:
            self._handle = self._loop.call_soon(self._next)
        else:
            self._handle = self._loop.call_later(0.5, self._next)

    def _failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.note("handler", sorted(context), repr(context.get("exception")))


class End(asyncio.Protocol):
    """A protocol that notes all its calls."""

    transport: Any = None

    def __init__(self, witness: Witness, name: str, *, closes: bool = False) -> None:
        self._note = witness.note
        self._name = name
        self._closes = closes
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        witness.note(name, "made")

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._note(self._name, "connection_made", *extra(transport), transport.is_reading(), transport.is_closing())
        asyncio.get_running_loop().call_soon(self._note, self._name, "the turn after")
        if self._closes:
            transport.close()

    def data_received(self, data: bytes) -> None:
        self._note(self._name, data)
        if self._name == "server":
            self.transport.write(data.upper())

    def eof_received(self) -> None:
        self._note(self._name, "eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self._note(self._name, "lost", repr(exc), *extra(self.transport))
        self.lost.set_result(None)


def extra(transport: Any) -> list[Any]:
    """What a transport says of itself."""
    said = [repr(transport.get_extra_info(name, "default")) for name in NAMES if name != "socket"]
    sock = transport.get_extra_info("socket")
    return [*said, type(sock).__name__, sock.family, sock.type, sock.proto, sock.gettimeout()]


async def outcome(witness: Witness, coroutine: Awaitable[Any], what: str = "outcome") -> Any:
    """Notes how a call ends."""
    try:
        result = await coroutine
    except BaseException as error:
        witness.note(what, type(error), str(error), getattr(error, "errno", None))
        return None
    witness.note(what, type(result[0]).__name__)
    return result


class World:
    """Two hosts on a link, and who sees what happens there."""

    def __init__(self, witness: Witness, net: aionetflow.Network) -> None:
        self.witness = witness
        self.net = net
        self.web, self.client = net.host("web"), net.host("client")
        net.link(self.web, self.client, delay=0.01).tap(
            lambda now, channel, frame, fate: witness.seen.append((now, channel.name, bytes(frame), fate))
        )

    async def serve(self, factory: Any = None, host: str = "0.0.0.0", **options: Any) -> Any:
        async with self.web:
            factory = factory or (lambda: End(self.witness, "server"))
            return await asyncio.get_running_loop().create_server(factory, host, 7, **options)

    async def connect(self, host: str = "web", port: int = 7, factory: Any = None) -> Any:
        async with self.client if host != "127.0.0.1" else self.web:
            factory = factory or (lambda: End(self.witness, "client"))
            return await asyncio.get_running_loop().create_connection(factory, host, port)


def blocks(world: World) -> list[str]:
    """The control blocks there are, without the names of tasks."""
    return [str(block).partition(" users")[0] for block in world.net.sockets()]


async def forgetting(call: Awaitable[Any]) -> None:
    """A call that fails; what it has left behind is collected before anybody hears of that."""
    try:
        await call
    except ValueError as error:
        text = str(error)
    gc.collect()
    raise ValueError(text)


Program = Callable[[World], Awaitable[None]]


async def talking(world: World) -> None:
    server = await world.serve()
    for host in ("web", world.web.addresses[0], "127.0.0.1"):
        transport, protocol = await outcome(world.witness, world.connect(host))
        transport.write(b"hello")
        await asyncio.sleep(0.1)
        transport.close()
        await protocol.lost
        world.witness.note(*extra(transport), transport.get_extra_info("socket").fileno())
    server.close()


async def a_server_that_closes_at_once(world: World) -> None:
    server = await world.serve(lambda: End(world.witness, "server", closes=True))
    _, protocol = await outcome(world.witness, world.connect())
    await protocol.lost
    server.close()


async def many_at_once(world: World) -> None:
    server = await world.serve(backlog=3)
    found = await asyncio.gather(*(outcome(world.witness, world.connect()) for _ in range(6)))
    for transport, protocol in found:
        transport.abort()
        await protocol.lost
    server.close()
    await asyncio.sleep(0.1)


async def what_fails(world: World) -> None:
    for host in ("web", world.web.addresses[0], "127.0.0.1", "::1", "localhost", "nobody", "9.9.9.9", "ff02::1", "1.2"):
        await outcome(world.witness, world.connect(host, 4711), host)
    for arguments in ((None, 7), ("web", None), ("web", "7"), ("web", -1), ("web", 65536), (b"web", 7), (7, 7)):
        await outcome(world.witness, world.connect(*arguments), repr(arguments))


async def factories_that_fail(world: World) -> None:
    def failing() -> asyncio.Protocol:
        world.witness.note("factory")
        raise ValueError("no protocol")

    server = await world.serve(failing)
    _, protocol = await outcome(world.witness, world.connect())
    await protocol.lost
    with pytest.warns(ResourceWarning, match="unclosed <aionetflow.VirtualSocket"):
        await outcome(world.witness, forgetting(world.connect(factory=failing)))
    await asyncio.sleep(0.1)
    world.witness.note(blocks(world))
    server.close()


async def protocols_that_fail(world: World) -> None:
    class Failing(End):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            raise ValueError("not made")

    server = await world.serve(lambda: Failing(world.witness, "server"))
    transport, protocol = await outcome(world.witness, world.connect(factory=lambda: Failing(world.witness, "client")))
    transport.write(b"hello")
    await asyncio.sleep(0.1)
    transport.close()
    await protocol.lost
    server.close()


async def a_server_that_is_closed_meanwhile(world: World) -> None:
    for turns in range(6):
        server = await world.serve(host="127.0.0.1")
        task = asyncio.ensure_future(outcome(world.witness, world.connect("127.0.0.1")))
        await world.witness.turns(turns)
        server.close()
        result = await task
        if result is not None:
            result[0].close()
            await result[1].lost
        await asyncio.sleep(1)


async def who_is_cancelled(world: World) -> None:
    server = await world.serve()
    for host, wait in (("127.0.0.1", 0.0), ("web", 0.0), ("web", 0.005), ("web", 0.03)):
        for turns in range(7):
            task = asyncio.ensure_future(outcome(world.witness, world.connect(host)))
            await asyncio.sleep(wait)
            await world.witness.turns(turns)
            task.cancel()
            result = await task
            if result is not None:
                result[0].close()
            await asyncio.sleep(70)
            world.witness.note(blocks(world))
    server.close()


async def a_name_that_a_program_answers(world: World) -> None:
    server = await world.serve()
    loop = asyncio.get_running_loop()
    theirs = loop.getaddrinfo

    async def answer(host: Any, port: Any, **kwargs: Any) -> Any:
        world.witness.note("asked", host, port, sorted(kwargs))
        return await theirs("web", port, **kwargs)

    loop.getaddrinfo = answer  # type: ignore[method-assign]
    transport, protocol = await outcome(world.witness, world.connect("web"))
    transport.close()
    await protocol.lost
    server.close()


async def a_connection_that_is_reset_before_it_is_served(world: World) -> None:
    server = await world.serve(host="127.0.0.1")
    async with world.web:
        sock = await aionetflow.socket()
        await aionetflow.connect(sock, ("127.0.0.1", 7))
        await aionetflow.setsockopt(sock, socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await aionetflow.close(sock)
    await asyncio.sleep(0.1)
    server.close()


PROGRAMS: tuple[Program, ...] = (
    talking, a_server_that_closes_at_once, many_at_once, what_fails, factories_that_fail, protocols_that_fail,
    a_server_that_is_closed_meanwhile, who_is_cancelled, a_name_that_a_program_answers,
    a_connection_that_is_reset_before_it_is_served,
)  # fmt: skip


def seen(program: Program, **switches: bool) -> list[Any]:
    """What a program sees and what frames it sends, with the switches as given."""
    for name in SWITCHES:
        setattr(FAST, name, switches.get(name, True))

    async def main() -> list[Any]:
        witness = Witness()
        async with aionetflow.Network(seed=5) as net:
            await program(World(witness, net))
            await asyncio.sleep(1)
        witness.stop()
        return witness.seen

    return aionetflow.run(main(), time="virtual", seed=5)


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_sees_the_same_the_short_way_and_the_long_way(program: Program, switch: str) -> None:
    short, long = seen(program), seen(program, **{switch: False})
    assert short == long
    assert len(short) > 3


async def test_in_debug_mode_and_with_a_task_factory_each_connection_is_served_by_a_task() -> None:
    tasks: list[asyncio.Task[Any] | None] = []

    class Noting(asyncio.Protocol):
        def __init__(self) -> None:
            tasks.append(asyncio.current_task())

        def connection_made(self, transport: Any) -> None:
            transport.close()

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        return asyncio.Task(coroutine, loop=loop, **options)

    async with aionetflow.Network(seed=1):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Noting, "127.0.0.1", 7)
        for debug, maker in ((False, None), (True, None), (False, factory)):
            loop.set_debug(debug)
            loop.set_task_factory(maker)
            client = partial(End, Witness(), "client")
            _, protocol = await loop.create_connection(client, "127.0.0.1", 7)
            await protocol.lost
        server.close()
    assert [task is not None for task in tasks] == [False, True, True]
