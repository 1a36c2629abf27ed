"""patch(): the socket module makes virtual sockets, for programs that call it themselves.

Most libraries leave sockets to the event loop, and then nothing has to be patched. Some make their own (aiohttp's
client, anyio's listeners, hypercorn, aioquic): they all say `socket.socket(...)`, and find ours there.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, Self

from aionetflow.dropin import resolve
from aionetflow.dropin.socket import VirtualSocket, of_descriptor, reattach
from aionetflow.dropin.tls import PatchedTlsSocket
from aionetflow.network.host import optional_host

_System = socket.socket
_MAX_INT = 0x7FFFFFFF
_FAMILIES = (-1, socket.AF_INET, socket.AF_INET6)


class _Meta(type):
    """Decides, when `socket.socket` is called, whose socket is made; and passes for socket.socket in isinstance()."""

    def __call__(cls, family: int = -1, type: int = -1, proto: int = -1, fileno: Any = None) -> Any:
        if cls is not PatchedSocket:  # a class that a program has derived
            return super().__call__(family, type, proto, fileno)
        if fileno is not None:
            return _of_descriptor(fileno) or _System(family, type, proto, fileno)
        host = optional_host()
        if host is None or family not in _FAMILIES or not _are_ints(family, type, proto):
            return _System(family, type, proto)
        family = socket.AF_INET if family == -1 else family
        kind = socket.SOCK_STREAM if type == -1 else type
        return VirtualSocket(host, family, kind, 0 if proto == -1 else proto)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _System) if cls is PatchedSocket else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _System) if cls is PatchedSocket else super().__subclasscheck__(subclass)


class PatchedSocket(_System, metaclass=_Meta):
    """What `socket.socket` is while sockets are patched: calling it makes a socket of the host that the caller is on,
    or one of the kernel's, where there is no network and for Unix sockets.
    """

    __slots__ = ()


def _are_ints(*numbers: Any) -> bool:
    """Whether the kernel's socket class would take them, which is left to it to say if not."""
    return all(isinstance(number, int) and -1 <= number <= _MAX_INT for number in numbers)


def _of_descriptor(descriptor: int) -> VirtualSocket | None:
    """Another object for a virtual socket that has told its descriptor, or was detached from its own."""
    known = of_descriptor(descriptor)
    return known.dup() if known is not None else reattach(descriptor)


# ---- names


def _getaddrinfo(
    host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> Any:
    here = optional_host()
    if here is None:
        return _kernel.getaddrinfo(host, port, family, type, proto, flags)
    return resolve.getaddrinfo(here, host, port, family, type, proto, flags)


def _getnameinfo(sockaddr: Any, flags: int) -> Any:
    here = optional_host()
    if here is None:
        return _kernel.getnameinfo(sockaddr, flags)
    return resolve.getnameinfo(here, sockaddr, flags)


def _gethostname() -> Any:
    here = optional_host()
    return _kernel.gethostname() if here is None else here.name


def _gethostbyname(hostname: str) -> Any:
    if optional_host() is None:
        return _kernel.gethostbyname(hostname)
    return _getaddrinfo(hostname, None, socket.AF_INET)[0][4][0]


def _gethostbyname_ex(hostname: str) -> Any:
    if optional_host() is None:
        return _kernel.gethostbyname_ex(hostname)
    infos = _getaddrinfo(hostname, None, socket.AF_INET, socket.SOCK_STREAM)
    return hostname, [], [info[4][0] for info in infos]


def _gethostbyaddr(ip_address: str) -> Any:
    here = optional_host()
    if here is None:
        return _kernel.gethostbyaddr(ip_address)
    literal = _getaddrinfo(ip_address, None)[0][4][0]
    name = resolve.name_of(here, literal)
    if name is None:
        raise socket.herror(1, "Unknown host")
    return name, [], [literal]


_REPLACEMENTS: dict[str, Any] = {
    "socket": PatchedSocket, "getaddrinfo": _getaddrinfo, "getnameinfo": _getnameinfo, "gethostname": _gethostname,
    "gethostbyname": _gethostbyname, "gethostbyname_ex": _gethostbyname_ex, "gethostbyaddr": _gethostbyaddr,
}  # fmt: skip
_kernel: Any = SimpleNamespace(**{name: getattr(socket, name) for name in _REPLACEMENTS})


# What else is replaced: among whose globals, which name, by what, and what it was.
_further: list[tuple[dict[str, Any], str, Any, Any]] = []


def extend(names: dict[str, Any], name: str, ours: Any) -> None:
    """Has patch() replace something else, too: a name among a module's globals."""
    with Patch._lock:
        _further.append((names, name, ours, names[name]))
        if Patch._users:
            names[name] = ours


@contextmanager
def unpatched() -> Iterator[None]:
    """Inside, `socket.socket` is the system's class: for who compares it with the class of a socket."""
    names = vars(socket)
    before = names["socket"]
    names["socket"] = _System
    try:
        yield
    finally:
        names["socket"] = before


class Patch:
    """What patch() returns: ends with the `with` block, or by undo()."""

    _lock = threading.Lock()
    _users = 0

    def __init__(self) -> None:
        self._done = False
        with Patch._lock:
            Patch._users += 1
            if Patch._users == 1:
                vars(socket).update(_REPLACEMENTS)
                ssl.SSLContext.sslsocket_class = PatchedTlsSocket
                for names, name, ours, _ in _further:
                    names[name] = ours

    def undo(self) -> None:
        """Ends it; the module is itself again when all who have patched it have done so."""
        with Patch._lock:
            if self._done:
                return
            self._done = True
            Patch._users -= 1
            if Patch._users == 0:
                vars(socket).update(vars(_kernel))
                ssl.SSLContext.sslsocket_class = ssl.SSLSocket
                for names, name, _, theirs in _further:
                    names[name] = theirs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.undo()


def patch() -> Patch:
    """Has the socket module make virtual sockets and ask virtual names, until the `with` block ends or `undo()`.

    `socket.socket`, `create_connection`, `create_server`, `has_dualstack_ipv6`, `getaddrinfo` and the older look-ups
    are those of the host that the caller is on. Where the caller is on no network they are the kernel's, and so are
    Unix sockets, socketpair() and what an event loop needs for itself. `SSLContext.wrap_socket` takes virtual sockets.
    May be nested; it holds for all threads.

    A virtual socket never blocks its network: on the network's own thread a call that would wait raises RuntimeError,
    on another thread it waits.

    >>> import aionetflow, asyncio, socket
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1):
    ...         with aionetflow.patch(), socket.create_server(("localhost", 8080)) as sock:
    ...             print(type(sock).__name__, sock.getsockname())
    >>> asyncio.run(main())
    VirtualSocket ('127.0.0.1', 8080)
    """

    return Patch()
