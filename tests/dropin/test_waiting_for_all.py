"""Calls of a virtual socket that wait for more than an octet, as those of the kernel's do: MSG_WAITALL, SO_RCVLOWAT."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from aionetflow import Network
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.network.clock import LoopClock

Maker = Callable[[], socket.socket]


@pytest.fixture(params=["kernel", "network"])
def make(request: pytest.FixtureRequest) -> Iterator[Maker]:
    """Makes sockets of either kind."""
    if request.param == "kernel":
        yield socket.socket
        return
    loop = asyncio.new_event_loop()
    network = Network(seed=1, clock=LoopClock(loop))
    try:
        yield lambda: VirtualSocket(network.localhost)
    finally:
        network.close()
        loop.close()


@pytest.fixture
def ends(make: Maker) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection whose ends wait."""
    with make() as listener, make() as client:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        with server:
            yield client, server


def in_pieces(sock: socket.socket, *pieces: bytes) -> threading.Thread:
    """Another thread sends, with a pause before each piece."""

    def send() -> None:
        for piece in pieces:
            time.sleep(0.02)
            sock.sendall(piece)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


pytestmark = pytest.mark.kernel


def test_waitall_waits_for_all(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    thread = in_pieces(client, b"ab", b"cd", b"efgh")
    assert server.recv(6, socket.MSG_WAITALL) == b"abcdef"
    room = bytearray(2)
    assert server.recv_into(room, 0, socket.MSG_WAITALL) == 2
    assert room == b"gh"
    thread.join()


def test_waitall_ends_with_the_stream(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    client.sendall(b"abc")
    client.shutdown(socket.SHUT_WR)
    room = bytearray(5)
    assert server.recv_into(room, 0, socket.MSG_WAITALL) == 3
    assert room == b"abc\0\0"
    assert server.recv(5, socket.MSG_WAITALL) == b""


def test_with_a_time_out_waitall_means_nothing(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    client.sendall(b"abc")
    server.settimeout(10)
    assert server.recv(5, socket.MSG_WAITALL) == b"abc"


def test_waitall_takes_more_than_the_buffer_holds(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    data = bytes(range(256)) * 20_000
    thread = threading.Thread(target=client.sendall, args=(data,))
    thread.start()
    assert server.recv(len(data), socket.MSG_WAITALL) == data
    thread.join()


def test_recv_waits_for_the_low_water_mark(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 3)
    thread = in_pieces(client, b"ab", b"c")
    assert server.recv(10) == b"abc"
    thread.join()


def test_dontwait_does_not_wait(ends: tuple[socket.socket, socket.socket]) -> None:
    client, server = ends
    with pytest.raises(BlockingIOError):
        server.recv(5, socket.MSG_WAITALL | socket.MSG_DONTWAIT)
    client.sendall(b"abc")
    assert server.recv(1) == b"a"
    assert server.recv(5, socket.MSG_WAITALL | socket.MSG_DONTWAIT) == b"bc"
