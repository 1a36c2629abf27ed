"""The coroutines: socket, bind, listen, accept, connect, write, read, close and their kin.

Each is a function that takes a socket, or its descriptor on the current host, and a method of Socket of the same name.

What can be said of all of them: a call that has to wait lets other tasks run; cancelling it leaves the socket as it was
and loses no octet; one that fails raises an OSError with Linux's errno, of the subclass that Python gives it
(ConnectionRefusedError, BrokenPipeError, ...); one on a closed socket raises OSError(EBADF).
"""

import errno
from typing import overload

from aionetflow.async_socket import Buffer, Socket, find
from aionetflow.errors import os_error
from aionetflow.ip.address import AF_INET, AF_INET6, Address
from aionetflow.network.host import current_host
from aionetflow.socket.options import SOCK_DGRAM, SOCK_STREAM


async def socket(family: int = AF_INET, type: int = SOCK_STREAM) -> Socket:
    """Makes a socket on the current host: a control block with addresses, state, owner, buffers. Nothing is sent.

    family is AF_INET, or AF_INET6, whose sockets speak IPv4 too, by mapped addresses (::ffff:10.0.0.2). type is
    SOCK_STREAM (TCP) or SOCK_DGRAM (UDP). The socket must be closed, by `close` or by `async with`; one that is dropped
    unclosed is closed with a ResourceWarning that says where it was made. Raises RuntimeError outside a network,
    OSError(EAFNOSUPPORT) for another family. POSIX socket().

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1), await aionetflow.socket() as sock:
    ...         print(sock.fileno(), await sock.getsockname())
    >>> asyncio.run(main())
    3 ('0.0.0.0', 0)
    """
    if family not in (AF_INET, AF_INET6):
        raise os_error(errno.EAFNOSUPPORT)
    if type not in (SOCK_STREAM, SOCK_DGRAM):
        raise os_error(errno.EPROTONOSUPPORT)
    host = current_host()
    return Socket(host, host.socket(family, type))


async def bind(sock: Socket | int, address: Address) -> None:
    """Gives a socket its own address (host, port); port 0 lets the host choose, an empty host means all its addresses.

    Raises OSError: EADDRINUSE, EADDRNOTAVAIL if the address is not this host's, EINVAL if the socket has one. bind(2).

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1), await aionetflow.socket() as sock:
    ...         await aionetflow.bind(sock, ("localhost", 8080))
    ...         print(await aionetflow.getsockname(sock))
    >>> asyncio.run(main())
    ('127.0.0.1', 8080)
    """
    await find(sock).bind(address)


async def listen(sock: Socket | int, backlog: int = 128) -> None:
    """Makes a socket accept connections; backlog of them may wait to be accepted, further SYNs are dropped.

    Binds the socket to a free port if it has none. Raises OSError: EADDRINUSE if another socket listens there, EINVAL
    on a connected socket. listen(2).

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1) as net, await aionetflow.socket() as sock:
    ...         await aionetflow.bind(sock, ("", 80))
    ...         await aionetflow.listen(sock)
    ...         print(*[(block.state, block.local) for block in net.sockets()])
    >>> asyncio.run(main())
    ('LISTEN', ('0.0.0.0', 80))
    """
    await find(sock).listen(backlog)


async def accept(sock: Socket | int) -> tuple[Socket, Address]:
    """Waits for a connection; returns its socket and the peer's (host, port).

    Raises OSError(EINVAL) if the socket does not listen. accept(2).

    >>> import aionetflow, asyncio
    >>> async def serve(listener: aionetflow.Socket) -> None:
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
    return await find(sock).accept()


async def connect(sock: Socket | int, address: Address) -> None:
    """Connects a socket to (host, port), host a name on the network or an address literal.

    A stream socket sends a SYN and returns when the SYN-ACK has been acknowledged; a datagram socket notes the address
    and returns at once. After a cancelled call the handshake goes on, and connecting again waits for it. Raises
    OSError: ECONNREFUSED, ENETUNREACH (no route, no such name), EHOSTUNREACH (the next hop does not answer), ETIMEDOUT
    (after about two minutes, net.ipv4.tcp_syn_retries), EISCONN. connect(2), RFC 9293 3.5.

    >>> import aionetflow, asyncio
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
    await find(sock).connect(address)


async def write(sock: Socket | int, data: Buffer) -> None:
    """Writes data to a connected socket; returns when all of it is in the send buffer, and waits while that is full.

    TCP then cuts it into segments of at most the MSS and sends them as the peer's window and the network allow. Writes
    of several tasks do not mix. A cancelled write may have put part of data into the buffer: `Socket.written` tells how
    much. On a datagram socket, sends one datagram. Raises OSError: EPIPE after a shutdown or without a connection,
    ECONNRESET. send(2); the example of `accept` uses it.
    """
    await find(sock).write(data)


