"""The short way of create_connection(): from the plain arguments straight to the core.

Plain are the address literal or the name of a host, a port by number, and nothing else. asyncio's function then
does nothing that could be seen from outside but what stands here, step by step and turn by turn of the loop. For all
else, and in debug mode, asyncio's own runs (calls.py).
"""

import asyncio
import types
from collections.abc import Generator
from functools import lru_cache
from typing import Any, NamedTuple

from aionetflow.dropin import resolve
from aionetflow.dropin.description import Description
from aionetflow.dropin.socket import VirtualSocket, bridges
from aionetflow.dropin.stream import StreamTransport
from aionetflow.ip.address import AF_INET, AF_INET6, MAPPED, pack
from aionetflow.network.host import Host

_MAX_PORT = 65535


class Place(NamedTuple):
    """Where to connect to."""

    family: int
    packed: bytes
    address: tuple[Any, ...]  # as an error names it


@types.coroutine
def turn() -> Generator[None, None, None]:
    """The loop's next turn, as asyncio.sleep(0)."""
    yield


def plain(here: Host, host: Any, port: Any) -> list[Place]:
    """Where arguments lead to that are plain, what is to be tried first at the head; nothing if they are not."""
    if type(host) is not str or type(port) is not int or not 0 <= port <= _MAX_PORT or bridges:
        return []
    packed = _octets(host)
    if packed is None:
        literals = resolve.literals_of(here, host) if host.isascii() and host.isidentifier() else []
        return [_place(literal, _octets(literal) or b"", port) for literal in literals]
    return [_place(host, packed, port)] if packed else []


def _place(host: str, packed: bytes, port: int) -> Place:
    if len(packed) == 4:
        return Place(AF_INET, packed, (host, port))
    return Place(AF_INET6, packed, (host, port, 0, 0))


@lru_cache(1024)
def _octets(host: str) -> bytes | None:
    """Those of a literal; None for a name, b"" for an address that means more than its octets say."""
    try:
        packed = pack(host)
    except ValueError:
        return None
    mapped = packed[:12] == MAPPED
    link_local = len(packed) == 16 and packed[0] == 0xFE
    return b"" if mapped or link_local or "%" in host else packed


async def connected(here: Host, places: list[Place]) -> Description:
    """A new stream socket on a host, connected to the first of the places that answers.

    Raises OSError in asyncio's words: for all of them, if none does. Who is cancelled has nothing open.
    """
    failures: list[OSError] = []
    for place in places:
        try:
            return await _connected(here, place)
        except OSError as error:
            failures.append(error)
    words = [str(failure) for failure in failures]
    try:
        raise failures[0] if len(set(words)) == 1 else OSError(f"Multiple exceptions: {', '.join(words)}")
    finally:
        failures.clear()  # each holds a traceback, which holds this list


async def _connected(here: Host, place: Place) -> Description:
    core = here.open_stream(place.family)
    description = Description(core, here, here.network.event_loop())
    try:
        core.send_at_once()
        core.begin(place.packed, place.address[1])
        await turn()
        while core.is_connecting():
            await description.wait(description.changes)
        core.check_open()
        error = core.take_error()
        if error:
            raise OSError(error, f"Connect call failed {place.address}")
    except BaseException:
        description.release()
        raise
    return description


async def create_connection(
    loop: asyncio.AbstractEventLoop, here: Host, places: list[Place], protocol_factory: Any
) -> tuple[StreamTransport, Any]:
    """What loop.create_connection() comes to."""
    description = await connected(here, places)
    try:
        protocol = protocol_factory()
    except BaseException:
        # asyncio leaves the socket to the garbage collector, which warns
        sock = VirtualSocket(here, proto=description.proto, description=description)
        sock.setblocking(False)
        raise
    waiter = loop.create_future()
    transport = StreamTransport(loop, description, protocol, waiter)
    try:
        await waiter
    except BaseException:
        transport.close()
        raise
    return transport, protocol
