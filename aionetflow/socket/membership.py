"""Groups and sockets: the options by which a socket joins them and says how it sends to them (ip(7), ipv6(7)).

The structures are Linux's: ip_mreq, ip_mreqn, ip_mreq_source, ipv6_mreq, group_req and group_source_req.
"""

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from aionetflow.errors import os_error
from aionetflow.ethernet.addresses import source_address
from aionetflow.ethernet.interface import Interface
from aionetflow.ip.address import AF_INET, AF_INET6, bare, scope_of
from aionetflow.ip.multicast import EVERYTHING, EXCLUDE, INCLUDE, NOTHING, Filter
from aionetflow.ip.route import LOCAL, MULTICAST, UNREACHABLE, Route
from aionetflow.socket.options import (
    IPPROTO_IP,
    IPPROTO_IPV6,
    SOCK_STREAM,
    Option,
    RawOption,
)

if TYPE_CHECKING:
    from aionetflow.socket.base import Socket
    from aionetflow.socket.services import Services

IP_MULTICAST_IF, IP_MULTICAST_TTL, IP_MULTICAST_LOOP = 32, 33, 34
IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_UNBLOCK_SOURCE, IP_BLOCK_SOURCE = 35, 36, 37, 38
IP_ADD_SOURCE_MEMBERSHIP, IP_DROP_SOURCE_MEMBERSHIP = 39, 40
MCAST_JOIN_GROUP, MCAST_BLOCK_SOURCE, MCAST_UNBLOCK_SOURCE, MCAST_LEAVE_GROUP = 42, 43, 44, 45
MCAST_JOIN_SOURCE_GROUP, MCAST_LEAVE_SOURCE_GROUP = 46, 47
IP_MULTICAST_ALL = 49
IPV6_MULTICAST_IF, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP = 17, 18, 19
IPV6_JOIN_GROUP, IPV6_LEAVE_GROUP, IPV6_MULTICAST_ALL = 20, 21, 29
_STORAGE = 128  # octets of a sockaddr_storage


class Sending:
    """How a socket sends to groups of one family."""

    def __init__(self) -> None:
        self.ttl = 1  # RFC 1112 6.1
        self.loop = True
        self.all = True  # datagrams to groups that other sockets joined are heard too
        self.index = 0  # of the interface; 0: as routes say
        self.address = b""  # by which that was chosen


class Groups:
    """The groups that a socket is in."""

    def __init__(self, sock: "Socket") -> None:
        self.filters: dict[tuple[Interface, bytes], Filter] = {}
        self.sending = {4: Sending(), 16: Sending()}  # by the octets of an address
        self._services: Services = sock._services

    def hears(self, interface: Interface, group: bytes, source: bytes) -> bool:
        """Whether a datagram to a group is for the socket (Linux ip_mc_sf_allow, inet6_mc_check)."""
        wanted = self.filters.get((interface, bare(group)))
        return self.sending[len(group)].all if wanted is None else wanted.admits(source)

    def join(self, interface: Interface, group: bytes, wanted: Filter = EVERYTHING) -> None:
        """Joins a group; EADDRINUSE if the socket is in it, ENOBUFS if it is in too many (Linux ip_mc_join_group)."""
        if (interface, group) in self.filters:
            raise os_error(errno.EADDRINUSE)
        most = self._services.sysctl.igmp_max_memberships
        if len(group) == 4 and sum(len(address) == 4 for _, address in self.filters) >= most:
            raise os_error(errno.ENOBUFS)
        self._want(interface, group, wanted)

    def leave(self, interface: Interface | None, group: bytes) -> None:
        """Leaves a group; EADDRNOTAVAIL if the socket is not in it."""
        for key in list(self.filters):
            if key[1] == group and interface in (None, key[0]):
                self._want(*key, None)
                return
        raise os_error(errno.EADDRNOTAVAIL)

    def change(self, interface: Interface, group: bytes, source: bytes, mode: int, add: bool) -> None:
        """Adds a source to a group's filter, or takes it out (Linux ip_mc_source)."""
        wanted = self.filters.get((interface, group))
        if wanted is None or (wanted.sources and wanted.mode != mode):
            raise os_error(errno.EINVAL)
        if add == (source in wanted.sources):
            raise os_error(errno.EADDRNOTAVAIL)
        sysctl = self._services.sysctl
        if add and len(wanted.sources) >= (sysctl.igmp_max_msf if len(group) == 4 else sysctl.mld_max_msf):
            raise os_error(errno.ENOBUFS)
        sources = wanted.sources | {source} if add else wanted.sources - {source}
        # (INCLUDE, nobody) is to have left
        self._want(interface, group, None if mode == INCLUDE and not sources else Filter(mode, sources))

    def leave_all(self) -> None:
        """The socket is closed."""
        for key in list(self.filters):
            self._want(*key, None)

    def _want(self, interface: Interface, group: bytes, wanted: Filter | None) -> None:
        if wanted is None:
            del self.filters[interface, group]
        else:
            self.filters[interface, group] = wanted
        now = self._services.clock.now()
        self._services.memberships[len(group)].want(interface, group, self, wanted, now)
        self._services.run()


