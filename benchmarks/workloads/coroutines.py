"""The workloads, written with aionetflow's coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aionetflow
from aionetflow import IPPROTO_TCP, TCP_NODELAY, Socket
from benchmarks.places import Ends
from benchmarks.workloads import BLOCK, MESSAGE, PIECE, Work

BACKLOG = 128


@asynccontextmanager
async def listening(ends: Ends) -> AsyncIterator[Socket]:
    """A socket that listens at the server's end."""
    async with ends.server:
        listener = await aionetflow.socket()
    async with listener:
        await listener.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # asyncio's streams set it too
        await listener.bind((ends.address, 0))
        await listener.listen(BACKLOG)
        yield listener


async def connect(ends: Ends, listener: Socket) -> Socket:
    """A new connection from the client's end."""
    async with ends.client:
        sock = await aionetflow.socket()
    await sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    await sock.connect(await listener.getsockname())
    return sock


@asynccontextmanager
async def connected(ends: Ends) -> AsyncIterator[tuple[Socket, Socket]]:
    """One connection: the client's socket and the server's."""
    async with listening(ends) as listener, await connect(ends, listener) as client:
        server, _ = await listener.accept()
        async with server:
            yield client, server


@asynccontextmanager
async def round_trip(ends: Ends) -> AsyncIterator[Work]:
    """A message there, and the same back."""
    async with connected(ends) as (client, server):

        async def echo() -> None:
            while data := await server.read(PIECE):
                await server.write(data)

        async def work(count: int) -> None:
            for _ in range(count):
                await client.write(MESSAGE)
                left = len(MESSAGE)
                while left:
                    left -= len(await client.read(left))

        async with asyncio.TaskGroup() as group:
            task = group.create_task(echo())
            yield work
            task.cancel()


@asynccontextmanager
async def throughput(ends: Ends) -> AsyncIterator[Work]:
    """Blocks one way."""
    async with connected(ends) as (client, server):

        async def drain(left: int) -> None:
            while left:
                left -= len(await server.read(PIECE))

        async def work(count: int) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(drain(count * len(BLOCK)))
                for _ in range(count):
                    await client.write(BLOCK)

        yield work


@asynccontextmanager
async def connections(ends: Ends) -> AsyncIterator[Work]:
    """One connection after another, closed by the server."""
    async with listening(ends) as listener:

        async def serve() -> None:
            while True:
                sock, _ = await listener.accept()
                await sock.close()

        async def work(count: int) -> None:
            for _ in range(count):
                sock = await connect(ends, listener)
                assert await sock.read(1) == b""
                await sock.close()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(serve())
            yield work
            task.cancel()


@asynccontextmanager
async def idle(ends: Ends) -> AsyncIterator[Work]:
    """Connections that are opened and kept."""
    held: list[Socket] = []
    async with listening(ends) as listener:

        async def work(count: int) -> None:
            for _ in range(count):
                held.append(await connect(ends, listener))
                held.append((await listener.accept())[0])

        yield work
        for sock in held:
            await sock.close()
