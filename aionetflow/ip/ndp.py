"""Neighbor Discovery: who has which MAC on an IPv6 link, and which way out is shorter (RFC 4861).

     0               1               2               3
    +---------------+---------------+-------------------------------+
    |  type 133-137 |       0       |           checksum            |
    +---------------+---------------+-------------------------------+
    |  of an advertisement: R S O flags (router, solicited, override)|
    +---------------------------------------------------------------+
    |  target address (16), in a redirect the destination behind it |
    +---------------+---------------+-------------------------------+
    |  option type  | length / 8    |  a MAC, for example
    +---------------+---------------+-------------------------------+

The table itself is ethernet/neighbour.py's, which ARP shares. Routers and addresses are in autoconf.py, advertise.py.
"""

from collections.abc import Callable

from aionetflow.ethernet.interface import Asker, EthernetInterface, Interface
from aionetflow.ip.address import bare, is_link_local, scoped
from aionetflow.ip.icmpv6 import Icmpv6
from aionetflow.ip.route import LOCAL, Route
from aionetflow.packet import PacketHandler, RxPacket, packet_end

ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT, SOLICITATION, ADVERTISEMENT, REDIRECT = range(133, 138)
SOURCE_MAC, TARGET_MAC, PREFIX, REDIRECTED, MTU = range(1, 6)  # RFC 4861 4.6: options
HOP_LIMIT = 255  # RFC 4861 3.1: less has come through a router
ALL_NODES = bytes((0xFF, 2)) + bytes(13) + b"\x01"
ALL_ROUTERS = bytes((0xFF, 2)) + bytes(13) + b"\x02"
UNSPECIFIED = bytes(16)
_ROUTER, _SOLICITED, _OVERRIDE = 0x80, 0x40, 0x20
_SOLICITED_NODE = bytes((0xFF, 2)) + bytes(9) + b"\x01\xff"
_MAX_REDIRECTS = 256  # routes that routers may teach; beyond it the oldest goes
# How long what follows a message's first eight octets is at least (RFC 4861 4.1 to 4.5)
_BODY = {ROUTER_SOLICITATION: 0, ROUTER_ADVERTISEMENT: 8, SOLICITATION: 16, ADVERTISEMENT: 16, REDIRECT: 32}


def solicited_node(address: bytes) -> bytes:
    """The group in which whoever has an address listens for the question who has it (RFC 4291 2.7.1).

    >>> solicited_node(bytes(13) + bytes((1, 2, 3))).hex()
    'ff0200000000000000000001ff010203'
    """
    return _SOLICITED_NODE + address[13:]


def link_local(mac: bytes, index: int) -> bytes:
    """The link-local address of an interface with a MAC and an index: modified EUI-64 (RFC 4291 A, RFC 2464 5)."""
    return scoped(b"\xfe\x80" + bytes(6) + interface_id(mac), index)


def interface_id(mac: bytes) -> bytes:
    """The last half of an address that is made of a MAC.

    >>> interface_id(bytes.fromhex("020000000001")).hex()
    '000000fffe000001'
    """
    return bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]


def mac_option(kind: int, mac: bytes) -> bytes:
    """SOURCE_MAC or TARGET_MAC: a link-layer address option."""
    return bytes((kind, 1)) + mac


def options(data: bytes) -> dict[int, list[bytes]] | None:
    """The options of a message by type, each whole; None if one has no length, or more than there is (RFC 4861 4.6)."""
    found: dict[int, list[bytes]] = {}
    at = 0
    while at < len(data):
        size = 8 * data[at + 1] if at + 1 < len(data) else 0
        if size == 0 or at + size > len(data):
            return None
        found.setdefault(data[at], []).append(data[at : at + size])
        at += size
    return found


def mac_in(found: dict[int, list[bytes]], kind: int) -> bytes:
    """The MAC that such an option gives, empty if there is none."""
    return found[kind][0][2:8] if kind in found else b""


class Message:
    """A message of Neighbor Discovery that has passed the checks that all have to pass."""

    def __init__(self, packet: RxPacket, kind: int, body: bytes, found: dict[int, list[bytes]]) -> None:
        self.kind = kind
        self.interface: EthernetInterface = packet.interface  # checked by whoever made it
        self.source = packet.source
        self.destination = packet.destination
        self.flags = packet.frame[packet.l4 + 4]
        self.head = packet.frame[packet.l4 + 4 : packet.l4 + 8]
        self.body = body  # behind the first eight octets, without options
        self.options = found

    def mac(self, kind: int) -> bytes:
        """The MAC in an option of that type, empty if there is none."""
        return mac_in(self.options, kind)


