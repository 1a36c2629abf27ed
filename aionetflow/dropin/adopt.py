"""Sockets that programs hand to a loop: ours, the kernel's that become ours, the kernel's that stay so.

A program may have made a socket of the kernel before it knew of any network, or by a class that nobody patched. When it
hands that to the calls of a loop that runs on a network, the socket is adopted: its address and options move to a
virtual socket, and the object from then on *is* that socket, whatever is asked of it. A socket that is connected
already stays the kernel's, as do Unix sockets.
"""

import os
import socket
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from aionetflow.dropin.socket import VirtualSocket, of_descriptor
from aionetflow.network.host import Host

_FAMILIES = (socket.AF_INET, socket.AF_INET6)
# What a program may have set before; the sizes of the kernel's buffers are its own affair.
_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_REUSEADDR), (socket.SOL_SOCKET, socket.SO_REUSEPORT),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.SOL_SOCKET, socket.SO_BROADCAST),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY), (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY),
)  # fmt: skip
_FORWARDED = (
    "accept", "bind", "close", "connect", "connect_ex", "detach", "dup", "fileno", "getpeername", "getsockname",
    "getsockopt", "listen", "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "send",
    "sendall", "sendfile", "sendmsg", "sendto", "setblocking", "setsockopt", "settimeout", "gettimeout", "getblocking",
    "shutdown", "__repr__",
)  # fmt: skip

adopted: "WeakKeyDictionary[socket.socket, VirtualSocket]" = WeakKeyDictionary()


class AdoptedSocket(socket.socket):
    """What a socket of the kernel is after a virtual network has adopted it."""

    __slots__ = ()

    @property
    def timeout(self) -> float | None:
        """See VirtualSocket.timeout."""
        return adopted[self].timeout


def _forward(name: str) -> Callable[..., Any]:
    def method(self: AdoptedSocket, *args: Any, **kwargs: Any) -> Any:
        return getattr(adopted[self], name)(*args, **kwargs)

    method.__name__ = name
    method.__doc__ = f"See VirtualSocket.{name}."
    return method


for _name in _FORWARDED:
    setattr(AdoptedSocket, _name, _forward(_name))


def virtual(sock: Any, host: Callable[[], Host]) -> VirtualSocket | None:
    """The virtual socket that a call is about; None if it is about one of the kernel's.

    `host` says who adopts a socket of the kernel; it is adopted if it is for TCP or UDP and not connected.
    """
    found = known(sock)
    if found is not None:
        return found
    if isinstance(sock, TransportSocket):
        sock = sock._sock  # type: ignore[attr-defined]
    if not issubclass(type(sock), socket.socket) or sock.family not in _FAMILIES or sock.fileno() < 0:
        return None
    if sock.type not in (socket.SOCK_STREAM, socket.SOCK_DGRAM) or _is_connected(sock):
        return None
    return _adopt(sock, host())


def known(sock: Any) -> VirtualSocket | None:
    """The same, but nothing is adopted. A descriptor that a virtual socket has told stands for it."""
    if issubclass(type(sock), VirtualSocket):  # which a mock of one is not
        ours: VirtualSocket = sock
        return ours
    if isinstance(sock, int):
        return of_descriptor(sock)
    if isinstance(sock, TransportSocket):
        return known(sock._sock)  # type: ignore[attr-defined]
    return adopted.get(sock) if isinstance(sock, AdoptedSocket) else None


def _adopt(sock: socket.socket, host: Host) -> VirtualSocket:
    heir = VirtualSocket(host, sock.family, sock.type, sock.proto)
    try:
        for level, option in _OPTIONS:
            value = _option(sock, level, option)
            if value:
                heir.setsockopt(level, option, value)
        name = sock.getsockname()
        if name[1]:
            heir.bind(name)
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            heir.listen()
    except BaseException:
        heir.close()
        raise
    heir.settimeout(sock.gettimeout())
    os.close(sock.detach())
    adopted[sock] = heir
    sock._closed = False  # type: ignore[attr-defined]  # by detach(): it is as open as its heir
    sock.__class__ = AdoptedSocket
    return heir


def _option(sock: socket.socket, level: int, option: int) -> int:
    try:
        return sock.getsockopt(level, option)
    except OSError:
        return 0  # not one of this kind of socket


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True
