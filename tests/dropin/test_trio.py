"""trio programs that know nothing of a virtual network: the same on the kernel's loopback and on ours."""

from __future__ import annotations

import gc
import re
import socket
import ssl
import struct
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache, partial
from typing import Any

import pytest

pytest.importorskip("trio", reason="trio is not installed")
trustme = pytest.importorskip("trustme", reason="trustme is not installed")

import trio  # noqa: E402
import trio.testing  # noqa: E402

import aionetflow  # noqa: E402
import aionetflow.trio as on_trio  # noqa: E402
from aionetflow.trio.clock import TrioClock  # noqa: E402

LONG = bytes(range(256)) * 1200  # more than a pipe holds, less than a socket's buffers do
HERE = "127.0.0.1"
PATIENCE = 5.0  # s
CASES = ["virtual", "real", pytest.param("kernel", marks=pytest.mark.kernel)]
Test = Callable[..., Awaitable[None]]


def run(place: str, main: Callable[[], Awaitable[None]]) -> None:
    """Runs a test inside trio: on virtual time, which jumps when all tasks wait, or on the machine's."""

    async def limited() -> None:
        with trio.fail_after(PATIENCE if place != "virtual" else float("inf")):
            await main()

    trio.run(limited, clock=trio.testing.MockClock(autojump_threshold=0) if place == "virtual" else None)


def everywhere(test: Test) -> Callable[[str], None]:
    """A test on a network, in virtual and in real time, and on the kernel; it gets a nursery that ends with it."""

    async def inside(place: str) -> None:
        async with AsyncExitStack() as stack:
            if place != "kernel":
                await stack.enter_async_context(on_trio.Network(seed=1))
            nursery = await stack.enter_async_context(trio.open_nursery())
            await test(nursery)
            nursery.cancel_scope.cancel()

    def on_trio_in(place: str) -> None:
        run(place, partial(inside, place))

    marked: Callable[[str], None] = pytest.mark.parametrize("place", CASES)(on_trio_in)
    return marked


