"""Arguments that make no sense, given to the socket class: the virtual one refuses them in the kernel's words."""

from __future__ import annotations

import array
import socket
import struct
from typing import Any

import pytest

from support.sides import KINDS, LO, Program, Trial, collector, on_kernel, on_network

PROGRAMS: dict[str, Program] = {}
collect = collector(PROGRAMS)

pytestmark = pytest.mark.kernel

NOBODY = "x" * 70  # longer than a label of the DNS may be: the C library knows without asking anybody
BAD_ADDRESSES: tuple[Any, ...] = (
    "127.0.0.1", b"127.0.0.1", None, 80, [LO, 80], (), (LO,), (LO, 80, 0), (LO, "80"), (LO, None), (LO, 80.0),
    (LO, 65536), (LO, 70000), (LO, -1), (LO, 2**31), (LO, 2**70), (5, 80), (None, 80), ("a\0b", 80), ("::1", 80),
    (NOBODY, 80), (NOBODY.encode(), 80), ("256.0.0.1", 80), ("n\xf6body\0", 80),
)  # fmt: skip
BAD_ADDRESSES_6: tuple[Any, ...] = (
    "::1", None, (), ("::1",), ("::1", 80, 0, 0, 0), ("::1", "80"), ("::1", 65536), ("::1", -1), ("::1", 80, -1),
    ("::1", 80, 2**20), ("::1", 80, 0, -1), ("::1", 80, "0"), (LO, 80), (None, 80), (NOBODY, 80),
)  # fmt: skip


@collect
async def addresses(trial: Trial) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        for address in BAD_ADDRESSES:
            sock = trial.sock(kind)
            trial.call(sock.bind, address)
            trial.call(sock.connect, address)
            trial.call(sock.connect_ex, address)
    for address in BAD_ADDRESSES:
        sock = trial.sock(socket.SOCK_DGRAM)
        trial.call(sock.sendto, b"x", address)
        trial.call(sock.sendto, b"x", 0, address)
        trial.call(sock.sendmsg, [b"x"], [], 0, address)


@collect
async def addresses_of_ipv6(trial: Trial) -> None:
    for address in BAD_ADDRESSES_6:
        sock = trial.sock(socket.SOCK_DGRAM, socket.AF_INET6)
        trial.call(sock.bind, address)
        trial.call(sock.connect, address)
        trial.call(sock.sendto, b"x", address)


@collect
async def sizes_and_flags(trial: Trial) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        sock = trial.bound(kind)
        for size in (-1, "1", None, 1.5, 2**31, 2**70):
            if not isinstance(size, int) or size < 0 or size > 2**63:
                trial.call(sock.recv, size)
                trial.call(sock.recvfrom, size)
                trial.call(sock.recvmsg, size)
            if size != -1:  # as flags: all there are
                trial.call(sock.recv, 10, size)
                trial.call(sock.recvfrom, 10, size)
                trial.call(sock.recvmsg, 10, 0, size)
            trial.call(sock.recv_into, bytearray(5), size)
            trial.call(sock.recvfrom_into, bytearray(5), size)
        for flags in ("x", None, 1.5, 2**31, 2**70):
            trial.call(sock.send, b"x", flags)
            trial.call(sock.sendall, b"x", flags)
            trial.call(sock.sendto, b"x", flags, (LO, 9))
            trial.call(sock.sendmsg, [b"x"], [], flags)


@collect
async def buffers(trial: Trial) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        sock = trial.bound(kind)
        for data in ("text", None, 5, [b"x"], memoryview(b"abcd")[::2]):
            trial.call(sock.send, data)
            trial.call(sock.sendall, data)
            trial.call(sock.sendto, data, (LO, 9))
            trial.call(sock.sendmsg, data)
            trial.call(sock.sendmsg, [data])
        for target in (b"constant", "text", None, 5, memoryview(bytearray(4))[::2]):
            trial.call(sock.recv_into, target)
            trial.call(sock.recvfrom_into, target)
            trial.call(sock.recvmsg_into, [target])
        trial.call(sock.recvmsg_into, 5)
        trial.call(sock.recv_into, bytearray(2), 3)
        trial.call(sock.recvfrom_into, bytearray(2), 3)
        trial.call(sock.recv_into, array.array("i", [1, 2]), 9)
        trial.call(sock.recvmsg, 1, -1)
        trial.call(sock.sendmsg, [b"x"], [("a", 1, b"")])
        trial.call(sock.sendmsg, [b"x"], [1])
        trial.call(sock.sendmsg, [b"x"], 1)
        trial.call(sock.sendto, b"x")


