"""The datagram transport: asyncio.DatagramTransport over a virtual UDP socket."""

import asyncio
import sys
from asyncio.log import logger
from typing import Any

from aionetflow.dropin.socket import VirtualSocket
from aionetflow.dropin.transport import LOG_THRESHOLD, VirtualTransport
from aionetflow.socket.datagram import DatagramSocket

_LONGEST = 65535
_SENDS_EMPTY = sys.version_info >= (3, 13)  # asyncio's did not before
_BURST = 64  # datagrams handed to a protocol in one turn


class DatagramTransport(VirtualTransport, asyncio.DatagramTransport):
    """What create_datagram_endpoint() makes."""

    _core: DatagramSocket

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: VirtualSocket, protocol: Any, address: Any = None,
        waiter: asyncio.Future[None] | None = None, extra: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._address = address
        super().__init__(loop, sock, protocol, waiter, extra, None)

    def sendto(self, data: bytes | bytearray | memoryview, addr: Any = None) -> None:
        """See asyncio.DatagramTransport; a virtual socket takes a datagram at once or not at all."""
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if not data and not _SENDS_EMPTY:
            return
        if self._address:
            if addr not in (None, self._address):
                raise ValueError(f"Invalid address: must be None or {self._address}")
            addr = self._address
        if self._conn_lost and (self._address or self._sock is None):  # asyncio's: else until connection_lost()
            if self._conn_lost >= LOG_THRESHOLD:
                logger.warning("socket.send() raised exception.")
            self._conn_lost += 1
            return
        try:
            if self._extra["peername"]:
                self._core.send(data)
            else:
                assert self._sock is not None
                self._sock.sendto(data, addr)
        except OSError as exc:
            self._protocol.error_received(exc)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Fatal write error on datagram transport")

    def _read_ready(self) -> None:
        for _ in range(_BURST):
            if self._conn_lost or not self.is_reading():
                return
            try:
                data, address = self._core.recvfrom(_LONGEST)
            except BlockingIOError:
                return
            except OSError as exc:
                self._protocol.error_received(exc)
            else:
                self._protocol.datagram_received(data, address)
