"""How data gets into and out of a TCP socket."""

import errno
from collections.abc import Sequence

from aionetflow.errors import os_error
from aionetflow.ip.address import Address
from aionetflow.socket.base import Owner, Services
from aionetflow.socket.data import Buffer, DataSocket
from aionetflow.socket.options import MSG_ERRQUEUE, MSG_OOB, MSG_PEEK, MSG_TRUNC
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.states import SYN_RECEIVED, SYN_SENT


class StreamData(DataSocket):
    """The half of StreamSocket that reads and writes. There is no urgent data (RFC 6093 says to send none)."""

    def _set_up(self, services: Services, fd: int, owner: Owner, family: int) -> None:
        DataSocket._set_up(self, services, fd, owner, family)
        self.connection: Connection | None = None
        self._read_shut = False  # by shutdown() without a connection: it fails, and yet is seen by poll()

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Puts as much of data into the send buffer as fits, and says how much that was (send(2)).

        BlockingIOError if nothing fits; BrokenPipeError after shutdown, or if there is no connection.
        """
        connection = self._writable(flags)
        room = connection.snd.room()
        if connection.state in (SYN_SENT, SYN_RECEIVED) or (room == 0 and len(data)):
            raise os_error(errno.EAGAIN)
        if type(data) is not bytes:
            data = bytes(memoryview(data).cast("B")[:room])
        size = len(data)
        if size > room:
            size = room
            connection.write_part(data, 0, size)
        else:
            connection.write(data)
        self._services.touch(connection)
        self._services.run()
        return size

    def send_rest(self, data: bytes, start: int) -> int:
        """As send, of what follows start in data: nothing is copied."""
        connection = self._writable(0)
        room = connection.snd.room()
        if connection.state in (SYN_SENT, SYN_RECEIVED) or room == 0:
            raise os_error(errno.EAGAIN)
        size = min(len(data) - start, room)
        connection.write_part(data, start, start + size)
        self._services.touch(connection)
        self._services.run()
        return size

    def sendto(self, data: Buffer, address: Address, flags: int = 0) -> int:
        """As send; the address is not looked at (Linux tcp_sendmsg)."""
        return self.send(data, flags)

    def recv(self, limit: int, flags: int = 0) -> bytes:
        """Takes up to limit octets of what has arrived (recv(2)); b"" at the end of the stream.

        BlockingIOError if nothing is there yet; with MSG_PEEK the octets stay.
        """
        self.check_open()
        if limit < 0:
            raise ValueError("negative buffersize in recv")
        if flags:
            _check_receiving(flags)
        connection = self.connection
        if connection is None or connection.rcv.queue.length == 0:
            return self._recv_nothing(connection)
        if flags & MSG_PEEK:
            return connection.rcv.queue.peek(limit)
        data = connection.read(limit)
        if connection.need_ack:
            self._services.touch(connection)
            self._services.run()
        return data

    def recv_piece(self, limit: int) -> bytes:
        """As recv, but maybe less than there is, where that saves a copy."""
        self.check_open()
        connection = self.connection
        if connection is None or connection.rcv.queue.length == 0:
            return self._recv_nothing(connection)
        data = connection.read_piece(limit)
        if connection.need_ack:
            self._services.touch(connection)
            self._services.run()
        return data

    def recvfrom(self, limit: int, flags: int = 0) -> tuple[bytes, None]:
        """As recv; a stream's octets have no address of their own."""
        return self.recv(limit, flags), None

    # Inside -----------------------------------------------------------------------------------------------------

    def _take(self, limit: int, flags: int) -> tuple[bytes, int, None]:
        return self.recv(limit, flags), 0, None

    def _take_into(self, view: memoryview, flags: int) -> tuple[int, int, None]:
        self.check_open()
        connection = self.connection
        if flags & (MSG_PEEK | MSG_TRUNC | MSG_OOB | MSG_ERRQUEUE) or connection is None:
            data = self.recv(len(view), flags)
            if not flags & MSG_TRUNC:
                view[: len(data)] = data
            return len(data), 0, None
        if connection.rcv.queue.length == 0:
            return len(self._recv_nothing(connection)), 0, None
        count = connection.read_into(view)
        if connection.need_ack:
            self._services.touch(connection)
            self._services.run()
        return count, 0, None

    def _send_all(self, buffers: Sequence[bytes | memoryview], flags: int, address: Address | None) -> int:
        connection = self._writable(flags)
        room, total = connection.snd.room(), 0
        if connection.state in (SYN_SENT, SYN_RECEIVED) or (room == 0 and any(map(len, buffers))):
            raise os_error(errno.EAGAIN)
        for buffer in buffers:
            data = buffer if type(buffer) is bytes and len(buffer) <= room - total else bytes(buffer[: room - total])
            connection.write(data)
            total += len(data)
            if total == room:
                break
        self._services.touch(connection)
        self._services.run()
        return total

    def _writable(self, flags: int) -> Connection:
        """The connection, if it may be written to."""
        self.check_open()
        if error := self.take_error():
            raise os_error(error)
        connection = self.connection
        if connection is None or connection.write_shut:
            raise os_error(errno.EPIPE)
        if flags & MSG_OOB:
            raise os_error(errno.EOPNOTSUPP)
        return connection

    def _recv_nothing(self, connection: Connection | None) -> bytes:
        """Linux tcp_recvmsg with an empty queue: the end of the stream, or the error, once."""
        if connection is not None and connection.rcv.ended:
            return b""
        if error := self.take_error():
            raise os_error(error)
        if connection.read_shut if connection is not None else self._read_shut:
            return b""
        raise os_error(errno.EAGAIN if connection is not None else errno.ENOTCONN)


def _check_receiving(flags: int) -> None:
    """Linux tcp_recv_urg: there is no urgent data; inet_recv_error: there is no queue of errors."""
    if flags & MSG_ERRQUEUE:
        raise os_error(errno.EAGAIN)
    if flags & MSG_OOB:
        raise os_error(errno.EINVAL)
