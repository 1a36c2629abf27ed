"""IP addresses as text and as octets. Inside the stack an address is `bytes` of 4 (IPv4) or 16 (IPv6).

An IPv6 address that means something on one link only (fe80::/10, and groups of interface or link scope) says inside the
stack which link that is: octets 2 and 3, zero on the wire (RFC 4291 2.5.6), hold the index of the interface. So routes,
sockets and tables need no second key. `scoped` puts it in, `bare` takes it out; the IP layer does both at the border.
"""

import errno
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_interface, ip_network
from typing import Any

from aionetflow.errors import os_error

AF_INET = 2  # Linux's numbers
AF_INET6 = 10
LOOPBACK = {AF_INET: bytes((127, 0, 0, 1)), AF_INET6: bytes(15) + b"\x01"}
ANY = {AF_INET: bytes(4), AF_INET6: bytes(16)}
MAPPED = bytes(10) + b"\xff\xff"  # RFC 4291 2.5.5.2: ::ffff:0:0/96, IPv4 for an IPv6 socket

Address = tuple[Any, ...]  # (host, port); of IPv6 (host, port, flow label, scope)
Interfaces = Callable[[str], int]  # the index of the interface of a name; OSError(ENODEV)


def family_of(address: bytes) -> int:
    """AF_INET or AF_INET6."""
    return AF_INET if len(address) == 4 else AF_INET6


@lru_cache(1024)
def pack(text: str) -> bytes:
    """The octets of an address literal; ValueError if it is none.

    >>> pack("10.0.0.1").hex()
    '0a000001'
    """
    return ip_address(text).packed


def is_scoped(address: bytes) -> bool:
    """Whether an address means something on one link only (RFC 4007 4).

    >>> is_scoped(pack("fe80::1")), is_scoped(pack("ff02::1")), is_scoped(pack("ff05::2")), is_scoped(pack("fd00::1"))
    (True, True, False, False)
    """
    if len(address) == 4 or address[0] < 0xFE:
        return False
    return address[1] >> 6 == 2 if address[0] == 0xFE else 0 < address[1] & 15 < 3


def is_link_local(address: bytes) -> bool:
    """Whether it is an address in fe80::/10."""
    return len(address) == 16 and address[0] == 0xFE and address[1] >> 6 == 2


def scoped(address: bytes, index: int) -> bytes:
    """The address as it is inside the stack, on the link of the interface of that index."""
    return address[:2] + index.to_bytes(2, "big") + address[4:] if is_scoped(address) else address


def bare(address: bytes) -> bytes:
    """The address as it is on the wire."""
    return address[:2] + b"\0\0" + address[4:] if is_scoped(address) else address


def scope_of(address: bytes) -> int:
    """The index of the interface to whose link an address belongs, 0 if it is good on all.

    >>> scope_of(scoped(pack("fe80::1"), 2)), unpack(scoped(pack("fe80::1"), 2))
    (2, 'fe80::1')
    """
    return int.from_bytes(address[2:4], "big") if is_scoped(address) else 0


def unpack(address: bytes) -> str:
    """The literal of an address, without its scope.

    >>> unpack(bytes([10, 0, 0, 1]))
    '10.0.0.1'
    """
    if len(address) == 4:
        return f"{address[0]}.{address[1]}.{address[2]}.{address[3]}"
    return str(IPv6Address(bare(address)))


def pack_interface(text: str) -> tuple[bytes, int]:
    """An address with its prefix length: (octets, length).

    >>> pack_interface("10.0.0.1/24")
    (b'\\n\\x00\\x00\\x01', 24)
    """
    interface = ip_interface(text)
    return interface.packed, interface.network.prefixlen


def pack_network(text: str) -> tuple[bytes, int]:
    """A network: (octets of its first address, prefix length); "default" is 0.0.0.0/0, "default6" ::/0.

    >>> pack_network("10.1.0.0/16")
    (b'\\n\\x01\\x00\\x00', 16)
    """
    network = ip_network({"default": "0.0.0.0/0", "default6": "::/0"}.get(text, text))
    return network.network_address.packed, network.prefixlen


