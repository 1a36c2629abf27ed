"""A link whose far end is other processes: frames for MACs behind a peer go to it, all others to every peer."""

import contextlib
from collections.abc import Callable
from socket import AF_INET
from typing import Any

from aionetflow.clock import Clock
from aionetflow.gso import frames_of
from aionetflow.link.base import LinkEnd, Station
from aionetflow.link.memory import MemoryLink
from aionetflow.rng import Random
from aionetflow.tunnel.address import Address, resolved, shown
from aionetflow.tunnel.endpoint import Endpoint
from aionetflow.tunnel.forwarding import ForwardingTable
from aionetflow.tunnel.peers import Peer
from aionetflow.tunnel.vxlan import ETHERNET_HEADER, header, overhead

LEAST_MTU = 68  # octets (RFC 791)


class TunnelPort(Station):
    """What is attached to the far end of a TunnelLink: the way to the peers, and back.

    `flooded` are the frames that went to all peers, since they are for all or nobody knows for whom; `too_long` those
    that came and were longer than the MTU takes.
    """

    def __init__(self, end: LinkEnd, clock: Clock, endpoint: Endpoint, vni: int, learning: bool) -> None:
        self.vni = vni
        self.header = header(vni)
        self.learning = learning
        self.peers: dict[bytes, Peer] = {}
        self.table = ForwardingTable()
        self.arrived: list[bytes] = []
        self.merged_by: int = end.offload_mtu
        self.flooded = self.frames_in = self.frames_out = self.too_long = 0
        self._end = end
        self._clock = clock
        self._endpoint = endpoint
        endpoint.add(self)
        end.attach(self)

    # ---- to the peers

    def receive(self, frames: list[bytes]) -> None:
        """Sends frames of the network to the peers that they are for."""
        self.receive_merged(frames, 0)

    def receive_merged(self, frames: list[bytes], merged_by: int) -> None:
        """As `receive`, of a batch where that MTU says how long writes are to be cut (gso.py)."""
        now = self._clock.now()
        leaving: dict[bytes, list[bytes]] = {}
        known, batches = b"", []
        for frame in frames:
            mac = frame[:6]
            if mac != known:  # else it goes where the one before it went
                known = mac
                peer = self.table.find(mac, now)
                targets = [peer.octets] if peer is not None else list(self.peers)
                batches = [leaving.setdefault(octets, []) for octets in targets]
            if peer is None:
                self.flooded += 1
            for batch in batches:
                batch.append(frame)
        for octets, batch in leaving.items():
            self.frames_out += frames_of(batch, merged_by)
            self._endpoint.send(self.peers[octets], self.header, batch, merged_by, now)

    def takes_merged(self) -> bool:
        """Long writes may come uncut: they are cut just before the kernel takes them."""
        return True

    # ---- from the peers

    @property
    def longest(self) -> int:
        """How many octets a frame may have."""
        return self._end.mtu + ETHERNET_HEADER

    def heard(self, peer: Peer, macs: set[bytes], frames: int, now: int) -> None:
        """Learns who is behind a peer."""
        peer.frames_in += frames
        self.frames_in += frames
        for mac in macs:
            self.table.learn(mac, peer, now)

    def refuse(self, peer: Peer, octets: int, now: int) -> None:
        """A peer has sent a frame that is longer than this end takes."""
        self.too_long += 1
        self._endpoint.complaints.say(
            now, "mtu", peer.octets, "%s sends frames of %d octets; the MTU of this end takes %d",
            shown(peer.address), octets, self.longest,
        )  # fmt: skip

    def deliver(self) -> None:
        """Puts what has arrived on the link."""
        if self.arrived:
            frames, self.arrived = self.arrived, []
            if self.merged_by:
                self._end.send_merged(frames, self.merged_by)
            else:
                self._end.send(frames)
        self.merged_by = self._end.offload_mtu

    def learn(self, address: Address) -> Peer:
        """Takes a peer that has spoken without being named."""
        return self.meet(address, named=False)

    # ---- who they are

    def meet(self, address: Address, *, named: bool = True) -> Peer:
        """Makes whoever is at an address a peer."""
        peer = self._endpoint.meet(self, address, named=named)
        self.peers[peer.octets] = peer
        return peer

    def part(self, peer: Peer) -> None:
        """Forgets a peer, and what was behind it."""
        self.table.forget(peer)
        self.peers.pop(peer.octets, None)
        self._endpoint.part(self, peer)


