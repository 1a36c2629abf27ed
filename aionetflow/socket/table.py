"""Who gets an arriving segment or datagram, and who has which port.

A connection is found by the octets that stand in its segments' headers anyway:

    source address | destination address | source port | destination port

of which a segment without IP options has all in one piece, so that finding it costs one slice and one look-up.
"""

import errno
from hashlib import blake2s
from typing import TYPE_CHECKING

from aionetflow.config import EPHEMERAL_PORTS
from aionetflow.errors import os_error
from aionetflow.fast import equal, get32, part
from aionetflow.ip.address import bare
from aionetflow.packet import RxPacket
from aionetflow.rng import Random
from aionetflow.tcp.connection import Connection
from aionetflow.widths import i64, u32

if TYPE_CHECKING:
    from aionetflow.socket.datagram import DatagramSocket
    from aionetflow.socket.listener import Listener

_LOW, _HIGH = EPHEMERAL_PORTS
_ANY_4, _ANY_6 = bytes(4), bytes(16)
_FEWEST_SLOTS = 16
_MOST_SLOTS = 16384
_M32 = 0xFFFFFFFF
_GOLDEN = 0x9E3779B1  # 2**32 divided by the golden ratio: odd, its bits without a pattern ...
_MIXED = 0x85EBCA6B  # ... and another such number


class PortHold:
    """One claim to a local port: a bound socket's, or that of a connection its socket may have left."""

    def __init__(
        self, address: bytes, port: int, reuse: bool, automatic: bool = False, *, reuse_port: bool = False,
        v6only: bool = False,
    ) -> None:  # fmt: skip
        self.address = address  # all zero: every address of the host
        self.port = port
        self.reuse = reuse  # SO_REUSEADDR
        self.reuse_port = reuse_port  # SO_REUSEPORT
        self.v6only = v6only  # IPV6_V6ONLY
        self.automatic = automatic  # chosen by connect(): other connections may share the port
        self.locked = port != 0  # asked for by number: kept until the socket is closed
        self.listening = False
        self.released = False
        self.accepted = False  # of connections that a listener has accepted, which share it
        self.uses = 1  # by how many connections
        self.next: PortHold | None = None  # the next claim to the same port

    def conflicts(self, other: "PortHold") -> bool:
        """Whether both cannot have their port (Linux inet_csk_bind_conflict)."""
        if not self.takes(other.address) and not other.takes(self.address):
            return False
        if self.reuse_port and other.reuse_port:
            return False
        return not (self.reuse and other.reuse) or self.listening or other.listening

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


def spread(source: bytes, source_port: int, destination: bytes, port: int, count: int) -> int:
    """Which of count sockets with SO_REUSEPORT is to have a flow (Linux reuseport_select_sock; the hash is ours)."""
    digest = blake2s(connection_key(source, destination, source_port, port), digest_size=4).digest()
    return int.from_bytes(digest, "big") * count >> 32


