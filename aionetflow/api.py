"""The coroutines: socket, bind, listen, accept, connect, write, read, close and their kin.

Each is a function that takes a socket, or its descriptor on the current host, and a method of Socket of the same name.

What can be said of all of them: a call that has to wait lets other tasks run; cancelling it leaves the socket as it was
and loses no octet; one that fails raises an OSError with Linux's errno, of the subclass that Python gives it
(ConnectionRefusedError, BrokenPipeError, ...); one on a closed socket raises OSError(EBADF).
"""

import asyncio
import errno
import sys
import warnings
from typing import Self, overload
from weakref import WeakValueDictionary

from aionetflow.errors import os_error
from aionetflow.ip.address import AF_INET
from aionetflow.network.host import Host, current_host
from aionetflow.socket import base
from aionetflow.socket.base import ERR, HUP, IN, RDHUP, Address
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SHUT_WR, SOCK_DGRAM, SOCK_STREAM
from aionetflow.socket.stream import StreamSocket
from aionetflow.tcp.states import CLOSING, FIN_WAIT_1, LAST_ACK

Buffer = bytes | bytearray | memoryview
_READABLE = IN | HUP | ERR | RDHUP
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
        self._waiters = _Waiters()
        self._writing = asyncio.Lock()
        self._writers = 0  # tasks that write or wait for their turn
        core.on_change = self._waiters
        _open[id(host.bare_stack), core.fileno()] = self

    @property
    def family(self) -> int:
        """AF_INET."""
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
                return Socket(self.host, accepted), address

    async def connect(self, address: Address) -> None:
        """See the function `connect`."""
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

    async def write(self, data: Buffer) -> None:
        """See the function `write`."""
        core = self._core
        if isinstance(core, DatagramSocket):
            core.send(data)
            return
        stream = self._stream()
        rest: Buffer = data if isinstance(data, bytes) else memoryview(data).cast("B")
        if self._writers == 0 and not (rest := self._write_some(stream, rest)):
            return
        self._writers += 1
        try:
            async with self._writing:  # one task after another, so that no write is torn by the next
                seen = self._waiters.changes
                while rest := self._write_some(stream, rest):
                    await self._waiters.wait(seen)
                    seen = self._waiters.changes
        finally:
            self._writers -= 1

    async def read(self, n: int) -> bytes:
        """See the function `read`."""
        _check_length(n)
        core = self._both()
        if n == 0 and core.type == SOCK_STREAM and core.is_connected():
            return b""
        while True:
            seen = self._waiters.changes
            # asking first costs less than an exception
            if core.events() & _READABLE or not core.is_connected():
                try:
                    return core.recv(n)
                except BlockingIOError:
                    if isinstance(core, DatagramSocket) and core.read_shut:
                        return b""
            await self._waiters.wait(seen)

    async def sendto(self, data: Buffer, address: Address) -> None:
        """See the function `sendto`."""
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
                    return b"", ("0.0.0.0", 0)
                await self._waiters.wait(seen)

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
            self._close()

    def __repr__(self) -> str:
        return f"<aionetflow.Socket on {self.host.name}: {self._core!r}>"

    # Inside -----------------------------------------------------------------------------------------------------

    def _close(self) -> None:
        _open.pop((id(self.host.bare_stack), self._core.fileno()), None)
        self._core.close()
        self._waiters()

    def _write_some(self, stream: StreamSocket, data: Buffer) -> Buffer:
        """Writes until nothing more fits; returns the rest."""
        clock = self.host.network.clock
        clock.hold()  # what is sent is delivered in this turn of the loop
        try:
            while True:
                sent = stream.send(data)
                self.written += sent
                if sent == len(data):
                    return b""
                data = memoryview(data)[sent:]
        except BlockingIOError:
            return data
        finally:
            clock.release()

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

    def _resolve(self, address: Address) -> Address:
        try:
            host, port = address
        except (TypeError, ValueError):
            return address  # the core says what is wrong with it
        return (self.host.network.resolve(host)[0], port) if type(host) is str else address


def _check_length(n: int) -> None:
    if n < 0:
        raise ValueError(f"cannot read {n} octets")


def _caller() -> str:
    """Where the program called into this module."""
    frame = sys._getframe()
    while frame.f_code.co_filename == __file__ and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _of(sock: "Socket | int") -> Socket:
    """The socket, or the one with that descriptor on the current host."""
    if isinstance(sock, Socket):
        return sock
    found = _open.get((id(current_host().bare_stack), sock))
    if found is None:
        raise os_error(errno.EBADF)
    return found


