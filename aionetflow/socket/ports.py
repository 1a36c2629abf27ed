"""Which local port who has: claims, which of them may stand beside each other, and how one is chosen (RFC 6056)."""

import errno

from aionetflow.errors import os_error
from aionetflow.ip.address import bare
from aionetflow.rng import Random
from aionetflow.settings import port_set
from aionetflow.siphash import SipHash, keyed
from aionetflow.sysctl import Sysctl
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.timewait import may_reuse
from aionetflow.widths import i64, u32

_ANY_4, _ANY_6 = bytes(4), bytes(16)
_PERTURB_MASK = 0xFFFF  # Linux INET_TABLE_PERTURB_SIZE
_NEVER_CHOSEN: frozenset[int] = frozenset()


class PortHold:
    """One claim to a local port: a bound socket's, or that of a connection its socket may have left."""

    def __init__(
        self, address: bytes, port: int, reuse: bool, automatic: bool = False, *, reuse_port: bool = False,
        v6only: bool = False, device: int = 0,
    ) -> None:  # fmt: skip
        self.address = address  # all zero: every address of the host
        self.port = port
        self.reuse = reuse  # SO_REUSEADDR
        self.reuse_port = reuse_port  # SO_REUSEPORT
        self.v6only = v6only  # IPV6_V6ONLY
        self.device = device  # SO_BINDTODEVICE: the number of an interface, 0 for any
        self.automatic = automatic  # chosen by connect(): other connections may share the port
        self.locked = port != 0  # asked for by number: kept until the socket is closed
        self.listening = False
        self.released = False
        self.accepted = False  # of connections that a listener has accepted, which share it
        self.uses = 1  # by how many connections
        self.next: PortHold | None = None  # the next claim to the same port

    def conflicts(self, other: "PortHold") -> bool:
        """Whether both cannot have their port (Linux inet_csk_bind_conflict)."""
        if not self.meets(other):
            return False
        if self.reuse_port and other.reuse_port:
            return False
        return not (self.reuse and other.reuse) or self.listening or other.listening

    def meets(self, other: "PortHold") -> bool:
        """Whether there are addresses, on some interface, that both are about."""
        if self.device and other.device and self.device != other.device:
            return False
        return self.takes(other.address) or other.takes(self.address)

    def takes(self, address: bytes) -> bool:
        """Whether what is sent to an address is for whoever has this claim."""
        return takes(self.address, self.v6only, address)


def is_unspecified(address: bytes) -> bool:
    """Whether it is 0.0.0.0 or :: (RFC 1122 3.2.1.3, RFC 4291 2.5.2)."""
    return address == _ANY_4 or address == _ANY_6


def takes(own: bytes, v6only: bool, address: bytes) -> bool:
    """Whether what is sent to an address reaches a socket bound to `own`; "::" takes IPv4 too, unless v6only."""
    if own == address:
        return True
    return is_unspecified(own) and (len(own) == len(address) or (len(own) == 16 and not v6only))


def connection_key(remote: bytes, local: bytes, remote_port: u32, local_port: u32) -> bytes:
    """What stands for a connection in the table, as its incoming segments have it."""
    if remote[0] == 0xFE or local[0] == 0xFE:
        remote, local = bare(remote), bare(local)
    return remote + local + (remote_port << 16 | local_port).to_bytes(4, "big")


