"""Network interfaces: where a host's packets become frames, and frames packets.

Interface carries bare IP packets (as Linux's tun does) and is the base of the others: EthernetInterface adds MAC
headers and neighbours, LoopbackInterface (loopback.py) gives back what it is given. Frames to send are collected until
`flush`, so that a link gets them as one batch.
"""

from collections.abc import Callable

from aionetflow.config import DEFAULT_MTU, NEVER
from aionetflow.ethernet import arp
from aionetflow.ethernet.addresses import InterfaceAddress, source_address
from aionetflow.ethernet.frame import (
    BROADCAST,
    ETHERTYPE_ARP,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    NO_MAC,
    ethertype_of,
    group_mac,
    mac_header,
)
from aionetflow.ethernet.neighbour import Neighbour, NeighbourTable
from aionetflow.fast import forward, get16, put, segment
from aionetflow.gso import cut, frames_of, octets_of
from aionetflow.link.base import LinkEnd, Station
from aionetflow.packet import PacketHandler, RxPacket, TxPacket, packet_end
from aionetflow.widths import i64, u64

LINKTYPE_ETHERNET = 1  # as in a capture file: LINKTYPE_ETHERNET, LINKTYPE_RAW
LINKTYPE_RAW = 101
LIMITED_BROADCAST = b"\xff\xff\xff\xff"
COUNTERS = (
    "rx_packets", "rx_bytes", "rx_errors", "rx_dropped", "rx_otherhost_dropped",
    "tx_packets", "tx_bytes", "tx_dropped",
)  # fmt: skip


class Node:
    """What an interface belongs to: takes a batch of frames whenever a link delivers one."""

    def arrived(self, interface: "Interface", frames: list[bytes]) -> None:
        """Takes frames from a link: has the interface sort them out, then sends whatever that calls for."""

    def failed(self, what: str, error: Exception) -> None:
        """Deals with an exception of a callback that is somebody else's."""
        raise error

    def owns(self, address: bytes) -> bool:
        """Whether an address is one of the node's, on whichever interface."""
        return False

    def forwards(self) -> bool:
        """Whether what arrives may go on to other interfaces."""
        return False


class Asker:
    """Who puts the question for an IPv6 neighbour into words: Neighbor Discovery (ip/ndp.py)."""

    def ask(self, interface: "EthernetInterface", target: bytes, mac: bytes, now: i64) -> None:
        """Asks for the MAC of target: the neighbour at mac, or all if that is empty."""