def in_virtual_time(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """A test that makes its own network."""

    def on_trio_in() -> None:
        run("virtual", test)

    return on_trio_in


@asynccontextmanager
async def pair() -> AsyncIterator[tuple[Any, Any]]:
    """A connection's two ends."""
    [listener] = await trio.open_tcp_listeners(0, host=HERE)
    client = await trio.testing.open_stream_to_socket_listener(listener)
    async with listener, client, await listener.accept() as server:
        yield client, server


async def echo(stream: Any) -> None:
    async with stream:
        async for data in stream:
            await stream.send_all(data)


async def drain(stream: Any) -> bytes:
    """All that comes until the end of the stream."""
    return b"".join([bytes(data) async for data in stream])


async def serve(nursery: Any, host: str | None = HERE) -> int:
    """A server that echoes; its port."""
    listeners = await nursery.start(partial(trio.serve_tcp, echo, 0, host=host))
    port: int = listeners[0].socket.getsockname()[1]
    return port


# ---- streams


@everywhere
async def test_what_is_sent_comes_back_and_ends_with_the_half_closed_stream(nursery: Any) -> None:
    port = await serve(nursery)
    async with await trio.open_tcp_stream("localhost", port) as stream:
        nursery.start_soon(stream.send_all, LONG)
        got = b""
        while len(got) < len(LONG):
            got += await stream.receive_some()
        assert got == LONG
        await stream.send_eof()
        await stream.send_eof()
        assert await stream.receive_some() == b""
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")


@everywhere
async def test_a_server_on_no_host_listens_in_both_families(nursery: Any) -> None:
    listeners = await trio.open_tcp_listeners(0)
    assert [listener.socket.family for listener in listeners] == [socket.AF_INET, socket.AF_INET6]
    for listener, host in zip(listeners, (HERE, "::1"), strict=True):
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        async with await trio.open_tcp_stream(host, listener.socket.getsockname()[1]) as stream:
            await stream.send_all(b"x")
            assert await stream.receive_some() == b"x"


@everywhere
async def test_what_was_sent_before_closing_arrives_whole(nursery: Any) -> None:
    async with pair() as (client, server):
        with trio.move_on_after(60):
            nursery.start_soon(client.send_all, LONG)
            await trio.testing.wait_all_tasks_blocked()
            received = bytearray()
            while len(received) < len(LONG) - 1:
                received += await server.receive_some(10_000)
        await client.aclose()
        assert received + await drain(server) == LONG


@everywhere
async def test_a_reset_breaks_the_stream(nursery: Any) -> None:
    async with pair() as (client, server):
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await server.aclose()
        with pytest.raises(trio.BrokenResourceError) as caught:
            await client.receive_some()
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(trio.BrokenResourceError):
            await client.send_all(b"x")


@everywhere
async def test_closing_tells_who_waits(nursery: Any) -> None:
    async def wait(call: Callable[[], Awaitable[object]]) -> None:
        with pytest.raises(trio.ClosedResourceError):
            await call()

    async with pair() as (client, _), trio.open_nursery() as waiting:
        [listener] = await trio.open_tcp_listeners(0, host=HERE)
        waiting.start_soon(wait, client.receive_some)
        waiting.start_soon(wait, listener.accept)
        await trio.testing.wait_all_tasks_blocked()
        await client.aclose()
        await listener.aclose()
        await wait(client.receive_some)
        await wait(listener.accept)
        await wait(partial(client.send_all, b"x"))
        await wait(partial(client.send_all, b""))


@everywhere
async def test_waiting_until_something_can_be_sent(nursery: Any) -> None:
    async with pair() as (client, server):
        await client.wait_send_all_might_not_block()
        full = False
        while not full:
            with trio.move_on_after(0.1) as patience:
                await client.socket.send(LONG)
            full = patience.cancelled_caught
        free = trio.Event()

        async def wait() -> None:
            await client.wait_send_all_might_not_block()
            free.set()

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert not free.is_set()
        with pytest.raises(trio.BusyResourceError):
            await client.send_all(b"x")
        while not free.is_set():
            await server.receive_some()


@everywhere
async def test_nobody_listens(nursery: Any) -> None:
    [listener] = await trio.open_tcp_listeners(0, host=HERE)
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(OSError, match="all attempts to connect") as caught:
        await trio.open_tcp_stream(HERE, port)
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert isinstance(group.exceptions[0], ConnectionRefusedError)
    text = rf"\[Errno 111\] Error connecting to \('{HERE}', {port}\): Connection refused"
    assert re.fullmatch(text, str(group.exceptions[0]))


@cache
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, with a certificate for "localhost", and that of a client who trusts it."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    return server, client


@everywhere
async def test_tls_from_end_to_end(nursery: Any) -> None:
    server_side, client_side = contexts()
    serve_tls = partial(trio.serve_ssl_over_tcp, echo, 0, server_side, host=HERE)
    [listener] = await nursery.start(serve_tls)
    port = listener.transport_listener.socket.getsockname()[1]
    async with await trio.open_ssl_over_tcp_stream("localhost", port, ssl_context=client_side) as stream:
        nursery.start_soon(stream.send_all, LONG)
        got = b""
        while len(got) < len(LONG):
            got += await stream.receive_some()
        assert got == LONG


# ---- sockets


@everywhere
async def test_datagrams_there_and_back(nursery: Any) -> None:
    with trio.socket.socket(type=socket.SOCK_DGRAM) as one, trio.socket.socket(type=socket.SOCK_DGRAM) as other:
        await one.bind(("localhost", 0))
        address = one.getsockname()
        assert address[0] == HERE
        assert await other.sendto(b"ping", ("localhost", address[1])) == 4
        assert await one.recvfrom(100) == (b"ping", (HERE, other.getsockname()[1]))
        await other.connect(address)
        assert await other.send(b"one") == 3
        assert await other.sendmsg([b"tw", b"o"]) == 3
        assert await one.sendmsg([b"th", b"ree"], [], 0, (HERE, other.getsockname()[1])) == 5
        assert await one.sendto(b"four", 0, other.getsockname()) == 4
        assert (await one.recvmsg(100))[0] == b"one"
        buffer = bytearray(8)
        assert (await one.recvmsg_into([buffer]))[0] == 3
        assert await other.recv_into(buffer) == 5
        assert (await other.recvfrom_into(buffer, nbytes=4))[0] == 4
        with pytest.raises(ValueError, match="negative buffersize"):
            await other.recv(-1)
        assert bytes(buffer[:5]) == b"foure"


@everywhere
async def test_a_refused_datagram_is_told_once(nursery: Any) -> None:
    with trio.socket.socket(type=socket.SOCK_DGRAM) as gone:
        await gone.bind((HERE, 0))
        address = gone.getsockname()
    with trio.socket.socket(type=socket.SOCK_DGRAM) as sock:
        await sock.connect(address)
        await sock.send(b"x")
        with pytest.raises(ConnectionRefusedError):
            await sock.recv(10)
        await sock.send(b"x")


@everywhere
async def test_a_socket_says_what_it_is(nursery: Any) -> None:
    async with pair() as (client, server):
        sock = client.socket
        assert isinstance(sock, trio.socket.SocketType)
        assert (sock.family, sock.type, sock.proto) in [
            (socket.AF_INET, socket.SOCK_STREAM, 0), (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        ]  # fmt: skip
        assert sock.getpeername() == server.socket.getsockname()
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert len(sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)) == 8
        sock.set_inheritable(False)
        assert not sock.get_inheritable()
        assert sock.fileno() >= 0
        assert not sock.is_readable()
        await server.send_all(b"x")
        with trio.move_on_after(1):
            await sock.recv(1, socket.MSG_PEEK)
        assert sock.is_readable()
        with sock.dup() as copy:
            assert await copy.recv(10) == b"x"
        assert not sock.did_shutdown_SHUT_WR
        sock.shutdown(socket.SHUT_WR)
        assert sock.did_shutdown_SHUT_WR
        assert await server.receive_some() == b""
        assert "socket" in repr(sock).lower()
        sock.close()
        assert sock.fileno() == -1
        with pytest.raises(OSError, match="Bad file descriptor"):
            sock.getsockname()


@everywhere
async def test_mistakes_with_addresses(nursery: Any) -> None:
    nothing: Any = None
    with trio.socket.socket() as sock, trio.socket.socket(socket.AF_INET6) as six:
        for address in (HERE, (HERE,), (HERE, 1, 2)):
            with pytest.raises(ValueError, match="address should be"):
                await sock.bind(address)
        with pytest.raises(ValueError, match="flowinfo"):
            await six.connect(("::1",))
        with pytest.raises(socket.gaierror):
            await sock.connect(("::1", 80))
        with pytest.raises(TypeError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, nothing)
        await sock.bind(("", 0))
        assert sock.getsockname()[0] == "0.0.0.0"
        await six.bind(("::1", 0, 0))
        assert six.getsockname()[0] == "::1"


@everywhere
async def test_an_ipv6_socket_reaches_ipv4_by_name(nursery: Any) -> None:
    port = await serve(nursery)
    with trio.socket.socket(socket.AF_INET6) as sock:
        await sock.connect((f"::ffff:{HERE}", port))
        assert sock.getpeername()[:2] == (f"::ffff:{HERE}", port)


@everywhere
async def test_unix_sockets_are_the_kernels(nursery: Any) -> None:
    await exchange()


# ---- a network's own


@in_virtual_time
async def test_hosts_far_apart_over_a_bad_link() -> None:
    begun = trio.current_time()
    async with on_trio.Network(seed=3) as net:
        server, client = net.host("server"), net.host("client")
        net.link(server, client, delay=0.020, loss=0.02, rate=20e6)
        net.start_soon(server, trio.serve_tcp, echo, 7)
        await trio.testing.wait_all_tasks_blocked()
        async with client, await trio.open_tcp_stream("server", 7) as stream:
            net.nursery.start_soon(stream.send_all, LONG)
            got = b""
            while len(got) < len(LONG):
                got += await stream.receive_some()
            assert got == LONG
            assert stream.socket.getpeername() == (server.addresses[0], 7)
        assert trio.current_time() - begun > 0.080


@in_virtual_time
async def test_names_are_those_of_the_network() -> None:
    async with on_trio.Network(seed=1) as net:
        web = net.host("web")
        infos = await trio.socket.getaddrinfo("web", "http", type=socket.SOCK_STREAM)
        assert [info[4] for info in infos] == [(web.addresses[0], 80), (web.addresses6[0], 80, 0, 0)]
        assert await trio.socket.getnameinfo((web.addresses[0], 80), 0) == ("web", "http")
        with pytest.raises(socket.gaierror):
            await trio.socket.getaddrinfo("nobody.example", 80)
        (six,) = await trio.socket.getaddrinfo("web", 80, socket.AF_INET6, socket.SOCK_STREAM, flags=socket.AI_V4MAPPED)
        assert six[4][0] == web.addresses6[0]


@in_virtual_time
async def test_a_cancelled_connect_closes_the_socket() -> None:
    async with on_trio.Network(seed=1) as net:
        client, far = net.host("client"), net.host("far")
        net.link(client, far, loss=1.0)
        async with client:
            sock = trio.socket.socket()
            with trio.move_on_after(2) as patience:
                await sock.connect(("far", 80))
            assert patience.cancelled_caught
            assert sock.fileno() == -1
            begun = trio.current_time()
            with pytest.raises(OSError, match="all attempts") as caught:
                await trio.open_tcp_stream("far", 80)
            assert isinstance(caught.value.__cause__, ExceptionGroup)
            assert trio.current_time() - begun < 300


@in_virtual_time
async def test_tasks_that_were_there_before_are_on_localhost() -> None:
    begin, sock = trio.Event(), None

    async def outside() -> None:
        nonlocal sock
        await begin.wait()
        sock = trio.socket.socket()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(outside)
        async with on_trio.Network(seed=1) as net, net.host("elsewhere"):
            begin.set()
            await trio.testing.wait_all_tasks_blocked()
            assert "on localhost" in repr(sock)
            with trio.socket.socket() as here:
                assert "on elsewhere" in repr(here)
            assert sock is not None
            sock.close()


@in_virtual_time
async def test_leaving_gives_trio_back_what_it_had() -> None:
    async with on_trio.Network(seed=1):
        async with on_trio.Network(seed=2) as inner:
            sock = trio.socket.socket()
            assert len(inner.sockets()) == 1
        assert inner.closed
        with pytest.raises(OSError, match="Bad file descriptor"):
            await sock.bind((HERE, 0))
        sock.close()
        with trio.socket.socket() as outer:
            assert isinstance(outer, on_trio.Socket)
    with trio.socket.socket() as kernels:
        assert not isinstance(kernels, on_trio.Socket)
    with pytest.raises(RuntimeError, match="ended"):
        await inner.__aenter__()


@in_virtual_time
async def test_an_exception_of_the_block_leaves_it_as_it_is() -> None:
    stopped = False

    async def wait() -> None:
        nonlocal stopped
        try:
            await trio.sleep_forever()
        finally:
            stopped = True

    async def block() -> None:
        async with on_trio.Network(seed=1) as net:
            net.start_soon(net.host("a"), wait)
            await trio.testing.wait_all_tasks_blocked()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await block()
    assert stopped


@in_virtual_time
async def test_an_exception_of_a_task_ends_the_block() -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    async def block() -> None:
        async with on_trio.Network(seed=1) as net:
            net.start_soon(net.localhost, fail)
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await block()
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError]


