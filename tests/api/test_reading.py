"""read(): what there is, up to n; b"" at the end; the end of one direction leaves the other open."""

from __future__ import annotations

import asyncio
import errno

import pytest

import aionetflow as anf
from aionetflow import Network
from support.loops import everywhere, in_virtual_time, seconds, turns, until
from support.talk import block_of, connected, datagram, listening, pattern, read_all, read_exactly, stream


@everywhere
async def test_read_gives_what_there_is_up_to_n() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await client.write(b"abcdefgh")
        await until(lambda: block_of(net, server).recv_q == 8)
        assert await server.read(3) == b"abc"
        assert await server.read(1) == b"d"
        assert await server.read(1 << 40) == b"efgh"
        await client.close()
        await server.close()


@everywhere
async def test_at_the_end_of_the_stream_read_gives_nothing_again_and_again() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await client.write(b"last words")
        await client.close()
        assert await read_all(server) == b"last words"
        for _ in range(3):
            assert await server.read(100) == b""
        await server.close()


@everywhere
async def test_reading_nothing_neither_waits_nor_takes_anything() -> None:
    # As socket.recv(0) and StreamReader.read(0) do in Python.
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        async with client, server:
            async with asyncio.timeout(0.2):
                assert await server.read(0) == b""
            await client.write(b"abc")
            await until(lambda: block_of(net, server).recv_q == 3)
            assert await server.read(0) == b""
            assert await server.read(10) == b"abc"


@everywhere
async def test_a_negative_number_is_an_error_and_takes_nothing() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        async with client, server:
            await client.write(b"abc")
            for n in (-1, -100):
                with pytest.raises(ValueError, match=f"{n}"):
                    await server.read(n)
            assert await server.read(10) == b"abc"


@everywhere
async def test_a_negative_number_is_an_error_for_datagrams_too() -> None:
    async with Network(seed=1) as net:
        a, b = await datagram(net.host("a")), await datagram(net.host("b"))
        async with a, b:
            await b.bind(("", 53))
            await a.sendto(b"abc", ("b", 53))
            for call in (b.read(-1), b.recvfrom(-1)):
                with pytest.raises(ValueError, match="-1"):
                    async with asyncio.timeout(0.2):
                        await call
            assert (await b.recvfrom(10))[0] == b"abc"


@in_virtual_time
async def test_read_waits_until_something_comes() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b, delay=0.25)
        client, server = await connected(a, b)
        await asyncio.sleep(1)
        reading = asyncio.create_task(server.read(100))
        await asyncio.sleep(1)
        assert not reading.done()
        start = seconds()
        await client.write(b"now")
        assert await reading == b"now"
        assert seconds() - start == pytest.approx(0.25, abs=1e-9)
        await client.close()
        await server.close()


@everywhere
async def test_half_close_ends_one_direction_only() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await client.write(b"request")
        await client.shutdown(anf.SHUT_WR)
        assert await read_all(server) == b"request"
        with pytest.raises(BrokenPipeError):
            await client.write(b"more")
        answer = pattern(300_000)
        writing = asyncio.create_task(server.write(answer))
        assert await read_exactly(client, len(answer)) == answer
        await writing
        await server.shutdown(anf.SHUT_WR)
        assert await client.read(1) == b""
        with pytest.raises(BrokenPipeError):
            await server.write(b"more")
        await client.close()
        await server.close()


@everywhere
async def test_shutting_down_twice_is_no_error() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        for how in (anf.SHUT_WR, anf.SHUT_WR, anf.SHUT_RDWR):
            await client.shutdown(how)
        assert await client.read(5) == b""
        assert await server.read(5) == b""
        await client.close()
        await server.close()


@everywhere
async def test_shut_rd_wakes_who_reads_and_gives_what_came_before() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        reading = asyncio.create_task(server.read(100))
        await turns(5)
        await server.shutdown(anf.SHUT_RD)
        assert await reading == b""
        await server.write(b"still open")
        assert await client.read(100) == b"still open"
        await client.write(b"late")
        await until(lambda: block_of(net, client).send_q == 0)
        assert await server.read(100) == b"late"  # Linux: what comes after SHUT_RD can be read all the same
        await client.close()
        await server.close()


@everywhere
async def test_shutdown_leaves_what_waits_to_be_written_its_way() -> None:
    small = [(anf.SOL_SOCKET, anf.SO_SNDBUF, 8192), (anf.SOL_SOCKET, anf.SO_RCVBUF, 8192)]
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"), options=small, server_options=small)
        data = pattern(7000)  # two of them fit the window, which is whole segments, and the buffer behind it
        await client.write(data)
        await client.write(data)
        await client.shutdown(anf.SHUT_WR)
        assert await read_all(server) == data + data
        await client.close()
        await server.close()


@everywhere
async def test_closing_a_socket_wakes_those_who_wait_on_it() -> None:
    small = [(anf.SOL_SOCKET, anf.SO_SNDBUF, 4608)]
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        client, server = await connected(a, b, options=small)
        listener, receiver = await listening(b, 81), await datagram(b)
        waiting = [
            asyncio.create_task(call)
            for call in (client.read(1), client.write(bytes(1 << 20)), listener.accept(), receiver.recvfrom(9))
        ]
        await turns(50)
        assert not any(task.done() for task in waiting)
        for sock in (client, listener, receiver):
            await sock.close()
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(outcome, OSError)
            assert outcome.errno == errno.EBADF
        await server.close()


@everywhere
async def test_reading_where_nothing_can_come_is_enotconn() -> None:
    async with Network(seed=1) as net, await stream(net.localhost) as fresh, await listening(net.localhost) as listener:
        for sock in (fresh, listener):
            with pytest.raises(OSError) as failure:
                async with asyncio.timeout(0.2):
                    await sock.read(1)
            assert failure.value.errno == errno.ENOTCONN
