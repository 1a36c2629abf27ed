"""Datagram sockets: UDP with the calls of sockets(7), none of which waits."""

import errno
from collections import deque
from collections.abc import Sequence

from aionetflow.errors import os_error
from aionetflow.ip.address import AF_INET, Address, endpoint
from aionetflow.ip.route import BROADCAST, Route
from aionetflow.ip.v4 import PROTOCOL_UDP
from aionetflow.socket.base import ERR, HUP, IN, OUT, RDHUP, Owner, Services
from aionetflow.socket.data import Buffer, DataSocket
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
from aionetflow.udp.datagram import HEADER_LENGTH, MAX_PAYLOAD

_OVERHEAD = 256  # what a queued datagram counts for beside its octets (Linux truesize)
_HEADERS = {4: 20 + HEADER_LENGTH, 16: 40 + HEADER_LENGTH}


class DatagramSocket(DataSocket):
    """A UDP socket."""

    type = SOCK_DGRAM
    proto = PROTOCOL_UDP
    netid = "udp"

    def __init__(self, services: Services, fd: int, owner: Owner, family: int = AF_INET) -> None:
        super().__init__(services, fd, owner, family)
        self._queue: deque[tuple[bytes, Address]] = deque()
        self._queued = 0
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
        data, address = self._next(flags)
        return data[:limit], address

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
        self._queue.clear()
        self._queued = 0
        self.notify()
        self.on_change = None
        self._services.released(self)

    # What it is -------------------------------------------------------------------------------------------------

    def events(self) -> int:
        """Linux udp_poll."""
        mask = OUT
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

    def deliver(self, data: bytes, source: bytes, source_port: int) -> bool:
        """Queues a datagram; False if the receive buffer is full (Linux: dropped, RcvbufErrors)."""
        if self._queued + len(data) + _OVERHEAD > self.receive_buffer and self._queue:
            return False
        sender = self._sender
        if sender is None or source_port != self._sender_port or source != self._sender_host:
            sender = self._sender = endpoint(self.family, source, source_port)
            self._sender_host, self._sender_port = source, source_port
        self._queue.append((data, sender))
        self._queued += len(data) + _OVERHEAD
        self.notify()
        return True

    def fail(self, code: int) -> None:
        """ICMP says that a datagram of this connected socket did not arrive (RFC 1122 4.1.3.3)."""
        self.error = code
        self.notify()

    # Inside -----------------------------------------------------------------------------------------------------

    def _next(self, flags: int) -> tuple[bytes, Address]:
        """The next datagram, whole; with MSG_PEEK it stays."""
        self.check_open()
        if flags & MSG_ERRQUEUE:
            raise os_error(errno.EAGAIN)  # Linux inet_recv_error: that queue is always empty here
        if self.error:
            raise os_error(self.take_error())  # Linux __skb_recv_udp: before what waits to be read
        if not self._queue:
            raise os_error(errno.EAGAIN)  # Linux: also after shutdown
        if flags & MSG_PEEK:
            return self._queue[0]
        data, address = self._queue.popleft()
        self._queued -= len(data) + _OVERHEAD
        return data, address

    def _take(self, limit: int, flags: int) -> tuple[bytes, int, Address]:
        data, address = self._next(flags)
        return data[:limit], MSG_TRUNC if len(data) > limit else 0, address

    def _take_into(self, view: memoryview, flags: int) -> tuple[int, int, Address]:
        data, address = self._next(flags)
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
        if len(payload) > min(MAX_PAYLOAD, route.interface.mtu - _HEADERS[len(remote)]):
            raise os_error(errno.EMSGSIZE)
        if self.error:  # Linux sock_alloc_send_pskb: only now, and it is told after what is wrong with the call
            raise os_error(self.take_error())
        if self._write_shut:
            raise os_error(errno.EPIPE)
        self._autobind()
        source = self.source_for(route, remote)
        self._services.send_datagram(self, payload, route, source, remote, port)
        return len(payload)

    def _route(self, remote: bytes) -> Route:
        route = self.route_to(remote)
        if route.kind == BROADCAST and not self.broadcast:
            raise os_error(errno.EACCES)
        return route

    def _autobind(self) -> None:
        if self.hold is None:
            self._hold_port(self.local, 0)

    def _hold_port(self, address: bytes, port: int) -> None:
        DataSocket._hold_port(self, address, port)
        self._services.table.datagrams.setdefault(self.local_port, []).append(self)
