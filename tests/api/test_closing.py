"""close(): with and without unread data, SO_LINGER of 0 and of n seconds, on links that take their time."""

from __future__ import annotations

import asyncio
import struct

import pytest

import aionetflow as anf
from aionetflow import Network, Socket
from support.loops import everywhere, in_virtual_time, seconds, until
from support.talk import block_of, connected, pattern, read_all, read_exactly

DELAY = 0.1
RST = 0x04


def linger(seconds: int) -> tuple[int, int, bytes]:
    return anf.SOL_SOCKET, anf.SO_LINGER, struct.pack("ii", 1, seconds)


async def far_apart(net: Network, *options: tuple[int, int, int | bytes], rate: float | None = None) -> tuple[
    Socket, Socket
]:  # fmt: skip
    """A connection over a link with a round trip of 0.2 s, the handshake done."""
    a, b = net.host("a"), net.host("b")
    net.link(a, b, delay=DELAY, rate=rate)
    pair = await connected(a, b, options=options)
    await asyncio.sleep(1)
    return pair


def states(net: Network) -> dict[str, str]:
    return {block.host: block.state for block in net.sockets()}


@everywhere
async def test_close_delivers_what_was_written() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        data = pattern(200_000)
        await client.write(data)
        await client.close()
        assert await read_all(server) == data
        await server.close()


@in_virtual_time
async def test_close_does_not_wait() -> None:
    async with Network(seed=1) as net:
        client, server = await far_apart(net)
        start = seconds()
        await client.write(pattern(10_000))
        await client.close()
        assert seconds() == start
        assert client.fileno() == -1
        assert states(net)["a"] == "FIN-WAIT-1"
        assert await read_all(server) == pattern(10_000)
        await server.close()


@everywhere
async def test_close_with_unread_data_resets_the_peer() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await client.write(b"never read")
        await until(lambda: block_of(net, server).recv_q == 10)
        reading = asyncio.create_task(client.read(1))
        await server.close()
        with pytest.raises(ConnectionResetError):
            await reading
        with pytest.raises(BrokenPipeError):
            await client.write(b"x")
        assert await client.read(1) == b""
        await client.close()
        assert net.sockets() == []


@in_virtual_time
async def test_data_that_comes_after_close_is_answered_by_a_reset() -> None:
    async with Network(seed=1) as net:
        client, server = await far_apart(net)
        await client.close()
        assert await server.read(1) == b""
        await server.write(b"too late")
        await asyncio.sleep(2 * DELAY + 0.01)
        with pytest.raises(BrokenPipeError):  # Linux: EPIPE after the peer's FIN, not ECONNRESET
            await server.write(b"x")
        await server.close()
        assert [block for block in net.sockets() if block.host == "b"] == []


@in_virtual_time
async def test_linger_of_zero_seconds_resets_at_once() -> None:
    async with Network(seed=1) as net:
        client, server = await far_apart(net, linger(0))
        flags: list[int] = []
        net.links[0].tap(lambda now, channel, frame, fate: flags.append(frame[14 + 20 + 13]))
        start = seconds()
        await client.close()
        assert seconds() == start
        assert [flag & RST for flag in flags] == [RST]
        assert "a" not in states(net)
        with pytest.raises(ConnectionResetError):
            await server.read(1)
        assert seconds() == pytest.approx(start + DELAY, abs=1e-9)
        await server.close()


@in_virtual_time
async def test_linger_waits_until_the_peer_has_everything() -> None:
    async with Network(seed=1) as net:
        client, server = await far_apart(net, linger(5))
        start = seconds()
        await client.write(pattern(10_000))
        await client.close()
        # FIN there, its acknowledgment back, which has waited 40 ms for the peer's FIN to go with; the peer's stack has
        # it all though nobody has read it
        assert seconds() == pytest.approx(start + 2 * DELAY + 0.04, abs=1e-6)
        assert client.fileno() == -1
        assert await read_all(server) == pattern(10_000)
        await server.close()


