"""The kernel's side of a network device: its addresses, its MTU, whether it is up, and the namespace it is in.

By rtnetlink (Linux, rtnetlink(7)): one message, one answer. What changes something needs CAP_NET_ADMIN, entering
another namespace CAP_SYS_ADMIN.
"""

import ctypes
import errno
import os
import socket
import struct
import threading
from collections.abc import Callable
from ipaddress import ip_interface
from typing import Self, TypeVar

T = TypeVar("T")
Namespace = str | os.PathLike[str] | int | None

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_NAMED = "/run/netns"  # where `ip netns add` keeps them
# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
_NLMSG_ERROR = 2
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_EXCL, _NLM_F_CREATE = 0x1, 0x4, 0x200, 0x400
_RTM_NEWLINK, _RTM_NEWADDR = 16, 20
_IFF_UP = 1
IFLA_MTU = 4
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_IFA_F_NODAD = 0x02
_System = socket.socket  # whatever the name comes to mean


def within(namespace: Namespace, function: Callable[[], T]) -> T:
    """Calls a function in a network namespace: of that name (`ip netns`), path or descriptor; None is our own.

    It runs in a thread of its own, since a thread that has entered a namespace cannot be used for anything else.
    Descriptors that it opens stay in the namespace. Raises what the function raises, and OSError if there is no such
    namespace or it may not be entered.
    """
    if namespace is None:
        return function()
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            _enter(namespace)
            results.append(function())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work, name="aionetflow-namespace")
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]


def _enter(namespace: str | os.PathLike[str] | int) -> None:
    descriptor = namespace if isinstance(namespace, int) else _open(os.fspath(namespace))
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
            code = ctypes.get_errno()
            needs = " needs CAP_SYS_ADMIN (run as root)" if code == errno.EPERM else f": {os.strerror(code)}"
            raise OSError(code, f"entering the network namespace {namespace!r}{needs}")
    finally:
        if not isinstance(namespace, int):
            os.close(descriptor)


def _open(place: str) -> int:
    path = place if "/" in place else f"{_NAMED}/{place}"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, f"there is no network namespace {place!r}: {error.strerror}") from None


class Device:
    """A network device, in the namespace that this is made in.

    Raises OSError if there is none of that name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.index = socket.if_nametoindex(name)
        self._netlink = _System(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)

    def close(self) -> None:
        """Lets go of the device, which stays as it is."""
        self._netlink.close()

    def set_up(self, mtu: int) -> None:
        """Has it send and receive packets of up to `mtu` octets."""
        link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, self.index, _IFF_UP, _IFF_UP)
        self._ask(_RTM_NEWLINK, 0, link, {IFLA_MTU: struct.pack("=I", mtu)}, f"setting up {self.name}")

    def set_mtu(self, mtu: int) -> None:
        """Packets may be that many octets long from now on."""
        self.set_number(IFLA_MTU, mtu)

    def set_number(self, field: int, value: int) -> None:
        """Sets one of the numbers that a link has (IFLA_…, linux/if_link.h)."""
        link = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, self.index, 0, 0)
        what = f"{'an MTU' if field == IFLA_MTU else f'field {field}'} of {value} for {self.name}"
        self._ask(_RTM_NEWLINK, 0, link, {field: struct.pack("=I", value)}, what)

    def add_address(self, address: str) -> None:
        """Gives it an address ("10.0.0.254/16"), at once in use: those of IPv6 are not tried on the network before."""
        interface = ip_interface(address)
        octets = interface.ip.packed
        family = socket.AF_INET if len(octets) == 4 else socket.AF_INET6
        fields = {_IFA_LOCAL: octets, _IFA_ADDRESS: octets}
        if len(octets) == 4 and interface.network.prefixlen < 31:
            fields[_IFA_BROADCAST] = interface.network.broadcast_address.packed
        message = struct.pack("=BBBBi", family, interface.network.prefixlen, _IFA_F_NODAD, 0, self.index)
        self._ask(_RTM_NEWADDR, _NLM_F_CREATE | _NLM_F_EXCL, message, fields, f"{address} for {self.name}")

    def _ask(self, kind: int, flags: int, message: bytes, fields: dict[int, bytes], what: str) -> None:
        """Sends one request; OSError if the kernel refuses it."""
        body = message + b"".join(
            struct.pack("=HH", 4 + len(value), number) + value + bytes(-len(value) % 4)
            for number, value in fields.items()
        )
        flags |= _NLM_F_REQUEST | _NLM_F_ACK
        self._netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = self._netlink.recv(65536)
        (answered,) = struct.unpack_from("=H", answer, 4)
        (code,) = struct.unpack_from("=i", answer, 16) if answered == _NLMSG_ERROR else (0,)
        if code:
            needs = "needs CAP_NET_ADMIN (run as root)" if code == -errno.EPERM else os.strerror(-code)
            raise OSError(-code, f"{what}: {needs}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
