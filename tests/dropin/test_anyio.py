"""anyio programs: on a virtual network that they know nothing of, on its native sockets, and on the kernel's."""

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
    create_task_group,
)
from anyio.abc import SocketAttribute, SocketStream, TaskGroup, UDPSocket  # noqa: E402
from anyio.streams.tls import TLSAttribute, TLSListener, TLSStream  # noqa: E402

import aionetflow.anyio as native  # noqa: E402

LONG = bytes(range(256)) * 1200  # more than a pipe holds, less than a socket's buffers do
Handler = Callable[[Any], Coroutine[Any, Any, None]]


class Place:
    """Where a program runs, and where it has its sockets from: `api` is anyio, or our module of the same functions."""

    def __init__(self, name: str, api: Any, virtual: bool) -> None:
        self.name = name
        self.api = api
        self._virtual = virtual

    @asynccontextmanager
    async def entered(self) -> AsyncIterator[TaskGroup]:
        """In this place; gives a task group that ends with it."""
        async with AsyncExitStack() as stack:
            if self._virtual:
                await stack.enter_async_context(Network(seed=1))
            if self is NETWORK:
                stack.enter_context(patch())
            tasks = await stack.enter_async_context(create_task_group())
            yield tasks
            tasks.cancel_scope.cancel()


NETWORK = Place("network", anyio, True)
NATIVE = Place("native", native, True)
KERNEL = Place("kernel", anyio, False)
EVERYWHERE = [*((place, kind) for place in (NETWORK, NATIVE) for kind in LOOPS), (KERNEL, "asyncio")]


def case(place: Place, kind: str) -> Any:
    marks = [pytest.mark.kernel] if place is KERNEL else []
    return pytest.param(place, kind, id=f"{place.name}-{kind}", marks=marks)


def program(*places: Place) -> Callable[[Callable[[Place], Coroutine[Any, Any, None]]], Callable[[Place, str], None]]:
    """A test in these places, on each kind of loop; but with the kernel's sockets on stock asyncio's."""
    cases = [case(place, kind) for place, kind in EVERYWHERE if place in places]

    def decorate(test: Callable[[Place], Coroutine[Any, Any, None]]) -> Callable[[Place, str], None]:
        def on_loop(place: Place, loop_kind: str) -> None:
            run(loop_kind, partial(test, place))

        marked: Callable[[Place, str], None] = pytest.mark.parametrize(("place", "loop_kind"), cases)(on_loop)
        return marked

    return decorate


@asynccontextmanager
async def serving(place: Place, handler: Handler, host: str | None = "127.0.0.1") -> AsyncIterator[int]:
    """A server; its port."""
    async with await place.api.create_tcp_listener(local_host=host) as listener, create_task_group() as serving:
        serving.start_soon(listener.serve, handler)
        yield listener.extra(SocketAttribute.local_port)
        serving.cancel_scope.cancel()


@asynccontextmanager
async def serving_tls(place: Place, handler: Handler, context: ssl.SSLContext) -> AsyncIterator[int]:
    """A server that speaks TLS; its port."""
    listener = await place.api.create_tcp_listener(local_host="127.0.0.1")
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


@program(NETWORK, NATIVE, KERNEL)
async def test_what_is_sent_comes_back_and_ends_with_the_half_closed_stream(place: Place) -> None:
    async with (
        place.entered() as tasks,
        serving(place, echo) as port,
        await place.api.connect_tcp("localhost", port) as stream,
    ):
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


@program(NETWORK, NATIVE, KERNEL)
async def test_a_listener_without_a_host_takes_connections_of_both_families(place: Place) -> None:
    async with place.entered(), serving(place, echo, host=None) as port:
        for host in ("127.0.0.1", "::1", "localhost"):
            async with await place.api.connect_tcp(host, port) as stream:
                await stream.send(b"x")
                assert await stream.receive() == b"x"


@program(NETWORK, NATIVE, KERNEL)
async def test_what_was_sent_before_closing_arrives_whole(place: Place) -> None:
    received: list[bytes] = []

    async with place.entered():
        done = anyio.Event()

        async def keep(stream: SocketStream) -> None:
            async with stream:
                received.append(await drain(stream))
            done.set()

        async with serving(place, keep) as port:
            stream = await place.api.connect_tcp("127.0.0.1", port)
            await stream.send(LONG)
            await stream.aclose()
            await done.wait()
    assert received == [LONG]


@program(NETWORK, NATIVE, KERNEL)
async def test_a_reset_breaks_the_stream(place: Place) -> None:
    async with place.entered():

        async def leave(stream: SocketStream) -> None:
            await stream.receive(1)  # and the rest stays unread
            raw = stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()

        async with serving(place, leave) as port, await place.api.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"much")
            with pytest.raises(BrokenResourceError) as caught:
                await stream.receive()
            assert isinstance(caught.value.__cause__, ConnectionResetError)
            with pytest.raises(BrokenResourceError):
                await stream.send(b"more")


