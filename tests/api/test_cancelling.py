"""Cancelling a call, at every point where it waits, leaves the socket usable and loses no octet."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

import aionetflow as anf
from aionetflow import Host, Network, Socket
from aionetflow.fast_paths import FAST
from support.cancelling import ARRIVING, WAYS, cancel_at
from support.loops import everywhere, in_virtual_time, seconds, turns, until
from support.talk import Option, block_of, connected, datagram, listening, pattern, read_all, read_exactly, stream

SMALL: list[Option] = [(anf.SOL_SOCKET, anf.SO_SNDBUF, 4608), (anf.SOL_SOCKET, anf.SO_RCVBUF, 4608)]
ENOUGH = 60  # points; no call here waits as often
COUNT = 12  # datagrams
each_way = pytest.mark.parametrize("way", WAYS)


@pytest.fixture(autouse=True)
def in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames take turns of the loop, so that calls wait: else a handshake is over before connect() has to."""
    monkeypatch.setattr(FAST, "burst", False)


def pair(net: Network) -> tuple[Host, Host]:
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=0.0)
    return a, b


def functions(way: str, function: Callable[..., Any], method: Callable[..., Any]) -> Callable[..., Any]:
    """The module function or the method: they wait at the same points, and each has its turn."""
    return function if way == ARRIVING else method


async def sweep(scenario: Callable[[int], Coroutine[Any, Any, bool]], at_least: int) -> None:
    """Runs a scenario with a cancellation at point 1, at point 2, and so on until it ends before it comes to that."""
    for point in range(1, ENOUGH):
        if not await scenario(point):
            assert point > at_least, f"it waited only {point - 1} times"
            return
    raise AssertionError("it waits without end")


async def talk_works(client: Socket, server: Socket) -> None:
    """Both directions, to the end."""
    await client.write(b"question")
    assert await read_exactly(server, 8) == b"question"
    await server.write(b"answer")
    await server.close()
    assert await read_all(client) == b"answer"
    await client.close()


@each_way
@everywhere
async def test_connect(way: str) -> None:
    async def scenario(point: int) -> bool:
        async with Network(seed=point) as net:
            a, b = pair(net)
            listener, sock = await listening(b), await stream(a)
            address = ("b", 80)
            connect = functions(way, anf.connect, Socket.connect)
            cancelled, _ = await cancel_at(lambda: connect(sock, address), point, way)
            if cancelled:
                await sock.connect(address)  # waits for the handshake that goes on, or finds it done
            with pytest.raises(OSError, match="already connected"):
                await sock.connect(address)
            server, _ = await listener.accept()
            await talk_works(sock, server)
            assert listener.core.queued()[0] == 0
            await listener.close()
        return cancelled

    await sweep(scenario, 1)


@each_way
@everywhere
async def test_connect_that_is_refused(way: str) -> None:
    async def scenario(point: int) -> bool:
        async with Network(seed=point) as net:
            a, b = pair(net)
            sock = await stream(a)
            cancelled = True
            try:
                cancelled, _ = await cancel_at(lambda: sock.connect(("b", 80)), point, way)
            except ConnectionRefusedError:
                cancelled = False
            if cancelled:
                with pytest.raises(ConnectionRefusedError):
                    await sock.connect(("b", 80))
            listener = await listening(b)
            await sock.connect(("b", 80))
            server, _ = await listener.accept()
            await talk_works(sock, server)
            await listener.close()
        return cancelled

    await sweep(scenario, 1)


@each_way
@everywhere
async def test_accept_loses_no_connection(way: str) -> None:
    async def scenario(point: int) -> bool:
        async with Network(seed=point) as net:
            a, b = pair(net)
            listener = await listening(b)
            client = await stream(a)
            connecting = asyncio.create_task(client.connect(("b", 80)))
            accept = functions(way, anf.accept, Socket.accept)
            cancelled, accepted = await cancel_at(lambda: accept(listener), point, way)
            await connecting
            server, peer = accepted or await listener.accept()
            assert peer == await client.getsockname()
            await talk_works(client, server)
            await listener.close()
            assert [block for block in net.sockets() if block.fd >= 0] == []
        return cancelled

    await sweep(scenario, 1)


