"""aionetflow host: one host in a process of its own, which a tunnel joins with those of other processes."""

import argparse
import asyncio
import contextlib
import logging
import re
import signal
from collections.abc import Callable, Iterator
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

import aionetflow as anf
from aionetflow.cli import bench, netcat, reach, web
from aionetflow.cli.site import OutputClosed, Problem, Site, tell
from aionetflow.cli.status import INTERRUPTED, USAGE
from aionetflow.config import DEFAULT_MTU
from aionetflow.loop.events import new_event_loop
from aionetflow.tunnel.address import Address
from aionetflow.tunnel.link import LEAST_MTU, TunnelLink
from aionetflow.tunnel.vxlan import PORT

_ANY = "0.0.0.0"
_KEY_SIZE = 32
_LONGEST_MTU = 65535
_ADDRESS = re.compile(r"(?:\[([^\[\]]+)\]|([^:\[\]]*))(?::(\d{1,5}))?")


def add_command(commands: Any, quantity: Callable[..., Any], whole: Callable[..., Any]) -> None:
    """Adds the command to the command line."""
    host = commands.add_parser(
        "host",
        help="a host in this process, on a network with hosts of other processes: serve, get, ping, nc, bench",
        description="Makes a host, joins it with those of other processes and machines by a tunnel (VXLAN over UDP), "
        "and runs a command on it. Hosts find each other by name.",
        epilog="Exit status: 0 done, 1 it could not be done, 2 a bad argument, 130 interrupted.",
    )
    host.set_defaults(command=host_command)
    option = host.add_argument
    option("--name", required=True, type=name, help="what the others know this host by, such as web")
    option("--address", action="append", default=[], type=interface, metavar="A/LEN",
           help="an address of the host, such as 10.0.0.5/16; may be repeated (default: made of its name)")  # fmt: skip
    option("--tunnel", required=True, type=address, metavar="[BIND]:PORT",
           help=f"UDP address of this machine where the tunnel ends, such as :{PORT} for any; PORT is {PORT} if only "
           "BIND is given")  # fmt: skip
    option("--peer", action="append", default=[], type=address, metavar="HOST:PORT",
           help=f"where another end of the tunnel is; may be repeated (default port {PORT})")  # fmt: skip
    vni = whole({"": 1}, 0, 0xFFFFFF, "a whole number from 0 to 16777215")
    option("--vni", type=vni, default=1, metavar="N", help="number of the network, the same at all ends (default 1)")
    option("--key-file", metavar="FILE",
           help="encrypt, and let in only who has the same key, such as `openssl rand -hex 32` makes")  # fmt: skip
    option("--learn", action="store_true", help="whoever sends frames of this network becomes a peer")
    mtu = whole({"": 1}, LEAST_MTU, _LONGEST_MTU, f"a whole number of octets from {LEAST_MTU} to {_LONGEST_MTU}")
    option("--mtu", type=mtu, default=DEFAULT_MTU, metavar="N",
           help="longest IP packet inside, in octets, if the way takes it (default %(default)s)")  # fmt: skip
    option("--pcap", metavar="FILE", help="write the frames inside the tunnel to FILE (pcapng)")
    jobs = host.add_subparsers(title="commands on the host", metavar="COMMAND", required=True)
    for module in (web, reach, netcat, bench):
        module.add_jobs(jobs, quantity, whole)


def name(text: str) -> str:
    """A host's name: one that can be asked for."""
    labels = text.removesuffix(".").split(".")
    if not all(re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?", label) for label in labels):
        raise argparse.ArgumentTypeError(f"must be a host's name, such as web or www.example, not {text!r}")
    if text.lower() in ("localhost", "lan"):
        raise argparse.ArgumentTypeError(f"must not be {text!r}, which is there already")
    return text.removesuffix(".")


def interface(text: str) -> str:
    """An address with the length of its network's prefix."""
    with contextlib.suppress(ValueError):
        ip_interface(text)
        if "/" in text:
            return text
    raise argparse.ArgumentTypeError(f"must be an address and a prefix length, such as 10.0.0.5/16, not {text!r}")


def address(text: str) -> Address:
    """[HOST][:PORT], a host of IPv6 in brackets, as an address.

    >>> address(":7"), address("web.example"), address("[::1]:7"), address("10.0.0.1:80")
    (('0.0.0.0', 7), ('web.example', 4789), ('::1', 7), ('10.0.0.1', 80))
    """
    match = _ADDRESS.fullmatch(text)
    if match is None or not text or int(match[3] or 0) > 0xFFFF:
        raise argparse.ArgumentTypeError(f"must be HOST:PORT, [IPV6]:PORT or :PORT, not {text!r}")
    return match[1] or match[2] or _ANY, int(match[3]) if match[3] else PORT


def _key(path: str | None) -> bytes | str | None:
    """The key in a file; Problem if there is none."""
    if path is None:
        return None
    try:
        octets = Path(path).read_bytes()
    except OSError as error:
        raise Problem(f"cannot read the key: {path}: {error.strerror}") from None
    if len(octets) == _KEY_SIZE:
        return octets
    return octets.decode("ascii", "replace").strip()


# Running --------------------------------------------------------------------------------------------------------------


def host_command(arguments: argparse.Namespace) -> int:
    """Makes the host and runs the command on it; the exit status."""
    logging.basicConfig(format="%(message)s")
    try:
        if not arguments.peer and not arguments.learn:
            raise Problem("nobody could be reached: name a --peer, or --learn who they are", USAGE)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(_main(arguments))
    except Problem as problem:
        tell(f"aionetflow host: error: {problem}")
        return problem.status
    except asyncio.CancelledError:
        return INTERRUPTED


async def _main(arguments: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None
    with contextlib.suppress(NotImplementedError):  # where there are no signals
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with anf.Network() as net:
        site = _built(net, arguments)
        with _captured(site.tunnel, arguments.pcap):
            async with site.host:
                try:
                    status: int = await arguments.job(site, arguments)
                except OutputClosed:
                    raise
                except OSError as error:
                    raise Problem(site.why_silent() or error.strerror or str(error)) from None
                finally:
                    await site.finish()
            return status


def _built(net: anf.Network, arguments: argparse.Namespace) -> Site:
    """The host and its tunnel; Problem if they cannot be."""
    key = _key(arguments.key_file)
    try:
        host = net.host(arguments.name, *arguments.address)
        tunnel = net.tunnel(
            arguments.tunnel, arguments.vni, arguments.peer, key=key, learn=arguments.learn, mtu=arguments.mtu
        )
        net.settle()
        return Site(host, tunnel)
    except OSError as error:
        raise Problem(error.strerror or str(error)) from None
    except RuntimeError as error:  # a package is missing
        raise Problem(str(error)) from None
    except ValueError as error:  # a key that is none, a peer that is this end itself, an address twice
        raise Problem(str(error), USAGE) from None


@contextlib.contextmanager
def _captured(tunnel: TunnelLink, path: str | None) -> Iterator[None]:
    """Writes what enters the tunnel, both ways, to a file meanwhile."""
    if path is None:
        yield
        return
    try:
        capture = tunnel.capture(path)
    except OSError as error:
        raise Problem(f"cannot write {path}: {error.strerror}") from None
    try:
        yield
    finally:
        capture.close()
