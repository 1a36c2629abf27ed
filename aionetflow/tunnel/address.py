"""Addresses of the kernel's UDP sockets: as programs write them, (host, port), and as the kernel does, octets."""

import socket
import struct
from ipaddress import ip_address
from typing import Any

Address = tuple[str, int]
_NATIVE = "="  # sockaddr has the family in the machine's order, the rest in the network's
_getaddrinfo = socket.getaddrinfo  # whatever the name comes to mean


def resolved(address: Address, family: int = 0) -> Address:
    """An address whose host may be a name, with a literal in its place; asks the operating system.

    Raises OSError for a name that nobody has (or not in that address family), ValueError for what is no address.
    """
    if not _is_address(address):
        raise ValueError(f"an address is (host, port), not {address!r}")
    host, port = address
    try:
        infos = _getaddrinfo(host, port, family, socket.SOCK_DGRAM)
    except socket.gaierror as error:
        raise OSError(error.errno, f"{host}: {error.strerror}") from None
    return plain(infos[0][4])


def _is_address(address: object) -> bool:
    if not isinstance(address, tuple) or len(address) != 2:
        return False
    host, port = address
    return isinstance(host, str) and host != "" and isinstance(port, int) and 0 <= port <= 65535


def plain(address: Any) -> Address:
    """A socket's address as (literal, port): the scope of a link-local address stands behind it, as in "fe80::1%2".

    >>> plain(("fe80::1", 4789, 0, 2))
    ('fe80::1%2', 4789)
    """
    host, port = str(address[0]), int(address[1])
    if len(address) == 4 and address[3] and "%" not in host:
        host = f"{host}%{address[3]}"
    return host, port


def family_of(address: Address) -> socket.AddressFamily:
    """AF_INET or AF_INET6, by the literal in an address."""
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def packed(address: Address) -> bytes:
    """The kernel's form, struct sockaddr_in or sockaddr_in6 (Linux; netinet/in.h).

    >>> packed(("192.0.2.1", 4789))[2:8].hex()
    '12b5c0000201'
    """
    host, port = address
    head = struct.pack(_NATIVE + "H", family_of(address)) + struct.pack("!H", port)
    literal, _, scope = host.partition("%")
    octets = ip_address(literal).packed
    if len(octets) == 4:
        return head + octets + bytes(8)
    index = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope) if scope else 0
    return head + bytes(4) + octets + struct.pack(_NATIVE + "I", index)


def unpacked(octets: bytes) -> Address:
    """What `packed` has packed.

    >>> unpacked(packed(("2001:db8::1", 4789)))
    ('2001:db8::1', 4789)
    """
    port = int.from_bytes(octets[2:4], "big")
    if len(octets) == 16:
        return str(ip_address(octets[4:8])), port
    host = str(ip_address(octets[8:24]))
    (scope,) = struct.unpack_from(_NATIVE + "I", octets, 24)
    return (f"{host}%{scope}" if scope else host), port


def host_of(octets: bytes) -> bytes:
    """What of an address in the kernel's form is the host's alone."""
    return octets[:2] + octets[4:]


def shown(address: Address) -> str:
    """As one writes it: 192.0.2.1:4789 or [2001:db8::1]:4789."""
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"


def path_mtu(peer: Address) -> int:
    """The longest IP packet, in octets, that the way to a peer takes, as far as the kernel knows (Linux; else 1500).

    Raises OSError if there is no way.
    """
    with _System(family_of(peer), socket.SOCK_DGRAM) as probe:
        probe.connect((peer[0], peer[1] or 1))
        if family_of(peer) == socket.AF_INET6:
            option = (socket.IPPROTO_IPV6, _IPV6_MTU)
        else:
            option = (socket.IPPROTO_IP, _IP_MTU)
        try:
            return probe.getsockopt(*option)
        except OSError:
            return _ETHERNET_MTU


_IP_MTU, _IPV6_MTU = 14, 24  # linux/in.h, linux/in6.h
_ETHERNET_MTU = 1500
_System = socket.socket
