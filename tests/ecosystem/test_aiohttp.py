"""aiohttp: its client, which makes its own sockets, and its web server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from ssl import SSLContext
from typing import Any

import aiohttp
import pytest
from aiohttp import ClientTimeout, web
from aiohttp.test_utils import TestClient, TestServer

PAGE = Path(__file__)
TEXT = PAGE.read_bytes()


class Service:
    """Handlers of a small web service."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def peer(self, request: web.Request) -> web.Response:
        assert request.transport is not None
        return web.json_response([request.match_info["name"], request.transport.get_extra_info("peername")[1]])

    async def echo(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def chat(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data.upper())
        return socket

    async def page(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(PAGE)

    async def never(self, request: web.Request) -> web.Response:
        try:
            await asyncio.Event().wait()
        finally:
            self.gone.set()
        raise AssertionError

    async def departed(self, request: web.Request) -> web.Response:
        await self.gone.wait()
        return web.Response(text="departed")

    def application(self) -> web.Application:
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get("/peer/{name}", self.peer)
        app.router.add_post("/echo", self.echo)
        for handler in (self.chat, self.page, self.never, self.departed):
            app.router.add_get(f"/{handler.__name__}", handler)
        return app


@contextlib.asynccontextmanager
async def serve(name: str, tls: SSLContext | None = None) -> AsyncIterator[int]:
    runner = web.AppRunner(Service().application(), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, name, 0, ssl_context=tls).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def keep_alive(session: Any) -> None:
    ports = set()
    for name in ("one", "two", "three"):
        async with session.get(f"/peer/{name}") as response:
            got, port = await response.json()
        assert got == name
        ports.add(port)
    assert len(ports) == 1


async def upload(session: Any) -> None:
    async with session.post("/echo", data=(body := bytes(range(256)) * 200)) as response:
        assert await response.read() == body


async def websocket(session: Any) -> None:
    async with session.ws_connect("/chat") as socket:
        for number in range(20):
            await socket.send_str(f"line {number}")
        assert [await socket.receive_str() for _ in range(20)] == [f"LINE {number}" for number in range(20)]


async def file(session: Any) -> None:
    async with session.get("/page") as response:
        assert await response.read() == TEXT
    async with session.get("/page", headers={"Range": "bytes=3-9"}) as response:
        assert (response.status, await response.read()) == (206, TEXT[3:10])


async def disconnect(session: Any) -> None:
    with pytest.raises(TimeoutError):
        await session.get("/never", timeout=ClientTimeout(sock_read=0.3))
    async with session.get("/departed") as response:
        assert await response.text() == "departed"


@pytest.mark.parametrize("use", [keep_alive, upload, websocket, file, disconnect], ids=lambda use: use.__name__)
def test_a_service_is_used(run: Callable[..., None], use: Callable[[Any], Awaitable[None]]) -> None:
    async def client(name: str, port: int) -> None:
        async with aiohttp.ClientSession(f"http://{name}:{port}") as session:
            await use(session)

    run(serve, client, patched=True)


def test_it_is_used_over_tls(run: Callable[..., None], certificates: Any) -> None:
    async def client(name: str, port: int) -> None:
        connector = aiohttp.TCPConnector(ssl=certificates.client)
        async with aiohttp.ClientSession(f"https://{name}:{port}", connector=connector) as session:
            await keep_alive(session)
            await upload(session)

    run(lambda name: serve(name, certificates.server), client, patched=True)


def test_its_own_test_server_is_used(run: Callable[..., None]) -> None:
    async def client(name: str, port: int) -> None:
        async with TestClient(TestServer(Service().application())) as session:
            await keep_alive(session)
            await websocket(session)

    run(serve, client, patched=True)
