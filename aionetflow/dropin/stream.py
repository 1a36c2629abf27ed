"""The stream transport: asyncio.Transport over a virtual TCP socket."""

import asyncio
import sys
from asyncio import constants, protocols
from asyncio.log import logger
from collections.abc import Iterable
from contextvars import Context
from typing import Any

from aionetflow.dropin.description import Description
from aionetflow.dropin.flow import StreamFlow
from aionetflow.dropin.server import Server
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.dropin.transport import VirtualTransport
from aionetflow.socket.options import SHUT_WR
from aionetflow.socket.stream import StreamSocket

_WRITELINES = "writelines" if sys.version_info >= (3, 12) else "write"  # which of the two asyncio names


class StreamTransport(VirtualTransport, asyncio.Transport):
    """What create_connection() and servers make."""

    __slots__ = ()
    _start_tls_compatible = True  # for start_tls() and sendfile() of asyncio
    _sendfile_compatible = constants._SendfileMode.TRY_NATIVE
    _make_flow = StreamFlow
    _flow: StreamFlow

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: VirtualSocket | Description, protocol: Any,
        waiter: asyncio.Future[None] | None = None, extra: dict[str, Any] | None = None, server: Server | None = None,
        context: Context | None = None,
    ) -> None:  # fmt: skip
        description = sock if isinstance(sock, Description) else sock.description
        core = description.core
        assert isinstance(core, StreamSocket)
        core.send_at_once()  # TCP_NODELAY: as uvloop; asyncio where the program named the protocol
        VirtualTransport.__init__(self, loop, sock, protocol, waiter, extra, server, context)

    def set_protocol(self, protocol: Any) -> None:
        """See asyncio.BaseTransport."""
        self._flow.buffered_protocol = isinstance(protocol, protocols.BufferedProtocol)
        self._flow.protocol = protocol

    # Reading ----------------------------------------------------------------------------------------------------

    def _read_eof(self) -> None:
        if self._loop.get_debug():
            logger.debug("%r received EOF", self)
        self._flow.polling = False
        try:
            keep_open = self._flow.protocol.eof_received()
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
        self._flow.write(data)

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        """See asyncio.WriteTransport."""
        if self._flow.eof:
            raise RuntimeError(f"Cannot call {_WRITELINES}() after write_eof()")
        if self._flow.empty_waiter is not None:
            raise RuntimeError(f"unable to {_WRITELINES}; sendfile is in progress")
        self.write(b"".join(map(memoryview, list_of_data) if _WRITELINES == "writelines" else list_of_data))

    def can_write_eof(self) -> bool:
        """It can."""
        return True

    def write_eof(self) -> None:
        """See asyncio.WriteTransport."""
        flow = self._flow
        if flow.closing or flow.eof:
            return
        flow.eof = True
        if not flow.buffer:
            flow.core.shutdown(SHUT_WR)

    def _write_failed(self, exc: OSError) -> None:
        self._fatal_error(exc, "Fatal write error on socket transport")
        if self._flow.empty_waiter is not None:
            self._flow.empty_waiter.set_exception(exc)

    def _write_ready(self) -> None:
        flow = self._flow
        while flow.buffer:
            data, start = flow.buffer[0]
            sent = flow.send_rest(data, start)
            if sent < 0:
                return
            flow.buffered -= sent
            if start + sent < len(data):
                flow.buffer[0] = data, start + sent
                break
            flow.buffer.popleft()
        self._maybe_resume_protocol()  # may write more, or close: then the end is on its way
        if flow.buffer or flow.conn_lost:
            return
        if flow.empty_waiter is not None:
            flow.empty_waiter.set_result(None)
        if flow.closing:
            flow.conn_lost += 1
            self._call_connection_lost(None)
        elif flow.eof:
            flow.core.shutdown(SHUT_WR)

    def _call_connection_lost(self, exc: BaseException | None) -> None:
        VirtualTransport._call_connection_lost(self, exc)
        waiter = self._flow.empty_waiter
        if waiter is not None and not waiter.done():
            waiter.set_exception(ConnectionError("Connection is closed by peer"))

    # For asyncio's sendfile() -----------------------------------------------------------------------------------

    def _make_empty_waiter(self) -> "asyncio.Future[None]":
        flow = self._flow
        if flow.empty_waiter is not None:
            raise RuntimeError("Empty waiter is already set")
        waiter: asyncio.Future[None] = self._loop.create_future()
        flow.empty_waiter = waiter
        if not flow.buffer:
            waiter.set_result(None)
        return waiter

    def _reset_empty_waiter(self) -> None:
        self._flow.empty_waiter = None
