"""The coroutine API over IPv6: a host and itself at ::1, and IPv4 by mapped addresses."""

from __future__ import annotations

import asyncio
import errno

import pytest

import aionetflow as anf
from aionetflow import Network
from support.loops import everywhere
from support.talk import pattern


async def echo(listener: anf.Socket) -> None:
    conn, _ = await anf.accept(listener)
    async with conn:
        while data := await anf.read(conn, 65536):
            await anf.write(conn, data)


@everywhere
async def test_a_conversation_over_ipv6() -> None:
    async with Network(seed=1), await anf.socket(anf.AF_INET6) as listener, await anf.socket(anf.AF_INET6) as sock:
        await listener.bind(("localhost", 80, 0, 0))
        await listener.listen()
        server = asyncio.create_task(echo(listener))
        await sock.connect(("localhost", 80))
        assert await sock.getpeername() == ("::1", 80, 0, 0)
        data = pattern(500_000)
        writing = asyncio.create_task(sock.write(data))
        received = b""
        while len(received) < len(data):
            received += await sock.read(1 << 20)
        assert received == data
        await writing
        await sock.shutdown(anf.SHUT_WR)
        assert await sock.read(1) == b""
        await server


@everywhere
async def test_a_closed_port_over_ipv6() -> None:
    async with Network(seed=1), await anf.socket(anf.AF_INET6) as sock:
        with pytest.raises(ConnectionRefusedError):
            await sock.connect(("::1", 80))


@everywhere
async def test_datagrams_over_ipv6() -> None:
    async with Network(seed=1):
        one, other = [await anf.socket(anf.AF_INET6, anf.SOCK_DGRAM) for _ in range(2)]
        async with one, other:
            await other.bind(("::1", 53))
            await one.sendto(b"question", ("::1", 53, 0, 0))
            data, source = await other.recvfrom(100)
            await other.sendto(b"answer", source)
            assert (data, await one.recvfrom(100)) == (b"question", (b"answer", ("::1", 53, 0, 0)))
            await other.connect(source)
            await other.shutdown(anf.SHUT_RD)
            assert await other.recvfrom(10) == (b"", ("::", 0, 0, 0))


@everywhere
async def test_a_dual_listener_hears_other_hosts_over_ipv4() -> None:
    async with Network(seed=1) as net:
        server, client = net.host("server", "10.0.0.1/24"), net.host("client", "10.0.0.2/24")
        async with server:
            listener = await anf.socket(anf.AF_INET6)
        async with client:
            four, six = await anf.socket(), await anf.socket(anf.AF_INET6)
        async with listener, four, six:
            await listener.bind(("", 80))
            await listener.listen()
            await four.connect(("server", 80))
            await six.connect(("::ffff:10.0.0.1", 80))
            for sock in (four, six):
                conn, peer = await listener.accept()
                async with conn:
                    assert (peer[0], peer[1]) == ("::ffff:10.0.0.2", (await sock.getsockname())[1])
                    await conn.write(b"hello")
                    assert await sock.read(10) == b"hello"


@everywhere
async def test_a_name_leads_an_ipv6_socket_to_another_host() -> None:
    async with Network(seed=1) as net:
        server, client = net.host("server"), net.host("client")
        async with server:
            listener = await anf.socket(anf.AF_INET6)
        async with client:
            six = await anf.socket(anf.AF_INET6)
        async with listener, six:
            await listener.bind(("", 80))
            await listener.listen()
            await six.connect(("server", 80))
            conn, peer = await listener.accept()
            async with conn:
                assert peer == (client.addresses6[0], (await six.getsockname())[1], 0, 0)
                assert await six.getpeername() == (server.addresses6[0], 80, 0, 0)
                await conn.write(b"hello")
                assert await six.read(10) == b"hello"


@everywhere
async def test_control_blocks_of_both_families() -> None:
    async with Network(seed=1) as net, await anf.socket(anf.AF_INET6) as sock, await anf.socket(anf.AF_INET6) as dual:
        await sock.bind(("::1", 80))
        await sock.listen()
        await dual.bind(("::ffff:127.0.0.1", 81))
        shown = {block.local: str(block) for block in net.sockets()}
        assert set(shown) == {("::1", 80), ("::ffff:127.0.0.1", 81)}
        assert "[::1]:80" in shown["::1", 80]


@everywhere
async def test_other_families_are_refused() -> None:
    async with Network(seed=1):
        with pytest.raises(OSError, match="not supported") as failure:
            await anf.socket(1)
        assert failure.value.errno == errno.EAFNOSUPPORT
