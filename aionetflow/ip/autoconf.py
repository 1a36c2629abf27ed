"""Addresses that an interface makes sure of, or makes for itself (RFC 4862), and routers that it hears of (RFC 4861).

Nothing of this happens by itself: `verify` and `start` are asked for. What topology.py hands out is known to be without
duplicates and is there at once, as after `ip addr add ... nodad` on Linux.

    verify:  tentative --nobody answers for RetransTimer--> the interface's
                 | somebody has it, or wants it
                 v
             dadfailed
    start:   the link-local address is verified, routers are solicited; each prefix that one advertises makes an address
"""

from collections.abc import Callable

from aionetflow.config import (
    DAD_TRANSMITS,
    MAX_RTR_SOLICITATION_DELAY,
    NEIGHBOUR_RETRANS_TIME,
    NEVER,
    RTR_SOLICITATION_INTERVAL,
    RTR_SOLICITATIONS,
    SECOND,
)
from aionetflow.ethernet.interface import EthernetInterface, Interface
from aionetflow.fast import get16, get32
from aionetflow.ip.address import is_link_local
from aionetflow.ip.addresses import AddressBook
from aionetflow.ip.ndp import (
    ALL_ROUTERS,
    MTU,
    PREFIX,
    ROUTER_ADVERTISEMENT,
    ROUTER_SOLICITATION,
    SOURCE_MAC,
    UNSPECIFIED,
    Message,
    NeighbourDiscovery,
    interface_id,
    mac_option,
    read,
    solicited_node,
)
from aionetflow.ip.route import Route
from aionetflow.ip.v6 import MIN_MTU
from aionetflow.packet import PacketHandler, RxPacket
from aionetflow.rng import Random

_ON_LINK, _AUTONOMOUS = 0x80, 0x40
_INFINITE = 0xFFFFFFFF
_TWO_HOURS = 7200 * SECOND
_RA_METRIC = 1024  # Linux IP6_RT_PRIO_USER: of routes that routers advertise
_MOST = 16  # net.ipv6.conf.default.max_addresses: so many addresses, prefixes and routers come of advertisements


class Tentative:
    """An address that is being made sure of."""

    def __init__(self, interface: EthernetInterface, address: bytes, length: int, found: Callable[[], None]) -> None:
        self.interface = interface
        self.address = address
        self.length = length
        self.found = found  # called when it is the interface's
        self.asked = 0
        self.deadline = NEVER


class Lease:
    """An address made of an advertised prefix, or a prefix that is on the link, and for how long."""

    def __init__(self, interface: EthernetInterface, address: bytes, length: int) -> None:
        self.interface = interface
        self.address = address
        self.length = length
        self.preferred = NEVER  # until when something new may begin from it
        self.valid = NEVER
        self.deprecated = False  # that time is over

    def deadline(self) -> int:
        """When something about it changes."""
        return self.valid if self.deprecated else min(self.preferred, self.valid)


