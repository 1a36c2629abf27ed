"""HTTP by aiohttp, both its server and its client: what a program pays that speaks no sockets itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from aiohttp import ClientSession, TCPConnector, web

from benchmarks.places import Ends
from benchmarks.workloads import Work

BODY = b"x" * 1000
CLIENTS = 64


async def answer(request: web.Request) -> web.Response:
    """The page that is asked for."""
    return web.Response(body=BODY)


@asynccontextmanager
async def serving(ends: Ends) -> AsyncIterator[str]:
    """A server at its end; gives the page's address."""
    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, access_log=None)
    async with ends.server:
        await runner.setup()
        await web.TCPSite(runner, ends.address, 0).start()
    try:
        yield f"http://{ends.address}:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def requests(ends: Ends, clients: int) -> AsyncIterator[Work]:
    """Requests, each sent when the answer to the one before is there, on one connection for each client."""
    async with serving(ends) as url, ends.client, ClientSession(connector=TCPConnector(limit=clients)) as session:

        async def ask(count: int) -> None:
            for _ in range(count):
                async with session.get(url) as response:
                    assert await response.read() == BODY

        async def work(count: int) -> None:
            await asyncio.gather(*(ask(count // clients) for _ in range(clients)))

        yield work


def one_client(ends: Ends) -> AbstractAsyncContextManager[Work]:
    """One request at a time."""
    return requests(ends, 1)


def many_clients(ends: Ends) -> AbstractAsyncContextManager[Work]:
    """Many at a time."""
    return requests(ends, CLIENTS)