class Interface(Station):
    """A point-to-point interface that carries bare IP packets, and what all interfaces have in common."""

    linktype = LINKTYPE_RAW

    def __init__(self, node: Node, upper: PacketHandler, name: str, index: int, mtu: int = DEFAULT_MTU) -> None:
        self.node = node
        self.upper = upper
        self.upper6 = PacketHandler()  # takes the IPv6 packets; whoever makes the interface says who that is
        self.name = name
        self.index = index
        self.mtu = mtu
        self.mac = NO_MAC
        self.up = True
        self.addresses: list[InterfaceAddress] = []
        self.link_local = b""  # its address in fe80::/10; none where the link has no neighbours
        self.deprecated: frozenset[bytes] = frozenset()  # addresses not to begin anything new from (RFC 4862 5.5.4)
        self.groups: dict[bytes, int] = {}  # that it hears, and how many want that
        self.link: LinkEnd | None = None
        self.queue: list[bytes] = []  # frames for the next flush
        self.merged_by: i64 = 0  # octets: the MTU by which they are merged (see gso.py); 0 if they are not
        self.sent: list[tuple[int, bytes]] = []  # (time, frame): what was sent while no link was attached
        self.taps: list[Callable[[int, bytes, bool], None]] = []  # called with (time, frame, whether it went out)
        self.deadline: i64 = NEVER
        self.rx = RxPacket()
        self.rx_packets: u64 = 0
        self.rx_bytes: u64 = 0
        self.rx_errors: u64 = 0
        self.rx_dropped: u64 = 0
        self.rx_otherhost_dropped: u64 = 0
        self.tx_packets: u64 = 0
        self.tx_bytes: u64 = 0
        self.tx_dropped: u64 = 0

    def set_mtu(self, mtu: int) -> None:
        """Packets may be that many octets long from now on; connections cut their segments to fit."""
        self.queue, self.merged_by = cut(self.queue, self.merged_by), 0
        self.mtu = mtu

    def join(self, group: bytes) -> None:
        """Hears a group's packets from now on, until `leave` was called as often. Nobody is told."""
        self.groups[group] = self.groups.get(group, 0) + 1

    def leave(self, group: bytes) -> None:
        """Takes one `join` back; KeyError if there was none."""
        self.groups[group] -= 1
        if not self.groups[group]:
            del self.groups[group]

    def receive(self, frames: list[bytes]) -> None:
        """Takes frames from the link. What is due because of them has been sent when this returns."""
        self.node.arrived(self, frames)

    def takes_merged(self) -> bool:
        """Whether merged batches may come: to a node where packets end."""
        return not self.node.forwards()

    def receive_merged(self, frames: list[bytes], merged_by: i64) -> None:
        """As `receive`, of a merged batch."""
        self.rx.merged_by = merged_by
        try:
            self.node.arrived(self, frames)
        finally:
            self.rx.merged_by = 0

    def input(self, frames: list[bytes], now: i64) -> None:
        """Counts a batch of frames and hands each (or each run of one flow) to the layer above."""
        if not self.up:
            self.rx_dropped += frames_of(frames, self.rx.merged_by)
            return
        self._count_in(frames, now)
        first = 0
        while first < len(frames):
            first += self._input_one(frames, first, now)

    def output(self, packet: TxPacket, next_hop: bytes, now: i64) -> None:
        """Cuts a packet whose IP header is written into frames for the next hop, and queues them."""
        self._cut(packet, packet.l3, self.queue)

    def forward(self, packet: RxPacket, next_hop: bytes, now: i64) -> None:
        """Queues a received packet for the next hop: another MAC header, a TTL one less (RFC 1812 5.2.1)."""
        self._forward_all(packet, b"", self.queue)

    def output_whole(self, packets: list[bytes], next_hop: bytes, now: i64) -> None:
        """Queues finished IP packets for the next hop."""
        self.queue += packets

    def flush(self, now: i64) -> None:
        """Gives the queued frames to the link."""
        if not self.queue:
            return
        frames, self.queue = self.queue, []
        merged_by, self.merged_by = self.merged_by, 0
        if not self.up:
            self.tx_dropped += frames_of(frames, merged_by)
            return
        self._count_out(frames, now, merged_by)
        if self.link is None:
            self.sent += [(now, frame) for frame in frames]
        elif merged_by:
            self.link.send_merged(frames, merged_by)
        else:
            self.link.send(frames)

    def expire(self, now: i64) -> None:
        """Does what is due at `deadline`."""

    def announce(self, now: i64) -> None:
        """Tells the neighbours of this interface's addresses, where there are neighbours."""

    def forget_neighbours(self) -> None:
        """Another network may be plugged in when the interface comes up again."""

    def counters(self) -> dict[str, int]:
        """The counters that `ip -s link` shows, by name."""
        return {name: getattr(self, name) for name in COUNTERS}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} mtu {self.mtu} {'UP' if self.up else 'DOWN'}>"

    def _input_one(self, frames: list[bytes], first: int, now: i64) -> int:
        packet = self.rx
        packet.take(self, frames, first, 0, 0, False)
        if len(packet.frame) > 0 and packet.frame[0] >> 4 == 6:
            self.upper6.receive(packet, now)
        else:
            self.upper.receive(packet, now)
        return packet.count

    def _cut(self, packet: TxPacket, l2: int, frames: list[bytes]) -> list[bytes]:
        """Appends the frames of a packet to frames, and returns those."""
        return segment(
            packet.header, l2, packet.l3, packet.l4, packet.l5, packet.payload, packet.start, packet.length,
            packet.mss, packet.ident, frames, packet.split, packet.tail, packet.tail_start,
        )  # fmt: skip

    def _forward_all(self, packet: RxPacket, header: bytes, queue: list[bytes]) -> None:
        """All frames of a run under a new MAC header. All but the last are as long as the first."""
        for i in range(packet.first, packet.first + packet.count):
            frame = packet.frames[i]
            queue.append(forward(frame, packet.l3, packet_end(frame, packet.l3), header))

    def _count_in(self, frames: list[bytes], now: i64) -> None:
        self.rx_packets += frames_of(frames, self.rx.merged_by)
        self.rx_bytes += octets_of(frames, self.rx.merged_by)
        if self.taps:
            self._tap(cut(frames, self.rx.merged_by), now, False)

    def _count_out(self, frames: list[bytes], now: i64, merged_by: i64) -> None:
        self.tx_packets += frames_of(frames, merged_by)
        self.tx_bytes += octets_of(frames, merged_by)
        if self.taps:
            self._tap(cut(frames, merged_by), now, True)

    def _tap(self, frames: list[bytes], now: i64, outbound: bool) -> None:
        for tap in list(self.taps):
            try:
                for frame in frames:
                    tap(now, frame, outbound)
            except Exception as error:
                self.node.failed(f"exception in a tap of {self!r}", error)


