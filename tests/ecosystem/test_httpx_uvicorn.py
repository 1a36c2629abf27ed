"""httpx, which is on anyio, and uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import uvicorn
from ecosystem.asgi import app, at_once, keep_alive

from support.loops import until


@contextlib.asynccontextmanager
async def serve(name: str, **options: Any) -> AsyncIterator[int]:
    config = uvicorn.Config(app, host=name, port=0, lifespan="off", log_config=None, **options)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


def client(scheme: str, name: str, port: int, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=f"{scheme}://{name}:{port}", timeout=15, trust_env=False, **options)


async def timeout(session: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.ReadTimeout):
        await session.get("/never", timeout=httpx.Timeout(15, read=0.3))
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
