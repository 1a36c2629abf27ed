"""Socket options: numbers, values and refusals as Linux has them, compared with the kernel's own sockets."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable

import pytest

from aionetflow.config import SOCKET_BUFFER_MAX, TCP_RECEIVE_BUFFER, TCP_SEND_BUFFER, UDP_QUEUE_LIMIT
from aionetflow.socket import options
from support.lan import Host, raw_host
from support.parity import Endpoint, World, differences

SOL, IP, TCP = options.SOL_SOCKET, options.IPPROTO_IP, options.IPPROTO_TCP
kernel = pytest.mark.kernel

PREFIXES = ("SO_", "SOL_", "IPPROTO_", "IP_", "IPV6_", "TCP_", "MSG_", "SHUT_", "SOCK_")
# linux/in.h, linux/in6.h and linux/tcp.h: Python's socket module does not name these
UNNAMED = {
    "IP_MTU_DISCOVER": 10, "IP_RECVERR": 11, "IPV6_MTU_DISCOVER": 23, "IPV6_RECVERR": 25, "TCP_FASTOPEN_CONNECT": 30,
    "TCP_FASTOPEN_KEY": 33, "TCP_FASTOPEN_NO_COOKIE": 34, "SO_MAX_PACING_RATE": 47,
}  # fmt: skip
NAMES = [name for name in vars(options) if name.startswith(PREFIXES) and name not in ("IPV6_OPTIONS", "TCP_BUFFER_MAX")]
FLAGS = [(SOL, options.SO_REUSEADDR), (SOL, options.SO_BROADCAST), (TCP, options.TCP_NODELAY), (TCP, options.TCP_CORK)]
FLAGS_OF_KINDS = [(kind, *flag) for kind in ("tcp", "udp") for flag in FLAGS if kind == "tcp" or flag[0] == SOL]
FACTS = [(SOL, name) for name in (options.SO_TYPE, options.SO_DOMAIN, options.SO_PROTOCOL, options.SO_ERROR,
                                  options.SO_ACCEPTCONN)]  # fmt: skip
LINGER = (SOL, options.SO_LINGER)
NUMBERS = [(IP, options.IP_TTL), (IP, options.IP_TOS)]
UNKNOWN_NAMES = [(SOL, 9999), (IP, 9999), (TCP, 9999), (SOL, -1)]
UNKNOWN_LEVELS = [(9999, 1)]  # EOPNOTSUPP to read, ENOPROTOOPT to set
INT = struct.Struct("i")


def on_each(kind: str, script: Callable[[Endpoint], None]) -> list[str]:
    """Runs a script of calls on one socket of that kind in both worlds."""

    def run(world: World) -> None:
        script(world.tcp() if kind == "tcp" else world.udp())

    return differences(run)


def same(found: list[str]) -> None:
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", NAMES)
def test_the_number_is_linuxs(name: str) -> None:
    assert getattr(options, name) == (UNNAMED[name] if name in UNNAMED else int(getattr(socket, name)))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize(("level", "name"), [*FLAGS, *NUMBERS, *FACTS, *UNKNOWN_NAMES, *UNKNOWN_LEVELS, LINGER])
def test_a_new_socket_has_the_kernels_value(kind: str, level: int, name: int) -> None:
    def script(sock: Endpoint) -> None:
        for length in ((), (4,), (8,), (16,)):
            sock.getsockopt(level, name, *length)

    same(on_each(kind, script))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize(("level", "name"), [(SOL, options.SO_TYPE), (SOL, options.SO_LINGER), *NUMBERS])
def test_a_short_buffer_gets_what_the_kernel_puts_there(kind: str, level: int, name: int) -> None:
    same(on_each(kind, lambda sock: sock.getsockopt(level, name, 1)))


def set_and_get(kind: str, level: int, name: int, values: tuple[int | bytes, ...]) -> list[str]:
    def script(sock: Endpoint) -> None:
        for value in values:
            sock.setsockopt(level, name, value)
            sock.getsockopt(level, name)

    return on_each(kind, script)


@kernel
@pytest.mark.parametrize(("kind", "level", "name"), FLAGS_OF_KINDS)
def test_a_flag_is_set_as_in_the_kernel(kind: str, level: int, name: int) -> None:
    same(set_and_get(kind, level, name, (1, 0, 2, 0, -1, INT.pack(0), INT.pack(1), bytes(8), b"\1\0\0\0rest")))


@kernel
@pytest.mark.parametrize(("kind", "level", "name"), FLAGS_OF_KINDS)
def test_a_flag_of_too_few_octets_is_refused(kind: str, level: int, name: int) -> None:
    same(set_and_get(kind, level, name, (b"\1", b"\1\0\0", b"")))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_ttl_is_set_as_in_the_kernel(kind: str) -> None:
    same(set_and_get(kind, IP, options.IP_TTL, (1, 64, 255, 0, 256, 1000, -2, INT.pack(9), INT.pack(0), b"")))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_ttl_of_minus_one_is_the_default_and_one_octet_will_do(kind: str) -> None:
    same(set_and_get(kind, IP, options.IP_TTL, (7, -1, b"\x09")))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_type_of_service_is_set_as_in_the_kernel(kind: str) -> None:
    same(set_and_get(kind, IP, options.IP_TOS, (0, 4, 16, 0x48, 252, INT.pack(8))))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_the_bits_of_ecn_are_not_the_applications_on_a_stream(kind: str) -> None:
    # RFC 3168 6.1: TCP's own; Linux __ip_sock_set_tos keeps them out
    same(set_and_get(kind, IP, options.IP_TOS, (1, 2, 3, 255, 18)))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_an_odd_type_of_service_is_taken_as_in_the_kernel(kind: str) -> None:
    same(set_and_get(kind, IP, options.IP_TOS, (256, 1000, -4, b"\x08", b"")))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize(("level", "name"), [*FACTS, *UNKNOWN_NAMES, *UNKNOWN_LEVELS])
def test_what_cannot_be_set_is_refused_as_by_the_kernel(kind: str, level: int, name: int) -> None:
    def script(sock: Endpoint) -> None:
        sock.setsockopt(level, name, 1)
        sock.setsockopt(level, name, INT.pack(1))
        sock.getsockopt(level, name)

    same(on_each(kind, script))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("pair", [(1, 0), (1, 5), (0, 5), (0, 0), (1, 3600), (2, 1)])
def test_linger_is_set_as_in_the_kernel(kind: str, pair: tuple[int, int]) -> None:
    def script(sock: Endpoint) -> None:
        sock.setsockopt(SOL, options.SO_LINGER, struct.pack("ii", *pair))
        sock.getsockopt(SOL, options.SO_LINGER, 8)
        sock.getsockopt(SOL, options.SO_LINGER)
        sock.setsockopt(SOL, options.SO_LINGER, 1)
        sock.setsockopt(SOL, options.SO_LINGER, INT.pack(1))
        sock.setsockopt(SOL, options.SO_LINGER, struct.pack("ii", 0, 0))
        sock.getsockopt(SOL, options.SO_LINGER)

    same(on_each(kind, script))


@kernel
@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("name", [options.SO_RCVBUF, options.SO_SNDBUF])
@pytest.mark.parametrize("value", [0, 1, 1152, 1153, 2304, 2305, 4096, 65536, 100_000, 106_496])
def test_a_buffer_size_is_doubled_as_by_the_kernel(kind: str, name: int, value: int) -> None:
    # values up to half of the smallest net.core.rmem_max that is about: beyond it machines differ
    def script(sock: Endpoint) -> None:
        sock.setsockopt(SOL, name, value)
        sock.getsockopt(SOL, name)

    same(on_each(kind, script))


@pytest.mark.parametrize("name", [options.SO_RCVBUF, options.SO_SNDBUF])
@pytest.mark.parametrize("value", [SOCKET_BUFFER_MAX, SOCKET_BUFFER_MAX + 1, (1 << 31) - 1])
def test_a_buffer_size_is_bounded(name: int, value: int) -> None:
    # net.core.rmem_max, wmem_max
    for sock in (Host().tcp(), Host().udp()):
        sock.setsockopt(SOL, name, value)
        assert sock.getsockopt(SOL, name) == 2 * SOCKET_BUFFER_MAX


def test_a_new_sockets_buffers_are_the_configured_ones() -> None:
    host = Host()
    stream, plain = host.tcp(), host.udp()
    names = (options.SO_RCVBUF, options.SO_SNDBUF)
    assert [stream.getsockopt(SOL, name) for name in names] == [TCP_RECEIVE_BUFFER, TCP_SEND_BUFFER]
    assert [plain.getsockopt(SOL, name) for name in names] == [UDP_QUEUE_LIMIT] * 2


@kernel
def test_the_segment_size_is_read_as_in_the_kernel() -> None:
    same(on_each("tcp", lambda sock: sock.getsockopt(TCP, options.TCP_MAXSEG)))


@kernel
def test_the_segment_size_can_be_limited_as_in_the_kernel() -> None:
    # tcp(7), TCP_MAXSEG
    same(set_and_get("tcp", TCP, options.TCP_MAXSEG, (88, 536, 1000, 32767, 7, -1, 32768, 0)))


@kernel
def test_a_value_of_the_wrong_type_is_refused_as_by_python() -> None:
    def script(sock: Endpoint) -> None:
        for value in ("1", 1.5, [1]):
            sock.setsockopt(SOL, options.SO_REUSEADDR, value)

    same(on_each("tcp", script))


def test_a_refused_value_changes_nothing() -> None:
    sock = Host().tcp()
    sock.setsockopt(IP, options.IP_TTL, 7)
    for bad in (0, 256, b""):
        with pytest.raises(OSError) as caught:
            sock.setsockopt(IP, options.IP_TTL, bad)
        assert caught.value.errno == errno.EINVAL
    assert sock.getsockopt(IP, options.IP_TTL) == 7


def test_options_are_each_sockets_own() -> None:
    host = Host()
    one, two = host.tcp(), host.tcp()
    one.setsockopt(TCP, options.TCP_NODELAY, 1)
    one.setsockopt(IP, options.IP_TTL, 9)
    assert [two.getsockopt(TCP, options.TCP_NODELAY), two.getsockopt(IP, options.IP_TTL)] == [0, 64]


def test_an_option_set_while_connected_counts_from_the_next_packet() -> None:
    host = raw_host()
    sock, _ = host.connected()
    sock.setsockopt(IP, options.IP_TTL, 9)
    sock.send(b"x")
    assert host.wire.says()[-1].ttl == 9
