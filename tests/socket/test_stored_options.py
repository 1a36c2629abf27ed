"""Options that programs set in passing: values, ranges and refusals as the kernel has them, on every kind of socket."""

from __future__ import annotations

import struct

import pytest

from aionetflow.ip.address import AF_INET, AF_INET6
from aionetflow.socket import options
from aionetflow.socket.options import (
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    SO_RCVTIMEO,
    SO_SNDTIMEO,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
    TCP_CONGESTION,
)
from support.lan import raw_host
from support.parity import IN, OUT, Endpoint, World, differences

FAMILIES = (AF_INET, AF_INET6)
VALUES = (-2, -1, 0, 1, 2, 3, 4, 5, 6, 9, 100, 127, 128, 255, 256, 1000, 32767, 32768, 65536, 1_000_000)
ODD = (b"", b"\1", b"\1\0", b"\1\0\0\0", b"\2\0\0\0\0\0\0\0")
LARGEST = (1 << 31) - 1
LEVELS = {"SO": SOL_SOCKET, "IP": IPPROTO_IP, "IPV6": IPPROTO_IPV6, "TCP": IPPROTO_TCP}
NAMES = (
    "SO_KEEPALIVE", "SO_OOBINLINE", "SO_PRIORITY", "SO_MARK", "SO_RCVLOWAT", "SO_REUSEPORT", "SO_MAX_PACING_RATE",
    "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_SYNCNT", "TCP_LINGER2", "TCP_DEFER_ACCEPT", "TCP_QUICKACK",
    "TCP_USER_TIMEOUT", "TCP_NOTSENT_LOWAT", "TCP_WINDOW_CLAMP", "TCP_MAXSEG",
    "IP_MTU_DISCOVER", "IP_RECVERR", "IP_BIND_ADDRESS_NO_PORT",
    "IPV6_V6ONLY", "IPV6_UNICAST_HOPS", "IPV6_TCLASS", "IPV6_MTU_DISCOVER", "IPV6_RECVERR", "IPV6_DONTFRAG",
)  # fmt: skip
# What another kernel, or this one with other rights or sizes, says differently
NEEDS_RIGHTS = ("SO_PRIORITY", "SO_MARK")
NOT_COMPARED = {
    "SO_RCVLOWAT": (-2, -1),  # as much as half of net.ipv4.tcp_rmem[2], or of an int
    "IPV6_DONTFRAG": ODD,  # the kernel takes fewer octets as a zero
}
TIMEVAL = struct.Struct("qq")


def level_of(name: str) -> int:
    return LEVELS[name.partition("_")[0]]


def is_privileged() -> bool:
    import socket

    with socket.socket() as sock:
        try:
            sock.setsockopt(SOL_SOCKET, options.SO_MARK, 1)
        except PermissionError:
            return False
    return True


def each_kind(world: World) -> list[Endpoint]:
    return [make(family) for family in FAMILIES for make in (world.tcp, world.udp)]


@pytest.mark.kernel
@pytest.mark.parametrize("name", NAMES)
def test_an_option_is_kept_as_in_the_kernel(name: str) -> None:
    if name in NEEDS_RIGHTS and not is_privileged():
        pytest.skip("the kernel lets only root set this")
    level, option = level_of(name), getattr(options, name)

    def script(world: World) -> None:
        for sock in each_kind(world):
            for length in (0, 1, 4, 8):
                sock.getsockopt(level, option, length) if length else sock.getsockopt(level, option)
            for value in (*VALUES, *ODD):
                if value not in NOT_COMPARED.get(name, ()):
                    sock.setsockopt(level, option, value)
                    sock.getsockopt(level, option)

    found = differences(script)
    assert not found, "\n".join(found)


@pytest.mark.kernel
def test_a_timeout_is_a_timeval() -> None:
    def script(world: World) -> None:
        for sock in each_kind(world):
            for option in (SO_RCVTIMEO, SO_SNDTIMEO):
                sock.getsockopt(SOL_SOCKET, option)
                # whole ticks of any kernel's clock, which rounds up to its own
                for seconds, microseconds in ((1, 500_000), (0, 0), (3, 0), (-1, 0), (1, 1_000_000), (1, -1)):
                    sock.setsockopt(SOL_SOCKET, option, TIMEVAL.pack(seconds, microseconds))
                    sock.getsockopt(SOL_SOCKET, option, TIMEVAL.size)
                    sock.getsockopt(SOL_SOCKET, option, 8)
                sock.setsockopt(SOL_SOCKET, option, 1)
                sock.setsockopt(SOL_SOCKET, option, bytes(8))

    found = differences(script)
    assert not found, "\n".join(found)


