"""A network: its nodes, its links, its time and its seed."""

import asyncio
import random as stdlib_random
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Self

from aionetflow.clock import Clock
from aionetflow.config import DEFAULT_MTU
from aionetflow.ethernet.interface import EthernetInterface
from aionetflow.ip.address import pack_interface
from aionetflow.ip.route import Route
from aionetflow.link.memory import MemoryLink
from aionetflow.link.tap import TapLink
from aionetflow.network import names, topology
from aionetflow.network.clock import LoopClock
from aionetflow.network.control_blocks import ControlBlock, control_blocks
from aionetflow.network.device import Namespace
from aionetflow.network.host import Host, Router, enter, leave
from aionetflow.network.neighbourhood import Neighbourhood
from aionetflow.network.outside import Outside
from aionetflow.network.switch import Switch
from aionetflow.network.tap import Kernel
from aionetflow.network.tunnel import Tunnels
from aionetflow.network.wiring import Wiring
from aionetflow.tunnel.address import Address
from aionetflow.tunnel.datagrams import Batching
from aionetflow.tunnel.link import TunnelLink
from aionetflow.tunnel.vxlan import PORT

Node = Host | Switch


def _no_attachment(network: "Network", loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    return lambda: None


class Network:
    """Hosts, routers and switches, and links between them, inside one program.

    seed makes everything that is drawn at random the same in every run: lost frames, ports, sequence numbers; without
    one it is drawn and told by `seed`. clock is the time that the network runs on: that of the running event loop
    (asyncio or uvloop) if none is given, or a ManualClock.

    bridge="loopback" joins 127.0.0.1 and ::1 of "localhost" to the kernel's: a connection to a port where no virtual
    socket listens goes to whoever listens there in the kernel, and what listens on the network is listed there, too.
    Without it nothing of the real network is reached, and nobody there reaches this one.

    There is always a host named "localhost". Hosts without a link of their own share one LAN, each by a link whose
    settings are `lan_settings`, the keyword arguments of `link`, at the time when the host gets it.

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=7) as net:
    ...         web, client = net.host("web"), net.host("client")
    ...         router = net.router("core")
    ...         uplink = net.link(client, router, delay=0.020, rate=10e6)
    ...         net.link(router, web)
    ...         print(client.addresses, net.resolve("web"))
    >>> asyncio.run(main())
    ['10.128.0.1'] ['10.128.0.10']
    """

    # Gives an event loop the network calls of a network, and returns what takes them back; see dropin/attach.py.
    attach: Callable[["Network", asyncio.AbstractEventLoop], Callable[[], None]] = staticmethod(_no_attachment)

    def __init__(
        self, seed: int | str | None = None, bridge: str | None = None, *, clock: Clock | None = None
    ) -> None:
        if bridge not in (None, "loopback"):
            raise ValueError(f'bridge is "loopback" or None, not {bridge!r}')
        self.bridge = bridge
        self.seed = stdlib_random.SystemRandom().getrandbits(32) if seed is None else seed
        self.clock: Clock = clock if clock is not None else LoopClock()
        self.closed = False
        self._detach: Callable[[], None] = lambda: None
        self.nodes: dict[str, Node] = {}
        self._wiring = Wiring()
        self.links = self._wiring.links
        self._outside: list[Outside] = []
        self._tunnels = Tunnels()
        self.shared = False  # whether there are networks of other processes on a segment of this one
        self._configuring: set[EthernetInterface] = set()  # those that make their IPv6 addresses themselves
        self._wanted: dict[Host, list[str]] = {}  # addresses given by hand, not yet on an interface
        self._secret = secrets.token_bytes(32)  # what tells this localhost from those of other processes
        self._neighbourhood = Neighbourhood(self._random("mdns"))
        self._addresses = topology.Addresses(self._secret)
        self._automatic: list[tuple[Host, Route]] = []
        self._settled = False
        self.lan_settings: dict[str, Any] = {}
        self.lan = self.switch("lan")
        self.localhost = self.host("localhost")

    # Building -----------------------------------------------------------------------------------------------------

    def host(self, name: str, *addresses: str, autoconf: bool = False) -> Host:
        """Adds a host. addresses ("10.0.1.5/24", "fd00::5/64") go to its links in their order; the rest is handed out.

        Those of each family for themselves. With autoconf no IPv6 address is handed out: the host makes its own from
        what routers advertise, once it is sure that nobody else has them (see `Router.advertise`). Raises ValueError if
        the name is taken or an address is none.
        """
        host = Host(self, name, len(self.nodes), self._random(name))
        host.autoconf = autoconf
        return self._add_host(host, addresses)

    def router(self, name: str, *addresses: str) -> Router:
        """Adds a router: a host that forwards between its links, and is on no LAN of its own accord."""
        router = Router(self, name, len(self.nodes), self._random(name))
        self._add_host(router, addresses)
        return router

    def switch(self, name: str, *, snooping: bool = True, querier: bool = False) -> Switch:
        """Adds a switch: whatever is linked to it is on one LAN.

        With snooping what is for a group goes only where it is wanted, once a router asks for that (RFC 4541); with
        querier the switch asks itself. Both can be changed later: `lan.snooping = None`, `lan.snooping.querier = True`.
        """
        switch = Switch(name, self.clock)
        if not snooping:
            switch.snooping = None
        elif querier:
            assert switch.snooping is not None
            switch.snooping.querier = True
        self._add_node(name, switch)
        self._wiring.add(switch)
        return switch

    def link(
        self, a: Node, b: Node, *, delay: float = 0.0, jitter: float = 0.0, rate: float | None = None,
        loss: float = 0.0, reorder: float = 0.0, duplicate: float = 0.0, corrupt: float = 0.0,
        queue: int | None = None, mtu: int = DEFAULT_MTU, offload: bool = True,
    ) -> MemoryLink:  # fmt: skip
        """Joins two nodes by a link, and gives each host or router at its ends an interface for it.

        delay and jitter are in seconds, rate in bits per second, loss, reorder, duplicate and corrupt are
        probabilities per frame, queue is in octets, mtu the longest IP packet in octets; offload lets
        long writes cross it uncut while nobody looks and nothing happens to them (see MemoryLink). All can be changed
        while the link runs, as attributes of what is returned, for both directions or one. Raises ValueError for a
        value that makes no sense, or a node of another network.
        """
        for node in (a, b):
            self._check_node(node)
        settings: dict[str, Any] = {
            "delay": delay, "jitter": jitter, "rate": rate, "loss": loss, "reorder": reorder, "duplicate": duplicate,
            "corrupt": corrupt, "queue": queue, "mtu": mtu, "offload": offload,
        }  # fmt: skip
        link = self._join(a, b, settings)
        self._unsettle()
        return link

    def tap(
        self, node: Node, name: str = "tap%d", *addresses: str, namespace: Namespace = None, delay: float = 0.0,
        jitter: float = 0.0, rate: float | None = None, loss: float = 0.0, reorder: float = 0.0, duplicate: float = 0.0,
        corrupt: float = 0.0, queue: int | None = None, mtu: int = DEFAULT_MTU, offload: bool = True,
    ) -> TapLink:  # fmt: skip
        """Joins a node to the operating system, by a link whose far end is a TAP device of that name (Linux).

        "tap%d" has the kernel find a number: `link.device.name` tells it. addresses ("10.0.0.254/16") are the
        kernel's on this link, in use at once; without any the device is left to `ip addr add`. Addresses that are
        handed out on the virtual side go well with them. namespace is where the device is made: a name as of
        `ip netns`, a path or a descriptor. The other settings are those of `link`. The kernel is no router's
        neighbour by itself: `ip route add` tells it what is behind this one.

        The device goes when the network ends. Needs CAP_NET_ADMIN, or a device that was made for this user before
        (`ip tuntap add tap0 mode tap user me`), and an event loop in real time. Raises OSError with a line that says
        what is missing, RuntimeError on virtual time, ValueError for a value that makes no sense.
        """
        self._check_node(node)
        settings: dict[str, Any] = {
            "delay": delay, "jitter": jitter, "rate": rate, "loss": loss, "reorder": reorder, "duplicate": duplicate,
            "corrupt": corrupt, "queue": queue, "mtu": mtu, "offload": offload,
        }  # fmt: skip
        return self._join_outside(node, name, addresses, namespace, settings)

    def tunnel(
        self, bind: Address = ("0.0.0.0", PORT), vni: int = 1, peers: Sequence[Address] = (), *,
        node: Node | None = None, key: bytes | str | None = None, learn: bool = False, batching: Batching = "segments",
        namespace: Namespace = None, delay: float = 0.0, jitter: float = 0.0, rate: float | None = None,
        loss: float = 0.0, reorder: float = 0.0, duplicate: float = 0.0, corrupt: float = 0.0, queue: int | None = None,
        mtu: int = DEFAULT_MTU, offload: bool = True,
    ) -> TunnelLink:  # fmt: skip
        """Joins a node, the default LAN if none is named, to other processes and machines: VXLAN over UDP (RFC 7348).

        bind is the UDP address of the machine's, (host, port), where the peers send to; vni the number of the network,
        which both ends must agree on: several tunnels with numbers of their own can share an address. peers are the
        addresses of the other ends: aionetflow's, a Linux kernel's vxlan device, a switch. What comes from anybody else
        is dropped, unless learn is true; then whoever sends frames of this network becomes a peer. key makes frames
        private and the peers prove that they have it, too (docs/security.md): 32 octets, or those in hexadecimal; it
        needs the package cryptography. batching says how datagrams go to the kernel, as in `Datagrams`, and namespace
        where: in the network namespace of that name (`ip netns`), path or descriptor. The other settings are those of
        `link`; mtu becomes what the ways to the peers leave of it (see TunnelLink), and no link of the LAN takes more.

        Hosts on this LAN get their MACs and what addresses nobody gave from their names, so that those of two processes
        differ, and are found by name from there, by multicast DNS. Needs an event loop in real time. Raises OSError in
        one line (the address is in use, a peer's name is not known), RuntimeError on virtual time, without the package
        or where a host on the LAN has its addresses in use already, ValueError for a value that makes no sense.
        """
        node = self.lan if node is None else node
        self._check_node(node)
        settings: dict[str, Any] = {
            "delay": delay, "jitter": jitter, "rate": rate, "loss": loss, "reorder": reorder, "duplicate": duplicate,
            "corrupt": corrupt, "queue": queue, "mtu": mtu, "offload": offload,
        }  # fmt: skip
        topology.check_may_share(self._wiring.segments(self.lan), node)
        draws = self._random(f"link/{len(self.links)}")
        tunnel = self._tunnels.open(
            self.event_loop(), self.clock, draws, f"{node.name}-vxlan{vni}", bind, vni, list(peers), key, learn,
            batching, namespace, settings,
        )  # fmt: skip
        tunnel.link.on_fit = self._unsettle
        self._add_outside(node, tunnel)
        return tunnel.link

    # Looking ------------------------------------------------------------------------------------------------------

    @property
    def hosts(self) -> list[Host]:
        """All hosts and routers, in the order they were made."""
        return [node for node in self.nodes.values() if isinstance(node, Host)]

    def resolve(self, name: str) -> list[str]:
        """The IPv4 addresses of a name (or of a literal, itself); OSError if nobody has it."""
        self.settle()
        return names.resolve(name, self._find, self._heard(None))

    def resolve_all(self, name: str, here: Host | None = None) -> list[str]:
        """The addresses of a name in both families, IPv4 first.

        Of a name that this network does not have, what the host `here` (or localhost) has heard from other processes.
        """
        self.settle()
        return names.resolve_all(name, self._find, self._heard(here))

    async def look_up(self, name: object, here: Host | None = None) -> None:
        """Has a host, or localhost, ask those of other processes for a name that this network does not have.

        What they say `resolve_all` knows afterwards. Waits three seconds at most; asks nobody if the network is not
        shared, or it is no name.
        """
        if not self.shared:
            return
        text = name.decode("ascii", "replace") if isinstance(name, bytes | bytearray) else name
        if not isinstance(text, str):
            return
        try:
            self.resolve_all(text, here)
        except OSError:
            await self._neighbourhood.ask(here or self.localhost, text)

    def sockets(self) -> list[ControlBlock]:
        """All control blocks of all hosts, as `ss -a` would list them: print one to see the line."""
        return [block for host in self.hosts for block in control_blocks(host)]

    @property
    def settled(self) -> bool:
        """Whether no address or route is missing."""
        return self._settled

    def settle(self) -> None:
        """Gives out the addresses and routes that are missing; called by whatever needs them."""
        if self._settled:
            return
        for host in self.hosts:
            if not isinstance(host, Router) and len(host.bare_stack.interfaces) == 1:
                self._join(host, self.lan, self.lan_settings)
        topology.place_by_hand(self._wanted)
        segments = self._wiring.segments(self.lan)
        for segment in segments:
            if segment.shared:
                self._addresses.share(segment)
            segment.note_addresses()
            segment.fit(self._wiring.links_of(segment))
        self._addresses.give(segments)
        self._automatic = topology.set_routes(self.hosts, segments, self._automatic)
        self._settled = True
        for segment in segments:
            if segment.shared:
                self._neighbourhood.note(segment.members)
            for host, nic in segment.members:
                if host.autoconf and nic not in self._configuring:
                    self._configuring.add(nic)
                    host.bare_stack.autoconfigure(nic)

    # Living -------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        self.check_open()
        self._detach = Network.attach(self, asyncio.get_running_loop())
        enter(self.localhost)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            await self._end_tasks()
        finally:
            self._detach()
            self.close()
            leave()

    def event_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop whose time is the network's; RuntimeError if its clock is moved by hand."""
        if isinstance(self.clock, LoopClock):
            return self.clock.loop
        raise RuntimeError("this network's clock is moved by hand: it runs on no event loop")

    def close(self) -> None:
        """Closes all sockets and stops the network's time: nothing can be done on it any more."""
        self.closed = True
        if isinstance(self.clock, LoopClock) and self.clock.loop.is_closed():
            self.clock.close()  # nothing can be sent any more
        self._neighbourhood.close()
        for host in self.hosts:
            for sock in list(host.bare_stack.sockets.values()):
                sock.close()
        for outside in self._outside:
            outside.close()
        if isinstance(self.clock, LoopClock):
            self.clock.close()

    def check_open(self) -> None:
        """RuntimeError once the network has ended."""
        if self.closed:
            raise RuntimeError("this network has ended: make another")

    async def _end_tasks(self) -> None:
        own = asyncio.current_task()
        # again and again: a task that is cancelled may spawn others
        while tasks := [task for host in self.hosts for task in host.tasks if task is not own and not task.done()]:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # Inside -------------------------------------------------------------------------------------------------------

    def _random(self, purpose: str) -> stdlib_random.Random:
        """A stream of draws of its own for each node and link, so that one does not change the other's."""
        return stdlib_random.Random(f"{self.seed}/{purpose}")

    def _add_host(self, host: Host, addresses: tuple[str, ...]) -> Host:
        for address in addresses:
            pack_interface(address)  # before anything is changed
        self._add_node(host.name, host)
        self._wanted[host] = list(addresses)
        return host

    def _add_node(self, name: str, node: Node) -> None:
        if any(name.lower() == known.lower() for known in self.nodes):
            raise ValueError(f"there is a node named {name!r} already")
        self.nodes[name] = node
        self._unsettle()

    def _unsettle(self) -> None:
        """Something was built. What is missing is given out when it is needed, or soon if the network is in use."""
        if self._settled:
            self._settled = False
            self.clock.call_soon(self.settle)

    def _join(self, a: Node, b: Node, settings: dict[str, Any]) -> MemoryLink:
        draws = self._random(f"link/{len(self.links)}")
        link = MemoryLink(self.clock, draws, f"{a.name}-{b.name}", **settings)
        self._wiring.connect(link, self._wiring.plug(a, link, 0), self._wiring.plug(b, link, 1))
        return link

    def _join_outside(
        self, node: Node, name: str, addresses: tuple[str, ...], namespace: Namespace, settings: dict[str, Any]
    ) -> TapLink:
        draws = self._random(f"link/{len(self.links)}")
        kernel = Kernel(self.event_loop(), self.clock, draws, node.name, name, addresses, namespace, settings)
        self._add_outside(node, kernel)
        return kernel.link

    def _add_outside(self, node: Node, outside: Outside) -> None:
        self._outside.append(outside)
        self._wiring.add(outside)
        self._wiring.connect(outside.link, self._wiring.plug(node, outside.link, 0), outside)
        self._unsettle()
        if outside.vni is not None:
            self._share()

    def _share(self) -> None:
        """There are networks of other processes on a segment: they may look for hosts that have done nothing yet."""
        self.shared = True
        self.clock.call_soon(self.settle)

    def _check_node(self, node: Node) -> None:
        if self.nodes.get(node.name) is not node:
            raise ValueError(f"{node!r} is not on this network")

    def _heard(self, here: Host | None) -> Callable[[str], list[str]]:
        return partial(self._neighbourhood.known, here or self.localhost) if self.shared else names.nothing

    def _find(self, name: str) -> Host | None:
        node = next((node for known, node in self.nodes.items() if known.lower() == name), None)
        return node if isinstance(node, Host) else None

    def __repr__(self) -> str:
        return f"<Network seed={self.seed!r}, {len(self.hosts)} hosts, {len(self.links)} links>"
