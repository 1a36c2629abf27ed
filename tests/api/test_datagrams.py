"""UDP by the coroutine API: sendto, recvfrom, connected sockets, broadcasts on a LAN, refusals."""

from __future__ import annotations

import asyncio
import errno

import pytest

import aionetflow as anf
from aionetflow import Network
from support.loops import everywhere, in_virtual_time, seconds, until
from support.talk import block_of, datagram

BROADCAST = (anf.SOL_SOCKET, anf.SO_BROADCAST, 1)


@everywhere
async def test_datagrams_keep_their_bounds_and_say_who_sent_them() -> None:
    async with Network(seed=1) as net:
        a, b = await datagram(net.host("a")), await datagram(net.host("b"))
        async with a, b:
            await b.bind(("", 53))
            sent = [b"", b"x", b"second", bytes(1472)]
            for data in sent:
                await a.sendto(data, ("b", 53))
            port = (await a.getsockname())[1]
            for data in sent:
                assert await b.recvfrom(2000) == (data, (a.host.addresses[0], port))
            assert 32768 <= port <= 60999


@everywhere
async def test_a_datagram_is_cut_to_what_was_asked_for_and_the_rest_is_gone() -> None:
    async with Network(seed=1) as net:
        a, b = await datagram(net.host("a")), await datagram(net.host("b"))
        async with a, b:
            await b.bind(("", 53))
            await a.sendto(b"abcdef", ("b", 53))
            await a.sendto(b"next", ("b", 53))
            assert (await b.recvfrom(3))[0] == b"abc"
            assert await b.read(100) == b"next"


@pytest.mark.parametrize("data", [bytearray(b"12345678"), memoryview(b"12345678"), memoryview(b"12345678").cast("I")])
@everywhere
async def test_every_kind_of_buffer(data: bytearray | memoryview) -> None:
    async with Network(seed=1) as net:
        a, b = await datagram(net.host("a")), await datagram(net.host("b"))
        async with a, b:
            await b.bind(("", 53))
            await a.sendto(data, ("b", 53))
            await a.connect(("b", 53))
            await a.write(data)
            assert [(await b.recvfrom(100))[0] for _ in range(2)] == [b"12345678"] * 2


@everywhere
async def test_a_connected_socket_hears_its_peer_only() -> None:
    async with Network(seed=1) as net:
        a, b, c = [await datagram(net.host(name)) for name in "abc"]
        async with a, b, c:
            await b.bind(("", 53))
            await c.bind(("", 53))
            await a.connect(("b", 53))
            assert await a.getpeername() == (b.host.addresses[0], 53)
            await a.write(b"to the peer")
            _, address = await b.recvfrom(100)
            assert address == await a.getsockname()
            await c.sendto(b"from a stranger", address)
            await b.sendto(b"from the peer", address)
            assert await a.read(100) == b"from the peer"
            await a.sendto(b"elsewhere", ("c", 53))
            assert await c.recvfrom(100) == (b"elsewhere", address)
            await a.connect(("c", 53))
            await a.write(b"to another")
            assert await c.read(100) == b"to another"


@everywhere
async def test_a_refusal_is_told_to_a_connected_socket_once() -> None:
    async with Network(seed=1) as net:
        a = await datagram(net.host("a"))
        net.host("b")
        async with a:
            await a.connect(("b", 53))
            await a.write(b"anybody there?")
            with pytest.raises(ConnectionRefusedError):
                await a.read(100)
            await a.write(b"and now?")
            await until(lambda: a.core.error)
            with pytest.raises(ConnectionRefusedError):
                await a.write(b"x")
            await a.write(b"third")
            await until(lambda: a.core.error)
            assert await a.getsockopt(anf.SOL_SOCKET, anf.SO_ERROR) == errno.ECONNREFUSED
            assert await a.getsockopt(anf.SOL_SOCKET, anf.SO_ERROR) == 0


@everywhere
async def test_a_refusal_is_not_told_to_a_socket_without_a_peer() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        sock = await datagram(a)
        await sock.sendto(b"anybody there?", ("b", 53))
        await until(lambda: b.stats.icmp.OutMsgs)
        await until(lambda: a.stats.icmp.InMsgs)
        await sock.sendto(b"again", ("b", 53))
        await sock.close()


@in_virtual_time
async def test_that_nobody_answers_arp_is_no_error_of_the_socket() -> None:
    # Linux __udp4_lib_err: only a final error is told to a socket without IP_RECVERR, and host unreachable is none.
    async with Network(seed=1) as net, await anf.socket(type=anf.SOCK_DGRAM) as sock:
        await sock.connect(("10.0.99.99", 53))
        await sock.write(b"x")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await sock.read(1)
        assert seconds() == 10.0
        host = net.host("late", "10.0.99.99/16")
        async with await datagram(host) as late:
            await late.bind(("", 53))
            await sock.write(b"now")
            assert await late.read(10) == b"now"


@pytest.mark.parametrize("address", ["10.0.255.255", "255.255.255.255", "<broadcast>"])
@everywhere
async def test_a_broadcast_reaches_all_others_on_the_lan(address: str) -> None:
    async with Network(seed=1) as net:
        hosts = [net.host(f"h{i}") for i in range(5)]
        router, beyond = net.router("r"), net.host("beyond")
        net.link(router, net.lan)
        net.link(router, beyond)
        sockets = [await datagram(host, BROADCAST) for host in (*hosts, beyond)]
        for sock in sockets:
            await sock.bind(("", 67))
        await sockets[0].sendto(b"hello all", (address, 67))
        for sock in sockets[1:5]:
            assert await sock.recvfrom(100) == (b"hello all", (hosts[0].addresses[0], 67))
        await until(lambda: net.localhost.stats.ip.InReceives)
        assert block_of(net, sockets[5]).recv_q == 0
        for sock in sockets:
            await sock.close()


@everywhere
async def test_what_finds_the_queue_full_is_dropped_and_counted() -> None:
    async with Network(seed=1) as net:
        a, b = await datagram(net.host("a")), await datagram(net.host("b"))
        async with a, b:
            await b.bind(("", 53))
            await a.sendto(b"first", ("b", 53))
            await b.recvfrom(10)  # from here on no datagram waits for ARP
            for _ in range(500):
                await a.sendto(bytes(1000), ("b", 53))
            stats = b.host.stats.udp
            await until(lambda: stats.InDatagrams + stats.RcvbufErrors >= 501)
            queued, _ = b.core.queued()
            assert queued <= 212992
            assert stats.RcvbufErrors > 0


@everywhere
async def test_shutdown_of_a_connected_socket_wakes_its_reader() -> None:
    async with Network(seed=1) as net:
        a = await datagram(net.host("a"))
        net.host("b")
        async with a:
            await a.connect(("b", 53))
            reading = asyncio.create_task(a.read(10))
            await asyncio.sleep(0)
            await a.shutdown(anf.SHUT_RDWR)
            assert await reading == b""
            with pytest.raises(BrokenPipeError):
                await a.write(b"x")
