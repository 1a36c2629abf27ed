"""Socket options: Linux's numbers (asm-generic/socket.h, netinet/tcp.h, netinet/in.h) and what each one changes.

Some are kept for whoever asks for them and change nothing: `_stored`.
"""

import errno
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from aionetflow.config import (
    DEFAULT_TTL,
    RECEIVE_BUFFER_MIN,
    SEND_BUFFER_MIN,
    TCP_BUFFER_MAX,
)
from aionetflow.errors import os_error
from aionetflow.ip.address import AF_INET6

if TYPE_CHECKING:
    from aionetflow.socket.base import Socket

SOCK_STREAM = 1
SOCK_DGRAM = 2
IPPROTO_IP = 0
IPPROTO_TCP = 6
IPPROTO_UDP = 17
IPPROTO_IPV6 = 41
SOL_SOCKET = 1
SO_REUSEADDR = 2
SO_TYPE = 3
SO_ERROR = 4
SO_BROADCAST = 6
SO_SNDBUF = 7
SO_RCVBUF = 8
SO_KEEPALIVE = 9
SO_OOBINLINE = 10
SO_PRIORITY = 12
SO_LINGER = 13
SO_REUSEPORT = 15
SO_RCVLOWAT = 18
SO_RCVTIMEO = 20
SO_SNDTIMEO = 21
SO_BINDTODEVICE = 25
SO_ACCEPTCONN = 30
SO_MARK = 36
SO_PROTOCOL = 38
SO_DOMAIN = 39
SO_MAX_PACING_RATE = 47
IP_TOS = 1
IP_TTL = 2
IP_MTU_DISCOVER = 10
IP_RECVERR = 11
IP_BIND_ADDRESS_NO_PORT = 24
IPV6_UNICAST_HOPS = 16
IPV6_MTU_DISCOVER = 23
IPV6_RECVERR = 25
IPV6_V6ONLY = 26
IPV6_DONTFRAG = 62
IPV6_TCLASS = 67
TCP_NODELAY = 1
TCP_MAXSEG = 2
TCP_CORK = 3
TCP_KEEPIDLE = 4
TCP_KEEPINTVL = 5
TCP_KEEPCNT = 6
TCP_SYNCNT = 7
TCP_LINGER2 = 8
TCP_DEFER_ACCEPT = 9
TCP_WINDOW_CLAMP = 10
TCP_INFO = 11
TCP_QUICKACK = 12
TCP_CONGESTION = 13
TCP_USER_TIMEOUT = 18
TCP_FASTOPEN = 23
TCP_NOTSENT_LOWAT = 25
TCP_FASTOPEN_CONNECT = 30
TCP_FASTOPEN_KEY = 33
TCP_FASTOPEN_NO_COOKIE = 34
MSG_OOB = 1
MSG_PEEK = 2
MSG_TRUNC = 0x20
MSG_DONTWAIT = 0x40
MSG_WAITALL = 0x100
MSG_ERRQUEUE = 0x2000
MSG_NOSIGNAL = 0x4000
MSG_MORE = 0x8000
MSG_FASTOPEN = 0x20000000
SHUT_RD, SHUT_WR, SHUT_RDWR = range(3)
SIOCINQ = 0x541B  # ioctl(2), as FIONREAD
SIOCOUTQ = 0x5411
SIOCOUTQNSD = 0x894B
SIOCATMARK = 0x8905
_LINGER = struct.Struct("ii")
_TIMEVAL = struct.Struct("qq")  # seconds, microseconds
_DEVICE_LENGTH = 16  # Linux IFNAMSIZ
_NAME_LENGTH = 16  # Linux TCP_CA_NAME_MAX
NO_PACING_RATE = (1 << 64) - 1  # SO_MAX_PACING_RATE: none
_U32 = 0xFFFFFFFF
_MAX_LENGTH = 1024  # what Python's getsockopt takes


