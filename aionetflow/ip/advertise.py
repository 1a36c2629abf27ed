"""A router's advertisements: that it is there, and which prefixes its link has (RFC 4861 6.2).

     0               1               2               3
    +---------------+---------------+-------------------------------+
    |      134      |       0       |           checksum            |
    +---------------+---------------+-------------------------------+
    |   hop limit   | M O flags     |   router lifetime (seconds)   |
    +---------------+---------------+-------------------------------+
    |               reachable time, retransmission timer: 0, no word|
    +---------------------------------------------------------------+
    |   options: the router's MAC, the link's MTU, its prefixes     |
"""

from collections.abc import Callable

from aionetflow.config import (
    DEFAULT_TTL,
    MAX_RA_DELAY,
    MIN_DELAY_BETWEEN_RAS,
    NEVER,
    PREFIX_PREFERRED,
    PREFIX_VALID,
    RTR_ADVERT_INTERVAL,
    RTR_INITIAL_ADVERT_INTERVAL,
    RTR_INITIAL_ADVERTISEMENTS,
    RTR_LIFETIME,
    SECOND,
)
from aionetflow.ethernet.interface import EthernetInterface
from aionetflow.ip.ndp import (
    ALL_NODES,
    MTU,
    PREFIX,
    ROUTER_ADVERTISEMENT,
    ROUTER_SOLICITATION,
    SOURCE_MAC,
    NeighbourDiscovery,
    mac_option,
    read,
)
from aionetflow.packet import PacketHandler, RxPacket
from aionetflow.rng import Random

_ON_LINK_AND_AUTONOMOUS = 0xC0


class Advertised:
    """What one interface advertises; lifetimes in nanoseconds."""

    def __init__(self, router_lifetime: int, valid: int, preferred: int) -> None:
        self.router_lifetime = router_lifetime
        self.valid = valid
        self.preferred = preferred
        self.sent = 0
        self.sent_at = -NEVER
        self.deadline = 0


class Advertiser(PacketHandler):
    """The advertising interfaces of one router."""

    def __init__(self, ndp: NeighbourDiscovery, changed: Callable[[], None], random: Random) -> None:
        self.ndp = ndp
        self._changed = changed  # called when `deadline` may be another
        self.random = random
        self.interfaces: dict[EthernetInterface, Advertised] = {}
        ndp.icmp.handlers[ROUTER_SOLICITATION] = self

    def start(
        self, interface: EthernetInterface, now: int, router_lifetime: int = RTR_LIFETIME, valid: int = PREFIX_VALID,
        preferred: int = PREFIX_PREFERRED,
    ) -> None:  # fmt: skip
        """Advertises the router and the networks of the interface's addresses, from now on."""
        self.interfaces[interface] = Advertised(router_lifetime, valid, preferred)
        self._advertise(interface, now)
        self._changed()

    def stop(self, interface: EthernetInterface, now: int) -> None:
        """Takes leave: one last advertisement of no lifetime (RFC 4861 6.2.5)."""
        advertised = self.interfaces.pop(interface)
        advertised.router_lifetime = 0
        self._send(interface, advertised, now)
        self._changed()

    def receive(self, packet: RxPacket, now: int) -> None:
        """Takes a router solicitation: all hear of it soon (RFC 4861 6.2.6)."""
        message = read(packet)
        if message is None:
            self.ndp.icmp.stats.InErrors += 1
            return
        advertised = self.interfaces.get(message.interface)
        if advertised is None:
            return
        self.ndp.learn(message.interface, message.source, message.mac(SOURCE_MAC), now)
        soon = max(now + self._draw(0, MAX_RA_DELAY), advertised.sent_at + MIN_DELAY_BETWEEN_RAS)
        advertised.deadline = min(advertised.deadline, soon)
        self._changed()

    def deadline(self) -> int:
        """When `expire` is to be called."""
        return min((advertised.deadline for advertised in self.interfaces.values()), default=NEVER)

    def expire(self, now: int) -> None:
        """Sends the advertisements that are due."""
        for interface, advertised in self.interfaces.items():
            if advertised.deadline <= now:
                self._advertise(interface, now)
        self._changed()

    def _advertise(self, interface: EthernetInterface, now: int) -> None:
        advertised = self.interfaces[interface]
        self._send(interface, advertised, now)
        advertised.sent += 1
        advertised.sent_at = now
        wait = self._draw(*RTR_ADVERT_INTERVAL)
        if advertised.sent < RTR_INITIAL_ADVERTISEMENTS:
            wait = min(wait, RTR_INITIAL_ADVERT_INTERVAL)
        advertised.deadline = now + wait

    def _draw(self, low: int, high: int) -> int:
        return low + (self.random.getrandbits(32) * (high - low) >> 32)

    def _send(self, interface: EthernetInterface, advertised: Advertised, now: int) -> None:
        head = bytes((DEFAULT_TTL, 0)) + (advertised.router_lifetime // SECOND).to_bytes(2, "big")
        body = bytes(8) + mac_option(SOURCE_MAC, interface.mac)
        body += bytes((MTU, 1, 0, 0)) + interface.mtu.to_bytes(4, "big")
        lifetimes = b"".join(
            min(time // SECOND, 0xFFFFFFFF).to_bytes(4, "big") for time in (advertised.valid, advertised.preferred)
        )
        for network, length in _networks(interface):
            body += bytes((PREFIX, 4, length, _ON_LINK_AND_AUTONOMOUS)) + lifetimes + bytes(4) + network
        self.ndp.send(interface, ROUTER_ADVERTISEMENT, head, body, interface.link_local, ALL_NODES, now)


def _networks(interface: EthernetInterface) -> list[tuple[bytes, int]]:
    """The IPv6 networks of an interface's addresses, each once."""
    found = []
    for address, length in interface.addresses:
        bits = 128 - length
        if len(address) == 16:
            found.append(((int.from_bytes(address, "big") >> bits << bits).to_bytes(16, "big"), length))
    return list(dict.fromkeys(found))
