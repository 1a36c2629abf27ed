"""One host's network stack, without I/O: interfaces below, sockets above, time and randomness handed in.

    >>> from random import Random
    >>> from aionetflow.clock import ManualClock
    >>> clock = ManualClock()
    >>> stack = Stack(clock, Random(7))
    >>> nic = stack.attach_raw("tun0")                      # carries bare IP packets; no ARP needed
    >>> stack.add_address(nic, "10.0.0.1/24")
    >>> sock = stack.socket()
    >>> sock.connect(("10.0.0.2", 80))
    Traceback (most recent call last):
        ...
    BlockingIOError: [Errno 115] Operation now in progress
    >>> (sent_at, syn), = nic.sent                          # what is due has been sent when a call returns
    >>> sent_at, len(syn), syn[9], syn[33] == 0x02          # time, length, protocol TCP, flags SYN
    (0, 60, 6, True)
    >>> clock.advance(1.0)                                  # nobody answers: one second later it is sent again
    1
    >>> len(nic.sent), nic.sent[1][0]
    (2, 1000000000)

Frames go in by `interface.receive(frames)`; what comes out goes to the interface's link, or into `interface.sent` while
it has none. Everything that is due now has been sent when `receive` or a socket's method returns; what is due later is
sent when the clock gets there.
"""

import errno
from heapq import heappop, heappush

from aionetflow.alarms import Alarms
from aionetflow.clock import Clock, Timer
from aionetflow.config import DEFAULT_MTU, NEVER
from aionetflow.errors import os_error
from aionetflow.ethernet.addresses import InterfaceAddress
from aionetflow.ethernet.interface import EthernetInterface, Interface
from aionetflow.ethernet.loopback import LoopbackInterface
from aionetflow.fast_paths import FAST
from aionetflow.ip.address import AF_INET, AF_INET6, LOOPBACK, pack_interface, scoped
from aionetflow.ip.addresses import AddressBook
from aionetflow.ip.advertise import Advertiser
from aionetflow.ip.autoconf import Autoconfiguration
from aionetflow.ip.fragment6 import Fragments6
from aionetflow.ip.icmp import Icmp, IcmpErrorSender
from aionetflow.ip.icmpv6 import ECHO_REPLY, Icmp6ErrorSender, Icmpv6
from aionetflow.ip.membership import make_memberships, take_looped
from aionetflow.ip.ndp import ALL_NODES, ALL_ROUTERS, NeighbourDiscovery, link_local
from aionetflow.ip.route import BROADCAST, LOCAL, MULTICAST, Route, RoutingTable
from aionetflow.ip.v4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, IPv4
from aionetflow.ip.v6 import PROTOCOL_ICMPV6, IPv6
from aionetflow.packet import TxPacket
from aionetflow.rng import Random
from aionetflow.socket.base import Owner, Socket
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.demux import TcpDemux, UdpDemux
from aionetflow.socket.driver import Driver
from aionetflow.socket.half_open import HalfOpen
from aionetflow.socket.options import SOCK_DGRAM, SOCK_STREAM
from aionetflow.socket.ping import Pings, PingSocket
from aionetflow.socket.services import Services
from aionetflow.socket.stream import StreamSocket
from aionetflow.socket.table import SocketTable
from aionetflow.stats import Stats
from aionetflow.sysctl import Sysctl
from aionetflow.tcp.connection import Connection
from aionetflow.udp.datagram import emit
from aionetflow.widths import i64

_FIRST_DESCRIPTOR = 3  # after stdin, stdout and stderr
_NOBODY = Owner(0, "")

# What attach_ethernet and attach_raw make; tests put interfaces here whose every frame is looked at.
make_ethernet = EthernetInterface
make_raw = Interface


