"""On which host the sockets of a program are, whoever makes them and from where."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import aionetflow
from aionetflow.dropin.socket import VirtualSocket
from support.loops import everywhere

loop = asyncio.get_running_loop


def where() -> str:
    """The name of the host that a socket which is made here is on."""
    with socket.socket() as sock:
        return sock.host.name if isinstance(sock, VirtualSocket) else "kernel"


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[tuple[aionetflow.Host, aionetflow.Host]]:
    """Two hosts on a network, and the socket module patched."""
    async with aionetflow.Network(seed=1) as network:
        with aionetflow.patch():
            yield network.host("a"), network.host("b")


async def in_a_task() -> str:
    """In another task."""

    async def main() -> str:
        return where()

    return await asyncio.create_task(main())


async def in_a_callback() -> str:
    """In a callback."""
    told: asyncio.Future[str] = loop().create_future()
    loop().call_soon(lambda: told.set_result(where()))
    return await told


async def in_a_timer() -> str:
    """In a callback that comes later."""
    told: asyncio.Future[str] = loop().create_future()
    loop().call_later(0.001, lambda: told.set_result(where()))
    return await told


async def in_a_protocol() -> str:
    """In the protocol of an accepted connection."""
    told: asyncio.Future[str] = loop().create_future()

    class Protocol(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            told.set_result(where())

    server = await loop().create_server(Protocol, "127.0.0.1", 0)
    transport, _ = await loop().create_connection(asyncio.Protocol, *server.sockets[0].getsockname())
    transport.write(b"x")
    name = await told
    transport.close()
    server.close()
    return name


async def in_a_thread() -> str:
    """In a thread that inherits the context."""
    return await asyncio.to_thread(where)


async def in_the_default_executor() -> str:
    """In a thread that does not."""
    return await loop().run_in_executor(None, where)


async def in_an_executor() -> str:
    """In a thread of the program's own pool."""
    with ThreadPoolExecutor(1) as pool:
        return await loop().run_in_executor(pool, where)


async def here() -> str:
    """Where the test is."""
    return where()


PLACES = (
    here, in_a_task, in_a_callback, in_a_timer, in_a_protocol, in_a_thread, in_the_default_executor, in_an_executor,
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@everywhere
async def test_a_bare_socket_is_on_the_host_that_its_maker_is_on(place: Callable[[], Any]) -> None:
    async with world() as (a, b):
        assert await place() == "localhost"
        async with a:
            assert await place() == "a"
            async with b:
                assert await place() == "b"
            assert await place() == "a"
            assert await b.spawn(place()) == "b"
        assert await place() == "localhost"


@pytest.mark.kernel
@everywhere
async def test_no_thread_of_an_executor_stays_on_a_host() -> None:
    with ThreadPoolExecutor(1) as pool:
        async with world() as (a, _):
            async with a:
                assert await loop().run_in_executor(pool, where) == "a"
            assert pool.submit(where).result() == "kernel"
        assert await loop().run_in_executor(pool, where) == "kernel"


@everywhere
async def test_two_tasks_are_on_two_hosts_at_once() -> None:
    async with world() as (a, b):
        met = asyncio.Barrier(2)

        async def visit(host: aionetflow.Host) -> list[str]:
            names = []
            async with host:
                for _ in range(3):
                    await met.wait()
                    names.append(where())
            return [*names, where()]

        on_a, on_b = await asyncio.gather(visit(a), visit(b))
        assert on_a == [*"aaa", "localhost"]
        assert on_b == [*"bbb", "localhost"]


@everywhere
async def test_the_calls_of_the_loop_are_made_on_the_hosts_too() -> None:
    async with world() as (a, b):
        async with a:
            server = await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", 80)
        async with b:
            _, writer = await asyncio.open_connection("a", 80)
            assert writer.get_extra_info("sockname")[0] in b.addresses
            writer.close()
            await writer.wait_closed()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", 80)
        server.close()


@everywhere
async def test_names_are_asked_of_the_network_that_the_caller_is_on() -> None:
    async with world() as (a, b):
        async with b:
            assert socket.gethostname() == "b"
            assert socket.gethostbyname("a") in a.addresses
            assert await asyncio.to_thread(socket.gethostname) == "b"
            assert await loop().run_in_executor(None, socket.gethostbyname, "a") in a.addresses
        assert socket.gethostname() == "localhost"


@pytest.mark.kernel
@everywhere
async def test_a_thread_that_knows_of_no_network_has_the_kernels_sockets() -> None:
    told: list[str] = []
    async with world():
        thread = threading.Thread(target=lambda: told.append(where()))
        thread.start()
        await asyncio.to_thread(thread.join)
    assert told == ["kernel"]