async def socket(family: int = AF_INET, type: int = SOCK_STREAM) -> Socket:
    """Makes a socket on the current host: a control block with addresses, state, owner, buffers. Nothing is sent.

    type is SOCK_STREAM (TCP) or SOCK_DGRAM (UDP). The socket must be closed, by `close` or by `async with`; one that is
    dropped unclosed is closed with a ResourceWarning that says where it was made. Raises RuntimeError outside a
    network, OSError(EAFNOSUPPORT) for another family. POSIX socket().

    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1), await aionetflow.socket() as sock:
    ...         print(sock.fileno(), await sock.getsockname())
    >>> asyncio.run(main())
    3 ('0.0.0.0', 0)
    """
    if family != AF_INET:
        raise os_error(errno.EAFNOSUPPORT)
    if type not in (SOCK_STREAM, SOCK_DGRAM):
        raise os_error(errno.EPROTONOSUPPORT)
    host = current_host()
    return Socket(host, host.socket(family, type))


async def bind(sock: Socket | int, address: Address) -> None:
    """Gives a socket its own address (host, port); port 0 lets the host choose, an empty host means all its addresses.

    Raises OSError: EADDRINUSE, EADDRNOTAVAIL if the address is not this host's, EINVAL if the socket has one. bind(2).

    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1), await aionetflow.socket() as sock:
    ...         await aionetflow.bind(sock, ("localhost", 8080))
    ...         print(await aionetflow.getsockname(sock))
    >>> asyncio.run(main())
    ('127.0.0.1', 8080)
    """
    await _of(sock).bind(address)


async def listen(sock: Socket | int, backlog: int = 128) -> None:
    """Makes a socket accept connections; backlog of them may wait to be accepted, further SYNs are dropped.

    Binds the socket to a free port if it has none. Raises OSError: EADDRINUSE if another socket listens there, EINVAL
    on a connected socket. listen(2).

    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1) as net, await aionetflow.socket() as sock:
    ...         await aionetflow.bind(sock, ("", 80))
    ...         await aionetflow.listen(sock)
    ...         print(*[(block.state, block.local) for block in net.sockets()])
    >>> asyncio.run(main())
    ('LISTEN', ('0.0.0.0', 80))
    """
    await _of(sock).listen(backlog)


async def accept(sock: Socket | int) -> tuple[Socket, Address]:
    """Waits for a connection; returns its socket and the peer's (host, port).

    Raises OSError(EINVAL) if the socket does not listen. accept(2).

    >>> async def serve(listener: Socket) -> None:
    ...     conn, peer = await aionetflow.accept(listener)
    ...     async with conn:
    ...         await aionetflow.write(conn, b"hello " + peer[0].encode())
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1), await aionetflow.socket() as listener:
    ...         await listener.bind(("localhost", 7))
    ...         await listener.listen()
    ...         task = asyncio.create_task(serve(listener))
    ...         async with await aionetflow.socket() as sock:
    ...             await aionetflow.connect(sock, ("localhost", 7))
    ...             print(await aionetflow.read(sock, 100))
    ...         await task
    >>> asyncio.run(main())
    b'hello 127.0.0.1'
    """
    return await _of(sock).accept()


async def connect(sock: Socket | int, address: Address) -> None:
    """Connects a socket to (host, port), host a name on the network or an address literal.

    A stream socket sends a SYN and returns when the SYN-ACK has been acknowledged; a datagram socket notes the address
    and returns at once. After a cancelled call the handshake goes on, and connecting again waits for it. Raises
    OSError: ECONNREFUSED, ENETUNREACH (no route, no such name), EHOSTUNREACH (the next hop does not answer), ETIMEDOUT
    (after about two minutes, net.ipv4.tcp_syn_retries), EISCONN. connect(2), RFC 9293 3.5.

    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1) as net, await aionetflow.socket() as sock:
    ...         net.host("web")
    ...         try:
    ...             await aionetflow.connect(sock, ("web", 80))
    ...         except ConnectionRefusedError as error:
    ...             print(error)
    >>> asyncio.run(main())
    [Errno 111] Connection refused
    """
    await _of(sock).connect(address)


async def write(sock: Socket | int, data: Buffer) -> None:
    """Writes data to a connected socket; returns when all of it is in the send buffer, and waits while that is full.

    TCP then cuts it into segments of at most the MSS and sends them as the peer's window and the network allow. Writes
    of several tasks do not mix. A cancelled write may have put part of data into the buffer: `Socket.written` tells how
    much. On a datagram socket, sends one datagram. Raises OSError: EPIPE after a shutdown or without a connection,
    ECONNRESET. send(2); the example of `accept` uses it.
    """
    await _of(sock).write(data)


