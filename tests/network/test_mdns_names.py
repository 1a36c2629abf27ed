"""Names of hosts in other processes: every way by which a program looks one up, over two networks that are joined."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from scapy.layers.dns import DNS
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

import aionetflow as anf
from aionetflow import Host, Network
from aionetflow.anyio import connect_tcp, create_connected_udp_socket, create_udp_socket
from support.decode import check_frame
from support.joined import Half, join
from support.loops import everywhere, in_real_time, in_virtual_time, seconds

Pair = tuple[Host, Host, Half, Half]


@asynccontextmanager
async def two(server: str = "web", client: str = "client") -> AsyncIterator[Pair]:
    """A host on each of two networks whose LANs are joined; the server says hello on port 80, by TCP and by UDP."""
    async with Network(seed=1) as near, Network(seed=2) as far:
        half, other = join(near, far)
        here, there = near.host(client), far.host(server)

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        class Echo(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
                self.transport = transport

            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                self.transport.sendto(data, addr)

        async with there:
            listener = await asyncio.start_server(greet, "", 80)
            echo, _ = await asyncio.get_running_loop().create_datagram_endpoint(Echo, ("0.0.0.0", 80))
        try:
            yield here, there, half, other
        finally:
            echo.close()
            listener.close()


async def by_connect(name: str) -> bytes:
    async with await anf.socket() as sock:
        await anf.connect(sock, (name, 80))
        return await anf.read(sock, 100)


async def by_open_connection(name: str) -> bytes:
    reader, writer = await asyncio.open_connection(name, 80)
    try:
        return await reader.read()
    finally:
        writer.close()


async def by_sock_connect(name: str) -> bytes:
    loop = asyncio.get_running_loop()
    with anf.patch(), socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (name, 80))
        return await loop.sock_recv(sock, 100)


async def by_sendto(name: str) -> bytes:
    async with await anf.socket(anf.AF_INET, anf.SOCK_DGRAM) as sock:
        await anf.sendto(sock, b"hello", (name, 80))
        return (await anf.recvfrom(sock, 100))[0]


async def by_sendmsg(name: str) -> bytes:
    async with await anf.socket(anf.AF_INET, anf.SOCK_DGRAM) as sock:
        await sock.sendmsg([b"hello"], address=(name, 80))
        return (await anf.recvfrom(sock, 100))[0]


async def by_sock_sendto(name: str) -> bytes:
    loop = asyncio.get_running_loop()
    with anf.patch(), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        await loop.sock_sendto(sock, b"hello", (name, 80))
        return await loop.sock_recv(sock, 100)


async def by_datagram_endpoint(name: str) -> bytes:
    answer = asyncio.get_running_loop().create_future()

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            answer.set_result(data)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Protocol, remote_addr=(name, 80))
    transport.sendto(b"hello")
    try:
        return bytes(await answer)
    finally:
        transport.close()


async def by_anyio_tcp(name: str) -> bytes:
    async with await connect_tcp(name, 80) as stream:
        return bytes(await stream.receive())


async def by_anyio_udp(name: str) -> bytes:
    async with await create_udp_socket(family=socket.AF_INET) as sock:
        await sock.sendto(b"hello", name, 80)
        return bytes((await sock.receive())[0])


async def by_anyio_connected_udp(name: str) -> bytes:
    async with await create_connected_udp_socket(name, 80, family=socket.AF_INET) as sock:
        await sock.send(b"hello")
        return bytes(await sock.receive())


async def by_anyio_itself(name: str) -> bytes:
    """As httpx does."""
    async with await anyio.connect_tcp(name, 80) as stream:
        return await stream.receive()


async def by_aiohttp(name: str) -> bytes:
    connector = pytest.importorskip("aiohttp").TCPConnector
    async with connector(resolver=None) as pool:
        found = await pool._resolver.resolve(name, 80, socket.AF_INET)
    return await by_open_connection(found[0]["host"])


async def by_ping(name: str) -> bytes:
    return b"hello" if (await anf.ping(name, count=1)).received else b""


async def by_traceroute(name: str) -> bytes:
    return b"hello" if (await anf.traceroute(name)).reached else b""


WAYS = [
    by_connect, by_open_connection, by_sock_connect, by_sendto, by_sendmsg, by_sock_sendto, by_datagram_endpoint,
    by_anyio_itself, by_aiohttp, by_anyio_tcp, by_anyio_udp, by_anyio_connected_udp, by_ping, by_traceroute,
]  # fmt: skip
Way = Callable[[str], Awaitable[bytes]]


@pytest.mark.parametrize("name", ["web", "Web", "web.local"])
@pytest.mark.parametrize("way", WAYS)
@in_virtual_time
async def test_a_name_of_another_process_is_found(way: Way, name: str) -> None:
    async with two() as (here, *_), here:
        assert await way(name) == b"hello"
        assert seconds() < 1  # nothing had to be repeated


@everywhere
async def test_it_is_found_on_every_loop() -> None:
    async with two("www.example") as (here, *_), here:
        assert await by_open_connection("www.example") == b"hello"
        assert await by_connect("www.example.") == b"hello"


@in_virtual_time
async def test_getaddrinfo_knows_both_families_and_a_name_that_nobody_has_is_an_error_after_three_seconds() -> None:
    loop = asyncio.get_running_loop()
    async with two() as (here, there, *_), here:
        infos = await loop.getaddrinfo("web", 80, type=socket.SOCK_STREAM)
        assert [info[4][0] for info in infos] == [*there.addresses, *there.addresses6]
        began = seconds()
        with pytest.raises(socket.gaierror) as raised:
            await loop.getaddrinfo("nobody", 80)
        assert raised.value.errno == socket.EAI_NONAME
        assert seconds() - began == 3.0
        with pytest.raises(OSError, match="no host named 'nobody'"):
            await by_connect("nobody")
        assert seconds() - began == 6.0


@pytest.mark.parametrize("name", ["w" * 64, "a..b", "", None, "10.9.9.9", "localhost", "client"])
@in_virtual_time
async def test_what_nobody_else_can_have_is_not_asked_for(name: str | None) -> None:
    async with two() as (here, *_), here:
        await asyncio.sleep(5)
        began = seconds()
        await here.network.look_up(name, here)
        assert seconds() == began


@in_virtual_time
async def test_a_network_can_be_asked_itself() -> None:
    async with two() as (here, there, *_):
        await here.network.look_up("web")
        assert here.network.resolve("web") == there.addresses
        assert here.network.resolve_all("web") == [*there.addresses, *there.addresses6]


@in_virtual_time
async def test_a_loss_is_made_good_after_a_second() -> None:
    async with two() as (here, _, half, _), here:
        await asyncio.sleep(5)
        for speaker in here.network._neighbourhood._of(here):
            speaker.names._cache.clear()
        half.link.loss = 1.0
        began = seconds()
        asyncio.get_running_loop().call_later(0.5, setattr, half.link, "loss", 0.0)
        assert await by_open_connection("web") == b"hello"
        assert 1.0 <= seconds() - began < 1.1


@in_virtual_time
async def test_many_who_ask_at_once_put_one_question() -> None:
    async with two() as (here, _, half, _), here:
        await asyncio.sleep(5)
        half.frames.clear()
        looks = [asyncio.get_running_loop().getaddrinfo("nobody", 80) for _ in range(20)]
        results = await asyncio.gather(*looks, return_exceptions=True)
        assert all(isinstance(result, socket.gaierror) for result in results)
        assert len(half.frames) == 4  # twice, in each family


@in_virtual_time
async def test_a_look_up_can_be_cancelled() -> None:
    async with two() as (here, *_), here:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(by_open_connection("nobody"), 0.5)
        await asyncio.sleep(5)
        assert await by_open_connection("web") == b"hello"


@in_virtual_time
async def test_a_call_that_cannot_wait_knows_what_was_heard() -> None:
    async with two() as (here, there, *_), here:
        await asyncio.sleep(0.1)  # the other announces itself
        with anf.patch():
            assert socket.gethostbyname("web") == there.addresses[0]
            with pytest.raises(socket.gaierror) as raised:
                socket.getaddrinfo("nobody", 80)
        assert raised.value.errno == socket.EAI_NONAME
        assert seconds() == pytest.approx(0.1, abs=1e-3)


@in_real_time
async def test_a_thread_can_wait() -> None:
    async with two() as (here, there, *_), here:
        for speaker in here.network._neighbourhood._of(here):
            speaker.names._cache.clear()
        with anf.patch():
            assert await asyncio.to_thread(socket.gethostbyname, "web") == there.addresses[0]


@in_virtual_time
async def test_who_leaves_is_forgotten() -> None:
    async with Network(seed=1) as near:
        here = near.host("client")
        far = Network(seed=2)
        join(near, far)
        far.host("web").stack.run()
        async with here:
            assert await asyncio.get_running_loop().getaddrinfo("web", 80)
            far.close()
            await asyncio.sleep(1.01)
            with pytest.raises(socket.gaierror):
                await asyncio.get_running_loop().getaddrinfo("web", 80)


@in_virtual_time
async def test_a_host_asks_on_its_own_segments_only() -> None:
    async with two() as (here, *_):
        net = here.network
        inner = net.host("inner")
        net.link(inner, net.router("core"))
        net.link(net.nodes["core"], net.lan)
        began = seconds()
        async with inner:
            with pytest.raises(socket.gaierror):
                await asyncio.get_running_loop().getaddrinfo("web", 80)
        assert seconds() == began


@in_virtual_time
async def test_what_is_sent_is_as_it_should_be_down_to_the_frame() -> None:
    async with two() as (here, _, half, other), here:
        await asyncio.sleep(5)
        with pytest.raises(socket.gaierror):
            await asyncio.get_running_loop().getaddrinfo("nobody", 80)
    messages = [Ether(frame) for frame in (*half.frames, *other.frames)]
    for frame in (*half.frames, *other.frames):
        check_frame(frame)
    mine = [message for message in messages if UDP in message and message[UDP].dport == 5353]
    assert {message[UDP].sport for message in mine} == {5353}
    to = {(m.dst, m[IP].dst, m[IP].ttl) if IP in m else (m.dst, m[IPv6].dst, m[IPv6].hlim) for m in mine}
    assert to == {("01:00:5e:00:00:fb", "224.0.0.251", 255), ("33:33:00:00:00:fb", "ff02::fb", 255)}
    asked = {q.qname for m in mine for q in DNS(bytes(m[UDP].payload)).qd}
    assert asked == {b"nobody.local."}
    goodbyes = [r.rrname for m in mine for r in DNS(bytes(m[UDP].payload)).an if r.ttl == 0]
    assert set(goodbyes) == {b"client.local.", b"web.local."}


@in_virtual_time
async def test_two_hosts_of_a_name_are_told(caplog: pytest.LogCaptureFixture) -> None:
    async with two("web", "web"):
        await asyncio.sleep(5)
    said = {record.getMessage() for record in caplog.records if record.levelno == logging.WARNING}
    assert said == {"web.local is a host's name in another process too: one of them needs another name"}
    assert len(caplog.records) == 2  # each of them says it once


@in_virtual_time
async def test_a_network_that_is_not_shared_has_no_part_in_this() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        link = net.link(a, b)
        assert a.stack.sockets == {}
        async with a:
            began = seconds()
            with pytest.raises(socket.gaierror):
                await asyncio.get_running_loop().getaddrinfo("nobody", 80)
            await asyncio.sleep(5)
        assert seconds() - began == 5
        assert link.in_flight() == []
        assert [nic.tx_packets for host in (a, b) for nic in host.interfaces] == [0, 0]
