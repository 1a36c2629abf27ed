"""The workloads, written with asyncio's transports and protocols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar, cast

from benchmarks.places import Ends
from benchmarks.workloads import BLOCK, MESSAGE, Work

BACKLOG = 128


class End(asyncio.Protocol):
    """Either end of a connection."""

    transport: asyncio.Transport

    def __init__(self, accepted: asyncio.Queue[End] | None = None) -> None:
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._accepted is not None:
            self._accepted.put_nowait(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)

    async def close(self) -> None:
        """Closes the connection and waits until that is done."""
        self.transport.close()
        await self.lost


class Task(End):
    """An end that is asked to do something, and says when it is done."""

    def __init__(self, accepted: asyncio.Queue[End] | None = None) -> None:
        super().__init__(accepted)
        self.left = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, amount: int) -> asyncio.Future[None]:
        """So much is to be done from now on."""
        self.left = amount
        self.done = asyncio.get_running_loop().create_future()
        return self.done

    def did(self, amount: int) -> None:
        """So much of it has been done."""
        self.left -= amount
        if self.left <= 0:
            self.done.set_result(None)


class Echo(End):
    """Sends back what comes."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Asker(Task):
    """Sends a message for each that comes back, as many as it was started for."""

    received = 0

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        if self.received < len(MESSAGE):
            return
        self.received = 0
        self.did(1)
        if self.left:
            self.transport.write(MESSAGE)


class Sink(Task):
    """Counts the octets that come."""

    def data_received(self, data: bytes) -> None:
        self.did(len(data))


class Source(Task):
    """Sends blocks, as many as it was started for, whenever it may."""

    may_write = True

    def start(self, amount: int) -> asyncio.Future[None]:
        done = super().start(amount)
        self.resume_writing()
        return done

    def pause_writing(self) -> None:
        self.may_write = False

    def resume_writing(self) -> None:
        self.may_write = True
        while self.may_write and self.left:
            self.transport.write(BLOCK)
            self.did(1)


class Closer(End):
    """A server's end that closes at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).close()


P = TypeVar("P", bound=asyncio.BaseProtocol)


@asynccontextmanager
async def listening(ends: Ends, factory: Callable[[], asyncio.BaseProtocol]) -> AsyncIterator[int]:
    """A server at its end; gives its port, which a path has not."""
    loop = asyncio.get_running_loop()
    async with ends.server:
        if ends.is_path:
            server: Any = await loop.create_unix_server(factory, ends.address, backlog=BACKLOG)
        else:
            server = await loop.create_server(factory, ends.address, 0, backlog=BACKLOG)
    async with server:
        yield 0 if ends.is_path else server.sockets[0].getsockname()[1]


async def connect(ends: Ends, port: int, factory: Callable[[], P]) -> P:
    """A new connection from the client's end."""
    loop = asyncio.get_running_loop()
    async with ends.client:
        if ends.is_path:
            _, protocol = await loop.create_unix_connection(factory, ends.address)
        else:
            _, protocol = await loop.create_connection(factory, ends.address, port)
    return protocol


@asynccontextmanager
async def round_trip(ends: Ends) -> AsyncIterator[Work]:
    """A message there, and the same back."""
    async with listening(ends, Echo) as port:
        asker = await connect(ends, port, Asker)

        async def work(count: int) -> None:
            done = asker.start(count)
            asker.transport.write(MESSAGE)
            await done

        yield work
        await asker.close()


class DatagramEcho(asyncio.DatagramProtocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


class DatagramAsker(DatagramEcho):
    """Sends a datagram for each that comes back, as many as it was started for."""

    def start(self, amount: int) -> asyncio.Future[None]:
        """So many from now on."""
        self.left = amount
        self.done = asyncio.get_running_loop().create_future()
        self.transport.sendto(MESSAGE)
        return self.done

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.left -= 1
        if self.left:
            self.transport.sendto(MESSAGE)
        else:
            self.done.set_result(None)


@asynccontextmanager
async def udp_round_trip(ends: Ends) -> AsyncIterator[Work]:
    """A datagram there, and the same back."""
    loop = asyncio.get_running_loop()
    async with ends.server:
        server, _ = await loop.create_datagram_endpoint(DatagramEcho, local_addr=(ends.address, 0))
    async with ends.client:
        address = server.get_extra_info("sockname")
        client, asker = await loop.create_datagram_endpoint(DatagramAsker, remote_addr=address)

    async def work(count: int) -> None:
        await asker.start(count)

    yield work
    client.close()
    server.close()


@asynccontextmanager
async def crowd(ends: Ends, size: int) -> AsyncIterator[Work]:
    """Many connections, each with a message on its way."""
    async with listening(ends, Echo) as port:
        askers = [await connect(ends, port, Asker) for _ in range(size)]

        async def work(count: int) -> None:
            done = [asker.start(count // size) for asker in askers]
            for asker in askers:
                asker.transport.write(MESSAGE)
            for future in done:
                await future

        yield work
        for asker in askers:
            await asker.close()


def thousand(ends: Ends) -> AbstractAsyncContextManager[Work]:
    """A thousand of them."""
    return crowd(ends, 1_000)


def ten_thousand(ends: Ends) -> AbstractAsyncContextManager[Work]:
    """Ten thousand."""
    return crowd(ends, 10_000)


@asynccontextmanager
async def throughput(ends: Ends) -> AsyncIterator[Work]:
    """Blocks one way."""
    accepted: asyncio.Queue[End] = asyncio.Queue()
    async with listening(ends, lambda: Sink(accepted)) as port:
        source = await connect(ends, port, Source)
        sink = await accepted.get()
        assert isinstance(sink, Sink)

        async def work(count: int) -> None:
            received = sink.start(count * len(BLOCK))
            await source.start(count)
            await received

        yield work
        await source.close()


@asynccontextmanager
async def connections(ends: Ends) -> AsyncIterator[Work]:
    """One connection after another, closed by the server."""
    async with listening(ends, Closer) as port:

        async def work(count: int) -> None:
            for _ in range(count):
                client = await connect(ends, port, End)
                await client.lost  # by itself, after EOF

        yield work


@asynccontextmanager
async def idle(ends: Ends) -> AsyncIterator[Work]:
    """Connections that are opened and kept."""
    held: list[End] = []
    accepted: asyncio.Queue[End] = asyncio.Queue()
    async with listening(ends, lambda: End(accepted)) as port:

        async def work(count: int) -> None:
            for _ in range(count):
                held.append(await connect(ends, port, End))
                held.append(await accepted.get())

        yield work
        for end in held:
            await end.close()