@in_virtual_time
async def test_linger_waits_for_a_slow_link_as_long_as_it_takes() -> None:
    async with Network(seed=1) as net:
        client, server = await far_apart(net, linger(60), rate=1e5)
        start = seconds()
        await client.write(pattern(100_000))
        await client.close()
        wire = (100_000 + 66 * 70) * 8 / 1e5  # 70 segments of 1448 octets, headers, 100 kbit/s
        soonest = start + wire + 2 * DELAY
        assert soonest < seconds() < soonest + 0.2  # as long as the FIN's acknowledgment may wait
        assert net.hosts[1].stats.tcp.RetransSegs == 0
        assert await read_all(server) == pattern(100_000)
        await server.close()


@in_virtual_time
async def test_linger_gives_up_after_its_time_and_delivery_goes_on() -> None:
    async with Network(seed=1) as net:
        client, server = await far_apart(net, linger(3), rate=1e5)
        start = seconds()
        await client.write(pattern(100_000))
        await client.close()
        assert seconds() == pytest.approx(start + 3, abs=1e-6)
        assert client.fileno() == -1
        assert await read_all(server) == pattern(100_000)
        await server.close()


@in_virtual_time
async def test_linger_without_a_peer_that_answers_ends_after_its_time() -> None:
    async with Network(seed=1) as net:
        client, server = await far_apart(net, linger(2))
        net.links[0].up = False
        start = seconds()
        await client.write(b"into the void")
        await client.close()
        assert seconds() == pytest.approx(start + 2, abs=1e-6)
        await server.close()


@in_virtual_time
async def test_linger_with_unread_data_does_not_wait_because_it_resets() -> None:
    # Linux tcp_close: data left unread means a RST, whatever SO_LINGER says but 0.
    async with Network(seed=1) as net:
        client, server = await far_apart(net, linger(5))
        await server.write(b"never read")
        await asyncio.sleep(1)
        start = seconds()
        await client.close()
        assert seconds() == start
        with pytest.raises(ConnectionResetError):
            await server.read(1)
        await server.close()


@pytest.mark.parametrize("kind", [anf.SOCK_STREAM, anf.SOCK_DGRAM])
@in_virtual_time
async def test_linger_of_a_socket_without_a_connection_does_not_wait(kind: int) -> None:
    async with Network(seed=1):
        sock = await anf.socket(type=kind)
        await sock.setsockopt(*linger(5))
        await sock.close()
        assert seconds() == 0


@in_virtual_time
async def test_closing_while_connecting_gives_the_attempt_up() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        net.link(a, b, delay=DELAY)
        async with a:
            sock = await anf.socket()
        connecting = asyncio.create_task(sock.connect(("b", 80)))
        await asyncio.sleep(0.05)
        await sock.close()
        with pytest.raises(OSError) as failure:
            await connecting
        assert failure.value.errno == 9
        assert net.sockets() == []


@everywhere
async def test_closing_a_listener_resets_who_was_not_accepted() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        async with b:
            listener = await anf.socket()
        await listener.bind(("", 80))
        await listener.listen()
        async with a:
            clients = [await anf.socket() for _ in range(3)]
        for client in clients:
            await client.connect(("b", 80))
        await until(lambda: block_of(net, listener).recv_q == 3)
        await listener.close()
        for client in clients:
            with pytest.raises(ConnectionResetError):
                await client.read(1)
            await client.close()
        assert net.sockets() == []


@in_virtual_time
async def test_both_close_at_once() -> None:
    async with Network(seed=1) as net:
        client, server = await far_apart(net)
        await client.close()
        await server.close()
        await asyncio.sleep(DELAY + 0.01)
        assert states(net) == {"a": "CLOSING", "b": "CLOSING"}
        await asyncio.sleep(DELAY)
        assert states(net) == {"a": "TIME-WAIT", "b": "TIME-WAIT"}
        await asyncio.sleep(60)
        assert states(net) == {}


@everywhere
async def test_a_port_is_free_again_after_its_listener_closed() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        for _ in range(3):
            client, server = await connected(a, b, 80)
            await client.write(b"x")
            assert await read_exactly(server, 1) == b"x"
            await client.close()
            assert await server.read(1) == b""
            await server.close()
            await until(lambda: not [block for block in net.sockets() if block.host == "b"])
