"""Datagram sockets: UDP with the calls of sockets(7), none of which waits."""

import errno
from collections import deque
from collections.abc import Sequence
from typing import Any

from aionetflow.errors import os_error
from aionetflow.ethernet.addresses import source_address
from aionetflow.ip.address import AF_INET, Address, endpoint
from aionetflow.ip.route import (
    BROADCAST,
    IP_PMTUDISC_DO,
    IP_PMTUDISC_DONT,
    IP_PMTUDISC_INTERFACE,
    IP_PMTUDISC_PROBE,
    IP_PMTUDISC_WANT,
    MULTICAST,
    Route,
)
from aionetflow.ip.v4 import PROTOCOL_UDP
from aionetflow.packet import RxPacket, TxPacket
from aionetflow.socket.base import ERR, HUP, IN, OUT, RDHUP, Owner
from aionetflow.socket.data import Buffer, DataSocket
from aionetflow.socket.membership import Sending, is_group, route_to_group
from aionetflow.socket.message import MessageSocket
from aionetflow.socket.options import (
    MSG_ERRQUEUE,
    MSG_MORE,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    SHUT_RD,
    SHUT_RDWR,
    SHUT_WR,
    SOCK_DGRAM,
)
from aionetflow.socket.ports import takes
from aionetflow.socket.services import Services
from aionetflow.udp.datagram import MAX_PAYLOAD
from aionetflow.widths import i64

_OVERHEAD = 256  # what a queued datagram counts for beside its octets (Linux truesize)
_MAX_PAYLOAD_6 = 65535 - 8  # what IPv6's length field can say
_MAX_SEGMENTS = 128  # Linux UDP_MAX_SEGMENTS
_DONT, _WANT, _DO = IP_PMTUDISC_DONT, IP_PMTUDISC_WANT, IP_PMTUDISC_DO
_PROBE, _INTERFACE = IP_PMTUDISC_PROBE, IP_PMTUDISC_INTERFACE
EMSGSIZE = errno.EMSGSIZE


