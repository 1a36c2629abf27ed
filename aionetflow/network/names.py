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


def resolve_all(host: str, find: Callable[[str], Host | None]) -> list[str]:
    """The addresses of a host in both families: as `resolve`, but "localhost" is 127.0.0.1 and ::1.

    >>> resolve_all("localhost", lambda name: None), resolve_all("::1", lambda name: None)
    (['127.0.0.1', '::1'], ['::1'])
    """
    return ["127.0.0.1", "::1"] if host.rstrip(".").lower() == "localhost" else resolve(host, find)


def resolve(host: str, find: Callable[[str], Host | None]) -> list[str]:
    """The addresses of a host: a literal's own, a name's from its interfaces, "localhost"'s from loopback.

    Raises OSError(ENETUNREACH) for a name that nobody has: a program on a virtual network asks nobody else.
    """
    if host == "" or host == "<broadcast>" or is_literal(host):
        return [host]
    if host == "localhost":
        return ["127.0.0.1"]
    found = find(host.rstrip(".").lower())
    if found is None:
        raise os_error(errno.ENETUNREACH, f"no host named {host!r} on this network")
    if not found.addresses:
        raise os_error(errno.ENETUNREACH, f"{host!r} has no address")
    return found.addresses
