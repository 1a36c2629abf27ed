"""Hosts and routers: a name, a stack, and the tasks that run as them."""

import asyncio
import contextvars
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NamedTuple, Self, TypeVar

from aionetflow.config import SECOND
from aionetflow.ethernet.interface import EthernetInterface
from aionetflow.ip.address import AF_INET, unpack
from aionetflow.ip.route import RoutingTable
from aionetflow.rng import Random
from aionetflow.socket.base import Owner, Socket
from aionetflow.socket.options import SOCK_STREAM
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack
from aionetflow.stats import Stats
from aionetflow.sysctl import Sysctl

if TYPE_CHECKING:
    from aionetflow.network.network import Network

T = TypeVar("T")
_MAX_OWNERS = 256
_owners: dict[str, Owner] = {}


class Stay(NamedTuple):
    """Where a task is, and where it was before: kept in its context, as many tasks may be on one host at once."""

    host: "Host"
    before: "Stay | None"


_stay: contextvars.ContextVar[Stay | None] = contextvars.ContextVar("aionetflow_host", default=None)


def _current() -> "Host | None":
    """The host that this task has gone to."""
    stay = _stay.get()
    return stay.host if stay is not None else None


def enter(host: "Host") -> None:
    """Makes a host the current one, until `leave`."""
    before = _stay.get()
    stay = host.stay  # who goes to and fro takes the same one again
    if stay.before is not before:
        stay = host.stay = Stay(host, before)
    _stay.set(stay)


def leave() -> None:
    """Makes the host current that was so before the last `enter`."""
    stay = _stay.get()
    _stay.set(stay.before if stay is not None else None)


def run_as(host: "Host", function: Callable[..., T], *args: Any) -> T:
    """Makes a call on a host: for threads, which do not inherit the current one."""
    enter(host)
    try:
        return function(*args)
    finally:
        leave()


def current_host() -> "Host":
    """The host that this task runs as; outside any, localhost of the network that the running loop is on.

    Raises RuntimeError outside any network.
    """
    host = _current()
    if host is not None:
        return host
    networks = networks_of(asyncio._get_running_loop())
    if not networks:
        raise RuntimeError("no network here: enter one with `async with aionetflow.Network():`")
    return networks[-1].localhost


def optional_host() -> "Host | None":
    """The host that a call is made on: that of the task, or the running loop's; None where there is no network."""
    host = _current()
    if host is not None and not host.network.closed:
        return host
    networks = networks_of(asyncio._get_running_loop())
    return networks[-1].localhost if networks else None


def networks_of(loop: asyncio.AbstractEventLoop | None) -> list["Network"]:
    """The networks that an event loop's calls go to, the one for tasks that are on no host last."""
    networks: list[Network] = getattr(loop, "networks", [])
    return networks


def host_in(loop: asyncio.AbstractEventLoop) -> "Host":
    """The host that a network call of a loop is made on: that of the task, if it is of one of the loop's networks."""
    host = _current()
    networks = networks_of(loop)
    return host if host is not None and host.network in networks else networks[-1].localhost


