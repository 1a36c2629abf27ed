"""Socket options: Linux's numbers (asm-generic/socket.h, netinet/tcp.h, netinet/in.h) and what each one changes."""

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from aionetflow.config import DEFAULT_TTL, MIN_MSS, RECEIVE_BUFFER_MIN, SEND_BUFFER_MIN, SOCKET_BUFFER_MAX
from aionetflow.errors import os_error

if TYPE_CHECKING:
    from aionetflow.socket.base import Socket

SOCK_STREAM = 1
SOCK_DGRAM = 2
IPPROTO_IP = 0
IPPROTO_TCP = 6
IPPROTO_UDP = 17
SOL_SOCKET = 1
SO_REUSEADDR = 2
SO_TYPE = 3
SO_ERROR = 4
SO_BROADCAST = 6
SO_SNDBUF = 7
SO_RCVBUF = 8
SO_LINGER = 13
SO_ACCEPTCONN = 30
SO_PROTOCOL = 38
SO_DOMAIN = 39
IP_TOS = 1
IP_TTL = 2
TCP_NODELAY = 1
TCP_MAXSEG = 2
TCP_CORK = 3
MSG_PEEK = 2
SHUT_RD, SHUT_WR, SHUT_RDWR = range(3)
_LINGER = struct.Struct("ii")
_MAX_LENGTH = 1024  # what Python's getsockopt takes
_MAX_WINDOW = 32767  # Linux MAX_TCP_WINDOW: the longest segment that can be asked for


class Option(NamedTuple):
    """One option: how to read it, and how to set it if it can be."""

    get: "Callable[[Socket], int]"
    set: "Callable[[Socket, int], None] | None"


def _flag(name: str) -> Option:
    def set_flag(sock: "Socket", value: int) -> None:
        setattr(sock, name, bool(value))
        sock.options_changed()

    return Option(lambda sock: int(getattr(sock, name)), set_flag)


def _buffer(name: str, minimum: int) -> Option:
    def set_size(sock: "Socket", value: int) -> None:
        # socket(7): the kernel doubles the value, for its bookkeeping, and getsockopt returns the doubled one;
        # it reads the number as unsigned, so that a negative one is very large
        wanted = SOCKET_BUFFER_MAX if value < 0 else min(value, SOCKET_BUFFER_MAX)
        setattr(sock, name, max(2 * wanted, minimum))
        sock.options_changed()

    return Option(lambda sock: int(getattr(sock, name)), set_size)


def _fact(read: "Callable[[Socket], int]") -> Option:
    return Option(read, None)


def _set_ttl(sock: "Socket", value: int) -> None:
    if value != -1 and not 1 <= value <= 255:
        raise os_error(errno.EINVAL)
    sock.ttl = DEFAULT_TTL if value == -1 else value  # ip(7)
    sock.options_changed()


def _set_tos(sock: "Socket", value: int) -> None:
    value &= 255
    if sock.type == SOCK_STREAM:  # Linux __ip_sock_set_tos: the ECN bits are TCP's own
        value = value & ~3 | sock.tos & 3
    sock.tos = value
    sock.options_changed()


def _set_max_segment(sock: "Socket", value: int) -> None:
    if value and not MIN_MSS <= value <= _MAX_WINDOW:  # Linux do_tcp_setsockopt; 0 lifts the limit
        raise os_error(errno.EINVAL)
    sock.user_mss = value
    sock.options_changed()


