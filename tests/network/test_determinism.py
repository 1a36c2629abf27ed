"""The same seed gives the same frames at the same times, another seed others; networks run without a loop too."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import textwrap

import pytest

import aionetflow as anf
from aionetflow import Network
from aionetflow.clock import ManualClock
from aionetflow.socket.stream import StreamSocket
from support.loops import LOOPS, everywhere, turns
from support.talk import connected, pattern, read_all, read_exactly


async def story(seed: int | str, chatter: int = 0) -> str:
    """Much traffic on a bad network: the digest of every frame on every link, with its time and fate."""
    digest = hashlib.sha256()
    async with Network(seed) as net:
        hosts = [net.host(f"h{i}") for i in range(4)]
        r1, r2 = net.router("r1"), net.router("r2")
        links = [
            net.link(hosts[0], r1, delay=0.003, rate=3e7, loss=0.02),
            net.link(r1, r2, delay=0.01, jitter=0.004, reorder=0.05, duplicate=0.02, corrupt=0.02),
            net.link(r2, hosts[1], delay=0.001),
        ]

        def tap(now: int, channel: object, frame: bytes, fate: str) -> None:
            digest.update(f"{now} {channel!r} {fate}".encode() + frame)

        for link in links:
            link.tap(tap)

        async def one(client: int, server: int, port: int) -> None:
            near, far = await connected(hosts[client], hosts[server], port)
            data = pattern(40_000, port)
            writing = asyncio.create_task(near.write(data))
            assert await read_exactly(far, len(data)) == data
            await writing
            await far.close()
            assert await read_all(near) == b""
            await near.close()

        for _ in range(chatter):  # tasks that have nothing to do with it
            hosts[2].spawn(turns(50))
        await asyncio.gather(one(0, 1, 80), one(1, 0, 81), one(2, 3, 82))
        digest.update(str([(block.host, block.state, block.local) for block in net.sockets()]).encode())
        digest.update(str(net.clock.now()).encode())
        for host in hosts:
            digest.update(str(vars(host.stats.tcp) if hasattr(host.stats.tcp, "__dict__") else "").encode())
    return digest.hexdigest()


def told(seed: int | str, chatter: int = 0) -> str:
    with asyncio.Runner(loop_factory=LOOPS["virtual"]) as runner:
        return runner.run(story(seed, chatter))


def test_the_same_seed_gives_the_same_frames_at_the_same_times() -> None:
    first = told(7)
    assert told(7) == first
    assert told(7, chatter=20) == first
    assert told(8) != first
    assert told("seven") != first


def test_the_same_seed_gives_the_same_in_another_process_with_other_hashes() -> None:
    program = textwrap.dedent("""
        import random
        import aionetflow as anf

        async def main():
            async with anf.Network(seed=3) as net:
                a, b = net.host("a"), net.host("b")
                r = net.router("r")
                link = net.link(a, r, delay=0.01, loss=0.1)
                net.link(r, b)
                link.tap(lambda now, channel, frame, fate: print(now, channel, fate, frame.hex()))
                async with b:
                    listener = await anf.socket()
                    await listener.bind(("", 80))
                    await listener.listen()
                async with a, await anf.socket() as sock:
                    await sock.connect(("b", 80))
                    server, _ = await listener.accept()
                    await sock.write(bytes(50_000))
                    await sock.shutdown(anf.SHUT_WR)
                    async with server, listener:
                        while await server.read(9999):
                            pass

        random.seed()
        anf.run(main(), time="virtual")
    """)
    outputs = []
    for hashes in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True,
            env={**os.environ, "PYTHONHASHSEED": hashes},
        )  # fmt: skip
        assert ran.stderr == ""
        outputs.append(ran.stdout)
    assert len(outputs[0].splitlines()) > 40
    assert outputs[0] == outputs[1]


def frames_by_hand(seed: int) -> list[tuple[int, bytes]]:
    """A connection on a manual clock, with non-blocking sockets and no loop at all."""
    clock = ManualClock()
    net = Network(seed, clock=clock)
    a, b, r = net.host("a"), net.host("b"), net.router("r")
    link = net.link(a, r, delay=0.02, loss=0.05)
    net.link(r, b, delay=0.01)
    frames: list[tuple[int, bytes]] = []
    link.tap(lambda now, channel, frame, fate: frames.append((now, frame)))
    listener, client = b.socket(), a.socket()
    assert isinstance(listener, StreamSocket)
    assert isinstance(client, StreamSocket)
    listener.bind(("", 80))
    listener.listen()
    with pytest.raises(BlockingIOError):
        client.connect((b.addresses[0], 80))
    clock.advance(5)
    client.connect((b.addresses[0], 80))
    server, _ = listener.accept()
    data = pattern(100_000)
    assert client.send(data) == len(data)
    client.close()
    received = bytearray()
    while True:
        try:
            more = server.recv(65536)
        except BlockingIOError:
            clock.advance(0.1)
            continue
        if not more:
            break
        received += more
    assert received == data
    server.close()
    assert clock.run_until_idle()
    assert [block.state for block in net.sockets()] == ["LISTEN"]
    net.close()
    assert net.sockets() == []
    return frames


def test_a_network_on_a_manual_clock_needs_no_loop() -> None:
    first = frames_by_hand(1)
    assert frames_by_hand(1) == first
    assert frames_by_hand(2) != first


def test_sockets_of_a_network_without_a_loop_have_an_owner_without_a_task() -> None:
    net = Network(1, clock=ManualClock())
    sock = net.localhost.socket()
    (block,) = net.sockets()
    assert (block.owner.pid > 0, block.owner.task) == (True, "")
    sock.close()


def test_one_node_does_not_change_the_draws_of_another() -> None:
    numbers = []
    for extra in (False, True):
        net = Network(1, clock=ManualClock())
        a = net.host("a")
        if extra:
            net.host("b").socket().close()
        numbers.append(a.bare_stack.random.getrandbits(64))
    assert numbers[0] == numbers[1]


def broken_tap(*arguments: object) -> None:
    raise KeyError("tap")


@everywhere
async def test_a_tap_that_raises_is_told_to_the_loop_and_the_network_goes_on() -> None:
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(repr(context["exception"])))
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        link = net.link(a, b)
        client, server = await connected(a, b)

        handle = link.tap(broken_tap)
        try:
            await client.write(b"question")
            await turns(20)
        finally:
            handle.close()
        assert await read_exactly(server, 8) == b"question"
        b.interfaces[0].taps.append(broken_tap)
        try:
            await client.write(b"and more")
            await turns(20)
        finally:
            b.interfaces[0].taps.remove(broken_tap)
        assert await read_exactly(server, 8) == b"and more"
        await client.close()
        await server.close()
    assert set(told) == {"KeyError('tap')"}


@everywhere
async def test_a_tap_that_raises_does_not_keep_a_network_from_ending() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    net = Network(seed=1)
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b)
    async with net:
        sockets = [*await connected(a, b, 80), *await connected(a, b, 81)]
        handle = link.tap(broken_tap)
        try:
            net.close()
        finally:
            left = [sock for sock in sockets if sock.fileno() >= 0]
            handle.close()
            net.close()
    assert left == []


@everywhere
async def test_a_timer_that_raises_is_told_to_the_loop_and_the_network_goes_on() -> None:
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(repr(context["exception"])))
    async with Network(seed=1) as net:

        def fail() -> None:
            raise KeyError("timer")

        net.clock.call_soon(fail)
        net.clock.call_at(net.clock.now() + 1000, fail)
        client, server = await connected(net.host("a"), net.host("b"))
        await client.write(b"x")
        assert await read_exactly(server, 1) == b"x"
        await client.close()
        await server.close()
        await asyncio.sleep(0.002)
    assert told == ["KeyError('timer')"] * 2


@everywhere
async def test_the_loop_keeps_its_turn_while_the_network_is_busy() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        writing = asyncio.create_task(client.write(pattern(4_000_000)))
        counted = 0

        async def count() -> None:
            nonlocal counted
            while True:
                counted += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        assert len(await read_exactly(server, 4_000_000)) == 4_000_000
        assert counted >= 5
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        await writing
        await client.shutdown(anf.SHUT_WR)
        await client.close()
        await server.close()