@in_virtual_time
async def test_a_network_may_be_cancelled_from_within_and_from_without() -> None:
    async with on_trio.Network(seed=1) as net:
        net.nursery.cancel_scope.cancel()
        await trio.sleep_forever()
    with trio.move_on_after(5) as scope:
        async with on_trio.Network(seed=1):
            await trio.sleep_forever()
    assert scope.cancelled_caught


@in_virtual_time
async def test_control_blocks_name_the_task() -> None:
    async with on_trio.Network(seed=1) as net:
        [listener] = await trio.open_tcp_listeners(80, host=HERE)
        [block] = net.sockets()
        assert block.owner.task.endswith("limited")
        await listener.aclose()


@in_virtual_time
async def test_a_thread_may_look_at_a_socket() -> None:
    async with on_trio.Network(seed=1):
        [listener] = await trio.open_tcp_listeners(80, host=HERE)
        async with listener:
            assert await trio.to_thread.run_sync(listener.socket.getsockname) == (HERE, 80)


@in_virtual_time
async def test_a_forgotten_socket_is_closed_with_a_warning() -> None:
    gc.collect()  # what others have forgotten
    async with on_trio.Network(seed=1) as net:
        sock = trio.socket.socket()
        assert len(net.sockets()) == 1
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del sock
            gc.collect()
        assert [warning.category for warning in caught] == [ResourceWarning]
        await trio.testing.wait_all_tasks_blocked()
        assert net.sockets() == []


