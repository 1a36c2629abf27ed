"""Ancillary data of datagrams: what recvmsg(2) tells beside the octets, and what sendmsg(2) is asked for.

Each item is (level, type, octets), the octets as Linux has them (ip(7), ipv6(7), RFC 3542). What a socket wants to hear
is kept in it as bits: `ASKED` says which option sets which.
"""

import errno
import struct
from typing import NamedTuple

from aionetflow.errors import os_error
from aionetflow.ethernet.interface import Interface
from aionetflow.ip.address import AF_INET, AF_INET6, MAPPED
from aionetflow.socket.options import (
    IP_RECVERR,
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_UDP,
    IPV6_DONTFRAG,
    IPV6_RECVERR,
    IPV6_TCLASS,
    SOL_SOCKET,
)

IP_PKTINFO = 8
IP_RECVTTL = 12
IP_RECVTOS = 13
IP_RECVORIGDSTADDR = 20
IPV6_RECVPKTINFO = 49
IPV6_PKTINFO = 50
IPV6_RECVHOPLIMIT = 51
IPV6_HOPLIMIT = 52
IPV6_RECVTCLASS = 66
SO_TIMESTAMP = 29
SO_TIMESTAMPNS = 35
SO_RXQ_OVFL = 40
UDP_SEGMENT = 103
MSG_CTRUNC = 8
_UNIX_MESSAGES = (1, 2)  # SCM_RIGHTS, SCM_CREDENTIALS: SOL_SOCKET in name only

Item = tuple[int, int, bytes]
ASKED: dict[tuple[int, int], int] = {
    key: 1 << bit
    for bit, key in enumerate(
        (
            (IPPROTO_IP, IP_RECVERR),
            (IPPROTO_IPV6, IPV6_RECVERR),
            (SOL_SOCKET, SO_TIMESTAMP),
            (SOL_SOCKET, SO_TIMESTAMPNS),
            (SOL_SOCKET, SO_RXQ_OVFL),
            (IPPROTO_IP, IP_PKTINFO),
            (IPPROTO_IP, IP_RECVTTL),
            (IPPROTO_IP, IP_RECVTOS),
            (IPPROTO_IP, IP_RECVORIGDSTADDR),
            (IPPROTO_IPV6, IPV6_RECVPKTINFO),
            (IPPROTO_IPV6, IPV6_RECVHOPLIMIT),
            (IPPROTO_IPV6, IPV6_RECVTCLASS),
        )
    )
}
ERRORS = {4: ASKED[IPPROTO_IP, IP_RECVERR], 16: ASKED[IPPROTO_IPV6, IPV6_RECVERR]}  # by the length of addresses
ORIGIN_LOCAL, ORIGIN_ICMP, ORIGIN_ICMP6 = 1, 2, 3  # Linux SO_EE_ORIGIN_*
_EXTENDED_ERROR = struct.Struct("=IBBBxII")  # struct sock_extended_err
_INT = struct.Struct("=i")
_ALIGNMENT = 8
_HEADER = 16  # struct cmsghdr


class Received(NamedTuple):
    """A datagram that waits to be read, and what can be told of how it came."""

    data: bytes
    sender: tuple[object, ...]
    destination: bytes
    interface: Interface
    hops: int  # TTL << 8 | type of service, or hop limit << 8 | traffic class
    when: int  # ns
    drops: int  # datagrams that there was no room for before it


class Told(NamedTuple):
    """An error that waits to be read: what it is about, and its `sock_extended_err`."""

    data: bytes
    address: tuple[object, ...]  # where the datagram went to
    errno: int
    origin: int
    kind: int = 0
    code: int = 0
    info: int = 0
    offender: bytes = b""
    hops: int = 0


class Wanted(NamedTuple):
    """What ancillary data asks of one datagram; -1, 0 or nothing where it does not."""

    interface: int = 0
    source: bytes = b""
    ttl: int = -1
    tos: int = -1
    segment: int = -1
    dont_fragment: int = -1


