"""What a program gives to a socket's calls, refused where CPython refuses it, and in its words.

Which words those are differs from call to call and from one Python to the next. So they are not written down here, but
for addresses: the C class that socket.socket derives from is asked.
"""

import _socket
import contextlib
import errno
import functools
import socket
from collections.abc import Callable
from operator import index
from typing import Any, ParamSpec, TypeVar

from aionetflow.errors import os_error
from aionetflow.socket.options import IPPROTO_TCP, IPPROTO_UDP, SOCK_DGRAM, SOCK_STREAM

_P = ParamSpec("_P")
_T = TypeVar("_T")
_FORMS = {
    socket.AF_INET: ("AF_INET", (2,), "AF_INET address must be a pair (host, port)"),
    socket.AF_INET6: (
        "AF_INET6", (2, 3, 4), "AF_INET6 address must be a tuple (host, port[, flowinfo[, scopeid]])"
    ),
}  # fmt: skip
_PROTOCOLS = {SOCK_STREAM: IPPROTO_TCP, SOCK_DGRAM: IPPROTO_UDP}
_IPPROTO_MAX = 263
_KIND_BITS = 0xF  # the rest of a socket's type is SOCK_CLOEXEC and SOCK_NONBLOCK
_MAX_INT = 0x7FFFFFFF
_USUAL = frozenset((bytes, bytearray, tuple))  # types of arguments that need no closer look
_MAX_PORT = 0xFFFF
_MAX_FLOW = 0xFFFFF  # RFC 6437: the flow label has 20 bits
# Never opened: what it is asked goes to descriptor -1, and nothing but looking at the arguments can come of it.
_unopened = _socket.socket.__new__(_socket.socket)


_ODD = (str, float, list)


def checked(method: Callable[_P, _T]) -> Callable[_P, _T]:
    """Decorates a method of VirtualSocket: what socket.socket refuses it refuses, with the same exception."""
    theirs = getattr(_socket.socket, method.__name__)

    def refuse(args: Any, kwargs: Any) -> None:
        with contextlib.suppress(OSError):  # EBADF: it finds no fault with the arguments
            theirs(_unopened, *args[1:], **kwargs)

    @functools.wraps(method)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        for argument in args[1:]:
            if type(argument) not in _USUAL and _is_odd(argument):
                refuse(args, kwargs)
                break
        try:
            return method(*args, **kwargs)
        except BlockingIOError:
            raise
        except (TypeError, ValueError, OverflowError, OSError):
            refuse(args, kwargs)  # the arguments are looked at before the socket is
            raise

    return call


def _is_odd(argument: Any) -> bool:
    """Whether it is something that few calls take, so that it is worth asking before anything is done."""
    if isinstance(argument, int):
        return not 0 <= argument <= _MAX_INT
    if isinstance(argument, memoryview):
        return not argument.c_contiguous
    return argument is None or isinstance(argument, _ODD)


def check_kind(family: int, kind: int, proto: int) -> int:
    """What kind of socket is asked for, without flags (Linux __sys_socket, inet_create); OSError if there is none."""
    flags = kind & ~_KIND_BITS
    kind &= _KIND_BITS
    if flags & ~(socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK):
        raise os_error(errno.EINVAL)
    if family not in _FORMS:
        raise os_error(errno.EAFNOSUPPORT)
    if kind not in _PROTOCOLS:
        raise os_error(errno.ESOCKTNOSUPPORT)
    if not 0 <= proto < _IPPROTO_MAX:
        raise os_error(errno.EINVAL)
    echo = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
    if proto not in (0, _PROTOCOLS[kind]) and not (kind == socket.SOCK_DGRAM and proto == echo):
        raise os_error(errno.EPROTONOSUPPORT)
    return kind


def check_address(call: str, family: int, address: Any) -> None:
    """CPython getsockaddrarg: TypeError for what is no address of the family, OverflowError for a port that is none."""
    name, lengths, form = _FORMS[socket.AddressFamily(family)]
    if not isinstance(address, tuple):
        raise TypeError(f"{call}(): {name} address must be tuple, not {type(address).__name__}")
    if len(address) not in lengths:
        raise TypeError(form)
    _check_name(address[0])
    port, flow, *_ = *map(index, address[1:]), 0
    if not 0 <= port <= _MAX_PORT:
        raise OverflowError(f"{call}(): port must be 0-65535.")
    if not 0 <= flow <= _MAX_FLOW:
        raise OverflowError(f"{call}(): flowinfo must be 0-1048575.")


def _check_name(host: Any) -> None:
    if isinstance(host, str):
        try:
            host = host.encode("ascii" if host.isascii() else "idna")
        except UnicodeError:
            raise TypeError("encoding of hostname failed") from None
    if not isinstance(host, bytes | bytearray):
        raise TypeError(f"str, bytes or bytearray expected, not {type(host).__name__}")
    if 0 in host:
        raise TypeError("host name must not contain null character")
