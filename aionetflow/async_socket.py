"""A socket whose calls wait: coroutines over the non-blocking sockets below.

Every call tries, and where the socket below says "would block" it waits until that has changed, then tries again. So a
call that is cancelled has either been made or not, and nothing lies between.
"""

import asyncio
import errno
import sys
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Self, overload
from weakref import WeakValueDictionary

from aionetflow.errors import os_error
from aionetflow.ip.address import AF_INET6, ANY, Address, endpoint
from aionetflow.network.host import Host, current_host
from aionetflow.socket import base
from aionetflow.socket.base import ERR, HUP, IN, RDHUP
from aionetflow.socket.data import Ancillary
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import (
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_OOB,
    MSG_PEEK,
    MSG_WAITALL,
    SHUT_WR,
    SIOCATMARK,
    SOCK_STREAM,
)
from aionetflow.socket.stream import StreamSocket
from aionetflow.tcp.info import TcpInfo
from aionetflow.tcp.states import CLOSING, FIN_WAIT_1, LAST_ACK

Buffer = bytes | bytearray | memoryview
_READABLE = IN | HUP | ERR | RDHUP
_PACKAGE = str(Path(__file__).parent)
_open: WeakValueDictionary[tuple[int, int], "Socket"] = WeakValueDictionary()  # by (id of the stack, descriptor)


class _Waiters:
    """The tasks that wait for a socket to change."""

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []
        self.changes = 0

    def __call__(self) -> None:
        """The socket has changed: all look again, the longest waiting first."""
        self.changes += 1
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)

    async def wait(self, seen: int) -> None:
        """Until something has changed since `changes` was what the caller has seen."""
        if self.changes != seen:
            return
        future = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        try:
            await future
        finally:
            if future.cancelled():
                self._futures = [other for other in self._futures if other is not future]


