"""What stream and datagram sockets have in common: the control block, its addresses and options, its life."""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

from aionetflow.clock import Clock
from aionetflow.config import DEFAULT_TTL, TCP_RECEIVE_BUFFER, TCP_SEND_BUFFER, UDP_QUEUE_LIMIT
from aionetflow.errors import os_error
from aionetflow.ethernet.interface import LIMITED_BROADCAST
from aionetflow.ip.address import AF_INET, ANY, pack_endpoint, unpack
from aionetflow.ip.route import BROADCAST, LOCAL, UNREACHABLE, Route, RoutingTable
from aionetflow.ip.v4 import IPv4
from aionetflow.rng import Random
from aionetflow.socket import options
from aionetflow.socket.options import SOCK_STREAM
from aionetflow.socket.table import PortHold, SocketTable
from aionetflow.stats import Stats
from aionetflow.tcp.connection import Connection

if TYPE_CHECKING:
    from aionetflow.socket.stream import StreamSocket

Address = tuple[str, int]

# poll(2)'s bits
IN = 0x001
OUT = 0x004
ERR = 0x008
HUP = 0x010
RDHUP = 0x2000


class Owner(NamedTuple):
    """Who made a socket."""

    pid: int
    task: str  # the name of the asyncio task, or what else runs


class Services(Protocol):
    """What a socket asks of the host it is on."""

    clock: Clock
    random: Random
    routes: RoutingTable
    table: SocketTable
    ip: IPv4
    stats: Stats

    def touch(self, connection: Connection) -> None:
        """Something about the connection has changed: it may have segments to send."""

    def run(self) -> None:
        """Sends all that is due now."""

    def send_datagram(self, sock: "Socket", data: bytes, route: Route, source: bytes, remote: bytes, port: int) -> None:
        """Sends a UDP datagram."""

    def make_stream(self, owner: Owner, family: int) -> "StreamSocket":
        """A new stream socket on the same host."""

    def callback_failed(self, error: Exception) -> None:
        """An on_change has raised: that must not stop the work it was called in the middle of."""

    def released(self, sock: "Socket") -> None:
        """A socket has been closed by the application."""


