"""A network gives the running loop everything back, whatever happened inside."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aionetflow import Network
from aionetflow.dropin.calls import NAMES
from aionetflow.dropin.stream import StreamTransport
from support.loops import everywhere, on, turns
from support.sides import LO, Recorder

loop = asyncio.get_running_loop
_ABSENT = object()


def own() -> dict[str, Any]:
    """What the running loop has in the place of its class's network calls."""
    return {name: vars(loop()).get(name, _ABSENT) for name in NAMES}


async def ends_well() -> None:
    async with Network(seed=1):
        assert all(value is not _ABSENT for value in own().values())


async def raises() -> None:
    with pytest.raises(ZeroDivisionError):
        async with Network(seed=1):
            raise ZeroDivisionError


async def stops_the_program() -> None:
    with pytest.raises(SystemExit):
        async with Network(seed=1):
            raise SystemExit


async def is_cancelled() -> None:
    async def main() -> None:
        async with Network(seed=1):
            await asyncio.Event().wait()

    task = asyncio.ensure_future(main())
    await turns(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def is_cancelled_again_while_it_ends() -> None:
    async def clings() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)

    async def main() -> None:
        async with Network(seed=1) as network:
            network.host("a").spawn(clings())
            await asyncio.Event().wait()

    task = asyncio.ensure_future(main())
    await turns(3)
    task.cancel()
    await turns(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.02)


async def leaves_everything_open() -> None:
    async with Network(seed=1):
        server = await loop().create_server(Recorder, LO, 80)
        transport, _ = await loop().create_connection(Recorder, LO, 80)
        transport.write(bytes(1_000_000))
        endpoint, _ = await loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(LO, 80))
        waiting = asyncio.ensure_future(asyncio.open_connection("192.0.2.1", 80))
    await asyncio.gather(waiting, return_exceptions=True)
    await turns(5)
    assert transport.is_closing()
    assert endpoint.is_closing()
    server.close()


async def is_one_of_two_nested() -> None:
    async with Network(seed=1) as outer:
        before = own()
        async with Network(seed=2) as inner:
            assert loop().networks[-1] is inner  # type: ignore[attr-defined]
        assert loop().networks[-1] is outer  # type: ignore[attr-defined]
        assert own() == before


async def is_one_of_two_in_two_tasks() -> None:
    first_may_go, second_is_there = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with Network(seed=1) as network:
            only_here = network.host("only-here")
            server = await loop().create_server(Recorder, LO, 80)
            await second_is_there.wait()
            assert (await loop().getaddrinfo("only-here", 80))[0][4][0] in only_here.addresses
            first_may_go.set()
            server.close()

    async def second() -> None:
        async with Network(seed=2):
            second_is_there.set()
            await first_may_go.wait()
            with pytest.raises(socket.gaierror):
                await loop().getaddrinfo("only-here", 80)
            with pytest.raises(ConnectionRefusedError):
                await loop().create_connection(Recorder, LO, 80)
            server = await loop().create_server(Recorder, LO, 80)
            transport, _ = await loop().create_connection(Recorder, LO, 80)
            transport.close()
            server.close()

    await asyncio.gather(first(), second())


async def has_a_call_replaced_inside() -> None:
    async with Network(seed=1):
        setattr(loop(), "getaddrinfo", print)  # noqa: B010
        setattr(loop(), "sock_recv", print)  # noqa: B010


async def has_a_call_deleted_inside() -> None:
    async with Network(seed=1):
        delattr(loop(), "create_connection")


PROGRAMS = (
    ends_well, raises, stops_the_program, is_cancelled, is_cancelled_again_while_it_ends, leaves_everything_open,
    is_one_of_two_nested, is_one_of_two_in_two_tasks, has_a_call_replaced_inside, has_a_call_deleted_inside,
)  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
@everywhere
async def test_the_loop_is_as_before_after_a_network_that(program: Callable[[], Coroutine[Any, Any, None]]) -> None:
    before = own()
    await program()
    assert own() == before


@pytest.mark.parametrize("program", PROGRAMS)
@everywhere
async def test_calls_that_a_program_had_replaced_are_given_back_after_a_network_that(
    program: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    async def mine(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("not while a network is there")

    for name in ("sock_recv", "create_connection"):
        setattr(loop(), name, mine)
    await program()
    for name in ("sock_recv", "create_connection"):
        assert vars(loop()).pop(name) is mine


@pytest.mark.kernel
@on("asyncio", "uvloop")
async def test_the_kernels_network_is_there_again_afterwards() -> None:
    async with Network(seed=1):
        (await loop().create_server(Recorder, LO, 0)).close()
    server = await asyncio.start_server(lambda _, writer: writer.close(), LO, 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b""
    assert not isinstance(writer.transport, StreamTransport)
    writer.close()
    await writer.wait_closed()
    server.close()


def answering(asked: list[Any]) -> Callable[..., Coroutine[Any, Any, Any]]:
    """A look-up of the program's own: everybody is on loopback."""

    async def getaddrinfo(host: Any, port: Any, **kwargs: Any) -> Any:
        asked.append(host)
        kind = kwargs.get("type") or socket.SOCK_STREAM
        return [(socket.AF_INET, kind, 6 if kind == socket.SOCK_STREAM else 17, "", (LO, port))]

    return getaddrinfo


@everywhere
async def test_a_look_up_replaced_on_the_loop_is_asked_by_everything_that_resolves() -> None:
    asked: list[Any] = []
    async with Network(seed=1):
        setattr(loop(), "getaddrinfo", answering(asked))  # noqa: B010
        server = await loop().create_server(Recorder, "serve.example", 80)
        transport, protocol = await loop().create_connection(Recorder, "connect.example", 80)
        transport.close()
        await protocol.lost
        endpoint, _ = await loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("local.example", 0), remote_addr=("remote.example", 9)
        )
        endpoint.close()
        with socket.socket() as sock:  # adopted
            sock.setblocking(False)
            await loop().sock_connect(sock, ("sock.example", 80))
        server.close()
        await turns(10)
    names = ["serve.example", "connect.example", "local.example", "remote.example", "sock.example"]
    assert sorted(asked) == sorted(names)


@everywhere
async def test_a_look_up_replaced_before_is_asked_for_what_the_network_does_not_know() -> None:
    asked: list[Any] = []
    setattr(loop(), "getaddrinfo", answering(asked))  # noqa: B010
    async with Network(seed=1) as network:
        network.host("known")
        server = await loop().create_server(Recorder, LO, 80)
        transport, protocol = await loop().create_connection(Recorder, "unknown.example", 80)
        transport.close()
        await protocol.lost
        assert await loop().getaddrinfo("known", 80)
        server.close()
        await turns(5)
    assert asked == ["unknown.example"]
    delattr(loop(), "getaddrinfo")
