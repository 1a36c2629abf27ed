"""The datagram transport: asyncio.DatagramTransport over a virtual UDP socket."""

import asyncio
import sys
from asyncio.log import logger
from typing import Any

from aionetflow.dropin.flow import LOG_THRESHOLD, DatagramFlow
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.dropin.transport import VirtualTransport

_SENDS_EMPTY = sys.version_info >= (3, 13)  # asyncio's did not before


class DatagramTransport(VirtualTransport, asyncio.DatagramTransport):
    """What create_datagram_endpoint() makes."""

    __slots__ = ("_address", "_literal")
    _make_flow = DatagramFlow
    _flow: DatagramFlow

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: VirtualSocket, protocol: Any, address: Any = None,
        waiter: asyncio.Future[None] | None = None, extra: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._address = address
        self._literal: Any = None  # the last address that was sent to, if it named no host
        super().__init__(loop, sock, protocol, waiter, extra, None)

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """See asyncio.DatagramTransport; a virtual socket takes a datagram at once or not at all."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if not data and not _SENDS_EMPTY:
            return
        if self._address:
            if addr not in (None, self._address):
                raise ValueError(f"Invalid address: must be None or {self._address}")
            addr = self._address
        flow = self._flow
        if flow.conn_lost and (self._address or self._description is None):  # asyncio's: else until connection_lost()
            if flow.conn_lost >= LOG_THRESHOLD:
                logger.warning("socket.send() raised exception.")
            flow.conn_lost += 1
            return
        try:
            if self._extra["peername"]:
                flow.core.send(data)
            elif addr == self._literal and type(addr) is tuple:
                flow.core.sendto(data, addr)
                if flow.description.mirror is not None:
                    flow.description.reflect()
            else:
                sock = self._socket()
                sock.sendto(data, addr)
                self._literal = addr if sock.checked_address("sendto", addr) == addr else None
        except OSError as exc:
            flow.protocol.error_received(exc)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal write error on datagram transport")