class Autoconfiguration(PacketHandler):
    """The tentative and the leased addresses of one host, and its default routers.

    changed is called when `deadline` may be another.
    """

    def __init__(
        self, ndp: NeighbourDiscovery, addresses: AddressBook, changed: Callable[[], None], random: Random
    ) -> None:
        self.ndp = ndp
        self.random = random
        self._addresses = addresses
        self._changed = changed
        self.dad_transmits = DAD_TRANSMITS
        self.tentative: dict[bytes, Tentative] = {}
        self.failed: list[bytes] = []  # addresses that another has: Linux's dadfailed
        self.leases: dict[tuple[int, bytes], Lease] = {}
        self.prefixes: dict[tuple[int, bytes], Lease] = {}
        self.routers: dict[bytes, tuple[Route, int]] = {}  # by link-local address: the default route, and until when
        self._listening: dict[EthernetInterface, tuple[int, int]] = {}  # solicitations sent, when the next is due
        ndp.conflict = self._meets
        ndp.lost_router = self._lose_router
        ndp.icmp.handlers[ROUTER_ADVERTISEMENT] = self

    # Duplicate address detection ------------------------------------------------------------------------------------

    def verify(
        self, interface: EthernetInterface, address: bytes, length: int, now: int,
        found: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        """Gives an interface an address as soon as it is sure that nobody on the link has it (RFC 4862 5.4).

        With dad_transmits 0 that is at once. A duplicate is noted in `failed`, and never used.
        """
        entry = Tentative(interface, address, length, found)
        self.tentative[address] = entry
        interface.join(solicited_node(address))
        # 5.4.2: those who came up at one moment do not all ask at one moment
        entry.deadline = now + self._delay() if self.dad_transmits else now
        if not self.dad_transmits:
            self._probe(entry, now)
        self._changed()

    def _delay(self) -> int:
        return self.random.getrandbits(32) * MAX_RTR_SOLICITATION_DELAY >> 32

    def _probe(self, entry: Tentative, now: int) -> None:
        """RFC 4862 5.4.2: asks once more, or takes the address if nobody has answered."""
        if entry.asked < self.dad_transmits:
            entry.asked += 1
            entry.deadline = now + NEIGHBOUR_RETRANS_TIME
            self.ndp.solicit(entry.interface, entry.address, UNSPECIFIED, solicited_node(entry.address), now)
            return
        self._settle(entry)
        self._addresses.take(entry.interface, entry.address, entry.length)
        entry.found()

    def _settle(self, entry: Tentative) -> None:
        del self.tentative[entry.address]
        entry.interface.leave(solicited_node(entry.address))

    def _meets(self, interface: Interface, target: bytes) -> None:
        """RFC 4862 5.4.3 and 5.4.4: somebody else has an address, or wants it, which we perhaps want too."""
        entry = self.tentative.get(target)
        if entry is not None and entry.interface is interface:
            self._settle(entry)
            self.failed.append(target)
            self._changed()

    # Routers and prefixes -------------------------------------------------------------------------------------------

    def start(self, interface: EthernetInterface, now: int) -> None:
        """Verifies the interface's link-local address, then lets routers say which others it has."""
        own = interface.link_local
        self._addresses.drop(interface, own, 64)

        def listen() -> None:
            self._listening[interface] = (0, now)

        self.verify(interface, own, 64, now, listen)

    def receive(self, packet: RxPacket, now: int) -> None:
        """Takes a router advertisement (RFC 4861 6.3.4)."""
        message = read(packet)
        if message is None:
            self.ndp.icmp.stats.InErrors += 1
            return
        interface = message.interface
        if interface not in self._listening or self.ndp.ip.forwarding:
            return
        self._listening[interface] = (RTR_SOLICITATIONS, NEVER)
        self.ndp.learn(interface, message.source, message.mac(SOURCE_MAC), now)
        self._take_router(message, get16(message.head, 2), now)
        for option in message.options.get(MTU, ()):
            mtu = get32(option, 4)
            if MIN_MTU <= mtu < interface.mtu:
                interface.set_mtu(mtu)
        for option in message.options.get(PREFIX, ()):
            if len(option) == 32 and not is_link_local(option[16:]):
                self._take_prefix(interface, option, now)
        self._changed()

    def _take_router(self, message: Message, lifetime: int, now: int) -> None:
        """A default router, for so many seconds; 0: not any more."""
        self._lose_router(message.interface, message.source)
        if lifetime and len(self.routers) < _MOST:
            route = Route(bytes(16), 0, message.interface, via=message.source, metric=_RA_METRIC + len(self.routers))
            self.ndp.ip.routes.insert(route)
            self.routers[message.source] = (route, now + lifetime * SECOND)
            entry = message.interface.neighbours.entries.get(message.source)
            if entry is not None:
                entry.router = True

    def _lose_router(self, interface: Interface, address: bytes) -> None:
        known = self.routers.pop(address, None)
        if known is not None and self.ndp.ip.routes.has(known[0]):
            self.ndp.ip.routes.remove(known[0])

    def _take_prefix(self, interface: EthernetInterface, option: bytes, now: int) -> None:
        """RFC 4861 6.3.4 and RFC 4862 5.5.3."""
        length, flags = option[2], option[3]
        valid, preferred = _until(get32(option, 4), now), _until(get32(option, 8), now)
        prefix = option[16:32]
        if flags & _ON_LINK and length <= 128:
            self._take_on_link(interface, prefix, length, valid, now)
        if not flags & _AUTONOMOUS or length != 64 or preferred > valid:
            return
        address = prefix[:8] + interface_id(interface.mac)
        lease = self.leases.get((interface.index, address))
        if lease is not None:
            lease.preferred = preferred
            # 5.5.3 (e): a forged advertisement must not end an address at once
            if valid > now + _TWO_HOURS or valid > lease.valid:
                lease.valid = valid
            elif lease.valid > now + _TWO_HOURS:
                lease.valid = now + _TWO_HOURS
            self._note_deprecated(interface, now)
        elif valid > now and address not in self.tentative and address not in self.failed and self._has_room():
            lease = self.leases[interface.index, address] = Lease(interface, address, length)
            lease.preferred, lease.valid = preferred, valid
            self.verify(interface, address, length, now)

    def _has_room(self) -> bool:
        return len(self.leases) < _MOST

    def _take_on_link(self, interface: EthernetInterface, prefix: bytes, length: int, valid: int, now: int) -> None:
        key = (interface.index, prefix)
        bits = 128 - length
        network = (int.from_bytes(prefix, "big") >> bits << bits).to_bytes(16, "big")
        route = Route(network, length, interface)
        lease = self.prefixes.get(key)
        if valid <= now:
            self._end_prefix(key)
        elif lease is not None:
            lease.valid = valid
        elif not self.ndp.ip.routes.has(route) and len(self.prefixes) < _MOST:
            self.ndp.ip.routes.insert(route)
            lease = self.prefixes[key] = Lease(interface, network, length)
            lease.valid = valid

    def _end_prefix(self, key: tuple[int, bytes]) -> None:
        lease = self.prefixes.pop(key, None)
        if lease is None:
            return
        route = next((r for r in self.ndp.ip.routes if r.interface is lease.interface and not r.via and
                      (r.prefix, r.prefix_length) == (lease.address, lease.length)), None)  # fmt: skip
        if route is not None:
            self.ndp.ip.routes.remove(route)

    def _note_deprecated(self, interface: EthernetInterface, now: int) -> None:
        """RFC 4862 5.5.4: what is no longer preferred is still the interface's, but begins nothing new."""
        leases = [lease for lease in self.leases.values() if lease.interface is interface]
        for lease in leases:
            lease.deprecated = lease.preferred <= now
        interface.deprecated = frozenset(lease.address for lease in leases if lease.deprecated)
        self.ndp.ip.routes.forget()

    # Time -----------------------------------------------------------------------------------------------------------

    def deadline(self) -> int:
        """When `expire` is to be called."""
        due = [entry.deadline for entry in self.tentative.values()]
        due += [when for _, when in self._listening.values()]
        due += [when for _, when in self.routers.values()]
        due += [lease.deadline() for lease in (*self.leases.values(), *self.prefixes.values())]
        return min(due, default=NEVER)

    def expire(self, now: int) -> None:
        """Does what is due by timer."""
        for entry in [entry for entry in self.tentative.values() if entry.deadline <= now]:
            self._probe(entry, now)
        for interface, (asked, when) in list(self._listening.items()):
            if when <= now:
                self._solicit_routers(interface, asked, now)
        for address in [address for address, (_, until) in self.routers.items() if until <= now]:
            self._lose_router(self.routers[address][0].interface, address)
        for key in [key for key, lease in self.prefixes.items() if lease.valid <= now]:
            self._end_prefix(key)
        for key, lease in [(key, lease) for key, lease in self.leases.items() if lease.deadline() <= now]:
            self._age(key, lease, now)
        self._changed()

    def _age(self, key: tuple[int, bytes], lease: Lease, now: int) -> None:
        if lease.valid <= now:
            del self.leases[key]
            if lease.address not in self.tentative:
                self._addresses.drop(lease.interface, lease.address, lease.length)
        self._note_deprecated(lease.interface, now)

    def _solicit_routers(self, interface: EthernetInterface, asked: int, now: int) -> None:
        """RFC 4861 6.3.7."""
        if asked >= RTR_SOLICITATIONS:
            self._listening[interface] = (asked, NEVER)
            return
        self._listening[interface] = (asked + 1, now + RTR_SOLICITATION_INTERVAL)
        option = mac_option(SOURCE_MAC, interface.mac)
        self.ndp.send(interface, ROUTER_SOLICITATION, bytes(4), option, interface.link_local, ALL_ROUTERS, now)


def _until(lifetime: int, now: int) -> int:
    """When a lifetime of so many seconds ends."""
    return NEVER if lifetime == _INFINITE else now + lifetime * SECOND
