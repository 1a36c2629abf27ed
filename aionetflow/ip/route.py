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
        self._bits = 8 * len(prefix) - prefix_length
        self._network = int.from_bytes(prefix, "big") >> self._bits

    def matches(self, destination: bytes) -> bool:
        """Whether a destination is inside the prefix."""
        if len(destination) != len(self.prefix):
            return False
        return int.from_bytes(destination, "big") >> self._bits == self._network

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
        fitting = [route for route in self if route.interface.up and route.matches(destination)]
        for route in fitting:
            if route.interface.index == index or route.kind == LOCAL:
                return route
        interface = next((route.interface for route in self if route.interface.index == index), None)
        if interface is None or not interface.up:
            return None
        source = source_address(interface.addresses, destination)
        return Route(destination, 8 * len(destination), interface, source=source)

    def _search(self, wanted: bytes) -> Route | None:
        destination = wanted
        routes = self._routes[len(destination)]
        index = scope_of(destination) if destination[0] == 0xFF else 0
        if index:  # a group on one link: the route to groups there
            routes = [route for route in routes if route.interface.index == index]
            destination = bare(destination)
        found = next((route for route in routes if route.interface.up and route.matches(destination)), None)
        if len(self._cache) >= ROUTE_CACHE_SIZE:
            self._cache.clear()
        self._cache[wanted] = found
        return found

    def forget(self) -> None:
        """Drops what was remembered of earlier look-ups: an interface went up or down, or a route came or went."""
        self.version += 1
        self._cache.clear()

    def __iter__(self) -> Iterator[Route]:
        return iter([*self._routes[4], *self._routes[16]])

    @staticmethod
    def _same(a: Route, b: Route) -> bool:
        key = (a.prefix, a.prefix_length, a.metric, a.kind)
        return key == (b.prefix, b.prefix_length, b.metric, b.kind) and a.interface is b.interface
