"""httpx, which is on anyio, and uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import uvicorn

BODY = bytes(range(256)) * 400


async def app(scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """/echo gives the body back, /never does not answer; the header says from which port the client came."""
    message = {"more_body": True}
    body = b""
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    if scope["path"] == "/never":
        await receive()  # until the client has gone
        return
    headers = [(b"port", str(scope["client"][1]).encode()), (b"length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for start in range(0, len(body), 30_000):
        await send({"type": "http.response.body", "body": body[start : start + 30_000], "more_body": True})
    await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def serve(name: str, **options: Any) -> AsyncIterator[int]:
    config = uvicorn.Config(app, host=name, port=0, lifespan="off", log_config=None, **options)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


def client(scheme: str, name: str, port: int, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{scheme}://{name}:{port}", timeout=15, trust_env=False, **options)


async def keep_alive(session: httpx.AsyncClient) -> None:
    # The pool asks poll() whether a connection is still good: with a wrong answer each request makes another.
    answers = [await session.post("/echo", content=BODY) for _ in range(3)]
    assert {answer.content for answer in answers} == {BODY}
    assert len({answer.headers["port"] for answer in answers}) == 1


async def at_once(session: httpx.AsyncClient) -> None:
    bodies = [f"request {number}".encode() * 100 for number in range(10)]
    answers = await asyncio.gather(*(session.post("/echo", content=body) for body in bodies))
    assert [answer.content for answer in answers] == bodies


async def timeout(session: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await session.get("/never", timeout=0.3)
    assert (await session.get("/")).status_code == 200


@pytest.mark.parametrize("use", [keep_alive, at_once, timeout], ids=lambda use: use.__name__)
def test_an_application_is_used(run: Callable[..., None], use: Callable[[httpx.AsyncClient], Any]) -> None:
    async def requests(name: str, port: int) -> None:
        async with client("http", name, port, verify=False) as session:
            await use(session)

    run(serve, requests)


def test_it_is_used_over_tls(run: Callable[..., None], certificates: Any) -> None:
    async def requests(name: str, port: int) -> None:
        async with client("https", name, port, verify=certificates.client) as session:
            await keep_alive(session)

    run(lambda name: serve(name, ssl_certfile=certificates.chain), requests)
