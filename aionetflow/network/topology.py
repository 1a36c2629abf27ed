"""Addresses and routes that nobody has given by hand, in both families.

The interfaces that reach each other without a router are a segment. Every segment gets networks: those of the
addresses that were given to interfaces on it, or one of its own. Interfaces without an address get the next free one;
then every host and router gets routes to all segments, by the fewest routers on the way.

The IPv6 networks are of one unique local prefix (RFC 4193), which is the same on every virtual network, as those of
IPv4 are: where two of them meet, by TAP links, addresses are given by hand. An interface's number there is the one that
it has in its IPv4 network. On a segment that several processes share, an interface's numbers follow from its host's
name (shared.py). Both families are known to be without duplicates, so nothing is sent to find that out: no
ARP announcement, no duplicate address detection. A segment with a link that takes less than 1280 octets has no IPv6
(RFC 8200 5).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_interface
from typing import NamedTuple

from aionetflow.ethernet.interface import EthernetInterface
from aionetflow.ip.address import pack_interface, unpack
from aionetflow.ip.route import Route
from aionetflow.ip.v6 import MIN_MTU
from aionetflow.link.memory import MemoryLink
from aionetflow.network.host import Host, Router
from aionetflow.network.outside import Outside
from aionetflow.network.shared import check_unused, identity_of, networks_of, rename
from aionetflow.network.switch import Switch

IPNetwork = IPv4Network | IPv6Network
Place = EthernetInterface | Switch | Outside  # what is at an end of a link
LAN_NETWORK = IPv4Network("10.0.0.0/16")  # the default LAN
LINK_NETWORKS = IPv4Network("10.128.0.0/9")  # cut into one small network per segment that has none
LINK_PREFIX_LENGTH = 29
LAN_NETWORK6 = IPv6Network("fd61:696f:6e66::/64")  # the Global ID is "aionf"
LINK_NETWORKS6 = IPv6Network("fd61:696f:6e66::/48")  # subnet 0 is the LAN's


@dataclass(eq=False)
class Family:
    """What a segment has of one family: the networks in use, and the numbers of addresses."""

    octets: int
    networks: list[IPNetwork] = field(default_factory=list)
    used: set[int] = field(default_factory=set)
    next: int = 1

    def free_address(self, wanted: int = 0) -> str:
        """The next free address of its first network, or that of a number if it is free, with the prefix length."""
        network = self.networks[0]
        first = int(network.network_address)
        candidate = first + wanted
        if not wanted or wanted >= network.num_addresses - 1 or candidate in self.used:
            while first + self.next in self.used:
                self.next += 1
            if self.next >= network.num_addresses - 1:
                raise ValueError(f"no free address left in {network}: give larger networks by hand")
            candidate = first + self.next
        return self._take(candidate)

    def address_near(self, wanted: int) -> str:
        """The address of its first network that a number leads to, or the next free one behind it, round its end."""
        network = self.networks[0]
        count = network.num_addresses - 2  # without that of the network itself, and of broadcast
        for step in range(count):
            candidate = int(network.network_address) + 1 + (wanted + step) % count
            if candidate not in self.used:
                return self._take(candidate)
        raise ValueError(f"no free address left in {network}: give larger networks by hand")

    def _take(self, address: int) -> str:
        network = self.networks[0]
        self.used.add(address)
        return f"{type(network.network_address)(address)}/{network.prefixlen}"


@dataclass(eq=False)
class Segment:
    """Interfaces that hear each other, and the networks in use among them."""

    places: set[Place] = field(default_factory=set)
    members: list[tuple[Host, EthernetInterface]] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)  # addresses of the operating system's, as in "10.0.0.254/16"
    shared_links: list[MemoryLink] = field(default_factory=list)  # those that lead to other processes
    is_lan: bool = False
    vnis: list[int] = field(default_factory=list)  # of the networks that other processes have a part of
    v4: Family = field(default_factory=lambda: Family(4))
    v6: Family = field(default_factory=lambda: Family(16))

    @property
    def networks(self) -> list[IPNetwork]:
        """Those of both families."""
        return [*self.v4.networks, *self.v6.networks]

    @property
    def shared(self) -> bool:
        """Whether there are hosts of other processes on it."""
        return bool(self.vnis)

    def takes_ipv6(self) -> bool:
        """Whether all its links carry what IPv6 asks of a link."""
        return all(nic.mtu >= MIN_MTU for _, nic in self.members)

    def fit(self, links: list[MemoryLink]) -> None:
        """Lets none of these take more than the ways to other processes do: a switch drops what is long."""
        for way in self.shared_links:
            for link in links:
                for channel in (link.a_to_b, link.b_to_a):
                    if link is not way and channel.mtu > way.b.mtu:
                        channel.mtu = way.b.mtu

    def note_addresses(self) -> None:
        """Learns the networks and addresses that its interfaces have."""
        holders: dict[bytes, str] = {}
        held = [("the kernel", *pack_interface(text)) for text in self.outside]
        for host, nic in self.members:
            held += [(host.name, *entry) for entry in nic.addresses]
        for name, address, length in held:
            family = self.v4 if len(address) == 4 else self.v6
            other = holders.setdefault(address, name)
            if other != name:
                raise ValueError(f"{unpack(address)} is given to {other} and to {name}, which share a link")
            family.used.add(int.from_bytes(address, "big"))
            network = ip_interface((address, length)).network
            if network not in family.networks:
                family.networks.append(network)


def place_by_hand(wanted: dict[Host, list[str]]) -> None:
    """Addresses given by hand go to the interfaces in the order of the links, what is left to the last.

    Those of each family for themselves. What has found its place is taken from the lists.
    """
    for host, addresses in wanted.items():
        for octets in (4, 16) if addresses else ():
            _place(host, addresses, octets)


def _place(host: Host, wanted: list[str], octets: int) -> None:
    mine = [address for address in wanted if len(pack_interface(address)[0]) == octets]
    nics = [nic for nic in host.bare_stack.interfaces if isinstance(nic, EthernetInterface)]
    bare = [nic for nic in nics if not any(len(entry.address) == octets for entry in nic.addresses)]
    while mine and bare:
        nic = bare.pop(0)
        while mine:
            host.bare_stack.add_address(nic, mine[0], announce=False)
            wanted.remove(mine.pop(0))  # not before it has worked
            if bare:
                break


def check_may_share(segments: list[Segment], node: Host | Switch) -> None:
    """For whoever is about to join other networks to a switch: RuntimeError if a host on its segment is in use.

    MACs and addresses of shared segments are others.
    """
    for segment in segments:
        if node in segment.places and not segment.shared:
            for host, nic in segment.members:
                check_unused(host, nic)


class Addresses:
    """Hands out networks for segments and addresses for interfaces."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._links = LINK_NETWORKS.subnets(new_prefix=LINK_PREFIX_LENGTH)
        self._links6 = LINK_NETWORKS6.subnets(new_prefix=64)
        next(self._links6)
        self._given: dict[EthernetInterface, list[str]] = {}

    def share(self, segment: Segment) -> None:
        """Gives the interfaces of a shared segment MACs that nobody else there has.

        Those that had others before give the addresses back that were handed out to them. Raises RuntimeError if one
        of them is in use.
        """
        for host, nic in segment.members:
            mac = identity_of(host, nic, self._secret).mac
            if nic.mac == mac:
                continue
            check_unused(host, nic)
            rename(host, nic, mac)
            for address in self._given.pop(nic, []):
                host.bare_stack.remove_address(nic, address)

    def give(self, segments: list[Segment]) -> None:
        """Makes sure that every interface has an address of each family."""
        taken = [network for segment in segments for network in segment.networks]
        for segment in segments:
            self._name_networks(segment, taken)
            for host, nic in segment.members:
                if not any(len(entry.address) == 4 for entry in nic.addresses):
                    self._add(host, nic, self._address(segment, segment.v4, host, nic))
                if not segment.v6.networks or host.autoconf:
                    continue
                if not any(len(entry.address) == 16 for entry in nic.addresses):
                    self._add(host, nic, self._address(segment, segment.v6, host, nic))

    def _add(self, host: Host, nic: EthernetInterface, address: str) -> None:
        host.bare_stack.add_address(nic, address, announce=False)
        self._given.setdefault(nic, []).append(address)

    def _address(self, segment: Segment, family: Family, host: Host, nic: EthernetInterface) -> str:
        if segment.shared:
            return family.address_near(identity_of(host, nic, self._secret).number)
        return family.free_address(_number(nic))

    def _name_networks(self, segment: Segment, taken: list[IPNetwork]) -> None:
        for family, lan in ((segment.v4, LAN_NETWORK), (segment.v6, LAN_NETWORK6)):
            if family is segment.v6 and not segment.takes_ipv6():
                continue
            if not family.networks:
                network = lan if segment.is_lan else self._free_network(family.octets, taken, segment)
                family.networks.append(network)
                taken.append(network)
            elif segment.is_lan and lan not in family.networks:
                family.networks.insert(0, lan)

    def _free_network(self, octets: int, taken: list[IPNetwork], segment: Segment) -> IPNetwork:
        members = len(segment.members)
        candidates: Iterator[IPNetwork] = self._links if octets == 4 else self._links6
        if segment.shared:
            candidates = networks_of(min(segment.vnis), octets)
        elif octets == 4 and members > 2**(32 - LINK_PREFIX_LENGTH) - 3:
            candidates = LINK_NETWORKS.subnets(new_prefix=32 - (members + 2).bit_length())
        same = [network for network in taken if network.max_prefixlen == 8 * octets]
        return next(network for network in candidates if not any(_overlap(network, other) for other in same))


