"""What a stream transport writes, and when."""

from __future__ import annotations

import asyncio
import socket

import aionetflow

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
