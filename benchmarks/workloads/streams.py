"""The workloads, written with asyncio's streams."""

from __future__ import annotations

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from benchmarks.places import Ends
from benchmarks.workloads import BLOCK, MESSAGE, PIECE, Work

Accept = Callable[[StreamReader, StreamWriter], None]
Stream = tuple[StreamReader, StreamWriter]


@asynccontextmanager
async def listening(ends: Ends, accept: Accept) -> AsyncIterator[int]:
    """A server at its end; gives its port, which a path has not."""
    async with ends.server:
        if ends.is_path:
            server = await asyncio.start_unix_server(accept, ends.address)
        else:
            server = await asyncio.start_server(accept, ends.address, 0)
    async with server:
        yield 0 if ends.is_path else server.sockets[0].getsockname()[1]


async def connect(ends: Ends, port: int) -> Stream:
    """A new connection from the client's end."""
    async with ends.client:
        if ends.is_path:
            return await asyncio.open_unix_connection(ends.address)
        return await asyncio.open_connection(ends.address, port)


async def close(writer: StreamWriter) -> None:
    """Closes a connection and waits until that is done."""
    writer.close()
    await writer.wait_closed()


@asynccontextmanager
async def connected(ends: Ends) -> AsyncIterator[tuple[Stream, Stream]]:
    """One connection: the client's stream and the server's."""
    accepted: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
    async with listening(ends, lambda reader, writer: accepted.set_result((reader, writer))) as port:
        client = await connect(ends, port)
        server = await accepted
        yield client, server
        await close(client[1])
        await close(server[1])


@asynccontextmanager
async def round_trip(ends: Ends) -> AsyncIterator[Work]:
    """A message there, and the same back."""
    async with connected(ends) as ((client_reader, client_writer), (server_reader, server_writer)):

        async def echo() -> None:
            while data := await server_reader.read(PIECE):
                server_writer.write(data)
                await server_writer.drain()

        async def work(count: int) -> None:
            for _ in range(count):
                client_writer.write(MESSAGE)
                await client_writer.drain()
                await client_reader.readexactly(len(MESSAGE))

        async with asyncio.TaskGroup() as group:
            task = group.create_task(echo())
            yield work
            task.cancel()


@asynccontextmanager
async def throughput(ends: Ends) -> AsyncIterator[Work]:
    """Blocks one way."""
    async with connected(ends) as ((_, writer), (reader, _)):

        async def drain(left: int) -> None:
            while left:
                left -= len(await reader.read(PIECE))

        async def work(count: int) -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(drain(count * len(BLOCK)))
                for _ in range(count):
                    writer.write(BLOCK)
                    await writer.drain()

        yield work


@asynccontextmanager
async def connections(ends: Ends) -> AsyncIterator[Work]:
    """One connection after another, closed by the server."""
    async with listening(ends, lambda _, writer: writer.close()) as port:

        async def work(count: int) -> None:
            for _ in range(count):
                reader, writer = await connect(ends, port)
                assert await reader.read(1) == b""
                await close(writer)

        yield work


@asynccontextmanager
async def idle(ends: Ends) -> AsyncIterator[Work]:
    """Connections that are opened and kept."""
    held: list[Stream] = []
    accepted: asyncio.Queue[Stream] = asyncio.Queue()
    async with listening(ends, lambda reader, writer: accepted.put_nowait((reader, writer))) as port:

        async def work(count: int) -> None:
            for _ in range(count):
                held.append(await connect(ends, port))
                held.append(await accepted.get())

        yield work
        for _, writer in held:
            await close(writer)
