"""An Ethernet switch: learns which MAC is behind which port, forgets after a while, floods what it does not know."""

from aionetflow.clock import Clock
from aionetflow.config import SECOND
from aionetflow.ethernet.frame import mac_text
from aionetflow.gso import cut
from aionetflow.link.base import LinkEnd, Station
from aionetflow.network.snooping import Snooping
from aionetflow.widths import i64

AGEING_TIME = 300 * SECOND  # IEEE 802.1D; Linux bridge ageing_time
_AGEING_TIME: i64 = AGEING_TIME
TABLE_SIZE = 8192  # addresses; when it is full, new ones are not learned and their frames flooded


class Port(Station):
    """One port of a switch, plugged into a link."""

    def __init__(self, switch: "Switch", number: int, end: LinkEnd) -> None:
        self.switch = switch
        self.number = number
        self.end = end
        end.attach(self)

    def receive(self, frames: list[bytes]) -> None:
        """Takes frames from the link."""
        self.switch.forward(self, frames)

    def takes_merged(self) -> bool:
        """Merged batches are passed on as they are, or cut where the next link does not take them."""
        return True

    def receive_merged(self, frames: list[bytes], merged_by: i64) -> None:
        """Takes a merged batch from the link."""
        self.switch.forward(self, frames, merged_by)

    def __repr__(self) -> str:
        return f"<Port {self.number} of {self.switch.name}>"


class Place:
    """Where a MAC was last heard."""

    def __init__(self, port: Port, heard: i64) -> None:
        self.port = port
        self.heard = heard  # ns


class Switch:
    """A learning switch (IEEE 802.1D 7.7 and 7.8). Its frames are not changed in any way.

    What is for a group goes where it is wanted, as soon as somebody asks for that: `snooping` (snooping.py). None:
    it goes everywhere.

    >>> from aionetflow.clock import ManualClock
    >>> switch = Switch("lan", ManualClock())
    >>> switch
    <Switch lan, 0 ports>
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.ports: list[Port] = []
        self.flooded = 0  # frames sent to all ports, because they are for all or nobody knows for whom
        self.snooping: Snooping[Port] | None = Snooping(name, clock, self._send)
        self._clock = clock
        self._learned: dict[bytes, Place] = {}  # by MAC

    def plug(self, end: LinkEnd) -> Port:
        """Adds a port at the end of a link."""
        port = Port(self, len(self.ports) + 1, end)
        self.ports.append(port)
        if self.snooping is not None:
            self.snooping.plugged(port)
        return port

    def forward(self, source: Port, frames: list[bytes], merged_by: i64 = 0) -> None:
        """Sends frames on to where they belong, as one batch per port; merged_by says how they are merged (gso.py)."""
        now = self._clock.now()
        leaving: dict[Port, list[bytes]] = {}
        addresses, target = b"", None
        for frame in frames:
            if len(frame) < 14:
                continue
            if frame[:12] != addresses:  # else it goes where the one before it went
                addresses = frame[:12]
                self._learn(addresses[6:], source, now)
                target = self._port_of(addresses[:6], now)
            if target is None:
                if self.snooping is not None and frame[0] & 1 and frame[0] != 0xFF:
                    few = self.snooping.ports(source, frame, now)
                    if few is not None:
                        for port in few:
                            leaving.setdefault(port, []).append(frame)
                        continue
                self.flooded += 1
                for port in self.ports:
                    if port is not source:
                        leaving.setdefault(port, []).append(frame)
            elif target is not source:
                leaving.setdefault(target, []).append(frame)
        for port, batch in leaving.items():
            end = port.end
            if merged_by and end.offload_mtu == merged_by:
                end.send_merged(batch, merged_by)
            else:
                end.send(cut(batch, merged_by))

    def table(self) -> dict[str, int]:
        """What is learned now: MAC address -> port number."""
        now = self._clock.now()
        fresh = {mac: place.port for mac, place in self._learned.items() if now - place.heard < AGEING_TIME}
        return {mac_text(mac): port.number for mac, port in fresh.items()}

    def groups(self) -> dict[str, list[int]]:
        """The groups that somebody wants, and the numbers of the ports behind which that is; none without snooping."""
        return self.snooping.groups() if self.snooping is not None else {}

    def _send(self, frame: bytes, port: Port | None) -> None:
        for each in self.ports if port is None else [port]:
            each.end.send([frame])

    def _learn(self, mac: bytes, port: Port, now: i64) -> None:
        if mac[0] & 1:
            return  # a group sends nothing
        place = self._learned.get(mac)
        if place is not None:
            place.port = port
            place.heard = now
        elif len(self._learned) < TABLE_SIZE:
            self._learned[mac] = Place(port, now)
        else:
            for stale in [m for m, known in self._learned.items() if now - known.heard >= AGEING_TIME]:
                del self._learned[stale]

    def _port_of(self, mac: bytes, now: i64) -> Port | None:
        place = self._learned.get(mac)
        if place is None or now - place.heard >= _AGEING_TIME:
            return None
        return place.port

    def __repr__(self) -> str:
        return f"<Switch {self.name}, {len(self.ports)} ports>"
