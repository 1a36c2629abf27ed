"""The sock_* calls of an event loop, over virtual sockets."""

import asyncio
import io
import os
from asyncio import exceptions
from asyncio.constants import SENDFILE_FALLBACK_READBUFFER_SIZE
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aionetflow.dropin.arguments import checked
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.socket.options import SO_ERROR, SOL_SOCKET
from aionetflow.socket.stream import StreamSocket


def check(sock: VirtualSocket, debug: bool) -> None:
    """What asyncio checks in debug mode only."""
    if debug and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


async def recv(sock: VirtualSocket, n: int) -> Any:
    """See loop.sock_recv()."""
    return await sock.description.until_done(partial(_recv, sock, n))


async def recv_into(sock: VirtualSocket, buffer: Any) -> Any:
    """See loop.sock_recv_into()."""
    return await sock.description.until_done(partial(_recv_into, sock, buffer))


async def recvfrom(sock: VirtualSocket, bufsize: int) -> Any:
    """See loop.sock_recvfrom()."""
    return await sock.description.until_done(partial(_recvfrom, sock, bufsize))


async def recvfrom_into(sock: VirtualSocket, buffer: Any, nbytes: int = 0) -> Any:
    """See loop.sock_recvfrom_into()."""
    return await sock.description.until_done(partial(_recvfrom_into, sock, buffer, nbytes or len(buffer)))


async def sendall(sock: VirtualSocket, data: Any) -> None:
    """See loop.sock_sendall()."""
    sent = await sock.description.until_done(partial(_send, sock, data))
    rest = memoryview(data).cast("B")[sent:]
    while len(rest):
        rest = rest[await sock.description.until_done(partial(_send, sock, rest)) :]


async def sendfile(
    sock: VirtualSocket, file: Any, offset: int, count: int | None, *, for_transport: bool = False
) -> int:
    """As asyncio does it with the system call sendfile(2): a piece of the file whenever there is room for one.

    Returns how many octets were sent, and leaves the file's position behind them. SendfileNotAvailableError for what
    is no file of the system's.
    """
    try:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
    except (AttributeError, io.UnsupportedOperation, OSError):
        raise exceptions.SendfileNotAvailableError("not a regular file") from None
    wanted, sent = count or size, 0
    try:
        while piece := os.pread(descriptor, min(wanted - sent, SENDFILE_FALLBACK_READBUFFER_SIZE), offset + sent):
            sent += await sock.description.until_done(partial(_send, sock, piece), for_transport=for_transport)
    finally:
        if sent:
            os.lseek(descriptor, offset + sent, os.SEEK_SET)
    return sent


async def sendto(sock: VirtualSocket, data: Any, address: Any) -> Any:
    """See loop.sock_sendto()."""
    if sock.host.network.shared and isinstance(address, tuple) and address:
        await sock.host.network.look_up(address[0], sock.host)
    target = sock.checked_address("sendto", address)
    return await sock.description.until_done(partial(_sendto, sock, data, target))


async def connect(sock: VirtualSocket, address: Any) -> None:
    """See loop.sock_connect(): "Connect call failed" is asyncio's word for what comes after the first SYN."""
    error = await outcome_of_connecting(sock, sock.checked_address("connect", address), partial(asyncio.sleep, 0))
    if error:
        raise OSError(error, f"Connect call failed {address}")


async def outcome_of_connecting(
    sock: VirtualSocket, target: Any, pause: Callable[[], Awaitable[None]] | None = None
) -> int:
    """Connects to a literal address; returns the errno of what went wrong after the first SYN, 0 if nothing did.

    The outcome is asked for as in asyncio, by SO_ERROR: a further connect() is the first to hear that it is connected.
    On one host it may be there at once; `pause` comes before it is asked for, and who is cancelled then has not asked.
    """
    try:
        sock.begin(target)
        return 0
    except BlockingIOError:
        core = sock.core
    if pause is not None:
        await pause()
    while isinstance(core, StreamSocket) and core.is_connecting():
        await sock.description.wait(sock.description.changes)
    error: int = sock.getsockopt(SOL_SOCKET, SO_ERROR)
    return error


async def accept(sock: VirtualSocket) -> tuple[VirtualSocket, Any]:
    """See loop.sock_accept()."""
    accepted, address = await sock.description.until_done(sock.accept_now)
    accepted.setblocking(False)
    return accepted, address


def at_once(name: str) -> Callable[..., Any]:
    """A call of socket.socket's as a function that does not wait, whatever the time-out of the socket is.

    It is for the thread that the network runs on.
    """

    def call(sock: VirtualSocket, *args: Any, **kwargs: Any) -> Any:
        return sock.description.make(lambda: getattr(sock.core, name)(*args, **kwargs))

    call.__name__ = name
    return checked(call)


_recv, _recv_into, _recvfrom, _recvfrom_into, _send, _sendto = map(
    at_once, ("recv", "recv_into", "recvfrom", "recvfrom_into", "send", "sendto")
)
