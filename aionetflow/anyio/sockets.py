"""anyio's socket streams, listeners and datagram sockets, native to the hosts of a virtual network.

They are made of anyio's abstract classes and of the waiting calls of virtual sockets: no transport and no protocol
stands between. What they promise, and what they raise, is anyio's: ClosedResourceError after aclose(), also to who
waits; BrokenResourceError, its cause an OSError, when the connection has failed; BusyResourceError to the second task
that wants to read, write or accept; EndOfStream. Every call is a checkpoint.
"""

import errno
import socket
import ssl
from collections.abc import Callable, Coroutine
from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeVar

import anyio
from anyio import (
    BrokenResourceError,
    ClosedResourceError,
    EndOfStream,
    Event,
    ResourceGuard,
    create_task_group,
    move_on_after,
)
from anyio import abc as interfaces
from anyio.abc import SocketAttribute
from anyio.lowlevel import checkpoint
from anyio.streams.stapled import MultiListener
from anyio.streams.tls import TLSStream

from aionetflow.dropin import resolve
from aionetflow.dropin import sock as calls
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.network.host import current_host
from aionetflow.socket.options import SHUT_WR, SOCK_DGRAM, SOCK_STREAM

__all__ = [
    "ConnectedUDPSocket", "SocketAttribute", "SocketListener", "SocketStream", "UDPSocket", "connect_tcp",
    "create_connected_udp_socket", "create_tcp_listener", "create_udp_socket",
]  # fmt: skip

_T = TypeVar("_T")
HostName = str | IPv4Address | IPv6Address
_Address = tuple[Any, ...]
_LONGEST = 65535  # octets; of a datagram
_BACKLOG = 65536  # anyio's; a host takes what listen(2) would
_TRIES = 10  # to find a port that is free in each family