def of_datagram(asked: int, family: int, message: Received, source: bytes) -> list[Item]:
    """What a socket that asked for these bits is told of a datagram, in Linux's order (udp_recvmsg).

    source is the address that an answer would have, if it was sent to many.
    """
    items: list[Item] = []

    def tell(level: int, option: int, kind: int, data: bytes) -> None:
        if asked & ASKED[level, option]:
            items.append((level, kind, data))

    seconds, rest = divmod(message.when, 1_000_000_000)
    tell(SOL_SOCKET, SO_TIMESTAMP, SO_TIMESTAMP, struct.pack("=qq", seconds, rest // 1000))
    tell(SOL_SOCKET, SO_TIMESTAMPNS, SO_TIMESTAMPNS, struct.pack("=qq", seconds, rest))
    if message.drops:
        tell(SOL_SOCKET, SO_RXQ_OVFL, SO_RXQ_OVFL, struct.pack("=I", message.drops & 0xFFFFFFFF))
    address, index = message.destination, message.interface.index
    if family == AF_INET6:
        shown = address if len(address) == 16 else MAPPED + address
        tell(IPPROTO_IPV6, IPV6_RECVPKTINFO, IPV6_PKTINFO, shown + _INT.pack(index))
    if len(address) == 4:
        tell(IPPROTO_IP, IP_PKTINFO, IP_PKTINFO, _INT.pack(index) + source + address)
    return items + _of_hops(asked, message.hops, len(address) == 4)


def of_original_destination(address: bytes, port: int) -> Item:
    """IP_RECVORIGDSTADDR: address and port that an IPv4 datagram was sent to, as a sockaddr_in."""
    return IPPROTO_IP, IP_RECVORIGDSTADDR, sockaddr(AF_INET, address, port)


def of_error(asked: int, family: int, told: Told) -> list[Item]:
    """The `sock_extended_err` of an error, and behind it who reported it (ip(7), IP_RECVERR).

    What was asked of datagrams comes before it, of the packet that brought the report.
    """
    items = [] if told.origin == ORIGIN_LOCAL else _of_hops(asked, told.hops, len(told.offender) == 4)
    error = _EXTENDED_ERROR.pack(told.errno, told.origin, told.kind, told.code, told.info, 0)
    if family == AF_INET:
        return [*items, (IPPROTO_IP, IP_RECVERR, error + sockaddr(AF_INET, told.offender, 0))]
    return [*items, (IPPROTO_IPV6, IPV6_RECVERR, error + sockaddr(AF_INET6, told.offender, 0))]


def _of_hops(asked: int, hops: int, ipv4: bool) -> list[Item]:
    """TTL and type of service, or what they are in IPv6."""
    ttl, tos = hops >> 8, hops & 255
    four = [
        ((IPPROTO_IP, IP_RECVTTL), (IPPROTO_IP, IP_TTL, _INT.pack(ttl))),
        ((IPPROTO_IP, IP_RECVTOS), (IPPROTO_IP, IP_TOS, bytes((tos,)))),
    ]
    six = [
        ((IPPROTO_IPV6, IPV6_RECVHOPLIMIT), (IPPROTO_IPV6, IPV6_HOPLIMIT, _INT.pack(ttl))),
        ((IPPROTO_IPV6, IPV6_RECVTCLASS), (IPPROTO_IPV6, IPV6_TCLASS, _INT.pack(tos))),
    ]
    return [item for key, item in (four if ipv4 else six) if asked & ASKED[key]]


def sockaddr(family: int, address: bytes, port: int) -> bytes:
    """A sockaddr_in or sockaddr_in6; all zero without an address (AF_UNSPEC).

    >>> sockaddr(AF_INET, bytes((10, 0, 0, 1)), 80)[2:8].hex()
    '00500a000001'
    """
    if family == AF_INET:
        return (struct.pack("=H", AF_INET) + port.to_bytes(2, "big") + address if address else b"").ljust(16, b"\0")
    if not address:
        return bytes(28)
    shown = address if len(address) == 16 else MAPPED + address
    return struct.pack("=H", AF_INET6) + port.to_bytes(2, "big") + bytes(4) + shown + bytes(4)


def fitted(items: list[Item], room: int) -> tuple[list[Item], int]:
    """What of the items a control buffer of that size holds, and MSG_CTRUNC if that is not all (Linux put_cmsg)."""
    given: list[Item] = []
    for level, kind, data in items:
        if room < _HEADER:
            return given, MSG_CTRUNC
        if room < _HEADER + len(data):
            given.append((level, kind, data[: room - _HEADER]))
            return given, MSG_CTRUNC
        given.append((level, kind, data))
        room -= min(room, _HEADER + -(-len(data) // _ALIGNMENT) * _ALIGNMENT)
    return given, 0


def read(family: int, items: list[tuple[int, int, bytes]], to_ipv4: bool) -> Wanted:
    """What sendmsg's ancillary data asks for (Linux ip_cmsg_send, ip6_datagram_send_ctl).

    EINVAL for what cannot be had. What is of a level that is not the socket's means nothing.
    """
    wanted = Wanted()
    for level, kind, data in items:
        if level == SOL_SOCKET:
            if kind not in _UNIX_MESSAGES:
                raise os_error(errno.EINVAL)
        elif level == IPPROTO_UDP and kind == UDP_SEGMENT:
            wanted = wanted._replace(segment=_number(data, 2))
        elif level == IPPROTO_IP and to_ipv4:
            wanted = _read_ip(wanted, kind, data)
        elif level == IPPROTO_IPV6 and family == AF_INET6:
            wanted = _read_ipv6(wanted, kind, data, to_ipv4)
    return wanted


def _read_ip(wanted: Wanted, kind: int, data: bytes) -> Wanted:
    if kind == IP_PKTINFO and len(data) == 12:
        source = data[4:8] if any(data[4:8]) else b""
        return wanted._replace(interface=_number(data[:4], 4), source=source)
    if kind == IP_TTL and len(data) == 4 and 1 <= _number(data, 4) <= 255:
        return wanted._replace(ttl=_number(data, 4))
    if kind == IP_TOS and len(data) in (1, 4) and 0 <= _number(data, len(data)) <= 255:
        return wanted._replace(tos=_number(data, len(data)))
    raise os_error(errno.EINVAL)


def _read_ipv6(wanted: Wanted, kind: int, data: bytes, to_ipv4: bool) -> Wanted:
    if kind == IPV6_PKTINFO and len(data) == 20:
        source = data[:16] if any(data[:16]) else b""
        if to_ipv4 and source:
            if source[:12] != MAPPED:
                raise os_error(errno.EINVAL)
            source = source[12:]
        return wanted._replace(interface=_number(data[16:], 4), source=source)
    if to_ipv4:
        return wanted  # Linux udp_sendmsg: of IPv6's it looks at nothing else
    if kind == IPV6_HOPLIMIT and len(data) == 4 and -1 <= _number(data, 4) <= 255:
        return wanted._replace(ttl=_number(data, 4))
    if kind == IPV6_TCLASS and len(data) == 4 and -1 <= _number(data, 4) <= 255:
        return wanted._replace(tos=_number(data, 4))
    if kind == IPV6_DONTFRAG and len(data) == 4 and 0 <= _number(data, 4) <= 1:
        return wanted._replace(dont_fragment=_number(data, 4))
    raise os_error(errno.EINVAL)


def _number(data: bytes, size: int) -> int:
    if len(data) != size:
        raise os_error(errno.EINVAL)
    return int.from_bytes(data, "little" if struct.pack("=H", 1)[0] else "big", signed=size == 4)
