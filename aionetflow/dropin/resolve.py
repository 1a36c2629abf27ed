"""Names on a virtual network: getaddrinfo() and its kin, with the answers and errors of the C library.

A name is looked up among the network's hosts; what is left, a literal and a port, the C library itself turns into
answers, so that ports by name, flags and error codes are its own. Nobody outside is ever asked; of hosts of other
processes, on a network that has a tunnel, what they have said is known here, and asking them is the callers' part
(`Network.look_up`).
"""

import asyncio
import socket
from typing import Any

from aionetflow.dropin.threads import call
from aionetflow.ip.address import is_scoped, pack
from aionetflow.network.clock import LoopClock
from aionetflow.network.host import Host
from aionetflow.network.names import is_literal

Info = tuple[Any, Any, int, str, Any]
_system_getaddrinfo = socket.getaddrinfo
_system_getnameinfo = socket.getnameinfo
_UNKNOWN = socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def getaddrinfo(
    here: Host, host: str | bytes | None, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> list[Info]:
    """As socket.getaddrinfo(), for a program that runs on the host `here`.

    Raises socket.gaierror with the C library's code: EAI_NONAME for a name that the network does not have. A program
    that has put a function of its own in the place of socket.getaddrinfo is asked for such names.
    """
    if isinstance(host, bytes | bytearray):
        host = host.decode("ascii", "replace")
    elif isinstance(host, str):
        host.encode("idna")  # as Python does, which may refuse it
    if isinstance(host, str) and "%" in host and is_literal(host.partition("%")[0]):
        return _scoped(here, host, port, family, type, proto, flags)
    if not isinstance(host, str) or is_literal(host):
        return _system_getaddrinfo(host, port, family, type, proto, flags & ~socket.AI_ADDRCONFIG)
    if here.network.shared and not flags & socket.AI_NUMERICHOST:
        _ask_from_thread(here, host)
    literals = [] if flags & socket.AI_NUMERICHOST else literals_of(here, host)
    if not literals:
        if socket.getaddrinfo.__module__ not in ("socket", "aionetflow.dropin.patch"):
            return socket.getaddrinfo(host, port, family, type, proto, flags)
        raise socket.gaierror(*_UNKNOWN.args)
    fitting = [literal for literal in literals if family in (0, family_of(literal))]
    if not fitting and flags & socket.AI_V4MAPPED:
        fitting = literals  # of IPv4: the C library maps them
    if not fitting:
        raise socket.gaierror(socket.EAI_NODATA, "No address associated with hostname")
    numeric = flags & ~(socket.AI_ADDRCONFIG | socket.AI_CANONNAME) | socket.AI_NUMERICHOST
    infos = [
        info for literal in fitting for info in _system_getaddrinfo(literal, port, family, type, proto, numeric)
    ]
    if flags & socket.AI_CANONNAME and infos:
        infos[0] = (*infos[0][:3], host, infos[0][4])
    return infos


def _ask_from_thread(here: Host, name: str) -> None:
    """Waits until a name that other processes may have is known, in a thread beside the loop, which does the asking.

    In the loop's own thread nobody can wait: what is not known there yet has no address.
    """
    loop = here.network.event_loop()
    if asyncio._get_running_loop() is None and loop.is_running():
        asyncio.run_coroutine_threadsafe(here.network.look_up(name, here), loop).result()


def _settle(here: Host) -> None:
    """Has addresses handed out where the network may be touched: in the loop, if this is another thread."""
    network = here.network
    if not network.settled and isinstance(network.clock, LoopClock):
        call(network.event_loop(), network.settle)


def _scoped(here: Host, host: str, port: Any, family: int, type: int, proto: int, flags: int) -> list[Info]:
    """The answers for "fe80::1%eth0", eth0 being the host's own: the interface's index is the scope."""
    literal, _, zone = host.partition("%")
    try:
        scope = int(zone) if zone.isdecimal() else here.stack.index_of(zone)
    except OSError:
        raise socket.gaierror(*_UNKNOWN.args) from None
    infos = _system_getaddrinfo(literal, port, family, type, proto, flags & ~socket.AI_ADDRCONFIG)
    return [(*info[:4], (*info[4][:3], scope)) if len(info[4]) == 4 else info for info in infos]


def literals_of(here: Host, name: str) -> list[str]:
    """The addresses of a name, the preferred first (RFC 6724 6); none if nobody has it.

    Of a host with several, those that there is a route to from here, if there is one to any (rule 1). ::1 comes before
    127.0.0.1, and IPv4 addresses before those that are handed out by themselves in IPv6, which are unique local ones.
    """
    if name.rstrip(".").lower() in ("localhost", "ip6-localhost", "ip6-loopback"):
        return ["::1", "127.0.0.1"]
    if not name or name == "<broadcast>":  # which only a socket's calls take
        return []
    _settle(here)
    try:
        literals = here.network.resolve_all(name, here)
    except OSError:
        return []
    return here.stack.sources.order(tuple(literals)) or literals


def family_of(literal: str) -> int:
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in literal else socket.AF_INET


def getnameinfo(here: Host, address: Any, flags: int = 0) -> tuple[str, str]:
    """As socket.getnameinfo(): the name of the host that has an address, or the address; the service, or the port."""
    scope = address[3] if isinstance(address, tuple) and len(address) == 4 else 0
    if scope:
        address = (*address[:3], 0)  # the C library would name an interface of the machine's
    host, service = _system_getnameinfo(address, flags | socket.NI_NUMERICHOST)
    if scope and is_scoped(pack(host)):
        nic = next((nic for nic in here.bare_stack.interfaces if nic.index == scope), None)
        return f"{host}%{nic.name if nic is not None else scope}", service
    if flags & socket.NI_NUMERICHOST:
        return host, service
    name = name_of(here, host)
    if name is None:
        if flags & socket.NI_NAMEREQD:
            raise socket.gaierror(*_UNKNOWN.args)
        name = host
    return name, service


def name_of(here: Host, literal: str) -> str | None:
    """The name of the host that has an address; None if nobody has it."""
    if literal == "::1" or literal.startswith("127."):
        return "localhost"
    _settle(here)
    return next((host.name for host in here.network.hosts if literal in (*host.addresses, *host.addresses6)), None)


def to_literal(here: Host, family: int, address: Any) -> Any:
    """A socket address as bind() and connect() take it, its host's name replaced by an address of that family.

    The kernel's sockets do that, too: Python asks the C library. What is no such tuple is left for the socket below
    to find fault with. Raises socket.gaierror.
    """
    if not isinstance(address, tuple) or not 2 <= len(address) <= 4:
        return address
    host = address[0]
    if isinstance(host, bytes | bytearray):
        host = host.decode("ascii")
    if not isinstance(host, str) or host == "" or host == "<broadcast>":
        return address
    if is_literal(host.partition("%")[0]):
        if family_of(host) == family:
            return (host, *address[1:])
        raise socket.gaierror(socket.EAI_ADDRFAMILY, "Address family for hostname not supported")
    # CPython idna_converter: a name in ASCII is left as it is
    infos = getaddrinfo(here, host.encode() if host.isascii() else host, None, family)
    return (infos[0][4][0], *address[1:])
