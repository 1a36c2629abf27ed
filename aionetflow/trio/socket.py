"""trio's sockets and name look-ups, on the hosts of a virtual network."""

import errno
import os
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Self, TypeVar

import trio

from aionetflow.dropin import resolve
from aionetflow.dropin.description import READABLE, WRITABLE, ready
from aionetflow.dropin.patch import extend, unpatched
from aionetflow.dropin.sock import at_once, outcome_of_connecting
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.network.host import Host, optional_host
from aionetflow.socket.base import Owner

_T = TypeVar("_T")
_LENGTHS = {socket.AF_INET: (2,), socket.AF_INET6: (2, 3, 4)}
_SHAPES = {
    socket.AF_INET: "address should be a (host, port) tuple",
    socket.AF_INET6: "address should be a (host, port, [flowinfo, [scopeid]]) tuple",
}
_recv, _recv_into, _recvfrom, _recvfrom_into, _recvmsg, _recvmsg_into, _send = map(
    at_once, ("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "send")
)


class Socket(trio.socket.SocketType):
    """What trio.socket.socket() makes on a virtual network: trio's socket around a VirtualSocket."""

    def __init__(self, sock: VirtualSocket) -> None:
        super().__init__()
        sock.setblocking(False)
        sock.core.owner = Owner(os.getpid(), _task_name())
        self._sock = sock
        self._did_shutdown_SHUT_WR = False

    # What does not wait -------------------------------------------------------------------------------------------

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return self._sock.family

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM or SOCK_DGRAM."""
        return self._sock.type

    @property
    def proto(self) -> int:
        """The protocol that it was made with: 0 if none was named."""
        return self._sock.proto

    @property
    def did_shutdown_SHUT_WR(self) -> bool:
        """Whether the program has ended its own direction."""
        return self._did_shutdown_SHUT_WR

    def fileno(self) -> int:
        """A descriptor that poll(2) answers for as for this socket; -1 once closed."""
        return self._sock.fileno()

    def detach(self) -> int:
        """See socket.detach()."""
        return self._sock.detach()

    def dup(self) -> "Socket":
        """See socket.dup()."""
        return Socket(self._sock.dup())

    def getsockname(self) -> Any:
        """See getsockname(2)."""
        return self._sock.getsockname()

    def getpeername(self) -> Any:
        """See getpeername(2)."""
        return self._sock.getpeername()

    def getsockopt(self, *args: Any) -> Any:
        """See getsockopt(2)."""
        return self._sock.getsockopt(*args)

    def setsockopt(self, *args: Any) -> None:
        """See setsockopt(2)."""
        self._sock.setsockopt(*args)

    def get_inheritable(self) -> bool:
        """No other program can inherit it."""
        return self._sock.get_inheritable()

    def set_inheritable(self, inheritable: bool) -> None:
        """Has no effect."""
        self._sock.set_inheritable(inheritable)

    def listen(self, backlog: int = min(socket.SOMAXCONN, 128)) -> None:
        """See listen(2)."""
        self._sock.listen(backlog)

    def shutdown(self, flag: int) -> None:
        """See shutdown(2)."""
        self._sock.shutdown(flag)
        if flag in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._did_shutdown_SHUT_WR = True

    def is_readable(self) -> bool:
        """Whether recv() or accept() would not wait."""
        return bool(ready(self._sock.core) & READABLE)

    def close(self) -> None:
        """Closes it; who waits for it gets trio.ClosedResourceError."""
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<aionetflow.trio.Socket around {self._sock!r}>"

    # What may wait ------------------------------------------------------------------------------------------------

    async def bind(self, address: Any) -> None:
        """See bind(2)."""
        target = await self._resolved(address, socket.AI_PASSIVE)
        await trio.lowlevel.checkpoint()
        self._sock.bind(target)

    async def connect(self, address: Any) -> None:
        """Connects, and waits for the end of the handshake. A socket whose connect() is cancelled is closed."""
        try:
            target = await self._resolved(address, 0)
            await trio.lowlevel.checkpoint()
            error = await self._closing_seen(outcome_of_connecting(self._sock, target))
        except trio.Cancelled:
            self._sock.close()
            raise
        if error:
            raise OSError(error, f"Error connecting to {target!r}: {os.strerror(error)}")

    async def accept(self) -> "tuple[Socket, Any]":
        """See accept(2)."""
        sock, address = await self._make(self._sock.accept_now)
        return Socket(sock), address

    async def wait_writable(self) -> None:
        """Waits until there is room to send something."""

        def look() -> None:
            if not ready(self._sock.core) & WRITABLE:
                raise BlockingIOError

        await self._make(look)

    def recv(self, *args: Any) -> Awaitable[bytes]:
        """See recv(2)."""
        return self._make(partial(_recv, self._sock, *args))

    def recv_into(self, *args: Any, **kwargs: Any) -> Awaitable[int]:
        """See recv(2)."""
        return self._make(partial(_recv_into, self._sock, *args, **kwargs))

    def recvfrom(self, *args: Any) -> Awaitable[tuple[bytes, Any]]:
        """See recvfrom(2)."""
        return self._make(partial(_recvfrom, self._sock, *args))

    def recvfrom_into(self, *args: Any, **kwargs: Any) -> Awaitable[tuple[int, Any]]:
        """See recvfrom(2)."""
        return self._make(partial(_recvfrom_into, self._sock, *args, **kwargs))

    def recvmsg(self, *args: Any) -> Awaitable[tuple[bytes, list[Any], int, Any]]:
        """See recvmsg(2)."""
        return self._make(partial(_recvmsg, self._sock, *args))

    def recvmsg_into(self, *args: Any) -> Awaitable[tuple[int, list[Any], int, Any]]:
        """See recvmsg(2)."""
        return self._make(partial(_recvmsg_into, self._sock, *args))

    def send(self, *args: Any) -> Awaitable[int]:
        """See send(2)."""
        return self._make(partial(_send, self._sock, *args))

    async def sendto(self, *args: Any) -> int:
        """sendto(data, address) or sendto(data, flags, address); see sendto(2)."""
        *rest, address = args
        target = await self._resolved(address, 0)
        return await self._make(lambda: self._sock.sendto(*rest, target))

    async def sendmsg(self, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None, /) -> int:
        """See sendmsg(2)."""
        if address is not None:
            address = await self._resolved(address, 0)
        return await self._make(lambda: self._sock.sendmsg(buffers, ancdata, flags, address))

    # Inside -------------------------------------------------------------------------------------------------------

    async def _make(self, attempt: Callable[[], _T]) -> _T:
        """Makes a call, at a checkpoint, until it does not say "would block" any more."""
        await trio.lowlevel.checkpoint()
        try:
            return attempt()
        except BlockingIOError:
            return await self._closing_seen(self._sock.description.until_done(attempt))

    async def _closing_seen(self, waiting: Awaitable[_T]) -> _T:
        """Waits; trio.ClosedResourceError if the socket is closed meanwhile."""
        try:
            return await waiting
        except OSError as error:
            if error.errno == errno.EBADF:
                raise trio.ClosedResourceError("another task closed this socket") from None
            raise

    async def _resolved(self, address: Any, flags: int) -> Any:
        """An address whose host is a literal, from one whose host may be a name, asked for as trio asks."""
        family = self.family
        if not isinstance(address, tuple) or len(address) not in _LENGTHS[family]:
            raise ValueError(_SHAPES[family])
        host, port, *rest = address
        if _is_literal(family, host) and isinstance(port, int):
            return address
        if family == socket.AF_INET6 and not self._sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
            flags |= socket.AI_V4MAPPED
        host = "255.255.255.255" if host == "<broadcast>" else host or None
        infos = await trio.socket.getaddrinfo(host, port, family, self.type, self.proto, flags)
        found = infos[0][4]
        return (*found[:2], *rest, *found[2 + len(rest) :])


def from_stdlib_socket(sock: socket.socket) -> trio.socket.SocketType:
    """What trio.socket.from_stdlib_socket() is under patch(): it takes virtual sockets, too."""
    if isinstance(sock, VirtualSocket):
        return Socket(sock)
    with unpatched():  # trio takes what is of the class socket.socket exactly
        return _from_stdlib_socket(sock)


_from_stdlib_socket = trio.socket.from_stdlib_socket
extend(vars(trio.socket), "from_stdlib_socket", from_stdlib_socket)
extend(trio.socket.socketpair.__globals__, "from_stdlib_socket", from_stdlib_socket)


def _is_literal(family: int, host: Any) -> bool:
    try:
        socket.inet_pton(family, host)
    except (OSError, TypeError):
        return False
    return True


def _task_name() -> str:
    try:
        return trio.lowlevel.current_task().name
    except RuntimeError:
        return ""


class SocketFactory(trio.abc.SocketFactory):
    """Makes the sockets of trio programs: on the host that the task is on; outside any, on `home`."""

    def __init__(self, home: Host) -> None:
        self._home = home

    def socket(self, family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0) -> Any:
        """See trio.socket.socket(). What is not for TCP or UDP over IP stays the kernel's."""
        if family not in _LENGTHS:
            return from_stdlib_socket(socket.socket(family, type, proto))
        return Socket(VirtualSocket(optional_host() or self._home, family, type, proto))


class HostnameResolver(trio.abc.HostnameResolver):
    """Looks names up on the network."""

    def __init__(self, home: Host) -> None:
        self._home = home

    async def getaddrinfo(
        self, host: bytes | None, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        """See trio.socket.getaddrinfo()."""
        await trio.lowlevel.checkpoint()
        return resolve.getaddrinfo(optional_host() or self._home, host, port, family, type, proto, flags)

    async def getnameinfo(self, sockaddr: Any, flags: int) -> tuple[str, str]:
        """See trio.socket.getnameinfo()."""
        await trio.lowlevel.checkpoint()
        return resolve.getnameinfo(optional_host() or self._home, sockaddr, flags)
