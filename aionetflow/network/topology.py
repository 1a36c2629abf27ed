"""Addresses and routes that nobody has given by hand.

The interfaces that reach each other without a router are a segment. Every segment gets networks: those of the
addresses that were given to interfaces on it, or one of its own. Interfaces without an address get the next free one;
then every host and router gets routes to all segments, by the fewest routers on the way.
"""

from collections import deque
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network

from aionetflow.ethernet.interface import EthernetInterface
from aionetflow.ip.address import unpack
from aionetflow.ip.route import Route
from aionetflow.network.host import Host, Router

LAN_NETWORK = IPv4Network("10.0.0.0/16")  # the default LAN
LINK_NETWORKS = IPv4Network("10.128.0.0/9")  # cut into one small network per segment that has none
LINK_PREFIX_LENGTH = 29


@dataclass(eq=False)
class Segment:
    """Interfaces that hear each other, and the networks in use among them."""

    members: list[tuple[Host, EthernetInterface]] = field(default_factory=list)
    networks: list[IPv4Network] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)  # addresses of the operating system's, as in "10.0.0.254/16"
    is_lan: bool = False
    _used: set[int] = field(default_factory=set)
    _next: int = 1

    def note_addresses(self) -> None:
        """Learns the networks and addresses that its interfaces have."""
        holders: dict[int, str] = {}
        held = [("the kernel", IPv4Interface(text)) for text in self.outside if ":" not in text]
        for host, nic in self.members:
            held += [(host.name, IPv4Interface((entry.address, entry.prefix_length))) for entry in nic.addresses]
        for name, interface in held:
            other = holders.setdefault(int(interface.ip), name)
            if other != name:
                raise ValueError(f"{interface.ip} is given to {other} and to {name}, which share a link")
            self._used.add(int(interface.ip))
            if interface.network not in self.networks:
                self.networks.append(interface.network)

    def free_address(self) -> str:
        """The next free address of its first network, with the prefix length."""
        network = self.networks[0]
        first = int(network.network_address)
        while self._next < network.num_addresses - 1:
            candidate = first + self._next
            self._next += 1
            if candidate not in self._used:
                self._used.add(candidate)
                return f"{IPv4Interface(candidate).ip}/{network.prefixlen}"
        raise ValueError(f"no free address left in {network}: give larger networks by hand")


class Addresses:
    """Hands out networks for segments and addresses for interfaces."""

    def __init__(self) -> None:
        self._links = LINK_NETWORKS.subnets(new_prefix=LINK_PREFIX_LENGTH)

    def give(self, segments: list[Segment]) -> None:
        """Makes sure that every interface has an address."""
        taken = [network for segment in segments for network in segment.networks]
        for segment in segments:
            if not segment.networks:
                network = LAN_NETWORK if segment.is_lan else self._free_network(taken, len(segment.members))
                segment.networks.append(network)
                taken.append(network)
            elif segment.is_lan and LAN_NETWORK not in segment.networks:
                segment.networks.insert(0, LAN_NETWORK)
            for host, nic in segment.members:
                if not nic.addresses:
                    host.bare_stack.add_address(nic, segment.free_address())

    def _free_network(self, taken: list[IPv4Network], members: int) -> IPv4Network:
        if members > 2**(32 - LINK_PREFIX_LENGTH) - 3:
            length = 32 - (members + 2).bit_length()
            candidates = LINK_NETWORKS.subnets(new_prefix=length)
            return next(network for network in candidates if not any(network.overlaps(other) for other in taken))
        return next(network for network in self._links if not any(network.overlaps(other) for other in taken))


def set_routes(hosts: list[Host], segments: list[Segment], old: list[tuple[Host, Route]]) -> list[tuple[Host, Route]]:
    """Replaces the automatic routes of before by those of now; returns them."""
    for host, route in old:
        if route in list(host.bare_stack.routes):
            host.bare_stack.routes.remove(route)
    added: list[tuple[Host, Route]] = []
    joined: dict[Host, list[tuple[Segment, EthernetInterface]]] = {host: [] for host in hosts}
    for segment in segments:
        for host, nic in segment.members:
            joined[host].append((segment, nic))
    for host in hosts:
        for network, nic, via in _routes_of(host, joined):
            prefix = "default" if network is None else str(network)
            try:
                route = host.bare_stack.routes.add(prefix, via=via, interface=nic)
            except ValueError:
                continue  # there is one already: connected, or given by hand, which is obeyed
            added.append((host, route))
    return added


def _routes_of(
    host: Host, joined: dict[Host, list[tuple[Segment, EthernetInterface]]]
) -> list[tuple[IPv4Network | None, EthernetInterface, str]]:
    """Routes as (network or None for all, interface, next hop or "")."""
    routes: list[tuple[IPv4Network | None, EthernetInterface, str]] = [
        (network, nic, "") for segment, nic in joined[host] for network in segment.networks
    ]
    ways = _ways(host, joined)
    gateways = {(nic, via) for nic, via in ways.values()}
    if not isinstance(host, Router) and len(gateways) == 1:
        nic, via = gateways.pop()
        return [*routes, (None, nic, via)]
    for segment, (nic, via) in ways.items():
        routes += [(network, nic, via) for network in segment.networks]
    if not isinstance(host, Router) and ways:
        nic, via = next(iter(ways.values()))
        routes.append((None, nic, via))
    return routes


def _ways(
    host: Host, joined: dict[Host, list[tuple[Segment, EthernetInterface]]]
) -> dict[Segment, tuple[EthernetInterface, str]]:
    """The first step to each segment that the host is not on: breadth first, over routers."""
    seen: dict[Segment, tuple[EthernetInterface, str] | None] = {segment: None for segment, _ in joined[host]}
    own = dict(joined[host])
    queue = deque(seen)
    passed: set[Host] = {host}
    while queue:
        segment = queue.popleft()
        for router, at in segment.members:
            if not isinstance(router, Router) or router in passed:
                continue
            passed.add(router)
            step = seen[segment] or (own[segment], unpack(at.addresses[0].address))
            for further, _ in joined[router]:
                if further not in seen:
                    seen[further] = step
                    queue.append(further)
    return {segment: step for segment, step in seen.items() if step is not None}
