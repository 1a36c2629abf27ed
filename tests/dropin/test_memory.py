"""What an idle connection takes, both ends of it with their transports; a bound, with room for other versions."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest

import aionetflow

pytestmark = pytest.mark.skipif(not aionetflow.COMPILED, reason="objects of plain Python are larger")

COUNT = 300
MOST = 5_900  # octets; 5,500 on Python 3.11, the program's own protocols not counted


class Kept(asyncio.Protocol):
    """A protocol of which there is one for all connections."""


async def test_an_idle_connection_takes_no_more_than_so_much_memory() -> None:
    kept, transports = Kept(), []
    async with aionetflow.Network(seed=1):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: kept, "127.0.0.1", 7, backlog=COUNT)

        async def connect() -> None:
            for _ in range(COUNT):
                transports.append((await loop.create_connection(lambda: kept, "127.0.0.1", 7))[0])
            gc.collect()

        await connect()
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await connect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        for transport in transports:
            transport.close()
        server.close()
        await asyncio.sleep(0.1)
    assert (after - before) / COUNT < MOST


async def test_what_a_transport_can_say_is_made_when_somebody_asks() -> None:
    async with aionetflow.Network(seed=1):
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Kept, "127.0.0.1", 7)
        transport, _ = await loop.create_connection(Kept, "127.0.0.1", 7)
        sock = transport.get_extra_info("socket")
        assert transport.get_extra_info("socket") is sock
        assert sock.getsockname() == transport.get_extra_info("sockname")
        assert sock.getpeername() == transport.get_extra_info("peername") == ("127.0.0.1", 7)
        names = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
        transport.close()
        await asyncio.sleep(0.1)
        assert (transport.get_extra_info("sockname"), transport.get_extra_info("peername")) == names
        assert sock.fileno() == -1
        unasked, _ = await loop.create_connection(Kept, "127.0.0.1", 7)
        unasked.close()
        await asyncio.sleep(0.1)
        assert unasked.get_extra_info("socket").fileno() == -1
        assert unasked.get_extra_info("peername") == ("127.0.0.1", 7)
        server.close()
