"""What stream and datagram transports have in common: asyncio's transport over a virtual socket.

In every respect that a program or protocol can see they are asyncio's own selector transports: the order of calls, flow
control, texts of errors and warnings. Below, there is no selector: the core socket says when it has changed, and a turn
of the loop is asked for if there is something to do.
"""

import asyncio
import contextvars
import warnings
from asyncio import futures, transports
from asyncio.log import logger
from asyncio.trsock import TransportSocket
from collections import deque
from collections.abc import Callable
from typing import Any

from aionetflow.dropin.description import READABLE, WRITABLE, ready
from aionetflow.dropin.server import Server
from aionetflow.dropin.socket import VirtualSocket

LOG_THRESHOLD = 5  # asyncio's: so many writes after the connection was lost are not worth a warning
MAX_READ = 65536  # octets handed to a protocol at once: what a bytearray of glibc's heap takes without page faults


class VirtualTransport(transports._FlowControlMixin):
    """The base of both kinds."""

    # of asyncio's base classes, where they are not typed
    _loop: Any
    _extra: dict[str, Any]
    _maybe_pause_protocol: Callable[[], None]
    _maybe_resume_protocol: Callable[[], None]
    _sock: VirtualSocket | None = None  # None until it is made, and after the connection was lost

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: VirtualSocket, protocol: Any, waiter: asyncio.Future[None] | None,
        extra: dict[str, Any] | None, server: Server | None,
    ) -> None:  # fmt: skip
        super().__init__(extra, loop)
        if server is not None:
            server.attach(self)  # fails if it has been closed meanwhile: then nothing has been made
        self._server = server
        self._sock = sock
        self._core = sock.core
        self._description = sock.description
        self._extra["socket"] = TransportSocket(sock)
        self._extra["sockname"] = _name(sock.getsockname)
        self._extra.setdefault("peername", _name(sock.getpeername))
        self._context = contextvars.copy_context()
        self._protocol_connected = False
        self._buffer: deque[Any] = deque()
        self._buffered = 0
        self._conn_lost = 0  # set when a call of connection_lost is scheduled
        self._closing = False
        self._paused = False
        self._polling = False  # reads what comes: not before connection_made(), not after the end of the stream
        self._turn: asyncio.Handle | None = None
        self.set_protocol(protocol)
        self._description.transport = self
        loop.call_soon(self._protocol.connection_made, self, context=self._context)
        loop.call_soon(self._start, context=self._context)
        if waiter is not None:
            loop.call_soon(futures._set_result_unless_cancelled, waiter, None)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._sock is None:
            info.append("closed")
        elif self._closing:
            info.append("closing")
        info.append(f"fd={self._core.fileno()}")
        if self._loop is not None and not self._loop.is_closed():
            info.append("read=polling" if self._polling and self.is_reading() else "read=idle")
            info.append(f"write=<{'polling' if self._buffer else 'idle'}, bufsize={self.get_write_buffer_size()}>")
        return f"<{' '.join(info)}>"

    # The transport's methods ------------------------------------------------------------------------------------

    def set_protocol(self, protocol: Any) -> None:
        """See asyncio.BaseTransport."""
        self._protocol = protocol
        self._protocol_connected = True

    def get_protocol(self) -> Any:
        """See asyncio.BaseTransport."""
        return self._protocol

    def is_closing(self) -> bool:
        """See asyncio.BaseTransport."""
        return self._closing

    def is_reading(self) -> bool:
        """See asyncio.ReadTransport."""
        return not self._closing and not self._paused

    def pause_reading(self) -> None:
        """See asyncio.ReadTransport."""
        if not self.is_reading():
            return
        self._paused = True
        if self._loop.get_debug():
            logger.debug("%r pauses reading", self)

    def resume_reading(self) -> None:
        """See asyncio.ReadTransport."""
        if self._closing or not self._paused:
            return
        self._paused = False
        self._polling = True
        self.changed()
        if self._loop.get_debug():
            logger.debug("%r resumes reading", self)

    def get_write_buffer_size(self) -> int:
        """Octets that the send buffer below had no room for."""
        return self._buffered

    def close(self) -> None:
        """See asyncio.BaseTransport: what is buffered is still sent."""
        if self._closing:
            return
        self._closing = True
        if not self._buffer:
            self._lose(None)

    def abort(self) -> None:
        """See asyncio.WriteTransport: what is buffered here is dropped, what the stack has is still sent."""
        self._force_close(None)

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if self._sock is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._sock.close()
            if self._server is not None:
                self._server.detach(self)

    # The socket's side ------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """The socket has changed: what that calls for is done in the loop's next turn.

        While the loop is not run, in the turn after its next: a loop looks at the kernel's sockets once it runs, and
        what was begun before comes first.
        """
        if self._turn is None and self._has_work() and not self._loop.is_closed():
            work = self._work if self._loop.is_running() else self._work_next_turn
            self._turn = self._loop.call_soon(work, context=self._context)

    def _work_next_turn(self) -> None:
        self._turn = self._loop.call_soon(self._work, context=self._context)

    def _has_work(self) -> bool:
        if self._conn_lost:
            return False
        if self._core.closed:
            return True
        wanted = WRITABLE if self._buffer else 0
        if self._polling and not self._paused and not self._closing:
            wanted |= READABLE
        return wanted != 0 and ready(self._core) & wanted != 0

    def _start(self) -> None:
        if self.is_reading():
            self._polling = True
            self.changed()

    def _work(self) -> None:
        """One turn's work: what waits is written, something is read."""
        self._turn = None
        if self._core.closed:
            self._force_close(ConnectionAbortedError("the network has ended"))
            return
        try:
            if self._buffer and not self._conn_lost:
                self._write_ready()
            if self._polling and self.is_reading() and ready(self._core) & READABLE:
                self._read_ready()
        finally:
            if self._loop is not None:
                self._description.reflect()
                self.changed()

    def _write_ready(self) -> None:
        raise NotImplementedError

    def _read_ready(self) -> None:
        raise NotImplementedError

    # Endings ----------------------------------------------------------------------------------------------------

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=True)
        else:
            self._loop.call_exception_handler(
                {"message": message, "exception": exc, "transport": self, "protocol": self._protocol}
            )
        self._force_close(exc)

    def _force_close(self, exc: BaseException | None) -> None:
        if self._conn_lost or self._sock is None:
            return
        self._buffer.clear()
        self._buffered = 0
        self._closing = True
        self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        self._conn_lost += 1
        if not self._loop.is_closed():
            self._loop.call_soon(self._call_connection_lost, exc, context=self._context)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        sock = self._sock
        try:
            if self._protocol_connected:
                self._protocol.connection_lost(exc)
        finally:
            if self._turn is not None:
                self._turn.cancel()
            self._description.transport = None
            if sock is not None:
                sock.close()
            self._sock = self._protocol = self._loop = None
            if self._server is not None:
                self._server.detach(self)
                self._server = None


def _name(ask: Any) -> Any:
    try:
        return ask()
    except OSError:
        return None
