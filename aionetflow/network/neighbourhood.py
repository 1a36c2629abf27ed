"""The names of a network's hosts on segments that it shares with other processes, and the names of the hosts there.

Every interface there has a MulticastDns (mdns.py), which speaks through sockets of the host's own stack.
"""

import asyncio
import os
import struct
from collections.abc import Iterable
from functools import partial
from ipaddress import ip_address, ip_interface

from aionetflow.clock import Due
from aionetflow.ethernet.interface import EthernetInterface, Interface
from aionetflow.ip.address import AF_INET, AF_INET6, Address, pack, unpack
from aionetflow.network import dns
from aionetflow.network.host import Host
from aionetflow.network.mdns import PORT, MulticastDns, name_on_wire
from aionetflow.socket.ancillary import IP_PKTINFO, IPV6_PKTINFO, IPV6_RECVPKTINFO
from aionetflow.socket.base import IN, Owner
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.membership import (
    IP_ADD_MEMBERSHIP,
    IP_MULTICAST_IF,
    IP_MULTICAST_LOOP,
    IP_MULTICAST_TTL,
    IPV6_JOIN_GROUP,
    IPV6_MULTICAST_HOPS,
    IPV6_MULTICAST_LOOP,
)
from aionetflow.socket.options import (
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
    SO_BINDTODEVICE,
    SO_REUSEADDR,
    SO_REUSEPORT,
    SOCK_DGRAM,
    SOL_SOCKET,
)

GROUPS = {AF_INET: "224.0.0.251", AF_INET6: "ff02::fb"}
_PACKED = {pack(group) for group in GROUPS.values()}
Whom = tuple[DatagramSocket, Address]  # who a message came from, and by which socket
_LONGEST = 9000  # octets of a message (RFC 6762 17)
_CONTROL = 256  # octets of ancillary data: more than all of it
_TTL = 255  # RFC 6762 11


class Speaker:
    """One interface of a host: its names, and the two sockets by which it speaks of them."""

    def __init__(self, host: Host, nic: EthernetInterface) -> None:
        self.host, self.nic = host, nic
        self._clock = host.network.clock
        name = name_on_wire(host.name)
        if host is host.network.localhost or not dns.is_name(name):
            name = ""
        self.names: MulticastDns[Whom] = MulticastDns(name, self._addresses, self._send, self._clock)
        self._sockets = [self._open(AF_INET), self._open(AF_INET6)]
        self._clock.call_soon(self.names.announce)

    def close(self) -> None:
        """Says goodbye to the others."""
        self.names.withdraw()
        for sock in self._sockets:
            sock.close()

    def _open(self, family: int) -> DatagramSocket:
        sock = self.host.bare_stack.socket(family, SOCK_DGRAM, Owner(os.getpid(), "mdns"))
        assert isinstance(sock, DatagramSocket)
        for each in (SO_REUSEADDR, SO_REUSEPORT):  # beside a program on the host that does the same
            sock.setsockopt(SOL_SOCKET, each, 1)
        sock.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, self.nic.name.encode())
        options: tuple[tuple[int, int | bytes], ...]
        if family == AF_INET:
            request = pack(GROUPS[family]) + bytes(4) + struct.pack("=i", self.nic.index)
            options = (
                (IP_MULTICAST_TTL, _TTL), (IP_MULTICAST_LOOP, 0), (IP_MULTICAST_IF, request), (IP_PKTINFO, 1),
                (IP_ADD_MEMBERSHIP, request),
            )  # fmt: skip
            level = IPPROTO_IP
        else:
            request = pack(GROUPS[family]) + struct.pack("=i", self.nic.index)
            options = (
                (IPV6_V6ONLY, 1), (IPV6_MULTICAST_HOPS, _TTL), (IPV6_MULTICAST_LOOP, 0), (IPV6_RECVPKTINFO, 1),
                (IPV6_JOIN_GROUP, request),
            )  # fmt: skip
            level = IPPROTO_IPV6
        for option, value in options:
            sock.setsockopt(level, option, value)
        sock.bind(("", PORT))
        taking = Due(partial(self._take, sock))  # not in the middle of the stack's work
        sock.on_change = partial(self._clock.post, taking)
        return sock

    def _addresses(self) -> list[bytes]:
        return [entry.address for entry in self.nic.addresses if entry.address not in self.nic.deprecated]

    def _send(self, message: bytes, whom: Whom | None) -> None:
        if whom is not None:
            _try_to_send(*whom, message)
            return
        for sock in self._sockets:
            if sock.family == AF_INET or self.nic.link_local:
                zone = "" if sock.family == AF_INET else f"%{self.nic.name}"
                _try_to_send(sock, (GROUPS[sock.family] + zone, PORT), message)

    def _take(self, sock: DatagramSocket) -> None:
        while not sock.closed and sock.events() & IN:
            data, items, _, address = sock.recvmsg(_LONGEST, _CONTROL)
            assert address is not None
            if self._is_near(items, address[0]):
                self.names.received(data, (sock, address), address[1])

    def _is_near(self, items: list[tuple[int, int, bytes]], source: str) -> bool:
        """RFC 6762 11: what was not sent to the group must come from this link."""
        for _, kind, data in items:
            destination = data[8:12] if kind == IP_PKTINFO else data[:16] if kind == IPV6_PKTINFO else b""
            if destination in _PACKED:
                return True
        sender = ip_address(source.partition("%")[0])
        near = (ip_interface((entry.address, entry.prefix_length)).network for entry in self.nic.addresses)
        return sender.is_link_local or any(sender in network for network in near)


def _try_to_send(sock: DatagramSocket, address: Address, message: bytes) -> None:
    try:
        sock.sendto(message, address)
    except OSError:
        sock.take_error()  # an interface that is down, no route back: others will ask again


class Neighbourhood:
    """All that have names on a network's shared segments."""

    def __init__(self) -> None:
        self._speakers: dict[Interface, Speaker] = {}

    def note(self, members: Iterable[tuple[Host, EthernetInterface]]) -> None:
        """The interfaces of a shared segment, which have their addresses."""
        for host, nic in members:
            if nic not in self._speakers:
                self._speakers[nic] = Speaker(host, nic)

    def known(self, here: Host, name: str) -> list[str]:
        """The addresses of a name, as others have told a host; none if it has not heard of it."""
        wire = name_on_wire(name)
        for speaker in self._of(here):
            if addresses := speaker.names.known(wire):
                return [unpack(address) for address in addresses]
        return []

    async def ask(self, here: Host, name: str) -> None:
        """Has a host ask for a name, on all the shared segments that it is on; returns when there is an answer.

        Or when there is none in three seconds.
        """
        wire = name_on_wire(name)
        if not dns.is_name(wire):
            return
        future = asyncio.get_running_loop().create_future()
        left = len(speakers := self._of(here))

        def then() -> None:
            nonlocal left
            left -= 1
            if not future.done() and (not left or self.known(here, name)):
                future.set_result(None)

        for speaker in speakers:
            speaker.names.ask(wire, then)
        if speakers:
            await future

    def close(self) -> None:
        """All say goodbye."""
        for speaker in self._speakers.values():
            speaker.close()
        self._speakers.clear()

    def _of(self, here: Host) -> list[Speaker]:
        return [self._speakers[nic] for nic in here.bare_stack.interfaces if nic in self._speakers]
