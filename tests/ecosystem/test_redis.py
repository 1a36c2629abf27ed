"""redis-py: commands, a pipeline, and messages to a subscriber; the server speaks RESP and knows a few commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import redis.asyncio


def encode(value: Any) -> bytes:
    """RESP3, as far as it is used: nil, numbers, strings, arrays, maps, and a push to a subscriber (a tuple)."""
    match value:
        case None:
            return b"_\r\n"
        case int():
            return b":%d\r\n" % value
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(value), value)
        case dict():
            return b"%%%d\r\n" % len(value) + b"".join(encode(part) for item in value.items() for part in item)
        case _:
            mark = b">" if isinstance(value, tuple) else b"*"
            return mark + b"%d\r\n" % len(value) + b"".join(map(encode, value))


class Store:
    """Keys, and who has subscribed to what."""

    def __init__(self) -> None:
        self.keys: dict[bytes, bytes] = {}
        self.readers: dict[bytes, list[asyncio.StreamWriter]] = {}

    def do(self, writer: asyncio.StreamWriter, name: bytes, *given: bytes) -> Any:
        match name.upper(), *given:
            case b"HELLO", *_:
                return {b"server": b"redis", b"version": b"7.4.0", b"proto": 3, b"role": b"master"}
            case b"SET", key, value, *_:
                self.keys[key] = value
            case b"GET", key:
                return self.keys.get(key)
            case b"INCR" | b"INCRBY", key, *_:
                self.keys[key] = b"%d" % (int(self.keys.get(key, b"0")) + 1)
                return int(self.keys[key])
            case b"SUBSCRIBE", channel:
                self.readers.setdefault(channel, []).append(writer)
                return (b"subscribe", channel, 1)
            case b"UNSUBSCRIBE", channel:
                self.readers[channel].remove(writer)
                return (b"unsubscribe", channel, 0)
            case b"PUBLISH", channel, message:
                readers = self.readers.get(channel, [])
                for reader in readers:
                    reader.write(encode((b"message", channel, message)))
                return len(readers)
        return b"OK"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                count = int((await reader.readuntil(b"\r\n"))[1:])
                words = []
                for _ in range(count):
                    length = int((await reader.readuntil(b"\r\n"))[1:])
                    words.append((await reader.readexactly(length + 2))[:-2])
                writer.write(encode(self.do(writer, *words)))
        writer.close()


@contextlib.asynccontextmanager
async def serve(name: str) -> AsyncIterator[int]:
    server = await asyncio.start_server(Store().talk, name, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def commands(client: redis.asyncio.Redis) -> None:
    assert await client.get("missing") is None
    await client.set("key", value := b"value" * 20_000)
    assert await client.get("key") == value
    async with client.pipeline(transaction=False) as pipeline:
        for _ in range(100):
            pipeline.incr("counter")
        assert await pipeline.execute() == list(range(1, 101))


async def subscribing(client: redis.asyncio.Redis) -> None:
    async with client.pubsub() as channel:
        await channel.subscribe("news")
        got = [await channel.get_message(timeout=5)]
        assert [await client.publish("news", text) for text in ("first", "second")] == [1, 1]
        got += [await channel.get_message(timeout=5) for _ in range(2)]
    assert [(message["type"], message["data"]) for message in got] == [
        ("subscribe", 1), ("message", b"first"), ("message", b"second")
    ]  # fmt: skip


@pytest.mark.parametrize("use", [commands, subscribing], ids=lambda use: use.__name__)
def test_a_store_is_used(run: Callable[..., None], use: Callable[[Any], Any]) -> None:
    async def connected(name: str, port: int) -> None:
        async with redis.asyncio.Redis(host=name, port=port, socket_keepalive=True) as client:
            await use(client)

    run(serve, connected)
