"""What a stream transport writes, and when."""

from __future__ import annotations

import asyncio
import socket

import pytest

import aionetflow
from support.loops import everywhere, turns

PATIENCE = 5  # s


async def test_what_did_not_fit_is_sent_though_all_that_did_was_acknowledged_at_once() -> None:
    """On one host a segment is received, and acknowledged, before the write that sent it has returned."""
    data = bytes(range(256)) * 1024

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.readexactly(len(data)))
        writer.close()

    async with aionetflow.Network(seed=1), asyncio.timeout(PATIENCE):
        received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        async with await asyncio.start_server(serve, "127.0.0.1", 8080):
            _, writer = await asyncio.open_connection("127.0.0.1", 8080)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_000)
            writer.write(data[:1])  # not acknowledged yet: with what comes next it is enough for that
            writer.write(data[1:])
            assert await received == data
            writer.close()
            await writer.wait_closed()


async def test_what_is_below_a_read_only_view_may_be_changed_once_it_is_written() -> None:
    data = bytearray(1_000_000)
    async with aionetflow.Network(seed=1), asyncio.timeout(PATIENCE):
        received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.set_result(await reader.read(-1))
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 8080):
            _, writer = await asyncio.open_connection("127.0.0.1", 8080)
            writer.write(memoryview(data).toreadonly())
            writer.write_eof()
            data[:] = b"x" * len(data)
            assert await received == bytes(len(data))
            writer.close()
            await writer.wait_closed()


class EndsWhenResumed(asyncio.Protocol):
    """Closes or aborts its transport when it is told that it may write again."""

    def __init__(self, end: str) -> None:
        self.lost: list[Exception | None] = []
        self._end = end

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def resume_writing(self) -> None:
        getattr(self._transport, self._end)()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


@pytest.mark.parametrize("end", ["close", "abort"])
@everywhere
async def test_a_protocol_that_ends_when_it_may_write_again_is_told_once_of_the_end(end: str) -> None:
    loop = asyncio.get_running_loop()
    async with aionetflow.Network(seed=1), asyncio.timeout(PATIENCE):
        drained = loop.create_future()

        async def drain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            drained.set_result(len(await reader.read()))
            writer.close()

        async with await asyncio.start_server(drain, "127.0.0.1", 8080):
            transport, protocol = await loop.create_connection(lambda: EndsWhenResumed(end), "127.0.0.1", 8080)
            transport.set_write_buffer_limits(high=0)
            transport.write(bytes(3_000_000))
            assert await drained == 3_000_000
            await turns(10)
    assert protocol.lost == [None]  # and nothing came to the exception handler