async def read(sock: Socket | int, n: int) -> bytes:
    """Reads up to n octets from a connected socket, waiting until there are any; b"" at the end of the stream.

    On a datagram socket, one datagram, cut to n octets. Raises ValueError for a negative n, OSError: ECONNRESET,
    ETIMEDOUT, ENOTCONN. recv(2); the example of `accept` uses it.
    """
    return await find(sock).read(n)


async def sendto(sock: Socket | int, data: Buffer, address: Address) -> None:
    """Sends a datagram to (host, port); never waits.

    Raises OSError: EMSGSIZE if it does not fit one packet of the way out, EACCES for a broadcast address without
    SO_BROADCAST, ENETUNREACH, EOPNOTSUPP on a stream socket. sendto(2).

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1) as net:
    ...         a, b = [await aionetflow.socket(type=aionetflow.SOCK_DGRAM) for _ in range(2)]
    ...         async with a, b:
    ...             await aionetflow.bind(b, ("localhost", 53))
    ...             await aionetflow.sendto(a, b"question", ("localhost", 53))
    ...             data, peer = await aionetflow.recvfrom(b, 1500)
    ...             print(data, peer == ("127.0.0.1", (await a.getsockname())[1]))
    >>> asyncio.run(main())
    b'question' True
    """
    await find(sock).sendto(data, address)


async def recvfrom(sock: Socket | int, n: int) -> tuple[bytes, Address]:
    """Waits for a datagram; returns it, cut to n octets, and who sent it.

    Raises OSError: ECONNREFUSED on a connected socket whose peer's host says that nobody listens, EOPNOTSUPP on a
    stream socket. recvfrom(2); the example of `sendto` uses it.
    """
    return await find(sock).recvfrom(n)


async def shutdown(sock: Socket | int, how: int) -> None:
    """Ends one direction of a connection: SHUT_WR sends a FIN behind what is written, SHUT_RD gives up reading.

    Raises OSError: ENOTCONN without a connection, EINVAL for another how. shutdown(2), RFC 9293 3.6.

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1), await aionetflow.socket() as sock:
    ...         await aionetflow.shutdown(sock, aionetflow.SHUT_WR)
    >>> asyncio.run(main())
    Traceback (most recent call last):
        ...
    OSError: [Errno 107] Transport endpoint is not connected
    """
    await find(sock).shutdown(how)


async def close(sock: Socket | int) -> None:
    """Closes a socket: what was written is still delivered, then the connection ended by FIN.

    A RST is sent instead if data was left unread. With SO_LINGER the call waits at most so many seconds until the peer
    has everything; with SO_LINGER of 0 seconds the connection is reset. Closing twice does nothing. close(2),
    RFC 9293 3.6.

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1):
    ...         sock = await aionetflow.socket()
    ...         await aionetflow.close(sock)
    ...         print(sock.fileno())
    >>> asyncio.run(main())
    -1
    """
    await find(sock).close()


@overload
async def getsockopt(sock: Socket | int, level: int, option: int) -> int: ...
@overload
async def getsockopt(sock: Socket | int, level: int, option: int, length: int) -> bytes: ...
async def getsockopt(sock: Socket | int, level: int, option: int, length: int = 0) -> int | bytes:
    """An option's value, under Linux's numbers: an int, or at most length octets if that is given.

    Raises OSError(ENOPROTOOPT) for an option that the socket has not. getsockopt(2).
    """
    return await find(sock).getsockopt(level, option, length)


async def setsockopt(sock: Socket | int, level: int, option: int, value: int | bytes) -> None:
    """Sets an option, under Linux's numbers.

    Raises OSError: ENOPROTOOPT for an option that the socket has not or that cannot be set, EINVAL for a wrong value.
    setsockopt(2), tcp(7), ip(7).

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1), await aionetflow.socket() as sock:
    ...         await aionetflow.setsockopt(sock, aionetflow.IPPROTO_TCP, aionetflow.TCP_NODELAY, 1)
    ...         print(await aionetflow.getsockopt(sock, aionetflow.IPPROTO_TCP, aionetflow.TCP_NODELAY))
    >>> asyncio.run(main())
    1
    """
    await find(sock).setsockopt(level, option, value)


async def getsockname(sock: Socket | int) -> Address:
    """The socket's own (host, port); ("0.0.0.0", 0) while it has none. getsockname(2)."""
    return await find(sock).getsockname()


async def getpeername(sock: Socket | int) -> Address:
    """The other end's (host, port). Raises OSError(ENOTCONN) while there is none. getpeername(2)."""
    return await find(sock).getpeername()