@program(NETWORK, NATIVE, KERNEL)
async def test_a_closed_stream_says_so_to_who_uses_it_and_to_who_waits(place: Place) -> None:
    async with place.entered(), serving(place, echo) as port:
        stream = await place.api.connect_tcp("127.0.0.1", port)
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


@program(NETWORK, NATIVE, KERNEL)
async def test_a_stream_knows_its_addresses(place: Place) -> None:
    async with (
        place.entered(),
        serving(place, echo) as port,
        await place.api.connect_tcp("127.0.0.1", port) as stream,
    ):
        raw = stream.extra(SocketAttribute.raw_socket)
        assert stream.extra(SocketAttribute.family) == socket.AF_INET
        assert stream.extra(SocketAttribute.remote_address) == ("127.0.0.1", port) == raw.getpeername()
        assert stream.extra(SocketAttribute.local_address) == raw.getsockname()
        assert stream.extra(SocketAttribute.local_port) == raw.getsockname()[1]
        assert stream.extra(SocketAttribute.remote_port) == port


@program(NETWORK, NATIVE, KERNEL)
async def test_nobody_listens(place: Place) -> None:
    async with place.entered():
        async with serving(place, echo) as port:
            pass
        with pytest.raises(OSError, match="All connection attempts failed") as caught:
            await place.api.connect_tcp("127.0.0.1", port)
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)


@program(NETWORK, NATIVE, KERNEL)
async def test_closing_a_listener_ends_the_wait_for_a_connection(place: Place) -> None:
    async with place.entered(), create_task_group() as waiting:
        listener: Any = (await place.api.create_tcp_listener(local_host="127.0.0.1")).listeners[0]

        async def wait() -> None:
            with pytest.raises(ClosedResourceError):
                await listener.accept()

        waiting.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(BusyResourceError):
            await listener.accept()
        await listener.aclose()
        await wait()


@program(NETWORK, KERNEL)
async def test_a_stream_around_a_socket_of_the_programs_own(place: Place) -> None:
    async with place.entered(), serving(place, echo) as port:
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


@program(NETWORK, NATIVE, KERNEL)
async def test_tls_from_end_to_end(place: Place) -> None:
    server_side, client_side = contexts()
    async with (
        place.entered() as tasks,
        serving_tls(place, echo, server_side) as port,
        await place.api.connect_tcp("localhost", port, tls=True, ssl_context=client_side) as stream,
    ):
        assert stream.extra(TLSAttribute.tls_version) == "TLSv1.3"
        tasks.start_soon(stream.send, LONG)
        got = b""
        while len(got) < len(LONG):
            got += await stream.receive()
        assert got == LONG


@program(NETWORK, NATIVE, KERNEL)
async def test_a_stream_turns_to_tls_on_its_way(place: Place) -> None:
    server_side, client_side = contexts()

    async def upgrade(stream: SocketStream) -> None:
        assert await stream.receive() == b"STARTTLS"
        await stream.send(b"go")
        async with await TLSStream.wrap(stream, ssl_context=server_side) as secret:
            await secret.send(await secret.receive())

    async with place.entered(), serving(place, upgrade) as port:
        stream = await place.api.connect_tcp("127.0.0.1", port)
        await stream.send(b"STARTTLS")
        assert await stream.receive() == b"go"
        secret = await TLSStream.wrap(stream, hostname="localhost", ssl_context=client_side)
        async with secret:
            await secret.send(b"hush")
            assert await drain(secret) == b"hush"


@program(NETWORK, NATIVE, KERNEL)
async def test_a_certificate_that_is_not_trusted(place: Place) -> None:
    server_side, _ = contexts()
    async with place.entered(), serving_tls(place, echo, server_side) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await place.api.connect_tcp("localhost", port, tls=True)


# ---- datagrams


@program(NETWORK, NATIVE, KERNEL)
async def test_datagrams_there_and_back(place: Place) -> None:
    async with (
        place.entered(),
        await place.api.create_udp_socket(family=socket.AF_INET, local_host="127.0.0.1") as one,
        await place.api.create_connected_udp_socket("127.0.0.1", one.extra(SocketAttribute.local_port)) as other,
    ):
        await other.send(b"ping")
        data, address = await one.receive()
        assert (data, address) == (b"ping", other.extra(SocketAttribute.local_address))
        await one.sendto(b"pong", *address)
        assert await other.receive() == b"pong"
        assert other.extra(SocketAttribute.remote_address) == one.extra(SocketAttribute.local_address)


