"""Each failure is the right OSError, and a call that fails has changed nothing."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

import aionetflow as anf
from aionetflow import Network, Socket
from support.loops import everywhere, in_virtual_time, seconds, turns
from support.talk import block_of, connected, datagram, listening, stream

OPTIONS = [
    (anf.SOL_SOCKET, anf.SO_REUSEADDR), (anf.SOL_SOCKET, anf.SO_SNDBUF), (anf.SOL_SOCKET, anf.SO_RCVBUF),
    (anf.SOL_SOCKET, anf.SO_BROADCAST), (anf.IPPROTO_IP, anf.IP_TTL), (anf.IPPROTO_IP, anf.IP_TOS),
]  # fmt: skip


async def everything_about(net: Network, sock: Socket) -> list[object]:
    told: list[object] = [block_of(net, sock), len(net.sockets()), await sock.getsockname()]
    told += [await sock.getsockopt(level, name) for level, name in OPTIONS]
    return [*told, await sock.getsockopt(anf.SOL_SOCKET, anf.SO_LINGER, 8), sock.written]


Attempt = tuple[str, tuple[Any, ...], type[Exception], int]
BAD_OPTIONS: list[Attempt] = [
    ("setsockopt", (anf.SOL_SOCKET, 9999, 1), OSError, errno.ENOPROTOOPT),
    ("setsockopt", (anf.SOL_SOCKET, anf.SO_TYPE, 1), OSError, errno.ENOPROTOOPT),
    ("setsockopt", (anf.SOL_SOCKET, anf.SO_LINGER, 1), OSError, errno.EINVAL),
    ("setsockopt", (anf.SOL_SOCKET, anf.SO_LINGER, b"1234"), OSError, errno.EINVAL),
    ("setsockopt", (anf.SOL_SOCKET, anf.SO_REUSEADDR, b""), OSError, errno.EINVAL),
    ("setsockopt", (anf.IPPROTO_IP, anf.IP_TTL, 256), OSError, errno.EINVAL),
    ("getsockopt", (99, 1), OSError, errno.EOPNOTSUPP),
    ("bind", ("10.0.0.1",), TypeError, 0),
    ("bind", (("10.0.0.1", "80"),), TypeError, 0),
    ("bind", (("10.0.0.1", 65536),), OverflowError, 0),
    ("bind", (("10.0.0.1", -1),), OverflowError, 0),
    ("bind", (("203.0.113.1", 80),), OSError, errno.EADDRNOTAVAIL),
    ("bind", (("peer", 80),), OSError, errno.EADDRNOTAVAIL),
    ("bind", (("nobody", 80),), OSError, errno.ENETUNREACH),
    ("bind", (("", 7777),), OSError, errno.EADDRINUSE),
    ("bind", (("localhost", 7777),), OSError, errno.EADDRINUSE),
    ("connect", (("10.0.0.1", 70000),), OverflowError, 0),
    ("connect", (None,), TypeError, 0),
    ("connect", ((b"10.0.0.1", 80),), TypeError, 0),
    ("connect", (("nobody", 80),), OSError, errno.ENETUNREACH),
    ("connect", (("203.0.113.1", 80),), OSError, errno.ENETUNREACH),
    ("connect", (("::1", 80),), OSError, errno.EAFNOSUPPORT),
    ("read", (-1,), ValueError, 0),
    ("getpeername", (), OSError, errno.ENOTCONN),
]
STREAM: list[Attempt] = [
    *BAD_OPTIONS,
    # Linux inet_shutdown: on a datagram socket the same error, and yet it counts
    ("shutdown", (anf.SHUT_WR,), OSError, errno.ENOTCONN),
    ("connect", (("10.0.255.255", 80),), OSError, errno.ENETUNREACH),
    ("connect", (("255.255.255.255", 80),), OSError, errno.ENETUNREACH),
    ("connect", (("224.0.0.1", 80),), OSError, errno.ENETUNREACH),
    ("accept", (), OSError, errno.EINVAL),
    ("write", (b"x",), BrokenPipeError, errno.EPIPE),
    ("read", (1,), OSError, errno.ENOTCONN),
    ("sendto", (b"x", ("peer", 80)), OSError, errno.EOPNOTSUPP),
    ("recvfrom", (1,), OSError, errno.EOPNOTSUPP),
]
DATAGRAM: list[Attempt] = [
    *BAD_OPTIONS,
    ("listen", (), OSError, errno.EOPNOTSUPP),
    ("accept", (), OSError, errno.EOPNOTSUPP),
    ("write", (b"x",), OSError, errno.EDESTADDRREQ),
    ("sendto", (b"x", ("peer", 0)), OSError, errno.EINVAL),
    ("sendto", (b"x", ("nobody", 80)), OSError, errno.ENETUNREACH),
    ("sendto", (b"x", ("203.0.113.1", 80)), OSError, errno.ENETUNREACH),
    ("sendto", (bytes(65508), ("peer", 80)), OSError, errno.EMSGSIZE),
    ("sendto", (bytes(70_000), ("127.0.0.1", 80)), OSError, errno.EMSGSIZE),
    ("sendto", (b"x", ("10.0.255.255", 80)), PermissionError, errno.EACCES),
    ("sendto", (b"x", ("<broadcast>", 80)), PermissionError, errno.EACCES),
    ("connect", (("10.0.255.255", 80),), PermissionError, errno.EACCES),
    ("sendto", ("text", ("peer", 80)), TypeError, 0),
    ("setsockopt", (anf.IPPROTO_TCP, anf.TCP_NODELAY, 1), OSError, errno.ENOPROTOOPT),
]
LISTENER: list[Attempt] = [
    ("connect", (("peer", 80),), OSError, errno.EISCONN),
    ("bind", (("", 81),), OSError, errno.EINVAL),
    ("read", (1,), OSError, errno.ENOTCONN),
    ("write", (b"x",), BrokenPipeError, errno.EPIPE),
    ("shutdown", (5,), OSError, errno.EINVAL),
    ("getpeername", (), OSError, errno.ENOTCONN),
]
CONNECTED: list[Attempt] = [
    ("connect", (("peer", 80),), OSError, errno.EISCONN),
    ("connect", (("nobody", 80),), OSError, errno.ENETUNREACH),
    ("bind", (("", 81),), OSError, errno.EINVAL),
    ("listen", (), OSError, errno.EINVAL),
    ("accept", (), OSError, errno.EINVAL),
    ("shutdown", (5,), OSError, errno.EINVAL),
    ("sendto", (b"x", ("peer", 80)), OSError, errno.EOPNOTSUPP),
]


async def check_attempts(net: Network, sock: Socket, attempts: list[Attempt]) -> None:
    before = await everything_about(net, sock)
    wrong: list[tuple[str, tuple[Any, ...], object]] = []
    for name, arguments, expected, code in attempts:
        try:
            async with asyncio.timeout(0.2):
                outcome = await getattr(sock, name)(*arguments)
        except Exception as error:
            if type(error) is not expected or (code and getattr(error, "errno", 0) != code):
                wrong.append((name, arguments, error))
        else:
            wrong.append((name, arguments, outcome))
        if (after := await everything_about(net, sock)) != before:
            wrong.append((name, arguments, after))
            before = after
    assert wrong == []


Make = Callable[[Network], Coroutine[Any, Any, Socket]]


async def make_listener(net: Network) -> Socket:
    return await listening(net.localhost, 80)


async def make_connected(net: Network) -> Socket:
    sock, peer = await connected(net.localhost, net.hosts[1])
    await peer.close()
    return sock


KINDS: list[tuple[Make, list[Attempt]]] = [
    (lambda net: stream(net.localhost), STREAM),
    (lambda net: datagram(net.localhost), DATAGRAM),
    (make_listener, LISTENER),
    (make_connected, CONNECTED),
]


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=["stream", "datagram", "listener", "connected"])
@everywhere
async def test_a_call_that_fails_says_why_and_changes_nothing(kind: int) -> None:
    make, attempts = KINDS[kind]
    async with Network(seed=1) as net:
        net.host("peer")
        taken = [await stream(net.localhost), await datagram(net.localhost)]
        for each in taken:
            await each.bind(("", 7777))
        sock = await make(net)
        await check_attempts(net, sock, attempts)


@everywhere
async def test_refused() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        sock = await stream(a)
        for _ in range(2):  # a socket whose attempt has failed may try again
            with pytest.raises(ConnectionRefusedError) as failure:
                await sock.connect(("b", 80))
            assert failure.value.errno == errno.ECONNREFUSED
        listener = await listening(b)
        await sock.connect(("b", 80))
        await sock.close()
        await listener.close()


@everywhere
async def test_connecting_to_oneself_where_nobody_listens_is_refused() -> None:
    async with Network(seed=1), await anf.socket() as sock:
        with pytest.raises(ConnectionRefusedError):
            async with asyncio.timeout(0.5):
                await sock.connect(("localhost", 80))


@everywhere
async def test_connecting_to_oneself_needs_nothing_but_a_listener() -> None:
    async with Network(seed=1) as net, await listening(net.localhost) as listener, await anf.socket() as sock:
        async with asyncio.timeout(0.5):  # the handshake is over before connect() can wait for it
            await sock.connect(("localhost", 80))
        async with (await listener.accept())[0] as server:
            await server.write(b"hello")
            assert await sock.read(9) == b"hello"


@everywhere
async def test_an_unknown_name_says_which() -> None:
    async with Network(seed=1) as net, await anf.socket() as sock:
        for call in (sock.connect(("web.example", 80)), sock.bind(("web.example", 80))):
            with pytest.raises(OSError, match=r"Network is unreachable: no host named 'web\.example'"):
                await call
        with pytest.raises(OSError):
            net.resolve("web.example")


@everywhere
async def test_a_host_without_an_address_is_an_oserror() -> None:
    async with Network(seed=1) as net, await anf.socket() as sock:
        net.router("lonely")
        with pytest.raises(OSError):
            await sock.connect(("lonely", 80))


@in_virtual_time
async def test_nobody_answers_arp() -> None:
    async with Network(seed=1), await anf.socket() as sock:
        start = seconds()
        with pytest.raises(OSError) as failure:
            await sock.connect(("10.0.77.77", 80))
        assert failure.value.errno == errno.EHOSTUNREACH
        assert seconds() == pytest.approx(start + 3, abs=1e-9)  # three questions, one second each


@in_virtual_time
async def test_a_router_reports_that_nobody_answers_arp_or_that_it_knows_no_way() -> None:
    async with Network(seed=1) as net:
        a, r = net.host("a"), net.router("r")
        net.link(a, r, delay=0.1)
        net.link(r, net.host("b", "10.9.0.5/24"))
        sock = await stream(a)
        await asyncio.sleep(1)  # the hosts have announced their addresses
        for address, code, duration in (
            ("10.9.0.77", errno.EHOSTUNREACH, 0.2 + 0.2 + 3),
            ("203.0.113.1", errno.ENETUNREACH, 0.2),
        ):
            start = seconds()
            with pytest.raises(OSError) as failure:
                await sock.connect((address, 80))
            assert failure.value.errno == code
            assert seconds() == pytest.approx(start + duration, abs=1e-6)
        await sock.close()


@in_virtual_time
async def test_connect_times_out_when_every_syn_is_dropped() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        listener = await listening(b, backlog=0)
        first, second = await stream(a), await stream(a)
        await first.connect(("b", 80))
        start = seconds()
        with pytest.raises(TimeoutError) as failure:
            await second.connect(("b", 80))
        assert failure.value.errno == errno.ETIMEDOUT
        assert seconds() == pytest.approx(start + 131, abs=1e-6)  # 4 + 1 + 2 + 4 + ... + 64 s
        for sock in (first, second, listener):
            await sock.close()


@in_virtual_time
async def test_an_established_connection_that_hears_nothing_ends() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        link = net.link(a, b, delay=0.01)
        client, server = await connected(a, b)
        link.up = False
        await client.write(b"anybody?")
        reading = asyncio.create_task(client.read(1))
        with pytest.raises(OSError) as failure:
            await reading
        # Linux tcp_write_err: what ICMP or ARP said meanwhile, else ETIMEDOUT
        assert failure.value.errno in (errno.ETIMEDOUT, errno.EHOSTUNREACH)
        assert seconds() > 300
        with pytest.raises(BrokenPipeError):
            await client.write(b"x")
        await client.close()
        await server.close()


@everywhere
async def test_reset_and_broken_pipe() -> None:
    async with Network(seed=1) as net:
        client, server = await connected(net.host("a"), net.host("b"))
        await server.setsockopt(anf.SOL_SOCKET, anf.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        waiting = [asyncio.create_task(client.read(1)), asyncio.create_task(client.write(bytes(5_000_000)))]
        await turns(30)
        await server.close()
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        # SO_ERROR is told once: one of the two hears of the reset, the other finds the connection gone
        assert any(isinstance(outcome, ConnectionResetError) for outcome in outcomes)
        assert outcomes[0] == b"" or isinstance(outcomes[0], ConnectionResetError)
        assert isinstance(outcomes[1], ConnectionResetError | BrokenPipeError)
        with pytest.raises(BrokenPipeError):
            await client.write(b"x")
        await client.close()
