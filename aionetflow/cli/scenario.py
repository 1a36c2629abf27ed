"""The network that ping and traceroute run on: the demo's hosts and routers, or what a file builds."""

import runpy
from pathlib import Path

import aionetflow as anf

BUILDER = "build"


class ScenarioError(Exception):
    """A file that builds no network; the text says why."""


def build(net: anf.Network, path: str | None) -> None:
    """Builds the network of a Python file, whose function build(net) does it; without one, the demo's.

    Raises ScenarioError if the file cannot be read, has no such function, or that fails.
    """
    if path is None:
        build_default(net)
        return
    if not Path(path).is_file():
        raise ScenarioError(f"no such file: {path!r}")
    try:
        builder = runpy.run_path(path).get(BUILDER)
        if not callable(builder):
            raise ScenarioError(f"{path!r} has no function {BUILDER}(net)")
        builder(net)
    except ScenarioError:
        raise
    except Exception as error:
        raise ScenarioError(f"{path!r}: {type(error).__name__}: {error}") from error


def build_default(net: anf.Network) -> None:
    """client - west - east - web: two hosts, two routers, 20 ms and 1 % loss between the routers."""
    client, web = net.host("client", "10.0.1.5/24"), net.host("web", "10.0.3.80/24")
    west = net.router("west", "10.0.1.1/24", "10.0.2.1/24")
    east = net.router("east", "10.0.2.2/24", "10.0.3.1/24")
    net.link(client, west, delay=0.0001)
    net.link(west, east, delay=0.020, rate=10e6, loss=0.01)
    net.link(east, web, delay=0.0001)


def first_host(net: anf.Network, name: str | None) -> anf.Host:
    """The host to send from: the one of that name, or the first that was built; ScenarioError if there is none."""
    hosts = [host for host in net.hosts if host is not net.localhost]
    if name is None:
        plain = [host for host in hosts if not isinstance(host, anf.Router)]
        if not (plain or hosts):
            raise ScenarioError("the network has no host to send from")
        return (plain or hosts)[0]
    for host in net.hosts:
        if host.name.lower() == name.lower():
            return host
    raise ScenarioError(f"no host is named {name!r}: there are {', '.join(host.name for host in hosts)}")