def read(packet: RxPacket) -> Message | None:
    """The message in a packet; None if it cannot be right (RFC 4861 6.1, 7.1, 8.1)."""
    frame, l4 = packet.frame, packet.l4
    kind = frame[l4]
    start = l4 + 8 + _BODY[kind]
    if packet.ttl != HOP_LIMIT or frame[l4 + 1] != 0 or packet.stop < start:
        return None
    found = options(frame[start : packet.stop])
    if found is None or not isinstance(packet.interface, EthernetInterface):
        return None
    message = Message(packet, kind, frame[l4 + 8 : start], found)
    if kind in (SOLICITATION, ADVERTISEMENT) and message.body[0] == 0xFF:
        return None
    if kind in (ROUTER_ADVERTISEMENT, REDIRECT) and not is_link_local(message.source):
        return None
    if message.source == UNSPECIFIED and SOURCE_MAC in found:
        return None
    return message


class Solicitor(Asker):
    """Asks for neighbours on behalf of the interfaces."""

    def __init__(self, ndp: "NeighbourDiscovery") -> None:
        self._ndp = ndp

    def ask(self, interface: EthernetInterface, target: bytes, mac: bytes, now: int) -> None:
        """RFC 4861 7.2.2: all who may have the address, or the one at mac."""
        source = self._ndp.icmp.sources.best(interface, target)
        if source:
            self._ndp.solicit(interface, target, source, target if mac else solicited_node(target), now)