@collect
async def options(trial: Trial) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        sock = trial.sock(kind)
        values: tuple[Any, ...] = ("1", None, 1.5, [], 2**31, -(2**31) - 1, 2**70, b"", b"\1", b"\1\0\0")
        for value in values:
            trial.call(sock.setsockopt, socket.SOL_SOCKET, socket.SO_REUSEADDR, value)
        for level, option in (("1", 2), (1, "2"), (None, 2), (1.5, 2), (2**31, 2), (1, 2**31)):
            trial.call(sock.setsockopt, level, option, 1)
            trial.call(sock.getsockopt, level, option)
        for length in (-1, 1025, "4", None, 1.5, 2**31):
            trial.call(sock.getsockopt, socket.SOL_SOCKET, socket.SO_REUSEADDR, length)
        trial.call(sock.setsockopt, socket.SOL_SOCKET, socket.SO_REUSEADDR, None, -1)
        trial.call(sock.setsockopt, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1, 4)
        trial.call(sock.setsockopt, socket.SOL_SOCKET, socket.SO_REUSEADDR, None, 4)
        trial.call(sock.setsockopt, socket.SOL_SOCKET, socket.SO_LINGER, 1)
        trial.call(sock.setsockopt, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("i", 1))
        trial.call(sock.getsockopt, socket.SOL_SOCKET, 9999)
        trial.call(sock.setsockopt, socket.SOL_SOCKET, 9999, 1)
        trial.call(sock.setsockopt, socket.SOL_SOCKET, socket.SO_TYPE, 1)
        trial.call(sock.setsockopt, 9999, 1, 1)
        trial.call(sock.getsockopt, 9999, 1)
        trial.call(sock.setsockopt, socket.IPPROTO_TCP, 9999, 1)
        trial.call(sock.getsockopt, socket.IPPROTO_TCP, 9999)
        trial.call(sock.setsockopt, socket.IPPROTO_TCP, socket.TCP_NODELAY, b"\1")


@collect
async def times_and_modes(trial: Trial) -> None:
    sock = trial.sock()
    times: tuple[Any, ...] = (-1, -0.5, "1", b"1", [], float("nan"), float("inf"), 1e20, 2**70)
    flags: tuple[Any, ...] = ("1", None, [], 1.5, 2**40)
    for value in times:
        trial.call(sock.settimeout, value)
    for flag in flags:
        trial.call(sock.setblocking, flag)
        trial.call(sock.getblocking)
        trial.call(sock.gettimeout)
    for backlog in ("1", None, 1.5, 2**31, -(2**31) - 1):
        trial.call(sock.listen, backlog)
    trial.call(sock.listen, -1)
    for how in ("1", None, 1.5, 3, -1, 2**31):
        trial.call(sock.shutdown, how)
    trial.call(sock.makefile, "x")
    trial.call(sock.makefile, "r+x")


@collect
async def kinds_of_socket(trial: Trial) -> None:
    def make(*arguments: Any) -> tuple[int, int, int]:
        with socket.socket(*arguments) as made:
            return made.family, made.type, made.proto

    for arguments in (
        ("2",), (2, "1"), (2, 1, "0"), (2.0,), (999, 1), (2, 999), (2, 0), (2, 1, 17), (2, 2, 6), (2, 1, 999), (2, 5),
        (10, 1, 17), (10, 999), (2**31,), (2, 2**31), (2, 1, 2**31), (None,), (2, None), (2, 1, None), (2, 1, 6),
        (2, 2, 17), (2, socket.SOCK_STREAM | socket.SOCK_CLOEXEC), (2, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK),
        (2, 1, -2), (2, -2), (-2,),
    ):  # fmt: skip
        trial.call(make, *arguments)


@collect
async def a_closed_socket(trial: Trial) -> None:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        sock = trial.bound(kind)
        sock.close()
        trial.call(sock.close)
        trial.call(sock.fileno)
        for call, *arguments in (
            (sock.bind, (LO, 0)), (sock.listen, 1), (sock.accept,), (sock.connect, (LO, 9)), (sock.connect_ex, (LO, 9)),
            (sock.getsockname,), (sock.getpeername,), (sock.send, b"x"), (sock.sendall, b"x"),
            (sock.sendto, b"x", (LO, 9)), (sock.sendmsg, [b"x"]), (sock.recv, 1), (sock.recvfrom, 1),
            (sock.recvmsg, 1), (sock.recv_into, bytearray(1)), (sock.recvfrom_into, bytearray(1)),
            (sock.recvmsg_into, [bytearray(1)]), (sock.shutdown, 2), (sock.dup,), (sock.detach,),
            (sock.getsockopt, 1, 2), (sock.setsockopt, 1, 2, 1), (sock.gettimeout,), (sock.settimeout, 1),
            (sock.setblocking, False), (sock.getblocking,), (sock.get_inheritable,), (sock.set_inheritable, False),
        ):  # fmt: skip
            made = trial.call(call, *arguments)
            if isinstance(made, socket.socket):
                made.close()
        trial.say("kind", (sock.family, sock.type, sock.proto, sock.timeout))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_virtual_socket_refuses_bad_arguments_in_the_words_of_the_kernels(name: str, kind: str) -> None:
    assert on_network(PROGRAMS[name], kind) == on_kernel(PROGRAMS[name])
