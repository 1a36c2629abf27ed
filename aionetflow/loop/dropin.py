"""VirtualSocket: a socket.socket whose other side is a host of a virtual network.

It passes for a socket.socket wherever a program checks, and has all its methods, but no socket of the kernel. What does
not have to wait is done at once by the core socket. What would have to wait raises BlockingIOError if the socket does
not block; on another thread than the network's it waits; on the network's own thread, where waiting would stop the very
network that is waited for, it is an error.
"""

import errno
import socket
import warnings
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Self, TypeVar
from weakref import WeakValueDictionary

from aionetflow.errors import os_error
from aionetflow.loop import resolve
from aionetflow.loop.description import Description
from aionetflow.loop.threads import call_in_loop, on_the_loop, wait_for
from aionetflow.network.host import Host
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SOCK_DGRAM, SOCK_STREAM
from aionetflow.socket.stream import StreamSocket

_T = TypeVar("_T")
Buffer = bytes | bytearray | memoryview
_Core = StreamSocket | DatagramSocket
_KIND_BITS = 0xF  # the rest of a socket's type is SOCK_CLOEXEC and SOCK_NONBLOCK

# By the descriptors that programs have asked for: whose they are, and those whose object was detached.
_by_descriptor: "WeakValueDictionary[int, VirtualSocket]" = WeakValueDictionary()
_detached: dict[int, Description] = {}


