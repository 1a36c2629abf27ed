"""The calls of a virtual socket that move data: those of socket.socket, over the core socket's."""

import errno
import socket
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

from aionetflow.dropin.arguments import checked
from aionetflow.dropin.description import Description
from aionetflow.errors import os_error
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SIOCATMARK
from aionetflow.socket.stream import StreamSocket

_T = TypeVar("_T")
Core = StreamSocket | DatagramSocket
_NOW = socket.MSG_DONTWAIT | socket.MSG_OOB | socket.MSG_ERRQUEUE  # flags of a recv() that does not wait


class DataCalls(socket.socket):
    """The half of VirtualSocket that reads and writes."""

    __slots__ = ("description",)
    description: Description

    @property
    @abstractmethod
    def core(self) -> Core:
        """The control block below; OSError(EBADF) once the socket object is closed."""

    @checked
    def send(self, data: Any, flags: int = 0) -> int:
        """See send(2)."""
        return self._retry("send", lambda: self.core.send(data, flags), flags)

    @checked
    def sendall(self, data: Any, flags: int = 0) -> None:
        """Sends all of it; see socket.sendall()."""
        rest = memoryview(data).cast("B")
        while len(rest):
            rest = rest[self.send(rest, flags) :]

    @checked
    def sendto(self, data: Any, *flags_and_address: Any) -> int:
        """sendto(data, address) or sendto(data, flags, address); see sendto(2)."""
        if not 1 <= len(flags_and_address) <= 2:
            raise TypeError(f"sendto() takes 2 or 3 arguments ({1 + len(flags_and_address)} given)")
        flags = flags_and_address[0] if len(flags_and_address) == 2 else 0
        address = self.checked_address("sendto", flags_and_address[-1])
        attempt: Callable[[], int] = partial(self._sendto, data, address, flags)
        if flags & socket.MSG_FASTOPEN:
            attempt = self._opening(attempt, memoryview(data).cast("B"), flags)
        return self._retry("sendto", attempt, flags)

    @checked
    def sendmsg(self, buffers: Iterable[Any], ancdata: Any = (), flags: int = 0, address: Any = None) -> int:
        """See sendmsg(2); ancillary data: socket/ancillary.py."""
        if address is not None:
            address = self.checked_address("sendmsg", address)
        pieces, ancillary = list(buffers), list(ancdata)
        attempt: Callable[[], int] = partial(self._sendmsg, pieces, ancillary, flags, address)
        if flags & socket.MSG_FASTOPEN:
            attempt = self._opening(attempt, memoryview(b"".join(pieces)), flags)
        return self._retry("sendmsg", attempt, flags)

    @checked
    def recv(self, bufsize: int, flags: int = 0) -> bytes:
        """See recv(2)."""
        if self._waits_for_all(flags):
            return b"".join(self._pieces("recv", bufsize, flags))
        return self._retry("recv", lambda: self._recv(bufsize, flags), flags)

    @checked
    def recvfrom(self, bufsize: int, flags: int = 0) -> tuple[bytes, Any]:
        """See recvfrom(2)."""
        return self._retry("recvfrom", lambda: self.core.recvfrom(bufsize, flags), flags)

    @checked
    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """See recv(2)."""
        if self._waits_for_all(flags):
            view = memoryview(buffer).cast("B")
            data = b"".join(self._pieces("recv_into", min(nbytes or len(view), len(view)), flags))
            view[: len(data)] = data
            return len(data)
        count = nbytes or len(memoryview(buffer).cast("B"))
        return self._retry("recv_into", lambda: self._enough(count, flags).recv_into(buffer, nbytes, flags), flags)

    @checked
    def recvfrom_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> tuple[int, Any]:
        """See recvfrom(2)."""
        return self._retry("recvfrom_into", lambda: self.core.recvfrom_into(buffer, nbytes, flags), flags)

    @checked
    def recvmsg(self, bufsize: int, ancbufsize: int = 0, flags: int = 0) -> tuple[bytes, list[Any], int, Any]:
        """See recvmsg(2); ancillary data: socket/ancillary.py."""
        return self._retry("recvmsg", lambda: self.core.recvmsg(bufsize, ancbufsize, flags), flags)

    @checked
    def recvmsg_into(
        self, buffers: Iterable[Any], ancbufsize: int = 0, flags: int = 0
    ) -> tuple[int, list[Any], int, Any]:
        """See recvmsg(2); ancillary data: socket/ancillary.py."""
        pieces = list(buffers)
        return self._retry("recvmsg_into", lambda: self.core.recvmsg_into(pieces, ancbufsize, flags), flags)

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """See socket.sendfile(): the file is read and sent piece by piece."""
        sent: int = self._sendfile_use_send(file, offset, count)  # type: ignore[attr-defined]
        return sent

    # What opens a connection --------------------------------------------------------------------------------------

    def _sendto(self, data: Any, address: Any, flags: int) -> int:
        if flags & socket.MSG_FASTOPEN:
            self.lead_out(address)
        return self.core.sendto(data, address, flags)

    def _sendmsg(self, pieces: list[Any], ancillary: list[Any], flags: int, address: Any) -> int:
        if flags & socket.MSG_FASTOPEN and address is not None:
            self.lead_out(address)
        return self.core.sendmsg(pieces, ancillary, flags, address)

    def _opening(self, first: Callable[[], int], data: memoryview, flags: int) -> Callable[[], int]:
        """A call with MSG_FASTOPEN as one that may be tried again: connects, and sends all of data.

        Where the socket waits that is until the handshake has ended (Linux __inet_stream_connect).
        """
        if self.gettimeout() == 0 or flags & socket.MSG_DONTWAIT or not isinstance(self.core, StreamSocket):
            return first
        sent = -1

        def attempt() -> int:
            nonlocal sent
            core = self.core
            assert isinstance(core, StreamSocket)
            if sent < 0:
                sent = 0
                with suppress(BlockingIOError):  # on one host it may be over all the same
                    sent = first()
            if core.is_connecting():
                raise os_error(errno.EAGAIN)
            core.end_connecting()
            while sent < len(data):
                sent += core.send(data[sent:])
            return sent

        return attempt

    # What waits for more than an octet ----------------------------------------------------------------------------

    def _waits_for_all(self, flags: int) -> bool:
        """Whether MSG_WAITALL means something: on a stream whose calls wait for ever (CPython waits before others)."""
        odd = socket.MSG_DONTWAIT | socket.MSG_PEEK | socket.MSG_OOB | socket.MSG_ERRQUEUE
        stream = isinstance(self.description.core, StreamSocket)
        return flags & (socket.MSG_WAITALL | odd) == socket.MSG_WAITALL and stream and self.gettimeout() is None

    def _pieces(self, call: str, count: int, flags: int) -> Iterator[bytes]:
        """count octets in pieces, fewer at the end of the stream and before urgent data."""
        while True:
            piece = self._retry(call, partial(self._recv, count, flags))
            yield piece
            count -= len(piece)
            if count <= 0 or not piece or self._ends_here():
                return

    def _ends_here(self) -> bool:
        """Whether a recv() that has something takes no more: an error is for the next one to hear."""
        core = self.core
        assert isinstance(core, StreamSocket)
        connection = core.connection
        over = connection is not None and connection.rcv.queue.length == 0 and bool(connection.error)
        return over or bool(core.ioctl(SIOCATMARK))

    def _recv(self, count: int, flags: int) -> bytes:
        return self._enough(count, flags).recv(count, flags)

    def _enough(self, count: int, flags: int) -> Core:
        """The core socket, once it has as much as a call that waits is to wait for (SO_RCVLOWAT)."""
        core = self.core
        if not isinstance(core, StreamSocket) or core.connection is None or flags & _NOW or self.gettimeout() == 0:
            return core
        wanted = min(count, core.connection.rcv.low_water)
        if wanted > 1 and not core.has(wanted):
            raise os_error(errno.EAGAIN)
        return core

    # What VirtualSocket fills in ----------------------------------------------------------------------------------

    @abstractmethod
    def _retry(self, name: str, attempt: Callable[[], _T], flags: int = 0) -> _T:
        """Makes a call; waits if it would block and the socket is one that does. poll(2) is told of what it changes."""

    @abstractmethod
    def lead_out(self, target: Any) -> None:
        """The socket is about to connect to a literal address."""

    @abstractmethod
    def checked_address(self, call: str, address: Any) -> Any:
        """An address that was given to a call, checked, its host's name replaced by an address."""
