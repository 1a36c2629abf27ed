"""Names of a network's hosts: what a resolver would answer."""

import errno
from collections.abc import Callable
from ipaddress import ip_address

from aionetflow.errors import os_error
from aionetflow.network.host import Host


def is_literal(host: str) -> bool:
    """Whether a string is an IP address, and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def nothing(name: str) -> list[str]:
    """What is heard of a name where there are no others."""
    return []


def resolve_all(
    host: str, find: Callable[[str], Host | None], heard: Callable[[str], list[str]] = nothing
) -> list[str]:
    """The addresses of a host in both families: as `resolve`, and then those of IPv6.

    heard tells what others have said of a name that this network does not have.

    >>> resolve_all("localhost", lambda name: None), resolve_all("::1", lambda name: None)
    (['127.0.0.1', '::1'], ['::1'])
    """
    if host == "" or host == "<broadcast>" or is_literal(host):
        return [host]
    if host.rstrip(".").lower() == "localhost":
        return ["127.0.0.1", "::1"]
    found = find(host.rstrip(".").lower())
    if found is None:
        if addresses := heard(host):
            return addresses
        raise os_error(errno.ENETUNREACH, f"no host named {host!r} on this network")
    addresses = [*found.addresses, *found.addresses6]
    if not addresses:
        raise os_error(errno.ENETUNREACH, f"{host!r} has no address")
    return addresses


def resolve(host: str, find: Callable[[str], Host | None], heard: Callable[[str], list[str]] = nothing) -> list[str]:
    """The IPv4 addresses of a host: a literal's own, a name's from its interfaces, "localhost"'s from loopback.

    Of a host that has none, its IPv6 addresses. heard tells what others have said of a name that this network does not
    have. Raises OSError(ENETUNREACH) for a name that nobody has: a program on a virtual network asks nobody else.
    """
    if host == "localhost":
        return ["127.0.0.1"]
    both = [host] if is_literal(host) else resolve_all(host, find, heard)
    return [literal for literal in both if ":" not in literal] or both
