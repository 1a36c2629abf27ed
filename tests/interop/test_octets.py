"""A gigabyte, octet by octet, over a link that loses and reorders frames: kernel to virtual host, and back.

AIONETFLOW_INTEROP_OCTETS says how many octets, if not 1 GiB.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from collections.abc import Iterator

import pytest

import aionetflow as anf
from support.interop import FAMILIES, lab, listening, program, run
from support.namespace import missing

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing() or "can be made here")]
OCTETS = int(os.environ.get("AIONETFLOW_INTEROP_OCTETS", "1073741824"))
PATIENCE = 60 + OCTETS / 1_000_000  # s
PIECE = 1 << 20
CUBIC = "sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b'cubic')"
# What the kernel's side runs: a process of its own, so that it does not share our interpreter.
SEND = f"""
import hashlib, socket, sys
address, octets = sys.argv[1], int(sys.argv[2])
sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
{CUBIC}
sock.connect((address, 9000))
block = bytes(range(256)) * 4096
for number in range(octets // len(block)):
    sock.sendall(number.to_bytes(8, "big") + block[8:])
sock.shutdown(socket.SHUT_WR)
sock.recv(1)
"""
RECEIVE = """
import hashlib, socket, sys
listener = socket.create_server((sys.argv[1], 9000), family=socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
sock, _ = listener.accept()
digest, count = hashlib.sha256(), 0
while data := sock.recv(1 << 20):
    digest.update(data)
    count += len(data)
print(count, digest.hexdigest())
"""


def blocks() -> Iterator[bytes]:
    """What is sent: a megabyte at a time, each with its number."""
    block = bytes(range(256)) * 4096
    for number in range(OCTETS // PIECE):
        yield number.to_bytes(8, "big") + block[8:]


def expected() -> tuple[int, str]:
    """How many octets, and their digest."""
    digest = hashlib.sha256()
    for block in blocks():
        digest.update(block)
    return OCTETS // PIECE * PIECE, digest.hexdigest()


@pytest.mark.parametrize("version", FAMILIES)
def test_from_the_kernel_to_a_virtual_host(version: int) -> None:
    async def main() -> None:
        async with lab(version, loss=0.001, reorder=0.001, delay=0.0005) as where:
            async with where.far:
                listener = await anf.socket(anf.AF_INET6 if version == 6 else anf.AF_INET)
            await listener.bind((where.far_address, 9000))
            await listener.listen()
            async with program(where.namespace, sys.executable, "-c", SEND, where.far_address, str(OCTETS)):
                sock, _ = await listener.accept()
                digest, count = hashlib.sha256(), 0
                while data := await sock.read(PIECE):
                    digest.update(data)
                    count += len(data)
                await sock.close()
                await listener.close()
            assert (count, digest.hexdigest()) == expected()
            assert where.tap.b_to_a.lost > 0

    run(main(), PATIENCE)


@pytest.mark.parametrize("version", FAMILIES)
def test_from_a_virtual_host_to_the_kernel(version: int) -> None:
    async def main() -> None:
        async with lab(version, loss=0.001, reorder=0.001, delay=0.0005) as where:
            pipe = asyncio.subprocess.PIPE
            command = (sys.executable, "-c", RECEIVE, where.kernel_address)
            async with program(where.namespace, *command, stdout=pipe) as receiver:
                await listening(where.namespace, 9000)
                async with where.far:
                    sock = await anf.socket(anf.AF_INET6 if version == 6 else anf.AF_INET)
                await sock.connect((where.kernel_address, 9000))
                for block in blocks():
                    await sock.write(block)
                await sock.shutdown(anf.SHUT_WR)
                assert receiver.stdout is not None
                count, digest = (await receiver.stdout.readline()).split()
                await sock.close()
            assert (int(count), digest.decode()) == expected()
            assert where.tap.a_to_b.lost > 0

    run(main(), PATIENCE)
