"""Over what bytes travel. All of it is inside this machine, most of it inside this process."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import aionetflow

LONGEST_PACKET = 65535  # octets; what an IPv4 header can say


class Ends(NamedTuple):
    """Where the two ends of a conversation are."""

    address: str  # where the server listens; a path, of AF_UNIX
    server: AbstractAsyncContextManager[Any]  # `async with` it, to act as the server
    client: AbstractAsyncContextManager[Any]
    is_path: bool = False


Place = Callable[[], AbstractAsyncContextManager[Ends]]


@asynccontextmanager
async def kernel() -> AsyncIterator[Ends]:
    """The kernel's loopback interface."""
    here: AbstractAsyncContextManager[None] = nullcontext()
    yield Ends("127.0.0.1", here, here)


@asynccontextmanager
async def unix() -> AsyncIterator[Ends]:
    """A socket of AF_UNIX, which has no network below it at all."""
    here: AbstractAsyncContextManager[None] = nullcontext()
    with tempfile.TemporaryDirectory() as folder:
        yield Ends(str(Path(folder, "socket")), here, here, is_path=True)


@asynccontextmanager
async def own_loopback() -> AsyncIterator[Ends]:
    """The loopback interface of one of our hosts."""
    async with aionetflow.Network(seed=1) as net:
        yield Ends("127.0.0.1", net.localhost, net.localhost)


def link(mtu: int) -> Place:
    """Two of our hosts, and a link of that MTU between them that carries true frames, without delay or loss."""

    @asynccontextmanager
    async def place() -> AsyncIterator[Ends]:
        async with aionetflow.Network(seed=1) as net:
            server, client = net.host("server"), net.host("client")
            net.link(server, client, mtu=mtu, offload=False)
            yield Ends(server.addresses[0], server, client)

    return place


PLACES: dict[str, Place] = {
    "kernel": kernel,
    "unix": unix,
    "lo": own_loopback,
    "link-1500": link(1500),
    "link-64k": link(LONGEST_PACKET),
}
