"""anyio programs that know nothing of a virtual network: the same on the kernel's loopback and on ours."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, partial
from typing import Any

import pytest

from aionetflow import EventLoop, Network, patch
from support.loops import LOOPS, everywhere, in_virtual_time, run, seconds

anyio = pytest.importorskip("anyio", reason="anyio is not installed")
trustme = pytest.importorskip("trustme", reason="trustme is not installed")

from anyio import (  # noqa: E402
    BrokenResourceError,
    BusyResourceError,
    ClosedResourceError,
    EndOfStream,
    connect_tcp,
    create_connected_udp_socket,
    create_task_group,
    create_tcp_listener,
    create_udp_socket,
)
from anyio.abc import SocketAttribute, SocketStream, TaskGroup, UDPSocket  # noqa: E402
from anyio.streams.tls import TLSAttribute, TLSListener, TLSStream  # noqa: E402

LONG = bytes(range(256)) * 1200  # more than a pipe holds, less than a socket's buffers do
CASES = [*(("network", kind) for kind in LOOPS), pytest.param("kernel", "asyncio", marks=pytest.mark.kernel)]
Handler = Callable[[Any], Coroutine[Any, Any, None]]


def on_both(test: Callable[[str], Coroutine[Any, Any, None]]) -> Callable[[str, str], None]:
    """A test for the network on each kind of loop, and for the kernel on stock asyncio's."""

    def on_loop(place: str, loop_kind: str) -> None:
        run(loop_kind, partial(test, place))

    marked: Callable[[str, str], None] = pytest.mark.parametrize(("place", "loop_kind"), CASES)(on_loop)
    return marked


@asynccontextmanager
async def at(place: str) -> AsyncIterator[TaskGroup]:
    """Where a program runs, and a task group that ends with it."""
    async with AsyncExitStack() as stack:
        if place == "network":
            await stack.enter_async_context(Network(seed=1))
            stack.enter_context(patch())
        tasks = await stack.enter_async_context(create_task_group())
        yield tasks
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def serving(handler: Handler, host: str | None = "127.0.0.1") -> AsyncIterator[int]:
    """A server; its port."""
    async with await create_tcp_listener(local_host=host) as listener, create_task_group() as serving:
        serving.start_soon(listener.serve, handler)
        yield listener.extra(SocketAttribute.local_port)
        serving.cancel_scope.cancel()


