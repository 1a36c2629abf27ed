"""Which address to send from, and which of a name's addresses to try first (RFC 6724).

IPv4 addresses take part in the second question as mapped ones; what they are sent from the route says.
"""

from collections.abc import Iterable

from aionetflow.config import ROUTE_CACHE_SIZE
from aionetflow.ethernet.interface import Interface
from aionetflow.ip.address import MAPPED, bare, is_scoped, pack, pack_network, scope_of, unpack
from aionetflow.ip.route import Route, RoutingTable

# RFC 6724 2.1: prefix, precedence, label; the longest prefix that matches counts
_POLICY = tuple(
    sorted(
        (
            (*pack_network(prefix), precedence, label)
            for prefix, precedence, label in (
                ("::1/128", 50, 0), ("::/0", 40, 1), ("::ffff:0:0/96", 35, 4), ("2002::/16", 30, 2),
                ("2001::/32", 5, 5), ("fc00::/7", 3, 13), ("::/96", 1, 3), ("fec0::/10", 1, 11), ("3ffe::/16", 1, 12),
            )
        ),
        key=lambda line: -line[1],
    )
)  # fmt: skip
_LINK, _SITE, _GLOBAL = 2, 5, 14  # RFC 4291 2.7, RFC 6724 3.1


def scope(address: bytes) -> int:
    """How far an address reaches, as the numbers of group scopes have it (RFC 6724 3.1 and 3.2)."""
    if len(address) == 4:
        return _LINK if address[0] == 127 or address[:2] == b"\xa9\xfe" else _GLOBAL
    if address[0] == 0xFF:
        return address[1] & 15
    if is_scoped(address) or address == bytes(15) + b"\x01":
        return _LINK
    return _SITE if address[0] == 0xFE and address[1] >> 6 == 3 else _GLOBAL


def precedence_and_label(address: bytes) -> tuple[int, int]:
    """The line of the policy table for an address.

    >>> from aionetflow.ip.address import pack
    >>> precedence_and_label(pack("10.0.0.1")), precedence_and_label(pack("fd00::1"))
    ((35, 4), (3, 13))
    """
    whole = int.from_bytes(address if len(address) == 16 else MAPPED + address, "big")
    for prefix, length, precedence, label in _POLICY:
        if whole >> (128 - length) == int.from_bytes(prefix, "big") >> (128 - length):
            return precedence, label
    raise AssertionError("::/0 matches all")


def common_prefix(a: bytes, b: bytes, most: int = 64) -> int:
    """How many leading bits two addresses share, at most `most`: the source's prefix (RFC 6724 2.2)."""
    different = int.from_bytes(bare(a), "big") ^ int.from_bytes(bare(b), "big")
    return min(8 * len(a) - different.bit_length(), most)


class Sources:
    """Chooses the address to send from, for one host."""

    def __init__(self, interfaces: list[Interface], routes: RoutingTable) -> None:
        self._interfaces = interfaces
        self._routes = routes
        self._chosen: dict[bytes, bytes] = {}
        self._ordered: dict[tuple[str, ...], list[str]] = {}
        self._version = -1  # of the routes, which change with the addresses

    def choose(self, route: Route, destination: bytes) -> bytes:
        """The address to send to a destination from by a route; empty if there is none.

        The route's own, if somebody has said so; else by the rules of RFC 6724 5.
        """
        if route.source or len(destination) == 4:
            return route.source
        self._forget_old()
        source = self._chosen.get(destination)
        if source is None:
            if len(self._chosen) >= ROUTE_CACHE_SIZE:
                self._chosen.clear()
            source = self._chosen[destination] = self.best(route.interface, destination)
        return source

    def best(self, outgoing: Interface, destination: bytes) -> bytes:
        """RFC 6724 5, of the addresses that may be used; those of all interfaces unless the destination is a link's."""
        candidates = [
            (address, length, interface)
            for interface in self._interfaces
            if interface is outgoing or not (is_scoped(destination) or destination[0] == 0xFF)
            for address, length in _addresses(interface)
            if not scope_of(address) or interface is outgoing
        ]
        label = precedence_and_label(destination)[1]

        def merits(candidate: tuple[bytes, int, Interface]) -> tuple[int, ...]:
            address, length, interface = candidate
            own, wanted = scope(address), scope(destination)
            return (
                address == destination,
                own >= wanted, -own if own >= wanted else own,
                address not in interface.deprecated,
                interface is outgoing,
                precedence_and_label(address)[1] == label,
                common_prefix(address, destination, length),
            )  # fmt: skip

        return max(candidates, key=merits)[0] if candidates else b""

    def order(self, literals: tuple[str, ...]) -> list[str]:
        """A name's addresses, the one to try first at the head (RFC 6724 6), without those that no route leads to.

        IPv4 addresses keep their order among themselves.
        """
        self._forget_old()
        found = self._ordered.get(literals)
        if found is None:
            found = self._ordered[literals] = [unpack(address) for address in self._sorted(map(pack, literals))]
        return found

    def _sorted(self, destinations: Iterable[bytes]) -> list[bytes]:
        def faults(destination: bytes) -> tuple[int, ...]:
            route = self._routes.lookup(destination)
            source = self.choose(route, destination) if route is not None else b""
            if not source:
                return (1,)  # rule 1: it cannot be used
            precedence, label = precedence_and_label(destination)
            near = common_prefix(source, destination, self.prefix_of(source)) if len(destination) == 16 else 0
            return (
                0,
                scope(destination) != scope(source),
                self.is_deprecated(source),
                precedence_and_label(source)[1] != label,
                -precedence,
                scope(destination),
                -near,
            )

        return sorted((way for way in destinations if self._routes.lookup(way) is not None), key=faults)

    def _forget_old(self) -> None:
        """What was chosen counts until routes or addresses change."""
        if self._routes.version != self._version:
            self._chosen.clear()
            self._ordered.clear()
            self._version = self._routes.version

    def prefix_of(self, address: bytes) -> int:
        """The length of the prefix that one of the host's addresses has."""
        lengths = [length for nic in self._interfaces for own, length in _addresses(nic) if own == address]
        return lengths[0] if lengths else 128

    def is_deprecated(self, address: bytes) -> bool:
        """Whether one of the host's addresses is not to begin anything new from."""
        return any(address in interface.deprecated for interface in self._interfaces)


def _addresses(interface: Interface) -> list[tuple[bytes, int]]:
    """The IPv6 addresses of an interface that packets may have as their source."""
    found = [(address, length) for address, length in interface.addresses if len(address) == 16]
    return [*found, (interface.link_local, 64)] if interface.link_local else found
