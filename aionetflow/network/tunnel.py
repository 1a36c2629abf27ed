"""Network.tunnel: a node and other processes on one Ethernet, over UDP sockets that the loop watches."""

import asyncio
import os
import time
from dataclasses import asdict
from typing import Any

from aionetflow.clock import Clock
from aionetflow.network.device import Namespace, within
from aionetflow.network.outside import Outside
from aionetflow.network.tap import real_loop
from aionetflow.rng import Random
from aionetflow.tunnel.address import Address, path_mtu, resolved, shown
from aionetflow.tunnel.datagrams import Batching, Datagrams
from aionetflow.tunnel.endpoint import Endpoint
from aionetflow.tunnel.link import TunnelLink
from aionetflow.tunnel.peers import Peer

_wall_ns = time.time_ns  # the machine's, whatever the name comes to mean


class Processes(Outside):
    """Other processes as a station on the network: a TunnelLink, and the socket behind it."""

    link: TunnelLink

    def __init__(self, link: TunnelLink, carrier: "Carrier") -> None:
        self.link = link
        self.vni = link.vni
        self._carrier = carrier

    def close(self) -> None:
        """Takes the tunnel from its socket; with the last of them the socket gives its address back."""
        self._carrier.drop(self.link)


class Carrier:
    """A UDP socket with the tunnels that share it, each with a VNI of its own, and the loop that reads it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, bind: Address, key: bytes | str | None, batching: Batching,
        namespace: Namespace,
    ) -> None:  # fmt: skip
        self.key = key
        self.namespace = namespace
        self.links: list[TunnelLink] = []
        self.sealing = 0  # octets that encryption adds to a datagram
        self._loop = real_loop(loop, "a tunnel")
        datagrams = within(namespace, lambda: Datagrams(bind, batching))
        try:
            self.endpoint = self._sealed(datagrams, clock, key) if key is not None else Endpoint(datagrams, clock)
        except BaseException:
            datagrams.close()
            raise
        self.endpoint.on_too_long = self._fit
        self.endpoint.path_mtu = lambda peer: within(namespace, lambda: path_mtu(peer))
        loop.add_reader(datagrams.fileno(), self.endpoint.readable)

    def drop(self, link: TunnelLink) -> None:
        """Forgets a tunnel; harmless if it is forgotten."""
        link.close()
        if link in self.links:
            self.links.remove(link)
        if not self.links:
            self.close()

    def close(self) -> None:
        """Gives the address back."""
        descriptor = self.endpoint.datagrams.fileno()
        if descriptor >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(descriptor)
        self.endpoint.close()

    def _sealed(self, datagrams: Datagrams, clock: Clock, key: bytes | str) -> Endpoint:
        try:
            from aionetflow.tunnel.sealing.key import parse_key
            from aionetflow.tunnel.sealing.messages import OVERHEAD
            from aionetflow.tunnel.sealing.session import Session
            from aionetflow.tunnel.sealing.sessions import Sessions, SessionStats
        except ModuleNotFoundError as error:
            package = str(error.name).partition(".")[0]
            raise RuntimeError(f"key= needs {package}: pip install aionetflow[crypto]") from None
        octets = parse_key(key)
        stats, sessions = SessionStats(), Sessions()
        self.sealing = OVERHEAD
        return Endpoint(
            datagrams, clock, lambda: Session(octets, os.urandom, _wall_ns, stats, sessions), lambda: asdict(stats)
        )

    def _fit(self, peer: Peer) -> None:
        """The way to this peer has become narrower."""
        for link in self.links:
            if peer in link.peers:
                link.fit()


class Tunnels:
    """The sockets that a network has for tunnels."""

    def __init__(self) -> None:
        self._carriers: dict[tuple[Address, Namespace], Carrier] = {}

    def open(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, random: Random, name: str, bind: Address, vni: int,
        peers: list[Address], key: bytes | str | None, learn: bool, batching: Batching, namespace: Namespace,
        settings: dict[str, Any],
    ) -> Processes:  # fmt: skip
        """Makes a tunnel, on the socket that is there for its address or a new one.

        Raises OSError, ValueError and RuntimeError as `Network.tunnel`.
        """
        bind = resolved(bind)
        carrier = self._carriers.get((bind, namespace))
        if carrier is None or carrier.endpoint.datagrams.fileno() < 0:
            carrier = Carrier(loop, clock, bind, key, batching, namespace)
        elif carrier.key != key:
            raise ValueError(f"the tunnels at {shown(bind)} have one key, and this is another")
        link: TunnelLink | None = None
        try:
            link = TunnelLink(clock, random, name, carrier.endpoint, vni, learn, carrier.sealing, **settings)
            for address in peers:
                link.add_peer(address)
        except BaseException:
            if link is not None:
                link.close()
            if not carrier.links:
                carrier.close()
            raise
        carrier.links.append(link)
        self._carriers[carrier.endpoint.datagrams.local, namespace] = carrier
        return Processes(link, carrier)