OPTIONS: dict[tuple[int, int], Option] = {
    (SOL_SOCKET, SO_REUSEADDR): _flag("reuse_address"),
    (SOL_SOCKET, SO_BROADCAST): _flag("broadcast"),
    (SOL_SOCKET, SO_SNDBUF): _buffer("send_buffer", SEND_BUFFER_MIN),
    (SOL_SOCKET, SO_RCVBUF): _buffer("receive_buffer", RECEIVE_BUFFER_MIN),
    (SOL_SOCKET, SO_TYPE): _fact(lambda sock: sock.type),
    (SOL_SOCKET, SO_DOMAIN): _fact(lambda sock: sock.family),
    (SOL_SOCKET, SO_PROTOCOL): _fact(lambda sock: sock.proto),
    (SOL_SOCKET, SO_ERROR): _fact(lambda sock: sock.take_error()),
    (SOL_SOCKET, SO_ACCEPTCONN): _fact(lambda sock: int(sock.is_listening())),
    (IPPROTO_IP, IP_TTL): Option(lambda sock: sock.ttl, _set_ttl),
    (IPPROTO_IP, IP_TOS): Option(lambda sock: sock.tos, _set_tos),
}
STREAM_OPTIONS: dict[tuple[int, int], Option] = {
    (IPPROTO_TCP, TCP_NODELAY): _flag("nodelay"),
    (IPPROTO_TCP, TCP_CORK): _flag("cork"),
    (IPPROTO_TCP, TCP_MAXSEG): Option(lambda sock: sock.max_segment(), _set_max_segment),
}


def get(sock: "Socket", level: int, option: int, length: int = 0) -> int | bytes:
    """getsockopt(): an int, or bytes of at most that length when one is given.

    Raises OSError: ENOPROTOOPT for an option that the socket has not, EOPNOTSUPP for a level that it has not.
    """
    if not 0 <= length <= _MAX_LENGTH:
        raise OSError("getsockopt buflen out of range")
    if (level, option) == (SOL_SOCKET, SO_LINGER):
        packed = _LINGER.pack(int(sock.linger_on), sock.linger_seconds)
        return packed[:length] if length else int(sock.linger_on)
    entry = _find(sock, level, option)
    if entry is None:  # Linux: the level is looked at only here
        raise os_error(errno.ENOPROTOOPT if level in (SOL_SOCKET, IPPROTO_IP, sock.proto) else errno.EOPNOTSUPP)
    value = entry.get(sock)
    if not length:
        return value
    if level == IPPROTO_IP and length < 4 and 0 <= value <= 255:
        return bytes((value,))  # Linux ip_getsockopt: one octet is enough
    return struct.pack("i", value)[:length]


def put(sock: "Socket", level: int, option: int, value: int | bytes) -> None:
    """setsockopt(): ENOPROTOOPT for an option that is unknown or cannot be set, EINVAL for a value that is wrong."""
    data = struct.pack("i", _checked(value)) if isinstance(value, int) else bytes(memoryview(value))
    if (level, option) == (SOL_SOCKET, SO_LINGER):
        _set_linger(sock, data)
        return
    entry = _find(sock, level, option)
    if level == SOL_SOCKET and len(data) < 4:
        raise os_error(errno.EINVAL)
    if entry is None or entry.set is None:
        raise os_error(errno.ENOPROTOOPT)
    if len(data) >= 4:
        entry.set(sock, struct.unpack_from("i", data)[0])
    elif level == IPPROTO_IP:
        entry.set(sock, data[0] if data else 0)  # Linux ip_setsockopt: one octet is enough
    else:
        raise os_error(errno.EINVAL)


def _set_linger(sock: "Socket", data: bytes) -> None:
    if len(data) < _LINGER.size:
        raise os_error(errno.EINVAL)
    on, seconds = _LINGER.unpack_from(data)
    sock.linger_on = bool(on)
    if on:
        sock.linger_seconds = seconds if seconds >= 0 else (1 << 31) - 1


def _checked(value: int) -> int:
    """The value, if a C int holds it; Python's words if not."""
    if not -(1 << 31) <= value < 1 << 31:
        side = "greater than maximum" if value > 0 else "less than minimum"
        raise OverflowError(f"signed integer is {side}")
    return value


def _find(sock: "Socket", level: int, option: int) -> Option | None:
    entry = OPTIONS.get((level, option))
    if entry is None and sock.type == SOCK_STREAM:
        entry = STREAM_OPTIONS.get((level, option))
    return entry
