"""websockets: many messages, a long one, pings, and how a connection ends."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosedError


async def shout(connection: ServerConnection) -> None:
    async for message in connection:
        if message == "leave":
            await connection.close(4001, "as you wish")
        else:
            await connection.send(message.upper())


@contextlib.asynccontextmanager
async def serve(name: str) -> AsyncIterator[int]:
    async with listen(shout, name, 0) as server:
        yield next(iter(server.sockets)).getsockname()[1]


async def messages(name: str, port: int) -> None:
    async with connect(f"ws://{name}:{port}", proxy=None) as connection:
        assert connection.remote_address[1] == port
        for number in range(50):
            await connection.send(f"message {number}")
        assert [await connection.recv() for _ in range(50)] == [f"MESSAGE {number}" for number in range(50)]


async def long_message(name: str, port: int) -> None:
    text = "abcdefgh" * 20_000
    async with connect(f"ws://{name}:{port}", proxy=None, compression=None) as connection:
        await connection.send(text)
        assert await connection.recv() == text.upper()
        assert await (await connection.ping()) >= 0


async def closing(name: str, port: int) -> None:
    async with connect(f"ws://{name}:{port}", proxy=None) as connection:
        await connection.send("leave")
        with pytest.raises(ConnectionClosedError, match="4001"):
            await connection.recv()
    assert (connection.close_code, connection.close_reason) == (4001, "as you wish")


@pytest.mark.parametrize("use", [messages, long_message, closing], ids=lambda use: use.__name__)
def test_a_server_is_used(run: Callable[..., None], use: Callable[[str, int], object]) -> None:
    run(serve, use)