class EthernetInterface(Interface):
    """An Ethernet interface: MAC headers, and a neighbour table kept by ARP and Neighbor Discovery."""

    linktype = LINKTYPE_ETHERNET

    def __init__(
        self, node: Node, upper: PacketHandler, name: str, index: int, mac: bytes, mtu: int = DEFAULT_MTU
    ) -> None:
        Interface.__init__(self, node, upper, name, index, mtu)
        self.mac = mac
        self.neighbours = NeighbourTable(mac)
        self.asker = Asker()
        self.group_macs: dict[bytes, int] = {}  # of the IPv6 groups that it hears, and of how many

    def join(self, group: bytes) -> None:
        """Hears a group's packets from now on, as `Interface.join`: its MAC is let in."""
        if len(group) == 16 and group not in self.groups:
            mac = group_mac(group)
            self.group_macs[mac] = self.group_macs.get(mac, 0) + 1
        Interface.join(self, group)

    def leave(self, group: bytes) -> None:
        """Takes one `join` back."""
        Interface.leave(self, group)
        if len(group) == 16 and group not in self.groups:
            mac = group_mac(group)
            self.group_macs[mac] -= 1
            if not self.group_macs[mac]:
                del self.group_macs[mac]

    def output(self, packet: TxPacket, next_hop: bytes, now: i64) -> None:
        """Cuts a packet into frames for the next hop, or lets them wait until its MAC is known."""
        header = packet.header
        packet.l2 = packet.l3 - 14
        neighbour = self._neighbour(next_hop, now)
        if neighbour is not None and not neighbour.header:
            header[packet.l2 : packet.l3] = mac_header(NO_MAC, self.mac, ethertype_of(next_hop))
            self.neighbours.enqueue(neighbour, self._cut(packet, packet.l2, []))
            self._ask_questions(now)
            return
        put(header, packet.l2, self._group_header(next_hop) if neighbour is None else neighbour.header)
        if packet.mss > 0 and packet.length > packet.mss and self._may_merge(packet):
            self.merged_by = self.mtu
            packet.mss = 0
        self._cut(packet, packet.l2, self.queue)

    def forward(self, packet: RxPacket, next_hop: bytes, now: i64) -> None:
        """Rewrites the MAC header for the next hop, or lets the frames wait until its MAC is known."""
        neighbour = self._neighbour(next_hop, now)
        if neighbour is None:
            return  # RFC 1812 5.3.5: directed broadcasts are not forwarded, nor are groups
        if neighbour.header:
            self._forward_all(packet, neighbour.header, self.queue)
            return
        frames: list[bytes] = []
        self._forward_all(packet, mac_header(NO_MAC, self.mac, ethertype_of(next_hop)), frames)
        self.neighbours.enqueue(neighbour, frames)
        self._ask_questions(now)

    def output_whole(self, packets: list[bytes], next_hop: bytes, now: i64) -> None:
        """Queues finished IP packets for the next hop, or lets them wait until its MAC is known."""
        neighbour = self._neighbour(next_hop, now)
        if neighbour is None or neighbour.header:
            header = self._group_header(next_hop) if neighbour is None else neighbour.header
            self.queue += [header + packet for packet in packets]
            return
        header = mac_header(NO_MAC, self.mac, ethertype_of(next_hop))
        self.neighbours.enqueue(neighbour, [header + packet for packet in packets])
        self._ask_questions(now)

    def expire(self, now: i64) -> None:
        """Ages the neighbours, repeats questions, and reports the packets whose next hop does not answer."""
        failed = self.neighbours.expire(now)
        self._ask_questions(now)
        for frame in failed:
            upper = self.upper if frame[14] >> 4 == 4 else self.upper6
            upper.unreachable(frame, 14, now)

    def announce(self, now: i64) -> None:
        """Sends a gratuitous ARP for each IPv4 address."""
        for entry in self.addresses:
            if len(entry.address) == 4:
                self.queue.append(arp.announcement(self.mac, entry.address))

    def forget_neighbours(self) -> None:
        """Drops what was learned of neighbours, and what waits for them (Linux neigh_ifdown)."""
        self.neighbours.flush()
        self.deadline = NEVER

    def _neighbour(self, next_hop: bytes, now: i64) -> Neighbour | None:
        """The neighbour for a next hop; None if that is everybody, or a group."""
        if next_hop[0] >= 224 and (next_hop[0] == 255 or len(next_hop) == 4):
            return None
        neighbour = self.neighbours.resolve(next_hop, now)
        self.deadline = self.neighbours.deadline
        return neighbour

    def _may_merge(self, packet: TxPacket) -> bool:
        """Whether the link takes a packet uncut, and whoever must cut it can see how: into frames of the MTU."""
        if self.link is None:
            return False
        return self.link.offload_mtu == self.mtu and packet.l5 - packet.l3 + packet.mss == self.mtu

    def _group_header(self, group: bytes) -> bytes:
        mac = BROADCAST if group == LIMITED_BROADCAST else group_mac(group)
        return mac_header(mac, self.mac, ethertype_of(group))

    def _input_one(self, frames: list[bytes], first: int, now: i64) -> int:
        frame = frames[first]
        if len(frame) < 14:
            self.rx_errors += 1
            return 1
        destination = frame[0:6]
        broadcast = (destination[0] & 1) != 0
        if destination != self.mac and not (broadcast and self._hears(destination)):
            self.rx_otherhost_dropped += 1
            return 1
        ethertype = get16(frame, 12)
        if ethertype == ETHERTYPE_IPV4 or ethertype == ETHERTYPE_IPV6:
            packet = self.rx
            packet.take(self, frames, first, 0, 14, broadcast)
            upper = self.upper if ethertype == ETHERTYPE_IPV4 else self.upper6
            upper.receive(packet, now)
            return packet.count
        if ethertype == ETHERTYPE_ARP:
            self._receive_arp(frame, now)
        else:
            self.rx_dropped += 1  # nobody here speaks it
        return 1

    def _hears(self, group: bytes) -> bool:
        """Whether a group's MAC is let in: all of them, but those of IPv6 groups that nobody here is in."""
        return group[0] != 0x33 or group[1] != 0x33 or group in self.group_macs

    def _receive_arp(self, frame: bytes, now: i64) -> None:
        """RFC 826, packet reception: learn the sender if it is known already or asks for us, answer if it asks."""
        heard = arp.parse(frame)
        if heard is None or heard.operation not in (arp.REQUEST, arp.REPLY) or heard.sender_mac[0] & 1:
            self.rx_errors += 1
            return
        # Linux arp_ignore=0: also for addresses on other interfaces
        ours = heard.target[0] != 127 and self.node.owns(heard.target)
        if self._is_impossible(heard.sender):
            return
        # RFC 5227 1.1: a probe for an address in use comes from 0.0.0.0, is answered, and teaches nothing
        if any(heard.sender):
            answer = heard.operation == arp.REPLY and heard.target_mac == self.mac
            create = ours and heard.operation == arp.REQUEST
            known = self.neighbours
            self.queue.extend(known.learn(heard.sender, heard.sender_mac, now, create=create, confirmed=answer))
            self.deadline = known.deadline
        if ours and heard.operation == arp.REQUEST:
            self.queue.append(arp.reply(heard, self.mac))

    def _is_impossible(self, sender: bytes) -> bool:
        """Whether an address cannot be a neighbour's: our own, loopback's, a group's, everybody's."""
        if sender[0] == 127 or sender[0] >= 224:
            return True
        return any(sender in (entry.address, entry.broadcast) for entry in self.addresses)

    def _ask_questions(self, now: i64) -> None:
        questions, self.neighbours.questions = self.neighbours.questions, []
        for target, mac in questions:
            if len(target) == 16:
                self.asker.ask(self, target, mac, now)
            else:
                source = source_address(self.addresses, target) or bytes(4)
                self.queue.append(arp.request(self.mac, source, target, mac))
        self.deadline = self.neighbours.deadline
