"""TCP Fast Open with the coroutines: connect() returns at once, and what is written first goes with the SYN."""

from __future__ import annotations

import asyncio

import pytest

import aionetflow as anf
from aionetflow.ip.address import AF_INET, AF_INET6

RTT = 0.1


async def serve(listener: anf.Socket) -> None:
    """Greets whoever says a name."""
    while True:
        conn, _ = await anf.accept(listener)
        async with conn:
            await anf.write(conn, b"hello " + await anf.read(conn, 100))


async def listening(host: anf.Host, family: int) -> anf.Socket:
    """A server that takes data in SYNs."""
    host.sysctl["net.ipv4.tcp_fastopen"] = 3
    async with host:
        listener = await anf.socket(family)
    await anf.bind(listener, ("", 80))
    await anf.setsockopt(listener, anf.IPPROTO_TCP, anf.TCP_FASTOPEN, 16)
    await anf.listen(listener)
    return listener


async def opening(family: int) -> anf.Socket:
    """A socket that opens its connection so."""
    sock = await anf.socket(family)
    await anf.setsockopt(sock, anf.IPPROTO_TCP, anf.TCP_FASTOPEN_CONNECT, 1)
    return sock


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_a_round_trip_is_saved(family: int) -> None:
    async def main() -> list[float]:
        loop, took = asyncio.get_running_loop(), []
        async with anf.Network(seed=7) as net:
            web, client = net.host("web"), net.host("client")
            net.link(web, client, delay=RTT / 2)
            async with await listening(web, family) as listener, client:
                task = web.spawn(serve(listener))
                for _ in range(4):
                    began = loop.time()
                    async with await opening(family) as sock:
                        await anf.connect(sock, ("web", 80))
                        await anf.write(sock, b"world")
                        assert await anf.read(sock, 100) == b"hello world"
                    took.append(round((loop.time() - began) / RTT, 9))
                task.cancel()
        return took

    assert anf.run(main(), time="virtual")[1:] == [1, 1, 1]  # the first asks for MAC addresses and a cookie, too


def test_a_long_write_waits_for_the_end_of_the_handshake() -> None:
    async def main() -> tuple[int, bytes]:
        async with anf.Network(seed=7) as net:
            web, client = net.host("web"), net.host("client")
            net.link(web, client, delay=RTT / 2)
            async with await listening(web, AF_INET) as listener, client:
                for _ in range(2):
                    async with await opening(AF_INET) as sock:
                        await anf.connect(sock, ("web", 80))
                        writing = asyncio.create_task(anf.write(sock, bytes(10_000)))
                        conn, _ = await anf.accept(listener)
                        async with conn:
                            early = await anf.read(conn, 100_000)
                            rest = await anf.read(conn, 10_000 - len(early), 0x100)  # MSG_WAITALL
                        await writing
        return len(early), early + rest

    early, data = anf.run(main(), time="virtual")
    assert (early, data) == (1420, bytes(10_000))


def test_a_server_that_is_gone_is_an_error_of_the_write_or_of_the_read() -> None:
    async def main() -> None:
        async with anf.Network(seed=7) as net:
            web, client = net.host("web"), net.host("client")
            net.link(web, client, delay=RTT / 2)
            async with client:
                async with await listening(web, AF_INET) as listener, await opening(AF_INET) as sock:
                    await anf.connect(sock, ("web", 80))
                    await anf.close((await anf.accept(listener))[0])
                async with await opening(AF_INET) as sock:
                    await anf.connect(sock, ("web", 80))  # there is a cookie: nobody was asked
                    await anf.write(sock, b"world")
                    with pytest.raises(ConnectionRefusedError):
                        await anf.read(sock, 100)

    anf.run(main(), time="virtual")