@pytest.mark.kernel
def test_reno_may_be_asked_for_and_what_is_not_there_is_not_found() -> None:
    def script(world: World) -> None:
        for sock in each_kind(world):
            for name in (b"reno", b"reno\0", b"nosuch", b"", 1):
                sock.setsockopt(IPPROTO_TCP, TCP_CONGESTION, name)
        sock = world.tcp()
        sock.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b"reno")
        sock.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 16)
        sock.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 3)
        world.udp().getsockopt(IPPROTO_TCP, TCP_CONGESTION, 16)

    found = differences(script)
    assert not found, "\n".join(found)


@pytest.mark.kernel
def test_an_unknown_option_of_any_level_is_refused_as_in_the_kernel() -> None:
    def script(world: World) -> None:
        for sock in each_kind(world):
            for level in (*LEVELS.values(), 17, 99):
                sock.getsockopt(level, 999)
                sock.setsockopt(level, 999, 1)

    found = differences(script)
    assert not found, "\n".join(found)


@pytest.mark.kernel
def test_an_accepted_socket_has_the_listeners_options() -> None:
    def script(world: World) -> None:
        for family in FAMILIES:
            listener, client = world.tcp(family), world.tcp(family)
            asked = {"SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 60, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 1000}
            if family == AF_INET6:
                asked |= {"IPV6_UNICAST_HOPS": 7, "IPV6_V6ONLY": 1}
            for name, value in asked.items():
                listener.setsockopt(level_of(name), getattr(options, name), value)
            listener.bind(("", 0))
            listener.listen(1)
            client.connect(listener.address)
            client.wait(OUT)
            accepted, _ = listener.wait(IN).accept()
            listener.setsockopt(SOL_SOCKET, options.SO_KEEPALIVE, 0)
            for name in asked:
                accepted.getsockopt(level_of(name), getattr(options, name))
                client.getsockopt(level_of(name), getattr(options, name))

    found = differences(script)
    assert not found, "\n".join(found)


@pytest.mark.kernel
def test_bind_without_a_port_leaves_the_choice_to_connect_and_listen() -> None:
    def script(world: World) -> None:
        target = world.tcp()
        target.bind(("127.0.0.1", 0))
        target.listen(5)
        for make in (world.tcp, world.udp):
            sock = make()
            sock.setsockopt(IPPROTO_IP, options.IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind(("127.0.0.9", 0))
            sock.getsockname()
            sock.bind(("127.0.0.8", 0))
            sock.connect(target.address)
            world.log.append(("bound", (sock.sock.getsockname()[0], sock.port > 0)))
            sock.bind(("127.0.0.8", 0))
        listener = world.tcp()
        listener.setsockopt(IPPROTO_IP, options.IP_BIND_ADDRESS_NO_PORT, 1)
        listener.bind(("127.0.0.7", 0))
        listener.listen(1)
        world.log.append(("bound", (listener.sock.getsockname()[0], listener.port > 0)))

    found = differences(script)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("kind", [SOCK_STREAM, SOCK_DGRAM])
def test_the_largest_low_water_mark_is_half_the_largest_buffer(kind: int) -> None:
    sock = raw_host().stack.socket(kind=kind)
    for value in (-1, LARGEST):
        sock.setsockopt(SOL_SOCKET, options.SO_RCVLOWAT, value)
        assert sock.getsockopt(SOL_SOCKET, options.SO_RCVLOWAT) == 3145728


def test_a_timeout_is_kept_to_the_microsecond() -> None:
    sock = raw_host().stack.socket()
    sock.setsockopt(SOL_SOCKET, SO_RCVTIMEO, TIMEVAL.pack(2, 1))
    assert sock.getsockopt(SOL_SOCKET, SO_RCVTIMEO, 16) == TIMEVAL.pack(2, 1)
