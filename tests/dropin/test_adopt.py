"""Sockets of the kernel that are handed to a loop on a network: they become virtual ones, with all that was set."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import stat
from typing import Any

import pytest

from aionetflow import Network
from aionetflow.dropin.adopt import AdoptedSocket, adopted
from support.loops import everywhere, turns, until
from support.sides import LO, Recorder

loop = asyncio.get_running_loop
pytestmark = pytest.mark.kernel


def made(kind: int = socket.SOCK_STREAM, *, bound: bool = False) -> socket.socket:
    """A socket of the kernel that does not block."""
    sock = socket.socket(socket.AF_INET, kind)
    sock.setblocking(False)
    if bound:
        sock.bind((LO, 0))
    return sock


@everywhere
async def test_a_socket_is_adopted_when_it_connects_and_stays_the_object_it_is() -> None:
    async with Network(seed=1) as network:
        server = await loop().create_server(Recorder, LO, 80)
        with made() as sock:
            assert not isinstance(sock, AdoptedSocket)
            await loop().sock_connect(sock, (LO, 80))
            assert isinstance(sock, AdoptedSocket)
            assert isinstance(sock, socket.socket)
            assert adopted[sock].host is network.localhost
            assert sock.getpeername() == (LO, 80)
            assert sock.getsockname()[0] == LO
            assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
            assert (sock.gettimeout(), sock.timeout, sock.getblocking()) == (0.0, 0.0, False)
            sock.settimeout(5)
            assert (sock.gettimeout(), sock.timeout, sock.getblocking()) == (5.0, 5.0, True)
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.recv_into(bytearray(5), nbytes=3, flags=0)
            await loop().sock_sendall(sock, b"hello")
            sock.shutdown(socket.SHUT_WR)
            assert await loop().sock_recv(sock, 10) == b""
        assert sock.fileno() == -1
        server.close()
        await turns(5)


@everywhere
async def test_its_address_and_options_move_with_it() -> None:
    async with Network(seed=1):
        with made() as sock:
            for level, option in (
                (socket.SOL_SOCKET, socket.SO_REUSEADDR), (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                (socket.IPPROTO_TCP, socket.TCP_NODELAY),
            ):  # fmt: skip
                sock.setsockopt(level, option, 1)
            sock.bind((LO, 0))
            name = sock.getsockname()
            server = await loop().create_server(Recorder, sock=sock)
            assert isinstance(sock, AdoptedSocket)
            assert sock.getsockname() == name
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            transport, protocol = await loop().create_connection(Recorder, *name)
            assert transport.get_extra_info("peername") == name
            transport.close()
            await protocol.lost
            server.close()
        with socket.socket() as free:  # the kernel has its port back
            free.bind(name)


@everywhere
async def test_a_listening_socket_listens_on() -> None:
    async with Network(seed=1):
        with made(bound=True) as listener, made() as near:
            listener.listen()
            accepting = asyncio.ensure_future(loop().sock_accept(listener))
            await turns(2)
            await loop().sock_connect(near, listener.getsockname())
            far, address = await accepting
            assert address == near.getsockname()
            far.close()


@everywhere
async def test_a_datagram_socket_becomes_an_endpoint() -> None:
    async with Network(seed=1):
        with made(socket.SOCK_DGRAM, bound=True) as sock:
            received: asyncio.Future[bytes] = loop().create_future()

            class Protocol(asyncio.DatagramProtocol):
                def datagram_received(self, data: bytes, addr: Any) -> None:
                    received.set_result(data)

            endpoint, _ = await loop().create_datagram_endpoint(Protocol, sock=sock)
            sender, _ = await loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, remote_addr=endpoint.get_extra_info("sockname")
            )
            sender.sendto(b"hello")
            assert await received == b"hello"
            endpoint.close()
            sender.close()
            await turns(3)
            assert sock.fileno() == -1


@everywhere
async def test_unix_sockets_and_those_that_are_connected_stay_the_kernels() -> None:
    near, far = socket.socketpair()
    listener = socket.create_server((LO, 0))
    with near, far, listener, socket.create_connection(listener.getsockname()) as client:
        accepted, _ = listener.accept()
        for sock in (near, far, client, accepted):
            sock.setblocking(False)
        async with Network(seed=1):
            for one, other in ((near, far), (client, accepted)):
                await loop().sock_sendall(one, b"hello")
                assert await loop().sock_recv(other, 10) == b"hello"
                assert not isinstance(one, AdoptedSocket)
            transport, protocol = await loop().connect_accepted_socket(Recorder, accepted)
            await loop().sock_sendall(client, b"to a transport")
            await until(lambda: protocol.data == b"to a transport")
            transport.close()
            await protocol.lost


@everywhere
async def test_a_socket_that_cannot_be_adopted_stays_as_it_is() -> None:
    """Its port is taken on the network."""
    async with Network(seed=1):
        with made(bound=True) as sock:
            server = await loop().create_server(Recorder, *sock.getsockname())
            with pytest.raises(OSError, match="Address already in use"):
                await loop().create_server(Recorder, sock=sock)
            assert not isinstance(sock, AdoptedSocket)
            assert stat.S_ISSOCK(os.fstat(sock.fileno()).st_mode)
            server.close()


@everywhere
async def test_descriptors_of_the_kernel_are_not_lost() -> None:
    def open_descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with Network(seed=1):
        with contextlib.suppress(ConnectionRefusedError), made() as first:  # whatever is made once
            await loop().sock_connect(first, (LO, 80))
        gc.collect()
        before = open_descriptors()
        for _ in range(5):
            with made() as sock:
                assert sock.fileno() >= 0
                with pytest.raises(ConnectionRefusedError):
                    await loop().sock_connect(sock, (LO, 80))
                assert sock.fileno() >= 0
        assert open_descriptors() == before
