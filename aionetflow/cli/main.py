"""Arguments in, exit status out: 0 done, 1 the page did not arrive whole, 2 a bad argument, 130 interrupted."""

import argparse
import asyncio
import importlib.util
import os
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO, NoReturn

from aionetflow import __version__
from aionetflow.cli import host
from aionetflow.cli.output import open_output
from aionetflow.cli.reach import add_commands
from aionetflow.cli.status import FAILED, INTERRUPTED, PIPE_CLOSED, USAGE
from aionetflow.loop.events import EventLoop

PROGRAM = "aionetflow" if Path(sys.argv[0]).stem == "aionetflow" else "python -m aionetflow"  # as it was called
NEEDED = ("h11", "rich")

_SECONDS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_BITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_OCTETS = {
    "": 1, "k": 1 << 10, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
    "kB": 10**3, "MB": 10**6, "GB": 10**9, "B": 1,
}  # fmt: skip
_SHARE = {"": 1.0, "%": 0.01}


class Parser(argparse.ArgumentParser):
    """An argument parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        """Ends the program with status 2."""
        self.exit(USAGE, f"{self.prog}: error: {message}\n")


def quantity(units: Mapping[str, float], low: float, high: float, rule: str) -> Callable[[str], float]:
    """A reader of numbers with a unit, between low and high; rule is what it says of others."""

    def read(text: str) -> float:
        match = re.fullmatch(r"(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+)\s*([A-Za-z%]*)", text.removesuffix("bit/s"))
        if match is None or match[2] not in units:
            raise argparse.ArgumentTypeError(f"must be {rule}, not {text!r}")
        value = float(match[1]) * units[match[2]]
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"must be {rule}, not {text!r}")
        return value

    return read


def whole(units: Mapping[str, float], low: int, high: int, rule: str) -> Callable[[str], int]:
    """As quantity, for whole numbers."""
    inner = quantity(units, low, high, rule)

    def read(text: str) -> int:
        value = inner(text)
        if value != int(value):
            raise argparse.ArgumentTypeError(f"must be {rule}, not {text!r}")
        return int(value)

    return read


def make_parser() -> Parser:
    """The whole command line."""
    parser = Parser(prog=PROGRAM, description="A network inside an asyncio program.")
    parser.add_argument("--version", action="version", version=f"aionetflow {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="show the way of a byte: a page moves between two hosts, over two routers and a lossy link",
        description="A page moves over HTTP/1.1 from the host web to the host client, over two routers with a lossy "
        "link between them, and every step is told. Time is virtual: the same seed gives the same lines.",
        epilog="Exit status: 0 the page arrived whole, 1 it did not, 2 a bad argument.",
    )
    demo.set_defaults(command=demo_command)
    option = demo.add_argument
    option("--pcap", metavar="FILE", help="write what enters the lossy link to FILE (pcapng, fates as packet comments)")
    option("--seed", metavar="N", type=seed, default=20,
           help="whole number that decides page, losses, ports and sequence numbers (default %(default)s)")  # fmt: skip
    option("--loss", metavar="SHARE", default=0.01,
           type=quantity(_SHARE, 0, 1, "a share between 0 and 1, or 0% and 100%"),
           help="share of frames that the lossy link loses: 0.01 or 1%% (default 1%%)")  # fmt: skip
    option("--delay", metavar="TIME", default=0.020,
           type=quantity(_SECONDS, 0, 1, "a time from 0 to 1 s, such as 0.02, 20ms or 500us"),
           help="one-way delay of the lossy link in seconds, or with the unit s, ms or us (default 20ms)")  # fmt: skip
    option("--rate", metavar="RATE", default=10e6,
           type=quantity(_BITS, 1e3, 1e12, "bits per second from 1k to 1000G, such as 10M"),
           help="rate of the lossy link in bits per second, or with k, M or G (default 10M)")  # fmt: skip
    option("--mtu", metavar="OCTETS", default=1500,
           type=whole({"": 1}, 68, 65535, "a whole number of octets from 68 to 65535"),
           help="the longest IP packet that the links take, in octets (default 1500)")  # fmt: skip
    option("--size", metavar="OCTETS", default=1 << 20,
           type=whole(_OCTETS, 0, 1 << 30, "a whole number of octets up to 1 GiB, such as 3000, 64K or 1MiB"),
           help="size of the page in octets, or with K, M or G for KiB, MiB or GiB (default 1M)")  # fmt: skip
    option("--quiet", action="store_true", help="the summary only")
    add_commands(commands, quantity, whole, seed)
    host.add_command(commands, quantity, whole)
    return parser


def seed(text: str) -> int:
    """A whole number, and nothing else."""
    if not re.fullmatch(r"-?\d{1,1000}", text):
        raise argparse.ArgumentTypeError(f"must be a whole number, not {text!r}")
    return int(text)


def demo_command(arguments: argparse.Namespace) -> int:
    """Runs the demo."""
    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        return complain("the demo needs h11 and rich: pip install aionetflow[demo]", FAILED)
    from aionetflow.cli.demo import Settings, run

    settings = Settings(*(getattr(arguments, name) for name in ("seed", "loss", "delay", "rate", "mtu", "size")))
    with ExitStack() as stack:
        pcap: BinaryIO | None = None
        if arguments.pcap is not None:
            try:
                pcap = stack.enter_context(open(arguments.pcap, "wb"))
            except (OSError, ValueError) as error:
                return complain(f"argument --pcap: cannot write {arguments.pcap!r}: {error}", USAGE)
        output = open_output(quiet=arguments.quiet)
        stack.callback(output.close)
        runner = stack.enter_context(asyncio.Runner(loop_factory=lambda: EventLoop(time="virtual")))
        is_whole = runner.run(run(settings, output, quiet=arguments.quiet, pcap=pcap))
    if sys.stderr.isatty():
        print(f"{time.process_time():.2f} s of CPU time", file=sys.stderr)
    return 0 if is_whole else FAILED


def complain(message: str, status: int) -> int:
    """Says what is wrong, in one line; returns the status."""
    print(f"{PROGRAM} demo: error: {message}", file=sys.stderr)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit status."""
    parsed = make_parser().parse_args(arguments)
    try:
        status: int = parsed.command(parsed)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # What is still buffered must not be tried again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except OSError as error:
        return complain(str(error), FAILED)
    return status
