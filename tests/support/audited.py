"""A program that does all that one does with a network, on a virtual one, and prints what it had the kernel do.

    python -m support.audited asyncio               # a kind of loop, of support.loops
    python -m support.audited asyncio --outside     # goes outside, to show that it is seen

One line for each audit event by which a program leaves its process (https://docs.python.org/3/library/audit_events.html)
and each kernel socket of TCP or UDP that is open in the middle of it: none, if the network is closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from pathlib import Path
from typing import Any

import aionetflow
from aionetflow.network.names import is_literal
from support.loops import LOOPS

WATCHED = {
    "socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.gethostbyname", "socket.gethostbyaddr",
}  # fmt: skip
FAMILIES = (socket.AF_INET, socket.AF_INET6)
TABLES = ("tcp", "tcp6", "udp", "udp6")

seen: list[str] = []


def hook(event: str, args: Any) -> None:
    """Notes an event that stands for the outside."""
    outside = event in WATCHED
    if event == "socket.__new__":
        outside = args[1] in FAMILIES
    elif event == "socket.getaddrinfo":  # an address goes through the C library, which asks nobody about it
        outside = args[0] is not None and not is_literal(args[0])
    if outside:
        seen.append(f"{event} {args!r}")


def kernel_sockets() -> set[str]:
    """The kernel's sockets of TCP and UDP that this process has open."""
    own = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            own.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:  # that of listdir itself
            continue
    lines = [line for table in TABLES for line in Path("/proc/self/net", table).read_text().splitlines()[1:]]
    inodes = {line.split()[9] for line in lines}
    return {name for name in own if name.removeprefix("socket:[").removesuffix("]") in inodes}


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves a stream."""
    writer.write(await reader.read())
    writer.write_eof()
    writer.close()
    await writer.wait_closed()


class Echo(asyncio.DatagramProtocol):
    """Serves datagrams, or keeps the first that comes."""

    def __init__(self) -> None:
        self.first: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self.transport.get_extra_info("peername"):
            self.first.set_result(data)
        else:
            self.transport.sendto(data, addr)


async def streams(host: str) -> None:
    """A stream to a host."""
    reader, writer = await asyncio.open_connection(host, 80, happy_eyeballs_delay=0.1)
    writer.write(b"ping")
    writer.write_eof()
    assert await reader.read() == b"ping"
    seen.extend(kernel_sockets())
    writer.close()
    await writer.wait_closed()


async def datagrams(host: str) -> None:
    """Datagrams to a host."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Echo, remote_addr=(host, 53))
    transport.sendto(b"ping")
    assert await protocol.first == b"ping"
    transport.close()


async def sockets(host: str) -> None:
    """A socket of the program's own making, with the loop's calls and with its own."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, (host, 80))
        await loop.sock_sendall(sock, b"ping")
        sock.shutdown(socket.SHUT_WR)
        assert await loop.sock_recv(sock, 10) == b"ping"
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("", 0))
        sock.setblocking(False)
        sock.sendto(b"ping", (host, 53))
        assert (await loop.sock_recvfrom(sock, 10))[0] == b"ping"
        await loop.sock_sendto(sock, b"ping", (host, 53))
        sock.sendmsg([b"ping"], [], 0, (host, 53))


def blocking(host: str) -> None:
    """What only a thread may do."""
    with socket.create_connection((host, 80)) as sock:
        sock.sendall(b"ping")
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(10) == b"ping"


async def names(host: str) -> None:
    """Every way to ask for a name, of a host that is there and of one that is not."""
    loop = asyncio.get_running_loop()
    address: Any = (await loop.getaddrinfo(host, 80))[0][4]
    assert (await loop.getnameinfo(address))[0] == host
    for ask in (
        lambda name: socket.getaddrinfo(name, 80), socket.gethostbyname, socket.gethostbyname_ex, socket.getfqdn,
        lambda name: loop.getaddrinfo(name, 80), lambda name: asyncio.open_connection(name, 80),
        lambda name: socket.create_connection((name, 80)),
    ):  # fmt: skip
        try:
            answer = ask("nobody.example")
            if asyncio.iscoroutine(answer):
                await answer
        except socket.gaierror:
            continue
        assert answer == "nobody.example", ask  # getfqdn()


async def main() -> None:
    """All of it."""
    async with aionetflow.Network(seed=1) as network:
        server = network.host("server")
        async with server:
            listening = await asyncio.start_server(echo, "", 80)
            responder, _ = await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=("0.0.0.0", 53))
        with aionetflow.patch():
            await streams("server")
            await datagrams("server")
            await sockets("server")
            await asyncio.to_thread(blocking, "server")
            await names("server")
        listening.close()
        responder.close()


async def outside() -> None:
    """A server of the kernel's, and a socket that connects to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        seen.extend(kernel_sockets())


if __name__ == "__main__":
    sys.addaudithook(hook)
    with asyncio.Runner(loop_factory=LOOPS[sys.argv[1]]) as runner:
        runner.run(outside() if sys.argv[2:] else main())
    print(*seen, sep="\n", end="")