def groups_of(sock: "Socket") -> Groups:
    """The groups of a socket, made where it has none; EPROTO for a stream."""
    if sock.type == SOCK_STREAM:
        raise os_error(errno.EPROTO)
    if sock.groups is None:
        sock.groups = Groups(sock)
    groups: Groups = sock.groups
    return groups


def is_group(address: bytes) -> bool:
    """Whether it is a multicast address."""
    return address[0] >> 4 == 14 if len(address) == 4 else address[0] == 0xFF


def route_to_group(sock: "Socket", group: bytes) -> Route:
    """How a datagram to a group leaves (Linux ip_route_output_key_hash); ENETUNREACH if no interface is named or found.

    By the interface that the socket has chosen, the one whose address it is bound to, or the one that routes say.
    """
    services, groups = sock._services, sock.groups
    sending = groups.sending[len(group)] if groups is not None else Sending()
    index = sending.index or scope_of(group)
    interface = _by_index(services, index) if index else _by_address(services, sock.local)
    if interface is None:
        route = services.routes.lookup(group)
        if route is None or route.kind == UNREACHABLE:
            raise os_error(errno.ENETUNREACH)
        interface = route.interface
    source = (sending.address or source_address(interface.addresses, group)) if len(group) == 4 else b""
    return Route(group, 8 * len(group), interface, kind=MULTICAST, source=source)


# Who is meant ---------------------------------------------------------------------------------------------------------


def _by_index(services: "Services", index: int) -> Interface | None:
    return next((interface for interface in services.interfaces if interface.index == index), None)


def _by_address(services: "Services", address: bytes) -> Interface | None:
    """The interface that has an address."""
    for interface in services.interfaces:
        if any(entry.address == address for entry in interface.addresses) or address == interface.link_local != b"":
            return interface
    return None


def _interface(sock: "Socket", index: int, address: bytes, group: bytes) -> Interface:
    """The interface that an option names by its index, by an address or not at all; ENODEV if there is none."""
    services = sock._services
    if index:
        found = _by_index(services, index)
    elif any(address):
        found = _by_address(services, address)
    else:
        route = services.routes.lookup(group)
        found = route.interface if route is not None and route.kind not in (UNREACHABLE, LOCAL) else None
    if found is None:
        raise os_error(errno.ENODEV)
    return found


def _checked(group: bytes) -> bytes:
    if not is_group(group):
        raise os_error(errno.EINVAL)
    return group


# The options ----------------------------------------------------------------------------------------------------------


def _request4(data: bytes) -> tuple[bytes, bytes, int]:
    """Group, address and index of an ip_mreq or ip_mreqn."""
    if len(data) < 8:
        raise os_error(errno.EINVAL)
    index = int(struct.unpack_from("=i", data, 8)[0]) if len(data) >= 12 else 0
    return data[:4], data[4:8], index


def _join4(sock: "Socket", data: bytes) -> None:
    groups = groups_of(sock)
    group, address, index = _request4(data)
    groups.join(_interface(sock, index, address, _checked(group)), group)


def _leave4(sock: "Socket", data: bytes) -> None:
    groups = groups_of(sock)
    group, address, index = _request4(data)
    named = index or any(address)
    groups.leave(_interface(sock, index, address, group) if named else None, group)