@in_virtual_time
async def test_patched_sockets_are_on_the_host_too() -> None:
    async with on_trio.Network(seed=1) as net:
        with aionetflow.patch(), socket.create_server(("localhost", 80)) as server:
            assert server.getsockname() == (HERE, 80)
            assert [block.state for block in net.sockets()] == ["LISTEN"]
            with trio.socket.from_stdlib_socket(server.dup()) as copy:
                assert isinstance(copy, on_trio.Socket)
        with pytest.raises(TypeError):
            trio.socket.from_stdlib_socket(server)


@in_virtual_time
async def test_patched_or_not_sockets_of_the_kernel_stay_what_they_are() -> None:
    async with on_trio.Network(seed=1):
        with aionetflow.patch():
            await exchange()
        await exchange()


async def exchange() -> None:
    one, other = trio.socket.socketpair()
    with one, other, trio.socket.socket(socket.AF_UNIX) as third:
        await one.send(b"x")
        assert await other.recv(1) == b"x"
        assert not isinstance(third, on_trio.Socket)


# ---- anyio on trio


def test_anyio_programs_run_on_trio() -> None:
    anyio = pytest.importorskip("anyio", reason="anyio is not installed")

    async def main() -> None:
        async with on_trio.Network(seed=1) as net, net.host("web"):
            with aionetflow.patch():
                listener = await anyio.create_tcp_listener()
            async with listener, anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, anyio_echo)
                port = listener.extra(anyio.abc.SocketAttribute.local_port)
                async with net.host("client"), await anyio.connect_tcp("web", port) as stream:
                    await stream.send(b"x")
                    assert await stream.receive() == b"x"
                async with (
                    await anyio.create_udp_socket(local_host="localhost") as one,
                    await anyio.create_connected_udp_socket(*one.extra(anyio.abc.SocketAttribute.local_address)) as two,
                ):
                    await two.send(b"y")
                    assert (await one.receive())[0] == b"y"
                tasks.cancel_scope.cancel()

    async def anyio_echo(stream: Any) -> None:
        async with stream:
            async for data in stream:
                await stream.send(data)

    run("virtual", main)


