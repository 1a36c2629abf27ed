"""Network.tunnel: a node and other processes on one Ethernet, over UDP sockets that the loop watches."""

import asyncio
import os
import time
from typing import Any

from aionetflow.clock import Clock
from aionetflow.network.tap import real_loop
from aionetflow.rng import Random
from aionetflow.tunnel.address import Address, resolved, shown
from aionetflow.tunnel.datagrams import Batching, Datagrams
from aionetflow.tunnel.endpoint import Endpoint
from aionetflow.tunnel.link import TunnelLink
from aionetflow.tunnel.peers import Peer


class Socket:
    """A UDP address of the machine's with the tunnels that share it, each with a VNI of its own."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, bind: Address, key: bytes | str | None, batching: Batching
    ) -> None:
        self.key = key
        self.links: list[TunnelLink] = []
        self.sealing = 0  # octets that encryption adds to a datagram
        self._loop = loop
        datagrams = Datagrams(bind, batching)
        try:
            self.endpoint = self._sealed(datagrams, clock, key) if key is not None else Endpoint(datagrams, clock)
        except BaseException:
            datagrams.close()
            raise
        self.endpoint.on_too_long = self._fit
        loop.add_reader(datagrams.fileno(), self.endpoint.readable)

    def close(self) -> None:
        """Gives the address back."""
        descriptor = self.endpoint.datagrams.fileno()
        if descriptor >= 0 and not self._loop.is_closed():
            self._loop.remove_reader(descriptor)
        self.endpoint.close()

    def _sealed(self, datagrams: Datagrams, clock: Clock, key: bytes | str) -> Endpoint:
        try:
            from aionetflow.tunnel.session import OVERHEAD, Session, SessionStats, key_octets
        except ModuleNotFoundError as error:
            raise RuntimeError(f"key= needs {error.name}: pip install aionetflow[crypto]") from None
        octets = key_octets(key)
        stats = SessionStats()
        self.sealing = OVERHEAD
        return Endpoint(
            datagrams, clock, lambda: Session(octets, os.urandom, time.time_ns, stats), lambda: dict(vars(stats))
        )

    def _fit(self, peer: Peer) -> None:
        """The way to this peer has become narrower."""
        for link in self.links:
            if peer in link.peers:
                link.fit()


class Tunnels:
    """The tunnels of a network, and their sockets."""

    def __init__(self) -> None:
        self._sockets: dict[Address, Socket] = {}

    def open(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, random: Random, name: str, bind: Address, vni: int,
        peers: list[Address], key: bytes | str | None, learn: bool, batching: Batching, settings: dict[str, Any],
    ) -> TunnelLink:  # fmt: skip
        """Makes a tunnel, on the socket that is there for its address or a new one.

        Raises OSError, ValueError and RuntimeError as `Network.tunnel`.
        """
        bind = resolved(bind)
        carrier = self._sockets.get(bind)
        if carrier is None:
            carrier = Socket(real_loop(loop, "a tunnel"), clock, bind, key, batching)
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
        self._sockets[carrier.endpoint.datagrams.local] = carrier
        return link

    def close(self) -> None:
        """Gives all addresses back."""
        for carrier in self._sockets.values():
            carrier.close()
