"""hypercorn and httpx on trio: HTTP/1.1 and HTTP/2, over a clean link and a lossy one, in virtual time."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx
import pytest
import trio
import trio.testing
from ecosystem.asgi import app, keep_alive
from hypercorn.config import Config
from hypercorn.trio import serve

import aionetflow
import aionetflow.trio

NAME = "server.example"


@pytest.mark.parametrize("loss", [0.0, 0.02], ids=["clean", "lossy"])
@pytest.mark.parametrize(("tls", "version"), [(False, "HTTP/1.1"), (True, "HTTP/2")])
def test_an_application_is_used(tls: bool, version: str, loss: float, certificates: Any) -> None:
    chain = certificates.chain if tls else None
    config = Config.from_mapping(bind=f"{NAME}:443", certfile=chain, keyfile=chain, loglevel="CRITICAL")
    stop = trio.Event()

    def session() -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(verify=certificates.client, http2=version == "HTTP/2")
        return httpx.AsyncClient(base_url=f"http{'s' * tls}://{NAME}:443", transport=transport, timeout=60)

    async def main() -> None:
        async with aionetflow.trio.Network(seed=5) as net:
            server, client = net.host(NAME), net.host("client")
            net.link(server, client, delay=0.020, rate=20e6, loss=loss)
            async with trio.open_nursery() as nursery:
                with aionetflow.patch():
                    async with server:
                        await nursery.start(partial(serve, app, config, shutdown_trigger=stop.wait))
                async with client, session() as asking:
                    assert (await asking.get("/")).http_version == version
                    await keep_alive(asking)
                    await trio.sleep(2)
                    await keep_alive(asking)
                stop.set()

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
