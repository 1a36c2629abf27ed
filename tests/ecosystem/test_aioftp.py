"""aioftp: a control connection, and one for each file and each listing, to a port that the server names."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import aioftp

DATA = bytes(range(256)) * 200


@contextlib.asynccontextmanager
async def serve(name: str) -> AsyncIterator[int]:
    server = aioftp.Server(path_io_factory=aioftp.MemoryPathIO)
    await server.start(name, 0)
    yield server.server.sockets[0].getsockname()[1]
    await server.close()


async def use(name: str, port: int) -> None:
    async with aioftp.Client.context(name, port) as client:
        await client.make_directory("folder")
        async with client.upload_stream("folder/file") as stream:
            await stream.write(DATA)
        assert [(str(path), int(info["size"])) for path, info in await client.list("folder")] == [
            ("folder/file", len(DATA))
        ]
        async with client.download_stream("folder/file", offset=1000) as stream:
            assert await stream.read() == DATA[1000:]
        await client.remove("folder")
        assert await client.list() == []


def test_files_are_carried(run: Callable[..., None]) -> None:
    run(serve, use)