class TunnelLink(MemoryLink):
    """A link from a node, at its end `a`, to other processes, behind its end `b`. Made by `Network.tunnel`.

    It has a MemoryLink's settings, counters and captures: towards the peers frames go the way of `a_to_b`. Its `mtu` is
    what was asked for, or less where the way to a peer takes less: a path's MTU leaves 50 octets fewer over IPv4, 70
    over IPv6, and encryption takes some more.
    """

    def __init__(
        self, clock: Clock, random: Random, name: str, endpoint: Endpoint, vni: int, learning: bool, sealing: int,
        **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(clock, random, name, **settings)
        self.on_fit: Callable[[], None] = lambda: None  # called when the MTU has become another
        self.vni = vni
        self._asked: int = settings["mtu"]
        self._clock = clock
        self._endpoint = endpoint
        self._lost = sealing + overhead(4 if endpoint.datagrams.family == AF_INET else 16)  # octets
        self._port = TunnelPort(self.b, clock, endpoint, vni, learning)

    @property
    def local(self) -> Address:
        """The address at which the socket is bound."""
        return self._endpoint.datagrams.local

    @property
    def peers(self) -> list[Peer]:
        """The other ends, in the order in which they came."""
        return list(self._port.peers.values())

    @property
    def table(self) -> dict[str, Peer]:
        """Which MAC addresses are behind which peer now."""
        return self._port.table.listed(self._clock.now())

    @property
    def stats(self) -> dict[str, int]:
        """Counters. In frames: `frames_in`, `frames_out`, `flooded` (to all peers), `too_long` (for the MTU).

        Those of the socket, in datagrams:

        `strangers` came from no peer, `malformed` were not VXLAN, `wrong_vni` of another network, `unsealed` not
        encrypted although there is a key; `kernel_dropped` found the socket's buffer full, `send_dropped` were refused.
        With a key, those of the sessions are there too.
        """
        port, endpoint = self._port, self._endpoint
        sessions = endpoint.session_counters()
        malformed = endpoint.malformed + sessions.pop("malformed", 0)
        return {
            "frames_in": port.frames_in, "frames_out": port.frames_out, "flooded": port.flooded,
            "too_long": port.too_long,
            "strangers": endpoint.strangers, "malformed": malformed, "wrong_vni": endpoint.wrong_vni,
            "unsealed": endpoint.unsealed, "kernel_dropped": endpoint.datagrams.kernel_dropped,
            "send_dropped": endpoint.datagrams.send_dropped, **sessions,
        }  # fmt: skip

    def add_peer(self, address: Address) -> Peer:
        """Makes whoever is at (host, port) a peer; harmless if it is one.

        Raises OSError for a name that the operating system does not know, ValueError for what is no address, or this
        end's own.
        """
        peer = self._port.meet(address)
        self.fit()
        return peer

    def remove_peer(self, address: Address) -> None:
        """Forgets a peer; what it sends is dropped from now on. Harmless if it is none."""
        address = resolved(address, self._endpoint.datagrams.family)
        for peer in self.peers:
            if peer.address == address:
                self._port.part(peer)
                self.fit()

    def pin(self, mac: str, address: Address) -> None:
        """Sends frames for a MAC ("02:00:00:00:00:01") to that peer, whatever is heard; others learn from traffic.

        Raises as `add_peer`, and ValueError for what is no station's MAC.
        """
        self._port.table.set(bytes.fromhex(mac.replace(":", "")), self.add_peer(address))

    def fit(self) -> None:
        """Makes the MTU what the ways to the peers allow."""
        ways = [self._asked]
        for peer in self.peers:
            with contextlib.suppress(OSError):  # no way now: nothing is known of it
                ways.append(self._endpoint.path_mtu(peer.address) - self._lost)
        mtu = max(min(ways), LEAST_MTU)
        if mtu != self.b.mtu:
            self.mtu = mtu
            self.on_fit()

    def close(self) -> None:
        """Takes the tunnel from its socket."""
        self._endpoint.remove(self._port)

    def __repr__(self) -> str:
        return f"<TunnelLink {self.name} at {shown(self.local)}, VNI {self.vni}>"
