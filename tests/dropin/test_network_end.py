"""What becomes of transports, servers and waiting calls when their network ends before they do."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import pytest

import aionetflow
from aionetflow import Network
from support.loops import everywhere, turns


class Recorder(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(type(exc))


@everywhere
async def test_open_connections_are_lost_and_servers_fall_silent() -> None:
    server_side, client_side = Recorder(), Recorder()
    loop = asyncio.get_running_loop()
    async with Network(seed=1):
        server = await loop.create_server(lambda: server_side, "127.0.0.1", 80)
        transport, _ = await loop.create_connection(lambda: client_side, "127.0.0.1", 80)
        await turns(5)
    await turns(5)
    assert server_side.told == client_side.told == ["made", ConnectionAbortedError]
    assert transport.is_closing()
    server.close()
    await server.wait_closed()


@everywhere
async def test_a_stream_that_is_read_ends_with_an_error() -> None:
    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with pytest.raises(ConnectionAbortedError):
            await reader.read()
        writer.close()

    async with Network(seed=1):
        server = await asyncio.start_server(ignore, "127.0.0.1", 80)
        reader, writer = await asyncio.open_connection("127.0.0.1", 80)
        reading = asyncio.create_task(reader.read())
        await turns(5)
    with pytest.raises(ConnectionAbortedError, match="the network has ended"):
        await reading
    writer.close()
    with pytest.raises(ConnectionAbortedError):
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


@everywhere
async def test_a_call_that_waits_for_a_socket_fails() -> None:
    loop = asyncio.get_running_loop()
    async with Network(seed=1):
        with aionetflow.patch():
            listener = socket.create_server(("127.0.0.1", 80))
        listener.setblocking(False)
        accepting = asyncio.create_task(loop.sock_accept(listener))
        await turns(3)
    with pytest.raises(OSError, match="Bad file descriptor"):
        await accepting
    listener.close()


@everywhere
async def test_a_connection_that_comes_as_its_server_closes_is_closed() -> None:
    loop = asyncio.get_running_loop()
    protocol = Recorder()
    async with Network(seed=1) as net:
        server = await loop.create_server(lambda: protocol, "127.0.0.1", 80)
        with aionetflow.patch(), socket.socket() as sock:
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", 80))
            server.close()  # the connection is accepted already, or will never be
            await turns(5)
            with contextlib.suppress(ConnectionResetError):  # a RST or a FIN, but no silence
                assert await loop.sock_recv(sock, 1) == b""
        assert protocol.told in ([], ["made", type(None)])
        assert [block.state for block in net.sockets() if block.fd >= 0] == []
    await server.wait_closed()
