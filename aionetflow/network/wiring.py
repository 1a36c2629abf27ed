"""What is linked to what: the places at the ends of links, and which of them hear each other."""

from collections import deque

from aionetflow.ethernet.interface import EthernetInterface
from aionetflow.link.memory import MemoryLink
from aionetflow.network.host import Host
from aionetflow.network.outside import Outside
from aionetflow.network.switch import Switch
from aionetflow.network.topology import Place, Segment


class Wiring:
    """The links of a network, and what is at their ends."""

    def __init__(self) -> None:
        self.links: list[MemoryLink] = []
        self.owners: dict[EthernetInterface, Host] = {}
        self._neighbours: dict[Place, list[Place]] = {}
        self._place_of: dict[MemoryLink, Place] = {}  # one of the two at its ends

    def add(self, place: Switch | Outside) -> None:
        """Notes a place that links can lead to."""
        self._neighbours[place] = []

    def plug(self, node: Host | Switch, link: MemoryLink, side: int) -> EthernetInterface | Switch:
        """Puts a node at an end of a link: a host or router by an interface for it, a switch by a port."""
        end = link.b if side else link.a
        if isinstance(node, Switch):
            node.plug(end)
            return node
        stack = node.bare_stack
        index = len(stack.interfaces) - 1
        mac = bytes((2, 0, node.number >> 8, node.number & 255, index >> 8, index & 255))
        nic = stack.attach_ethernet(f"eth{index}", mac, end.mtu)
        nic.link = end
        end.attach(nic)
        end.on_mtu = nic.set_mtu
        self._neighbours[nic] = []
        self.owners[nic] = node
        return nic

    def connect(self, link: MemoryLink, first: Place, second: Place) -> None:
        """Notes that this link is between these places."""
        self.links.append(link)
        self._neighbours[first].append(second)
        self._neighbours[second].append(first)
        self._place_of[link] = first

    def links_of(self, segment: Segment) -> list[MemoryLink]:
        """The links between the places of a segment."""
        return [link for link in self.links if self._place_of[link] in segment.places]

    def segments(self, lan: Switch) -> list[Segment]:
        """Takes the places apart into those that hear each other."""
        segments: list[Segment] = []
        seen: set[Place] = set()
        for start in self._neighbours:
            if start in seen:
                continue
            segment = Segment()
            queue = deque([start])
            seen.add(start)
            while queue:
                place = queue.popleft()
                self._enter(segment, place, lan)
                for further in self._neighbours[place]:
                    if further not in seen:
                        seen.add(further)
                        queue.append(further)
            segments.append(segment)
        return segments

    def _enter(self, segment: Segment, place: Place, lan: Switch) -> None:
        segment.places.add(place)
        if isinstance(place, Outside):
            segment.outside += place.addresses
            if place.vni is not None:
                segment.vnis.append(place.vni)
                segment.shared_links.append(place.link)
        elif isinstance(place, Switch):
            segment.is_lan = segment.is_lan or place is lan
        else:
            segment.members.append((self.owners[place], place))
