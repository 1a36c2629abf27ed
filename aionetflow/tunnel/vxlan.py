"""The VXLAN header (RFC 7348 5): eight octets before each Ethernet frame, which say to which network it belongs."""

import struct

PORT = 4789  # IANA
HEADER_SIZE = 8
MAX_VNI = (1 << 24) - 1
ETHERNET_HEADER = 14
_HAS_VNI = 0x08  # the I flag; the others are reserved, and not looked at
_IPV4, _IPV6, _UDP = 20, 40, 8  # octets


def header(vni: int) -> bytes:
    """What stands before each frame of a virtual network. Raises ValueError for a number that is none.

    >>> header(42).hex()
    '0800000000002a00'
    """
    if not 0 <= vni <= MAX_VNI:
        raise ValueError(f"vni is a number from 0 to {MAX_VNI}, not {vni!r}")
    return struct.pack("!BxxxI", _HAS_VNI, vni << 8)


def vni_of(datagram: bytes) -> int:
    """The number of the network that a datagram's frame belongs to; -1 if it is not VXLAN, or has no frame in it.

    >>> vni_of(header(42) + bytes(14)), vni_of(bytes(22))
    (42, -1)
    """
    if len(datagram) < HEADER_SIZE + ETHERNET_HEADER or not datagram[0] & _HAS_VNI:
        return -1
    return int.from_bytes(datagram[4:7], "big")


def overhead(family_octets: int) -> int:
    """How many octets of a path's MTU an inner packet cannot have: 50 over IPv4 (addresses of 4), 70 over IPv6 (16)."""
    return (_IPV4 if family_octets == 4 else _IPV6) + _UDP + HEADER_SIZE + ETHERNET_HEADER
