"""The addresses of a host's interfaces, and what follows from each: routes, and the group where it is asked for."""

from aionetflow.ethernet.addresses import InterfaceAddress
from aionetflow.ethernet.interface import LIMITED_BROADCAST, Interface
from aionetflow.ip.address import is_link_local
from aionetflow.ip.ndp import solicited_node
from aionetflow.ip.route import BROADCAST, LOCAL, Route, RoutingTable


class AddressBook:
    """Gives the interfaces of one host addresses and takes them away."""

    def __init__(self, routes: RoutingTable, loopback: Interface) -> None:
        self._routes = routes
        self._loopback = loopback

    def take(self, interface: Interface, address: bytes, length: int) -> None:
        """The interface has an address from now on; ValueError if the host has it already."""
        self._routes.insert(Route(address, 8 * len(address), self._loopback, kind=LOCAL, source=address))
        if is_link_local(address) and not interface.link_local:
            interface.link_local = address
        else:
            interface.addresses.append(InterfaceAddress(address, length))
        if len(address) == 16:
            interface.join(solicited_node(address))

    def drop(self, interface: Interface, address: bytes, length: int) -> None:
        """It has not any more; ValueError if it had not."""
        if address == interface.link_local:
            interface.link_local = b""
        else:
            interface.addresses.remove(InterfaceAddress(address, length))
        if len(address) == 16:
            interface.leave(solicited_node(address))
        for route in [route for route in self._routes if route.source == address]:
            if route.interface in (interface, self._loopback):
                self._routes.remove(route)

    def add_routes(self, interface: Interface, entry: InterfaceAddress) -> None:
        """The routes that follow from an address; a second address on the same network adds none."""
        packed, length = entry
        bits = 8 * len(packed) - length
        network = (int.from_bytes(packed, "big") >> bits << bits).to_bytes(len(packed), "big")
        wanted = []
        if bits:
            wanted.append(Route(network, length, interface, source=packed if len(packed) == 4 else b""))
        if entry.broadcast:
            wanted.append(Route(entry.broadcast, 32, interface, kind=BROADCAST, source=packed))
        if len(packed) == 4:
            wanted.append(Route(LIMITED_BROADCAST, 32, interface, kind=BROADCAST, source=packed))
        for route in wanted:
            if not self._routes.has(route):
                self._routes.insert(route)

    def remove(self, interface: Interface, entry: InterfaceAddress) -> None:
        """Takes an address and its routes away; ValueError if the interface has it not."""
        address, length = entry
        self.drop(interface, address, length)
        if len(address) == 16:
            on_link = [route for route in self._routes if route.interface is interface and not route.via]
            for route in on_link:
                if route.prefix_length == length and route.matches(address):
                    self._routes.remove(route)
        for remaining in interface.addresses:
            self.add_routes(interface, remaining)
