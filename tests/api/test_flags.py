"""read() and write() with the flags of recv(2) and send(2), and what a socket tells of itself."""

from __future__ import annotations

import asyncio

import pytest

import aionetflow as anf
from aionetflow import Network
from aionetflow.socket.options import (
    MSG_DONTWAIT,
    MSG_MORE,
    MSG_OOB,
    MSG_PEEK,
    MSG_WAITALL,
    SIOCATMARK,
    SIOCINQ,
    SIOCOUTQ,
    SO_RCVLOWAT,
    SOL_SOCKET,
)
from aionetflow.tcp.states import State
from support.loops import everywhere
from support.talk import connected, pattern


@everywhere
async def test_peek_leaves_what_it_reads() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await client.write(b"abc")
        assert await server.read(2, MSG_PEEK) == b"ab"
        assert await anf.read(server, 10, MSG_PEEK) == b"abc"
        assert await server.read(10) == b"abc"
        await client.close()
        await server.close()


@everywhere
async def test_dontwait_does_not_wait() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        with pytest.raises(BlockingIOError):
            await server.read(1, MSG_DONTWAIT)
        await client.close()
        assert await server.read(1) == b""
        await server.close()


@everywhere
async def test_waitall_waits_for_all() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        reading = asyncio.create_task(anf.read(server, 6, MSG_WAITALL))
        for piece in (b"ab", b"cd", b"efgh"):
            await asyncio.sleep(0.01)
            assert not reading.done()
            await client.write(piece)
        assert await reading == b"abcdef"
        await client.close()
        assert await server.read(100, MSG_WAITALL) == b"gh"
        assert await server.read(100, MSG_WAITALL) == b""
        await server.close()


@everywhere
async def test_waitall_takes_more_than_the_buffer_holds() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        data = pattern(3_000_000)
        reading = asyncio.create_task(server.read(len(data), MSG_WAITALL))
        await client.write(data)
        assert await reading == data
        await client.close()
        await server.close()


@everywhere
async def test_a_waitall_that_is_cancelled_has_taken_nothing() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await client.write(b"abc")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(server.read(4, MSG_WAITALL), 0.05)
        assert await server.read(10) == b"abc"
        await client.close()
        await server.close()


@everywhere
async def test_read_waits_for_the_low_water_mark() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await server.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 3)
        reading = asyncio.create_task(server.read(10))
        await client.write(b"ab")
        await asyncio.sleep(0.01)
        assert not reading.done()
        await client.write(b"c")
        assert await reading == b"abc"
        await client.close()
        await server.close()


@everywhere
async def test_an_urgent_octet_beside_the_stream() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await anf.write(client, b"data!", MSG_OOB)
        assert await server.read(10) == b"data"
        assert server.ioctl(SIOCATMARK) == 1
        assert await server.read(1, MSG_OOB) == b"!"
        await client.close()
        assert await server.read(10) == b""
        await server.close()


@everywhere
async def test_more_is_sent_with_what_follows() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await client.write(b"head", MSG_MORE)
        assert client.ioctl(SIOCOUTQ) == 4
        await client.write(b"body")
        assert await server.read(100, MSG_PEEK) == b"headbody"
        assert server.ioctl(SIOCINQ) == 8
        assert await server.read(100) == b"headbody"
        info = server.tcp_info()
        assert (info.state, info.bytes_received, info.data_segs_in) == (State.ESTABLISHED, 8, 1)
        await client.close()
        await server.close()
