"""The names of a network's hosts on segments that it shares with other processes, and the names of the hosts there.

Every segment has a MulticastDns (mdns.py), which speaks through sockets of one of the hosts there.
"""

import asyncio
import os
import struct
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address, ip_interface

from aionetflow.clock import Clock, Due
from aionetflow.ethernet.interface import EthernetInterface, Interface
from aionetflow.ip.address import AF_INET, AF_INET6, Address, pack, unpack
from aionetflow.ip.v6 import MIN_MTU
from aionetflow.link.channel import Channel
from aionetflow.link.transit import MemoryEnd
from aionetflow.network import dns
from aionetflow.network.host import Host
from aionetflow.network.mdns import PORT, MulticastDns, name_on_wire
from aionetflow.rng import Random
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
_HEADERS = 48  # octets: IPv6's and UDP's
_CONTROL = 256  # octets of ancillary data: more than all of it
_TTL = 255  # RFC 6762 11


class Speaker:
    """One segment: the names of this process's hosts there, and the two sockets by which they are told and heard.

    One of the hosts speaks for all (RFC 6762 3: a name may be anybody's), and what it hears is known to all. A message
    for all is one frame for each interface there, so that each host with a voice of its own would be too many.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._members: dict[Interface, Host] = {}
        self._nics: dict[Host, list[Interface]] = {}
        self._sockets: list[DatagramSocket] = []
        self._voice: Interface | None = None  # whose host speaks
        self.names: MulticastDns[Whom] = MulticastDns(self._send, self._room, clock, random)

    def note(self, host: Host, nic: Interface) -> None:
        """An interface of the segment: its host's name is told, with the addresses that it has there."""
        if nic in self._members:
            return
        self._members[nic] = host
        nics = self._nics.setdefault(host, [])
        nics.append(nic)
        if self._voice is None:
            self._speak_by(nic)
        name = name_on_wire(host.name)
        if host is not host.network.localhost and dns.is_name(name):
            self.names.announce(name, lambda: [address for each in nics for address in _addresses(each)])

    def join(self, other: "Speaker") -> None:
        """Takes over what another was for: two segments have become one."""
        for nic, host in other._members.items():
            self.note(host, nic)
        other.names.stop()
        other._fall_silent()

    def close(self) -> None:
        """Says goodbye to the others."""
        self.names.withdraw()
        self._fall_silent()

    def mend(self) -> None:
        """Has another host speak if the one that did is cut off."""
        if self._voice is None or _reaches_others(self._voice):
            return
        for nic in self._members:
            if _reaches_others(nic):
                self._fall_silent()
                self._speak_by(nic)
                return

    def _speak_by(self, nic: Interface) -> None:
        self._voice = nic
        self._sockets = [self._open(nic, AF_INET), self._open(nic, AF_INET6)]

    def _fall_silent(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets, self._voice = [], None

    def _open(self, nic: Interface, family: int) -> DatagramSocket:
        sock = self._members[nic].bare_stack.socket(family, SOCK_DGRAM, Owner(os.getpid(), "mdns"))
        assert isinstance(sock, DatagramSocket)
        for each in (SO_REUSEADDR, SO_REUSEPORT):  # beside a program on the host that does the same
            sock.setsockopt(SOL_SOCKET, each, 1)
        sock.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, nic.name.encode())
        options: tuple[tuple[int, int | bytes], ...]
        if family == AF_INET:
            request = pack(GROUPS[family]) + bytes(4) + struct.pack("=i", nic.index)
            options = (
                (IP_MULTICAST_TTL, _TTL), (IP_MULTICAST_LOOP, 0), (IP_MULTICAST_IF, request), (IP_PKTINFO, 1),
                (IP_ADD_MEMBERSHIP, request),
            )  # fmt: skip
            level = IPPROTO_IP
        else:
            request = pack(GROUPS[family]) + struct.pack("=i", nic.index)
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

    def _room(self) -> int:
        return self._voice.mtu - _HEADERS if self._voice is not None else MIN_MTU - _HEADERS

    def _send(self, message: bytes, whom: Whom | None) -> None:
        if whom is not None:
            _try_to_send(*whom, message)
            return
        self.mend()
        assert self._voice is not None
        for sock in self._sockets:
            if sock.family == AF_INET or self._voice.link_local:
                zone = "" if sock.family == AF_INET else f"%{self._voice.name}"
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
        entries = [] if self._voice is None else self._voice.addresses
        near = (ip_interface((entry.address, entry.prefix_length)).network for entry in entries)
        return sender.is_link_local or any(sender in network for network in near)


def _addresses(nic: Interface) -> list[bytes]:
    return [entry.address for entry in nic.addresses if entry.address not in nic.deprecated]


def _reaches_others(nic: Interface) -> bool:
    """Whether what it sends goes anywhere, and what others send gets here."""
    if not nic.up or not isinstance(nic.link, MemoryEnd):
        return nic.up
    ways = (nic.link.outgoing, nic.link.incoming)
    return all(way.up for way in ways if isinstance(way, Channel))


def _try_to_send(sock: DatagramSocket, address: Address, message: bytes) -> None:
    try:
        sock.sendto(message, address)
    except OSError:
        sock.take_error()  # an interface that is down, no route back: others will ask again


class Neighbourhood:
    """All that have names on a network's shared segments."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._speakers: dict[Interface, Speaker] = {}

    def note(self, members: Sequence[tuple[Host, EthernetInterface]]) -> None:
        """The interfaces of a shared segment, which have their addresses."""
        speakers = list(dict.fromkeys(self._speakers[nic] for _, nic in members if nic in self._speakers))
        # the first speaks for all: localhost, whose link nobody cuts for a test
        for host, nic in sorted(members, key=lambda member: member[0] is not member[0].network.localhost):
            if not speakers:
                speakers.append(Speaker(host.network.clock, self._random))
            speakers[0].note(host, nic)
            self._speakers[nic] = speakers[0]
        for other in speakers[1:]:
            speakers[0].join(other)

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
            speaker.mend()
            speaker.names.ask(wire, then)
        if speakers:
            await future

    def close(self) -> None:
        """All say goodbye."""
        for speaker in dict.fromkeys(self._speakers.values()):
            speaker.close()
        self._speakers.clear()

    def _of(self, here: Host) -> list[Speaker]:
        own = (self._speakers[nic] for nic in here.bare_stack.interfaces if nic in self._speakers)
        return list(dict.fromkeys(own))
