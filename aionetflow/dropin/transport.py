"""What stream and datagram transports have in common: asyncio's transport over a virtual socket.

In every respect that a program or protocol can see they are asyncio's own selector transports: the order of calls, flow
control, texts of errors and warnings. Below, there is no selector: the core socket says when it has changed, and a turn
of the loop is asked for if there is something to do. What every message passes is compiled, in flow.py.
"""

import asyncio
import warnings
from asyncio import transports
from asyncio.log import logger
from asyncio.trsock import TransportSocket
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any

from aionetflow.dropin.description import Description
from aionetflow.dropin.flow import Flow
from aionetflow.dropin.server import Server
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.dropin.threads import ask
from aionetflow.ip.address import endpoint

_FOUND = frozenset(("socket", "sockname", "peername"))  # what a transport can say of itself
_default: Any = transports._FlowControlMixin(loop=object())  # type: ignore[arg-type]
_HIGH_WATER, _LOW_WATER = _default._high_water, _default._low_water


class VirtualTransport(transports._FlowControlMixin):
    """The base of both kinds.

    It is over a virtual socket, or over the description of one that there is no object of; that is made when somebody
    asks for it.
    """

    # of asyncio's base classes, where they are not typed
    _loop: Any
    _maybe_pause_protocol: Callable[[], None]
    _maybe_resume_protocol: Callable[[], None]
    _protocol_paused: bool
    _high_water: int
    _low_water: int

    __slots__ = ("_flow", "_server", "_told", "_made", "_description", "__dict__", "__weakref__")
    _make_flow: type[Flow]
    _flow: Flow
    _description: Description | None  # None until it is made, and after the connection was lost
    _made: VirtualSocket | None  # the object of the socket
    _told: dict[str, Any] | None  # what get_extra_info() says, once that has been found out

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: VirtualSocket | Description, protocol: Any,
        waiter: asyncio.Future[None] | None, extra: dict[str, Any] | None, server: Server | None,
        context: Context | None = None,
    ) -> None:  # fmt: skip
        # What asyncio's base classes do, without calling them.
        self._loop = loop
        self._protocol_paused = False
        self._high_water, self._low_water = _HIGH_WATER, _LOW_WATER
        self._description = None
        if server is not None:
            server.attach(self)  # fails if it has been closed meanwhile: then nothing has been made
        self._server = server
        if isinstance(sock, Description):
            self._made, description = None, sock
        else:
            self._made, description = sock, sock.description
        self._description = description
        if context is None:
            context = copy_context()
        self._flow = flow = self._make_flow(self, loop, description, context)
        core = description.core
        self._told = None
        if extra is not None or not core.is_connected():
            self._told = extra = {} if extra is None else extra
            extra["socket"] = TransportSocket(self._socket())
            extra["sockname"] = _name(core.getsockname)
            extra.setdefault("peername", _name(core.getpeername))
        self.set_protocol(protocol)
        description.transport = self
        description.taker = flow
        loop.call_soon(protocol.connection_made, self, context=context)
        loop.call_soon(self._start, waiter, context=context)

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._description is None:
            info.append("closed")
        elif self._flow.closing:
            info.append("closing")
        info.append(f"fd={self._flow.description.core.fileno()}")
        if self._loop is not None and not self._loop.is_closed():
            info.append("read=polling" if self._flow.polling and self.is_reading() else "read=idle")
            info.append(f"write=<{'polling' if self._flow.buffer else 'idle'}, bufsize={self.get_write_buffer_size()}>")
        return f"<{' '.join(info)}>"

    # What programs look for in asyncio's transports ---------------------------------------------------------------

    @property
    def _sock(self) -> VirtualSocket | None:
        """The virtual socket; None after the connection was lost."""
        return None if self._description is None else self._socket()

    @property
    def _protocol(self) -> Any:
        return self._flow.protocol

    @property
    def _extra(self) -> dict[str, Any]:
        extra = self._told
        if extra is None:
            core = self._flow.description.core
            extra = self._told = {
                "peername": endpoint(core.family, core.remote, core.remote_port),
                "socket": TransportSocket(self._socket()),
                "sockname": endpoint(core.family, core.local, core.local_port),
            }
        return extra

    # The transport's methods ------------------------------------------------------------------------------------

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """See asyncio.BaseTransport."""
        if self._told is None:
            if name not in _FOUND:
                return default
            if name == "peername":  # which servers ask for, and nothing else
                core = self._flow.description.core
                return endpoint(core.family, core.remote, core.remote_port)
        return self._extra.get(name, default)

    def set_protocol(self, protocol: Any) -> None:
        """See asyncio.BaseTransport."""
        self._flow.protocol = protocol

    def get_protocol(self) -> Any:
        """See asyncio.BaseTransport."""
        return self._flow.protocol

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
        if self._description is not None:
            _warn(f"unclosed transport {self!r}", ResourceWarning, source=self)
            self._socket().close()
            if self._server is not None:
                self._server.detach(self)

    def _start(self, waiter: "asyncio.Future[None] | None") -> None:
        flow = self._flow
        if not flow.closing and not flow.paused:
            flow.polling = True
            flow.changed()
        if waiter is not None and not waiter.cancelled():
            waiter.set_result(None)

    def _socket(self) -> VirtualSocket:
        """The object of the socket; made now if nobody has asked for it before."""
        sock = self._made
        if sock is None:
            description = self._flow.description
            sock = self._made = VirtualSocket(description.host, proto=description.proto, description=description)
            sock.setblocking(False)
            if self._description is None:
                sock.give_up()
        return sock

    def _close_socket(self) -> None:
        description = self._description
        if self._made is not None:
            self._made.close()
        elif description is not None:
            ask(description.loop, description.release)
        self._description = None

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
                {"message": message, "exception": exc, "transport": self, "protocol": self._flow.protocol}
            )
        self._force_close(exc)

    def _force_close(self, exc: BaseException | None) -> None:
        flow = self._flow
        if flow.conn_lost or self._description is None:
            return
        flow.buffer = None
        flow.buffered = 0
        flow.closing = True
        self._lose(exc)

    def _lose(self, exc: BaseException | None) -> None:
        self._flow.conn_lost += 1
        if not self._loop.is_closed():
            self._loop.call_soon(self._call_connection_lost, exc, context=self._flow.context)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        flow = self._flow
        try:
            flow.protocol.connection_lost(exc)
        finally:
            flow.stop()
            description = flow.description
            description.transport = description.taker = None
            self._close_socket()
            self._loop = None
            if self._server is not None:
                self._server.detach(self)
                self._server = None


def _name(ask: Any) -> Any:
    try:
        return ask()
    except OSError:
        return None