def test_native_anyio_sockets_work_on_trio() -> None:
    anyio = pytest.importorskip("anyio", reason="anyio is not installed")
    native = pytest.importorskip("aionetflow.anyio")

    async def main() -> None:
        async with on_trio.Network(seed=1) as net, anyio.create_task_group() as tasks:
            web, client = net.host("web"), net.host("client")

            async def reply(stream: Any) -> None:
                async with stream:
                    await stream.send((await stream.receive()).upper())

            async with web:
                listener = await native.create_tcp_listener(local_port=80)
            tasks.start_soon(listener.serve, reply)
            async with client:
                for connect in (native.connect_tcp, anyio.connect_tcp):
                    async with await connect("web", 80) as stream:
                        await stream.send(b"hello")
                        assert await stream.receive() == b"HELLO"
                        with pytest.raises(anyio.EndOfStream):
                            await stream.receive()
                stream = await native.connect_tcp("web", 80)
                async with anyio.create_task_group() as waiting:

                    async def wait() -> None:
                        with pytest.raises(anyio.ClosedResourceError):
                            await stream.receive()

                    waiting.start_soon(wait)
                    await anyio.wait_all_tasks_blocked()
                    await stream.aclose()
            tasks.cancel_scope.cancel()
            await listener.aclose()

    run("virtual", main)


# ---- the clock


def test_there_is_no_clock_outside_trio() -> None:
    with pytest.raises(RuntimeError):
        TrioClock()
    with pytest.raises(RuntimeError):
        on_trio.Network()


@in_virtual_time
async def test_timers_run_when_due_and_in_order() -> None:
    clock = TrioClock()
    begun, seen = clock.now(), []

    def note(name: str) -> None:
        seen.append((name, clock.now() - begun))

    async with trio.open_nursery() as nursery:
        clock.call_at(begun + 5_000_000_000, partial(note, "late"))
        nursery.start_soon(clock.run)
        await trio.sleep(1)
        clock.call_at(begun + 2_000_000_000, partial(note, "earlier"))
        clock.call_at(begun + 2_000_000_000, partial(note, "same"))
        clock.call_soon(partial(note, "soon"))
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert seen == [("soon", 10**9), ("earlier", 2 * 10**9), ("same", 2 * 10**9), ("late", 5 * 10**9)]
    clock.close()
    end = clock.now()
    await trio.sleep(1)
    assert clock.now() == end


@in_virtual_time
async def test_a_deadline_between_two_floats_is_met() -> None:
    await trio.sleep_until(4_000_000_000)  # s; after a century a float of seconds counts in 476 ns
    clock, done = TrioClock(), trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        clock.call_at(clock.now() + 100, done.set)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        assert done.is_set()
        nursery.cancel_scope.cancel()


@in_virtual_time
async def test_a_storm_of_timers_lets_other_tasks_have_their_turn() -> None:
    clock, turns = TrioClock(), 0

    def again() -> None:
        clock.call_soon(again)

    async with trio.open_nursery() as nursery:
        clock.call_soon(again)
        nursery.start_soon(clock.run)
        for _ in range(10):
            await trio.lowlevel.checkpoint()
            turns += 1
        nursery.cancel_scope.cancel()
    assert turns == 10


def test_in_real_time_a_link_takes_its_time() -> None:
    async def main() -> None:
        begun = trio.current_time()
        async with on_trio.Network(seed=1) as net:
            a, b = net.host("a"), net.host("b")
            net.link(a, b, delay=0.010)
            async with b:
                await net.nursery.start(trio.serve_tcp, echo, 7)
            async with a, await trio.open_tcp_stream("b", 7) as stream:
                await stream.send_all(b"x")
                await stream.receive_some()
        assert 0.040 <= trio.current_time() - begun < 2.0

    run("real", main)
