"""A day of a service and of a client that asks it every minute, in a few seconds: httpx and uvicorn on virtual time.

    python examples/libraries/httpx_uvicorn_virtual_day.py
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import uvicorn

import aionetflow

HOUR = 3600.0


async def clock(scope: Any, receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
    """An ASGI application that tells the loop's time."""
    hours = asyncio.get_running_loop().time() / HOUR
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{hours:.1f} h".encode()})


async def main() -> None:
    server = uvicorn.Server(uvicorn.Config(clock, port=8080, lifespan="off", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # uvicorn has no event for it
        await asyncio.sleep(0.1)
    answers: list[str] = []
    async with httpx.AsyncClient(base_url="http://localhost:8080", timeout=5) as client:
        while asyncio.get_running_loop().time() < 24 * HOUR:
            answers.append((await client.get("/")).text)
            await asyncio.sleep(HOUR / 4)
    print(len(answers), "answers, the last at", answers[-1])  # 96 answers
    server.should_exit = True
    await serving


aionetflow.run(main(), time="virtual")  # our loop: one host, localhost, is there from the start
