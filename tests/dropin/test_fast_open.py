"""TCP Fast Open by programs that know of no network: options and flags of socket.socket, and asyncio's calls."""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import aionetflow

TCP, CONNECT = socket.IPPROTO_TCP, 30  # TCP_FASTOPEN_CONNECT
RTT = 0.1


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"hello " + await reader.readline())
    writer.close()


@asynccontextmanager
async def client_of(family: int) -> AsyncIterator[tuple[aionetflow.Network, Any]]:
    """The task is on a host whose server is a round trip away, at that address."""
    async with aionetflow.Network(seed=7) as net:
        web, client = net.host("web"), net.host("client")
        net.link(web, client, delay=RTT / 2)
        web.sysctl["net.ipv4.tcp_fastopen"] = 3
        async with web:
            server = await asyncio.start_server(greet, None, 80, family=family)
            for listener in server.sockets:
                listener.setsockopt(TCP, socket.TCP_FASTOPEN, 16)
        found = await asyncio.get_running_loop().getaddrinfo("web", 80, family=family, type=socket.SOCK_STREAM)
        async with server, client:
            with aionetflow.patch():
                yield net, found[0][4]


async def in_a_thread(call: Callable[[], Any]) -> Any:
    """A blocking program on the same host."""
    return await asyncio.get_running_loop().run_in_executor(None, contextvars.copy_context().run, call)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_asyncio_saves_a_round_trip(family: int) -> None:
    async def main() -> list[float]:
        loop, took = asyncio.get_running_loop(), []
        async with client_of(family) as (_, address):
            for _ in range(3):
                began = loop.time()
                sock = socket.socket(family)
                sock.setblocking(False)
                sock.setsockopt(TCP, CONNECT, 1)
                await loop.sock_connect(sock, address)
                reader, writer = await asyncio.open_connection(sock=sock)
                writer.write(b"world\n")
                assert await reader.read() == b"hello world\n"
                took.append(round((loop.time() - began) / RTT, 9))
                writer.close()
                await writer.wait_closed()
        return took

    assert aionetflow.run(main(), time="virtual")[1:] == [1, 1]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_program_that_blocks_sends_all_of_it(family: int) -> None:
    def talk(address: Any, size: int) -> int:
        with socket.socket(family) as sock:
            sent = sock.sendto(bytes(size - 1) + b"\n", socket.MSG_FASTOPEN, address)
            assert sock.recv(7) == b"hello \0"
            sock.connect_ex(address)
            return sent

    async def main() -> int:
        async with client_of(family) as (net, address):
            for size in (10, 10, 5000):
                assert await in_a_thread(lambda size=size: talk(address, size)) == size  # type: ignore[misc]
            return int(next(host for host in net.hosts if host.name == "client").stats.tcp.TCPFastOpenActive)

    assert aionetflow.run(main(), time="virtual") == 2


def test_a_message_of_buffers_opens_as_well() -> None:
    def talk(address: Any) -> bytes:
        with socket.socket() as sock:
            assert sock.sendmsg([b"wor", b"ld\n"], [], socket.MSG_FASTOPEN, address) == 6
            return sock.recv(100)

    async def main() -> list[bytes]:
        async with client_of(socket.AF_INET) as (_, address):
            return [await in_a_thread(lambda: talk(address)) for _ in range(2)]

    assert aionetflow.run(main(), time="virtual") == [b"hello world\n"] * 2


def test_a_program_that_blocks_hears_of_a_refusal() -> None:
    def talk(address: Any) -> None:
        with socket.socket() as sock:
            sock.sendto(b"world\n", socket.MSG_FASTOPEN, address)

    async def main() -> None:
        async with client_of(socket.AF_INET) as (_, address):
            await in_a_thread(lambda: talk(address))
            for _ in range(2):
                with pytest.raises(ConnectionRefusedError):
                    await in_a_thread(lambda: talk((address[0], 81)))

    aionetflow.run(main(), time="virtual")


def test_a_program_that_does_not_block() -> None:
    async def main() -> list[Any]:
        said: list[Any] = []
        loop = asyncio.get_running_loop()
        async with client_of(socket.AF_INET) as (_, address):
            for _ in range(2):
                with socket.socket() as sock:
                    sock.setblocking(False)
                    try:
                        said.append(sock.sendto(b"world\n", socket.MSG_FASTOPEN, address))
                    except BlockingIOError as error:
                        said.append(error.errno)
                        await asyncio.sleep(2 * RTT)
                        await loop.sock_sendall(sock, b"world\n")
                    said.append(await loop.sock_recv(sock, 100))
        return said

    assert aionetflow.run(main(), time="virtual") == [115, b"hello world\n", 6, b"hello world\n"]


def test_on_one_host_there_is_nothing_to_wait_for() -> None:
    def talk(address: Any) -> bytes:
        with socket.socket() as sock:
            assert sock.sendto(b"world\n", socket.MSG_FASTOPEN, address) == 6
            return sock.recv(100)

    async def main() -> list[bytes]:
        async with aionetflow.Network(seed=7) as net:
            net.localhost.sysctl["net.ipv4.tcp_fastopen"] = 0x403
            async with await asyncio.start_server(greet, "127.0.0.1", 80):
                with aionetflow.patch():
                    said = [await in_a_thread(lambda: talk(("127.0.0.1", 80))) for _ in range(3)]
            assert net.localhost.stats.tcp.TCPFastOpenPassive == 2
            return said

    assert asyncio.run(main()) == [b"hello world\n"] * 3


def test_a_datagram_socket_does_not_know_the_flag() -> None:
    async def main() -> bytes:
        async with client_of(socket.AF_INET):
            with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as other:
                other.bind(("127.0.0.1", 0))
                one.sendto(b"hello", socket.MSG_FASTOPEN, other.getsockname())
                return other.recv(100)

    assert aionetflow.run(main(), time="virtual") == b"hello"
