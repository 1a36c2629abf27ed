"""Network(bridge="loopback"): TCP between the network's localhost and the kernel's, both ways."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

import aionetflow
from aionetflow.dropin.socket import VirtualSocket
from support.loops import on, until

KernelSocket = socket.socket
MUCH = 3_000_000  # octets; more than all buffers on the way together

pytestmark = pytest.mark.kernel
in_real_time = on("asyncio", "uvloop", "own")


@contextmanager
def kernel_server(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A listener of the kernel, in a thread that serves one connection; gives its port."""
    with KernelSocket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        thread = threading.Thread(target=lambda: serve(listener.accept()[0]))
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def echo(sock: socket.socket) -> None:
    with sock:
        while data := sock.recv(65536):
            sock.sendall(data)


def reset(sock: socket.socket) -> None:
    with sock:
        sock.recv(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def ask(port: int, question: bytes) -> bytes:
    """A client of the kernel, which waits: for a thread."""
    with KernelSocket() as sock:
        sock.connect(("127.0.0.1", port))
        sock.sendall(question)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while data := sock.recv(65536):
            answer += data
        return answer


async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"%d" % len(await reader.read()))
    writer.close()
    await writer.wait_closed()


@in_real_time
async def test_a_server_of_the_kernel_is_reached_where_nobody_listens_on_the_network() -> None:
    async with aionetflow.Network(seed=1, bridge="loopback"):
        with kernel_server(echo) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(bytes(MUCH))
            writer.write_eof()
            assert await reader.read() == bytes(MUCH)
            writer.close()
            await writer.wait_closed()


@in_real_time
async def test_a_server_of_the_kernel_is_reached_by_what_opens_with_data() -> None:
    async with aionetflow.Network(seed=1, bridge="loopback") as net:
        loop = asyncio.get_running_loop()
        with kernel_server(echo) as port, VirtualSocket(net.localhost) as sock:
            sock.setblocking(False)
            with pytest.raises(BlockingIOError):
                sock.sendto(b"hello", socket.MSG_FASTOPEN, ("127.0.0.1", port))
            await loop.sock_sendall(sock, b"hello")
            assert await loop.sock_recv(sock, 100) == b"hello"
            sock.shutdown(socket.SHUT_WR)
            assert await loop.sock_recv(sock, 100) == b""


