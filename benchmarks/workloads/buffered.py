"""The workloads, written with protocols that give the buffer to read into."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.places import Ends
from benchmarks.workloads import BLOCK, PIECE, Work
from benchmarks.workloads.protocols import Source, connect, listening


class BufferedSink(asyncio.BufferedProtocol):
    """Counts the octets that come."""

    def __init__(self, accepted: asyncio.Queue[BufferedSink]) -> None:
        self.buffer = memoryview(bytearray(PIECE))
        self.left = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        accepted.put_nowait(self)

    def start(self, amount: int) -> asyncio.Future[None]:
        """So much is to come from now on."""
        self.left = amount
        self.done = asyncio.get_running_loop().create_future()
        return self.done

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.left -= nbytes
        if self.left <= 0 and not self.done.done():
            self.done.set_result(None)


@asynccontextmanager
async def throughput(ends: Ends) -> AsyncIterator[Work]:
    """Blocks one way."""
    accepted: asyncio.Queue[BufferedSink] = asyncio.Queue()
    async with listening(ends, lambda: BufferedSink(accepted)) as port:
        source = await connect(ends, port, Source)
        sink = await accepted.get()

        async def work(count: int) -> None:
            received = sink.start(count * len(BLOCK))
            await source.start(count)
            await received

        yield work
        await source.close()
