"""Each call works as a method, and as a function of a socket or of its descriptor on the current host."""

from __future__ import annotations

import errno
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aionetflow as anf
from aionetflow import Network, Socket
from support.loops import everywhere, on_foreign_loops
from support.talk import connected, datagram, listening

CALLS = [
    "bind", "listen", "accept", "connect", "write", "read", "sendto", "recvfrom", "shutdown", "close", "getsockopt",
    "setsockopt", "getsockname", "getpeername",
]  # fmt: skip
Call = Callable[..., Awaitable[Any]]


def as_method(sock: Socket, name: str) -> Call:
    method: Call = getattr(sock, name)
    return method


def as_function(sock: Socket, name: str) -> Call:
    function: Call = getattr(anf, name)
    return lambda *arguments: function(sock, *arguments)


def by_descriptor(sock: Socket, name: str) -> Call:
    function: Call = getattr(anf, name)
    return lambda *arguments: function(sock.fileno(), *arguments)


STYLES = pytest.mark.parametrize("call", [as_method, as_function, by_descriptor])


@pytest.mark.parametrize("name", CALLS)
def test_function_and_method_have_the_same_arguments(name: str) -> None:
    method = inspect.signature(getattr(Socket, name), eval_str=True)
    function = inspect.signature(getattr(anf, name), eval_str=True)
    assert list(method.parameters.values())[1:] == list(function.parameters.values())[1:]
    assert method.return_annotation == function.return_annotation
    assert inspect.iscoroutinefunction(getattr(anf, name))
    assert inspect.iscoroutinefunction(getattr(Socket, name))


@STYLES
@everywhere
async def test_a_whole_conversation(call: Callable[[Socket, str], Call]) -> None:
    async with Network(seed=1), await anf.socket() as listener, await anf.socket() as client:
        await call(listener, "setsockopt")(anf.SOL_SOCKET, anf.SO_REUSEADDR, 1)
        assert await call(listener, "getsockopt")(anf.SOL_SOCKET, anf.SO_REUSEADDR) == 1
        assert await call(listener, "getsockopt")(anf.SOL_SOCKET, anf.SO_REUSEADDR, 4) == b"\1\0\0\0"
        await call(listener, "bind")(("localhost", 80))
        await call(listener, "listen")(5)
        await call(client, "connect")(("localhost", 80))
        server, address = await call(listener, "accept")()
        assert address == await call(client, "getsockname")() == await call(server, "getpeername")()
        assert await call(client, "getpeername")() == ("127.0.0.1", 80)
        await call(client, "write")(b"question")
        assert await call(server, "read")(100) == b"question"
        await call(client, "shutdown")(anf.SHUT_WR)
        assert await call(server, "read")(100) == b""
        await call(server, "write")(b"answer")
        await call(server, "close")()
        assert await call(client, "read")(3) == b"ans"
        assert await call(client, "read")(100) == b"wer"
        assert await call(client, "read")(100) == b""


@STYLES
@everywhere
async def test_a_datagram_each_way(call: Callable[[Socket, str], Call]) -> None:
    async with Network(seed=1) as net, await datagram(net.localhost) as a, await datagram(net.localhost) as b:
        await call(b, "bind")(("localhost", 53))
        await call(a, "sendto")(b"question", ("localhost", 53))
        data, address = await call(b, "recvfrom")(100)
        assert data == b"question"
        await call(b, "sendto")(b"answer", address)
        assert await call(a, "recvfrom")(100) == (b"answer", ("127.0.0.1", 53))


NEEDED: dict[str, tuple[Any, ...]] = {
    "bind": (("", 80),), "connect": (("localhost", 80),), "write": (b"x",), "read": (1,),
    "sendto": (b"x", ("localhost", 80)), "recvfrom": (1,), "shutdown": (anf.SHUT_WR,),
    "getsockopt": (anf.SOL_SOCKET, anf.SO_TYPE), "setsockopt": (anf.SOL_SOCKET, anf.SO_REUSEADDR, 1),
}  # fmt: skip


@pytest.mark.parametrize("descriptor", [-1, 99])
@pytest.mark.parametrize("name", CALLS)
@everywhere
async def test_a_descriptor_that_nobody_has_is_ebadf(name: str, descriptor: int) -> None:
    async with Network(seed=1), await anf.socket() as sock:
        assert sock.fileno() == 3
        with pytest.raises(OSError) as failure:
            await getattr(anf, name)(descriptor, *NEEDED.get(name, ()))
        assert failure.value.errno == errno.EBADF


