"""The sock_* calls of an event loop, over virtual sockets."""

from functools import partial
from typing import Any

from aionetflow.loop import resolve
from aionetflow.loop.dropin import VirtualSocket
from aionetflow.socket.stream import StreamSocket


def check(sock: VirtualSocket, debug: bool) -> None:
    """What asyncio checks in debug mode only."""
    if debug and sock.gettimeout() != 0:
        raise ValueError("the socket must be non-blocking")


async def recv(sock: VirtualSocket, n: int) -> bytes:
    """See loop.sock_recv()."""
    return await sock.description.until_done(lambda: _reflected(sock, sock.core.recv(n)))


async def recv_into(sock: VirtualSocket, buffer: Any) -> int:
    """See loop.sock_recv_into()."""
    view = memoryview(buffer).cast("B")
    data = await recv(sock, len(view))
    view[: len(data)] = data
    return len(data)


async def recvfrom(sock: VirtualSocket, bufsize: int) -> tuple[bytes, Any]:
    """See loop.sock_recvfrom()."""
    core = sock.core
    if isinstance(core, StreamSocket):
        return await recv(sock, bufsize), None
    return await sock.description.until_done(lambda: _reflected(sock, core.recvfrom(bufsize)))


async def recvfrom_into(sock: VirtualSocket, buffer: Any, nbytes: int = 0) -> tuple[int, Any]:
    """See loop.sock_recvfrom_into()."""
    view = memoryview(buffer).cast("B")
    data, address = await recvfrom(sock, nbytes or len(view))
    view[: len(data)] = data
    return len(data), address


async def sendall(sock: VirtualSocket, data: Any) -> None:
    """See loop.sock_sendall()."""
    rest = memoryview(data).cast("B")
    while len(rest):
        rest = rest[await sock.description.until_done(partial(_send, sock, rest)) :]


async def sendto(sock: VirtualSocket, data: Any, address: Any) -> int:
    """See loop.sock_sendto(); a datagram never waits."""
    return sock.sendto(data, address)


async def connect(sock: VirtualSocket, address: Any) -> None:
    """See loop.sock_connect(): "Connect call failed" is asyncio's word for what comes after the first SYN."""
    target = resolve.to_literal(sock.host, sock.family, address)
    core = sock.core
    begun = False
    while True:
        seen = sock.description.changes
        try:
            sock.begin(target)
        except BlockingIOError:
            begun = True
            if isinstance(core, StreamSocket) and core.is_connecting():
                await sock.description.wait(seen)
        except OSError as error:
            if begun:
                raise OSError(error.errno, f"Connect call failed {address}") from None
            raise
        else:
            return


async def accept(sock: VirtualSocket) -> tuple[VirtualSocket, Any]:
    """See loop.sock_accept()."""
    accepted, address = await sock.description.until_done(sock.accept_now)
    accepted.setblocking(False)
    return accepted, address


def _send(sock: VirtualSocket, data: memoryview) -> int:
    sent: int = _reflected(sock, sock.core.send(data))
    return sent


def _reflected(sock: VirtualSocket, result: Any) -> Any:
    sock.description.reflect()
    return result
