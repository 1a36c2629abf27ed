"""What a control block tells of its socket, through a whole life: net.sockets(), as `ss -a` would list them."""

from __future__ import annotations

import asyncio
import os

import pytest

import aionetflow as anf
from aionetflow import Network
from support.loops import everywhere, in_virtual_time, until
from support.talk import block_of, connected, datagram, listening, stream


@everywhere
async def test_a_new_socket_has_a_block_and_nothing_was_sent() -> None:
    async with Network(seed=1) as net:
        frames: list[bytes] = []
        net.localhost.interfaces[0].taps.append(lambda now, frame, outbound: frames.append(frame))
        assert net.sockets() == []
        async with await anf.socket() as sock, await anf.socket(type=anf.SOCK_DGRAM) as other:
            first, second = net.sockets()
            assert (first.host, first.netid, first.state, first.fd) == ("localhost", "tcp", "UNCONN", 3)
            assert (first.recv_q, first.send_q, first.local, first.peer) == (0, 0, ("0.0.0.0", 0), ("0.0.0.0", 0))
            assert (second.netid, second.state, second.fd) == ("udp", "UNCONN", 4)
            assert (sock.fileno(), other.fileno()) == (3, 4)
        assert net.sockets() == []
        assert frames == []


@everywhere
async def test_the_owner_is_the_process_and_the_task() -> None:
    async with Network(seed=1) as net:
        server = net.host("server")

        async def serve() -> None:
            async with await anf.socket():
                await asyncio.Event().wait()

        named = server.spawn(serve(), name="the accountant")
        unnamed = server.spawn(serve())
        await until(lambda: len(net.sockets()) == 2)
        owners = [block.owner for block in net.sockets()]
        assert [owner.pid for owner in owners] == [os.getpid()] * 2
        assert [owner.task for owner in owners] == ["the accountant", unnamed.get_name()]
        assert unnamed.get_name().startswith("server:")
        assert 'users:(("the accountant",pid=' in str(net.sockets()[0])
        assert named.get_name() == "the accountant"


@in_virtual_time
async def test_the_states_of_a_life_on_both_sides() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a", "10.1.0.1/24"), net.host("b", "10.1.0.2/24")
        net.link(a, b, delay=0.1)
        listener = await listening(b, 80, backlog=7)
        line = block_of(net, listener)
        assert (line.state, line.local, line.peer, line.recv_q, line.send_q) == (
            "LISTEN", ("0.0.0.0", 80), ("0.0.0.0", 0), 0, 7,
        )  # fmt: skip
        client = await stream(a)
        connecting = asyncio.create_task(client.connect(("10.1.0.2", 80)))
        await asyncio.sleep(0.05)
        port = (await client.getsockname())[1]
        assert (block_of(net, client).state, block_of(net, client).peer) == ("SYN-SENT", ("10.1.0.2", 80))
        assert block_of(net, client).local == ("10.1.0.1", port)
        await asyncio.sleep(0.3)  # ARP there and back 0.2 s, the SYN 0.1 s
        assert [block.state for block in net.sockets() if block.fd < 0] == ["SYN-RECV"]
        await connecting
        assert block_of(net, client).state == "ESTAB"
        await asyncio.sleep(0.1)
        (waiting,) = [block for block in net.sockets() if block.fd < 0]
        assert (waiting.host, waiting.state, waiting.local, waiting.peer) == (
            "b", "ESTAB", ("10.1.0.2", 80), ("10.1.0.1", port),
        )  # fmt: skip
        assert block_of(net, listener).recv_q == 1

        server, _ = await listener.accept()
        assert block_of(net, listener).recv_q == 0
        assert (block_of(net, server).state, block_of(net, server).local) == ("ESTAB", ("10.1.0.2", 80))
        await client.write(bytes(5000))
        assert block_of(net, client).send_q == 5000
        await asyncio.sleep(0.15)
        assert block_of(net, server).recv_q == 5000
        await asyncio.sleep(0.15)
        assert block_of(net, client).send_q == 0
        assert await server.read(2000) == bytes(2000)
        assert block_of(net, server).recv_q == 3000
        assert await server.read(5000) == bytes(3000)

        await client.shutdown(anf.SHUT_WR)
        assert block_of(net, client).state == "FIN-WAIT-1"
        await asyncio.sleep(0.15)
        assert block_of(net, server).state == "CLOSE-WAIT"
        await asyncio.sleep(0.15)
        assert block_of(net, client).state == "FIN-WAIT-2"
        await server.close()
        (orphan,) = [block for block in net.sockets() if block.fd < 0]
        assert (orphan.host, orphan.state, orphan.owner.pid, orphan.owner.task) == ("b", "LAST-ACK", 0, "")
        assert "users:" not in str(orphan)
        await asyncio.sleep(0.15)
        assert block_of(net, client).state == "TIME-WAIT"
        await client.close()
        await asyncio.sleep(0.15)
        assert [(block.host, block.state, block.fd) for block in net.sockets()] == [
            ("a", "TIME-WAIT", -1), ("b", "LISTEN", 3),
        ]  # fmt: skip
        await asyncio.sleep(60)  # net.ipv4.tcp_fin_timeout and TCP_TIMEWAIT_LEN
        assert [block.host for block in net.sockets()] == ["b"]
        await listener.close()
        assert net.sockets() == []


