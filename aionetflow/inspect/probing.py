"""What ping and traceroute share: a socket that is asked for what has come, and names for addresses."""

import asyncio
import errno
import struct
from typing import NamedTuple, Self

from aionetflow.errors import os_error
from aionetflow.ip.address import AF_INET, AF_INET6, unpack
from aionetflow.network.host import Host, current_host
from aionetflow.socket.ancillary import IP_RECVTTL, IPV6_HOPLIMIT, IPV6_RECVHOPLIMIT, ORIGIN_LOCAL
from aionetflow.socket.base import ERR, IN
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import (
    IP_RECVERR,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_RECVERR,
    MSG_ERRQUEUE,
    SOCK_DGRAM,
)

IPPROTO_ICMP = 1
IPPROTO_ICMPV6 = 58
ECHO = {AF_INET: 8, AF_INET6: 128}
_LONGEST = 65535
_CONTROL = 512  # octets of ancillary data: more than all of it
_ERROR = struct.Struct("=IBBBxII")
PORT_UNREACHABLE = {AF_INET: (3, 3), AF_INET6: (1, 4)}
TOO_LONG = {AF_INET: (3, 4), AF_INET6: (2, 0)}
REASONS = {
    AF_INET: {
        (3, 0): "Destination Net Unreachable", (3, 1): "Destination Host Unreachable",
        (3, 2): "Destination Protocol Unreachable", (3, 3): "Destination Port Unreachable",
        (3, 4): "Frag needed and DF set", (3, 13): "Packet filtered", (11, 0): "Time to live exceeded",
        (11, 1): "Frag reassembly time exceeded", (12, 0): "Parameter problem",
    },
    AF_INET6: {
        (1, 0): "Destination unreachable: No route", (1, 1): "Destination unreachable: Administratively prohibited",
        (1, 2): "Destination unreachable: Beyond scope of source address",
        (1, 3): "Destination unreachable: Address unreachable", (1, 4): "Destination unreachable: Port unreachable",
        (2, 0): "Packet too big", (3, 0): "Time exceeded: Hop limit", (3, 1): "Time exceeded: Defragmentation failure",
        (4, 0): "Parameter problem", (4, 1): "Parameter problem: Wrong next header",
    },
}  # fmt: skip


class Heard(NamedTuple):
    """Something that came: a reply, or an ICMP error about what was sent."""

    data: bytes  # the reply; of an error what it quotes, from the transport's payload on (UDP) or its header (ICMP)
    address: str  # who it is from
    port: int  # of an error: that what was sent went to
    ttl: int
    when: int  # ns
    error: tuple[int, int] | None = None  # type and code of the ICMP message
    info: int = 0


class Prober:
    """A datagram socket on a host that hears of replies and of errors; use it as a context."""

    def __init__(self, host: Host, family: int, protocol: int = 0) -> None:
        self.host = host
        self.family = family
        core = host.socket(family, SOCK_DGRAM, protocol)
        assert isinstance(core, DatagramSocket)
        self.core = core
        self._changed = asyncio.Event()
        core.on_change = self._changed.set
        for level, option in ((IPPROTO_IP, IP_RECVERR), (IPPROTO_IP, IP_RECVTTL)):
            core.setsockopt(level, option, 1)
        if family == AF_INET6:
            core.setsockopt(IPPROTO_IPV6, IPV6_RECVERR, 1)
            core.setsockopt(IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.core.close()

    def now(self) -> int:
        """The network's time, in ns."""
        return self.host.network.clock.now()

    def send(self, data: bytes, address: str, port: int, ttl: int) -> None:
        """Sends a datagram, or an echo request, with that TTL."""
        level, kind = (IPPROTO_IP, IP_TTL) if self.family == AF_INET else (IPPROTO_IPV6, IPV6_HOPLIMIT)
        self.core.take_error()  # it is in the queue of errors too
        self.core.sendmsg([data], [(level, kind, struct.pack("i", ttl))], 0, (address, port))

    def heard(self) -> list[Heard]:
        """What has come since it was last asked."""
        self._changed.clear()
        found: list[Heard] = []
        while self.core.events() & (IN | ERR):
            self.core.take_error()
            try:
                found.append(self._take(MSG_ERRQUEUE if self.core.events() & ERR else 0))
            except BlockingIOError:
                break
        return found

    async def until(self, when: int) -> None:
        """Waits until something comes, or until that time (ns)."""
        left = (when - self.now()) / 1e9
        if left <= 0:
            return
        try:
            async with asyncio.timeout(left):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _take(self, flags: int) -> Heard:
        data, items, _, address = self.core.recvmsg(_LONGEST, _CONTROL, flags)
        assert address is not None
        told = {(level, kind): octets for level, kind, octets in items}
        ttl = told.get((IPPROTO_IP, IP_TTL)) or told.get((IPPROTO_IPV6, IPV6_HOPLIMIT)) or bytes(4)
        hops = int(struct.unpack("i", ttl)[0])
        report = told.get((IPPROTO_IP, IP_RECVERR)) or told.get((IPPROTO_IPV6, IPV6_RECVERR))
        if report is None:
            return Heard(data, str(address[0]), 0, hops, self.now())
        _, origin, kind, code, info, _ = _ERROR.unpack_from(report)
        if origin == ORIGIN_LOCAL:
            return Heard(data, "", int(address[1]), hops, self.now(), TOO_LONG[self.family], info)
        size = 4 if self.family == AF_INET else 16
        offender = report[_ERROR.size + (4 if size == 4 else 8) :][:size]
        return Heard(data, unpack(offender), int(address[1]), hops, self.now(), (kind, code), info)


async def find(name: str, family: int, host: Host | None) -> tuple[Host, int, str]:
    """The host to send from, the family and the address of a target; OSError if there is none.

    A family of 0 is that of the first address that the name has.
    """
    source = host or current_host()
    await source.network.look_up(name, source)
    for address in source.network.resolve_all(name, source):
        found = AF_INET6 if ":" in address else AF_INET
        if family in (0, found):
            return source, found, address
    raise os_error(errno.EADDRNOTAVAIL, f"{name} has no address of that family")


def name_of(host: Host, address: str) -> str:
    """The name of the node that has an address; the address itself if nobody has it."""
    for node in host.network.hosts:
        own = [unpack(entry.address) for interface in node.stack.interfaces for entry in interface.addresses]
        if address in own and (node is host or address not in ("127.0.0.1", "::1")):
            return node.name
    return address
