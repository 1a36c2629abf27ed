"""What datagram sockets of all protocols do with what goes beside the octets: ancillary data, and the error queue."""

import errno
from collections import deque
from collections.abc import Iterable
from typing import Any

from aionetflow.errors import os_error
from aionetflow.ethernet.addresses import source_address
from aionetflow.ip.address import AF_INET, Address, endpoint
from aionetflow.ip.route import IP_PMTUDISC_DONT, IP_PMTUDISC_INTERFACE, LOCAL
from aionetflow.packet import IcmpOrigin
from aionetflow.socket.ancillary import (
    ASKED,
    ERRORS,
    IP_RECVORIGDSTADDR,
    ORIGIN_LOCAL,
    Item,
    Received,
    Told,
    Wanted,
    fitted,
    of_datagram,
    of_error,
    of_original_destination,
)
from aionetflow.socket.ancillary import read as read_ancillary
from aionetflow.socket.base import Owner
from aionetflow.socket.data import Ancillary, Buffer, DataSocket
from aionetflow.socket.error_queue import OVERHEAD, take_told, told_by_icmp
from aionetflow.socket.options import IPPROTO_IP, MSG_ERRQUEUE, MSG_TRUNC
from aionetflow.socket.services import Services
from aionetflow.widths import i64

_LONGEST = 65535


class MessageSocket(DataSocket):
    """What datagram sockets have in common where a message is more than its octets."""

    def _set_up(self, services: Services, fd: int, owner: Owner, family: int) -> None:
        DataSocket._set_up(self, services, fd, owner, family)
        self._queued: i64 = 0  # octets that wait to be read, with what they cost beside
        self._errors: deque[Told] | None = None  # for MSG_ERRQUEUE
        self._wanted: Wanted | None = None  # what the datagram that is being sent was given with it

    def sendmsg(
        self, buffers: Iterable[Buffer], ancillary: Ancillary = (), flags: int = 0, address: Address | None = None
    ) -> int:
        """As sendto, of buffers, one behind the other; ancillary data decides about this one datagram.

        IP_PKTINFO and IPV6_PKTINFO choose the address and interface that it goes out by, IP_TTL, IP_TOS and their like
        what is in its header, UDP_SEGMENT cuts it into several. EINVAL for what cannot be asked for.
        """
        to_ipv4 = self.family == AF_INET or len(self._host_of(address)) == 4
        wanted = read_ancillary(self.family, [(level, kind, bytes(data)) for level, kind, data in ancillary], to_ipv4)
        self._wanted = None if wanted == Wanted() else wanted
        try:
            return DataSocket.sendmsg(self, buffers, (), flags, address)
        finally:
            self._wanted = None

    def receive_icmp(
        self, data: bytes, host: bytes, port: int, code: int, final: bool, info: int, origin: IcmpOrigin | None,
        now: i64,
    ) -> None:  # fmt: skip
        """ICMP reports on a datagram of this socket's to a host and port (RFC 1122 4.1.3.3, Linux __udp4_lib_err).

        It is told once, where the socket is connected and it is final; or with IP_RECVERR always, and in full.
        """
        if code == errno.EMSGSIZE:
            if self.discovers(host) < IP_PMTUDISC_INTERFACE:
                self._services.ip.learn_mtu(host, info, now)
            if self.discovers(host) == IP_PMTUDISC_DONT:
                return
        if self.asked & ERRORS[len(host)]:
            self._keep(told_by_icmp(data, endpoint(self.family, host, port), len(host) == 4, code, info, origin))
        elif not final or not self.is_connected():
            return
        self.error = code
        self.notify()

    # Inside -----------------------------------------------------------------------------------------------------

    def _next(self, flags: int) -> tuple[Any, ...]:
        """The next message, whole, its sender, and what else is known of it; with MSG_PEEK it stays."""
        raise NotImplementedError

    def _take_message(self, limit: int, room: int, flags: int) -> tuple[bytes, list[Item], int, Address]:
        message = self._next(flags)
        if flags & MSG_ERRQUEUE:
            items = of_error(self.asked, self.family, Told(*message))
        else:
            items = self._describe(Received(*message)) if self.asked else []
        given, said = fitted(items, room) if items else (items, 0)
        data = message[0]
        said |= (flags & MSG_ERRQUEUE) | (MSG_TRUNC if len(data) > limit else 0)
        return data[:limit], given, said, message[1]

    def _describe(self, message: Received) -> list[Item]:
        """What the socket has asked to be told of a datagram."""
        source = message.destination
        route = self._services.routes.lookup(source)
        if route is None or route.kind != LOCAL:  # Linux fib_compute_spec_dst
            source = source_address(message.interface.addresses, source)
        items = of_datagram(self.asked, self.family, message, source)
        if self.asked & ASKED[IPPROTO_IP, IP_RECVORIGDSTADDR] and len(message.destination) == 4:
            items.append(of_original_destination(message.destination, self.local_port))
        return items

    def _keep(self, told: Told) -> None:
        """Queues an error (Linux sock_queue_err_skb: in the receive buffer)."""
        if self._errors is None:
            self._errors = deque()
        if self._queued + len(told.data) + OVERHEAD < self.receive_buffer:
            self._queued += len(told.data) + OVERHEAD
            self._errors.append(told)

    def _next_error(self) -> Told:
        """The next error."""
        told, error = take_told(self._errors)
        self._queued -= len(told.data) + OVERHEAD
        if error >= 0:
            self.error = error
        return told

    def _refuse_length(self, remote: bytes, length: int, mtu: i64) -> None:
        """EMSGSIZE; with IP_RECVERR the error queue says what the way takes (Linux ip_local_error)."""
        if length <= _LONGEST and self.asked & ERRORS[len(remote)]:
            address = endpoint(self.family, remote, self.remote_port)
            self._keep(Told(b"", address, errno.EMSGSIZE, ORIGIN_LOCAL, info=min(mtu, _LONGEST)))
            self.notify()
        raise os_error(errno.EMSGSIZE)

    def _host_of(self, address: Address | None) -> bytes:
        """Where sendmsg with that address sends to."""
        if address is None:
            return self.remote
        return self.pack(address)[0]