@each_way
@everywhere
async def test_accept_of_two_tasks_of_which_one_is_cancelled(way: str) -> None:
    async with Network(seed=1) as net:
        a, b = pair(net)
        listener = await listening(b)
        client = await stream(a)
        first = asyncio.create_task(cancel_at(listener.accept, 1, way))
        second = asyncio.create_task(listener.accept())
        await turns(2)
        await client.connect(("b", 80))
        server, _ = await second
        await talk_works(client, server)
        if not first.done():
            first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await listener.close()


@each_way
@everywhere
async def test_read_loses_no_octet(way: str) -> None:
    async def scenario(point: int) -> bool:
        async with Network(seed=point) as net:
            client, server = await connected(*pair(net), options=SMALL, server_options=SMALL)
            data = pattern(20_000)

            async def write() -> None:
                await turns(3)
                await client.write(data)
                await client.close()

            writing = asyncio.create_task(write())
            received = bytearray()

            async def read() -> None:
                while more := await functions(way, anf.read, Socket.read)(server, 777):
                    received.extend(more)

            cancelled, _ = await cancel_at(read, point, way)
            received += await read_all(server)
            assert bytes(received) == data
            await writing
            await server.close()
        return cancelled

    await sweep(scenario, 3)


@each_way
@everywhere
async def test_write_says_how_much_it_wrote(way: str) -> None:
    async def scenario(point: int) -> bool:
        async with Network(seed=point) as net:
            client, server = await connected(*pair(net), options=SMALL, server_options=SMALL)
            data = pattern(30_000)
            reading = asyncio.create_task(read_exactly(server, len(data)))
            write = functions(way, anf.write, Socket.write)
            cancelled, _ = await cancel_at(lambda: write(client, data), point, way)
            assert 0 < client.written <= len(data)
            assert cancelled or client.written == len(data)
            await client.write(data[client.written :])
            assert client.written == len(data)
            assert await reading == data
            await client.close()
            assert await server.read(1) == b""
            await server.close()
        return cancelled

    await sweep(scenario, 2)


@each_way
@everywhere
async def test_a_cancelled_write_leaves_those_of_others_whole(way: str) -> None:
    async def scenario(point: int) -> bool:
        async with Network(seed=point) as net:
            client, server = await connected(*pair(net), options=SMALL, server_options=SMALL)
            size = 12_000
            first = asyncio.create_task(client.write(b"1" * size))
            second = asyncio.create_task(cancel_at(lambda: client.write(b"2" * size), point, way))
            await turns(2)  # the second waits for its turn
            third = asyncio.create_task(client.write(b"3" * size))

            async def end() -> None:
                await asyncio.gather(first, second, third)
                await client.close()

            ending = asyncio.create_task(end())
            data = await read_all(server)
            await ending
            whole = client.written - 2 * size  # what there is of the second
            assert data == b"1" * size + b"2" * whole + b"3" * size
            await server.close()
        return second.result()[0]

    await sweep(scenario, 2)


@each_way
@everywhere
async def test_recvfrom_loses_no_datagram(way: str) -> None:
    async def scenario(point: int) -> bool:
        async with Network(seed=point) as net:
            a, b = pair(net)
            sender, receiver = await datagram(a), await datagram(b)
            await receiver.bind(("", 53))
            received: list[bytes] = []

            async def read() -> None:
                while len(received) < COUNT:
                    received.append((await functions(way, anf.recvfrom, Socket.recvfrom)(receiver, 100))[0])

            async def send() -> None:
                for i in range(COUNT):
                    await sender.sendto(bytes([i]), ("b", 53))
                    await turns(i % 4 + 1)

            sending = asyncio.create_task(send())
            cancelled, _ = await cancel_at(read, point, way)
            await read()
            await sending
            assert received == [bytes([i]) for i in range(COUNT)]
            await sender.close()
            await receiver.close()
        return cancelled

    await sweep(scenario, 5)


