"""The same program on the kernel's loopback and on a virtual network.

    @on_both                        # by stock asyncio on the kernel, and by each kind of loop on a virtual network
    async def test_something(trial: Trial) -> None: ...

    on_network(program, "uvloop") == on_kernel(program)     # what each of them has said to it

A program is a coroutine function of a Trial, which makes its sockets and servers, notes the outcome of its calls, and
closes at the end what the program has left open. Where the outcome is an error, its class, errno and text are noted.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import socket
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any, Self

import pytest

import aionetflow
from support.build import only_on_the_fastest_build
from support.loops import LOOPS, run, turns

KINDS = tuple(LOOPS)
LO = "127.0.0.1"
Address = tuple[str, int]
Program = Callable[["Trial"], Coroutine[Any, Any, None]]

# What no two runs or no two implementations share, in the order in which it is taken out of a text.
_OWN = (
    (re.compile(r"<aionetflow\.VirtualSocket [^<>]*<[^<>]*>>|<socket\.socket [^<>]*>"), "<socket>"),
    (re.compile(r"<(StreamTransport|_SelectorSocketTransport) [^<>]*(<[^<>]*>)?>"), "<stream transport>"),
    (re.compile(r"<(DatagramTransport|_SelectorDatagramTransport) [^<>]*(<[^<>]*>)?>"), "<datagram transport>"),
    (re.compile(r"<[\w.]*Server [^<>]*(<[^<>]*>[^<>]*)*>"), "<server>"),
    (re.compile(r"(fd=|[dD]escriptor )\d+"), r"\1N"),
    (re.compile(r" at 0x[0-9a-f]+"), ""),
)
_PORT = re.compile(r"\('([\w.:]*)', (\d+)")
_FIRST_EPHEMERAL = 1024


class Trial:
    """One run of a program; `said` is what came of its calls, without what is that run's own."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.told: list[dict[str, Any]] = []  # contexts of the exception handler, once `listen_to_handler` is called
        self.left = contextlib.AsyncExitStack()
        self._ports: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.left.aclose()

    # Calls whose outcome is noted ---------------------------------------------------------------------------------

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Calls, and notes the result or the error; what the call returned, or None."""
        what = function.__name__.lstrip("_")
        with self._noted(what):
            result = function(*args, **kwargs)
            self.say(what, result)
            return result

    async def wait(self, awaitable: Awaitable[Any]) -> Any:
        """The same for a coroutine."""
        what = getattr(awaitable, "__name__", type(awaitable).__name__).lstrip("_")
        with self._noted(what):
            result = await awaitable
            self.say(what, result)
            return result

    def say(self, what: str, result: object = "") -> None:
        """Notes something."""
        self.said.append(f"{what}: {self._plain(repr(result))}")

    @contextlib.contextmanager
    def _noted(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            code = f" {error.errno}" if isinstance(error, OSError) else ""
            self.said.append(f"{what}: {type(error).__name__}{code} {self._plain(str(error))}")

    def _plain(self, text: str) -> str:
        for pattern, stand_in in _OWN:
            text = pattern.sub(stand_in, text)
        return _PORT.sub(self._plain_port, text)

    def _plain_port(self, match: re.Match[str]) -> str:
        host, port = match.groups()
        if int(port) >= _FIRST_EPHEMERAL:
            port = self._ports.setdefault(port, f"port {len(self._ports) + 1}")
        return f"('{host}', {port}"

    # What many programs begin with; none of it is noted -----------------------------------------------------------

    def sock(self, kind: int = socket.SOCK_STREAM, family: int = socket.AF_INET) -> socket.socket:
        """A socket that does not block."""
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        self.left.callback(sock.close)
        return sock

    def bound(self, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """One with an address on loopback."""
        sock = self.sock(kind)
        sock.bind((LO, 0))
        return sock

    def listener(self, backlog: int = 5) -> socket.socket:
        """One that listens."""
        sock = self.bound()
        sock.listen(backlog)
        return sock

    async def pair(self) -> tuple[socket.socket, socket.socket]:
        """Two that are connected to each other."""
        loop, listener, near = asyncio.get_running_loop(), self.listener(), self.sock()
        await loop.sock_connect(near, listener.getsockname())
        far, _ = await loop.sock_accept(listener)
        listener.close()
        self.left.callback(far.close)
        return near, far

    async def server(self, factory: Callable[[], asyncio.BaseProtocol] = asyncio.Protocol, **kwargs: Any) -> Address:
        """A server, closed at the end: its address."""
        server = await asyncio.get_running_loop().create_server(factory, LO, 0, **kwargs)
        self.left.callback(server.close)
        address: Address = server.sockets[0].getsockname()
        return address

    async def connection(self, kind: Any = asyncio.Protocol, **kwargs: Any) -> tuple[Any, Any]:
        """The two transports of a connection, the connecting one first; aborted at the end.

        Protocols of that kind are at both ends.
        """
        accepted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        class Accepted(kind):  # type: ignore[misc]
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                accepted.set_result(transport)

        address = await self.server(Accepted)
        near, _ = await asyncio.get_running_loop().create_connection(kind, *address, **kwargs)
        far = await accepted
        self.left.callback(_end, near)
        self.left.callback(_end, far)
        return near, far

    async def endpoint(self, **kwargs: Any) -> Any:
        """A datagram transport, aborted at the end."""
        kwargs.setdefault("local_addr", (LO, 0))
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(asyncio.DatagramProtocol, **kwargs)
        self.left.callback(transport.abort)
        return transport

    def listen_to_handler(self) -> None:
        """Has what is told to the loop's exception handler kept in `told`, and not count as a failure."""
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.told.append(context))


