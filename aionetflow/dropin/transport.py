"""What stream and datagram transports have in common: asyncio's transport over a virtual socket.

In every respect that a program or protocol can see they are asyncio's own selector transports: the order of calls, flow
control, texts of errors and warnings. Below, there is no selector: the core socket says when it has changed, and a turn
of the loop is asked for if there is something to do. What every message passes is compiled, in flow.py.
"""

import asyncio
import contextvars
import warnings
from asyncio import futures, transports
from asyncio.log import logger
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from typing import Any

from aionetflow.dropin.flow import Flow
from aionetflow.dropin.server import Server
from aionetflow.dropin.socket import VirtualSocket


class VirtualTransport(transports._FlowControlMixin):
    """The base of both kinds."""

    # of asyncio's base classes, where they are not typed
    _loop: Any
    _extra: dict[str, Any]
    _maybe_pause_protocol: Callable[[], None]
    _maybe_resume_protocol: Callable[[], None]
    _sock: VirtualSocket | None = None  # None until it is made, and after the connection was lost

    _make_flow: type[Flow]
    _flow: Flow

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: VirtualSocket, protocol: Any, waiter: asyncio.Future[None] | None,
        extra: dict[str, Any] | None, server: Server | None,
    ) -> None:  # fmt: skip
        super().__init__(extra, loop)
        if server is not None:
            server.attach(self)  # fails if it has been closed meanwhile: then nothing has been made
        self._server = server
        self._sock = sock
        self._description = sock.description
        self._context = contextvars.copy_context()
        self._flow = self._make_flow(self, loop, sock.description, self._context)
        self._extra["socket"] = TransportSocket(sock)
        self._extra["sockname"] = _name(sock.getsockname)
        self._extra.setdefault("peername", _name(sock.getpeername))
        self._protocol_connected = False
        self.set_protocol(protocol)
        self._description.transport = self
        self._description.taker = self._flow
        loop.call_soon(self._protocol.connection_made, self, context=self._context)
        loop.call_soon(self._start, context=self._context)
        if waiter is not None:
            loop.call_soon(futures._set_result_unless_cancelled, waiter, None)  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._sock is None:
            info.append("closed")
        elif self._flow.closing:
            info.append("closing")
        info.append(f"fd={self._description.core.fileno()}")
        if self._loop is not None and not self._loop.is_closed():
            info.append("read=polling" if self._flow.polling and self.is_reading() else "read=idle")
            info.append(f"write=<{'polling' if self._flow.buffer else 'idle'}, bufsize={self.get_write_buffer_size()}>")
        return f"<{' '.join(info)}>"

    # The transport's methods ------------------------------------------------------------------------------------

    def set_protocol(self, protocol: Any) -> None:
        """See asyncio.BaseTransport."""
        self._protocol = self._flow.protocol = protocol
        self._protocol_connected = True

    def get_protocol(self) -> Any:
        """See asyncio.BaseTransport."""
        return self._protocol

    def is_closing(self) -> bool:
        """See asyncio.BaseTransport."""
        return self._flow.closing

    @property
    def _closing(self) -> bool:
        # programs look at asyncio's, and at the next
        return self._flow.closing

    @property
    def _paused(self) -> bool:
        return self._flow.paused

    def is_reading(self) -> bool:
        """See asyncio.ReadTransport."""
        return self._flow.is_reading()

    def pause_reading(self) -> None:
        """See asyncio.ReadTransport."""
        if not self.is_reading():
            return
        self._flow.paused = True
        if self._loop.get_debug():
            logger.debug("%r pauses reading", self)

    def resume_reading(self) -> None:
        """See asyncio.ReadTransport."""
        flow = self._flow
        if flow.closing or not flow.paused:
            return
        flow.paused = False
        flow.polling = True
        flow.changed()
        if self._loop.get_debug():
            logger.debug("%r resumes reading", self)

    def get_write_buffer_size(self) -> int:
        """Octets that the send buffer below had no room for."""
        return self._flow.buffered

    def close(self) -> None:
        """See asyncio.BaseTransport: what is buffered is still sent."""
        flow = self._flow
        if flow.closing:
            return
        flow.closing = True
        if not flow.buffer:
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

    def _start(self) -> None:
        if self.is_reading():
            self._flow.polling = True
            self._flow.changed()

    def _write_ready(self) -> None:
        """The socket may take what waits."""
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
        flow = self._flow
        if flow.conn_lost or self._sock is None:
            return
        flow.buffer = None
        flow.buffered = 0
        flow.closing = True
        self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        self._flow.conn_lost += 1
        if not self._loop.is_closed():
            self._loop.call_soon(self._call_connection_lost, exc, context=self._context)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        sock = self._sock
        try:
            if self._protocol_connected:
                self._protocol.connection_lost(exc)
        finally:
            self._flow.stop()
            self._description.transport = self._description.taker = None
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
