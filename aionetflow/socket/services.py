"""What a socket asks of the host it is on; the stack answers it."""

from typing import TYPE_CHECKING

from aionetflow.clock import Clock
from aionetflow.ethernet.interface import Interface, Node
from aionetflow.ip.multicast import Memberships
from aionetflow.ip.route import Route, RoutingTable
from aionetflow.ip.selection import Sources
from aionetflow.ip.v4 import IPv4
from aionetflow.rng import Random
from aionetflow.settings import Value
from aionetflow.socket.table import SocketTable
from aionetflow.stats import Stats
from aionetflow.sysctl import Sysctl
from aionetflow.tcp import congestion
from aionetflow.tcp.challenge import ChallengeLimit
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.fast_open import FastOpenHost
from aionetflow.tcp.isn import InitialNumbers

if TYPE_CHECKING:
    from aionetflow.socket.base import Owner, Socket
    from aionetflow.socket.stream import StreamSocket


class Services(Node):
    """What a socket asks of the host it is on."""

    def __init__(
        self, clock: Clock, random: Random, routes: RoutingTable, table: SocketTable, ip: IPv4, stats: Stats
    ) -> None:
        self.clock = clock
        self.random = random
        self.routes = routes
        self.table = table
        self.ip = ip
        self.stats = stats
        self.sysctl: Sysctl = table.sysctl
        self.sysctl.watch("net.ipv4.tcp_congestion_control", _check_congestion)
        self.isn = InitialNumbers(random)
        self.challenges = ChallengeLimit(random)
        self.fast_open = FastOpenHost(random, self.sysctl, stats.tcp)
        self.interfaces: list[Interface] = []
        self.memberships: dict[int, Memberships] = {}  # in groups, by the octets of an address
        self.sources = Sources(self.interfaces, routes)

    def index_of(self, name: str) -> int:
        """The index of an interface; OSError(ENODEV) if there is none of that name."""
        raise NotImplementedError

    def name_of(self, index: int) -> str:
        """The name of an interface; empty if there is none of that index."""
        return next((interface.name for interface in self.interfaces if interface.index == index), "")

    def take_over(self, key: bytes, now: int) -> int:
        """Ends what is in TIME-WAIT under a key, if that is allowed: the number to go on with, or -1."""
        raise NotImplementedError

    def timestamp_offset(self, local: bytes, remote: bytes) -> int:
        """What our timestamps to a host begin with: a secret number, or, with net.ipv4.tcp_timestamps at 2, none."""
        return 0 if self.sysctl.tcp_timestamps == 2 else self.isn.timestamp_offset(local, remote)

    def touch(self, connection: Connection) -> None:
        """Something about the connection has changed: it may have segments to send."""
        raise NotImplementedError

    def run(self) -> None:
        """Sends all that is due now."""
        raise NotImplementedError

    def send_datagram(self, sock: "Socket", data: bytes, route: Route, source: bytes, remote: bytes, port: int) -> None:
        """Sends a UDP datagram."""
        raise NotImplementedError

    def make_stream(self, owner: "Owner", family: int) -> "StreamSocket":
        """A new stream socket on the same host."""
        raise NotImplementedError

    def callback_failed(self, error: Exception) -> None:
        """An on_change has raised: that must not stop the work it was called in the middle of."""
        raise NotImplementedError

    def released(self, sock: "Socket") -> None:
        """A socket has been closed by the application."""
        raise NotImplementedError


def _check_congestion(name: Value) -> None:
    """Raises ValueError if there is no congestion control of that name."""
    try:
        congestion.create(str(name))
    except OSError as error:
        raise ValueError(f"no congestion control named {name!r}") from error
