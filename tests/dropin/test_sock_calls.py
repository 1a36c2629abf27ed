"""Where the loop's calls on sockets could do without waiting, and asyncio's do not."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import aionetflow
from aionetflow.dropin.socket import VirtualSocket

PATIENCE = 10  # s


@pytest.fixture
async def network() -> AsyncIterator[aionetflow.Network]:
    async with aionetflow.Network(seed=1) as net, asyncio.timeout(PATIENCE):
        yield net


def non_blocking(network: aionetflow.Network) -> VirtualSocket:
    sock = VirtualSocket(network.localhost)
    sock.setblocking(False)
    return sock


def listener(network: aionetflow.Network) -> VirtualSocket:
    sock = non_blocking(network)
    sock.bind(("127.0.0.1", 8080))
    sock.listen()
    return sock


async def test_a_file_that_the_send_buffer_does_not_hold_is_sent_over_a_transport(
    network: aionetflow.Network, tmp_path: Path
) -> None:
    data = bytes(range(256)) * 4096
    path = tmp_path / "file"
    path.write_bytes(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.read(-1))
        writer.close()

    loop = asyncio.get_running_loop()
    received: asyncio.Future[bytes] = loop.create_future()
    async with await asyncio.start_server(serve, "127.0.0.1", 8080):
        _, writer = await asyncio.open_connection("127.0.0.1", 8080)
        with path.open("rb") as file:
            assert await loop.sendfile(writer.transport, file) == len(data)
        writer.close()
        assert await received == data


async def test_a_connect_that_is_cancelled_at_once_has_not_asked_how_it_went(network: aionetflow.Network) -> None:
    loop = asyncio.get_running_loop()
    with non_blocking(network) as sock:
        task = loop.create_task(loop.sock_connect(sock, ("127.0.0.1", 9)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


async def test_closing_a_socket_leaves_who_waits_for_it_waiting(network: aionetflow.Network) -> None:
    loop = asyncio.get_running_loop()
    accepting = loop.create_task(loop.sock_accept(sock := listener(network)))
    await asyncio.sleep(0)
    sock.close()
    done, _ = await asyncio.wait([accepting], timeout=0.01)
    assert done == set()
    accepting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await accepting


async def test_poll_no_longer_sees_a_connection_that_was_accepted(network: aionetflow.Network) -> None:
    poll = select.poll()
    with listener(network) as sock, non_blocking(network) as client:
        poll.register(sock.fileno(), select.POLLIN)
        await asyncio.get_running_loop().sock_connect(client, sock.getsockname())
        assert poll.poll(0)
        sock.accept()[0].close()
        assert poll.poll(0) == []


async def test_a_descriptor_that_comes_again_is_that_of_the_socket_that_is_open(network: aionetflow.Network) -> None:
    loop = asyncio.get_running_loop()
    closed = [non_blocking(network)]
    descriptor = closed[0].fileno()
    closed[0].close()
    writable = loop.create_future()
    with listener(network), non_blocking(network) as sock:
        await loop.sock_connect(sock, ("127.0.0.1", 8080))
        assert sock.fileno() == descriptor
        loop.add_writer(descriptor, writable.set_result, None)
        assert sock.description.unwatch(~1)
    assert len(closed) == 1  # it was there all the time


async def test_a_thread_closes_a_socket_while_the_loop_waits_for_that_thread(network: aionetflow.Network) -> None:
    sock = listener(network)
    thread = threading.Thread(target=sock.close)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    await asyncio.sleep(0)
    listener(network).close()  # the port is free again


async def test_a_server_that_is_closed_between_accepting_and_serving_ends_the_connection(
    network: aionetflow.Network,
) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 8080)
    with non_blocking(network) as sock:
        await loop.sock_connect(sock, ("127.0.0.1", 8080))
        server.close()
        assert await loop.sock_recv(sock, 1) == b""


async def test_a_detached_descriptor_that_the_program_closes_closes_the_connection(
    network: aionetflow.Network,
) -> None:
    loop = asyncio.get_running_loop()
    with listener(network) as sock:
        client = non_blocking(network)
        await loop.sock_connect(client, ("127.0.0.1", 8080))
        server, _ = sock.accept()
        os.close(descriptor := client.detach())
        with server, aionetflow.patch(), socket.socket(socket.AF_UNIX) as unix:
            number = unix.detach()  # the lowest that is free
            assert number == descriptor
            with socket.socket(fileno=number) as again:
                assert not isinstance(again, VirtualSocket)
            server.send(b"x")  # by which it is seen
            with pytest.raises(ConnectionResetError):
                server.recv(1)


@pytest.mark.kernel
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, aionetflow.new_event_loop], ids=["asyncio", "own"])
def test_what_came_while_the_loop_was_not_run_is_read_after_what_was_begun(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    """Both ends are the same socket; the kernel's loop looks at it only once it runs."""
    seen: list[str] = []
    read = asyncio.Event()

    class Receiver(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            seen.append("read")
            read.set()

    async def main() -> None:
        seen.append("begun")
        async with asyncio.timeout(PATIENCE):
            await read.wait()

    loop = new_loop()
    endpoint, _ = loop.run_until_complete(loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 0)))
    endpoint.sendto(b"x", endpoint.get_extra_info("sockname"))
    loop.run_until_complete(main())
    endpoint.close()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert seen == ["begun", "read"]