class PortTable:
    """The claims to the ports of one host."""

    def __init__(self, sysctl: Sysctl) -> None:
        self.sysctl = sysctl
        self.connections: dict[bytes, Connection] = {}
        self._holds: dict[int, PortHold] = {}  # by protocol and port: the first of a chain
        self._offsets: SipHash | None = None  # RFC 6056 3.3.4: F and G in one
        self._perturb: dict[int, int] = {}  # ... and its table: how far the ports of some destinations have come
        self._reserved = _NEVER_CHOSEN
        self._reserved_text = ""

    def hold(self, protocol: int, hold: PortHold, random: Random) -> None:
        """Enters a claim; port 0 is replaced by a free one. Raises OSError(EADDRINUSE)."""
        if hold.port == 0:
            hold.port = self._free_port(protocol, hold, random)
        elif self._taken(protocol, hold):
            raise os_error(errno.EADDRINUSE)
        self._enter(protocol, hold)

    def share(self, protocol: int, address: bytes, port: int, reuse: bool, reuse_port: bool) -> PortHold:
        """The claim of a connection that was accepted at an address: to its listener's port, whoever else has it.

        One claim stands for all such connections, until as many times as it was asked for here it is released.
        """
        hold = self._first(protocol, port)
        while hold is not None:
            if hold.accepted and hold.address == address and hold.reuse == reuse and hold.reuse_port == reuse_port:
                hold.uses += 1
                return hold
            hold = hold.next
        hold = PortHold(address, port, reuse, reuse_port=reuse_port)
        hold.locked = False  # no socket keeps it: it goes with the connections
        hold.accepted = True
        self._enter(protocol, hold)
        return hold

    def release(self, protocol: int, hold: PortHold) -> None:
        """Takes a claim back; harmless if that was done."""
        if hold.released:
            return
        hold.uses -= 1
        if hold.uses == 0:
            hold.released = True
            self._leave(protocol, hold)

    def hold_for_connect(
        self, protocol: int, local: bytes, remote: bytes, remote_port: int, random: Random, now: i64
    ) -> PortHold:
        """A claim to a port that makes the connection unique; EADDRNOTAVAIL if none does.

        RFC 6056 3.3.4, as Linux does it (__inet_hash_connect): where the search begins depends on the destination, by
        a secret hash, and goes on a little with each connection to it, so that a peer seldom sees a port again while it
        keeps the last connection from it in TIME-WAIT. Ports an even number above the lowest come first; the others
        are bind()'s.
        """
        low, high = self.sysctl.ip_local_port_range
        count = _even(high - low + 1)
        digest = self._digest(local, remote, remote_port, random)
        index = digest & _PERTURB_MASK
        start = (self._perturb.get(index, 0) + (digest >> 32)) % count & ~1
        for step in range(count):
            port = low + _at(start, step, count)
            if self._is_reserved(port) or not self._may_share(protocol, port, local, remote, remote_port, now):
                continue
            drawn = random.getrandbits(3) * 2
            self._perturb[index] = (self._perturb.get(index, 0) + max(step % (count // 2 or 1) * 2, drawn) + 2) % count
            hold = PortHold(local, port, True, automatic=True)
            hold.locked = False
            self._enter(protocol, hold)
            return hold
        raise os_error(errno.EADDRNOTAVAIL, f"all ports from {low} to {high} are in use to this destination")

    def may_listen(self, protocol: int, hold: PortHold) -> bool:
        """Whether a bound socket may start to listen: no other listens on its address and port."""
        other = self._first(protocol, hold.port)
        while other is not None:
            if other is not hold and other.listening and other.conflicts(hold):
                return False
            other = other.next
        return True

    def _digest(self, local: bytes, remote: bytes, remote_port: int, random: Random) -> int:
        if self._offsets is None:
            self._offsets = keyed(random)
        return self._offsets.hash(connection_key(remote, local, remote_port, 0))

    def _first(self, protocol: int, port: int) -> PortHold | None:
        return self._holds.get(protocol << 16 | port)

    def _enter(self, protocol: int, hold: PortHold) -> None:
        key = protocol << 16 | hold.port
        hold.next = self._holds.get(key)
        self._holds[key] = hold

    def _leave(self, protocol: int, hold: PortHold) -> None:
        key = protocol << 16 | hold.port
        before = self._holds[key]
        if before is not hold:
            while before.next is not hold:
                assert before.next is not None
                before = before.next
            before.next = hold.next
        elif hold.next is not None:
            self._holds[key] = hold.next
        else:
            del self._holds[key]
        hold.next = None

    def _taken(self, protocol: int, hold: PortHold) -> bool:
        other = self._first(protocol, hold.port)
        while other is not None:
            if other.conflicts(hold):
                return True
            other = other.next
        return False

    def _may_share(
        self, protocol: int, port: int, local: bytes, remote: bytes, remote_port: int, now: i64
    ) -> bool:
        """Whether connect() may choose a port: nobody but connect() has chosen it, and not for the same two ends."""
        hold = other = self._first(protocol, port)
        while other is not None:
            if not other.automatic:
                return False
            other = other.next
        if hold is None:
            return True
        old = self.connections.get(connection_key(remote, local, remote_port, port))
        return old is None or may_reuse(old, now)

    def _free_port(self, protocol: int, hold: PortHold, random: Random) -> int:
        """Linux inet_csk_find_open_port: from a random port on, those first that connect() takes last."""
        low, high = self.sysctl.ip_local_port_range
        count = _even(high - low + 1)
        start = random.getrandbits(32) % count | 1
        for share in range(2 if self.sysctl.ip_autobind_reuse else 1):
            for step in range(count):
                port = low + _at(start, step, count)
                if not self._is_reserved(port) and self._is_free(protocol, port, hold, share == 1):
                    return port
        raise os_error(errno.EADDRINUSE, f"all ports from {low} to {high} are in use")

    def _is_free(self, protocol: int, port: int, hold: PortHold, share: bool) -> bool:
        """Whether nobody has the port at an address that hold is about; with share, nobody who objects."""
        other = self._first(protocol, port)
        while other is not None:
            if other.conflicts(hold) if share else other.meets(hold):
                return False
            other = other.next
        return True

    def _is_reserved(self, port: int) -> bool:
        """net.ipv4.ip_local_reserved_ports."""
        if self._reserved_text != self.sysctl.ip_local_reserved_ports:
            self._reserved_text = self.sysctl.ip_local_reserved_ports
            self._reserved = port_set(self._reserved_text)
        return port in self._reserved


def _even(count: int) -> int:
    """Linux takes ports in pairs; the last of an odd number is left out."""
    return count & ~1 if count > 1 else count


def _at(start: int, step: int, count: int) -> int:
    """The offset that the search comes to in a step: every other one from start on, round once, then those between."""
    half = count // 2
    if count == 1:
        return 0
    if step < half:
        return (start + 2 * step) % count
    return ((start ^ 1) + 2 * (step - half)) % count