class Socket:
    """A control block: one end of communication on one host (POSIX's socket, Linux's struct sock)."""

    type: int = SOCK_STREAM
    proto: int = 0
    netid = ""

    def __init__(self, services: Services, fd: int, owner: Owner, family: int = AF_INET) -> None:
        self._services = services
        self.descriptor = fd
        self.family: int = family
        self.owner = owner
        self.local = ANY[family]
        self.local_port = 0
        self.remote = ANY[family]
        self.remote_port = 0
        self.closed = False
        self.on_change: Callable[[], None] | None = None  # called when events() may have changed
        self.hold: PortHold | None = None
        self.reuse_address = False
        self.broadcast = False
        self.linger_on = False
        self.linger_seconds = 0
        self.user_mss = 0  # TCP_MAXSEG; 0: as large as the way takes
        stream = self.type == SOCK_STREAM
        self.receive_buffer = TCP_RECEIVE_BUFFER if stream else UDP_QUEUE_LIMIT
        self.send_buffer = TCP_SEND_BUFFER if stream else UDP_QUEUE_LIMIT
        self.ttl: int = DEFAULT_TTL
        self.tos: int = 0
        self.error = 0

    # Calls that all sockets answer -----------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor on this host; -1 once closed."""
        return -1 if self.closed else self.descriptor

    def bind(self, address: Address) -> None:
        """Gives the socket its own address (bind(2)); port 0 lets the host choose.

        Raises OSError: EINVAL if it has one, EADDRNOTAVAIL if the address is not this host's, EADDRINUSE.
        """
        self.check_open()
        packed, port = pack_endpoint(self.family, address)
        if self.hold is not None and not self.hold.released:
            raise os_error(errno.EINVAL)
        if any(packed) and not self._may_bind(packed):
            raise os_error(errno.EADDRNOTAVAIL)
        self._hold_port(packed, port)
        self.local = packed

    def getsockname(self) -> Address:
        """The socket's own address, ("0.0.0.0", 0) while it has none."""
        self.check_open()
        return unpack(self.local), self.local_port

    def getpeername(self) -> Address:
        """The other end's address; ENOTCONN while there is none."""
        self.check_open()
        if not self.is_connected():
            raise os_error(errno.ENOTCONN)
        return unpack(self.remote), self.remote_port

    def getsockopt(self, level: int, option: int, length: int = 0) -> int | bytes:
        """An option's value, as an int, or as bytes when a length is given (getsockopt(2))."""
        self.check_open()
        return options.get(self, level, option, length)

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Sets an option (setsockopt(2)); ENOPROTOOPT if there is none of that number, EINVAL for a wrong value."""
        self.check_open()
        options.put(self, level, option, value)

    def listen(self, backlog: int = 0) -> None:
        """Starts to accept connections (listen(2)); EOPNOTSUPP if it is no stream socket."""
        raise os_error(errno.EOPNOTSUPP)

    def accept(self) -> tuple["Socket", Address]:
        """The next connection that is ready (accept(2)); EOPNOTSUPP if it is no stream socket."""
        raise os_error(errno.EOPNOTSUPP)

    def shutdown(self, how: int) -> None:
        """Ends one direction or both (shutdown(2)); ENOTCONN if there is no other end."""
        raise os_error(errno.ENOTCONN)

    def close(self) -> None:
        """Gives the socket up (close(2)); closing twice does nothing."""

    def events(self) -> int:
        """What poll(2) would report now: IN, OUT, ERR, HUP, RDHUP."""
        return 0

    # What the kinds of socket fill in --------------------------------------------------------------------------

    def is_connected(self) -> bool:
        """Whether there is another end."""
        return False

    def is_listening(self) -> bool:
        """Whether it accepts connections."""
        return False

    def max_segment(self) -> int:
        """TCP_MAXSEG: the largest segment now in use."""
        return 0

    def state_name(self) -> str:
        """The state as ss(8) prints it."""
        return "UNCONN"

    def queued(self) -> tuple[int, int]:
        """Octets to read, octets not yet acknowledged: ss(8)'s Recv-Q and Send-Q."""
        return 0, 0

    def options_changed(self) -> None:
        """An option that the transport needs to know of was set."""

    def take_error(self) -> int:
        """The errno of what went wrong since the last call, 0 if nothing did (SO_ERROR)."""
        error, self.error = self.error, 0
        return error

    # Inside -----------------------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """EBADF if the application has closed it."""
        if self.closed:
            raise os_error(errno.EBADF)

    def route_to(self, remote: bytes) -> Route:
        """The route to an address; ENETUNREACH if there is none, EHOSTUNREACH if it leads nowhere."""
        route = self._services.routes.lookup(remote)
        if route is None:
            raise os_error(errno.ENETUNREACH)
        if route.kind == UNREACHABLE:
            raise os_error(errno.EHOSTUNREACH)
        if self.local[0] == 127 and len(remote) == 4 and route.interface is not self._services.ip.loopback:
            raise os_error(errno.EINVAL)  # Linux __mkroute_output: a loopback address does not leave the host
        return route

    def source_for(self, route: Route) -> bytes:
        """The address to send from: the socket's own, or the route's; EADDRNOTAVAIL if there is none."""
        source = self.local if any(self.local) else route.source
        if not source:
            raise os_error(errno.EADDRNOTAVAIL)
        return source

    def notify(self) -> None:
        """Tells whoever waits that something has changed; what that raises is reported when the stack has finished."""
        if self.on_change is not None:
            try:
                self.on_change()
            except Exception as error:
                self._services.callback_failed(error)

    def _may_bind(self, address: bytes) -> bool:
        """Linux inet_bind: an own address, or a broadcast or group address."""
        route = self._services.routes.lookup(address)
        known = route is not None and route.kind in (LOCAL, BROADCAST)
        return known or address[0] >> 4 == 14 or address == LIMITED_BROADCAST

    def _hold_port(self, address: bytes, port: int) -> None:
        hold = PortHold(address, port, self.reuse_address)
        self._services.table.hold(self.proto, hold, self._services.random)
        self.hold = hold
        self.local_port = hold.port

    def __repr__(self) -> str:
        local = f"{unpack(self.local)}:{self.local_port}"
        remote = f"{unpack(self.remote)}:{self.remote_port}"
        return f"<{type(self).__name__} fd={self.fileno()} {self.state_name()} {local} {remote}>"