@asynccontextmanager
async def serving_tls(handler: Handler, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A server that speaks TLS; its port."""
    listener = await create_tcp_listener(local_host="127.0.0.1")
    async with listener, create_task_group() as serving:
        serving.start_soon(TLSListener(listener, context).serve, handler)
        yield listener.extra(SocketAttribute.local_port)
        serving.cancel_scope.cancel()


async def echo(stream: SocketStream) -> None:
    async with stream:
        async for data in stream:
            await stream.send(data)


async def drain(stream: Any) -> bytes:
    """All that comes until the end of the stream."""
    return b"".join([data async for data in stream])


# ---- streams


@on_both
async def test_what_is_sent_comes_back_and_ends_with_the_half_closed_stream(place: str) -> None:
    async with at(place) as tasks, serving(echo) as port, await connect_tcp("localhost", port) as stream:
        await stream.send(b"hello")
        assert await stream.receive() == b"hello"
        tasks.start_soon(stream.send, LONG)
        got = b""
        while len(got) < len(LONG):
            got += await stream.receive()
        assert got == LONG
        await stream.send_eof()
        with pytest.raises(EndOfStream):
            await stream.receive()


@on_both
async def test_a_listener_without_a_host_takes_connections_of_both_families(place: str) -> None:
    async with at(place), serving(echo, host=None) as port:
        for host in ("127.0.0.1", "::1", "localhost"):
            async with await connect_tcp(host, port) as stream:
                await stream.send(b"x")
                assert await stream.receive() == b"x"


@on_both
async def test_what_was_sent_before_closing_arrives_whole(place: str) -> None:
    received: list[bytes] = []

    async with at(place):
        done = anyio.Event()

        async def keep(stream: SocketStream) -> None:
            async with stream:
                received.append(await drain(stream))
            done.set()

        async with serving(keep) as port:
            stream = await connect_tcp("127.0.0.1", port)
            await stream.send(LONG)
            await stream.aclose()
            await done.wait()
    assert received == [LONG]


@on_both
async def test_a_reset_breaks_the_stream(place: str) -> None:
    async with at(place):

        async def leave(stream: SocketStream) -> None:
            await stream.receive(1)  # and the rest stays unread
            raw = stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()

        async with serving(leave) as port, await connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"much")
            with pytest.raises(BrokenResourceError) as caught:
                await stream.receive()
            assert isinstance(caught.value.__cause__, ConnectionResetError)
            with pytest.raises(BrokenResourceError):
                await stream.send(b"more")


@on_both
async def test_a_closed_stream_says_so_to_who_uses_it_and_to_who_waits(place: str) -> None:
    async with at(place), serving(echo) as port:
        stream = await connect_tcp("127.0.0.1", port)
        seen: list[type[BaseException]] = []

        async def wait() -> None:
            with pytest.raises(ClosedResourceError) as caught:
                await stream.receive()
            seen.append(caught.type)

        async with create_task_group() as waiting:
            waiting.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(BusyResourceError):
                await stream.receive()
            await stream.aclose()
        assert seen == [ClosedResourceError]
        with pytest.raises(ClosedResourceError):
            await stream.send(b"x")


@on_both
async def test_a_stream_knows_its_addresses(place: str) -> None:
    async with at(place), serving(echo) as port, await connect_tcp("127.0.0.1", port) as stream:
        raw = stream.extra(SocketAttribute.raw_socket)
        assert stream.extra(SocketAttribute.family) == socket.AF_INET
        assert stream.extra(SocketAttribute.remote_address) == ("127.0.0.1", port) == raw.getpeername()
        assert stream.extra(SocketAttribute.local_address) == raw.getsockname()
        assert stream.extra(SocketAttribute.local_port) == raw.getsockname()[1]
        assert stream.extra(SocketAttribute.remote_port) == port


@on_both
async def test_nobody_listens(place: str) -> None:
    async with at(place):
        async with serving(echo) as port:
            pass
        with pytest.raises(OSError, match="All connection attempts failed") as caught:
            await connect_tcp("127.0.0.1", port)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)


@on_both
async def test_closing_a_listener_ends_the_wait_for_a_connection(place: str) -> None:
    async with at(place), create_task_group() as waiting:
        listener: Any = (await create_tcp_listener(local_host="127.0.0.1")).listeners[0]

        async def wait() -> None:
            with pytest.raises(ClosedResourceError):
                await listener.accept()

        waiting.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError):
            await listener.accept()
        await listener.aclose()
        await wait()


@on_both
async def test_a_stream_around_a_socket_of_the_programs_own(place: str) -> None:
    async with at(place), serving(echo) as port:
        sock = socket.socket()
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.connect(("127.0.0.1", port))
        await anyio.wait_writable(sock)
        async with await SocketStream.from_socket(sock) as stream:
            await stream.send(b"x")
            assert await stream.receive() == b"x"


# ---- TLS


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, with a certificate for "localhost", and that of a client who trusts it."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@on_both
async def test_tls_from_end_to_end(place: str) -> None:
    server_side, client_side = contexts()
    async with (
        at(place) as tasks,
        serving_tls(echo, server_side) as port,
        await connect_tcp("localhost", port, tls=True, ssl_context=client_side) as stream,
    ):
        assert stream.extra(TLSAttribute.tls_version) == "TLSv1.3"
        tasks.start_soon(stream.send, LONG)
        got = b""
        while len(got) < len(LONG):
            got += await stream.receive()
        assert got == LONG


@on_both
async def test_a_stream_turns_to_tls_on_its_way(place: str) -> None:
    server_side, client_side = contexts()

    async def upgrade(stream: SocketStream) -> None:
        assert await stream.receive() == b"STARTTLS"
        await stream.send(b"go")
        async with await TLSStream.wrap(stream, ssl_context=server_side) as secret:
            await secret.send(await secret.receive())

    async with at(place), serving(upgrade) as port:
        stream = await connect_tcp("127.0.0.1", port)
        await stream.send(b"STARTTLS")
        assert await stream.receive() == b"go"
        secret = await TLSStream.wrap(stream, hostname="localhost", ssl_context=client_side)
        async with secret:
            await secret.send(b"hush")
            assert await drain(secret) == b"hush"


@on_both
async def test_a_certificate_that_is_not_trusted(place: str) -> None:
    server_side, _ = contexts()
    async with at(place), serving_tls(echo, server_side) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect_tcp("localhost", port, tls=True)


# ---- datagrams


@on_both
async def test_datagrams_there_and_back(place: str) -> None:
    async with (
        at(place),
        await create_udp_socket(family=socket.AF_INET, local_host="127.0.0.1") as one,
        await create_connected_udp_socket("127.0.0.1", one.extra(SocketAttribute.local_port)) as other,
    ):
        await other.send(b"ping")
        data, address = await one.receive()
        assert (data, address) == (b"ping", other.extra(SocketAttribute.local_address))
        await one.sendto(b"pong", *address)
        assert await other.receive() == b"pong"
        assert other.extra(SocketAttribute.remote_address) == one.extra(SocketAttribute.local_address)


@on_both
async def test_a_closed_datagram_socket_ends_the_wait(place: str) -> None:
    async with at(place), create_task_group() as waiting:
        sock: UDPSocket = await create_udp_socket(family=socket.AF_INET, local_host="127.0.0.1")

        async def wait() -> None:
            with pytest.raises(ClosedResourceError):
                await sock.receive()

        waiting.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        await sock.aclose()
        with pytest.raises(ClosedResourceError):
            await sock.sendto(b"x", "127.0.0.1", 9)


# ---- what only a virtual network has


@everywhere
async def test_names_are_those_of_the_network() -> None:
    async with Network(seed=1) as net:
        web = net.host("web")
        infos = await anyio.getaddrinfo("web", 80, type=socket.SOCK_STREAM)
        assert [info[-1] for info in infos] == [(web.addresses[0], 80)]
        assert await anyio.getnameinfo((web.addresses[0], 80)) == ("web", "http")
        with pytest.raises(socket.gaierror):
            await anyio.getaddrinfo("nobody.example", 80)


@in_virtual_time
async def test_hosts_far_apart_over_a_bad_link() -> None:
    async with Network(seed=3) as net:
        web, client = net.host("web"), net.host("client")
        net.link(web, client, delay=0.020, loss=0.02, rate=20e6)

        async def serve() -> None:
            with patch():
                listener = await create_tcp_listener(local_port=80)
            async with listener:
                await listener.serve(echo)

        web.spawn(serve())
        await anyio.sleep(0)
        begun = seconds()
        async with client, await connect_tcp("web", 80) as stream, create_task_group() as tasks:
            tasks.start_soon(stream.send, LONG)
            got = b""
            while len(got) < len(LONG):
                got += await stream.receive()
            assert got == LONG
            assert stream.extra(SocketAttribute.remote_address) == (web.addresses[0], 80)
        assert seconds() - begun > 0.080


def test_anyio_runs_a_loop_of_ours_in_virtual_time() -> None:
    async def main() -> tuple[bytes, float]:
        async with at("network"), serving(echo) as port, await connect_tcp("localhost", port) as stream:
            await stream.send(b"x")
            await anyio.sleep(3600)
            return await stream.receive(), seconds()
        raise AssertionError

    options = {"loop_factory": lambda: EventLoop(time="virtual")}
    answer, time = anyio.run(main, backend_options=options)
    assert answer == b"x"
    assert time == pytest.approx(3600.0, abs=1.0)
