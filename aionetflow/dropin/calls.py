"""The network calls of an event loop, made on a virtual network.

How create_connection() reads its arguments, in which order it tries addresses and what it says when all fail is
asyncio's business, and differs a little from version to version. So it is asyncio's own functions that run here, those
of the Python that runs: only what they know as `socket` is ours, and their `self` is a NetworkCalls instead of a loop.
"""

import asyncio
import concurrent.futures
import functools
import itertools
import socket
import types
from asyncio import base_events, sslproto
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any

from aionetflow.dropin import adopt, direct, resolve
from aionetflow.dropin import sock as calls
from aionetflow.dropin.datagram import DatagramTransport
from aionetflow.dropin.description import READABLE, WRITABLE
from aionetflow.dropin.server import Server
from aionetflow.dropin.serving import Serving
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.dropin.stream import StreamTransport
from aionetflow.fast_paths import FAST
from aionetflow.network.host import Host, host_in, run_as

KernelCalls = dict[str, Callable[..., Any]]
# Executors whose work is done by threads of this interpreter: the default one, and ...
_THREADS = (concurrent.futures.ThreadPoolExecutor, type(None))
_ELSEWHERE = getattr(concurrent.futures, "InterpreterPoolExecutor", ())  # ... derived from it, since Python 3.14
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class _SocketModule:
    """What asyncio's functions find under the name `socket`: sockets are ours, all else is the module's."""

    @staticmethod
    def socket(family: int = socket.AF_INET, type: int = socket.SOCK_STREAM, proto: int = 0) -> socket.socket:
        if family in _FAMILIES:
            return VirtualSocket(host_in(asyncio.get_running_loop()), family, type, proto)
        return socket.socket(family, type, proto)

    def __getattr__(self, name: str) -> Any:
        return getattr(socket, name)


# create_server() goes over a set of addresses: in an order that does not change from run to run, here.
_GLOBALS = {**vars(base_events), "socket": _SocketModule(), "Server": Server, "set": dict.fromkeys}


def _with_our_sockets(name: str) -> Callable[..., Any]:
    """A function of asyncio's base event loop, with our globals for its own."""
    theirs = getattr(base_events.BaseEventLoop, name)
    ours = types.FunctionType(theirs.__code__, _GLOBALS, name, theirs.__defaults__, theirs.__closure__)
    ours.__kwdefaults__ = theirs.__kwdefaults__
    return ours