class SocketTable:
    """The sockets of one host that the wire can reach."""

    def __init__(self) -> None:
        self.connections: dict[bytes, Connection] = {}
        self.listeners: dict[int, list[Listener]] = {}
        self.datagrams: dict[int, list[DatagramSocket]] = {}
        self._holds: dict[int, PortHold] = {}  # by protocol and port: the first of a chain
        self._slots: list[Connection | None] = [None] * _FEWEST_SLOTS
        self._slot_mask: u32 = _FEWEST_SLOTS - 1
        self._next_port = -1  # counted from the lowest ephemeral one

    # Looking up ---------------------------------------------------------------------------------------------------

    def connection_of(self, packet: RxPacket) -> Connection | None:
        """The connection that a received segment belongs to."""
        frame, l3, l4 = packet.frame, packet.l3, packet.l4
        if frame[l3] >> 4 == 4:
            if l4 == l3 + 20:
                return self._connection_at(frame, l3 + 12, 4)
            return self.connections.get(frame[l3 + 12 : l3 + 20] + frame[l4 : l4 + 4])
        if l4 == l3 + 40:
            return self._connection_at(frame, l3 + 8, 16)
        return self.connections.get(frame[l3 + 8 : l3 + 40] + frame[l4 : l4 + 4])

    def _connection_at(self, frame: bytes, at: i64, size: i64) -> Connection | None:
        """The connection whose key is at `at` in a frame; an address has `size` octets.

        Each that was asked for has a slot until another takes it: looking there needs no object, as the dictionary
        needs a key.
        """
        length = 2 * size + 4
        slot = self._slot(get32(frame, at + size - 4), get32(frame, at + 2 * size))
        connection = self._slots[slot]
        if connection is None or connection.claim is None or not _is_key(connection.key, frame, at, length):
            connection = self.connections.get(part(frame, at, at + length))
            self._slots[slot] = connection
        return connection

    def _slot(self, address: u32, ports: u32) -> u32:
        """Fibonacci hashing: the high bits of a product are those that all bits of the factor have a part in."""
        return (((address ^ (ports * _GOLDEN & _M32)) * _MIXED & _M32) >> 8) & self._slot_mask

    def listener_of(
        self, address: bytes, port: int, source: bytes = b"", source_port: int = 0
    ) -> "Listener | None":
        """The listener for a SYN to that address: one bound to it before one bound to all addresses of its family,
        and that before one bound to "::"; of those that share a port, the one that the SYN's source decides on.
        """
        listeners = self.listeners.get(port)
        if listeners is None:
            return None
        fitting = [listener for listener in listeners if listener.hold.takes(address)]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        best = max(fitting, key=lambda listener: _closeness(listener.address, address))
        group = [listener for listener in fitting if listener.address == best.address and listener.hold.reuse_port]
        return group[spread(source, source_port, address, port, len(group))] if group else best

    def datagrams_of(
        self, source: bytes, source_port: int, destination: bytes, port: int, to_all: bool
    ) -> "list[DatagramSocket]":
        """The sockets for a datagram: the one that fits best, or, for a broadcast, all that fit."""
        bound = self.datagrams.get(port)
        if bound is None:
            return []
        fitting = [sock for sock in bound if sock.fits(source, source_port, destination)]
        if to_all or len(fitting) < 2:
            return fitting
        # Linux udp4_lib_lookup2: the best match; of equals, the one bound last
        best = max(reversed(fitting), key=lambda sock: (sock.is_connected(), *_closeness(sock.local, destination)))
        if not best.reuse_port or best.is_connected():
            return [best]
        group = [s for s in fitting if s.reuse_port and s.local == best.local and not s.is_connected()]
        return [group[spread(source, source_port, destination, port, len(group))]]

    # Ports ----------------------------------------------------------------------------------------------------------

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
        self, protocol: int, local: bytes, remote: bytes, remote_port: int, random: Random
    ) -> PortHold:
        """A claim to a port that makes the connection unique; EADDRNOTAVAIL if none does.

        Ports go up from one drawn at random (RFC 6056 3.3.3), so that a peer seldom sees one again while it keeps the
        last connection from it in TIME-WAIT.
        """
        count = _HIGH - _LOW + 1
        if self._next_port < 0:
            self._next_port = random.getrandbits(32) % count
        for _ in range(count):
            port = _LOW + self._next_port
            self._next_port = (self._next_port + 1) % count
            if not self._may_share(protocol, port, local, remote, remote_port):
                continue
            hold = PortHold(local, port, True, automatic=True)
            hold.locked = False
            self._enter(protocol, hold)
            return hold
        raise os_error(errno.EADDRNOTAVAIL, f"all ports from {_LOW} to {_HIGH} are in use to this destination")

    def may_listen(self, protocol: int, hold: PortHold) -> bool:
        """Whether a bound socket may start to listen: no other listens on its address and port."""
        other = self._first(protocol, hold.port)
        while other is not None:
            if other is not hold and other.listening and other.conflicts(hold):
                return False
            other = other.next
        return True

    # Connections ------------------------------------------------------------------------------------------------------

    def add(self, connection: Connection, hold: PortHold) -> None:
        """Enters a connection and the claim to its port; EADDRNOTAVAIL if there is one with the same two ends."""
        key = key_of(connection)
        if key in self.connections:
            raise os_error(errno.EADDRNOTAVAIL)
        self.connections[key] = connection
        connection.key = key
        connection.claim = hold
        if len(self.connections) > len(self._slots) < _MOST_SLOTS:
            self._slots = [None] * (2 * len(self._slots))
            self._slot_mask = len(self._slots) - 1

    def remove(self, connection: Connection) -> PortHold | None:
        """Takes a connection out; the claim that it leaves behind is the caller's to release."""
        hold: PortHold | None = connection.claim
        if hold is not None:
            del self.connections[connection.key]
            connection.claim = None
            ports_at = len(connection.key) - 4
            slot = self._slot(get32(connection.key, ports_at // 2 - 4), get32(connection.key, ports_at))
            if self._slots[slot] is connection:
                self._slots[slot] = None
        return hold

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

    def _may_share(self, protocol: int, port: int, local: bytes, remote: bytes, remote_port: int) -> bool:
        """Whether connect() may choose a port: nobody but connect() has chosen it, and not for the same two ends."""
        hold = other = self._first(protocol, port)
        while other is not None:
            if not other.automatic:
                return False
            other = other.next
        return hold is None or connection_key(remote, local, remote_port, port) not in self.connections

    def _free_port(self, protocol: int, hold: PortHold, random: Random) -> int:
        count = _HIGH - _LOW + 1
        start = random.getrandbits(32) % count
        for i in range(count):
            port = _LOW + (start + i) % count
            if protocol << 16 | port not in self._holds:
                return port
        raise os_error(errno.EADDRINUSE, f"all ports from {_LOW} to {_HIGH} are in use")


def _is_key(key: bytes, frame: bytes, at: i64, length: i64) -> bool:
    """Whether a connection's key is what stands in a frame."""
    return len(key) == length and equal(frame, at, key, 0, length)


def _closeness(own: bytes, address: bytes) -> tuple[bool, bool]:
    """How well the address that a socket is bound to fits one that it takes: (exactly, in its family)."""
    return own == address, len(own) == len(address)


def connection_key(remote: bytes, local: bytes, remote_port: u32, local_port: u32) -> bytes:
    """What stands for a connection in the table, as its incoming segments have it."""
    if remote[0] == 0xFE:
        remote, local = bare(remote), bare(local)
    return remote + local + (remote_port << 16 | local_port).to_bytes(4, "big")


def key_of(connection: Connection) -> bytes:
    """A connection's key."""
    return connection_key(connection.remote, connection.local, connection.remote_port, connection.local_port)
