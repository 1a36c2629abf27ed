"""VirtualSocket: a socket.socket whose other side is a host of a virtual network.

It passes for a socket.socket wherever a program checks, and has all its methods, but no socket of the kernel. What does
not have to wait is done at once by the core socket. What would have to wait raises BlockingIOError if the socket does
not block; outside of the network's running event loop it waits; inside, where waiting would stop the very network that
is waited for, it is an error. Reading and writing are in data.py.
"""

import errno
import socket
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, Self, TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from aionetflow.dropin import resolve
from aionetflow.dropin.arguments import check_address, check_kind, checked
from aionetflow.dropin.data import Core, DataCalls
from aionetflow.dropin.description import Description
from aionetflow.dropin.threads import ask, call, wait_for
from aionetflow.errors import os_error
from aionetflow.network.host import Host
from aionetflow.network.network import Network
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SOCK_DGRAM, SOCK_STREAM
from aionetflow.socket.stream import StreamSocket

_T = TypeVar("_T")
Buffer = bytes | bytearray | memoryview
_CORES = (StreamSocket, DatagramSocket)
_INT_SIZE = 4

# The networks whose loopback addresses are joined to the kernel's; see bridge.py.
bridges: "WeakKeyDictionary[Network, Crossing]" = WeakKeyDictionary()
# By the descriptors that programs have asked for: whose they are, and those whose object was detached.
_by_descriptor: "WeakValueDictionary[int, VirtualSocket]" = WeakValueDictionary()
_detached: dict[int, Description] = {}


class Crossing(Protocol):
    """What a bridge does for the sockets of its network."""

    def lead_out(self, sock: "VirtualSocket", address: Any) -> None:
        """A socket is about to connect."""

    def reserve(self, sock: "VirtualSocket", address: Any) -> Any:
        """A socket is about to bind: to the address that is returned."""

    def enlist(self, sock: "VirtualSocket") -> None:
        """A socket listens."""

    def delist(self, sock: "VirtualSocket") -> None:
        """A socket is being closed."""