class VirtualSocket(socket.socket):
    """A socket on a virtual host.

    `description` is what it shares with its copies; `host` the host it is on; `core` the socket below, a control block.

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1) as net:
    ...         with VirtualSocket(net.localhost) as sock:
    ...             sock.bind(("localhost", 8080))
    ...             print(sock.getsockname(), isinstance(sock, socket.socket))
    >>> asyncio.run(main())
    ('127.0.0.1', 8080) True
    """

    __slots__ = ("description", "_proto", "_timeout", "_shut")

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # the C class's own descriptor stays -1: its __init__ is never called
        return super().__new__(cls)

    def __init__(
        self, host: Host, family: int = socket.AF_INET, type: int = SOCK_STREAM, proto: int = 0,
        *, description: Description | None = None,
    ) -> None:  # fmt: skip
        if description is None:
            kind = type & _KIND_BITS
            if family not in (socket.AF_INET, socket.AF_INET6):
                raise os_error(errno.EAFNOSUPPORT)
            if kind not in (SOCK_STREAM, SOCK_DGRAM):
                raise os_error(errno.ESOCKTNOSUPPORT)
            if proto not in (0, socket.IPPROTO_TCP if kind == SOCK_STREAM else socket.IPPROTO_UDP):
                raise os_error(errno.EPROTONOSUPPORT)
            loop = host.network.event_loop()
            description = Description(host.socket(family, kind), host, loop)
        self.description = description
        self._proto = proto
        self._shut = False
        self._io_refs = 0
        self._closed = False
        self._timeout = 0.0 if type & socket.SOCK_NONBLOCK else socket.getdefaulttimeout()

    # What it is -------------------------------------------------------------------------------------------------

    @property
    def core(self) -> _Core:
        """The control block below; OSError(EBADF) once the socket object is closed."""
        core = self.description.core
        if self._shut:
            raise os_error(errno.EBADF)
        assert isinstance(core, StreamSocket | DatagramSocket)
        return core

    @property
    def host(self) -> Host:
        """The host it is on."""
        return self.description.host

    @property
    def family(self) -> socket.AddressFamily:
        """AF_INET or AF_INET6."""
        return socket.AddressFamily(self.description.core.family)

    @property
    def type(self) -> socket.SocketKind:
        """SOCK_STREAM or SOCK_DGRAM."""
        return socket.SocketKind(self.description.core.type)

    @property
    def proto(self) -> int:
        """The protocol that it was made with: 0 if none was named."""
        return self._proto

    @property
    def timeout(self) -> float | None:
        """Seconds that a call waits; None: for ever, 0: not at all."""
        return self._timeout

    def gettimeout(self) -> float | None:
        """The same."""
        return self._timeout

    def settimeout(self, value: float | None) -> None:
        """See socket.settimeout()."""
        if value is not None and value < 0:
            raise ValueError("Timeout value out of range")
        self._timeout = None if value is None else float(value)

    def setblocking(self, flag: bool) -> None:
        """See socket.setblocking()."""
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """See socket.getblocking()."""
        return self._timeout != 0.0

    def get_inheritable(self) -> bool:
        """No other program can inherit it."""
        return False

    def set_inheritable(self, inheritable: bool) -> None:
        """Has no effect."""

    def fileno(self) -> int:
        """A descriptor that poll(2) answers for as for this socket, made when first asked for; -1 once closed."""
        if self._shut:
            return -1
        descriptor = self._call(self.description.descriptor)
        if descriptor >= 0:
            _by_descriptor.setdefault(descriptor, self)
        return descriptor

    # Addresses and options --------------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        """See bind(2)."""
        self._call(lambda: self.core.bind(self._literal(address)))

    def listen(self, backlog: int = 128) -> None:
        """See listen(2)."""
        self._call(lambda: self.core.listen(backlog))

    def getsockname(self) -> Any:
        """See getsockname(2)."""
        return self._call(self.core.getsockname)

    def getpeername(self) -> Any:
        """See getpeername(2)."""
        return self._call(self.core.getpeername)

    def getsockopt(self, level: int, option: int, length: int = 0) -> Any:
        """See getsockopt(2)."""
        return self._call(lambda: self.core.getsockopt(level, option, length))

    def setsockopt(self, level: int, option: int, value: Any, length: int | None = None) -> None:
        """See setsockopt(2)."""
        if value is None:
            value = bytes(length or 0)
        self._call(lambda: self.core.setsockopt(level, option, value))

    # Connections ------------------------------------------------------------------------------------------------

    def connect(self, address: Any) -> None:
        """See connect(2)."""
        target = self._literal(address)
        if self._timeout == 0 or self.type == SOCK_DGRAM:
            self._call(lambda: self.core.connect(target))
        else:
            self._wait("connect", lambda: self.connected(target))

    def connect_ex(self, address: Any) -> int:
        """As connect(), but returns the errno."""
        try:
            self.connect(address)
        except OSError as error:
            if error.errno is None or isinstance(error, socket.gaierror):
                raise
            return error.errno
        return 0

    async def connected(self, target: Any) -> None:
        """Connects to a literal address, and waits for the end of the handshake."""
        core = self.core
        if not isinstance(core, StreamSocket):
            core.connect(target)
            return
        while True:
            seen = self.description.changes
            try:
                core.connect(target)
            except BlockingIOError:
                if core.is_connecting():  # on one host the handshake may be over already
                    await self.description.wait(seen)
            else:
                return

    def accept(self) -> tuple["VirtualSocket", Any]:
        """See accept(2)."""
        return self._retry("accept", self.accept_now)

    def accept_now(self) -> tuple["VirtualSocket", Any]:
        """accept() that does not wait, whatever the time-out is."""
        core, address = self.core.accept()
        core.owner = self.host.owner()
        description = Description(core, self.host, self.description.loop)
        return VirtualSocket(self.host, proto=self._proto, description=description), address

    def shutdown(self, how: int) -> None:
        """See shutdown(2)."""
        self._call(lambda: self.core.shutdown(how))

    # Data -------------------------------------------------------------------------------------------------------

    def send(self, data: Any, flags: int = 0) -> int:
        """See send(2)."""
        return self._retry("send", lambda: self._written(self.core.send(data, flags)), flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Sends all of it; see socket.sendall()."""
        rest = memoryview(data).cast("B")
        while len(rest):
            rest = rest[self.send(rest, flags) :]

    def sendto(self, data: Any, *flags_and_address: Any) -> int:
        """sendto(data, address) or sendto(data, flags, address); see sendto(2)."""
        if not 1 <= len(flags_and_address) <= 2:
            raise TypeError(f"sendto() takes 2 or 3 arguments ({1 + len(flags_and_address)} given)")
        core = self.core
        if not isinstance(core, DatagramSocket):
            return self.send(data)
        address = self._literal(flags_and_address[-1])
        return self._call(lambda: core.sendto(data, address))

    def sendmsg(self, buffers: Iterable[Any], ancdata: Any = (), flags: int = 0, address: Any = None) -> int:
        """See sendmsg(2); there is no ancillary data on a virtual network."""
        if list(ancdata):
            raise os_error(errno.EINVAL)
        data = b"".join(buffers)
        return self.send(data, flags) if address is None else self.sendto(data, flags, address)

    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """See recv(2)."""
        return self._retry("recv", lambda: self._taken(self.core.recv(bufsize, flags)), flags)

    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """See recvfrom(2)."""
        core = self.core
        if not isinstance(core, DatagramSocket):
            return self.recv(bufsize, flags), None
        return self._retry("recvfrom", lambda: self._taken(core.recvfrom(bufsize, flags)), flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """See recv(2)."""
        return _copied(buffer, self.recv(_room(buffer, nbytes), flags))

    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """See recvfrom(2)."""
        data, address = self.recvfrom(_room(buffer, nbytes), flags)
        return _copied(buffer, data), address

    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, Any]:
        """See recvmsg(2); there is no ancillary data on a virtual network."""
        data, address = self.recvfrom(bufsize, flags)
        return data, [], 0, address

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """See socket.sendfile(): the file is read and sent piece by piece."""
        sent: int = self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]
        return sent

    # The end ----------------------------------------------------------------------------------------------------

    def _real_close(self, *args: Any) -> None:
        # socket.socket's close() calls it when no file object uses the socket any more
        if not self._shut:
            self._shut = True
            self._call(self.description.release)

    def detach(self) -> int:
        """Closes the object and leaves the socket open: its descriptor is returned (socket.socket(fileno=...))."""
        descriptor = self.fileno()
        if descriptor >= 0:
            _detached[descriptor] = self.description
            self._closed = self._shut = True
        return descriptor

    def dup(self) -> "VirtualSocket":
        """Another object for the same socket."""
        self.description.references += 1
        copy = VirtualSocket(self.host, proto=self._proto, description=self.description)
        copy.settimeout(self._timeout)
        return copy

    def __del__(self) -> None:
        if not getattr(self, "_shut", True):
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self._closed = self._shut = True
            # the garbage collector may come in the middle of anything, and on any thread
            loop = self.description.loop
            if loop.is_closed():
                self.description.release()
            else:
                loop.call_soon_threadsafe(self.description.release)

    def __repr__(self) -> str:
        return f"<aionetflow.VirtualSocket on {self.host.name}: {self.description.core!r}>"

    # Inside -----------------------------------------------------------------------------------------------------

    def _literal(self, address: Any) -> Any:
        return resolve.to_literal(self.host, self.description.core.family, address)

    def _written(self, count: int) -> int:
        self.description.reflect()
        return count

    def _taken(self, data: _T) -> _T:
        self.description.reflect()
        return data

    def _call(self, action: Callable[[], _T]) -> _T:
        loop = self.description.loop
        return action() if on_the_loop(loop) else call_in_loop(loop, action)

    def _retry(self, name: str, attempt: Callable[[], _T], flags: int = 0) -> _T:
        try:
            return self._call(attempt)
        except BlockingIOError:
            if self._timeout == 0 or flags & socket.MSG_DONTWAIT:
                raise
        return self._wait(name, lambda: self.description.until_done(attempt))

    def _wait(self, name: str, action: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        return wait_for(self.description.loop, name, action, self._timeout)


def of_descriptor(descriptor: int) -> VirtualSocket | None:
    """The virtual socket that a descriptor stands for; None if it is the kernel's own."""
    sock = _by_descriptor.get(descriptor)
    mirror = sock.description.mirror if sock is not None else None
    return sock if mirror is not None and mirror.descriptor == descriptor else None


def reattach(descriptor: int) -> VirtualSocket | None:
    """An object for a socket that was detached from its own; None if there is none of that descriptor."""
    description = _detached.pop(descriptor, None)
    return None if description is None else VirtualSocket(description.host, description=description)


def _room(buffer: Any, nbytes: int) -> int:
    if nbytes < 0:
        raise ValueError("negative buffersize in recv_into")
    size = memoryview(buffer).nbytes
    if nbytes > size:
        raise ValueError("buffer too small for requested bytes")
    return nbytes or size


def _copied(buffer: Any, data: bytes) -> int:
    memoryview(buffer).cast("B")[: len(data)] = data
    return len(data)