async def read(sock: Socket | int, n: int) -> bytes:
    """Reads up to n octets from a connected socket, waiting until there are any; b"" at the end of the stream.

    On a datagram socket, one datagram, cut to n octets. Raises ValueError for a negative n, OSError: ECONNRESET,
    ETIMEDOUT, ENOTCONN. recv(2); the example of `accept` uses it.
    """
    return await _of(sock).read(n)


async def sendto(sock: Socket | int, data: Buffer, address: Address) -> None:
    """Sends a datagram to (host, port); never waits.

    Raises OSError: EMSGSIZE if it does not fit one packet of the way out, EACCES for a broadcast address without
    SO_BROADCAST, ENETUNREACH, EOPNOTSUPP on a stream socket. sendto(2).

    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1) as net:
    ...         a, b = await socket(type=SOCK_DGRAM), await socket(type=SOCK_DGRAM)
    ...         async with a, b:
    ...             await aionetflow.bind(b, ("localhost", 53))
    ...             await aionetflow.sendto(a, b"question", ("localhost", 53))
    ...             data, peer = await aionetflow.recvfrom(b, 1500)
    ...             print(data, peer == ("127.0.0.1", (await a.getsockname())[1]))
    >>> asyncio.run(main())
    b'question' True
    """
    await _of(sock).sendto(data, address)


async def recvfrom(sock: Socket | int, n: int) -> tuple[bytes, Address]:
    """Waits for a datagram; returns it, cut to n octets, and who sent it.

    Raises OSError: ECONNREFUSED on a connected socket whose peer's host says that nobody listens, EOPNOTSUPP on a
    stream socket. recvfrom(2); the example of `sendto` uses it.
    """
    return await _of(sock).recvfrom(n)


async def shutdown(sock: Socket | int, how: int) -> None:
    """Ends one direction of a connection: SHUT_WR sends a FIN behind what is written, SHUT_RD gives up reading.

    Raises OSError: ENOTCONN without a connection, EINVAL for another how. shutdown(2), RFC 9293 3.6.

    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1), await aionetflow.socket() as sock:
    ...         await aionetflow.shutdown(sock, SHUT_WR)
    >>> asyncio.run(main())
    Traceback (most recent call last):
        ...
    OSError: [Errno 107] Transport endpoint is not connected
    """
    await _of(sock).shutdown(how)


async def close(sock: Socket | int) -> None:
    """Closes a socket: what was written is still delivered, then the connection ended by FIN.

    A RST is sent instead if data was left unread. With SO_LINGER the call waits at most so many seconds until the peer
    has everything; with SO_LINGER of 0 seconds the connection is reset. Closing twice does nothing. close(2),
    RFC 9293 3.6.

    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1):
    ...         sock = await aionetflow.socket()
    ...         await aionetflow.close(sock)
    ...         print(sock.fileno())
    >>> asyncio.run(main())
    -1
    """
    await _of(sock).close()


@overload
async def getsockopt(sock: Socket | int, level: int, option: int) -> int: ...
@overload
async def getsockopt(sock: Socket | int, level: int, option: int, length: int) -> bytes: ...
async def getsockopt(sock: Socket | int, level: int, option: int, length: int = 0) -> int | bytes:
    """An option's value, under Linux's numbers: an int, or at most length octets if that is given.

    Raises OSError(ENOPROTOOPT) for an option that the socket has not. getsockopt(2).
    """
    return await _of(sock).getsockopt(level, option, length)


async def setsockopt(sock: Socket | int, level: int, option: int, value: int | bytes) -> None:
    """Sets an option, under Linux's numbers.

    Raises OSError: ENOPROTOOPT for an option that the socket has not or that cannot be set, EINVAL for a wrong value.
    setsockopt(2), tcp(7), ip(7).

    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1), await aionetflow.socket() as sock:
    ...         await aionetflow.setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, 1)
    ...         print(await aionetflow.getsockopt(sock, IPPROTO_TCP, TCP_NODELAY))
    >>> asyncio.run(main())
    1
    """
    await _of(sock).setsockopt(level, option, value)


async def getsockname(sock: Socket | int) -> Address:
    """The socket's own (host, port); ("0.0.0.0", 0) while it has none. getsockname(2)."""
    return await _of(sock).getsockname()


async def getpeername(sock: Socket | int) -> Address:
    """The other end's (host, port). Raises OSError(ENOTCONN) while there is none. getpeername(2)."""
    return await _of(sock).getpeername()
