"""Behind which peer a MAC is: a tunnel's forwarding database (RFC 7348 4.1; Linux vxlan_fdb)."""

from aionetflow.config import SECOND
from aionetflow.ethernet.frame import mac_text
from aionetflow.tunnel.peers import Peer

AGEING_TIME = 300 * SECOND  # Linux FDB_AGE_DEFAULT
TABLE_SIZE = 8192  # addresses; when it is full, new ones are not learned and their frames go to all peers


class Entry:
    """Where a MAC was last heard."""

    __slots__ = ("heard", "peer", "static")

    def __init__(self, peer: Peer, heard: int, static: bool) -> None:
        self.peer = peer
        self.heard = heard  # ns
        self.static = static  # set by hand: neither moves nor ages


class ForwardingTable:
    """MAC addresses and the peers they are behind, learned from what the peers send, or set by hand."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}

    def find(self, mac: bytes, now: int) -> Peer | None:
        """The peer that a frame for this MAC goes to; None if it goes to all."""
        entry = self._entries.get(mac)
        if entry is None or (now - entry.heard >= AGEING_TIME and not entry.static):
            return None
        return entry.peer

    def learn(self, mac: bytes, peer: Peer, now: int) -> None:
        """A frame from this MAC has come from that peer."""
        entry = self._entries.get(mac)
        if entry is not None:
            if not entry.static:
                entry.peer = peer
                entry.heard = now
        elif not mac[0] & 1:  # a group sends nothing
            if len(self._entries) >= TABLE_SIZE:
                self._sweep(now)
            if len(self._entries) < TABLE_SIZE:
                self._entries[mac] = Entry(peer, now, static=False)

    def set(self, mac: bytes, peer: Peer) -> None:
        """This MAC is behind that peer, whatever is heard. Raises ValueError for a group's."""
        if len(mac) != 6 or mac[0] & 1:
            raise ValueError(f"the MAC address of a station has 6 octets, the first of them even, unlike {mac!r}")
        self._entries[mac] = Entry(peer, 0, static=True)

    def forget(self, peer: Peer) -> None:
        """Nothing is behind this peer any more."""
        for mac in [mac for mac, entry in self._entries.items() if entry.peer is peer]:
            del self._entries[mac]

    def listed(self, now: int) -> dict[str, Peer]:
        """What is known now: MAC address -> peer."""
        return {mac_text(mac): peer for mac in self._entries if (peer := self.find(mac, now)) is not None}

    def _sweep(self, now: int) -> None:
        for mac in [mac for mac in self._entries if self.find(mac, now) is None]:
            del self._entries[mac]