class _Native:
    """What they have in common: a virtual socket, and anyio's words for what goes wrong."""

    def __init__(self, sock: VirtualSocket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._closed = False
        self._receiving = ResourceGuard("reading from")
        self._sending = ResourceGuard("writing to")

    @property
    def _raw_socket(self) -> socket.socket:
        return self._sock

    async def aclose(self) -> None:
        """Closes it at once: who waits is told, and what was sent is still delivered."""
        self._closed = True
        self._sock.close()
        await checkpoint()

    async def _make(self, call: Callable[..., Coroutine[Any, Any, _T]], *args: Any) -> _T:
        await checkpoint()
        if self._closed:
            raise ClosedResourceError
        try:
            return await call(self._sock, *args)
        except socket.gaierror:
            raise  # nothing is broken but the name
        except OSError as error:
            if self._closed:
                raise ClosedResourceError from None
            raise BrokenResourceError from error


class SocketStream(_Native, interfaces.SocketStream):
    """A TCP connection: anyio.abc.SocketStream on a virtual host. Made by `connect_tcp` and by listeners."""

    def __init__(self, sock: VirtualSocket) -> None:
        super().__init__(sock)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as anyio does
        self._ended = False
        self._failure: BaseException | None = None  # a connection that has failed stays so

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """At least one octet and at most max_bytes of what has come. Raises EndOfStream at the end."""
        if max_bytes < 1:
            raise ValueError("max_bytes must be a positive integer")
        with self._receiving:
            data: bytes = await self._move(calls.recv, max_bytes)
        if not data:
            raise EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        """Returns when the host has taken all of it, which it will deliver."""
        with self._sending:
            if self._ended and not self._closed:
                await checkpoint()
                raise ClosedResourceError("send_eof() was called")
            await self._move(calls.sendall, item)

    async def send_eof(self) -> None:
        """The peer reads EndOfStream after what was sent; receiving goes on."""
        with self._sending:
            if not self._ended:
                await self._make(_end)
                self._ended = True

    async def _move(self, call: Callable[..., Coroutine[Any, Any, _T]], *args: Any) -> _T:
        if self._failure is not None and not self._closed:
            await checkpoint()
            raise BrokenResourceError from self._failure
        try:
            return await self._make(call, *args)
        except BrokenResourceError as error:
            self._failure = error.__cause__
            raise


async def _end(sock: VirtualSocket) -> None:
    try:
        sock.shutdown(SHUT_WR)
    except OSError as error:
        if error.errno != errno.ENOTCONN:  # the connection is over anyway
            raise


class SocketListener(_Native, interfaces.SocketListener):
    """A listening TCP socket: anyio.abc.SocketListener on a virtual host. Made by `create_tcp_listener`."""

    def __init__(self, sock: VirtualSocket) -> None:
        super().__init__(sock)
        self._accepting = ResourceGuard("accepting connections from")

    async def accept(self) -> SocketStream:
        """The next connection."""
        with self._accepting:
            sock, _ = await self._make(calls.accept)
        return SocketStream(sock)


class UDPSocket(_Native, interfaces.UDPSocket):
    """A UDP socket: anyio.abc.UDPSocket on a virtual host. Made by `create_udp_socket`."""

    async def receive(self) -> tuple[bytes, tuple[str, int]]:
        """The next datagram and its sender, (host, port)."""
        with self._receiving:
            data, address = await self._make(calls.recvfrom, _LONGEST)
        return data, address[:2]

    async def send(self, item: tuple[bytes, tuple[str, int]]) -> None:
        """Sends (data, (host, port)); the host may be a name. Raises socket.gaierror if nobody has it."""
        data, address = item
        with self._sending:
            await self._make(calls.sendto, data, address)


class ConnectedUDPSocket(_Native, interfaces.ConnectedUDPSocket):
    """A UDP socket with one peer: anyio.abc.ConnectedUDPSocket on a virtual host.

    When ICMP says that nobody took a datagram, the next call raises BrokenResourceError from ConnectionRefusedError;
    the socket can be used on. Made by `create_connected_udp_socket`.
    """

    async def receive(self) -> bytes:
        """The next datagram of the peer."""
        with self._receiving:
            data: bytes = await self._make(calls.recv, _LONGEST)
        return data

    async def send(self, item: bytes) -> None:
        """Sends a datagram to the peer."""
        with self._sending:
            await self._make(_send_datagram, item)


async def _send_datagram(sock: VirtualSocket, data: bytes) -> None:
    sock.send(data)  # taken at once or not at all


# Making them -------------------------------------------------------------------------------------------------------


async def connect_tcp(
    remote_host: HostName, remote_port: int, *, local_host: HostName | None = None, local_port: int | None = None,
    tls: bool = False, ssl_context: ssl.SSLContext | None = None, tls_standard_compatible: bool = True,
    tls_hostname: str | None = None, happy_eyeballs_delay: float = 0.25,
) -> SocketStream | TLSStream:  # fmt: skip
    """Connects from the current host, as anyio.connect_tcp(): to each address of the name until one answers.

    Returns a TLSStream if one of tls, ssl_context and tls_hostname says so. happy_eyeballs_delay: seconds that an
    address has before the next is tried, too. Raises socket.gaierror for an unknown name; OSError, its cause what
    went wrong, if no address answers.

    >>> import asyncio, aionetflow
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1) as net:
    ...         web = net.host("web")
    ...         async with web:
    ...             listener = await create_tcp_listener(local_port=80)
    ...         async with listener, await connect_tcp("web", 80) as stream:
    ...             print(stream.extra(SocketAttribute.remote_address) == (web.addresses[0], 80))
    >>> asyncio.run(main())
    True
    """
    here, family, source = current_host(), socket.AF_UNSPEC, None
    await here.network.look_up(str(remote_host), here)
    if local_host:
        family, _, _, _, source = resolve.getaddrinfo(here, str(local_host), local_port, type=SOCK_STREAM)[0]
    infos = resolve.getaddrinfo(here, str(remote_host), remote_port, family, SOCK_STREAM)
    stream = await _connect_one([(info[0], info[4]) for info in infos], source, happy_eyeballs_delay)
    if not (tls or tls_hostname or ssl_context):
        return stream
    try:
        return await TLSStream.wrap(
            stream, server_side=False, hostname=tls_hostname or str(remote_host), ssl_context=ssl_context,
            standard_compatible=tls_standard_compatible,
        )  # fmt: skip
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise


async def _connect_one(addresses: list[tuple[int, _Address]], source: Any, delay: float) -> SocketStream:
    won: list[VirtualSocket] = []
    errors: list[OSError] = []

    async def attempt(family: int, address: _Address, over: Event) -> None:
        try:
            sock = await _connected(family, address, source)
        except OSError as error:
            errors.append(error)
        else:
            won.append(sock)
            tasks.cancel_scope.cancel()
        finally:
            over.set()

    try:
        async with create_task_group() as tasks:
            for family, address in addresses:
                over = Event()
                tasks.start_soon(attempt, family, address, over)
                with move_on_after(delay):
                    await over.wait()
        if won:
            return SocketStream(won.pop(0))
    finally:
        for late in won:
            late.close()
    cause = errors[0] if len(errors) == 1 else ExceptionGroup("multiple connection attempts failed", errors)
    raise OSError("All connection attempts failed") from cause


async def _connected(family: int, address: _Address, source: Any) -> VirtualSocket:
    sock = VirtualSocket(current_host(), family, SOCK_STREAM)
    try:
        if source is not None:
            sock.bind(source)
        await sock.connected(address)
    except BaseException:
        sock.close()
        raise
    return sock


async def create_tcp_listener(
    *, local_host: HostName | None = None, local_port: int = 0, family: int = socket.AF_UNSPEC, backlog: int = _BACKLOG,
    reuse_port: bool = False,
) -> MultiListener[interfaces.SocketStream]:  # fmt: skip
    """Listens on the current host, as anyio.create_tcp_listener(): on every address if no local_host is given.

    Of a name with several addresses, each has a listener, all of one port. Raises OSError.
    """
    await checkpoint()
    if local_host is None and family == socket.AF_UNSPEC:
        both = _listening(socket.AF_INET6, ("::", local_port), backlog, reuse_port, v6only=False)
        return MultiListener([SocketListener(both)])
    host = None if local_host is None else str(local_host)
    infos = resolve.getaddrinfo(current_host(), host, local_port, family, SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = [(info[0], info[4]) for info in infos]
    for _ in range(_TRIES - 1):
        try:
            return _listening_on_all(addresses, backlog, reuse_port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or local_port or len(addresses) == 1:
                raise
    return _listening_on_all(addresses, backlog, reuse_port)


def _listening_on_all(
    addresses: list[tuple[int, _Address]], backlog: int, reuse_port: bool
) -> MultiListener[interfaces.SocketStream]:
    socks: list[VirtualSocket] = []
    port = addresses[0][1][1]
    try:
        for family, address in addresses:
            socks.append(_listening(family, (address[0], port, *address[2:]), backlog, reuse_port))
            port = socks[0].getsockname()[1]
    except BaseException:
        for sock in socks:
            sock.close()
        raise
    return MultiListener([SocketListener(sock) for sock in socks])


def _listening(
    family: int, address: _Address, backlog: int, reuse_port: bool, v6only: bool = True
) -> VirtualSocket:
    sock = VirtualSocket(current_host(), family, SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(sock, address, reuse_port)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


async def create_udp_socket(
    family: int = socket.AF_UNSPEC, *, local_host: HostName | None = None, local_port: int = 0, reuse_port: bool = False
) -> UDPSocket:
    """A UDP socket of the current host, as anyio.create_udp_socket().

    Raises ValueError if neither family nor local_host is given, socket.gaierror, OSError.
    """
    if family == socket.AF_UNSPEC and not local_host:
        raise ValueError('Either "family" or "local_host" must be given')
    await checkpoint()
    family, address = _local(family, local_host, local_port)
    return UDPSocket(_datagram(family, address, None, reuse_port))


async def create_connected_udp_socket(
    remote_host: HostName, remote_port: int, *, family: int = socket.AF_UNSPEC, local_host: HostName | None = None,
    local_port: int = 0, reuse_port: bool = False,
) -> ConnectedUDPSocket:  # fmt: skip
    """A UDP socket of the current host that has one peer, as anyio.create_connected_udp_socket().

    Raises socket.gaierror, OSError.
    """
    await checkpoint()
    await current_host().network.look_up(str(remote_host), current_host())
    source = None
    if local_host:
        family, source = _local(family, local_host, local_port)
    family, _, _, _, target = resolve.getaddrinfo(
        current_host(), str(remote_host), remote_port, family, SOCK_DGRAM
    )[0]  # fmt: skip
    if source is None and local_port:
        source = _local(family, None, local_port)[1]
    return ConnectedUDPSocket(_datagram(family, source, target, reuse_port))


def _local(family: int, host: HostName | None, port: int) -> tuple[int, _Address]:
    name = None if host is None else str(host)
    info = resolve.getaddrinfo(current_host(), name, port, family, SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
    return info[0], info[4]


def _datagram(family: int, source: _Address | None, target: _Address | None, reuse_port: bool) -> VirtualSocket:
    sock = VirtualSocket(current_host(), family, SOCK_DGRAM)
    try:
        if source is not None:
            _bind(sock, source, reuse_port)
        if target is not None:
            sock.begin(target)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind(sock: VirtualSocket, address: _Address, reuse_port: bool) -> None:
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