def _source4(mode: int, add: bool, join: bool = False) -> Callable[["Socket", bytes], None]:
    """IP_ADD_SOURCE_MEMBERSHIP and its like, with an ip_mreq_source."""

    def set_source(sock: "Socket", data: bytes) -> None:
        if len(data) < 12:
            raise os_error(errno.EINVAL)
        group, address, source = data[:4], data[4:8], data[8:12]
        _change(sock, _interface(sock, 0, address, _checked(group)), group, source, mode, add, join)

    return set_source


def _change(
    sock: "Socket", interface: Interface, group: bytes, source: bytes, mode: int, add: bool, join: bool
) -> None:  # fmt: skip
    groups = groups_of(sock)
    if join and (interface, group) not in groups.filters:
        groups.join(interface, group, NOTHING)
    groups.change(interface, group, source, mode, add)


def _address(data: bytes, family: int) -> bytes:
    """The address in a sockaddr_storage; EADDRNOTAVAIL if it is of another family."""
    if struct.unpack_from("=H", data)[0] != family:
        raise os_error(errno.EADDRNOTAVAIL)
    return data[4:8] if family == AF_INET else data[8:24]


def _group_request(data: bytes, family: int) -> tuple[int, bytes]:
    if len(data) < 8 + _STORAGE:
        raise os_error(errno.EINVAL)
    return int(struct.unpack_from("=I", data)[0]), _address(data[8:], family)


def _join(family: int) -> Callable[["Socket", bytes], None]:
    def set_join(sock: "Socket", data: bytes) -> None:
        index, group = _group_request(data, family)
        groups_of(sock).join(_interface(sock, index, b"", _checked(group)), group)

    return set_join


def _leave(family: int) -> Callable[["Socket", bytes], None]:
    def set_leave(sock: "Socket", data: bytes) -> None:
        index, group = _group_request(data, family)
        groups_of(sock).leave(_interface(sock, index, b"", group) if index else None, group)

    return set_leave


def _source(family: int, mode: int, add: bool, join: bool = False) -> Callable[["Socket", bytes], None]:
    """MCAST_JOIN_SOURCE_GROUP and its like, with a group_source_req."""

    def set_source(sock: "Socket", data: bytes) -> None:
        if len(data) < 8 + 2 * _STORAGE:
            raise os_error(errno.EINVAL)
        index, group = _group_request(data, family)
        source = _address(data[8 + _STORAGE :], family)
        _change(sock, _interface(sock, index, b"", _checked(group)), group, source, mode, add, join)

    return set_source


def _request6(data: bytes) -> tuple[bytes, int]:
    if len(data) < 20:
        raise os_error(errno.EINVAL)
    return data[:16], int(struct.unpack_from("=i", data, 16)[0])


def _join6(sock: "Socket", data: bytes) -> None:
    groups = groups_of(sock)
    group, index = _request6(data)
    groups.join(_interface(sock, index, b"", _checked(group)), group)


def _leave6(sock: "Socket", data: bytes) -> None:
    groups = groups_of(sock)
    group, index = _request6(data)
    groups.leave(_interface(sock, index, b"", group) if index else None, group)


def _get_interface4(sock: "Socket") -> bytes:
    return (groups_of(sock).sending[4].address or bytes(4)) if sock.type != SOCK_STREAM else bytes(4)


def _set_interface4(sock: "Socket", data: bytes) -> None:
    if sock.type == SOCK_STREAM or len(data) < 4:
        raise os_error(errno.EINVAL)
    index, address = 0, data[:4]
    if len(data) >= 8:
        _, address, index = _request4(data)
    sending, services = groups_of(sock).sending[4], sock._services
    if not index and not any(address):
        sending.index, sending.address = 0, b""
        return
    found = _by_index(services, index) if index else _by_address(services, address)
    if found is None:
        raise os_error(errno.EADDRNOTAVAIL)
    sending.index, sending.address = found.index, address if any(address) else b""


def _set_interface6(sock: "Socket", value: int) -> None:
    if value and _by_index(sock._services, value) is None:
        raise os_error(errno.ENODEV)
    _sending(sock, 16).index = value