class Socket:
    """One end of communication on a host; made by `socket()`, or by `accept()` for an incoming connection.

    Its methods are described by the functions of the same names. `written` counts the octets that `write` has put into
    the send buffer so far, also of a call that was cancelled: what is counted will be delivered.
    """

    def __init__(self, host: Host, core: base.Socket) -> None:
        self.host = host
        self.made_at = _caller()
        self.written = 0
        self._core = core
        self._loop = asyncio.get_running_loop()
        self._waiters = _Waiters()
        self._writing = asyncio.Lock()
        self._writers = 0  # tasks that write or wait for their turn
        core.on_change = self._waiters
        _open[id(host.bare_stack), core.fileno()] = self

    @property
    def family(self) -> int:
        """AF_INET or AF_INET6."""
        return self._core.family

    @property
    def type(self) -> int:
        """SOCK_STREAM or SOCK_DGRAM."""
        return self._core.type

    @property
    def core(self) -> base.Socket:
        """The non-blocking socket below: the control block."""
        return self._core

    def fileno(self) -> int:
        """The descriptor on its host; -1 once closed."""
        return self._core.fileno()

    async def bind(self, address: Address) -> None:
        """See the function `bind`."""
        self._core.bind(self._resolve(address))

    async def listen(self, backlog: int = 128) -> None:
        """See the function `listen`."""
        self._stream().listen(backlog)

    async def accept(self) -> "tuple[Socket, Address]":
        """See the function `accept`."""
        core = self._stream()
        while True:
            seen = self._waiters.changes
            try:
                accepted, address = core.accept()
            except BlockingIOError:
                await self._waiters.wait(seen)
            else:
                accepted.owner = self.host.owner()
                return Socket(self.host, accepted), address

    async def connect(self, address: Address) -> None:
        """See the function `connect`."""
        if self.host.network.shared:
            await self._look_up(address)
        address = self._resolve(address)
        core = self._core
        if isinstance(core, DatagramSocket):
            core.connect(address)
            return
        stream = self._stream()
        while True:
            seen = self._waiters.changes
            try:
                stream.connect(address)
            except BlockingIOError:
                if stream.is_connecting():  # on one host the handshake may be over already
                    await self._waiters.wait(seen)
            else:
                return

    async def write(self, data: Buffer, flags: int = 0) -> None:
        """See the function `write`."""
        core = self._core
        if isinstance(core, DatagramSocket):
            core.send(data, flags)
            return
        stream = self._stream()
        rest: Buffer = data if isinstance(data, bytes) else memoryview(data).cast("B")
        if self._writers == 0 and not (rest := self._write_some(stream, rest, flags)):
            return
        self._writers += 1
        try:
            async with self._writing:  # one task after another, so that no write is torn by the next
                seen = self._waiters.changes
                while rest := self._write_some(stream, rest, flags):
                    await self._waiters.wait(seen)
                    seen = self._waiters.changes
        finally:
            self._writers -= 1

    async def read(self, n: int, flags: int = 0) -> bytes:
        """See the function `read`."""
        _check_length(n)
        core = self._both()
        if flags & (MSG_DONTWAIT | MSG_OOB | MSG_ERRQUEUE):
            return core.recv(n, flags)
        if n == 0 and core.type == SOCK_STREAM and core.is_connected():
            return b""
        if flags & MSG_WAITALL and isinstance(core, StreamSocket):
            return await self._read_all(core, n, flags & ~MSG_WAITALL)
        while True:
            seen = self._waiters.changes
            # asking first costs less than an exception
            if core.events() & _READABLE or not core.is_connected():
                try:
                    return core.recv(n, flags)
                except BlockingIOError:
                    if isinstance(core, DatagramSocket) and core.read_shut:
                        return b""
            await self._waiters.wait(seen)

    def tcp_info(self) -> TcpInfo:
        """What the connection is doing now (TCP_INFO); OSError(EOPNOTSUPP) on a datagram socket."""
        return self._stream().tcp_info()

    def ioctl(self, request: int) -> int:
        """How much is queued, and where urgent data are: SIOCINQ, SIOCOUTQ, SIOCOUTQNSD, SIOCATMARK (tcp(7))."""
        return self._stream().ioctl(request)

    async def sendto(self, data: Buffer, address: Address) -> None:
        """See the function `sendto`."""
        if self.host.network.shared:
            await self._look_up(address)
        self._datagram().sendto(data, self._resolve(address))

    async def recvfrom(self, n: int) -> tuple[bytes, Address]:
        """See the function `recvfrom`."""
        _check_length(n)
        core = self._datagram()
        while True:
            seen = self._waiters.changes
            try:
                return core.recvfrom(n)
            except BlockingIOError:
                if core.read_shut:
                    return b"", endpoint(core.family, ANY[core.family], 0)
                await self._waiters.wait(seen)

    async def recvmsg(
        self, n: int, ancillary_limit: int = 0, flags: int = 0
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Address | None]:
        """Waits for a datagram, or for an error with MSG_ERRQUEUE: (data, ancillary data, flags, sender); recvmsg(2).

        Ancillary data is what the socket has asked for by IP_RECVTTL, IP_PKTINFO and the like: (level, type, octets).
        """
        _check_length(n)
        core = self._both()
        while True:
            seen = self._waiters.changes
            try:
                return core.recvmsg(n, ancillary_limit, flags)
            except BlockingIOError:
                if isinstance(core, DatagramSocket) and core.read_shut and not flags & MSG_ERRQUEUE:
                    return b"", [], 0, endpoint(core.family, ANY[core.family], 0)
                await self._waiters.wait(seen)

    async def sendmsg(
        self, buffers: Iterable[Buffer], ancillary: Ancillary = (), flags: int = 0, address: Address | None = None
    ) -> int:
        """Sends buffers as one datagram; ancillary data decides about its TTL, its source and the like; sendmsg(2)."""
        if self.host.network.shared and address is not None:
            await self._look_up(address)
        return self._datagram().sendmsg(
            buffers, ancillary, flags, None if address is None else self._resolve(address)
        )  # fmt: skip

    async def shutdown(self, how: int) -> None:
        """See the function `shutdown`."""
        self._both().shutdown(how)

    async def close(self) -> None:
        """See the function `close`."""
        core = self._core
        try:
            if isinstance(core, StreamSocket) and core.may_linger():
                await self._linger(core)
        finally:
            self._close()

    @overload
    async def getsockopt(self, level: int, option: int) -> int: ...
    @overload
    async def getsockopt(self, level: int, option: int, length: int) -> bytes: ...
    async def getsockopt(self, level: int, option: int, length: int = 0) -> int | bytes:
        """See the function `getsockopt`."""
        return self._core.getsockopt(level, option, length)

    async def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """See the function `setsockopt`."""
        self._core.setsockopt(level, option, value)

    async def getsockname(self) -> Address:
        """See the function `getsockname`."""
        return self._core.getsockname()

    async def getpeername(self) -> Address:
        """See the function `getpeername`."""
        return self._core.getpeername()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def __del__(self) -> None:
        if not self._core.closed:
            warnings.warn(f"unclosed {self!r} made at {self.made_at}", ResourceWarning, source=self, stacklevel=1)
            # The garbage collector may come in the middle of anything: what closing does is left to the loop.
            if self._loop.is_closed():
                self._core.close()
            else:
                self._loop.call_soon_threadsafe(self._core.close)

    def __repr__(self) -> str:
        return f"<aionetflow.Socket on {self.host.name}: {self._core!r}>"

    # Inside -----------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        _open.pop((id(self.host.bare_stack), self._core.fileno()), None)
        self._core.close()
        self._waiters()

    def _write_some(self, stream: StreamSocket, data: Buffer, flags: int) -> Buffer:
        """Writes until nothing more fits; returns the rest."""
        try:
            while True:
                sent = stream.send(data, flags)
                self.written += sent
                if sent == len(data):
                    return b""
                data = memoryview(data)[sent:]
        except BlockingIOError:
            return data

    async def _read_all(self, core: StreamSocket, n: int, flags: int) -> bytes:
        """MSG_WAITALL: n octets, or what there is before the end of the stream, an error or urgent data."""
        parts: list[bytes] = []
        while n > 0:
            seen = self._waiters.changes
            if not core.has(n):
                await self._waiters.wait(seen)
                continue
            if (parts and not core.events() & IN) or (parts and core.ioctl(SIOCATMARK)):
                break
            parts.append(await self.read(n, flags))
            n = 0 if flags & MSG_PEEK or not parts[-1] else n - len(parts[-1])
        return b"".join(parts)

    async def _linger(self, core: StreamSocket) -> None:
        """SO_LINGER: waits until the peer has everything, at most so many seconds."""
        core.shutdown(SHUT_WR)
        connection = core.connection
        assert connection is not None
        try:
            async with asyncio.timeout(core.linger_seconds):
                while connection.state in (FIN_WAIT_1, CLOSING, LAST_ACK):
                    await self._waiters.wait(self._waiters.changes)
        except TimeoutError:
            pass

    def _stream(self) -> StreamSocket:
        if not isinstance(self._core, StreamSocket):
            raise os_error(errno.EOPNOTSUPP)
        return self._core

    def _datagram(self) -> DatagramSocket:
        if not isinstance(self._core, DatagramSocket):
            raise os_error(errno.EOPNOTSUPP)
        return self._core

    def _both(self) -> StreamSocket | DatagramSocket:
        assert isinstance(self._core, StreamSocket | DatagramSocket)
        return self._core

    async def _look_up(self, address: Address) -> None:
        """Asks other processes for the name in an address, if they may have it."""
        if len(address):
            await self.host.network.look_up(address[0], self.host)

    def _resolve(self, address: Address) -> Address:
        try:
            host, *numbers = address
        except (TypeError, ValueError):
            return address  # the core says what is wrong with it
        if type(host) is not str or len(numbers) > 3:
            return address
        found = self.host.network.resolve_all(host, self.host)
        # of a name without an address in the socket's family the first, of which the core says what is wrong with it
        wanted = [literal for literal in found if (":" in literal) == (self.family == AF_INET6)]
        return (wanted[0] if wanted else found[0], *numbers)


def find(sock: "Socket | int") -> Socket:
    """The socket itself, or the one with that descriptor on the current host; OSError(EBADF) if there is none."""
    if isinstance(sock, Socket):
        return sock
    found = _open.get((id(current_host().bare_stack), sock))
    if found is None:
        raise os_error(errno.EBADF)
    return found


def _check_length(n: int) -> None:
    if n < 0:
        raise ValueError(f"cannot read {n} octets")


def _caller() -> str:
    """Where the program called into this package."""
    frame = sys._getframe()
    while frame.f_code.co_filename.startswith(_PACKAGE) and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