class Host:
    """A computer on a network; made by `Network.host`.

    Tasks run *as* a host, with its addresses: those started by `spawn`, and any task inside `async with host`.
    """

    forwarding = False
    autoconf = False  # it makes its IPv6 addresses itself (RFC 4862)

    def __init__(self, network: "Network", name: str, number: int, random: Random) -> None:
        self.network = network
        self.name = name
        self.number = number
        self.tasks: set[asyncio.Task[Any]] = set()
        self.stay = Stay(self, None)  # that of the last task that has come here
        self.bare_stack = Stack(network.clock, random)  # as it is, whether or not addresses have been given out
        self.bare_stack.ip.forwarding = self.bare_stack.ip6.forwarding = self.forwarding

    @property
    def stack(self) -> Stack:
        """The host's network stack, its addresses and routes in place."""
        self.network.settle()
        return self.bare_stack

    @property
    def routes(self) -> RoutingTable:
        """The routing table: `host.routes.add("10.0.0.0/8", via="10.0.1.1", source="10.0.1.5")`."""
        return self.stack.routes

    @property
    def stats(self) -> Stats:
        """The counters, under Linux's names."""
        return self.bare_stack.stats

    @property
    def sysctl(self) -> Sysctl:
        """The settings, under Linux's names: `host.sysctl["net.ipv4.tcp_sack"] = 0`."""
        return self.bare_stack.sysctl

    @property
    def interfaces(self) -> list[EthernetInterface]:
        """The Ethernet interfaces, in the order of their links."""
        return [nic for nic in self.stack.interfaces if isinstance(nic, EthernetInterface)]

    @property
    def addresses(self) -> list[str]:
        """The host's IPv4 addresses, in the order of its interfaces, without loopback's.

        >>> from aionetflow.clock import ManualClock
        >>> from aionetflow.network.network import Network
        >>> net = Network(seed=1, clock=ManualClock())
        >>> net.host("a").addresses, net.host("b", "10.0.9.9/16").addresses
        (['10.0.0.2'], ['10.0.9.9'])
        """
        return self._addresses(4)

    @property
    def addresses6(self) -> list[str]:
        """The host's IPv6 addresses, in the order of its interfaces, without loopback's and link-local ones.

        >>> from aionetflow.clock import ManualClock
        >>> from aionetflow.network.network import Network
        >>> net = Network(seed=1, clock=ManualClock())
        >>> net.host("a").addresses6, net.host("b", "2001:db8::9/64").addresses6
        (['fd61:696f:6e66::2'], ['2001:db8::9'])
        """
        return self._addresses(16)

    def _addresses(self, octets: int) -> list[str]:
        entries = [entry for nic in self.interfaces for entry in nic.addresses]
        return [unpack(entry.address) for entry in entries if len(entry.address) == octets]

    def socket(self, family: int = AF_INET, kind: int = SOCK_STREAM, protocol: int = 0) -> Socket:
        """A new non-blocking socket on this host, owned by the running task; RuntimeError if its network has ended."""
        self.network.check_open()
        return self.stack.socket(family, kind, self.owner(), protocol)

    def open_stream(self, family: int) -> StreamSocket:
        """A new stream socket, as `socket` makes it."""
        self.network.check_open()
        self.network.settle()
        return self.bare_stack.make_stream(self.owner(), family)

    def owner(self) -> Owner:
        """Who runs now: the process and the name of the task."""
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        name, pid = task.get_name() if task is not None else "", os.getpid()
        owner = _owners.get(name)  # one object for all that a task makes
        if owner is None or owner.pid != pid:
            if len(_owners) >= _MAX_OWNERS:
                _owners.clear()
            owner = _owners[name] = Owner(pid, name)
        return owner

    def spawn(self, coro: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """Starts a task that runs as this host; it is cancelled when the network ends.

        Must be called while the event loop runs.
        """
        context = contextvars.copy_context()
        context.run(enter, self)
        loop = asyncio.get_running_loop()
        what = getattr(coro, "__qualname__", "task")
        task = loop.create_task(coro, name=name or f"{self.name}:{what}", context=context)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def __aenter__(self) -> Self:
        enter(self)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        leave()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Router(Host):
    """A host that forwards packets between its interfaces; made by `Network.router`."""

    forwarding = True

    def advertise(self, **lifetimes: float) -> None:
        """Advertises itself and its IPv6 networks on all its links, for hosts with autoconf (RFC 4861 6.2).

        lifetimes are router_lifetime, valid and preferred, in seconds; by default 1800, 30 days and 7 days.
        """
        nanoseconds = {name: round(seconds * SECOND) for name, seconds in lifetimes.items()}
        for nic in self.interfaces:
            self.bare_stack.advertise(nic, **nanoseconds)