@everywhere
async def test_a_line_looks_as_ss_prints_it() -> None:
    async with Network(seed=1) as net:
        b = net.host("b", "10.0.0.99/16")
        listener = await listening(b, 8080, backlog=9)
        (line,) = [str(block) for block in net.sockets()]
        task = asyncio.current_task()
        assert task is not None
        assert line.split(maxsplit=6) == [
            "tcp", "LISTEN", "0", "9", "0.0.0.0:8080", "0.0.0.0:*",
            f'users:(("{task.get_name()}",pid={os.getpid()},fd=3))',
        ]  # fmt: skip
        await listener.close()


@everywhere
async def test_a_datagram_socket_counts_what_waits() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        receiver = await datagram(b)
        await receiver.bind(("", 53))
        sender = await datagram(a)
        assert block_of(net, receiver).local == ("0.0.0.0", 53)
        await sender.connect(("b", 53))
        assert (block_of(net, sender).state, block_of(net, sender).peer) == ("ESTAB", (b.addresses[0], 53))
        assert block_of(net, sender).local[0] == a.addresses[0]
        await sender.write(bytes(100))
        await until(lambda: block_of(net, receiver).recv_q >= 100)
        await receiver.read(1000)
        assert block_of(net, receiver).recv_q == 0
        await sender.close()
        await receiver.close()


@pytest.mark.parametrize("bound", ["10.0.0.50", ""])
@everywhere
async def test_names_of_both_ends_agree(bound: str) -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a", "10.0.0.50/16"), net.host("b", "10.0.0.51/16")
        listener = await listening(b)
        sock = await stream(a)
        assert await sock.getsockname() == ("0.0.0.0", 0)
        await sock.bind((bound, 4000))
        assert await sock.getsockname() == (bound or "0.0.0.0", 4000)
        await sock.connect(("b", 80))
        peer, address = await listener.accept()
        assert address == ("10.0.0.50", 4000) == await sock.getsockname() == await peer.getpeername()
        assert await sock.getpeername() == ("10.0.0.51", 80) == await peer.getsockname()
        assert "ESTAB 10.0.0.50:4000 10.0.0.51:80" in repr(sock)
        for each in (sock, peer, listener):
            await each.close()


@everywhere
async def test_blocks_of_all_hosts_are_listed() -> None:
    async with Network(seed=1) as net:
        hosts = [net.host(f"h{i}") for i in range(3)]
        sockets = [await connected(hosts[i], hosts[(i + 1) % 3], 80 + i) for i in range(3)]
        assert sorted((block.host, block.state) for block in net.sockets() if block.fd >= 0) == [
            (f"h{i}", "ESTAB") for i in (0, 0, 1, 1, 2, 2)
        ]
        for pair in sockets:
            for sock in pair:
                await sock.close()
