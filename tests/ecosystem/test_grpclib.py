"""grpclib: one answer to one request, and streams both ways."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError
from grpclib.server import Server


class Shouting:
    """A service without generated code."""

    async def say(self, stream: Any) -> None:
        request = await stream.recv_message()
        if not request.value:
            raise GRPCError(Status.INVALID_ARGUMENT, "nothing to say")
        await stream.send_message(StringValue(value=request.value.upper()))

    async def talk(self, stream: Any) -> None:
        async for request in stream:
            await stream.send_message(StringValue(value=request.value.upper()))

    def __mapping__(self) -> dict[str, Handler]:
        return {
            "/Shouting/say": Handler(self.say, Cardinality.UNARY_UNARY, StringValue, StringValue),
            "/Shouting/talk": Handler(self.talk, Cardinality.STREAM_STREAM, StringValue, StringValue),
        }


@contextlib.asynccontextmanager
async def serve(name: str) -> AsyncIterator[int]:
    server = Server([Shouting()])
    await server.start(name, 0)
    yield server._server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def unary(channel: Channel) -> None:
    say = UnaryUnaryMethod(channel, "/Shouting/say", StringValue, StringValue)
    for text in ("hello", "long" * 20_000):
        assert (await say(StringValue(value=text))).value == text.upper()
    with pytest.raises(GRPCError, match="nothing to say"):
        await say(StringValue())


async def streaming(channel: Channel) -> None:
    talk = StreamStreamMethod(channel, "/Shouting/talk", StringValue, StringValue)
    async with talk.open() as stream:
        for number in range(30):
            await stream.send_message(StringValue(value=f"line {number} " * 100), end=number == 29)
        got = [message.value async for message in stream]
    assert got == [f"LINE {number} " * 100 for number in range(30)]


@pytest.mark.parametrize("use", [unary, streaming], ids=lambda use: use.__name__)
def test_a_service_is_used(run: Callable[..., None], use: Callable[[Channel], Any]) -> None:
    async def client(name: str, port: int) -> None:
        async with Channel(name, port) as channel:
            await use(channel)

    run(serve, client)
