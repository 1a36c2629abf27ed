"""A host in a process of its own, joined with the network of a test by a tunnel: octets are moved, and their digests.

    python -m support.far       settings are a line of JSON on standard input; ends when standard input does

Both processes serve, and `move` octets on connections of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import struct
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import aionetflow as anf
from support.build import package_folder

PORT = 9000
TAKE, GIVE, CALL = range(3)  # what whoever is connected to does: takes octets, gives some, moves some to who asks
_FOREVER = 1 << 62  # octets
_REQUEST = struct.Struct(">BQ")
_DIGEST = 32  # octets
_PATTERN = memoryview(Random(0).randbytes((1 << 20) + 9973))  # no divisor of anything: a shifted octet is seen
_READ = 1 << 18
_VNI = 42


class Moved(NamedTuple):
    """What two ends say of the octets that were moved."""

    here: bytes
    there: bytes


# ---- both processes


async def move(name: str, job: int, size: int, watch: Callable[[int], None] = lambda done: None) -> Moved:
    """Moves so many octets on a new connection to a host; `watch` is told how many it were, from time to time."""
    async with await anf.socket() as sock:
        await sock.connect((name, PORT))
        await sock.write(_REQUEST.pack(job, size))
        if job == TAKE:
            here = await _give(sock, size, watch)
        elif job == GIVE:
            here = await _take(sock, size, watch)
        else:
            here = await _read(sock, _DIGEST)
        return Moved(here, await _read(sock, _DIGEST))


async def unending(name: str, job: int, size: int) -> asyncio.Task[Moved]:
    """A transfer that does not end, when more than so many octets of it have been moved."""
    halfway = asyncio.Event()

    def watch(done: int) -> None:
        if done > size:
            halfway.set()

    transfer = asyncio.ensure_future(move(name, job, _FOREVER, watch))
    await halfway.wait()
    return transfer


@contextlib.asynccontextmanager
async def serving(host: anf.Host) -> AsyncIterator[None]:
    """Answers, on a host, whoever comes."""
    async with host, await anf.socket() as listener:
        await listener.setsockopt(anf.SOL_SOCKET, anf.SO_REUSEADDR, 1)
        await listener.bind(("", PORT))
        await listener.listen()
        serving = asyncio.ensure_future(_serve(listener))
        try:
            yield
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving


async def _serve(listener: anf.Socket) -> None:
    async with asyncio.TaskGroup() as tasks:
        while True:
            sock, address = await listener.accept()
            tasks.create_task(_answer(sock, address[0]))


async def _answer(sock: anf.Socket, who: str) -> None:
    with contextlib.suppress(ConnectionError):  # who was killed comes again
        async with sock:
            job, size = _REQUEST.unpack(await _read(sock, _REQUEST.size))
            if job == TAKE:
                await sock.write(await _take(sock, size))
            elif job == GIVE:
                await sock.write(await _give(sock, size))
            else:
                await sock.write(b"".join(await move(who, TAKE, size)))


async def _give(sock: anf.Socket, size: int, watch: Callable[[int], None] = lambda done: None) -> bytes:
    digest, done = hashlib.sha256(), 0
    while done < size:
        start = done % len(_PATTERN)
        piece = _PATTERN[start : start + min(_READ, size - done)]
        await sock.write(piece)
        digest.update(piece)
        done += len(piece)
        watch(done)
    return digest.digest()


async def _take(sock: anf.Socket, size: int, watch: Callable[[int], None] = lambda done: None) -> bytes:
    digest, done = hashlib.sha256(), 0
    while done < size and (piece := await sock.read(min(_READ, size - done))):
        digest.update(piece)
        done += len(piece)
        watch(done)
    return digest.digest()


async def _read(sock: anf.Socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := await sock.read(size - len(data))):
        data += piece
    if len(data) < size:
        raise ConnectionResetError("the other end is gone")
    return data


# ---- the process of the test


class Far:
    """The other process, whose host is `far`; it can be killed and started again, at the same UDP address."""

    def __init__(self, net: anf.Network, key: str | None) -> None:
        self.tunnel = net.tunnel(("127.0.0.1", 0), _VNI, key=key)
        self.address = ("127.0.0.1", 0)
        self.process: asyncio.subprocess.Process
        self._key = key

    async def start(self) -> None:
        """Starts it, and waits until it serves."""
        paths = [str(Path(__file__).parents[1]), str(package_folder().parent), os.environ.get("PYTHONPATH", "")]
        pipe = asyncio.subprocess.PIPE
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "support.far", stdin=pipe, stdout=pipe,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        )  # fmt: skip
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        settings = {"address": self.address, "peer": self.tunnel.local, "key": self._key}
        self.process.stdin.write(json.dumps(settings).encode() + b"\n")
        self.address = ("127.0.0.1", int(await self.process.stdout.readline()))
        self.tunnel.add_peer(self.address)

    async def kill(self) -> None:
        """Ends it by SIGKILL."""
        self.process.kill()
        await self.process.wait()

    async def end(self) -> None:
        """Ends it as it should be."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert await self.process.wait() == 0


@contextlib.asynccontextmanager
async def two_processes(key: str | None) -> AsyncIterator[Far]:
    """Two processes that serve; whoever is in the context is on the host `near` of this one."""
    async with anf.Network() as net:
        far = Far(net, key)
        await far.start()
        try:
            async with serving(net.host("near")):
                yield far
            await far.end()
        finally:
            if far.process.returncode is None:
                await far.kill()


# ---- the other process


async def main() -> None:
    """Serves until standard input ends."""
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    async with anf.Network() as net:
        tunnel = net.tunnel(tuple(settings["address"]), _VNI, [tuple(settings["peer"])], key=settings["key"])
        async with serving(net.host("far")):
            print(tunnel.local[1], flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
