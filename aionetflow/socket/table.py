"""Who gets an arriving segment or datagram, and who has which port.

A connection is found by the octets that stand in its segments' headers anyway:

    source address | destination address | source port | destination port

of which a segment without IP options has all in one piece, so that finding it costs one slice and one look-up.
"""

import errno
from hashlib import blake2s
from typing import TYPE_CHECKING

from aionetflow.errors import os_error
from aionetflow.fast import equal, get32, part
from aionetflow.packet import RxPacket
from aionetflow.socket.ports import PortHold, PortTable, connection_key
from aionetflow.sysctl import Sysctl
from aionetflow.tcp.connection import Connection
from aionetflow.widths import i64, u32

if TYPE_CHECKING:
    from aionetflow.socket.datagram import DatagramSocket
    from aionetflow.socket.listener import Listener

_FEWEST_SLOTS = 16
_MOST_SLOTS = 16384
_M32 = 0xFFFFFFFF
_GOLDEN = 0x9E3779B1  # 2**32 divided by the golden ratio: odd, its bits without a pattern ...
_MIXED = 0x85EBCA6B  # ... and another such number


def spread(source: bytes, source_port: int, destination: bytes, port: int, count: int) -> int:
    """Which of count sockets with SO_REUSEPORT is to have a flow (Linux reuseport_select_sock; the hash is ours)."""
    digest = blake2s(connection_key(source, destination, source_port, port), digest_size=4).digest()
    return int.from_bytes(digest, "big") * count >> 32


class SocketTable(PortTable):
    """The sockets of one host that the wire can reach."""

    def __init__(self, sysctl: Sysctl) -> None:
        PortTable.__init__(self, sysctl)
        self.listeners: dict[int, list[Listener]] = {}
        self.datagrams: dict[int, list[DatagramSocket]] = {}
        self._slots: list[Connection | None] = [None] * _FEWEST_SLOTS
        self._slot_mask: u32 = _FEWEST_SLOTS - 1

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

    def key_of_packet(self, packet: RxPacket) -> bytes:
        """The key of a received segment's connection."""
        frame, l3, l4 = packet.frame, packet.l3, packet.l4
        start, stop = (l3 + 12, l3 + 20) if frame[l3] >> 4 == 4 else (l3 + 8, l3 + 40)
        return frame[start:stop] + frame[l4 : l4 + 4]

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


def _is_key(key: bytes, frame: bytes, at: i64, length: i64) -> bool:
    """Whether a connection's key is what stands in a frame."""
    return len(key) == length and equal(frame, at, key, 0, length)


def _closeness(own: bytes, address: bytes) -> tuple[bool, bool]:
    """How well the address that a socket is bound to fits one that it takes: (exactly, in its family)."""
    return own == address, len(own) == len(address)


def key_of(connection: Connection) -> bytes:
    """A connection's key."""
    return connection_key(connection.remote, connection.local, connection.remote_port, connection.local_port)
