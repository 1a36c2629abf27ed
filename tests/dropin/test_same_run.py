"""The same seed gives the same frames, whatever the hash seed, the build and the version of Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, hashlib, sys
import aionetflow

async def echo(reader, writer):
    while data := await reader.read(5000):
        writer.write(data)
        await writer.drain()
    writer.close()

async def talk(host, port, size):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(bytes(size))
    writer.write_eof()
    assert await reader.read() == bytes(size)
    writer.close()
    await writer.wait_closed()

async def main():
    frames = hashlib.sha256()

    def tap(now, channel, frame, fate):
        frames.update(b"%d %s %s %s" % (now, channel.name.encode(), frame, fate.encode()))

    async with aionetflow.Network(seed=7) as net:
        web, client = net.host("web"), net.host("client")
        link = net.link(web, client, delay=0.01, loss=0.03, reorder=0.02, duplicate=0.01, rate=10e6)
        link.tap(tap)
        async with web:
            server = await asyncio.start_server(echo, ["0.0.0.0", "localhost"], 0)
        ports = {sock.getsockname()[:2] for sock in server.sockets}
        port = next(port for host, port in ports if host == "0.0.0.0")
        async with client:
            async with asyncio.timeout(600):
                await asyncio.gather(*(talk("web", port, 10000 * n) for n in range(1, 6)))
        server.close()
        await server.wait_closed()
        print(sorted(ports), asyncio.get_running_loop().time_ns(), frames.hexdigest())

aionetflow.run(main(), time="virtual")
"""


def outcome(python: str = sys.executable, **environment: str) -> str:
    """What the program prints in a process of its own."""
    env = {**os.environ, **environment}
    done = subprocess.run([python, "-c", PROGRAM], env=env, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def expected() -> str:
    return outcome(PYTHONHASHSEED="0")


@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_an_asyncio_program_sends_the_same_frames_at_the_same_times_whatever_strings_hash_to(
    seed: str, expected: str
) -> None:
    assert outcome(PYTHONHASHSEED=seed) == expected


def test_the_pure_build_sends_the_same_frames(expected: str) -> None:
    pure = Path(__file__).parents[1] / "support" / "pure"
    assert outcome(AIONETFLOW_PURE="1", PYTHONPATH=str(pure)) == expected