class NetworkCalls(Serving):
    """What a loop on a network does in the place of its own methods of the same names.

    `loop` is the loop, `kernel` its own methods, which are called for Unix sockets and connected sockets of the kernel.
    Documented in asyncio: https://docs.python.org/3/library/asyncio-eventloop.html
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, kernel: KernelCalls) -> None:
        self.loop = loop
        self.kernel = kernel

    def __getattr__(self, name: str) -> Any:
        # create_future(), call_soon() ..., and getaddrinfo(), which a program may have replaced
        return getattr(self.loop, name)

    @property
    def _debug(self) -> bool:
        return self.loop.get_debug()

    def host(self) -> Host:
        """The host that the running task is on."""
        return host_in(self.loop)

    def _virtual(self, sock: Any) -> VirtualSocket | None:
        """The virtual socket that a program has given, or that adopts the one it has given."""
        return adopt.virtual(sock, self.host)

    def _answers_names(self) -> bool:
        """Whether it is getaddrinfo() of this class that the loop's programs call."""
        return getattr(self.loop.getaddrinfo, "__self__", None) is self

    def _is_kernels(self, sock: Any) -> bool:
        """Whether a call is about a socket that stays the kernel's."""
        return sock is not None and self._virtual(sock) is None

    def _is_over_kernels(self, transport: Any) -> bool:
        """Whether a transport is over such a socket. What is no transport at all, asyncio finds fault with."""
        get_extra_info = getattr(transport, "get_extra_info", None)
        return get_extra_info is not None and self._is_kernels(get_extra_info("socket"))

    # Transports and servers ---------------------------------------------------------------------------------------

    async def create_connection(self, protocol_factory: Any, *args: Any, sock: Any = None, **kwargs: Any) -> Any:
        """See loop.create_connection()."""
        if FAST.direct_connect and sock is None and not kwargs and len(args) == 2 and not self._debug:
            here = self.host()
            places = direct.plain(here, *args)
            if places and self._answers_names():
                return await direct.create_connection(self.loop, here, places, protocol_factory)
        if self._is_kernels(sock):
            return await self.kernel["create_connection"](protocol_factory, *args, sock=sock, **kwargs)
        return await _create_connection(self, protocol_factory, *args, sock=self._virtual(sock), **kwargs)

    async def create_server(self, protocol_factory: Any, *args: Any, sock: Any = None, **kwargs: Any) -> Any:
        """See loop.create_server()."""
        if self._is_kernels(sock):
            return await self.kernel["create_server"](protocol_factory, *args, sock=sock, **kwargs)
        return await _create_server(self, protocol_factory, *args, sock=self._virtual(sock), **kwargs)

    async def connect_accepted_socket(self, protocol_factory: Any, sock: Any, **kwargs: Any) -> Any:
        """See loop.connect_accepted_socket()."""
        if self._is_kernels(sock):
            return await self.kernel["connect_accepted_socket"](protocol_factory, sock, **kwargs)
        return await _connect_accepted_socket(self, protocol_factory, self._virtual(sock), **kwargs)

    async def create_datagram_endpoint(
        self, protocol_factory: Any, *args: Any, sock: Any = None, **kwargs: Any
    ) -> Any:
        """See loop.create_datagram_endpoint()."""
        if self._is_kernels(sock) or kwargs.get("family") == socket.AF_UNIX:
            return await self.kernel["create_datagram_endpoint"](protocol_factory, *args, sock=sock, **kwargs)
        return await _create_datagram_endpoint(self, protocol_factory, *args, sock=self._virtual(sock), **kwargs)

    def _make_socket_transport(
        self, sock: VirtualSocket, protocol: Any, waiter: Any = None, *, extra: Any = None, server: Any = None,
        context: Any = None,
    ) -> StreamTransport:  # fmt: skip
        return StreamTransport(self.loop, sock, protocol, waiter, extra, server)

    def _make_datagram_transport(
        self, sock: VirtualSocket, protocol: Any, address: Any = None, waiter: Any = None, extra: Any = None
    ) -> DatagramTransport:
        return DatagramTransport(self.loop, sock, protocol, address, waiter, extra)

    def _make_ssl_transport(
        self, sock: VirtualSocket, protocol: Any, sslcontext: Any, waiter: Any = None, *, server_side: bool = False,
        server_hostname: str | None = None, extra: Any = None, server: Any = None, ssl_handshake_timeout: Any = None,
        ssl_shutdown_timeout: Any = None, context: Any = None,
    ) -> Any:  # fmt: skip
        layer = sslproto.SSLProtocol(
            self.loop, protocol, sslcontext, waiter, server_side, server_hostname,
            ssl_handshake_timeout=ssl_handshake_timeout, ssl_shutdown_timeout=ssl_shutdown_timeout,
        )  # type: ignore[no-untyped-call, unused-ignore]  # fmt: skip
        StreamTransport(self.loop, sock, layer, None, extra, server)
        return layer._app_transport

    # Sockets --------------------------------------------------------------------------------------------------------

    async def _sock_call(self, name: str, sock: Any, *args: Any) -> Any:
        ours = self._virtual(sock)
        if ours is None:
            return await self.kernel[f"sock_{name}"](sock, *args)
        calls.check(ours, self._debug)
        was_closed = ours.is_closed
        try:
            return await getattr(calls, name)(ours, *args)
        except OSError:
            if was_closed or not ours.is_closed:
                raise
        return await self._never()

    async def _never(self) -> None:
        """What a coroutine of asyncio comes to whose descriptor is closed while it waits; it may be cancelled."""
        future = self.loop.create_future()
        # the loop holds it: it would be collected with all that waits for it
        kept: set[asyncio.Future[None]] = vars(self.loop).setdefault("_aionetflow_abandoned", set())
        kept.add(future)
        future.add_done_callback(kept.discard)
        await future

    async def sock_recv(self, sock: Any, n: int) -> Any:
        """See loop.sock_recv()."""
        return await self._sock_call("recv", sock, n)

    async def sock_recv_into(self, sock: Any, buf: Any) -> Any:
        """See loop.sock_recv_into()."""
        return await self._sock_call("recv_into", sock, buf)

    async def sock_recvfrom(self, sock: Any, bufsize: int) -> Any:
        """See loop.sock_recvfrom()."""
        return await self._sock_call("recvfrom", sock, bufsize)

    async def sock_recvfrom_into(self, sock: Any, buf: Any, nbytes: int = 0) -> Any:
        """See loop.sock_recvfrom_into()."""
        return await self._sock_call("recvfrom_into", sock, buf, nbytes)

    async def sock_sendall(self, sock: Any, data: Any) -> Any:
        """See loop.sock_sendall()."""
        return await self._sock_call("sendall", sock, data)

    async def sock_sendto(self, sock: Any, data: Any, address: Any) -> Any:
        """See loop.sock_sendto()."""
        return await self._sock_call("sendto", sock, data, address)

    async def sock_connect(self, sock: Any, address: Any) -> Any:
        """See loop.sock_connect()."""
        ours = self._virtual(sock)
        if ours is not None:
            calls.check(ours, self._debug)
            found = await self._ensure_resolved(
                address, family=ours.family, type=ours.type, proto=ours.proto, loop=self.loop
            )
            address = found[0][4]
        return await self._sock_call("connect", sock, address)

    async def sock_accept(self, sock: Any) -> Any:
        """See loop.sock_accept()."""
        return await self._sock_call("accept", sock)

    async def sock_sendfile(
        self, sock: Any, file: Any, offset: int = 0, count: int | None = None, *, fallback: bool = True
    ) -> Any:
        """See loop.sock_sendfile()."""
        ours = self._virtual(sock)
        if ours is None:
            return await self.kernel["sock_sendfile"](sock, file, offset, count, fallback=fallback)
        return await _sock_sendfile(self, ours, file, offset, count, fallback=fallback)

    async def _sock_sendfile_native(self, sock: Any, file: Any, offset: int, count: int | None) -> Any:
        return await calls.sendfile(sock, file, offset, count)

    async def _sendfile_native(self, transport: Any, file: Any, offset: int, count: int | None) -> Any:
        sock = transport._sock
        self._check_sendfile_params(sock, file, offset, count)
        was_reading = transport.is_reading()
        transport.pause_reading()
        await transport._make_empty_waiter()
        sock.description.transport = None  # for so long the socket is not the transport's alone
        try:
            return await calls.sendfile(sock, file, offset, count, for_transport=True)
        finally:
            transport._reset_empty_waiter()
            if transport._sock is not None:
                sock.description.transport = transport
            if was_reading:
                transport.resume_reading()

    async def sendfile(self, transport: Any, *args: Any, **kwargs: Any) -> Any:
        """See loop.sendfile()."""
        if self._is_over_kernels(transport):
            return await self.kernel["sendfile"](transport, *args, **kwargs)
        return await _sendfile(self, transport, *args, **kwargs)

    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, **kwargs: Any) -> Any:
        """See loop.start_tls()."""
        if self._is_over_kernels(transport):
            return await self.kernel["start_tls"](transport, protocol, sslcontext, **kwargs)
        return await _start_tls(self, transport, protocol, sslcontext, **kwargs)

    async def _ensure_resolved(self, *args: Any, loop: Any, **kwargs: Any) -> Any:
        # the loop's getaddrinfo(), which a program may have replaced
        return await _ensure_resolved(self, *args, loop=self.loop, **kwargs)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        """See loop.run_in_executor(): the sockets that a thread makes are on the host that its caller is on."""
        if isinstance(executor, _THREADS) and not isinstance(executor, _ELSEWHERE) and not iscoroutinefunction(func):
            func = functools.partial(run_as, self.host(), func)
        return self.kernel["run_in_executor"](executor, func, *args)

    # Names and readiness ----------------------------------------------------------------------------------------------

    async def getaddrinfo(
        self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
    ) -> Any:
        """See loop.getaddrinfo(): names are those of the network.

        For others a function is asked that the program had put in the place of the loop's before.
        """
        here = self.host()
        if here.network.shared and not flags & socket.AI_NUMERICHOST:
            await here.network.look_up(host, here)
        try:
            return resolve.getaddrinfo(here, host, port, family, type, proto, flags)
        except socket.gaierror as error:
            theirs = self.kernel["getaddrinfo"]
            if error.errno != socket.EAI_NONAME or getattr(theirs, "__self__", None) is self.loop:
                raise
        return await theirs(host, port, family=family, type=type, proto=proto, flags=flags)

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Any:
        """See loop.getnameinfo()."""
        return resolve.getnameinfo(self.host(), sockaddr, flags)

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> Any:
        """See loop.add_reader()."""
        return self._watch("add_reader", READABLE, fd, callback, args)

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> Any:
        """See loop.add_writer()."""
        return self._watch("add_writer", WRITABLE, fd, callback, args)

    def remove_reader(self, fd: Any) -> Any:
        """See loop.remove_reader()."""
        return self._unwatch("remove_reader", READABLE, fd)

    def remove_writer(self, fd: Any) -> Any:
        """See loop.remove_writer()."""
        return self._unwatch("remove_writer", WRITABLE, fd)

    def _watch(self, name: str, mask: int, fd: Any, callback: Any, args: Any) -> Any:
        sock = self._free_of_transport(fd)
        if sock is None:
            return self.kernel[name](fd, callback, *args)
        return sock.description.watch(mask, callback, args)

    def _unwatch(self, name: str, mask: int, fd: Any) -> Any:
        sock = self._free_of_transport(fd)
        return self.kernel[name](fd) if sock is None else sock.description.unwatch(mask)

    def _free_of_transport(self, fd: Any) -> VirtualSocket | None:
        sock = adopt.known(fd)
        if sock is not None:
            sock.description.check_free(fd)
        return sock


