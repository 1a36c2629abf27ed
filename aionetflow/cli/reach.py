"""The commands ping and traceroute: they print what ping(8) and traceroute(8) would, on virtual time."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import aionetflow as anf
from aionetflow.cli.scenario import ScenarioError, build, first_host
from aionetflow.cli.site import Site
from aionetflow.loop.events import EventLoop

NOTHING_CAME = 1  # as ping(8): no answer, or the target was not reached
UNUSABLE = 2


def add_commands(commands: Any, quantity: Callable[..., Any], whole: Callable[..., Any], seed: Any) -> None:
    """Adds both commands to the command line."""
    ping = commands.add_parser(
        "ping",
        help="send echo requests from one host of a network to another",
        description="Sends ICMP echo requests to a host and prints the replies, as ping(8) does. Time is virtual: "
        "nobody waits, and the same seed gives the same lines.",
        epilog="Exit status: 0 a reply came, 1 none came, 2 a bad argument or an unknown host.",
    )
    ping.set_defaults(command=lambda arguments: run(_ping, arguments))
    _add_ping_options(ping, quantity, whole)
    _add_common(ping, seed)

    trace = commands.add_parser(
        "traceroute",
        help="show the routers between two hosts of a network",
        description="Finds the routers on the way to a host and prints them, as traceroute(8) does. Time is virtual.",
        epilog="Exit status: 0 the host was reached, 1 it was not, 2 a bad argument or an unknown host.",
    )
    trace.set_defaults(command=lambda arguments: run(_traceroute, arguments))
    option = trace.add_argument
    seconds, ttl = _seconds(quantity), _ttl(whole)
    option("-I", "--icmp", action="store_true", help="probe with ICMP echo requests instead of UDP datagrams")
    option("-m", "--max-hops", type=ttl, default=30, metavar="N", help="largest TTL (default %(default)s)")
    option("-f", "--first", type=ttl, default=1, metavar="N", help="first TTL (default %(default)s)")
    probes = whole({"": 1}, 1, 10, "a whole number from 1 to 10")
    option("-q", "--queries", type=probes, default=3, metavar="N", help="probes of each hop (default %(default)s)")
    option("-w", "--wait", type=seconds, default=5.0, metavar="TIME", help="wait for an answer (default 5s)")
    _add_common(trace, seed)


def add_jobs(jobs: Any, quantity: Callable[..., Any], whole: Callable[..., Any]) -> None:
    """Adds ping to the commands of `aionetflow host`."""
    ping = jobs.add_parser(
        "ping",
        help="send echo requests to another host",
        description="Sends ICMP echo requests to a host and prints the replies, as ping(8) does.",
        epilog="Exit status: 0 a reply came, 1 none came.",
    )
    ping.set_defaults(job=_ping_from)
    _add_ping_options(ping, quantity, whole)
    _add_target(ping)


async def _ping_from(site: Site, arguments: argparse.Namespace) -> int:
    await site.find(arguments.target)
    return await _ping(site.host, arguments)


def _seconds(quantity: Callable[..., Any]) -> Any:
    return quantity({"": 1.0, "s": 1.0, "ms": 1e-3}, 0, 3600, "a time up to an hour, such as 0.2 or 200ms")


def _ttl(whole: Callable[..., Any]) -> Any:
    return whole({"": 1}, 1, 255, "a whole number from 1 to 255")


def _add_ping_options(parser: argparse.ArgumentParser, quantity: Callable[..., Any], whole: Callable[..., Any]) -> None:
    seconds, ttl = _seconds(quantity), _ttl(whole)
    option = parser.add_argument
    count = whole({"": 1}, 1, 1_000_000, "a whole number from 1 to 1000000")
    option("-c", "--count", type=count, default=4, metavar="N", help="requests to send (default %(default)s)")
    option("-i", "--interval", type=seconds, default=1.0, metavar="TIME", help="time between requests (default 1s)")
    option("-W", "--timeout", type=seconds, default=10.0, metavar="TIME", help="wait for the last reply (default 10s)")
    size = whole({"": 1}, 0, 65507, "a whole number of octets up to 65507")
    option("-s", "--size", type=size, default=56, metavar="OCTETS", help="octets of data (default %(default)s)")
    option("-t", "--ttl", type=ttl, default=64, metavar="N", help="TTL of the requests (default %(default)s)")


def _add_target(parser: argparse.ArgumentParser) -> None:
    family = parser.add_mutually_exclusive_group()
    family.add_argument("-4", dest="family", action="store_const", const=anf.AF_INET, default=0, help="IPv4 only")
    family.add_argument("-6", dest="family", action="store_const", const=anf.AF_INET6, help="IPv6 only")
    parser.add_argument("target", metavar="TARGET", help="name or address of the host to reach, such as web")


def _add_common(parser: argparse.ArgumentParser, seed: Any) -> None:
    _add_target(parser)
    option = parser.add_argument
    option("--from", dest="source", metavar="HOST", help="host to send from (default: the first of the network)")
    option("--network", metavar="FILE", help="Python file whose function build(net) makes the network (default: the "
           "demo's, client - west - east - web)")  # fmt: skip
    option("--seed", metavar="N", type=seed, default=20, help="whole number that decides losses (default %(default)s)")


def run(work: Callable[[anf.Host, argparse.Namespace], Coroutine[Any, Any, int]], arguments: argparse.Namespace) -> int:
    """Builds the network, and does the work on the host that the arguments name."""

    async def main() -> int:
        async with anf.Network(seed=arguments.seed) as net:
            build(net, arguments.network)
            return await work(first_host(net, arguments.source), arguments)

    try:
        with asyncio.Runner(loop_factory=lambda: EventLoop(time="virtual")) as runner:
            return runner.run(main())
    except (ScenarioError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        print(f"{arguments.target}: {error}", file=sys.stderr)
        return UNUSABLE


async def _ping(host: anf.Host, arguments: argparse.Namespace) -> int:
    shown = False

    def show(result: anf.Ping, reply: anf.Reply) -> None:
        nonlocal shown
        print(str(reply) if shown else f"{str(result).splitlines()[0]}\n{reply}")
        shown = True

    result = await anf.ping(
        arguments.target, count=arguments.count, interval=arguments.interval, size=arguments.size, ttl=arguments.ttl,
        timeout=arguments.timeout, family=arguments.family, host=host, tell=show,
    )  # fmt: skip
    if not shown:
        print(str(result).splitlines()[0])
    print(f"\n--- {result.name} ping statistics ---\n{result.summary()}")
    return 0 if result.received else NOTHING_CAME


async def _traceroute(host: anf.Host, arguments: argparse.Namespace) -> int:
    result = await anf.traceroute(
        arguments.target, icmp=arguments.icmp, max_hops=arguments.max_hops, first_hop=arguments.first,
        probes=arguments.queries, wait=arguments.wait, family=arguments.family, host=host,
    )  # fmt: skip
    print(result)
    return 0 if result.reached else NOTHING_CAME
