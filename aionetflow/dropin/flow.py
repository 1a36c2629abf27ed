"""The part of a transport that every message passes, on its way to the protocol and from it.

The transports in transport.py, stream.py and datagram.py are asyncio's in all that can be seen; each has a flow, keeps
its state there, and leaves to it what happens with each message. What happens once in a connection's life stays with
them: the flow calls them for it.
"""

import asyncio
from asyncio.events import _get_running_loop
from asyncio.log import logger
from collections import deque
from contextvars import Context
from typing import Any

from aionetflow.dropin.description import READABLE, WRITABLE, Description, Taker, ready
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.stream import StreamSocket

LOG_THRESHOLD = 5  # asyncio's: so many writes after the connection was lost are not worth a warning
MAX_READ = 65536  # octets handed to a protocol at once: what a bytearray of glibc's heap takes without page faults
_BYTES = (bytes, bytearray, memoryview)
_LONGEST = 65535  # octets of a datagram
_BURST = 64  # datagrams handed to a protocol in one turn


class Flow(Taker):
    """What both kinds of transport have in common."""

    def __init__(
        self, transport: Any, loop: asyncio.AbstractEventLoop, description: Description, context: Context
    ) -> None:
        self.transport: Any = transport  # None once the connection is lost
        self.protocol: Any = None
        self.description = description
        self.closing = False
        self.paused = False
        self.polling = False  # reads what comes: not before connection_made(), not after the end of the stream
        self.conn_lost = 0  # set when a call of connection_lost is scheduled
        self.buffer: deque[tuple[bytes, int]] | None = None  # what found no room: octets, and from where on
        self.buffered = 0  # octets of it
        self.turn: asyncio.Handle | None = None
        self.context = context  # that the protocol is called in
        self._early = False  # that turn is one too early
        self._loop = loop
        self._call_soon = loop.call_soon

    def is_reading(self) -> bool:
        """Whether the protocol wants to be told of what comes."""
        return not self.closing and not self.paused

    def changed(self) -> None:
        """The socket has changed: what that calls for is done in the loop's next turn.

        While no loop is run, in the turn after its next: a loop looks at the kernel's sockets once it runs, and what
        was begun before comes first.
        """
        if self.turn is None and self._has_work():
            self._early = _get_running_loop() is None
            try:
                self.turn = self._call_soon(self, context=self.context)
            except RuntimeError:
                if not self._loop.is_closed():
                    raise

    def __call__(self) -> None:
        """The loop's turn has come."""
        if self._early:
            self._early = False
            self.turn = self._call_soon(self, context=self.context)
        else:
            self.work()

    def work(self) -> None:
        """One turn's work: what waits is written, something is read."""
        self.turn = None
        core = self.description.core
        if core.closed:
            self.transport._force_close(ConnectionAbortedError("the network has ended"))
            return
        try:
            if self.buffer and not self.conn_lost:
                self.transport._write_ready()
            if self.polling and not self.closing and not self.paused and ready(core) & READABLE:
                self.read_ready()
        finally:
            if self.transport is not None:
                if self.description.mirror is not None:
                    self.description.reflect()
                self.changed()

    def read_ready(self) -> None:
        """There is something to read, or an end to be told of."""
        raise NotImplementedError

    def stop(self) -> None:
        """The connection is lost, and the protocol has been told."""
        if self.turn is not None:
            self.turn.cancel()
        self.transport = self.protocol = None

    def _has_work(self) -> bool:
        if self.conn_lost:
            return False
        core = self.description.core
        if core.closed:
            return True
        wanted = WRITABLE if self.buffer else 0
        if self.polling and not self.paused and not self.closing:
            wanted |= READABLE
        return wanted != 0 and ready(core) & wanted != 0


