"""aionetflow host … bench: how much one stream carries from this process to another, and what that costs both."""

import argparse
import asyncio
import contextlib
import struct
from collections.abc import Callable
from time import process_time
from typing import Any, NamedTuple

import aionetflow as anf
from aionetflow.cli.netcat import connected
from aionetflow.cli.site import Problem, Site, tell

PORT = 5201
_PIECE = bytes(1 << 18)
_READ = 1 << 20  # octets
_REPORT = struct.Struct(">Qdd")  # octets that came, seconds, seconds of CPU time
_SERVE = "serve"


class Load(NamedTuple):
    """What one end has done."""

    octets: int
    seconds: float
    cpu: float  # s

    def share(self) -> str:
        """Of a CPU."""
        return f"{100 * self.cpu / self.seconds:.0f} %" if self.seconds else "-"

    def rate(self) -> str:
        """As one says it."""
        bits = 8 * self.octets / self.seconds if self.seconds else 0.0
        return f"{bits / 1e9:.2f} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:.1f} Mbit/s"


def add_jobs(jobs: Any, quantity: Callable[..., Any], whole: Callable[..., Any]) -> None:
    """Adds the command."""
    bench = jobs.add_parser(
        "bench", help="measure what one stream carries: `bench serve` at one end, `bench HOST` at the other",
        description="Sends to a host for some seconds as fast as it takes it, over one TCP connection, and says how "
        "much that was, and how much of a CPU each end needed for it.",
    )  # fmt: skip
    bench.set_defaults(job=_bench)
    port = whole({"": 1}, 1, 65535, "a whole number from 1 to 65535")
    seconds = quantity({"": 1.0, "s": 1.0}, 0.1, 3600, "a time from 0.1 s to an hour, such as 10")
    bench.add_argument("target", metavar="HOST", help=f"where to send to; {_SERVE} is to receive")
    bench.add_argument("--port", type=port, default=PORT, metavar="N", help="port (default %(default)s)")
    bench.add_argument("--seconds", type=seconds, default=5.0, metavar="TIME", help="how long (default 5)")


async def _bench(site: Site, arguments: argparse.Namespace) -> int:
    if arguments.target == _SERVE:
        return await _serve(site, arguments.port)
    sock = await connected(site, arguments.target, arguments.port)
    async with sock:
        mine = await _send(sock, arguments.seconds)
        answer = await sock.read(_REPORT.size)
    if len(answer) < _REPORT.size:
        raise Problem(f"{arguments.target} ended the connection without a word")
    theirs = Load(*_REPORT.unpack(answer))
    print(f"{theirs.octets} octets in {theirs.seconds:.2f} s: {theirs.rate()}, "
          f"CPU {mine.share()} here, {theirs.share()} at {arguments.target}")  # fmt: skip
    return 0


async def _send(sock: anf.Socket, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    began, cpu = loop.time(), process_time()
    while loop.time() - began < seconds:
        await sock.write(_PIECE)
    await sock.shutdown(anf.SHUT_WR)
    return Load(sock.written, loop.time() - began, process_time() - cpu)


async def _serve(site: Site, port: int) -> int:
    async with await anf.socket(anf.AF_INET6) as listener:
        await anf.bind(listener, ("::", port))
        await anf.listen(listener)
        tell(f"{site.host.name} ({site.addresses}) waits at port {port}")
        while True:
            sock, address = await anf.accept(listener)
            with contextlib.suppress(ConnectionError):
                async with sock:
                    load = await _receive(sock)
                    await sock.write(_REPORT.pack(*load))
                who = address[0].removeprefix("::ffff:")
                tell(f"{who}: {load.octets} octets in {load.seconds:.2f} s: {load.rate()}, CPU {load.share()}")


async def _receive(sock: anf.Socket) -> Load:
    loop = asyncio.get_running_loop()
    began, cpu, octets = loop.time(), process_time(), 0
    while piece := await sock.read(_READ):
        octets += len(piece)
    return Load(octets, loop.time() - began, process_time() - cpu)
