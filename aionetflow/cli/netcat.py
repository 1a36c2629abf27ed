"""aionetflow host … nc: standard input to a connection, and what comes from there to standard output."""

import argparse
import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import aionetflow as anf
from aionetflow.cli.site import Problem, Site, put, tell
from aionetflow.cli.status import USAGE

_PIECE = 1 << 16  # octets


def add_jobs(jobs: Any, quantity: Callable[..., Any], whole: Callable[..., Any]) -> None:
    """Adds the command."""
    nc = jobs.add_parser(
        "nc", help="a connection by hand: standard input there, what comes back to standard output",
        description="Connects to a port, or waits there for a connection; sends standard input, and writes what comes "
        "to standard output. The end of the input ends that direction only; it is over when both have ended, or what "
        "comes has and the input is a terminal.",
        usage="%(prog)s [-h] HOST PORT | -l PORT",
    )  # fmt: skip
    nc.set_defaults(job=_netcat)
    nc.add_argument("-l", "--listen", action="store_true", help="wait for one connection")
    nc.add_argument("where", nargs="+", metavar="HOST PORT", help="where to connect to; with -l the port alone")


async def _netcat(site: Site, arguments: argparse.Namespace) -> int:
    *hosts, port = arguments.where
    if len(hosts) != (0 if arguments.listen else 1) or not (port.isdecimal() and 0 < int(port) <= 0xFFFF):
        raise Problem("nc wants HOST PORT, or -l PORT, and a port from 1 to 65535", USAGE)
    sock = await (_accepted(site, int(port)) if arguments.listen else connected(site, hosts[0], int(port)))
    try:
        async with sock, asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(_send_input(sock))
            await _write_output(sock)
            if sys.stdin.isatty():
                sending.cancel()  # whoever sits there need not say that there is no more
    except ExceptionGroup as group:
        raise group.exceptions[0] from None
    return 0


async def _accepted(site: Site, port: int) -> anf.Socket:
    async with await anf.socket(anf.AF_INET6) as listener:
        await anf.bind(listener, ("::", port))
        await anf.listen(listener)
        tell(f"{site.host.name} ({site.addresses}) waits at port {port}")
        sock, _ = await anf.accept(listener)
    return sock


async def connected(site: Site, host: str, port: int) -> anf.Socket:
    """Connected to the first of a host's addresses that takes it; Problem if none does."""
    problem: OSError | None = None
    for address in await site.find(host):
        sock = await anf.socket(anf.AF_INET6 if ":" in address else anf.AF_INET)
        try:
            await anf.connect(sock, (address, port))
        except OSError as error:
            await sock.close()
            problem = error
        except BaseException:
            await sock.close()
            raise
        else:
            return sock
    raise Problem(site.why_silent() or f"{host}:{port}: {problem.strerror if problem else 'no address'}")


async def _send_input(sock: anf.Socket) -> None:
    async for piece in _Input():
        await sock.write(piece)
    with contextlib.suppress(OSError):  # the other end has ended it all
        await sock.shutdown(anf.SHUT_WR)


async def _write_output(sock: anf.Socket) -> None:
    while piece := await sock.read(_PIECE):
        await asyncio.to_thread(put, piece)


class _Input:
    """Standard input, piece by piece: by a thread, since a file, a pipe and a terminal wait in ways of their own.

    The thread ends with the process: what it waits for cannot be called off.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._wanted = threading.Semaphore(0)
        threading.Thread(target=self._read, name="aionetflow-stdin", daemon=True).start()

    def __aiter__(self) -> "_Input":
        return self

    async def __anext__(self) -> bytes:
        self._wanted.release()
        piece = await self._pieces.get()
        if not piece:
            raise StopAsyncIteration
        return piece

    def _read(self) -> None:
        piece = b"more"
        while piece:
            self._wanted.acquire()
            try:
                piece = os.read(0, _PIECE)
            except OSError:  # there is none
                piece = b""
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._pieces.put_nowait, piece)