def pack_endpoint(
    family: int, address: object, interfaces: Interfaces | None = None, scope: int = 0, first: int = 0
) -> tuple[bytes, int]:
    """The octets and port of a socket address: what bind and connect are given.

    It is (host literal, port), for AF_INET6 with flow label and scope behind it if wanted. The scope of a link-local
    host is the interface's index there, or stands behind the literal: "fe80::1%2", or "fe80::1%eth0" where `interfaces`
    finds an index by name. Without it, it is `scope`, or else, of an address that is no group's, `first`. A flow label
    changes nothing. An IPv4-mapped host (::ffff:10.0.0.1) gives the four octets of the IPv4 address. An empty host
    means any address, "<broadcast>" the limited broadcast, as in Python. Raises TypeError for no such tuple,
    OverflowError for a port outside 0..65535, OSError for a host that is no literal (EINVAL), one of another family
    (EAFNOSUPPORT), or a link-local one without a scope (EINVAL): names of hosts are resolved above this layer.

    >>> pack_endpoint(AF_INET6, ("::ffff:10.0.0.1", 80, 0, 0))
    (b'\\n\\x00\\x00\\x01', 80)
    """
    address = _checked_tuple(family, address)
    host, port = address[0], address[1]
    if host == "":
        return ANY[family], port
    if host == "<broadcast>" and family == AF_INET:
        return b"\xff\xff\xff\xff", port
    try:
        packed = pack(host)
    except ValueError:
        raise os_error(errno.EINVAL, f"not an address: {host!r}") from None
    if family_of(packed) != family:
        raise os_error(errno.EAFNOSUPPORT, host)
    if packed[:12] == MAPPED:
        return packed[12:], port
    if is_scoped(packed):
        scope = _scope(host, address, interfaces) or scope
        if not scope and packed[0] == 0xFE:
            scope = first
        if not scope and packed[0] == 0xFE:
            raise os_error(errno.EINVAL)  # Linux inet6_bind, tcp_v6_connect: on which link?
        packed = scoped(packed, scope)
    return packed, port


def _scope(host: str, address: tuple[Any, ...], interfaces: Interfaces | None) -> int:
    """Which interface's link a socket address names; 0 for none."""
    zone = host.partition("%")[2]
    if not zone:
        return int(address[3]) & 0xFFFF if len(address) > 3 else 0
    if zone.isdecimal():
        return int(zone) & 0xFFFF
    if interfaces is None:
        raise os_error(errno.ENODEV, zone)
    return interfaces(zone)


def endpoint(family: int, address: bytes, port: int) -> Address:
    """A socket address as Python's socket module gives it to a socket of that family.

    >>> endpoint(AF_INET, bytes((10, 0, 0, 1)), 80), endpoint(AF_INET6, bytes((10, 0, 0, 1)), 80)
    (('10.0.0.1', 80), ('::ffff:10.0.0.1', 80, 0, 0))
    """
    if family == AF_INET:
        return unpack(address), port
    if len(address) == 4:
        return f"::ffff:{unpack(address)}", port, 0, 0
    return unpack(address), port, 0, scope_of(address)


def _checked_tuple(family: int, address: object) -> tuple[Any, ...]:
    """A socket address, if it has its form (CPython getsockaddrarg)."""
    if not isinstance(address, tuple) or len(address) not in ((2,) if family == AF_INET else (2, 3, 4)):
        form = "AF_INET address must be a pair (host, port)"
        if family == AF_INET6:
            form = "AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])"
        raise TypeError(f"{form}, not {address!r}")
    host, port = address[0], address[1]
    if not isinstance(host, str) or not all(isinstance(number, int) for number in address[1:]):
        raise TypeError(f"a socket address is (str, int), not ({type(host).__name__}, {type(port).__name__})")
    if not 0 <= port <= 65535:
        raise OverflowError("connect(): port must be 0-65535.")
    if len(address) > 2 and not 0 <= address[2] <= 0xFFFFF:
        raise OverflowError("connect(): flowinfo must be 0-1048575.")
    return address
