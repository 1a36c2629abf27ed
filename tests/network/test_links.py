"""Links of a running network: settings that change, up and down, what is in flight, exact times."""

from __future__ import annotations

import asyncio

import pytest

import aionetflow as anf
from aionetflow import Host, Network
from aionetflow.link.memory import MemoryLink
from support.loops import everywhere, in_virtual_time, seconds
from support.talk import connected, datagram, pattern, read_all, read_exactly

SIZE = 100  # octets of a datagram; on the wire 142


def pair(net: Network, **settings: float) -> tuple[Host, Host, MemoryLink]:
    a, b = net.host("a", "10.1.0.1/24"), net.host("b", "10.1.0.2/24")
    return a, b, net.link(a, b, **settings)  # type: ignore[arg-type]


async def sockets(net: Network, a: Host, b: Host) -> tuple[anf.Socket, anf.Socket]:
    """A connected datagram socket and its peer; ARP is over."""
    here, there = await datagram(a), await datagram(b)
    await there.bind(("", 7))
    await here.connect((b.addresses[0], 7))
    await here.write(b"first")
    await there.read(100)
    return here, there


@in_virtual_time
async def test_delay_and_rate_give_exact_times_and_can_be_changed() -> None:
    async with Network(seed=1) as net:
        a, b, link = pair(net)
        here, there = await sockets(net, a, b)
        for delay, rate, expected in (
            (0.25, None, 0.25), (0.0, 1e4, 142 * 8 / 1e4), (0.1, 1e6, 0.1 + 142 * 8 / 1e6), (0.0, None, 0.0),
        ):  # fmt: skip
            link.delay, link.rate = delay, rate
            start = seconds()
            await here.write(bytes(SIZE))
            await there.read(SIZE)
            assert seconds() - start == pytest.approx(expected, abs=2e-9)
        await here.close()
        await there.close()


@in_virtual_time
async def test_directions_have_settings_of_their_own() -> None:
    async with Network(seed=1) as net:
        a, b, link = pair(net)
        here, there = await sockets(net, a, b)
        link.delay = (0.3, 0.1)
        assert link.delay == (0.3, 0.1)
        assert (link.a_to_b.delay, link.b_to_a.delay) == (0.3, 0.1)
        start = seconds()
        await here.write(b"x")
        await there.sendto(b"y", (await there.recvfrom(10))[1])
        await here.read(10)
        assert seconds() - start == pytest.approx(0.4, abs=2e-9)
        await here.close()
        await there.close()


@in_virtual_time
async def test_loss_begins_and_ends() -> None:
    async with Network(seed=1) as net:
        a, b, link = pair(net)
        here, there = await sockets(net, a, b)
        arrived = 0
        for loss, least, most in ((0.0, 50, 50), (1.0, 0, 0), (0.5, 10, 40), (0.0, 50, 50)):
            link.loss = loss
            for _ in range(50):
                await here.write(b"x")
            await asyncio.sleep(0.001)
            count = b.stats.udp.InDatagrams - arrived - 1
            arrived += count
            assert least <= count <= most
        await here.close()
        await there.close()


@pytest.mark.parametrize(("setting", "bad"), [("loss", 3), ("loss", -0.1), ("delay", -1), ("rate", 0), ("up", "yes")])
@everywhere
async def test_a_bad_setting_is_an_error_and_changes_nothing(setting: str, bad: object) -> None:
    async with Network(seed=1) as net:
        link = pair(net, delay=0.001, loss=0.25)[2]
        before = [getattr(link, name) for name in ("loss", "delay", "rate", "up")]
        with pytest.raises(ValueError, match=setting):
            setattr(link, setting, bad)
        with pytest.raises(ValueError, match=setting):
            setattr(link.b_to_a, setting, bad)
        assert [getattr(link, name) for name in ("loss", "delay", "rate", "up")] == before


@in_virtual_time
async def test_a_link_that_goes_down_loses_what_is_in_flight_and_comes_back() -> None:
    async with Network(seed=1) as net:
        a, b, link = pair(net, delay=0.1)
        client, server = await connected(a, b)
        data = pattern(300_000)
        writing = asyncio.create_task(client.write(data))
        reading = asyncio.create_task(read_exactly(server, len(data)))
        await asyncio.sleep(0.05)
        assert link.in_flight()
        link.up = False
        assert link.in_flight() == []
        assert link.a_to_b.down_dropped > 0
        await asyncio.sleep(0.5)
        assert not reading.done()
        link.up = True
        assert await reading == data
        await writing
        assert a.stats.tcp.RetransSegs > 0
        await client.close()
        await server.close()


