"""Two ends of a conversation on a network, by the coroutine API."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from random import Random

import aionetflow as anf
from aionetflow import Host, Network, Socket
from aionetflow.network.control_blocks import ControlBlock

Option = tuple[int, int, int | bytes]  # level, name, value


@functools.lru_cache(maxsize=64)
def pattern(size: int, salt: int = 0) -> bytes:
    """Octets in which none can be lost, doubled or moved without being noticed."""
    return Random(salt).randbytes(size + -size % 4)[:size]  # the longer one begins as the shorter one


async def stream(host: Host, *options: Option) -> Socket:
    """A new TCP socket on a host."""
    return await _made(host, anf.SOCK_STREAM, options)


async def datagram(host: Host, *options: Option) -> Socket:
    """A new UDP socket on a host."""
    return await _made(host, anf.SOCK_DGRAM, options)


async def listening(host: Host, port: int = 80, backlog: int = 128, options: Sequence[Option] = ()) -> Socket:
    """A socket that accepts connections to all addresses of a host."""
    sock = await stream(host, *options)
    await sock.bind(("", port))
    await sock.listen(backlog)
    return sock


async def connected(
    client: Host, server: Host, port: int = 80, options: Sequence[Option] = (), server_options: Sequence[Option] = ()
) -> tuple[Socket, Socket]:
    """A connection: the client's socket, and the one that the server has accepted."""
    listener = await listening(server, port, options=server_options)
    sock = await stream(client, *options)
    await sock.connect((server.addresses[0], port))
    peer, _ = await listener.accept()
    await listener.close()
    return sock, peer


async def read_exactly(sock: Socket, n: int, piece: int = 65536) -> bytes:
    """n octets, or what there is before the end of the stream."""
    data = bytearray()
    while len(data) < n and (more := await sock.read(min(piece, n - len(data)))):
        data += more
    return bytes(data)


async def read_all(sock: Socket, piece: int = 65536) -> bytes:
    """All octets to the end of the stream."""
    data = bytearray()
    while more := await sock.read(piece):
        data += more
    return bytes(data)


def block_of(net: Network, sock: Socket) -> ControlBlock:
    """The control block of an open socket, as the network lists it."""
    found = [b for b in net.sockets() if (b.host, b.fd) == (sock.host.name, sock.fileno())]
    assert len(found) == 1, found
    return found[0]


async def _made(host: Host, kind: int, options: Sequence[Option]) -> Socket:
    async with host:
        sock = await anf.socket(type=kind)
    for level, name, value in options:
        await sock.setsockopt(level, name, value)
    return sock