@each_way
@in_virtual_time
async def test_close_that_lingers_closes_all_the_same_and_delivery_goes_on(way: str) -> None:
    async def scenario(point: int) -> bool:
        async with Network(seed=point) as net:
            a, b = net.host("a"), net.host("b")
            net.link(a, b, delay=0.05, rate=1e6)
            linger = (anf.SOL_SOCKET, anf.SO_LINGER, b"\1\0\0\0\x3c\0\0\0")
            client, server = await connected(a, b, options=[linger])
            data = pattern(20_000)
            await client.write(data)
            cancelled, _ = await cancel_at(client.close, point, way)
            assert client.fileno() == -1
            assert block_of(net, server).state in ("ESTAB", "CLOSE-WAIT")
            assert await read_all(server) == data
            await server.close()
        return cancelled

    await sweep(scenario, 1)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("bind", (("", 0),)), ("listen", ()), ("getsockname", ()), ("getsockopt", (1, 3)), ("setsockopt", (1, 2, 1)),
        ("close", ()),
    ],
)  # fmt: skip
@everywhere
async def test_calls_that_have_nothing_to_wait_for_do_not_wait(name: str, arguments: tuple[Any, ...]) -> None:
    async with Network(seed=1), await anf.socket() as sock:
        cancelled, _ = await cancel_at(lambda: getattr(sock, name)(*arguments), 1, ARRIVING)
        assert not cancelled
        cancelled, made = await cancel_at(anf.socket, 1, ARRIVING)
        assert not cancelled
        assert made is not None
        await made.close()


@each_way
@everywhere
async def test_a_client_that_is_cancelled_anywhere_in_its_life_does_no_harm(way: str) -> None:
    async def scenario(point: int) -> bool:
        async with Network(seed=point) as net:
            a, b = pair(net)
            listener = await listening(b)

            async def serve() -> None:
                while True:
                    conn, _ = await listener.accept()
                    async with conn:
                        with suppress(OSError):  # the client was cancelled and has closed with our answer unread
                            await conn.write(await conn.read(100))

            server = b.spawn(serve())

            async def life(data: bytes) -> bytes:
                async with a, await anf.socket() as sock:
                    await sock.connect(("b", 80))
                    await sock.write(data)
                    await sock.shutdown(anf.SHUT_WR)
                    return await read_all(sock, 3)

            cancelled, answer = await cancel_at(lambda: life(b"hello"), point, way)
            assert cancelled or answer == b"hello"
            assert await life(b"again") == b"again"
            assert [block for block in net.sockets() if block.host == "a" and block.fd >= 0] == []
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)
            await listener.close()
            await until(lambda: not [block for block in net.sockets() if block.host == "b"])
        return cancelled

    await sweep(scenario, 2)


@in_virtual_time
async def test_timeouts_around_each_call_that_waits() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b, delay=0.5)
        listener, sock, receiver = await listening(b, options=SMALL), await stream(a, *SMALL), await datagram(b)
        await asyncio.sleep(2)

        async def times_out(call: Coroutine[Any, Any, Any], duration: float) -> None:
            start = seconds()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(duration):
                    await call
            assert seconds() == pytest.approx(start + duration, abs=1e-9)

        await times_out(listener.accept(), 0.25)
        await times_out(receiver.recvfrom(10), 0.25)
        await times_out(sock.connect(("b", 80)), 0.75)  # ARP has been answered by the time of 1 s
        await times_out(sock.connect(("b", 80)), 0.5)
        await sock.connect(("b", 80))
        assert seconds() == pytest.approx(2.5 + 2.0, abs=1e-9)
        server, _ = await listener.accept()
        await times_out(server.read(10), 3)
        data = pattern(50_000)
        await times_out(sock.write(data), 7)
        reading = asyncio.create_task(read_exactly(server, len(data)))
        await sock.write(data[sock.written :])
        assert await reading == data
        for each in (sock, server, listener, receiver):
            await each.close()


@everywhere
async def test_calls_that_were_cancelled_leave_nothing_behind() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(*pair(net))
        listener, receiver = await listening(net.localhost), await datagram(net.localhost)

        async def cancel_all(times: int) -> int:
            for _ in range(times):
                calls = (client.read(1), server.read(1), listener.accept(), receiver.recvfrom(1))
                tasks = [asyncio.create_task(call) for call in calls]
                await turns(2)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
            del tasks, task, calls
            gc.collect()
            return sum(isinstance(thing, asyncio.Future) for thing in gc.get_objects())

        few = await cancel_all(5)
        assert await cancel_all(50) <= few + 8
        for sock in (client, server, listener, receiver):
            await sock.close()