def _overlap(a: IPNetwork, b: IPNetwork) -> bool:
    return a.network_address in b or b.network_address in a


def _number(nic: EthernetInterface) -> int:
    """The number that an interface has in its IPv4 network; 0 if it is on none."""
    for address, length in nic.addresses:
        if len(address) == 4:
            return int.from_bytes(address, "big") & ((1 << (32 - length)) - 1)
    return 0


def set_routes(hosts: list[Host], segments: list[Segment], old: list[tuple[Host, Route]]) -> list[tuple[Host, Route]]:
    """Replaces the automatic routes of before by those of now; returns them."""
    for host, route in old:
        if host.bare_stack.routes.has(route):
            host.bare_stack.routes.remove(route)
    added: list[tuple[Host, Route]] = []
    joined: dict[Host, list[tuple[Segment, EthernetInterface]]] = {host: [] for host in hosts}
    for segment in segments:
        for host, nic in segment.members:
            joined[host].append((segment, nic))
    for host in hosts:
        for prefix, nic, via in _routes_of(host, joined):
            if host.autoconf and (":" in prefix or prefix == "default6"):
                continue  # routers say so themselves
            try:
                route = host.bare_stack.routes.add(prefix, via=via, interface=nic)
            except ValueError:
                continue  # there is one already: connected, or given by hand, which is obeyed
            added.append((host, route))
    return added