# asyncio's own, by the names under which they call each other.
for _name in (
    "_connect_sock", "_create_connection_transport", "_create_server_getaddrinfo", "_sendfile_fallback",
    "_check_sendfile_params", "_sock_sendfile_fallback",
):  # fmt: skip
    setattr(NetworkCalls, _name, _with_our_sockets(_name))
_ensure_resolved = _with_our_sockets("_ensure_resolved")
_create_connection = _with_our_sockets("create_connection")
_create_server = _with_our_sockets("create_server")
_connect_accepted_socket = _with_our_sockets("connect_accepted_socket")
_create_datagram_endpoint = _with_our_sockets("create_datagram_endpoint")
_sock_sendfile = _with_our_sockets("sock_sendfile")
_sendfile = _with_our_sockets("sendfile")
_start_tls = _with_our_sockets("start_tls")

# The methods of a loop that are replaced.
NAMES = tuple(
    itertools.chain(
        (
            "create_connection", "create_server", "connect_accepted_socket", "create_datagram_endpoint", "sendfile",
            "start_tls", "getaddrinfo", "getnameinfo", "add_reader", "add_writer", "remove_reader", "remove_writer",
            "run_in_executor",
        ),
        (name for name in vars(NetworkCalls) if name.startswith("sock_")),
    )
)  # fmt: skip
