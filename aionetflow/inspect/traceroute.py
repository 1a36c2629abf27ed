"""traceroute: which routers a packet to a host passes, found by packets that live too short (traceroute(8))."""

from collections.abc import Callable
from typing import NamedTuple

from aionetflow.inspect.probing import (
    ECHO,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    PORT_UNREACHABLE,
    TOO_LONG,
    Heard,
    Prober,
    find,
    name_of,
)
from aionetflow.ip.address import AF_INET
from aionetflow.network.host import Host

FIRST_PORT = 33434  # where nobody listens, one hopes; one more for each probe
_SIZE = 60  # octets of an IPv4 packet, headers and all; IPv6's are 20 more
_SECOND = 1_000_000_000
_MARKS = {(3, 0): "!N", (3, 1): "!H", (3, 2): "!P", (3, 5): "!S", (3, 13): "!X"}
_MARKS6 = {(1, 0): "!N", (1, 1): "!X", (1, 2): "!S", (1, 3): "!H"}


class Probe(NamedTuple):
    """One probe: who answered, and when."""

    address: str  # empty: nobody
    rtt: float = 0.0  # s
    mark: str = ""  # why it goes no further, as traceroute(8) marks it: !H host unreachable, !N net, !X prohibited, …
    final: bool = False  # it has arrived, or can go no further


class Hop(NamedTuple):
    """What is that many steps away."""

    ttl: int
    probes: list[Probe]
    names: dict[str, str]  # of the addresses

    @property
    def addresses(self) -> list[str]:
        """Who answered, each once: more than one if packets go by different ways."""
        return list(dict.fromkeys(probe.address for probe in self.probes if probe.address))

    def __str__(self) -> str:
        """The line that traceroute(8) prints.

        >>> print(Hop(2, [Probe("10.0.2.2", 0.0203), Probe(""), Probe("10.0.2.2", 0.0204)], {"10.0.2.2": "east"}))
         2  east (10.0.2.2)  20.300 ms *  20.400 ms
        """
        text, before = f"{self.ttl:2} ", ""
        for probe in self.probes:
            if not probe.address:
                text += " *"
                continue
            if probe.address != before:
                text += f" {self.names.get(probe.address, probe.address)} ({probe.address})"
                before = probe.address
            text += f"  {1000 * probe.rtt:.3f} ms" + (f" {probe.mark}" if probe.mark else "")
        return text


class Trace(NamedTuple):
    """The way to a host."""

    name: str
    address: str
    hops: list[Hop]
    reached: bool
    max_hops: int
    size: int

    @property
    def path(self) -> list[str]:
        """The first address that answered at each hop, "*" where none did."""
        return [hop.addresses[0] if hop.addresses else "*" for hop in self.hops]

    def heading(self) -> str:
        """What traceroute(8) prints first."""
        return f"traceroute to {self.name} ({self.address}), {self.max_hops} hops max, {self.size} byte packets"

    def __str__(self) -> str:
        """All of it, as traceroute(8) prints it."""
        return "\n".join([self.heading(), *map(str, self.hops)])


async def traceroute(
    name: str, *, icmp: bool = False, max_hops: int = 30, first_hop: int = 1, probes: int = 3, wait: float = 5.0,
    port: int = FIRST_PORT, family: int = 0, host: Host | None = None, tell: Callable[[Hop], object] | None = None,
) -> Trace:  # fmt: skip
    """Finds the routers on the way to a host, by name or address.

    Probes with a TTL from first_hop up to max_hops are sent, so many of each, and waited for at most so many seconds:
    UDP datagrams to ports from `port` up, or echo requests with icmp. family is AF_INET or AF_INET6, or 0 for that of
    the name's first address; host is where they are sent from, the current host unless told. tell is called with each
    hop as it is known. Raises OSError if the name has no address or there is no route.

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1) as net:
    ...         a, b = net.host("a", "10.1.0.2/24"), net.host("b", "10.2.0.2/24")
    ...         router = net.router("r", "10.1.0.1/24", "10.2.0.1/24")
    ...         net.link(a, router), net.link(router, b)
    ...         print((await aionetflow.traceroute("b", host=a)).path)
    >>> aionetflow.run(main(), time="virtual")
    ['10.1.0.1', '10.2.0.2']
    """
    source, family, address = await find(name, family, host)
    protocol = 0 if not icmp else IPPROTO_ICMP if family == AF_INET else IPPROTO_ICMPV6
    trace = Trace(name, address, [], False, max_hops, _SIZE if family == AF_INET else _SIZE + 20)
    with Prober(source, family, protocol) as prober:
        for ttl in range(first_hop, max_hops + 1):
            found = await _ask(prober, address, ttl, probes, round(wait * _SECOND), port, icmp)
            port += probes
            names = {probe.address: name_of(source, probe.address) for probe in found if probe.address}
            hop = Hop(ttl, found, names)
            trace.hops.append(hop)
            if tell is not None:
                tell(hop)
            if any(probe.final for probe in found):
                return trace._replace(reached=address in names)
    return trace


async def _ask(prober: Prober, address: str, ttl: int, count: int, wait: int, port: int, icmp: bool) -> list[Probe]:
    """Sends the probes of one hop; what became of each."""
    found: dict[int, Probe] = {}
    sent: dict[int, int] = {}
    for number in range(port, port + count):
        sent[number & 0xFFFF] = prober.now()
        if icmp:
            request = bytes((ECHO[prober.family], 0, 0, 0, 0, 0)) + (number & 0xFFFF).to_bytes(2, "big")
            prober.send(request + bytes(32), address, 0, ttl)
        else:
            prober.send(bytes(32), address, number & 0xFFFF or FIRST_PORT, ttl)
    end = prober.now() + wait
    while True:
        for heard in prober.heard():
            number = int.from_bytes(heard.data[6:8], "big") if icmp else heard.port
            if number in sent and number not in found:
                found[number] = _probe(prober, heard, heard.when - sent[number])
        if len(found) == count or prober.now() >= end:
            return [found.get(number, Probe("")) for number in sent]
        await prober.until(end)


def _probe(prober: Prober, heard: Heard, ns: int) -> Probe:
    """What an answer means."""
    rtt, family = ns / _SECOND, prober.family
    if heard.error is None or heard.error == PORT_UNREACHABLE[family]:
        return Probe(heard.address, rtt, "", True)
    if heard.error == TOO_LONG[family]:
        return Probe(heard.address, rtt, f"!F-{heard.info}", True)
    mark = (_MARKS if family == AF_INET else _MARKS6).get(heard.error, "")
    unreachable = heard.error[0] == PORT_UNREACHABLE[family][0]
    return Probe(heard.address, rtt, mark or (f"!{heard.error[1]}" if unreachable else ""), unreachable)