def _end(transport: Any) -> None:
    if not transport.is_closing():  # stock asyncio's may not be aborted twice
        transport.abort()


async def _try(program: Program) -> list[str]:
    async with Trial() as trial:
        await program(trial)
    return trial.said


async def _try_on_network(program: Program) -> list[str]:
    async with aionetflow.Network(seed=1):
        with aionetflow.patch():
            return await _try(program)


def on_network(program: Program, kind: str) -> list[str]:
    """What a virtual network says to a program on a kind of loop (support.loops), the socket module patched."""
    said: list[str] = []

    async def main() -> None:
        said.extend(await _try_on_network(program))

    run(kind, main)
    return said


@functools.cache
def on_kernel(program: Program) -> list[str]:
    """What Linux and stock asyncio say to it."""
    said: list[str] = []

    async def main() -> None:
        said.extend(await _try(program))

    run("asyncio", main)
    return said


def on_both(test: Program) -> Callable[..., None]:
    """A decorator that makes a test of a Trial one for each side."""

    def on_side(side: str) -> None:
        on_kernel.__wrapped__(test) if side == "kernel" else on_network(test, side)

    on_side.__name__, on_side.__doc__, on_side.__module__ = test.__name__, test.__doc__, test.__module__
    sides = [pytest.param("kernel", marks=[pytest.mark.kernel, only_on_the_fastest_build]), *KINDS]
    marked: Callable[..., None] = pytest.mark.parametrize("side", sides)(on_side)
    return marked


def collector(programs: dict[str, Program]) -> Callable[[Program], Program]:
    """A decorator that enters programs by name."""

    def collect(program: Program) -> Program:
        programs[program.__name__] = program
        return program

    return collect


async def settle() -> None:
    """Lets what is under way arrive: on loopback that takes turns of the loop and no time, on either side."""
    await turns(20)


class Recorder(asyncio.Protocol):
    """A protocol that keeps what it is told, in order; octets that come in pieces are one "data"."""

    keep_open = False  # what eof_received() answers

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.data = bytearray()
        self.transport: Any = None
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def note(self, call: str) -> None:
        if self.calls[-1:] != [call]:
            self.calls.append(call)

    def connection_made(self, transport: Any) -> None:
        self.note("made")
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.note("data")
        self.data += data

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.note("lost")
        self.lost.set_result(exc)
