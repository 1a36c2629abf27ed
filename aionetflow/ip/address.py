"""IP addresses as text and as octets. Inside the stack an address is `bytes` of 4 (IPv4) or 16 (IPv6)."""

import errno
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface, ip_network

from aionetflow.errors import os_error

AF_INET = 2  # Linux's numbers
AF_INET6 = 10
LOOPBACK = {AF_INET: bytes((127, 0, 0, 1)), AF_INET6: bytes(15) + b"\x01"}
ANY = {AF_INET: bytes(4), AF_INET6: bytes(16)}


def family_of(address: bytes) -> int:
    """AF_INET or AF_INET6."""
    return AF_INET if len(address) == 4 else AF_INET6


def pack(text: str) -> bytes:
    """The octets of an address literal; ValueError if it is none.

    >>> pack("10.0.0.1").hex()
    '0a000001'
    """
    return ip_address(text).packed


def unpack(address: bytes) -> str:
    """The literal of an address.

    >>> unpack(bytes([10, 0, 0, 1]))
    '10.0.0.1'
    """
    return str(IPv4Address(address) if len(address) == 4 else IPv6Address(address))


def pack_interface(text: str) -> tuple[bytes, int]:
    """An address with its prefix length: (octets, length).

    >>> pack_interface("10.0.0.1/24")
    (b'\\n\\x00\\x00\\x01', 24)
    """
    interface = ip_interface(text)
    return interface.packed, interface.network.prefixlen


def pack_network(text: str) -> tuple[bytes, int]:
    """A network: (octets of its first address, prefix length); "default" is 0.0.0.0/0.

    >>> pack_network("10.1.0.0/16")
    (b'\\n\\x01\\x00\\x00', 16)
    """
    network = ip_network("0.0.0.0/0" if text == "default" else text)
    return network.network_address.packed, network.prefixlen


def pack_endpoint(family: int, address: object) -> tuple[bytes, int]:
    """The octets and port of a socket address (host literal, port): what bind and connect are given.

    An empty host means any address, "<broadcast>" the limited broadcast, as in Python's socket module. Raises
    TypeError for what is no such tuple, OverflowError for a port outside 0..65535, OSError(EINVAL) for a host that
    is no literal of the family: names are resolved above this layer.
    """
    if not isinstance(address, tuple) or len(address) not in ((2,) if family == AF_INET else (2, 3, 4)):
        raise TypeError(f"AF_INET address must be a pair (host, port), not {address!r}")
    host, port = address[0], address[1]
    if not isinstance(host, str) or not isinstance(port, int):
        raise TypeError(f"a socket address is (str, int), not ({type(host).__name__}, {type(port).__name__})")
    if not 0 <= port <= 65535:
        raise OverflowError("connect(): port must be 0-65535.")
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
    return packed, port
