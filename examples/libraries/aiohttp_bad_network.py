"""How long does a page of an aiohttp service take when the network loses packets?

    python examples/libraries/aiohttp_bad_network.py

Client and server are plain aiohttp; only `main` knows that there is a network. Time is virtual: nothing waits.
"""

import asyncio
import time

import aiohttp
from aiohttp import web

import aionetflow

PAGE = bytes(200_000)


async def page(request: web.Request) -> web.Response:
    return web.Response(body=PAGE)


async def start(port: int) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/page", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner


async def fetch(session: aiohttp.ClientSession) -> float:
    """Seconds until the page has arrived."""
    begun = asyncio.get_running_loop().time()
    async with session.get("http://shop.example:8080/page") as response:
        assert await response.read() == PAGE
    return asyncio.get_running_loop().time() - begun


async def main() -> None:
    async with aionetflow.Network(seed=1) as net:
        server, client = net.host("shop.example"), net.host("client.example")
        link = net.link(server, client, delay=0.025, rate=20e6)
        async with server:
            runner = await start(8080)
        async with client, aiohttp.ClientSession() as session:
            for loss in (0.0, 0.02, 0.10):
                link.loss = loss
                times = sorted([await fetch(session) for _ in range(10)])
                print(f"{loss:4.0%} lost: half of the pages within {times[5]:.2f} s, all within {times[-1]:.2f} s")
        await runner.cleanup()


begun = time.perf_counter()
with aionetflow.patch():  # aiohttp's client makes its own sockets
    aionetflow.run(main(), time="virtual")
print(f"measured in {time.perf_counter() - begun:.1f} s")