class Stack(Services):
    """The network stack of one host.

    clock tells the time and calls back when it has come; random is where ports, initial sequence numbers and the like
    are drawn from. There is a loopback interface with 127.0.0.1 and ::1 from the start.
    """

    def __init__(self, clock: Clock, random: Random) -> None:
        stats, routes, self.alarms = Stats(), RoutingTable(), Alarms()
        sysctl = Sysctl()
        ip = IPv4(routes, stats.ip, sysctl, self.alarms)
        Services.__init__(self, clock, random, routes, SocketTable(sysctl), ip, stats)
        self.sockets: dict[int, Socket] = {}  # what applications have open, by descriptor
        self.ip.idents.secret = random.getrandbits(16)
        self.icmp = Icmp(self.ip, self.stats.icmp)
        errors = IcmpErrorSender(self.icmp)
        self.ip6 = IPv6(self.routes, self.stats.ip6)
        self.icmp6 = Icmpv6(self.ip6, self.sources, self.stats.icmp6)
        self.ip6.fragments = Fragments6(
            self.ip6, self.alarms, self.sysctl, self.ip.idents, self.icmp6.reassembly_time_exceeded
        )
        self.ndp = NeighbourDiscovery(self.icmp6)
        self._discovery_deadline: i64 = NEVER
        self.advertiser = Advertiser(self.ndp, self._discovery_changed, random)
        errors6 = Icmp6ErrorSender(self.icmp6, self.ndp.redirect)
        self.driver = Driver(self.ip, self.ip6, self.routes, self.table, self.stats.tcp)
        self.ip.errors = errors
        self.ip.handlers[PROTOCOL_ICMP] = self.icmp
        self.half_open = HalfOpen(self, self.driver)
        self.ip.handlers[PROTOCOL_TCP] = tcp = TcpDemux(self.driver, self.half_open, self.table, self.stats.tcp)
        self.ip.handlers[PROTOCOL_UDP] = UdpDemux(self.table, self.stats.udp, errors)
        self.ip6.errors = errors6
        self.ip6.handlers[PROTOCOL_ICMPV6] = self.icmp6
        self.ip6.handlers[PROTOCOL_TCP] = tcp
        self.ip6.handlers[PROTOCOL_UDP] = UdpDemux(self.table, self.stats.udp6, errors6)
        self.lo = LoopbackInterface(self, self.ip, 1)
        self.lo.upper6 = self.ip6
        self.ip.loopback = self.ip6.loopback = self.lo
        self.interfaces.append(self.lo)
        self.memberships = make_memberships(self.ip, self.ip6, self.icmp6, self.alarms, random)
        self._pings = {family: Pings(self.driver, self.stats) for family in (AF_INET, AF_INET6)}
        self.icmp.pings = self._pings[AF_INET]
        self.icmp6.handlers[ECHO_REPLY] = self._pings[AF_INET6]
        self.addresses = AddressBook(self.routes, self.lo)
        self.autoconf = Autoconfiguration(self.ndp, self.addresses, self._discovery_changed, random)
        self._datagram = TxPacket()
        self._free: list[int] = []  # descriptors below the highest in use, a heap
        self._failures: list[Exception] = []
        self._running = False
        self._timer: Timer | None = None
        self._armed_at: i64 = NEVER
        self._add_loopback()

    # Interfaces ---------------------------------------------------------------------------------------------------

    def attach_ethernet(self, name: str, mac: bytes, mtu: int = DEFAULT_MTU) -> EthernetInterface:
        """A new Ethernet interface with that MAC (6 octets) and MTU (octets)."""
        interface = make_ethernet(self, self.ip, name, len(self.interfaces) + 1, mac, mtu)
        interface.asker = self.ndp.asker
        self._enable6(interface)
        self.routes.insert(Route(scoped(b"\xfe\x80" + bytes(14), interface.index), 64, interface))
        self.addresses.take(interface, link_local(mac, interface.index), 64)
        return interface

    def attach_raw(self, name: str, mtu: int = DEFAULT_MTU) -> Interface:
        """A new interface for bare IP packets, as Linux's tun."""
        interface = make_raw(self, self.ip, name, len(self.interfaces) + 1, mtu)
        self._enable6(interface)
        return interface

    def _enable6(self, interface: Interface) -> None:
        """What every interface has of IPv6 without being told."""
        interface.upper6 = self.ip6
        self.interfaces.append(interface)
        self.routes.insert(Route(b"\xff" + bytes(15), 8, interface, kind=MULTICAST))
        interface.join(ALL_NODES)
        if self.ip6.forwarding:
            interface.join(ALL_ROUTERS)

    def add_address(self, interface: Interface, address: str, *, announce: bool = True, dad: bool = False) -> None:
        """Gives an interface an address ("10.0.0.1/24"), and the routes that follow from it, as `ip addr add`.

        An IPv4 address is announced to the neighbours, unless told not to. An IPv6 address is taken to be nobody else's
        (Linux's nodad); with dad the interface has it after a second or two, if nobody on the link has it then
        (RFC 4862 5.4). Raises ValueError if the host has the address already, or it is none.
        """
        packed, length = pack_interface(address)
        packed = scoped(packed, interface.index)
        entry = InterfaceAddress(packed, length)
        if dad and isinstance(interface, EthernetInterface) and len(packed) == 16:
            self.autoconf.verify(
                interface, packed, length, self.clock.now(), lambda: self.addresses.add_routes(interface, entry)
            )  # fmt: skip
            self.run()
            return
        self.addresses.take(interface, packed, length)
        self.addresses.add_routes(interface, entry)
        if announce and len(packed) == 4:
            interface.announce(self.clock.now())
            self.run()

    def autoconfigure(self, interface: EthernetInterface) -> None:
        """Has an interface make its IPv6 addresses itself, as Linux does where accept_ra and autoconf are 1.

        Its link-local address is made sure of (RFC 4862 5.4); then routers are asked, and what they advertise becomes
        addresses, default routes and the MTU, until its time is over.
        """
        self.autoconf.start(interface, self.clock.now())
        self.run()

    def advertise(self, interface: EthernetInterface, **lifetimes: int) -> None:
        """Has a router advertise itself and its IPv6 networks to an interface's link (RFC 4861 6.2).

        lifetimes are router_lifetime, valid and preferred, in nanoseconds; by default RFC 4861's.
        """
        self.advertiser.start(interface, self.clock.now(), **lifetimes)
        self.run()

    def remove_address(self, interface: Interface, address: str) -> None:
        """Takes an address and its routes away again, as `ip addr del`; ValueError if the interface has it not."""
        packed, length = pack_interface(address)
        self.addresses.remove(interface, InterfaceAddress(scoped(packed, interface.index), length))

    def set_up(self, interface: Interface, up: bool) -> None:
        """Turns an interface on or off, as `ip link set`: routes over one that is down are not used."""
        interface.up = up
        self.routes.forget()
        if not up:
            interface.forget_neighbours()
        if up:
            interface.announce(self.clock.now())
            self.run()

    # Sockets ------------------------------------------------------------------------------------------------------

    def socket(
        self, family: int = AF_INET, kind: int = SOCK_STREAM, owner: Owner = _NOBODY, protocol: int = 0
    ) -> Socket:
        """A new socket; its descriptor is the lowest that is free on this host, as in a Unix process.

        With SOCK_DGRAM and the family's ICMP as protocol it is an echo socket (socket/ping.py). Raises
        OSError(EPROTONOSUPPORT) for a protocol that the kind of socket has not.
        """
        if protocol:
            echo = PROTOCOL_ICMP if family == AF_INET else PROTOCOL_ICMPV6
            if kind == SOCK_DGRAM and protocol == echo:
                return self._enter(PingSocket(self, self._free_descriptor(), owner, family, self._pings[family]))
            if protocol != (PROTOCOL_UDP if kind == SOCK_DGRAM else PROTOCOL_TCP):
                raise os_error(errno.EPROTONOSUPPORT)
        if kind == SOCK_DGRAM:
            return self._enter(DatagramSocket(self, self._free_descriptor(), owner, family))
        return self.make_stream(owner, family)

    def make_stream(self, owner: Owner, family: int) -> StreamSocket:
        """A new stream socket."""
        sock = StreamSocket(self, self._free_descriptor(), owner, family)
        self._enter(sock)
        return sock

    def send_datagram(
        self, sock: Socket, data: bytes, route: Route, source: bytes, remote: bytes, port: int
    ) -> None:
        """Sends a UDP datagram of a socket."""
        packet = self._datagram
        emit(packet, sock.local_port, port, data)
        now = self.clock.now()
        sock.mark(packet, route, remote, now)
        if len(remote) == 4:
            self.stats.udp.OutDatagrams += 1
        else:
            self.stats.udp6.OutDatagrams += 1
        self.driver.transmit(packet, route, source, remote, now)
        self.run()

    def take_over(self, key: bytes, now: i64) -> i64:
        """Ends what is in TIME-WAIT under a key, if that is allowed: the number to go on with, or -1."""
        return self.driver.take_over(key, now)

    def touch(self, connection: Connection) -> None:
        """Something about a connection has changed: `run` will send what it has to send."""
        self.driver.touch(connection)

    def callback_failed(self, error: Exception) -> None:
        """An on_change has raised: told when the work is done."""
        self._failures.append(error)

    def released(self, sock: Socket) -> None:
        """An application has closed a socket: its descriptor is free."""
        if self.sockets.pop(sock.descriptor, None) is not None:
            heappush(self._free, sock.descriptor)

    # Running ------------------------------------------------------------------------------------------------------

    def arrived(self, interface: Interface, frames: list[bytes]) -> None:
        """A link delivers frames to one of the interfaces."""
        if self._running:
            raise RuntimeError("frames arrived while the stack was at work: links deliver from the clock")
        now = self.clock.now()
        self._running = True
        try:
            interface.input(frames, now)
        finally:
            self._running = False
        self._run(now)

    def failed(self, what: str, error: Exception) -> None:
        """An exception of somebody's callback goes to whoever keeps the time: an event loop, or a test."""
        self.clock.call_exception_handler(what, error)

    def owns(self, address: bytes) -> bool:
        """Whether an address is one of this host's."""
        route = self.routes.lookup(address)
        return route is not None and route.kind == LOCAL

    def forwards(self) -> bool:
        """Whether this is a router."""
        return self.ip.forwarding or self.ip6.forwarding

    def index_of(self, name: str) -> int:
        """The index of the interface of a name; OSError(ENODEV) if there is none."""
        for interface in self.interfaces:
            if interface.name == name:
                return interface.index
        raise os_error(errno.ENODEV, name)

    def run(self) -> None:
        """Sends all that is due now, and sees to it that the clock calls for what is due later.

        Over a link without delay it is delivered, and answered, before this returns, if the clock lets it (see
        `Clock.release`): as on one host, and with no turn of the event loop for each step.
        """
        if self._running:
            return  # called from below: whoever runs will get to it
        if not FAST.burst:
            self._run(self.clock.now())
            return
        self.clock.hold()
        try:
            self._run(self.clock.now())
        finally:
            self.clock.release()

    def _run(self, now: i64) -> None:
        self._running = True
        try:
            while True:
                self.driver.run(now)
                for interface in self.interfaces:
                    if interface.queue:
                        interface.flush(now)
                if self.ip.looped or self.ip6.looped:
                    take_looped(self.ip, self.ip6, now)
                elif not self.lo.returning:
                    break
                self.lo.take_back(now)
        finally:
            self._running = False
            self._arm()
        while self._failures:
            self.failed("exception in a socket's on_change", self._failures.pop(0))

    def deadline(self) -> int:
        """When the stack has something to do by itself, in nanoseconds; NEVER if it has not."""
        deadline = min(self.driver.deadline(), self.half_open.deadline, self.alarms.deadline)
        deadline = min(deadline, self._discovery_deadline)
        for interface in self.interfaces:
            deadline = min(deadline, interface.deadline)
        return deadline

    def expire(self) -> None:
        """Does what is due by timer."""
        now = self.clock.now()
        self.driver.expire(now)
        if self.alarms.deadline <= now:
            self.alarms.expire(now)
        if self.half_open.deadline <= now:
            self.half_open.expire(now)
        if self._discovery_deadline <= now:
            self.autoconf.expire(now)
            self.advertiser.expire(now)
        for interface in self.interfaces:
            if interface.deadline <= now:
                interface.expire(now)
        self._run(now)

    def _discovery_changed(self) -> None:
        self._discovery_deadline = min(self.autoconf.deadline(), self.advertiser.deadline())

    def _arm(self) -> None:
        """One timer for the whole host; one that is too early does no harm."""
        deadline = self.deadline()
        if deadline < self._armed_at:
            if self._timer is not None:
                self._timer.cancel()
            self._armed_at = deadline
            self._timer = self.clock.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._armed_at = NEVER
        self.expire()

    def _add_loopback(self) -> None:
        address = bytes((127, 0, 0, 1))
        self.lo.addresses.append(InterfaceAddress(address, 8))
        self.routes.insert(Route(bytes((127, 0, 0, 0)), 8, self.lo, kind=LOCAL, source=address))
        self.routes.insert(Route(bytes((127, 255, 255, 255)), 32, self.lo, kind=BROADCAST, source=address))
        address = LOOPBACK[AF_INET6]
        self.lo.addresses.append(InterfaceAddress(address, 128))
        self.routes.insert(Route(address, 128, self.lo, kind=LOCAL, source=address))

    def _enter(self, sock: Socket) -> Socket:
        self.sockets[sock.fileno()] = sock
        return sock

    def _free_descriptor(self) -> int:
        return heappop(self._free) if self._free else _FIRST_DESCRIPTOR + len(self.sockets)
