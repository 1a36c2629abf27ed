"""An Ethernet switch: learns which MAC is behind which port, forgets after a while, floods what it does not know."""

from aionetflow.clock import Clock
from aionetflow.config import SECOND
from aionetflow.ethernet.frame import mac_text
from aionetflow.gso import cut
from aionetflow.link.base import LinkEnd, Station

AGEING_TIME = 300 * SECOND  # IEEE 802.1D; Linux bridge ageing_time
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

    def receive_merged(self, frames: list[bytes], merged_by: int) -> None:
        """Takes a merged batch from the link."""
        self.switch.forward(self, frames, merged_by)

    def __repr__(self) -> str:
        return f"<Port {self.number} of {self.switch.name}>"


class Switch:
    """A learning switch (IEEE 802.1D 7.7 and 7.8). Its frames are not changed in any way.

    >>> from aionetflow.clock import ManualClock
    >>> switch = Switch("lan", ManualClock())
    >>> switch
    <Switch lan, 0 ports>
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.ports: list[Port] = []
        self.flooded = 0  # frames sent to all ports, because they are for all or nobody knows for whom
        self._clock = clock
        self._learned: dict[bytes, tuple[Port, int]] = {}  # MAC: (port, when it was last heard)

    def plug(self, end: LinkEnd) -> Port:
        """Adds a port at the end of a link."""
        port = Port(self, len(self.ports) + 1, end)
        self.ports.append(port)
        return port

    def forward(self, source: Port, frames: list[bytes], merged_by: int = 0) -> None:
        """Sends frames on to where they belong, as one batch per port; merged_by says how they are merged (gso.py)."""
        now = self._clock.now()
        leaving: dict[Port, list[bytes]] = {}
        for frame in frames:
            if len(frame) < 14:
                continue
            self._learn(frame[6:12], source, now)
            target = self._port_of(frame[:6], now)
            if target is None:
                self.flooded += 1
                for port in self.ports:
                    if port is not source:
                        leaving.setdefault(port, []).append(frame)
            elif target is not source:
                leaving.setdefault(target, []).append(frame)
        for port, batch in leaving.items():
            if merged_by and port.end.offload_mtu == merged_by:
                port.end.send_merged(batch, merged_by)
            else:
                port.end.send(cut(batch, merged_by))

    def table(self) -> dict[str, int]:
        """What is learned now: MAC address -> port number."""
        now = self._clock.now()
        fresh = {mac: port for mac, (port, heard) in self._learned.items() if now - heard < AGEING_TIME}
        return {mac_text(mac): port.number for mac, port in fresh.items()}

    def _learn(self, mac: bytes, port: Port, now: int) -> None:
        if mac[0] & 1:
            return  # a group sends nothing
        if mac in self._learned or len(self._learned) < TABLE_SIZE:
            self._learned[mac] = (port, now)
        else:
            old = [m for m, (_, heard) in self._learned.items() if now - heard >= AGEING_TIME]
            for stale in old:
                del self._learned[stale]

    def _port_of(self, mac: bytes, now: int) -> Port | None:
        if mac[0] & 1 or mac not in self._learned:
            return None
        port, heard = self._learned[mac]
        return port if now - heard < AGEING_TIME else None

    def __repr__(self) -> str:
        return f"<Switch {self.name}, {len(self.ports)} ports>"
