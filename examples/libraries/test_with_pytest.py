"""A client that asks again, against a service that is away for a while: aiohttp, pytest and aionetflow's plugin.

    pytest examples/libraries/test_with_pytest.py

Each test has a network of its own, on virtual time: the seconds below are not waited for.
"""

import asyncio

import aiohttp
import pytest
from aiohttp import web

import aionetflow


async def fetch(url: str, attempts: int = 4) -> str:
    """What is tested: asks again after 1, 2 and 4 seconds."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        for attempt in range(attempts):
            try:
                async with session.get(url) as response:
                    return await response.text()
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(2**attempt)
    raise TimeoutError(url)


async def hello(request: web.Request) -> web.Response:
    return web.Response(text="hello " * 10_000)


@pytest.fixture
def shop(netflow: aionetflow.Network) -> aionetflow.Host:
    """A host on the same LAN as the test, which is on localhost."""
    return netflow.host("shop.example")


async def serve(after: float = 0.0) -> None:
    """Serves, after so many seconds, until the network ends with the test."""
    await asyncio.sleep(after)
    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=80).start()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


@pytest.mark.netflow(time="virtual", delay=0.050, loss=0.05, seeds=range(5))
async def test_the_page_arrives_whole_over_a_bad_link(shop: aionetflow.Host) -> None:
    shop.spawn(serve())
    assert await fetch("http://shop.example") == "hello " * 10_000


@pytest.mark.netflow(time="virtual")
@pytest.mark.parametrize("seconds", [0.5, 5])
async def test_a_service_that_is_late_is_found(shop: aionetflow.Host, seconds: float) -> None:
    shop.spawn(serve(after=seconds))
    assert (await fetch("http://shop.example")).startswith("hello")


@pytest.mark.netflow(time="virtual")
async def test_it_gives_up_on_one_that_is_not_there(shop: aionetflow.Host) -> None:
    with pytest.raises(TimeoutError):
        await fetch("http://shop.example")
    assert asyncio.get_running_loop().time() == pytest.approx(1 + 2 + 4 + 8, abs=0.1)