@program(NETWORK, NATIVE, KERNEL)
async def test_a_closed_datagram_socket_ends_the_wait(place: Place) -> None:
    async with place.entered(), create_task_group() as waiting:
        sock: UDPSocket = await place.api.create_udp_socket(family=socket.AF_INET, local_host="127.0.0.1")

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
        assert [info[-1] for info in infos] == [(web.addresses[0], 80), (web.addresses6[0], 80)]
        assert await anyio.getnameinfo((web.addresses[0], 80)) == ("web", "http")
        with pytest.raises(socket.gaierror):
            await anyio.getaddrinfo("nobody.example", 80)


@pytest.mark.parametrize("place", [NETWORK, NATIVE], ids=["network", "native"])
@in_virtual_time
async def test_hosts_far_apart_over_a_bad_link(place: Place) -> None:
    async with Network(seed=3) as net:
        web, client = net.host("web"), net.host("client")
        net.link(web, client, delay=0.020, loss=0.02, rate=20e6)
        async with web:
            with patch():
                listener = await place.api.create_tcp_listener(local_port=80)
            serving = web.spawn(listener.serve(echo))
        begun = seconds()
        async with client, await place.api.connect_tcp("web", 80) as stream, create_task_group() as tasks:
            tasks.start_soon(stream.send, LONG)
            got = b""
            while len(got) < len(LONG):
                got += await stream.receive()
            assert got == LONG
            address = web.addresses6[0] if place is NETWORK else web.addresses[0]  # anyio's own functions prefer IPv6
            assert stream.extra(SocketAttribute.remote_address) == (address, 80)
        assert seconds() - begun > 0.080
        serving.cancel()
        await listener.aclose()


def test_anyio_runs_a_loop_of_ours_in_virtual_time() -> None:
    async def main() -> tuple[bytes, float]:
        async with (
            NETWORK.entered(),
            serving(NETWORK, echo) as port,
            await anyio.connect_tcp("localhost", port) as stream,
        ):
            await stream.send(b"x")
            await anyio.sleep(3600)
            return await stream.receive(), seconds()
        raise AssertionError

    options = {"loop_factory": lambda: EventLoop(time="virtual")}
    answer, time = anyio.run(main, backend_options=options)
    assert answer == b"x"
    assert time == pytest.approx(3600.0, abs=1.0)


# ---- what native sockets promise where anyio's backends differ


@program(NATIVE)
async def test_a_stream_that_has_ended_sends_no_more_and_one_that_broke_stays_broken(place: Place) -> None:
    async with (
        place.entered(),
        serving(place, echo) as port,
        await place.api.connect_tcp("127.0.0.1", port) as stream,
    ):
        with pytest.raises(ValueError, match="positive"):
            await stream.receive(0)
        await stream.send_eof()
        await stream.send_eof()
        with pytest.raises(ClosedResourceError):
            await stream.send(b"x")
    async with place.entered() as tasks:

        async def reset(stream: SocketStream) -> None:
            raw = stream.extra(SocketAttribute.raw_socket)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await stream.aclose()

        async with serving(place, reset) as port, await place.api.connect_tcp("127.0.0.1", port) as stream:
            for _ in range(2):
                with pytest.raises(BrokenResourceError) as caught:
                    await stream.receive()
                assert isinstance(caught.value.__cause__, ConnectionResetError)
            await stream.send_eof()
        tasks.cancel_scope.cancel()


@program(NATIVE)
async def test_a_cancelled_receive_takes_nothing(place: Place) -> None:
    async with place.entered(), serving(place, echo) as port, await place.api.connect_tcp("127.0.0.1", port) as stream:
        with anyio.move_on_after(0.001) as scope:
            await stream.receive()
        assert scope.cancelled_caught
        await stream.send(b"whole")
        with anyio.CancelScope() as scope:
            scope.cancel()
            await stream.receive()
        assert await stream.receive() == b"whole"


@program(NATIVE)
async def test_a_datagram_that_nobody_took_is_told_and_the_socket_goes_on(place: Place) -> None:
    async with place.entered():
        async with await place.api.create_udp_socket(local_host="localhost") as gone:
            address = gone.extra(SocketAttribute.local_address)
        async with await place.api.create_connected_udp_socket(*address) as sock:
            await sock.send(b"x")
            with pytest.raises(BrokenResourceError) as caught:
                await sock.receive()
            assert isinstance(caught.value.__cause__, ConnectionRefusedError)
            async with await place.api.create_udp_socket(local_host=address[0], local_port=address[1]) as back:
                await sock.send(b"y")
                assert (await back.receive())[0] == b"y"
        with pytest.raises(ValueError, match="must be given"):
            await place.api.create_udp_socket()