@in_virtual_time
async def test_what_is_in_flight_can_be_looked_at() -> None:
    async with Network(seed=1) as net:
        a, b, link = pair(net, delay=0.25)
        here, there = await sockets(net, a, b)
        await asyncio.sleep(1)
        now = net.clock.now()
        for mark in b"xyz":
            await here.write(bytes([mark]) * SIZE)
            await asyncio.sleep(0.01)
        flights = link.in_flight()
        assert [flight.frame[42:] for flight in flights] == [bytes([mark]) * SIZE for mark in b"xyz"]
        assert [flight.arrives_ns - now for flight in flights] == [250_000_000, 260_000_000, 270_000_000]
        assert all(flight.channel is link.a_to_b for flight in flights)
        assert link.a_to_b.in_flight == 3 * (SIZE + 42)
        await asyncio.sleep(0.3)
        assert link.in_flight() == []
        await here.close()
        await there.close()


@in_virtual_time
async def test_an_interface_that_is_down_is_not_used() -> None:
    async with Network(seed=1) as net:
        a, b, _ = pair(net)
        here, there = await sockets(net, a, b)
        (nic,) = a.interfaces
        a.stack.set_up(nic, False)
        with pytest.raises(OSError, match="unreachable"):
            await here.write(b"x")
        a.stack.set_up(nic, True)
        await here.write(b"again")
        assert await there.read(10) == b"again"
        await here.close()
        await there.close()


@in_virtual_time
async def test_a_network_heals_after_a_partition() -> None:
    async with Network(seed=1) as net:
        a, b, r = net.host("a"), net.host("b"), net.router("r")
        near, far = net.link(a, r, delay=0.01), net.link(r, b, delay=0.01)
        client, server = await connected(a, b)
        for cut in (near, far):
            cut.up = False
            await client.write(b"x" * 1000)
            await asyncio.sleep(5)
            cut.up = True
            assert await read_exactly(server, 1000) == b"x" * 1000
        await client.close()
        await server.close()


@pytest.mark.parametrize("seed", range(4))
@in_virtual_time
async def test_a_bad_link_delivers_every_octet(seed: int) -> None:
    async with Network(seed) as net:
        a, b, r = net.host("a"), net.host("b"), net.router("r")
        settings = {"loss": 0.03, "reorder": 0.05, "duplicate": 0.03, "corrupt": 0.02, "jitter": 0.002}
        net.link(a, r, delay=0.005, rate=2e7, **settings)  # type: ignore[arg-type]
        net.link(r, b, delay=0.005, **settings)  # type: ignore[arg-type]
        client, server = await connected(a, b)
        there, back = pattern(60_000, 1), pattern(40_000, 2)

        async def talk(sock: anf.Socket, data: bytes) -> bytes:
            writing = asyncio.create_task(sock.write(data))
            await writing
            await sock.shutdown(anf.SHUT_WR)
            return await read_all(sock, 3000)

        assert list(await asyncio.gather(talk(client, there), talk(server, back))) == [back, there]
        await client.close()
        await server.close()


@in_virtual_time
async def test_a_rate_is_what_tcp_gets_in_the_end() -> None:
    async with Network(seed=1) as net:
        a, b, _ = pair(net, delay=0.005, rate=8e6)
        client, server = await connected(a, b)
        data = pattern(500_000)
        start = seconds()
        writing = asyncio.create_task(client.write(data))
        assert await read_exactly(server, len(data)) == data
        wire = len(data) * (1448 + 66) / 1448 * 8 / 8e6
        assert wire < seconds() - start < wire * 1.1 + 0.05
        await writing
        await client.close()
        await server.close()


@everywhere
async def test_a_smaller_mtu_makes_smaller_frames() -> None:
    async with Network(seed=1) as net:
        a, b, link = pair(net, mtu=600)
        longest = 0

        def tap(now: int, channel: object, frame: bytes, fate: str) -> None:
            nonlocal longest
            longest = max(longest, len(frame))
            assert fate == ""

        link.tap(tap)
        client, server = await connected(a, b)
        writing = asyncio.create_task(client.write(pattern(50_000)))
        assert await read_exactly(server, 50_000) == pattern(50_000)
        await writing
        assert longest == 614
        assert await client.getsockopt(anf.IPPROTO_TCP, anf.TCP_MAXSEG) == 548
        await client.close()
        await server.close()