@pytest.mark.parametrize("kind", [anf.SOCK_STREAM, anf.SOCK_DGRAM])
@pytest.mark.parametrize("name", [name for name in CALLS if name != "close"])
@everywhere
async def test_a_closed_socket_is_ebadf(name: str, kind: int) -> None:
    streams = name in ("listen", "accept")
    datagrams = name in ("sendto", "recvfrom")
    if (streams and kind == anf.SOCK_DGRAM) or (datagrams and kind == anf.SOCK_STREAM):
        return  # EOPNOTSUPP or EBADF: either is true
    async with Network(seed=1):
        sock = await anf.socket(type=kind)
        await sock.close()
        with pytest.raises(OSError) as failure:
            await getattr(sock, name)(*NEEDED.get(name, ()))
        assert failure.value.errno == errno.EBADF


@everywhere
async def test_closing_twice_does_nothing_and_the_descriptor_is_given_out_again() -> None:
    async with Network(seed=1):
        first = await anf.socket()
        second = await anf.socket()
        assert (first.fileno(), second.fileno()) == (3, 4)
        await first.close()
        third = await anf.socket(type=anf.SOCK_DGRAM)
        assert (first.fileno(), third.fileno()) == (-1, 3)
        await first.close()
        assert await anf.getsockopt(3, anf.SOL_SOCKET, anf.SO_TYPE) == anf.SOCK_DGRAM
        await second.close()
        await third.close()


@everywhere
async def test_a_descriptor_belongs_to_the_host_it_was_made_on() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        async with a:
            on_a = await anf.socket()
            await anf.bind(on_a.fileno(), ("", 1000))
            assert on_a.host is a
        async with b:
            with pytest.raises(OSError) as failure:
                await anf.getsockname(on_a.fileno())
            assert failure.value.errno == errno.EBADF
            on_b = await anf.socket()
            assert on_b.fileno() == on_a.fileno()
            assert (await anf.getsockname(on_b.fileno()))[1] == 0
            assert (await anf.getsockname(on_a))[1] == 1000  # a socket itself works from everywhere
        await on_a.close()
        await on_b.close()


@everywhere
async def test_descriptors_of_two_networks_do_not_mix() -> None:
    async with Network(seed=1):
        outer = await anf.socket()
        await outer.bind(("", 1000))
        async with Network(seed=1):
            with pytest.raises(OSError) as failure:
                await anf.getsockname(3)
            assert failure.value.errno == errno.EBADF
        assert await anf.getsockname(3) == ("0.0.0.0", 1000)
        await outer.close()


@on_foreign_loops
async def test_outside_a_network_there_is_no_socket() -> None:
    for call in (anf.socket(), anf.read(3, 1)):
        with pytest.raises(RuntimeError, match="no network here"):
            await call


@pytest.mark.parametrize(
    ("family", "kind", "expected"),
    [(1, anf.SOCK_STREAM, errno.EAFNOSUPPORT), (anf.AF_INET, 3, errno.EPROTONOSUPPORT), (99, 99, errno.EAFNOSUPPORT)],
)
@everywhere
async def test_what_is_not_there_cannot_be_made(family: int, kind: int, expected: int) -> None:
    async with Network(seed=1) as net:
        with pytest.raises(OSError) as failure:
            await anf.socket(family, kind)
        assert failure.value.errno == expected
        assert net.sockets() == []


@everywhere
async def test_a_socket_tells_what_it_is() -> None:
    async with Network(seed=1) as net:
        async with await anf.socket() as sock:
            assert (sock.family, sock.type, sock.host, sock.written) == (anf.AF_INET, anf.SOCK_STREAM, net.localhost, 0)
            assert await sock.getsockopt(anf.SOL_SOCKET, anf.SO_DOMAIN) == anf.AF_INET
            assert await sock.getsockopt(anf.SOL_SOCKET, anf.SO_PROTOCOL) == anf.IPPROTO_TCP
        async with await anf.socket(type=anf.SOCK_DGRAM) as sock:
            assert await sock.getsockopt(anf.SOL_SOCKET, anf.SO_PROTOCOL) == anf.IPPROTO_UDP


@everywhere
async def test_accepted_sockets_have_the_listeners_options() -> None:
    async with Network(seed=1) as net:
        options = [(anf.IPPROTO_TCP, anf.TCP_NODELAY, 1), (anf.IPPROTO_IP, anf.IP_TTL, 9)]
        client, server = await connected(net.host("a"), net.host("b"), server_options=options)
        async with client, server:
            for level, name, value in options:
                assert await server.getsockopt(level, name) == value
            assert await client.getsockopt(anf.IPPROTO_TCP, anf.TCP_NODELAY) == 0


@everywhere
async def test_leaving_async_with_closes_the_socket_also_after_an_exception() -> None:
    async with Network(seed=1) as net:
        sock = await listening(net.localhost)
        with pytest.raises(KeyError):
            async with sock:
                raise KeyError
        assert sock.fileno() == -1
        assert net.sockets() == []