class NeighbourDiscovery(PacketHandler):
    """Neighbor Discovery of one host: asks, answers, and takes redirects.

    `conflict` is called when somebody else may have an address, which the host is perhaps about to take itself;
    `lost_router` when a neighbour has ceased to be a router. Both are autoconf.py's.
    """

    def __init__(self, icmp: Icmpv6) -> None:
        self.icmp = icmp
        self.ip = icmp.ip
        self.asker = Solicitor(self)
        self.conflict: Callable[[Interface, bytes], object] = lambda interface, target: None
        self.lost_router: Callable[[Interface, bytes], None] = lambda interface, address: None
        self.redirects: list[Route] = []
        for kind in (SOLICITATION, ADVERTISEMENT, REDIRECT):
            icmp.handlers[kind] = self

    # Sending --------------------------------------------------------------------------------------------------------

    def solicit(self, interface: EthernetInterface, target: bytes, source: bytes, destination: bytes, now: int) -> None:
        """Sends a neighbor solicitation; from "::" it asks whether anybody has the address already (RFC 4862 5.4.2)."""
        option = b"" if source == UNSPECIFIED else mac_option(SOURCE_MAC, interface.mac)
        self.send(interface, SOLICITATION, bytes(4), bare(target) + option, source, destination, now)

    def advertise(
        self, interface: EthernetInterface, target: bytes, destination: bytes, flags: int, now: int, *, name_mac: bool
    ) -> None:
        """Sends a neighbor advertisement for an address of this host (RFC 4861 7.2.4)."""
        if self.ip.forwarding:
            flags |= _ROUTER
        option = mac_option(TARGET_MAC, interface.mac) if name_mac else b""
        self.send(
            interface, ADVERTISEMENT, bytes((flags, 0, 0, 0)), bare(target) + option, target, destination, now
        )  # fmt: skip

    def send(
        self, interface: Interface, kind: int, head: bytes, body: bytes, source: bytes, destination: bytes, now: int
    ) -> None:
        """Sends a message by an interface, whatever the routing table says."""
        destination = scoped(destination, interface.index)
        route = Route(destination, 128, interface)
        self.icmp.send(
            bytes((kind, 0, 0, 0)) + head, body, source, destination, now, route=route, hop_limit=HOP_LIMIT
        )  # fmt: skip

    # Receiving ------------------------------------------------------------------------------------------------------

    def receive(self, packet: RxPacket, now: int) -> None:
        """Takes a solicitation, an advertisement or a redirect."""
        message = read(packet)
        if message is None:
            self.icmp.stats.InErrors += 1
        elif message.kind == SOLICITATION:
            self._receive_solicitation(message, now)
        elif message.kind == ADVERTISEMENT:
            self._receive_advertisement(message, now)
        else:
            self._receive_redirect(packet, message, now)

    def learn(self, interface: EthernetInterface, address: bytes, mac: bytes, now: int) -> None:
        """Notes the MAC that a neighbour has named in passing; sends what waited for it."""
        if mac and address != UNSPECIFIED:
            known = interface.neighbours
            interface.queue.extend(known.learn(address, mac, now, create=True, confirmed=False))
            interface.deadline = known.deadline

    def has(self, interface: Interface, address: bytes) -> bool:
        """Whether an address is this interface's: for the host's others it does not answer (Linux ndisc_recv_ns)."""
        return address == interface.link_local or any(entry.address == address for entry in interface.addresses)

    def _receive_solicitation(self, message: Message, now: int) -> None:
        """RFC 4861 7.2.3."""
        interface = message.interface
        target = scoped(message.body, interface.index)
        asks_all = message.destination[0] == 0xFF
        probe = message.source == UNSPECIFIED
        if probe and bare(message.destination) != solicited_node(target):
            self.icmp.stats.InErrors += 1
            return
        if probe:
            self.conflict(interface, target)  # RFC 4862 5.4.3: another wants the address at this moment
        if not self.has(interface, target):
            return
        if probe:
            self.advertise(interface, target, ALL_NODES, _OVERRIDE, now, name_mac=True)
            return
        self.learn(interface, message.source, message.mac(SOURCE_MAC), now)
        flags = _SOLICITED | _OVERRIDE if asks_all else _SOLICITED
        self.advertise(interface, target, message.source, flags, now, name_mac=asks_all)

    def _receive_advertisement(self, message: Message, now: int) -> None:
        """RFC 4861 7.2.5."""
        interface = message.interface
        target = scoped(message.body, interface.index)
        if message.destination[0] == 0xFF and message.flags & _SOLICITED:
            self.icmp.stats.InErrors += 1
            return
        if self.has(interface, target):
            return
        self.conflict(interface, target)
        known = interface.neighbours
        entry = known.entries.get(target)
        was_router = entry is not None and entry.router
        interface.queue.extend(
            known.advertise(
                target, message.mac(TARGET_MAC), now, solicited=message.flags & _SOLICITED != 0,
                override=message.flags & _OVERRIDE != 0, router=message.flags & _ROUTER != 0,
            )
        )  # fmt: skip
        interface.deadline = known.deadline
        if was_router and not message.flags & _ROUTER:
            self.lost_router(interface, target)

    def _receive_redirect(self, packet: RxPacket, message: Message, now: int) -> None:
        """RFC 4861 8.3: from now on packets to a destination go to the target, which may be the destination itself."""
        interface = message.interface
        target = scoped(message.body[:16], interface.index)
        destination = scoped(message.body[16:], interface.index)
        route = self.ip.routes.lookup(destination)
        if destination[0] == 0xFF or not (is_link_local(target) or target == destination):
            self.icmp.stats.InErrors += 1  # 8.1
            return
        if self.ip.forwarding or route is None or route.interface is not interface or route.via != message.source:
            return  # who does not send there by that router need not hear of it
        self.learn(interface, target, message.mac(TARGET_MAC), now)
        if len(self.redirects) >= _MAX_REDIRECTS:
            self._forget(self.redirects[0])
        for old in [old for old in self.redirects if old.prefix == destination]:
            self._forget(old)
        better = Route(destination, 128, interface, via=b"" if target == destination else target)
        if not self.ip.routes.has(better):
            self.ip.routes.insert(better)
            self.redirects.append(better)

    def _forget(self, route: Route) -> None:
        self.redirects.remove(route)
        if self.ip.routes.has(route):
            self.ip.routes.remove(route)

    # A router's part of redirects -----------------------------------------------------------------------------------

    def redirect(self, packet: RxPacket, route: Route, now: int) -> None:
        """Tells a neighbour whose packet goes back where it came from of the better way (RFC 4861 8.2)."""
        interface = route.interface
        target = route.via or packet.destination
        if not isinstance(interface, EthernetInterface) or packet.broadcast:
            return
        if not self._is_neighbour(packet, interface):
            return
        if not interface.link_local or (route.via and not is_link_local(target)):
            return  # Linux ndisc_send_redirect: nobody would believe it
        if not self.icmp.may_send(packet.source, 128, now):
            return
        entry = interface.neighbours.entries.get(target)
        option = mac_option(TARGET_MAC, entry.mac) if entry is not None and entry.mac else b""
        stop = min(packet_end(packet.frame, packet.l3), packet.l3 + 1280 - 40 - 40 - 8 - len(option))
        quote = packet.frame[packet.l3 : packet.l3 + (stop - packet.l3) // 8 * 8]
        option += bytes((REDIRECTED, len(quote) // 8 + 1)) + bytes(6) + quote
        body = bare(target) + bare(packet.destination) + option
        self.send(interface, REDIRECT, bytes(4), body, interface.link_local, packet.source, now)

    def _is_neighbour(self, packet: RxPacket, interface: Interface) -> bool:
        """Whether the sender is on the link itself."""
        back = self.ip.routes.lookup(packet.source)
        return back is not None and back.interface is interface and not back.via and back.kind != LOCAL
