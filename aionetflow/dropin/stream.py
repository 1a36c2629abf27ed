"""The stream transport: asyncio.Transport over a virtual TCP socket."""

import asyncio
import sys
from asyncio import constants, protocols
from asyncio.log import logger
from collections.abc import Iterable
from typing import Any

from aionetflow.dropin.server import Server
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.dropin.transport import LOG_THRESHOLD, MAX_READ, VirtualTransport
from aionetflow.socket.options import IPPROTO_TCP, SHUT_WR, TCP_NODELAY
from aionetflow.socket.stream import StreamSocket

_WRITELINES = "writelines" if sys.version_info >= (3, 12) else "write"  # which of the two asyncio names


class StreamTransport(VirtualTransport, asyncio.Transport):
    """What create_connection() and servers make."""

    _start_tls_compatible = True  # for start_tls() and sendfile() of asyncio
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE
    _core: StreamSocket

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: VirtualSocket, protocol: Any,
        waiter: asyncio.Future[None] | None = None, extra: dict[str, Any] | None = None, server: Server | None = None,
    ) -> None:  # fmt: skip
        self._eof = False
        self._empty_waiter: asyncio.Future[None] | None = None
        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)  # as uvloop; asyncio where the program named the protocol
        super().__init__(loop, sock, protocol, waiter, extra, server)

    def set_protocol(self, protocol: Any) -> None:
        """See asyncio.BaseTransport."""
        self._buffered_protocol = isinstance(protocol, protocols.BufferedProtocol)
        super().set_protocol(protocol)

    # Reading ----------------------------------------------------------------------------------------------------

    def _read_ready(self) -> None:
        step = "data_received"
        try:
            if self._buffered_protocol:
                step = "get_buffer"
                buffer = self._protocol.get_buffer(-1)
                if not len(buffer):
                    raise RuntimeError("get_buffer() returned an empty buffer")
                count = self._receive(buffer)
                if count > 0:
                    step = "buffer_updated"
                    self._protocol.buffer_updated(count)
                return
            data = self._receive_bytes()
            if data:
                self._protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, f"Fatal error: protocol.{step}() call failed.")

    def _receive_bytes(self) -> bytes:
        """What there is to read, some of it; at the end of the stream, or after an error, nothing."""
        try:
            data = self._core.recv(MAX_READ)
        except BlockingIOError:
            return b""
        except OSError as exc:
            self._fatal_error(exc, "Fatal read error on socket transport")
            return b""
        if not data:
            self._read_eof()
        return data

    def _receive(self, buffer: bytearray | memoryview) -> int:
        try:
            count = self._core.recv_into(buffer)
        except BlockingIOError:
            return 0
        except (OSError, TypeError) as exc:  # what the protocol gave is no buffer
            self._fatal_error(exc, "Fatal read error on socket transport")
            return 0
        if not count:
            self._read_eof()
        return count

    def _read_eof(self) -> None:
        if self._loop.get_debug():
            logger.debug("%r received EOF", self)
        self._polling = False
        try:
            keep_open = self._protocol.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal error: protocol.eof_received() call failed.")
            return
        if not keep_open:
            self.close()

    # Writing ----------------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """See asyncio.WriteTransport."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._empty_waiter is not None:
            raise RuntimeError("unable to write; sendfile is in progress")
        if not data:
            return
        if self._conn_lost:
            if self._conn_lost >= LOG_THRESHOLD:
                logger.warning("socket.send() raised exception.")
            self._conn_lost += 1
            return
        if not self._buffer:
            sent = self._send(data)
            if sent < 0 or sent == _octets(data):
                return
            data = memoryview(data).cast("B")[sent:]
        self._keep(data)
        self.changed()  # on one host what was taken may have been delivered by now, and left room
        self._maybe_pause_protocol()

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """See asyncio.WriteTransport."""
        if self._eof:
            raise RuntimeError(f"Cannot call {_WRITELINES}() after write_eof()")
        if self._empty_waiter is not None:
            raise RuntimeError(f"unable to {_WRITELINES}; sendfile is in progress")
        self.write(b"".join(map(memoryview, list_of_data) if _WRITELINES == "writelines" else list_of_data))

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def write_eof(self) -> None:
        """See asyncio.WriteTransport."""
        if self._closing or self._eof:
            return
        self._eof = True
        if not self._buffer:
            self._core.shutdown(SHUT_WR)

    def _send(self, data: Any) -> int:
        """Octets that the stack took; -1 if that failed."""
        try:
            sent = self._core.send(data)
        except BlockingIOError:
            return 0
        except OSError as exc:
            self._fatal_error(exc, "Fatal write error on socket transport")
            if self._empty_waiter is not None:
                self._empty_waiter.set_exception(exc)
            return -1
        self._description.reflect()
        return sent

    def _keep(self, data: Any) -> None:
        view = memoryview(data).cast("B")
        # what the program may change meanwhile is copied, also what is below a view that is read-only
        self._buffer.append(view if type(view.obj) is bytes else bytes(view))
        self._buffered += len(view)

    def _write_ready(self) -> None:
        buffer = self._buffer
        while buffer:
            piece = buffer[0]
            sent = self._send(piece)
            if sent < 0:
                return
            self._buffered -= sent
            if sent < len(piece):
                buffer[0] = piece[sent:]
                break
            buffer.popleft()
        self._maybe_resume_protocol()  # may write more
        if buffer:
            return
        if self._empty_waiter is not None:
            self._empty_waiter.set_result(None)
        if self._closing:
            self._conn_lost += 1
            self._call_connection_lost(None)
        elif self._eof:
            self._core.shutdown(SHUT_WR)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        super()._call_connection_lost(exc)
        if self._empty_waiter is not None and not self._empty_waiter.done():
            self._empty_waiter.set_exception(ConnectionError("Connection is closed by peer"))

    # For asyncio's sendfile() -----------------------------------------------------------------------------------

    def _make_empty_waiter(self) -> "asyncio.Future[None]":
        if self._empty_waiter is not None:
            raise RuntimeError("Empty waiter is already set")
        self._empty_waiter = self._loop.create_future()
        if not self._buffer:
            self._empty_waiter.set_result(None)
        return self._empty_waiter

    def _reset_empty_waiter(self) -> None:
        self._empty_waiter = None


def _octets(data: Any) -> int:
    return data.nbytes if isinstance(data, memoryview) else len(data)
