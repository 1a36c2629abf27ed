"""hypercorn, which makes its own sockets: HTTP/1.1 and HTTP/2, asked by httpx."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from ecosystem.asgi import app, at_once, keep_alive
from hypercorn.asyncio import serve as run_hypercorn
from hypercorn.config import Config


def free_port(name: str) -> int:
    """The server cannot tell the port that it was given: one is looked for before."""
    with socket.socket() as probe:
        probe.bind((name, 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def serve(name: str, certificate: str | None = None) -> AsyncIterator[int]:
    port, stop = free_port(name), asyncio.Event()
    config = Config.from_mapping(bind=f"{name}:{port}", certfile=certificate, keyfile=certificate, loglevel="CRITICAL")
    task = asyncio.create_task(run_hypercorn(app, config, shutdown_trigger=stop.wait))
    yield port
    stop.set()
    await task


@pytest.mark.parametrize(("tls", "version"), [(False, "HTTP/1.1"), (False, "HTTP/2"), (True, "HTTP/2")])
def test_an_application_is_used(run: Callable[..., None], tls: bool, version: str, certificates: Any) -> None:
    async def requests(name: str, port: int) -> None:
        second = version == "HTTP/2"
        transport = httpx.AsyncHTTPTransport(
            verify=certificates.client, http1=not second, http2=second, retries=5  # it may not listen yet
        )  # fmt: skip
        base = f"http{'s' * tls}://{name}:{port}"
        async with httpx.AsyncClient(base_url=base, transport=transport, timeout=15) as session:
            assert (await session.get("/")).http_version == version
            await keep_alive(session)
            await at_once(session)

    run(lambda name: serve(name, certificates.chain if tls else None), requests, patched=True)
