"""The routing table: destination -> next hop, interface and source address.

One table answers both questions of a host: where to send a packet, and whether a received one is for itself (a route
of kind LOCAL), as Linux's fib does. The longest prefix wins, then the smaller metric, then the older route.
"""

from bisect import insort
from collections.abc import Iterator

from aionetflow.config import ROUTE_CACHE_SIZE
from aionetflow.ethernet.addresses import source_address
from aionetflow.ethernet.interface import Interface
from aionetflow.ip.address import bare, pack, pack_network, scope_of, scoped, unpack
from aionetflow.widths import i64

UNICAST = 1
LOCAL = 2
BROADCAST = 3
MULTICAST = 5
UNREACHABLE = 7

IP_PMTUDISC_DONT = 0  # ip(7), IP_MTU_DISCOVER: routers may cut our packets into fragments
IP_PMTUDISC_WANT = 1  # they may not, but where the way takes too little to be true
IP_PMTUDISC_DO = 2
IP_PMTUDISC_PROBE = 3  # the way's MTU is not gone by: the application looks for a larger one
IP_PMTUDISC_INTERFACE = 4  # what ICMP says of the way is not believed, nor is it by OMIT = 5

KIND_NAMES = {
    UNICAST: "", LOCAL: "local ", BROADCAST: "broadcast ", MULTICAST: "multicast ", UNREACHABLE: "unreachable ",
}  # fmt: skip


class Route:
    """One line of a routing table; all addresses as octets."""

    def __init__(
        self, prefix: bytes, prefix_length: int, interface: Interface, *, kind: int = UNICAST, via: bytes = b"",
        source: bytes = b"", metric: int = 0,
    ) -> None:  # fmt: skip
        self.prefix = prefix
        self.prefix_length = prefix_length
        self.interface = interface
        self.kind = kind
        self.via = via  # empty: the destination is on the link itself
        # the address to send from when the application has not bound one; empty in IPv6: selection.py chooses
        self.source = source
        self.metric = metric
        self.learned_mtu: i64 = 0  # octets: what the way to one destination takes, as ICMP told (RFC 1191); 0: nothing
        self.locked = False  # ... and too little to believe: packets may be cut on the way (Linux ip_mtu_locked)
        self.expires: i64 = 0  # when that is forgotten
        self._bits = 8 * len(prefix) - prefix_length
        self._network = int.from_bytes(prefix, "big") >> self._bits

    def matches(self, destination: bytes) -> bool:
        """Whether a destination is inside the prefix."""
        if len(destination) != len(self.prefix):
            return False
        return int.from_bytes(destination, "big") >> self._bits == self._network

    def path_mtu(self, now: i64) -> i64:
        """The longest packet that the way takes, as far as is known."""
        if self.learned_mtu == 0 or self.expires <= now or self.learned_mtu > self.interface.mtu:
            return self.interface.mtu
        return self.learned_mtu

    def is_locked(self, now: i64) -> bool:
        """Whether packets must not be kept from being cut on the way."""
        return self.locked and self.expires > now

    def learned(self, destination: bytes) -> "Route":
        """The same way to one destination: what is learned of that only is noted in it (Linux fib_nh_exception)."""
        return Route(
            destination, 8 * len(destination), self.interface, kind=self.kind, via=self.via, source=self.source,
            metric=self.metric,
        )  # fmt: skip

    def __str__(self) -> str:
        """The line that `ip route` would print.

        >>> from aionetflow.ethernet.interface import Interface, Node
        >>> from aionetflow.packet import PacketHandler
        >>> eth0 = Interface(Node(), PacketHandler(), "eth0", 2)
        >>> str(Route(bytes([10, 0, 0, 0]), 8, eth0, via=bytes([192, 168, 0, 1]), source=bytes([192, 168, 0, 9])))
        '10.0.0.0/8 via 192.168.0.1 dev eth0 src 192.168.0.9'
        """
        text = "default" if self.prefix_length == 0 else f"{unpack(self.prefix)}/{self.prefix_length}"
        text = KIND_NAMES[self.kind] + text
        if self.via:
            text += f" via {unpack(self.via)}"
        text += f" dev {self.interface.name}"
        if self.source:
            text += f" src {unpack(self.source)}"
        return text + (f" metric {self.metric}" if self.metric else "")


def _rank(route: Route) -> tuple[int, int]:
    return -route.prefix_length, route.metric


