"""How data gets into and out of a TCP socket."""

import errno
from collections import deque
from collections.abc import Sequence

from aionetflow.errors import os_error
from aionetflow.ip.address import Address
from aionetflow.socket.ancillary import Item, Told, fitted, of_error
from aionetflow.socket.base import Owner
from aionetflow.socket.data import Buffer, DataSocket
from aionetflow.socket.error_queue import OVERHEAD, take_told
from aionetflow.socket.fast_open import early_room
from aionetflow.socket.options import MSG_ERRQUEUE, MSG_FASTOPEN, MSG_MORE, MSG_OOB, MSG_PEEK, MSG_TRUNC
from aionetflow.socket.services import Services
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.states import CLOSED, SYN_RECEIVED, SYN_SENT
from aionetflow.tcp.urgent import is_sending, read_until_mark, send_urgent, take_urgent


class StreamData(DataSocket):
    """The half of StreamSocket that reads and writes."""

    def _set_up(self, services: Services, fd: int, owner: Owner, family: int) -> None:
        DataSocket._set_up(self, services, fd, owner, family)
        self.connection: Connection | None = None
        self._errors: deque[Told] | None = None  # for MSG_ERRQUEUE; None: there are none
        self._read_shut = False  # by shutdown() without a connection: it fails, and yet is seen by poll()

    def send(self, data: Buffer, flags: int = 0) -> int:
        """Puts as much of data into the send buffer as fits, and says how much that was (send(2)).

        With MSG_MORE a segment that is not full waits for more, with MSG_OOB the last octet is urgent. BlockingIOError
        if nothing fits; BrokenPipeError after shutdown, or if there is no connection.
        """
        connection = self._writable(flags)
        room = connection.room()
        if connection.state in (SYN_SENT, SYN_RECEIVED):
            room = early_room(connection)
        if room == 0 and len(data):
            raise os_error(errno.EAGAIN)
        if type(data) is not bytes:
            data = bytes(memoryview(data).cast("B")[:room])
        size = len(data)
        if size > room:
            size = room
            connection.write_part(data, 0, size)
        else:
            connection.write(data)
        self._written(connection, size, flags if size else 0)
        return size

    def send_rest(self, data: bytes, start: int) -> int:
        """As send, of what follows start in data: nothing is copied."""
        connection = self._writable(0)
        room = connection.room()
        if connection.state in (SYN_SENT, SYN_RECEIVED):
            room = early_room(connection)
        if room == 0:
            raise os_error(errno.EAGAIN)
        size = min(len(data) - start, room)
        connection.write_part(data, start, start + size)
        self._written(connection, size, 0)
        return size

    def sendto(self, data: Buffer, address: Address, flags: int = 0) -> int:
        """As send; the address is looked at with MSG_FASTOPEN alone: then connect() comes first, and goes with it."""
        if flags & MSG_FASTOPEN:
            self.open_fast(address)
        return self.send(data, flags & ~MSG_FASTOPEN)

    def recv(self, limit: int, flags: int = 0) -> bytes:
        """Takes up to limit octets of what has arrived (recv(2)); b"" at the end of the stream.

        BlockingIOError if nothing is there yet; with MSG_PEEK the octets stay, with MSG_OOB it is the urgent one.
        """
        self.check_open()
        if limit < 0:
            raise ValueError("negative buffersize in recv")
        if flags & MSG_ERRQUEUE:
            return self._take_message(limit, 0, flags)[0]
        connection = self.connection
        if flags & MSG_OOB and not self.is_listening():
            return take_urgent(connection, limit, flags & MSG_PEEK != 0)
        if connection is None or connection.rcv.queue.length == 0:
            return self._recv_nothing(connection)
        if connection.urgent is not None:
            return self._recv_beside_urgent(connection, limit, flags & MSG_PEEK != 0)
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
        if connection.urgent is not None:
            return self._recv_beside_urgent(connection, limit, False)
        data = connection.read_piece(limit)
        if connection.need_ack:
            self._services.touch(connection)
            self._services.run()
        return data

    def has(self, count: int) -> bool:
        """Whether a recv() that waits for count octets (MSG_WAITALL, SO_RCVLOWAT) waits no longer.

        They are here, or no more will come, or half of the buffer is full: more is taken piece by piece.
        """
        connection = self.connection
        if connection is None or connection.error or connection.read_shut or connection.state == CLOSED:
            return True
        rcv = connection.rcv
        return rcv.queue.length >= min(count, rcv.limit // 2)

    def recvfrom(self, limit: int, flags: int = 0) -> tuple[bytes, None]:
        """As recv; a stream's octets have no address of their own."""
        return self.recv(limit, flags), None

    def keep_error(self, told: Told) -> None:
        """Queues an error for MSG_ERRQUEUE, if there is room (Linux sock_queue_err_skb)."""
        if self._errors is None:
            self._errors = deque()
        if len(self._errors) * OVERHEAD < self.receive_buffer:
            self._errors.append(told)

    # Inside -----------------------------------------------------------------------------------------------------

    def _take(self, limit: int, flags: int) -> tuple[bytes, int, None]:
        return self.recv(limit, flags), 0, None

    def _take_message(
        self, limit: int, room: int, flags: int
    ) -> tuple[bytes, list[Item], int, Address | None]:
        """As of data, or with MSG_ERRQUEUE the next error, about what it quotes (Linux inet_recv_error)."""
        if not flags & MSG_ERRQUEUE:
            return DataSocket._take_message(self, limit, room, flags)
        self.check_open()
        told, error = take_told(self._errors)
        if not self._errors:
            self._errors = None
        if error >= 0 and self.connection is not None:
            self.connection.error = error
        elif error >= 0:
            self.error = error
        given, said = fitted(of_error(self.asked, self.family, told), room)
        said |= MSG_ERRQUEUE | (MSG_TRUNC if len(told.data) > limit else 0)
        return told.data[:limit], given, said, told.address

    def _take_into(self, view: memoryview, flags: int) -> tuple[int, int, None]:
        self.check_open()
        connection = self.connection
        odd = flags & (MSG_PEEK | MSG_TRUNC | MSG_OOB | MSG_ERRQUEUE) != 0
        if odd or connection is None or connection.urgent is not None:
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
        if flags & MSG_FASTOPEN:
            self.open_fast(address)
        connection = self._writable(flags)
        room, total = connection.room(), 0
        if connection.state in (SYN_SENT, SYN_RECEIVED):
            room = early_room(connection)
        if room == 0 and any(map(len, buffers)):
            raise os_error(errno.EAGAIN)
        for buffer in buffers:
            data = buffer if type(buffer) is bytes and len(buffer) <= room - total else bytes(buffer[: room - total])
            connection.write(data)
            total += len(data)
            if total == room:
                break
        self._written(connection, total, flags if total else 0)
        return total

    def open_fast(self, address: Address | None) -> None:
        """The part of a send() with MSG_FASTOPEN that is a connect()."""
        raise NotImplementedError

    def _writable(self, flags: int) -> Connection:
        """The connection, if it may be written to."""
        self.check_open()
        if error := self.take_error():
            raise os_error(error)
        connection = self.connection
        if connection is None and flags & MSG_FASTOPEN:
            self.open_fast(None)
        if connection is None or connection.write_shut:
            raise os_error(errno.EPIPE)
        return connection

    def _written(self, connection: Connection, size: int, flags: int) -> None:
        """So many octets have come into the send buffer."""
        snd = connection.snd
        snd.more = flags & MSG_MORE != 0
        if size:
            snd.wrote(size, snd.more)
        if flags & MSG_OOB:
            send_urgent(connection)
        if connection.urgent is not None and is_sending(connection):
            snd.push_once = True  # Linux tcp_nagle_test: what is urgent does not wait
        self._services.touch(connection)
        self._services.run()

    def _recv_beside_urgent(self, connection: Connection, limit: int, peek: bool) -> bytes:
        """recv() of a connection that has or had urgent data."""
        data = read_until_mark(connection, limit, peek)
        if not peek:
            connection.after_read()
            if connection.need_ack:
                self._services.touch(connection)
                self._services.run()
        return data if data or limit == 0 else self._recv_nothing(connection)

    def _recv_nothing(self, connection: Connection | None) -> bytes:
        """Linux tcp_recvmsg with an empty queue: the end of the stream, or the error, once."""
        if connection is not None and connection.rcv.ended:
            return b""
        if error := self.take_error():
            raise os_error(error)
        if connection.read_shut if connection is not None else self._read_shut:
            return b""
        raise os_error(errno.EAGAIN if connection is not None else errno.ENOTCONN)
