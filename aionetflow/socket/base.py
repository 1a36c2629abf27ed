"""What stream and datagram sockets have in common: the control block, its addresses and options, its life.

What it asks of its host stands in services.py.
"""

import errno
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from aionetflow.config import DEFAULT_TTL
from aionetflow.errors import os_error
from aionetflow.ethernet.interface import LIMITED_BROADCAST
from aionetflow.ip.address import (
    AF_INET,
    AF_INET6,
    ANY,
    LOOPBACK,
    Address,
    endpoint,
    is_scoped,
    pack_endpoint,
    scope_of,
    unpack,
)
from aionetflow.ip.route import BROADCAST, IP_PMTUDISC_DONT, IP_PMTUDISC_WANT, LOCAL, UNREACHABLE, Route
from aionetflow.packet import TxPacket
from aionetflow.socket import ip_options, membership, options
from aionetflow.socket.options import SOCK_STREAM
from aionetflow.socket.ports import PortHold, is_unspecified
from aionetflow.socket.services import Services
from aionetflow.sysctl import Sysctl
from aionetflow.tcp.connection import ConnectionUser
from aionetflow.widths import i64

# poll(2)'s bits
IN = 0x001
PRI = 0x002
OUT = 0x004
ERR = 0x008
HUP = 0x010
RDHUP = 0x2000


for more in (ip_options, membership):
    options.OPTIONS.update(more.OPTIONS)
    options.IPV6_OPTIONS.update(more.IPV6_OPTIONS)
options.RAW_OPTIONS.update(membership.RAW_OPTIONS)


class Owner(NamedTuple):
    """Who made a socket."""

    pid: int
    task: str  # the name of the asyncio task, or what else runs


class Watcher:
    """What may be told of a socket's changes in the place of a function."""

    def socket_changed(self) -> None:
        """What the socket's events() says may have changed."""
        raise NotImplementedError


