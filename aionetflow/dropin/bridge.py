"""Network(bridge="loopback"): the kernel's 127.0.0.1 and ::1 are joined to those of the network's localhost, for TCP.

Programs on the network that connect to a loopback address where no virtual socket listens reach whoever listens there
in the kernel: a server in a thread, or another process. What listens on a virtual loopback address of `localhost`, or
on all its addresses, is listed in the kernel, too. Either way a connection of the kernel's and a virtual one are joined
end to end, so the two ends do not see each other's addresses. Datagrams do not cross.
"""

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Coroutine
from typing import Any

from aionetflow.dropin.socket import VirtualSocket, bridges
from aionetflow.dropin.stream import StreamTransport
from aionetflow.network.host import Host
from aionetflow.network.network import Network

_LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
_PATIENCE = 5.0  # s; a listener of the kernel answers at once, or its backlog is full
_RESET = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds
_System = socket.socket  # whatever the name comes to mean
_Place = tuple[Host, Any]  # an address of a host's


class _End(asyncio.Protocol):
    """One end of a connection, joined to `other`: what is received here is written there."""

    other: "_End"

    def __init__(self, ends: "set[_End]") -> None:
        self._ends = ends
        self._ended = False  # nothing more is received here
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._ends.add(self)
        if self.other.transport is None:
            self.transport.pause_reading()  # until the other end is there
        else:
            self.other.transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def eof_received(self) -> bool:
        self._ended = True
        if self.other._ended:
            self.other.transport.close()
            return False
        self.other.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ends.discard(self)
        other = self.other.transport
        if other is None or other.is_closing():
            return
        if exc is None:
            other.close()
            return
        with contextlib.suppress(OSError):  # a reset is passed on as one
            other.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        other.abort()


class _Gate:
    """Listens where a listener of the kernel does, as long as somebody who was led there is on the way.

    Who they are does not matter, nor in which order they come: so many of the kernel's connections wait for them.
    """

    def __init__(self, guest: VirtualSocket, address: Any) -> None:
        self.expected = 0
        self.sock = VirtualSocket(guest.host, guest.family)
        self.sock.settimeout(0)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # who was led there before has the port, too
        try:
            self.sock.core.bind(address)
            self.sock.core.listen(socket.SOMAXCONN)
        except BaseException:
            self.sock.close()
            raise


class Bridge:
    """Joins the loopback addresses of one network to the kernel's."""

    def __init__(self, network: Network, loop: asyncio.AbstractEventLoop) -> None:
        self._network = network
        self._loop = loop
        self._listeners: dict[VirtualSocket, socket.socket] = {}
        self._gates: dict[_Place, _Gate] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[_End] = set()
        bridges[network] = self

    def close(self) -> None:
        """Ends it: nothing is listed any more, and what was joined is cut."""
        del bridges[self._network]
        for sock in list(self._listeners):
            self.delist(sock)
        for task in self._tasks:
            task.cancel()
        for gate in self._gates.values():
            gate.sock.close()
        for end in list(self._ends):
            end.transport.abort()

    # From the network to the kernel -----------------------------------------------------------------------------

    def lead_out(self, sock: VirtualSocket, address: Any) -> None:
        """Before a virtual socket connects: if only the kernel has a listener there, it is led to it."""
        if not _is_loopback(address):
            return
        place = sock.host, address[:2]
        if place not in self._gates and self._has_listener(sock.host, address):
            return
        outside = _System(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        outside.settimeout(_PATIENCE)
        try:
            outside.connect(address)
        except OSError:
            outside.close()
            return  # the virtual host refuses it, as the kernel did
        outside.setblocking(False)
        if place not in self._gates:
            try:
                self._gates[place] = _Gate(sock, address)
            except OSError:
                outside.close()
                return  # a virtual socket has the port, but does not listen
        self._gates[place].expected += 1
        self._spawn(self._pass_out(place, outside), outside)

    async def _pass_out(self, place: _Place, outside: socket.socket) -> None:
        gate = self._gates[place]
        try:
            inside, _ = await gate.sock.description.until_done(gate.sock.accept_now)
        finally:
            gate.expected -= 1
            if not gate.expected:
                self._gates.pop(place, gate).sock.close()
        await self._join(inside, outside)

    # From the kernel to the network -----------------------------------------------------------------------------

    def reserve(self, sock: VirtualSocket, address: Any) -> Any:
        """A virtual socket is about to bind: the kernel takes the port, too, or chooses it. Returns the address.

        Raises OSError(EADDRINUSE) if the kernel has given the port away.
        """
        host = address[0] or "0.0.0.0"  # as bind() reads an empty one
        if sock.host is not self._network.localhost or sock in self._listeners:
            return address
        if not ipaddress.ip_address(host).is_unspecified and not _is_loopback(address):
            return address
        outside = _System(sock.family)
        try:
            outside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            outside.bind((_LOOPBACK[sock.family], address[1]))
        except OSError:
            outside.close()
            raise
        outside.setblocking(False)
        self._listeners[sock] = outside
        return address[0], outside.getsockname()[1], *address[2:]

    def enlist(self, sock: VirtualSocket) -> None:
        """A virtual socket listens: the kernel listens for it, too."""
        if sock not in self._listeners:
            self.reserve(sock, sock.getsockname())
        outside = self._listeners.get(sock)
        if outside is not None:
            outside.listen()
            self._loop.add_reader(outside.fileno(), self._accept, sock, outside)

    def delist(self, sock: VirtualSocket) -> None:
        """A virtual socket is being closed."""
        outside = self._listeners.pop(sock, None)
        if outside is not None:
            if not self._loop.is_closed():
                self._loop.remove_reader(outside.fileno())
            outside.close()

    def _accept(self, sock: VirtualSocket, outside: socket.socket) -> None:
        try:
            accepted, _ = outside.accept()
        except OSError:
            return
        accepted.setblocking(False)
        inside = VirtualSocket(sock.host, sock.family)
        inside.setblocking(False)
        self._spawn(self._pass_in(inside, (_LOOPBACK[sock.family], sock.getsockname()[1]), accepted), inside, accepted)

    async def _pass_in(self, inside: VirtualSocket, address: Any, outside: socket.socket) -> None:
        await inside.connected(address)
        await self._join(inside, outside)

    # Both ---------------------------------------------------------------------------------------------------------

    async def _join(self, inside: VirtualSocket, outside: socket.socket) -> None:
        near, far = _End(self._ends), _End(self._ends)
        near.other, far.other = far, near
        transport = StreamTransport(self._loop, inside, near)
        # the loop's own call: one that has been reset by now is not connected, and ours would adopt it
        create_connection = type(self._loop).create_connection
        try:
            await create_connection(self._loop, lambda: far, sock=outside)
        except BaseException:
            transport.abort()
            raise

    def _spawn(self, work: Coroutine[Any, Any, None], *socks: socket.socket) -> None:
        """Begins a task; the sockets are closed if it comes to nothing, as when it is cancelled before it begins."""

        def finished(_: object) -> None:
            self._tasks.discard(task)
            if task.cancelled() or task.exception():  # one of the two ends went away first
                for sock in socks:
                    sock.close()

        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(finished)

    def _has_listener(self, host: Host, address: Any) -> bool:
        packed = ipaddress.ip_address(address[0]).packed
        return host.stack.table.listener_of(packed, address[1]) is not None


def _is_loopback(address: Any) -> bool:
    return isinstance(address[0], str) and ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