class StreamFlow(Flow):
    """That of a stream."""

    def __init__(
        self, transport: Any, loop: asyncio.AbstractEventLoop, description: Description, context: Context
    ) -> None:
        Flow.__init__(self, transport, loop, description, context)
        core = description.core
        assert isinstance(core, StreamSocket)
        self.core = core
        self.buffered_protocol = False
        self.eof = False  # nothing more will be written
        self.empty_waiter: asyncio.Future[None] | None = None  # sendfile() has the writing side

    def read_ready(self) -> None:
        """Reads once, and hands what that was to the protocol."""
        if self.buffered_protocol:
            self._read_into_buffer()
            return
        data = self._receive()
        if not data:
            return
        try:
            self.protocol.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._failed("data_received", exc)

    def write(self, data: Any) -> None:
        """What the socket takes of data is on its way when this returns; the transport keeps the rest."""
        if type(data) is not bytes and not isinstance(data, _BYTES):
            raise TypeError(f"data argument must be a bytes-like object, not {type(data).__name__!r}")
        if self.eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self.empty_waiter is not None:
            raise RuntimeError("unable to write; sendfile is in progress")
        if len(data) == 0:
            return
        if self.conn_lost:
            if self.conn_lost >= LOG_THRESHOLD:
                logger.warning("socket.send() raised exception.")
            self.conn_lost += 1
            return
        if not self.buffer:
            sent = self.send(data)
            if sent < 0 or sent == (len(data) if type(data) is bytes else memoryview(data).nbytes):
                return
        else:
            sent = 0
        self._keep(data, sent)
        self.changed()  # on one host what was taken may have been delivered by now, and left room
        self.transport._maybe_pause_protocol()

    def _keep(self, data: Any, start: int) -> None:
        if type(data) is not bytes:  # the program may change it meanwhile
            data, start = bytes(memoryview(data).cast("B")[start:]), 0
        if self.buffer is None:
            self.buffer = deque()
        self.buffer.append((data, start))
        self.buffered += len(data) - start

    def send(self, data: Any) -> int:
        """Octets that the socket took; -1 if that failed."""
        return self.send_rest(data, 0)

    def send_rest(self, data: Any, start: int) -> int:
        """As send, of what follows start."""
        try:
            sent = self.core.send_rest(data, start) if start else self.core.send(data, 0)
        except BlockingIOError:
            return 0
        except OSError as exc:
            self.transport._write_failed(exc)
            return -1
        if self.description.mirror is not None:
            self.description.reflect()
        return sent

    def _receive(self) -> bytes:
        """What there is to read, some of it; at the end of the stream, or after an error, nothing."""
        try:
            data = self.core.recv_piece(MAX_READ)
        except BlockingIOError:
            return b""
        except OSError as exc:
            self.transport._fatal_error(exc, "Fatal read error on socket transport")
            return b""
        if not data:
            self.transport._read_eof()
        return data

    def _read_into_buffer(self) -> None:
        step = "get_buffer"
        try:
            buffer = self.protocol.get_buffer(-1)
            if not len(buffer):
                raise RuntimeError("get_buffer() returned an empty buffer")
            count = self._receive_into(buffer)
            if count > 0:
                step = "buffer_updated"
                self.protocol.buffer_updated(count)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as exc:
            self._failed(step, exc)

    def _receive_into(self, buffer: bytearray | memoryview) -> int:
        try:
            count = self.core.recv_into(buffer)
        except BlockingIOError:
            return 0
        except (OSError, TypeError) as exc:  # what the protocol gave is no buffer
            self.transport._fatal_error(exc, "Fatal read error on socket transport")
            return 0
        if not count:
            self.transport._read_eof()
        return count

    def _failed(self, step: str, exc: BaseException) -> None:
        self.transport._fatal_error(exc, f"Fatal error: protocol.{step}() call failed.")


class DatagramFlow(Flow):
    """That of datagrams."""

    def __init__(
        self, transport: Any, loop: asyncio.AbstractEventLoop, description: Description, context: Context
    ) -> None:
        Flow.__init__(self, transport, loop, description, context)
        core = description.core
        assert isinstance(core, DatagramSocket)
        self.core = core

    def read_ready(self) -> None:
        """Hands over what datagrams there are, at most so many in one turn."""
        for _ in range(_BURST):
            if self.conn_lost or self.closing or self.paused or not ready(self.core) & READABLE:
                return
            try:
                data, address = self.core.recvfrom(_LONGEST, 0)
            except BlockingIOError:
                return
            except OSError as exc:
                self.protocol.error_received(exc)
            else:
                self.protocol.datagram_received(data, address)
