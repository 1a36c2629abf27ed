"""An hour of a service and of a client that asks it every five minutes, in a second: httpx and uvicorn.

    python examples/libraries/httpx_uvicorn_virtual_hour.py
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import uvicorn

import aionetflow

MINUTE = 60.0


async def clock(scope: Any, receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """An ASGI application that tells the loop's time."""
    minutes = asyncio.get_running_loop().time() / MINUTE
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{minutes:.0f} min".encode()})


async def main() -> None:
    server = uvicorn.Server(uvicorn.Config(clock, port=8080, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    until_it_listens = httpx.AsyncHTTPTransport(retries=3)
    answers: list[str] = []
    async with httpx.AsyncClient(base_url="http://localhost:8080", transport=until_it_listens) as client:
        while asyncio.get_running_loop().time() < 60 * MINUTE:
            answers.append((await client.get("/")).text)
            await asyncio.sleep(5 * MINUTE)
    print(len(answers), "answers, the last at", answers[-1])  # 12 answers, the last at 55 min
    server.should_exit = True
    await serving


aionetflow.run(main(), time="virtual")  # our loop: one host, localhost, is there from the start