def _sending(sock: "Socket", size: int) -> Sending:
    if sock.type == SOCK_STREAM:
        raise os_error(errno.EINVAL if size == 4 else errno.ENOPROTOOPT)
    return groups_of(sock).sending[size]


def _set_ttl(size: int) -> Callable[["Socket", int], None]:
    def set_ttl(sock: "Socket", value: int) -> None:
        if not -1 <= value <= 255:
            raise os_error(errno.EINVAL)
        _sending(sock, size).ttl = 1 if value == -1 else value

    return set_ttl


def _switch(name: str, size: int, strict: bool) -> Option:
    """A truth; strict: nothing but 0 and 1."""

    def set_switch(sock: "Socket", value: int) -> None:
        if strict and value not in (0, 1):
            raise os_error(errno.EINVAL)
        setattr(_sending(sock, size), name, bool(value))

    return Option(lambda sock: int(_of(sock, size, name)), set_switch)


def _of(sock: "Socket", size: int, name: str) -> int:
    groups = sock.groups
    return int(getattr(groups.sending[size] if groups is not None else Sending(), name))


def _only_set(put: Callable[["Socket", bytes], None]) -> RawOption:
    def get(sock: "Socket") -> bytes:
        raise os_error(errno.ENOPROTOOPT)

    return RawOption(get, put)


OPTIONS: dict[tuple[int, int], Option] = {
    (IPPROTO_IP, IP_MULTICAST_TTL): Option(lambda sock: _of(sock, 4, "ttl"), _set_ttl(4)),
    (IPPROTO_IP, IP_MULTICAST_LOOP): _switch("loop", 4, False),
    (IPPROTO_IP, IP_MULTICAST_ALL): _switch("all", 4, True),
}
IPV6_OPTIONS: dict[tuple[int, int], Option] = {
    (IPPROTO_IPV6, IPV6_MULTICAST_IF): Option(lambda sock: _of(sock, 16, "index"), _set_interface6),
    (IPPROTO_IPV6, IPV6_MULTICAST_HOPS): Option(lambda sock: _of(sock, 16, "ttl"), _set_ttl(16)),
    (IPPROTO_IPV6, IPV6_MULTICAST_LOOP): _switch("loop", 16, True),
    (IPPROTO_IPV6, IPV6_MULTICAST_ALL): _switch("all", 16, False),
}


def _for_both(level: int, family: int) -> dict[tuple[int, int], RawOption]:
    """Those of RFC 3678 that are alike in both families."""
    return {
        (level, MCAST_JOIN_GROUP): _only_set(_join(family)),
        (level, MCAST_LEAVE_GROUP): _only_set(_leave(family)),
        (level, MCAST_JOIN_SOURCE_GROUP): _only_set(_source(family, INCLUDE, True, True)),
        (level, MCAST_LEAVE_SOURCE_GROUP): _only_set(_source(family, INCLUDE, False)),
        (level, MCAST_BLOCK_SOURCE): _only_set(_source(family, EXCLUDE, True)),
        (level, MCAST_UNBLOCK_SOURCE): _only_set(_source(family, EXCLUDE, False)),
    }


RAW_OPTIONS: dict[tuple[int, int], RawOption] = {
    (IPPROTO_IP, IP_ADD_MEMBERSHIP): _only_set(_join4),
    (IPPROTO_IP, IP_DROP_MEMBERSHIP): _only_set(_leave4),
    (IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP): _only_set(_source4(INCLUDE, True, True)),
    (IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP): _only_set(_source4(INCLUDE, False)),
    (IPPROTO_IP, IP_BLOCK_SOURCE): _only_set(_source4(EXCLUDE, True)),
    (IPPROTO_IP, IP_UNBLOCK_SOURCE): _only_set(_source4(EXCLUDE, False)),
    (IPPROTO_IP, IP_MULTICAST_IF): RawOption(_get_interface4, _set_interface4),
    (IPPROTO_IPV6, IPV6_JOIN_GROUP): _only_set(_join6),
    (IPPROTO_IPV6, IPV6_LEAVE_GROUP): _only_set(_leave6),
    **_for_both(IPPROTO_IP, AF_INET),
    **_for_both(IPPROTO_IPV6, AF_INET6),
}