class VirtualSocket(DataCalls):
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

    __slots__ = ("_proto", "_timeout", "_shut")

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        # the C class's own descriptor stays -1: its __init__ is never called
        return super().__new__(cls)

    def __init__(
        self, host: Host, family: int = socket.AF_INET, type: int = SOCK_STREAM, proto: int = 0,
        *, description: Description | None = None,
    ) -> None:  # fmt: skip
        if description is None:
            kind = check_kind(family, type, proto)
            loop = host.network.event_loop()
            description = call(loop, lambda: Description(host.socket(family, kind, proto), host, loop, proto))
        self.description = description
        self._proto = proto
        self._shut = False
        self._io_refs = 0
        self._closed = False
        self._timeout = 0.0 if type & socket.SOCK_NONBLOCK else socket.getdefaulttimeout()

    # What it is -------------------------------------------------------------------------------------------------

    @property
    def core(self) -> Core:
        """The control block below; OSError(EBADF) once the socket object is closed."""
        self._check_open()
        core = self.description.core
        assert isinstance(core, _CORES)
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

    @property
    def is_closed(self) -> bool:
        """Whether the program has closed the object, or given it up."""
        return self._shut

    def gettimeout(self) -> float | None:
        """The same."""
        return self._timeout

    @checked
    def settimeout(self, value: float | None) -> None:
        """See socket.settimeout()."""
        if value is not None and value < 0:
            raise ValueError("Timeout value out of range")
        self._check_open()
        self._timeout = None if value is None else float(value)

    @checked
    def setblocking(self, flag: bool) -> None:
        """See socket.setblocking()."""
        self._check_open()
        self._timeout = None if flag else 0.0

    def getblocking(self) -> bool:
        """See socket.getblocking()."""
        return self._timeout != 0.0

    def get_inheritable(self) -> bool:
        """No other program can inherit it."""
        self._check_open()
        return False

    def set_inheritable(self, inheritable: bool) -> None:
        """Has no effect."""
        self._check_open()

    def fileno(self) -> int:
        """A descriptor that poll(2) answers for as for this socket, made when first asked for; -1 once closed."""
        if self._shut:
            return -1
        descriptor = self._call(self.description.descriptor)
        if descriptor >= 0 and of_descriptor(descriptor) is None:  # or it was that of one closed since
            _by_descriptor[descriptor] = self
        return descriptor

    # Addresses and options --------------------------------------------------------------------------------------

    def bind(self, address: Any) -> None:
        """See bind(2)."""
        target = self.checked_address("bind", address)
        self._call(lambda: self._bind(target))

    @checked
    def listen(self, backlog: int = 128) -> None:
        """See listen(2)."""
        self._call(lambda: self._listen(backlog))

    def getsockname(self) -> Any:
        """See getsockname(2)."""
        return self._call(self.core.getsockname)

    def getpeername(self) -> Any:
        """See getpeername(2)."""
        return self._call(self.core.getpeername)

    @checked
    def getsockopt(self, level: int, option: int, length: int = 0) -> Any:
        """See getsockopt(2)."""
        return self._call(lambda: self.core.getsockopt(level, option, length))

    @checked
    def setsockopt(self, level: int, option: int, value: Any, length: int | None = None) -> None:
        """See setsockopt(2)."""
        if (value is None) != (length is not None):
            raise TypeError("a length, and only then, if the value is None")
        if length is not None:  # the kernel would read it at address 0
            raise os_error(errno.EFAULT if length >= _INT_SIZE else errno.EINVAL)
        self._call(lambda: self.core.setsockopt(level, option, value))

    # Connections ------------------------------------------------------------------------------------------------

    def connect(self, address: Any) -> None:
        """See connect(2)."""
        self._connect("connect", address)

    def _connect(self, call: str, address: Any) -> None:
        target = self.checked_address(call, address)
        if self._timeout == 0 or self.type == SOCK_DGRAM:
            self._call(lambda: self.begin(target))
        else:
            self._wait("connect", lambda: self._attempt(target))

    def connect_ex(self, address: Any) -> int:
        """As connect(), but returns the errno."""
        try:
            self._connect("connect_ex", address)
        except OSError as error:
            if error.errno is None or isinstance(error, socket.gaierror):
                raise
            return error.errno
        return 0

    def begin(self, target: Any) -> None:
        """connect() to a literal address that does not wait, whatever the time-out is."""
        self.lead_out(target)
        self.description.make(partial(self.core.connect, target))

    def lead_out(self, target: Any) -> None:
        """The socket is about to connect, perhaps to the kernel's loopback."""
        core, crossing = self.core, self._crossing()
        if crossing is not None and isinstance(core, StreamSocket) and core.connection is None:
            crossing.lead_out(self, target)

    def _attempt(self, target: Any) -> None:
        try:
            self.begin(target)
        except BlockingIOError:
            core = self.core
            if isinstance(core, StreamSocket) and core.is_connecting():
                raise
            self.begin(target)  # it is over: on one host

    async def connected(self, target: Any) -> None:
        """Connects to a literal address, and waits for the end of the handshake."""
        core = self.core
        while True:
            seen = self.description.changes
            try:
                self.begin(target)
            except BlockingIOError:
                if isinstance(core, StreamSocket) and core.is_connecting():  # else it is over: on one host
                    await self.description.wait(seen)
            else:
                return

    def accept(self) -> tuple["VirtualSocket", Any]:
        """See accept(2)."""
        return self._retry("accept", self.accept_now)

    def accept_now(self) -> tuple["VirtualSocket", Any]:
        """accept() that does not wait, whatever the time-out is."""
        core, address = self.description.make(self.core.accept)
        core.owner = self.host.owner()
        description = Description(core, self.host, self.description.loop, self._proto)
        return VirtualSocket(self.host, proto=self._proto, description=description), address

    @checked
    def shutdown(self, how: int) -> None:
        """See shutdown(2)."""
        self._call(lambda: self.core.shutdown(how))

    # The end ----------------------------------------------------------------------------------------------------

    def _real_close(self, *args: Any) -> None:
        # socket.socket's close() calls it when no file object uses the socket any more
        if not self._shut:
            self._shut = True
            self._forget_descriptor()
            ask(self.description.loop, self._release)  # and not more: the loop may be waiting for this very thread

    def _release(self) -> None:
        if (crossing := self._crossing()) is not None:
            crossing.delist(self)
        self.description.release()

    def detach(self) -> int:
        """Closes the object and leaves the socket open: its descriptor is returned (socket.socket(fileno=...))."""
        descriptor = self.fileno()
        if descriptor >= 0:
            _detached[descriptor] = self.description
            self.description.lend()
            self.give_up()
        return descriptor

    def give_up(self) -> None:
        """Closes the object and leaves the socket open, for another object that has its description."""
        self._check_open()
        self._closed = self._shut = True
        self._forget_descriptor()

    def dup(self) -> "VirtualSocket":
        """Another object for the same socket."""
        self._check_open()
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

    def _check_open(self) -> None:
        if self._shut:
            raise os_error(errno.EBADF)

    def checked_address(self, call: str, address: Any) -> Any:
        """An address that was given to a call, its host's name replaced by an address.

        TypeError or OverflowError, in the words of that call, for what is none; socket.gaierror for an unknown host.
        """
        family = self.description.core.family
        check_address(call, family, address)
        return resolve.to_literal(self.host, family, address)

    def _crossing(self) -> Crossing | None:
        return bridges.get(self.host.network) if bridges and self.type == SOCK_STREAM else None

    def _bind(self, address: Any) -> None:
        core = self.core
        crossing = self._crossing()
        if crossing is None:
            core.bind(address)
            return
        try:
            core.bind(crossing.reserve(self, address))
        except BaseException:
            crossing.delist(self)
            raise

    def _listen(self, backlog: int) -> None:
        self.core.listen(backlog)
        if (crossing := self._crossing()) is not None:
            crossing.enlist(self)

    def _forget_descriptor(self) -> None:
        """The object does not stand for the socket any more; another may, when it is asked for the descriptor."""
        mirror = self.description.mirror
        if mirror is not None and _by_descriptor.get(mirror.descriptor) is self:
            del _by_descriptor[mirror.descriptor]

    def _call(self, action: Callable[[], _T]) -> _T:
        return call(self.description.loop, partial(self.description.make, action))

    def _retry(self, name: str, attempt: Callable[[], _T], flags: int = 0) -> _T:
        if self._timeout == 0 or flags & socket.MSG_DONTWAIT:
            return self._call(attempt)
        return self._wait(name, attempt)

    def _wait(self, name: str, attempt: Callable[[], _T]) -> _T:
        description = self.description
        clock = self.host.network.clock
        made = partial(description.make, attempt)
        return wait_for(description.loop, clock, description.sleeping(), name, made, self._timeout)


def of_descriptor(descriptor: int) -> VirtualSocket | None:
    """The virtual socket that a descriptor stands for; None if it is the kernel's own."""
    sock = _by_descriptor.get(descriptor)
    return sock if sock is not None and sock.description.is_at(descriptor) else None


def reattach(descriptor: int) -> VirtualSocket | None:
    """An object for a socket that was detached from its own; None if there is none of that descriptor any more."""
    description = _detached.pop(descriptor, None)
    if description is None or not description.is_at(descriptor):
        return None
    description.lend(False)
    return VirtualSocket(description.host, proto=description.core.proto, description=description)