class DatagramSocket(MessageSocket):
    """A UDP socket."""

    type = SOCK_DGRAM
    proto = PROTOCOL_UDP
    netid = "udp"

    def __init__(self, services: Services, fd: int, owner: Owner, family: int = AF_INET) -> None:
        self._set_up(services, fd, owner, family)
        # (data, sender, destination, interface, hops, when, drops): see ancillary.Received
        self._queue: deque[tuple[Any, ...]] = deque()
        self._drops = 0
        self.segment: int = 0  # UDP_SEGMENT: octets of the datagrams that a longer one is cut into
        self._ident = -1  # of the next packet, once it is connected (Linux inet_id)
        self.read_shut = False
        self._write_shut = False
        # of the last datagram that came, and of the last that was sent: its address, and the same packed
        self._sender: Address | None = None
        self._sender_host, self._sender_port = b"", 0
        self._target: Address | None = None
        self._target_host, self._target_port = b"", 0

    def connect(self, address: Address) -> None:
        """Sets where send() sends to, and whose datagrams are received (connect(2)); never waits."""
        self.check_open()
        remote, port = self.pack(address)
        remote = self.reached_by(remote)
        route = self._route(remote)
        self.local = self.source_for(route, remote)
        self.remote, self.remote_port = remote, port
        self._autobind()
        if self._ident < 0 and len(remote) == 4:
            self._ident = self._services.ip.idents.next(self.local, remote, PROTOCOL_UDP)

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Sends a datagram to the connected address; EDESTADDRREQ if there is none."""
        self.check_open()
        if not self.is_connected():
            raise os_error(errno.EDESTADDRREQ)
        return self._send(data, self.remote, self.remote_port, flags)

    def sendto(self, data: Buffer, address: Address, flags: int = 0) -> int:
        """Sends a datagram (sendto(2)): its length.

        Raises OSError: EMSGSIZE if it does not fit one packet, ENETUNREACH without a route, EACCES to a broadcast
        address without SO_BROADCAST, and what ICMP reported of earlier ones on a connected socket.
        """
        self.check_open()
        if address is self._sender and self._sender_port != 0:  # an answer: the very tuple that recvfrom() gave
            return self._send(data, self._sender_host, self._sender_port, flags)
        if address is not self._target or type(address) is not tuple:
            remote, port = self.pack(address, any_link=True)
            if port == 0:
                raise os_error(errno.EINVAL)
            self._target, self._target_host, self._target_port = address, remote, port
        return self._send(data, self.reached_by(self._target_host), self._target_port, flags)

    def recv(self, limit: int, flags: int = 0) -> bytes:
        """The next datagram, cut to limit octets; BlockingIOError if there is none."""
        return self.recvfrom(limit, flags)[0]

    def recvfrom(self, limit: int, flags: int = 0) -> tuple[bytes, Address]:
        """The next datagram, cut to limit octets, and who sent it; BlockingIOError if there is none."""
        if limit < 0:
            raise ValueError("negative buffersize in recvfrom")
        message = self._next(flags)
        data: bytes = message[0]
        return data if len(data) <= limit else data[:limit], message[1]

    def shutdown(self, how: int) -> None:
        """Ends one direction or both (shutdown(2)); ENOTCONN if not connected."""
        self.check_open()
        if how not in (SHUT_RD, SHUT_WR, SHUT_RDWR):
            raise os_error(errno.EINVAL)
        before = self.read_shut, self._write_shut
        self.read_shut = self.read_shut or how != SHUT_WR
        self._write_shut = self._write_shut or how != SHUT_RD
        if before != (self.read_shut, self._write_shut):
            self.notify()
        if not self.is_connected():
            raise os_error(errno.ENOTCONN)  # Linux inet_shutdown: and yet it counts

    def close(self) -> None:
        """Gives the socket and its port up (close(2))."""
        if self.closed:
            return
        self.closed = True
        if self.hold is not None:
            table = self._services.table
            table.release(self.proto, self.hold)
            table.datagrams[self.local_port].remove(self)
            if not table.datagrams[self.local_port]:
                del table.datagrams[self.local_port]
        if self.groups is not None:
            self.groups.leave_all()
        self._queue.clear()
        self._queued = 0
        self.notify()
        self.on_change = None
        self._services.released(self)

    # What it is -------------------------------------------------------------------------------------------------

    def events(self) -> int:
        """Linux udp_poll."""
        mask = OUT
        if self._errors:
            mask |= ERR
        if self._queue or self.read_shut:
            mask |= IN
        if self.read_shut:
            mask |= RDHUP
            if self._write_shut:
                mask |= HUP
        return mask | ERR if self.error else mask

    def is_connected(self) -> bool:
        """Whether connect() was called."""
        return self.remote_port != 0

    def state_name(self) -> str:
        """ESTAB for a connected one, as ss(8) has it."""
        return "ESTAB" if self.is_connected() else "UNCONN"

    def queued(self) -> tuple[int, int]:
        """Octets of the datagrams that wait to be read; nothing ever waits to be sent."""
        return self._queued, 0

    # The wire's side --------------------------------------------------------------------------------------------

    def fits(self, source: bytes, source_port: int, destination: bytes) -> bool:
        """Whether a datagram from there to that address, a broadcast address maybe, is for this socket."""
        if self.is_connected() and (source != self.remote or source_port != self.remote_port):
            return False
        return takes(self.local, self.v6only, destination)

    def hears(self, packet: RxPacket) -> bool:
        """Whether a datagram to all is for this socket: to a group that it wants to hear, from a source likewise."""
        if self.groups is None or not is_group(packet.destination):
            return True
        return bool(self.groups.hears(packet.interface, packet.destination, packet.source))

    def deliver(self, data: bytes, packet: RxPacket, source_port: int, now: i64) -> bool:
        """Queues a datagram that came in a packet; False if the receive buffer is full (Linux: RcvbufErrors)."""
        if self._queued + len(data) + _OVERHEAD > self.receive_buffer and self._queue:
            self._drops += 1
            return False
        sender = self._sender
        if sender is None or source_port != self._sender_port or packet.source != self._sender_host:
            sender = self._sender = endpoint(self.family, packet.source, source_port)
            self._sender_host, self._sender_port = packet.source, source_port
        hops = packet.ttl << 8 | packet.service()
        self._queue.append((data, sender, packet.destination, packet.interface, hops, now, self._drops))
        self._queued += len(data) + _OVERHEAD
        self.notify()
        return True

    def mark(self, packet: TxPacket, route: Route, remote: bytes, now: i64) -> None:
        """Linux __ip_make_skb: what cannot go whole may be cut, but where the application forbids it."""
        packet.ttl, packet.tos = self.hops(remote)
        if route.kind == MULTICAST:
            sending = self.groups.sending[len(remote)] if self.groups is not None else Sending()
            packet.ttl, packet.loop = sending.ttl, sending.loop
        wanted = self._wanted
        if wanted is not None:
            packet.ttl = packet.ttl if wanted.ttl < 0 else wanted.ttl
            packet.tos = packet.tos if wanted.tos < 0 else wanted.tos
        mode = self.discovers(remote)
        mtu = packet.mtu = route.path_mtu(now) if mode < _PROBE else route.interface.mtu
        if len(remote) != 4:
            packet.dont_fragment = False  # no router cuts it; here it is cut if it must be
            return
        if mode == _WANT:
            packet.dont_fragment = packet.length + 28 <= mtu and not route.is_locked(now)
        else:
            packet.dont_fragment = mode == _DO or mode == _PROBE
        if self._ident >= 0:
            self._ident = packet.ident = (self._ident + 1) & 0xFFFF
        elif mode == _WANT or not packet.dont_fragment:
            packet.ident = -1

    # Inside -----------------------------------------------------------------------------------------------------

    def _next(self, flags: int) -> tuple[Any, ...]:
        """The next datagram, whole, its sender, and what else is known of it; with MSG_PEEK it stays."""
        self.check_open()
        if flags & MSG_ERRQUEUE:
            return tuple(self._next_error())
        if self.error:
            raise os_error(self.take_error())  # Linux __skb_recv_udp: before what waits to be read
        if not self._queue:
            raise os_error(errno.EAGAIN)  # Linux: also after shutdown
        if flags & MSG_PEEK:
            return self._queue[0]
        message = self._queue.popleft()
        self._queued -= len(message[0]) + _OVERHEAD
        return message

    def _take(self, limit: int, flags: int) -> tuple[bytes, int, Address]:
        data, address = self._next(flags)[:2]
        said = (flags & MSG_ERRQUEUE) | (MSG_TRUNC if len(data) > limit else 0)
        return data[:limit], said, address

    def _take_into(self, view: memoryview, flags: int) -> tuple[int, int, Address]:
        data, address = self._next(flags)[:2]
        count = min(len(data), len(view))
        view[:count] = memoryview(data)[:count]
        return len(data) if flags & MSG_TRUNC else count, MSG_TRUNC if count < len(data) else 0, address

    def _send_all(self, buffers: Sequence[bytes | memoryview], flags: int, address: Address | None) -> int:
        data = b"".join(buffers)
        return self.send(data, flags) if address is None else self.sendto(data, address, flags)

    def _send(self, data: Buffer, remote: bytes, port: int, flags: int) -> int:
        if flags & (MSG_OOB | MSG_MORE):
            raise os_error(errno.EOPNOTSUPP)  # Linux udp_sendmsg; here a datagram is not put together in several calls
        payload = data if type(data) is bytes else bytes(memoryview(data))
        route = self._route(remote)
        limit = self._limit(route, remote)
        size = self.segment if self._wanted is None or self._wanted.segment < 0 else self._wanted.segment
        if size:
            self._check_segments(len(payload), size, limit)
        elif len(payload) > limit:
            self._refuse_length(remote, len(payload), self._mtu(route, remote))
        if self.error:  # Linux sock_alloc_send_pskb: only now, and it is told after what is wrong with the call
            raise os_error(self.take_error())
        if self._write_shut:
            raise os_error(errno.EPIPE)
        self._autobind()
        source = self.source_for(route, remote)
        if self._wanted is not None and self._wanted.source:
            source = self._wanted.source
        if size:
            for start in range(0, max(len(payload), 1), size):
                self._transmit(payload[start : start + size], route, source, remote, port)
        else:
            self._transmit(payload, route, source, remote, port)
        return len(payload)

    def _transmit(self, payload: bytes, route: Route, source: bytes, remote: bytes, port: int) -> None:
        self._services.send_datagram(self, payload, route, source, remote, port)

    def _route(self, remote: bytes) -> Route:
        if is_group(remote):
            return self._group_route(remote)
        route = self.route_to(remote)
        if route.kind == BROADCAST and not self.broadcast:
            raise os_error(errno.EACCES)
        return route

    def _group_route(self, group: bytes) -> Route:
        wanted = self._wanted.interface if self._wanted is not None else 0
        if not wanted:
            return route_to_group(self, group)
        interface = next((each for each in self._services.interfaces if each.index == wanted), None)
        if interface is None:
            raise os_error(errno.ENODEV)
        source = source_address(interface.addresses, group) if len(group) == 4 else b""
        return Route(group, 8 * len(group), interface, kind=MULTICAST, source=source)

    def _limit(self, route: Route, remote: bytes) -> i64:
        """How many octets a datagram may have (Linux __ip_append_data, ip_sk_ignore_df)."""
        mode = self.discovers(remote)
        longest = MAX_PAYLOAD if len(remote) == 4 else _MAX_PAYLOAD_6
        if mode == _WANT or mode == _DONT or mode > _INTERFACE:
            return longest
        return min(longest, self._mtu(route, remote) - (28 if len(remote) == 4 else 48))

    def _mtu(self, route: Route, remote: bytes) -> i64:
        """The longest packet that goes whole: as is known of the way, or of its first link (Linux ip_sk_use_pmtu)."""
        return route.path_mtu(self._services.clock.now()) if self.discovers(remote) < _PROBE else route.interface.mtu

    def _check_segments(self, length: int, size: int, limit: i64) -> None:
        """Whether it can be sent as datagrams of size octets (Linux udp_send_skb)."""
        if min(length, size) > limit:
            raise os_error(EMSGSIZE)
        if length > MAX_PAYLOAD:
            raise os_error(EMSGSIZE)
        if length > size * _MAX_SEGMENTS:
            raise os_error(errno.EINVAL)

    def _autobind(self) -> None:
        if self.hold is None:
            self._hold_port(self.local, 0)

    def _hold_port(self, address: bytes, port: int) -> None:
        DataSocket._hold_port(self, address, port)
        self._services.table.datagrams.setdefault(self.local_port, []).append(self)
