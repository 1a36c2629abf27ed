"""write(): back-pressure, bounded memory, every kind of buffer, several tasks at once."""

from __future__ import annotations

import array
import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import aionetflow as anf
from aionetflow import Network, Socket
from aionetflow.socket.stream import StreamSocket
from support.loops import everywhere, in_virtual_time, seconds, turns, until
from support.talk import Option, block_of, connected, pattern, read_all, read_exactly

SMALL: list[Option] = [(anf.SOL_SOCKET, anf.SO_SNDBUF, 8192), (anf.SOL_SOCKET, anf.SO_RCVBUF, 8192)]
ROOM = 8192  # what such a buffer holds


def buffered(sock: Socket) -> int:
    """Octets in both of its buffers."""
    core = sock.core
    assert isinstance(core, StreamSocket)
    return sum(core.queued())


@in_virtual_time
async def test_write_returns_when_the_octets_are_in_the_buffer_not_when_they_are_there() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b, delay=0.5)
        client, server = await connected(a, b)
        start = seconds()
        await client.write(pattern(100_000))
        assert seconds() == start
        assert client.written == 100_000
        assert block_of(net, client).send_q == 100_000
        assert await read_exactly(server, 100_000) == pattern(100_000)
        assert seconds() > start + 0.5
        await client.close()
        await server.close()


@everywhere
async def test_write_waits_while_the_buffer_is_full_and_memory_stays_bounded() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"), options=SMALL, server_options=SMALL)
        data = pattern(200_000)
        writing = asyncio.create_task(client.write(data))
        await until(lambda: buffered(client) == ROOM)
        await turns(20)
        assert not writing.done()
        assert client.written <= 2 * ROOM + 1
        received = bytearray()
        while len(received) < len(data):
            received += await server.read(1000)
            assert buffered(client) <= ROOM
            assert buffered(server) <= ROOM
            assert client.written - len(received) <= 2 * ROOM
        await writing
        assert received == data
        assert client.written == len(data)
        await client.close()
        await server.close()


@everywhere
async def test_a_big_write_arrives_whole() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        data = pattern(1_200_001)
        writing = asyncio.create_task(client.write(data))
        assert await read_exactly(server, len(data)) == data
        await writing
        await client.close()
        assert await server.read(1) == b""
        await server.close()


@everywhere
async def test_many_small_writes_arrive_in_order() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"), options=SMALL)
        pieces = [pattern(size % 50, size) for size in range(1500)]

        async def write_all() -> None:
            for piece in pieces:
                await client.write(piece)
            await client.shutdown(anf.SHUT_WR)

        writing = asyncio.create_task(write_all())
        assert await read_all(server) == b"".join(pieces)
        await writing
        assert client.written == sum(map(len, pieces))
        await client.close()
        await server.close()


BUFFERS: list[Callable[[bytes], Any]] = [
    bytes,
    bytearray,
    memoryview,
    lambda data: memoryview(bytearray(data)),
    lambda data: memoryview(data).cast("I"),
    lambda data: memoryview(data).cast("d"),
    lambda data: memoryview(data).cast("B", (len(data) // 8, 8)),
    lambda data: memoryview(array.array("q", data)),
    lambda data: memoryview(b"x" + data + b"x")[1:-1],
]


@pytest.mark.parametrize("size", [0, 8, 20_000])
@pytest.mark.parametrize("kind", range(len(BUFFERS)))
@everywhere
async def test_every_kind_of_buffer(kind: int, size: int) -> None:
    if size == 0 and kind == 6:
        return  # an empty view has no two dimensions
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"), options=SMALL, server_options=SMALL)
        data = pattern(size)
        writing = asyncio.create_task(client.write(BUFFERS[kind](data)))
        assert await read_exactly(server, size) == data
        await writing
        assert client.written == size
        await client.close()
        await server.close()


@everywhere
async def test_a_bytearray_may_be_changed_once_write_has_returned() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        data = bytearray(pattern(1000))
        await client.write(data)
        data[:] = bytes(2000)
        assert await read_exactly(server, 1000) == pattern(1000)
        await client.close()
        await server.close()


@pytest.mark.parametrize("bad", [None, 5, "text", [1, 2], memoryview(b"12345678")[::2]])
@everywhere
async def test_what_is_no_buffer_is_an_error_and_nothing_is_written(bad: object) -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        with pytest.raises((TypeError, BufferError)):
            await client.write(bad)  # type: ignore[arg-type]
        assert client.written == 0
        await client.write(b"fine")
        await client.close()
        assert await read_all(server) == b"fine"
        await server.close()


@everywhere
async def test_writes_of_two_tasks_are_not_torn() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"), options=SMALL, server_options=SMALL)
        sizes = (30_000, 50_000, 7)
        writing = [asyncio.create_task(client.write(bytes([i]) * size)) for i, size in enumerate(sizes, 1)]
        data = await read_exactly(server, sum(sizes))
        assert data == b"".join(bytes([i]) * size for i, size in enumerate(sizes, 1))
        await asyncio.gather(*writing)
        await client.close()
        await server.close()


@everywhere
async def test_a_task_that_writes_in_a_loop_does_not_tear_the_writes_of_others() -> None:
    # Each writer begins its next write in the very turn in which its last one ended, while others wait.
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"), options=SMALL, server_options=SMALL)
        piece, rounds, writers = 12_000, 6, 3

        async def write(mark: int) -> None:
            for _ in range(rounds):
                await client.write(bytes([mark]) * piece)

        writing = [asyncio.create_task(write(mark)) for mark in range(1, writers + 1)]
        data = await read_exactly(server, piece * rounds * writers, piece=5000)
        await asyncio.gather(*writing)
        pieces = [data[i : i + piece] for i in range(0, len(data), piece)]
        assert [len(set(each)) for each in pieces] == [1] * (rounds * writers)
        await client.close()
        await server.close()


@everywhere
async def test_two_readers_share_the_stream_and_both_see_the_end() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        pieces: list[bytes] = []

        async def read() -> None:
            while data := await server.read(64):
                pieces.append(data)
                await turns(1)

        reading = [asyncio.create_task(read()) for _ in range(2)]
        for i in range(50):
            await client.write(bytes([i]) * 64)
            await turns(3)
        await client.close()
        await asyncio.gather(*reading)
        assert sorted(b"".join(pieces)) == sorted(b"".join(bytes([i]) * 64 for i in range(50)))
        await server.close()


@everywhere
async def test_both_ends_write_and_read_at_once() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"), options=SMALL, server_options=SMALL)
        there, back = pattern(150_000, 1), pattern(120_000, 2)
        results = await asyncio.gather(
            client.write(there), server.write(back), read_exactly(server, len(there)), read_exactly(client, len(back))
        )
        assert results[2] == there
        assert results[3] == back
        await client.close()
        await server.close()


@everywhere
async def test_an_echo_on_one_socket_needs_no_second_task() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        for i in range(100):
            await client.write(pattern(100, i))
            await server.write(await read_exactly(server, 100))
            assert await read_exactly(client, 100) == pattern(100, i)
        await client.close()
        await server.close()