class Step(NamedTuple):
    """The first step to a segment: by which interface, and to which router's there."""

    nic: EthernetInterface
    router: EthernetInterface

    def via(self, octets: int) -> str:
        """The router's address of a family: in IPv6 the link-local one, which redirects and advertisements go by."""
        if octets == 16:
            return unpack(self.router.link_local)
        return next(unpack(entry.address) for entry in self.router.addresses if len(entry.address) == 4)


def _routes_of(
    host: Host, joined: dict[Host, list[tuple[Segment, EthernetInterface]]]
) -> list[tuple[str, EthernetInterface, str]]:
    """Routes as (prefix, interface, next hop or "")."""
    routes = [(str(network), nic, "") for segment, nic in joined[host] for network in segment.networks]
    ways = _ways(host, joined)
    steps = set(ways.values())
    if isinstance(host, Router) or len(steps) != 1:
        for segment, step in ways.items():
            routes += [(str(network), step.nic, step.via(network.max_prefixlen // 8)) for network in segment.networks]
    if not isinstance(host, Router) and ways:
        step = next(iter(ways.values()))
        routes.append(("default", step.nic, step.via(4)))
        if any(len(entry.address) == 16 for entry in step.nic.addresses):
            routes.append(("default6", step.nic, step.via(16)))
    return routes


def _ways(host: Host, joined: dict[Host, list[tuple[Segment, EthernetInterface]]]) -> dict[Segment, Step]:
    """The first step to each segment that the host is not on: breadth first, over routers."""
    seen: dict[Segment, Step | None] = {segment: None for segment, _ in joined[host]}
    own = dict(joined[host])
    queue = deque(seen)
    passed: set[Host] = {host}
    while queue:
        segment = queue.popleft()
        for router, at in segment.members:
            if not isinstance(router, Router) or router in passed:
                continue
            passed.add(router)
            step = seen[segment] or Step(own[segment], at)
            for further, _ in joined[router]:
                if further not in seen:
                    seen[further] = step
                    queue.append(further)
    return {segment: step for segment, step in seen.items() if step is not None}