class Socket(ConnectionUser):
    """A control block: one end of communication on one host (POSIX's socket, Linux's struct sock)."""

    type: int = SOCK_STREAM
    proto: int = 0
    netid = ""
    own_options: Mapping[tuple[int, int], options.Option] = {}  # those of its kind, by level and number

    def __init__(self, services: Services, fd: int, owner: Owner, family: int = AF_INET) -> None:
        self._set_up(services, fd, owner, family)

    def _set_up(self, services: Services, fd: int, owner: Owner, family: int) -> None:
        self._services = services
        self.descriptor = fd
        self.family: int = family
        self.owner = owner
        # As on the wire: of an AF_INET6 socket that speaks IPv4 these are four octets.
        self.local = ANY[family]
        self.local_port = 0
        self.remote = ANY[family]
        self.remote_port = 0
        self.closed = False
        self.on_change: Callable[[], None] | Watcher | None = None  # told when events() may have changed
        self.hold: PortHold | None = None
        self.reuse_address: bool = False
        self.reuse_port: bool = False
        self.v6only: bool = False
        self.bind_no_port: bool = False  # IP_BIND_ADDRESS_NO_PORT
        self.stored: dict[tuple[int, int], int] | None = None  # options that are only kept, by level and number
        self.broadcast: bool = False
        self.linger_on: bool = False
        self.linger_seconds: int = 0
        self.user_mss = 0  # TCP_MAXSEG; 0: as large as the way takes
        stream = self.type == SOCK_STREAM
        sysctl = services.sysctl
        self.receive_buffer = sysctl.tcp_rmem[1] if stream else sysctl.rmem_default
        self.send_buffer = sysctl.tcp_wmem[1] if stream else sysctl.wmem_default
        self.receive_locked = False  # SO_RCVBUF was set: that stays its size (Linux SOCK_RCVBUF_LOCK)
        self.send_locked = False
        self.ttl: int = services.sysctl.ip_default_ttl
        self.tos: int = 0
        self.hop_limit: int = DEFAULT_TTL  # of IPv6 packets, as the traffic class
        self.traffic_class: int = 0
        # IP_MTU_DISCOVER and IPV6_MTU_DISCOVER: how the way's MTU is gone by (Linux inet_create, inet6_create)
        self.mtu_discover: int = IP_PMTUDISC_DONT if services.sysctl.ip_no_pmtu_disc else IP_PMTUDISC_WANT
        self.mtu_discover6: int = IP_PMTUDISC_WANT
        self.groups: Any = None  # a membership.Groups: those that the socket is in, and how it sends to groups
        self.asked: int = 0  # what recvmsg tells beside the data: see socket/ancillary.py
        self.error = 0
        self.device = 0  # SO_BINDTODEVICE: the index of an interface; 0: any

    # Calls that all sockets answer -----------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor on this host; -1 once closed."""
        return -1 if self.closed else self.descriptor

    def bind(self, address: Address) -> None:
        """Gives the socket its own address (bind(2)); port 0 lets the host choose.

        With IP_BIND_ADDRESS_NO_PORT it chooses when the socket connects, sends or listens. Raises OSError: EINVAL if
        the socket has an address, EADDRNOTAVAIL if this one is not the host's, EADDRINUSE.
        """
        self.check_open()
        packed, port = self.pack(address)
        if self.hold is not None and not self.hold.released:
            raise os_error(errno.EINVAL)
        if self.v6only and len(packed) == 4:
            raise os_error(errno.EINVAL)
        if is_scoped(packed):
            self._services.sources.check_link(packed)
        if not is_unspecified(packed) and not self._may_bind(packed):
            raise os_error(errno.EADDRNOTAVAIL)
        if port or not self.bind_no_port:
            self._hold_port(packed, port)
        self.local = packed

    def getsockname(self) -> Address:
        """The socket's own address, ("0.0.0.0", 0) while it has none; with AF_INET6 four numbers, ("::", 0, 0, 0)."""
        self.check_open()
        return endpoint(self.family, self.local, self.local_port)

    def getpeername(self) -> Address:
        """The other end's address; ENOTCONN while there is none."""
        self.check_open()
        if not self.is_connected():
            raise os_error(errno.ENOTCONN)
        return endpoint(self.family, self.remote, self.remote_port)

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
        """What poll(2) would report now: IN, PRI, OUT, ERR, HUP, RDHUP."""
        return 0

    # What the kinds of socket fill in --------------------------------------------------------------------------

    def is_connected(self) -> bool:
        """Whether there is another end."""
        return False

    def is_listening(self) -> bool:
        """Whether it accepts connections."""
        return False

    def buffer_sizes(self) -> tuple[int, int]:
        """SO_RCVBUF and SO_SNDBUF, in octets."""
        return self.receive_buffer, self.send_buffer

    def max_segment(self) -> int:
        """TCP_MAXSEG: the largest segment now in use."""
        return 0

    def congestion_name(self) -> str:
        """TCP_CONGESTION: the name of the congestion control."""
        return ""

    def set_congestion(self, name: str) -> None:
        """Chooses it."""

    def state_name(self) -> str:
        """The state as ss(8) prints it."""
        return "UNCONN"

    def queued(self) -> tuple[int, int]:
        """Octets to read, octets not yet acknowledged: ss(8)'s Recv-Q and Send-Q."""
        return 0, 0

    def window_clamp(self) -> int:
        """TCP_WINDOW_CLAMP: the largest window that may be offered."""
        return 0

    def is_quick(self) -> bool:
        """TCP_QUICKACK: whether acknowledgments wait for no answer."""
        return True

    def info_octets(self) -> bytes:
        """TCP_INFO."""
        return b""

    def heed(self, key: tuple[int, int]) -> None:
        """An option that is kept, and that the transport heeds, was set."""

    def settings(self) -> Sysctl:
        """The settings of its host."""
        return self._services.sysctl

    def mark(self, packet: TxPacket, route: Route, remote: bytes, now: i64) -> None:
        """Says of a packet to an address what its IP header is to say, and whether it may be cut on the way."""
        packet.ttl, packet.tos = self.hops(remote)

    def options_changed(self) -> None:
        """An option that the transport needs to know of was set."""

    def take_error(self) -> int:
        """The errno of what went wrong since the last call, 0 if nothing did."""
        error, self.error = self.error, 0
        return error

    def asked_error(self) -> int:
        """The same for who asks by SO_ERROR, who hears of what fails no call, too."""
        return self.take_error()

    # Inside -----------------------------------------------------------------------------------------------------

    def check_open(self) -> None:
        """EBADF if the application has closed it."""
        if self.closed:
            raise os_error(errno.EBADF)

    def route_to(self, remote: bytes) -> Route:
        """The route to an address; ENETUNREACH if there is none, EHOSTUNREACH if it leads nowhere.

        An AF_INET6 socket reaches IPv4 unless it is IPV6_V6ONLY or bound to an IPv6 address; one that is bound to an
        IPv4 address reaches nothing else (EAFNOSUPPORT, Linux ip6_dst_lookup_tail).
        """
        if len(remote) == 4 and (self.v6only or (len(self.local) == 16 and not is_unspecified(self.local))):
            raise os_error(errno.ENETUNREACH)
        if len(remote) == 16 and len(self.local) == 4:
            raise os_error(errno.EAFNOSUPPORT)
        route = self._services.routes.lookup_by(remote, self.device)
        if route is None:
            raise os_error(errno.ENETUNREACH)
        if route.kind == UNREACHABLE:
            raise os_error(errno.EHOSTUNREACH)
        if len(remote) == 16 and self.local[0] == 0xFE and scope_of(remote) not in (0, scope_of(self.local)):
            raise os_error(errno.EINVAL)  # Linux __ip6_datagram_connect, tcp_v6_connect: bound to another link
        if len(self.local) == 4 and self.local[0] == 127 and route.interface is not self._services.ip.loopback:
            raise os_error(errno.EINVAL)  # Linux __mkroute_output: a loopback address does not leave the host
        return route

    def reached_by(self, remote: bytes) -> bytes:
        """Where a packet goes that is sent to an address: "any" means this host (Linux ip_route_output_key)."""
        if not is_unspecified(remote):
            return remote
        return LOOPBACK[AF_INET if len(remote) == 4 or len(self.local) == 4 else AF_INET6]

    def hops(self, remote: bytes) -> tuple[int, int]:
        """TTL and type of service, or hop limit and traffic class, of packets to an address."""
        return (self.ttl, self.tos) if len(remote) == 4 else (self.hop_limit, self.traffic_class)

    def inherit_ip(self, listening: "Socket") -> None:
        """Takes over what a listening socket says of packets."""
        self.ttl, self.tos = listening.ttl, listening.tos
        self.hop_limit, self.traffic_class = listening.hop_limit, listening.traffic_class
        self.mtu_discover, self.mtu_discover6 = listening.mtu_discover, listening.mtu_discover6
        self.asked, self.v6only = listening.asked, listening.v6only

    def discovers(self, remote: bytes) -> int:
        """How the MTU of the way to an address is gone by: IP_PMTUDISC_WANT and its like."""
        return self.mtu_discover if len(remote) == 4 else self.mtu_discover6

    def path_mtu(self) -> int:
        """IP_MTU: the longest packet that the way to the other end takes; ENOTCONN if there is none."""
        route = self._services.routes.lookup(self.remote) if self.is_connected() else None
        if route is None:
            raise os_error(errno.ENOTCONN)
        return route.path_mtu(self._services.clock.now())

    def source_for(self, route: Route, remote: bytes) -> bytes:
        """The address to send from: the socket's own, or the best for that way; EADDRNOTAVAIL if there is none."""
        source = self.local
        if is_unspecified(source) or (source[0] >= 224 and len(source) == 4) or source[0] == 0xFF:  # bound to a group
            source = route.source if len(remote) == 4 else self._services.sources.choose(route, remote)
        if not source:
            raise os_error(errno.EADDRNOTAVAIL)
        return source

    def pack(self, address: Address, *, any_link: bool = False) -> tuple[bytes, int]:
        """The octets and port of a socket address, as `pack_endpoint`; one of a link is on that of the socket's own.

        With any_link a link-local one without a scope is on the first link there is (Linux udpv6_sendmsg).
        """
        first = self._services.sources.first_link() if any_link and self.family == AF_INET6 else 0
        return pack_endpoint(self.family, address, self._services.index_of, scope_of(self.local), first)

    def notify(self) -> None:
        """Tells whoever waits that something has changed; what that raises is reported when the stack has finished."""
        told = self.on_change
        if told is not None:
            try:
                if isinstance(told, Watcher):
                    watcher = told
                    watcher.socket_changed()
                else:
                    told()
            except Exception as error:
                self._services.callback_failed(error)

    def store(self, key: tuple[int, int], value: int) -> None:
        """Keeps the value of an option that is only kept."""
        if self.stored is None:
            self.stored = {}
        self.stored[key] = value

    def kept(self, key: tuple[int, int], default: int) -> int:
        """Such a value."""
        return default if self.stored is None else self.stored.get(key, default)

    def _may_bind(self, address: bytes) -> bool:
        """Linux inet_bind, inet6_bind: an own address, or a broadcast or group address; of IPv6 not for a stream.

        Any address of IPv4 with net.ipv4.ip_nonlocal_bind.
        """
        if len(address) == 16 and address[0] == 0xFF:
            if self.type == SOCK_STREAM:
                raise os_error(errno.EINVAL)
            return True
        if self._services.sysctl.ip_nonlocal_bind:
            return True
        route = self._services.routes.lookup(address)
        if route is not None and route.kind in (LOCAL, BROADCAST):
            return True
        return len(address) == 4 and (address[0] >> 4 == 14 or address == LIMITED_BROADCAST)

    def _hold_port(self, address: bytes, port: int) -> None:
        hold = PortHold(
            address, port, self.reuse_address, reuse_port=self.reuse_port, v6only=self.v6only,
            device=self.device,
        )  # fmt: skip
        self._services.table.hold(self.proto, hold, self._services.random)
        self.hold = hold
        self.local_port = hold.port

    def __repr__(self) -> str:
        local, remote = (
            f"{unpack(host)}:{port}" if len(host) == 4 else f"[{unpack(host)}]:{port}"
            for host, port in ((self.local, self.local_port), (self.remote, self.remote_port))
        )
        return f"<{type(self).__name__} fd={self.fileno()} {self.state_name()} {local} {remote}>"