class Option(NamedTuple):
    """One option: how to read it, and how to set it if it can be."""

    get: "Callable[[Socket], int]"
    set: "Callable[[Socket, int], None] | None"


class RawOption(NamedTuple):
    """One option whose value is no number: its octets."""

    get: "Callable[[Socket], bytes]"
    set: "Callable[[Socket, bytes], None]"
    get_short: "Callable[[Socket], bytes] | None" = None  # where fewer octets are asked for than there are


def _stored(key: tuple[int, int], default: int, checked: Callable[[int], int]) -> tuple[tuple[int, int], Option]:
    """An option that is only kept; `checked` says what of a value, or raises OSError."""

    def set_stored(sock: "Socket", value: int) -> None:
        sock.store(key, checked(value))

    return key, Option(lambda sock: sock.kept(key, default), set_stored)


def _within(low: int, high: int = (1 << 31) - 1) -> Callable[[int], int]:
    """A check of a value: EINVAL if it lies outside."""

    def check(value: int) -> int:
        if not low <= value <= high:
            raise os_error(errno.EINVAL)
        return value

    return check


def _truth(value: int) -> int:
    """0 or 1, as the kernel keeps what is on or off."""
    return int(value != 0)


def _low_water(value: int) -> int:
    """Linux sock_setsockopt, tcp_set_rcvlowat: negative is very large, zero is one, the largest half a buffer."""
    return min(value or 1, TCP_BUFFER_MAX // 2) if value >= 0 else TCP_BUFFER_MAX // 2


def _flag(name: str) -> Option:
    """An option that is a truth, kept as an attribute of the socket."""

    def set_flag(sock: "Socket", value: int) -> None:
        setattr(sock, name, bool(value))
        sock.options_changed()

    return Option(lambda sock: int(getattr(sock, name)), set_flag)


def _buffer(name: str, which: int, minimum: int, limit: str) -> Option:
    def set_size(sock: "Socket", value: int) -> None:
        # socket(7): the kernel doubles the value, for its bookkeeping, and getsockopt returns the doubled one;
        # it reads the number as unsigned, so that a negative one is very large
        most = getattr(sock._services.sysctl, limit)
        wanted = most if value < 0 else min(value, most)
        setattr(sock, f"{name}_buffer", max(2 * wanted, minimum))
        setattr(sock, f"{name}_locked", True)
        sock.options_changed()

    return Option(lambda sock: sock.buffer_sizes()[which], set_size)


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


def _set_hop_limit(sock: "Socket", value: int) -> None:
    sock.hop_limit = DEFAULT_TTL if value == -1 else _within(0, 255)(value)
    sock.options_changed()


def _set_traffic_class(sock: "Socket", value: int) -> None:
    value = 0 if value == -1 else _within(0, 255)(value)  # RFC 3542 6.5
    if sock.type == SOCK_STREAM:
        value = value & ~3 | sock.traffic_class & 3
    sock.traffic_class = value
    sock.options_changed()


def _set_v6only(sock: "Socket", value: int) -> None:
    if sock.local_port:  # Linux do_ipv6_setsockopt: not once it is bound
        raise os_error(errno.EINVAL)
    sock.v6only = bool(value)


OPTIONS: dict[tuple[int, int], Option] = {
    (SOL_SOCKET, SO_REUSEADDR): _flag("reuse_address"),
    (SOL_SOCKET, SO_REUSEPORT): _flag("reuse_port"),
    (SOL_SOCKET, SO_BROADCAST): _flag("broadcast"),
    (SOL_SOCKET, SO_SNDBUF): _buffer("send", 1, SEND_BUFFER_MIN, "wmem_max"),
    (SOL_SOCKET, SO_RCVBUF): _buffer("receive", 0, RECEIVE_BUFFER_MIN, "rmem_max"),
    (SOL_SOCKET, SO_TYPE): _fact(lambda sock: sock.type),
    (SOL_SOCKET, SO_DOMAIN): _fact(lambda sock: sock.family),
    (SOL_SOCKET, SO_PROTOCOL): _fact(lambda sock: sock.proto),
    (SOL_SOCKET, SO_ERROR): _fact(lambda sock: sock.asked_error()),
    (SOL_SOCKET, SO_ACCEPTCONN): _fact(lambda sock: int(sock.is_listening())),
    (IPPROTO_IP, IP_TTL): Option(lambda sock: sock.ttl, _set_ttl),
    (IPPROTO_IP, IP_TOS): Option(lambda sock: sock.tos, _set_tos),
    (IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT): _flag("bind_no_port"),
    **dict(
        (
            _stored((SOL_SOCKET, SO_KEEPALIVE), 0, _truth),
            _stored((SOL_SOCKET, SO_OOBINLINE), 0, _truth),
            _stored((SOL_SOCKET, SO_PRIORITY), 0, int),
            _stored((SOL_SOCKET, SO_MARK), 0, int),
            _stored((SOL_SOCKET, SO_RCVLOWAT), 1, _low_water),
        )
    ),
}
IPV6_OPTIONS: dict[tuple[int, int], Option] = {
    (IPPROTO_IPV6, IPV6_V6ONLY): Option(lambda sock: int(sock.v6only), _set_v6only),
    (IPPROTO_IPV6, IPV6_UNICAST_HOPS): Option(lambda sock: sock.hop_limit, _set_hop_limit),
    (IPPROTO_IPV6, IPV6_TCLASS): Option(lambda sock: sock.traffic_class, _set_traffic_class),
    **dict(
        (
            _stored((IPPROTO_IPV6, IPV6_DONTFRAG), 0, _truth),
        )
    ),
}

def get(sock: "Socket", level: int, option: int, length: int = 0) -> int | bytes:
    """getsockopt(): an int, or bytes of at most that length when one is given.

    Raises OSError: ENOPROTOOPT for an option that the socket has not, EOPNOTSUPP for a level that it has not.
    """
    if not 0 <= length <= _MAX_LENGTH:
        raise OSError("getsockopt buflen out of range")
    raw = _find_raw(sock, level, option)
    if raw is not None:
        data = raw.get(sock)
        if raw.get_short is not None and length < len(data):
            data = raw.get_short(sock)
        if not length and len(data) < 4:
            raise os_error(errno.EINVAL)  # no number
        return data[:length] if length else int(struct.unpack_from("i", data)[0])
    entry = _find(sock, level, option)
    if entry is None:  # Linux: the level is looked at only here, and of AF_INET6 not at all
        known = sock.family == AF_INET6 or level in (SOL_SOCKET, IPPROTO_IP, sock.proto)
        raise os_error(errno.ENOPROTOOPT if known else errno.EOPNOTSUPP)
    value = entry.get(sock)
    if not length:
        return value
    if level == IPPROTO_IP and length < 4 and 0 <= value <= 255:
        return bytes((value,))  # Linux ip_getsockopt: one octet is enough
    return struct.pack("i", value)[:length]


def put(sock: "Socket", level: int, option: int, value: int | bytes) -> None:
    """setsockopt(): ENOPROTOOPT for an option that is unknown or cannot be set, EINVAL for a value that is wrong."""
    data = struct.pack("i", _checked(value)) if isinstance(value, int) else bytes(memoryview(value))
    raw = _find_raw(sock, level, option)
    if raw is not None:
        raw.set(sock, data)
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


def _timeout(option: int) -> RawOption:
    """SO_RCVTIMEO and SO_SNDTIMEO: a timeval, which is kept. No call here waits."""
    key = SOL_SOCKET, option

    def set_timeout(sock: "Socket", data: bytes) -> None:
        if len(data) < _TIMEVAL.size:
            raise os_error(errno.EINVAL)
        seconds, microseconds = _TIMEVAL.unpack_from(data)
        if not 0 <= microseconds < 1_000_000:
            raise os_error(errno.EDOM)
        sock.store(key, max(0, 1_000_000 * seconds + microseconds) if seconds >= 0 else 0)

    return RawOption(lambda sock: _TIMEVAL.pack(*divmod(sock.kept(key, 0), 1_000_000)), set_timeout)


def _set_congestion(sock: "Socket", data: bytes) -> None:
    if not data:
        raise os_error(errno.EINVAL)
    sock.set_congestion(data[: _NAME_LENGTH - 1].partition(b"\0")[0].decode("ascii", "replace"))


def _set_device(sock: "Socket", data: bytes) -> None:
    """socket(7), SO_BINDTODEVICE: the name of an interface; none for all of them. ENODEV if there is no such."""
    name = data[: _DEVICE_LENGTH - 1].partition(b"\0")[0].decode("utf-8", "replace")
    sock.device = sock._services.index_of(name) if name else 0
    sock.options_changed()


def _get_device(sock: "Socket") -> bytes:
    name = sock._services.name_of(sock.device).encode()
    return name + b"\0" if name else b""


def _set_pacing_rate(sock: "Socket", data: bytes) -> None:
    """socket(7), SO_MAX_PACING_RATE: octets per second, in 32 bits or in 64; all of them set is no limit."""
    if len(data) < 4:
        raise os_error(errno.EINVAL)
    rate: int = struct.unpack_from("Q" if len(data) >= 8 else "I", data)[0]
    key = SOL_SOCKET, SO_MAX_PACING_RATE
    sock.store(key, NO_PACING_RATE if rate == _U32 and len(data) < 8 else rate)
    sock.heed(key)


def _pacing_rate(sock: "Socket") -> int:
    return sock.kept((SOL_SOCKET, SO_MAX_PACING_RATE), NO_PACING_RATE)


def _refuse(sock: "Socket", data: bytes) -> None:
    raise os_error(errno.ENOPROTOOPT)


RAW_OPTIONS: dict[tuple[int, int], RawOption] = {
    (SOL_SOCKET, SO_BINDTODEVICE): RawOption(_get_device, _set_device),
    (IPPROTO_TCP, TCP_INFO): RawOption(lambda sock: sock.info_octets(), _refuse),
    (SOL_SOCKET, SO_LINGER): RawOption(
        lambda sock: _LINGER.pack(int(sock.linger_on), sock.linger_seconds), _set_linger
    ),
    (SOL_SOCKET, SO_MAX_PACING_RATE): RawOption(
        lambda sock: struct.pack("Q", _pacing_rate(sock)), _set_pacing_rate,
        lambda sock: struct.pack("I", min(_pacing_rate(sock), _U32)),
    ),
    (SOL_SOCKET, SO_RCVTIMEO): _timeout(SO_RCVTIMEO),
    (SOL_SOCKET, SO_SNDTIMEO): _timeout(SO_SNDTIMEO),
    (IPPROTO_TCP, TCP_CONGESTION): RawOption(
        lambda sock: sock.congestion_name().encode().ljust(_NAME_LENGTH, b"\0"), _set_congestion
    ),
}


def _checked(value: int) -> int:
    """The value, if a C int holds it; Python's words if not."""
    if not -(1 << 31) <= value < 1 << 31:
        side = "greater than maximum" if value > 0 else "less than minimum"
        raise OverflowError(f"signed integer is {side}")
    return value


def _find(sock: "Socket", level: int, option: int) -> Option | None:
    entry = sock.own_options.get((level, option)) or OPTIONS.get((level, option))
    if entry is None and sock.family == AF_INET6:
        entry = IPV6_OPTIONS.get((level, option))
    return entry


def _find_raw(sock: "Socket", level: int, option: int) -> RawOption | None:
    if level == IPPROTO_IPV6 and sock.family != AF_INET6:
        return None
    return RAW_OPTIONS.get((level, option)) if level != IPPROTO_TCP or sock.type == SOCK_STREAM else None