class RoutingTable:
    """The routes of one host."""

    def __init__(self) -> None:
        self._routes: dict[int, list[Route]] = {4: [], 16: []}  # by the octets of an address, the best match first
        self._cache: dict[bytes, Route | None] = {}
        self._learned: dict[bytes, Route] = {}  # by destination: ways of which ICMP has told something
        self.version: i64 = 0  # of the table: another number, perhaps other answers

    def add(
        self, prefix: str, *, via: str = "", source: str = "", interface: Interface | None = None, metric: int = 0,
        unreachable: bool = False,
    ) -> Route:  # fmt: skip
        """Enters a route, as `ip route add` does.

        prefix is a network ("10.0.0.0/8", "fd00:1::/64") or "default", which is of via's family; via the next hop,
        whose link tells the interface if none is given (a link-local one needs it); source the address to send from,
        by default the interface's own on the next hop's network, in IPv6 what RFC 6724 chooses. Of two routes to the
        same prefix the one with the smaller metric is used. unreachable makes it a hole: packets for it are refused
        with ICMP. Raises ValueError if the route exists or its next hop is on no link.
        """
        network, length = pack_network("default6" if prefix == "default" and ":" in via else prefix)
        next_hop = pack(via) if via else b""
        if interface is not None:
            next_hop = scoped(next_hop, interface.index) if via else b""
            network = scoped(network, interface.index)
        if interface is None:
            hop = self.lookup(next_hop) if via else None
            if hop is None or hop.via or (hop.kind != UNICAST and not unreachable):
                raise ValueError(f"no link leads to {via}" if via else f"route to {prefix}: name via or interface")
            interface = hop.interface
        address = pack(source) if source else b""
        if not address and len(network) == 4:
            address = source_address(interface.addresses, next_hop or network)
        kind = UNREACHABLE if unreachable else UNICAST
        route = Route(network, length, interface, kind=kind, via=next_hop, source=address, metric=metric)
        self.insert(route)
        return route

    def delete(self, prefix: str, via: str = "") -> None:
        """Takes a route out, as `ip route del` does; ValueError if there is none."""
        network, length = pack_network("default6" if prefix == "default" and ":" in via else prefix)
        for route in self:
            if (route.prefix, route.prefix_length) == (network, length) and (not via or route.via == pack(via)):
                self.remove(route)
                return
        raise ValueError(f"no route to {prefix}" + (f" via {via}" if via else ""))

    def insert(self, route: Route) -> None:
        """Enters a finished route; ValueError if there is one to the same prefix with the same metric and kind."""
        if self.has(route):
            raise ValueError(f"route exists: {route}")
        insort(self._routes[len(route.prefix)], route, key=_rank)
        self.forget()

    def has(self, route: Route) -> bool:
        """Whether there is a route of the same kind to the same prefix by the same interface, with the same metric."""
        return any(self._same(route, other) for other in self._routes[len(route.prefix)])

    def remove(self, route: Route) -> None:
        """Takes a route out; ValueError if it is not there."""
        self._routes[len(route.prefix)].remove(route)
        self.forget()

    def lookup(self, destination: bytes) -> Route | None:
        """The route to a destination; None if there is none."""
        if destination in self._cache:
            return self._cache[destination]
        return self._search(destination)

    def lookup_by(self, destination: bytes, index: int) -> Route | None:
        """The same for who uses one interface alone (SO_BINDTODEVICE): what no route leads to by it is on its link."""
        if not index:
            return self.lookup(destination)
        interface: Interface | None = None
        for route in self:
            if route.interface.index == index:
                interface = route.interface
            elif route.kind != LOCAL:
                continue
            if route.interface.up and route.matches(destination):
                return route
        if interface is None or not interface.up:
            return None
        source = source_address(interface.addresses, destination)
        return Route(destination, 8 * len(destination), interface, source=source)

    def learn_mtu(self, destination: bytes, mtu: int, minimum: int, expires: int, now: i64) -> Route | None:
        """ICMP says that the way to a destination takes packets of mtu octets; the route to it, None if there is none.

        What is more than is known already says nothing, and of what is less than minimum only that is believed
        (Linux __ip_rt_update_pmtu). expires is when it is forgotten.
        """
        route = self.lookup(destination)
        if route is None or mtu > route.path_mtu(now):
            return route
        locked = mtu < minimum
        route = self._exception(destination, route)
        route.learned_mtu = min(route.path_mtu(now), minimum) if locked else mtu
        route.locked = locked
        route.expires = expires
        return route

    def redirect(self, destination: bytes, via: bytes) -> Route | None:
        """A router says that another is nearer to a destination (RFC 1122 3.2.2.2): the route by that one."""
        route = self.lookup(destination)
        if route is None or route.kind != UNICAST:
            return None
        better = self._exception(destination, route)
        better.via = via
        return better

    def _exception(self, destination: bytes, route: Route) -> Route:
        """The route that is for one destination alone."""
        known = self._learned.get(destination)
        if known is not None:
            return known
        if len(self._learned) >= ROUTE_CACHE_SIZE:
            del self._learned[next(iter(self._learned))]
        route = self._learned[destination] = self._cache[destination] = route.learned(destination)
        return route

    def _search(self, destination: bytes) -> Route | None:
        found = self._learned.get(destination) or self._find(destination)
        if len(self._cache) >= ROUTE_CACHE_SIZE:
            self._cache.clear()
        self._cache[destination] = found
        return found

    def forget(self) -> None:
        """Drops what was remembered of earlier look-ups: an interface went up or down, or a route came or went."""
        self.version += 1
        self._cache.clear()
        self._learned.clear()

    def __iter__(self) -> Iterator[Route]:
        return iter([*self._routes[4], *self._routes[16]])

    def _find(self, destination: bytes) -> Route | None:
        routes = self._routes[len(destination)]
        index = scope_of(destination) if destination[0] == 0xFF else 0
        if index:  # a group on one link: the route to groups there
            routes = [route for route in routes if route.interface.index == index]
            destination = bare(destination)
        return next((route for route in routes if route.interface.up and route.matches(destination)), None)

    @staticmethod
    def _same(a: Route, b: Route) -> bool:
        key = (a.prefix, a.prefix_length, a.metric, a.kind)
        return key == (b.prefix, b.prefix_length, b.metric, b.kind) and a.interface is b.interface