@in_real_time
async def test_a_client_of_the_kernel_reaches_a_server_on_the_network() -> None:
    async with aionetflow.Network(seed=1, bridge="loopback"):
        server = await asyncio.start_server(count, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        assert await asyncio.to_thread(ask, port, bytes(MUCH)) == b"%d" % MUCH
        server.close()
        await server.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.to_thread(ask, port, b"")


@in_real_time
async def test_a_reset_crosses_as_a_reset() -> None:
    async with aionetflow.Network(seed=1, bridge="loopback"):
        with kernel_server(reset) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            with pytest.raises(ConnectionResetError):
                await writer.wait_closed()


@in_real_time
async def test_a_port_where_nobody_listens_on_either_side_is_refused() -> None:
    with KernelSocket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with aionetflow.Network(seed=1, bridge="loopback"):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", closed.getsockname()[1])


@in_real_time
async def test_a_virtual_listener_is_reached_by_the_network_itself_without_the_kernel() -> None:
    async with aionetflow.Network(seed=1, bridge="loopback") as net:
        server = await asyncio.start_server(count, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        # both ends are control blocks of the network: the server has the client's very address
        ends = {(block.local, block.peer) for block in net.sockets() if block.state == "ESTAB"}
        own, peer = writer.get_extra_info("sockname"), writer.get_extra_info("peername")
        assert ends == {(own, peer), (peer, own)}
        writer.write_eof()
        assert await reader.read() == b"0"
        writer.close()
        server.close()
        await server.wait_closed()


@in_real_time
async def test_a_port_that_the_kernel_has_given_away_cannot_be_listened_on() -> None:
    with KernelSocket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        async with aionetflow.Network(seed=1, bridge="loopback"):
            with pytest.raises(OSError, match="address already in use"):
                await asyncio.start_server(count, *taken.getsockname())


@in_real_time
async def test_without_a_bridge_the_kernel_is_not_reached() -> None:
    with KernelSocket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        async with aionetflow.Network(seed=1):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*listener.getsockname())


def test_a_bridge_to_anything_else_is_refused() -> None:
    with pytest.raises(ValueError, match='bridge is "loopback" or None, not \'eth0\''):
        aionetflow.Network(bridge="eth0", clock=None)


@in_real_time
async def test_two_networks_in_two_threads_reach_each_other() -> None:
    ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    here = asyncio.get_running_loop()

    async def serve() -> None:
        async with aionetflow.Network(seed=2, bridge="loopback"):
            served = asyncio.Event()

            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await count(reader, writer)
                served.set()

            server = await asyncio.start_server(answer, "127.0.0.1", 0)
            here.call_soon_threadsafe(ready.set_result, server.sockets[0].getsockname()[1])
            await served.wait()
            server.close()
            await server.wait_closed()

    controller = threading.Thread(target=aionetflow.run, args=(serve(),))
    controller.start()
    async with aionetflow.Network(seed=1, bridge="loopback"):
        reader, writer = await asyncio.open_connection("127.0.0.1", await ready)
        writer.write(bytes(1000))
        writer.write_eof()
        assert await reader.read() == b"1000"
        writer.close()
        await writer.wait_closed()
    controller.join()


@in_real_time
async def test_both_families_cross() -> None:
    async with aionetflow.Network(seed=1, bridge="loopback"):
        server = await asyncio.start_server(count, "localhost", 0)
        for sock in server.sockets:
            with KernelSocket(sock.family) as client:
                assert await asyncio.to_thread(exchange, client, sock.getsockname()) == b"5"
        server.close()
        await server.wait_closed()


def exchange(sock: socket.socket, address: tuple[str, int]) -> bytes:
    sock.settimeout(10)
    sock.connect(address)
    sock.sendall(b"12345")
    sock.shutdown(socket.SHUT_WR)
    return sock.recv(100)


@in_real_time
async def test_many_at_once_and_after_each_other_reach_a_server_of_the_kernel_and_nothing_is_left_of_them() -> None:
    async def exchange(question: bytes) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(question)
        writer.write_eof()
        assert await reader.read() == question
        writer.close()
        await writer.wait_closed()

    def serve(listener: socket.socket) -> None:
        for _ in range(8):
            echo(listener.accept()[0])

    async with aionetflow.Network(seed=1, bridge="loopback") as net:
        with KernelSocket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            serving = asyncio.get_running_loop().run_in_executor(None, serve, listener)
            await exchange(b"a")
            await until(lambda: all(block.state == "TIME-WAIT" for block in net.sockets()))
            before = len(os.listdir("/proc/self/fd"))
            await exchange(b"b")
            await exchange(b"c")
            await asyncio.gather(*(exchange(bytes([number])) for number in range(5)))
            await serving
            await until(lambda: all(block.state == "TIME-WAIT" for block in net.sockets()))
            await until(lambda: len(os.listdir("/proc/self/fd")) == before)


@in_real_time
async def test_a_client_of_the_kernel_that_resets_at_once_leaves_nothing() -> None:
    async with aionetflow.Network(seed=1, bridge="loopback") as net:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
        with KernelSocket() as sock:
            sock.connect(("127.0.0.1", server.sockets[0].getsockname()[1]))
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await asyncio.sleep(0.02)
        await until(lambda: all(block.state in ("LISTEN", "TIME-WAIT") for block in net.sockets()))
        server.close()


@in_real_time
async def test_a_port_that_a_virtual_socket_has_taken_without_listening_is_not_the_kernels() -> None:
    async with aionetflow.Network(seed=1, bridge="loopback") as net:
        with KernelSocket() as listener, VirtualSocket(net.localhost) as sock:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            sock.core.bind(listener.getsockname())
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(*listener.getsockname())