@program(NATIVE)
async def test_datagrams_to_names(place: Place) -> None:
    async with Network(seed=1) as net:
        server = net.host("server")
        async with server, await place.api.create_udp_socket(family=socket.AF_INET, local_port=53) as sock:
            async with net.host("client"):
                async with await place.api.create_udp_socket(family=socket.AF_INET) as client:
                    await client.sendto(b"who", "server", 53)
                    with pytest.raises(socket.gaierror):
                        await client.sendto(b"who", "nobody", 53)
                async with await place.api.create_connected_udp_socket("server", 53, local_port=1053) as client:
                    await client.send(b"me")
            assert (await sock.receive())[0] == b"who"
            assert (await sock.receive())[1][1] == 1053


@program(NATIVE)
async def test_a_name_of_two_families_is_listened_on_with_one_port(place: Place) -> None:
    async with place.entered(), await place.api.create_tcp_listener(local_host="localhost") as listener:
        ports = {inner.extra(SocketAttribute.local_port) for inner in listener.listeners}
        assert len(listener.listeners) == 2
        assert len(ports) == 1
        with pytest.raises(OSError, match="in use"):
            await place.api.create_tcp_listener(local_host="localhost", local_port=ports.pop())


@program(NATIVE)
async def test_a_stream_is_bound_to_the_address_that_is_asked_for(place: Place) -> None:
    async with place.entered(), serving(place, echo) as port:
        connecting = place.api.connect_tcp("localhost", port, local_host="127.0.0.9", local_port=5000)
        async with await connecting as stream:
            assert stream.extra(SocketAttribute.local_address) == ("127.0.0.9", 5000)


@program(NATIVE)
async def test_of_two_addresses_the_one_that_answers_is_taken(place: Place) -> None:
    async with Network(seed=1) as net:
        web, client = net.host("web"), net.host("client")
        dead = net.link(web, client)
        net.link(web, client)
        async with web, serving(place, echo, host="0.0.0.0") as port:
            dead.loss = 1.0
            async with client, await place.api.connect_tcp("web", port, happy_eyeballs_delay=0.01) as stream:
                assert stream.extra(SocketAttribute.remote_address) == (web.addresses[1], port)


@program(NATIVE)
async def test_the_end_of_the_network_breaks_what_is_open(place: Place) -> None:
    async with Network(seed=1):
        listener = await place.api.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(SocketAttribute.local_port)
        stream = await place.api.connect_tcp("127.0.0.1", port)
    with pytest.raises(BrokenResourceError):
        await stream.send_eof()
    with pytest.raises(BrokenResourceError):
        await stream.receive()
    await stream.aclose()
    await listener.aclose()


@program(NATIVE)
async def test_a_port_that_is_taken_in_one_family_is_passed_over(place: Place) -> None:
    async with place.entered(), await place.api.create_tcp_listener(local_host="localhost") as listener:
        drawn = listener.extra(SocketAttribute.local_port)
    async with (  # the same seed draws the same port
        place.entered(),
        await place.api.create_tcp_listener(local_host="127.0.0.1", local_port=drawn),
        await place.api.create_tcp_listener(local_host="localhost") as listener,
    ):
        ports = {inner.extra(SocketAttribute.local_port) for inner in listener.listeners}
        assert len(ports) == 1
        assert drawn not in ports


@program(NATIVE)
async def test_sockets_may_share_a_port(place: Place) -> None:
    shared = {"local_host": "127.0.0.1", "local_port": 80, "reuse_port": True}
    async with (
        place.entered(),
        await place.api.create_tcp_listener(**shared),
        await place.api.create_tcp_listener(**shared),
        await place.api.create_udp_socket(**shared),
        await place.api.create_connected_udp_socket("127.0.0.1", 9, **shared) as sock,
    ):
        assert sock.extra(SocketAttribute.local_address) == ("127.0.0.1", 80)
        with pytest.raises(OSError, match="in use"):
            await place.api.create_udp_socket(local_host="127.0.0.1", local_port=80)


@program(NATIVE)
async def test_each_address_that_did_not_answer_is_told(place: Place) -> None:
    async with place.entered():
        with pytest.raises(OSError, match="All connection attempts failed") as caught:
            await place.api.connect_tcp("localhost", 80)
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert [type(error) for error in group.exceptions] == [ConnectionRefusedError, ConnectionRefusedError]


@program(NATIVE)
async def test_tls_that_fails_closes_the_stream(place: Place) -> None:
    async with Network(seed=1) as net, serving(place, echo) as port:
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError):  # the echo of a ClientHello is no answer to it
            await place.api.connect_tcp("127.0.0.1", port, ssl_context=context)
        await anyio.sleep(0.1)
        assert [block.state for block in net.sockets() if block.fd >= 0] == ["LISTEN"]
