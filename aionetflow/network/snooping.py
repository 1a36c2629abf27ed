"""IGMP and MLD snooping (RFC 4541), as a Linux bridge does it: which ports of a switch want which group.

A switch reads what hosts say of their groups and what routers ask. As long as nobody asks, hosts need not repeat what
they want, so that nothing is known for certain and all is flooded. From the first query on (its answers are awaited)
what is for a group goes to the ports that have reported it, and to those behind which a router asks. A switch can ask
itself where there is no router that does.
"""

from collections.abc import Callable
from hashlib import blake2s
from typing import Generic, Protocol, TypeVar

from aionetflow.clock import Clock, Timer
from aionetflow.config import NEVER, SECOND
from aionetflow.ethernet.frame import ETHERTYPE_IPV4, ETHERTYPE_IPV6, HEADER_LENGTH, group_mac, mac_header
from aionetflow.fast import get16
from aionetflow.ip.address import unpack
from aionetflow.network.overheard import (
    LEAVE,
    MALFORMED,
    QUERY,
    REPORT,
    Overheard,
    group_query4,
    group_query6,
    overhear4,
    overhear6,
)

MEMBERSHIP_INTERVAL = 260 * SECOND  # Linux mcast_membership_interval (RFC 3376 8.4)
QUERIER_INTERVAL = 255 * SECOND  # Linux mcast_querier_interval (RFC 3376 8.5)
QUERY_INTERVAL = 125 * SECOND  # RFC 3376 8.2
_STARTUP_INTERVAL, _STARTUP_COUNT = QUERY_INTERVAL // 4, 2  # RFC 3376 8.6, 8.7
QUERY_RESPONSE_INTERVAL = 10 * SECOND  # RFC 3376 8.3
LAST_MEMBER_INTERVAL, LAST_MEMBER_COUNT = 1 * SECOND, 2  # RFC 3376 8.8, 8.9
MAX_GROUPS = 4096  # of a family; Linux mcast_hash_max. What is over is flooded


class Numbered(Protocol):
    """A port, as far as it is of interest here."""

    @property
    def number(self) -> int:
        """Its number on the switch, from 1."""


P = TypeVar("P", bound=Numbered)


class _Family(Generic[P]):
    """What is known of the groups of one family, and of those who ask for them."""

    def __init__(self, own: bytes) -> None:
        self.own = own  # the address that this switch asks from
        self.groups: dict[bytes, dict[P, int]] = {}  # until when which port wants it, ns
        self.routers: dict[P, int] = {}  # until when there is one, ns
        self.querier = b""  # who asks
        self.other_until = 0  # another asks; ns
        self.certain_at = NEVER  # when the answers to the first query have come, ns
        self.timer: Timer | None = None  # for the next query of one's own
        self.asked = 0  # how often this switch has asked

    def other_asks(self, now: int) -> bool:
        return self.other_until > now


class Snooping(Generic[P]):
    """What a switch knows of groups. send(frame, port) sends a frame out of a port, or of all if that is None.

    The counters are of frames: `queries`, `reports` and `leaves` heard, `malformed` ones dropped, and `pruned`, which
    did not go to all ports.
    """

    def __init__(self, name: str, clock: Clock, send: Callable[[bytes, P | None], None]) -> None:
        digest = blake2s(f"{name}/switch".encode()).digest()
        self.mac = bytes((digest[0] & 0xFC | 2,)) + digest[1:6]  # that it asks from
        self.queries = self.reports = self.leaves = self.malformed = self.pruned = 0
        self._clock = clock
        self._send = send
        self._asks = False
        link_local = b"\xfe\x80" + bytes(6) + bytes((self.mac[0] ^ 2,)) + self.mac[1:3] + b"\xff\xfe" + self.mac[3:]
        self._v4: _Family[P] = _Family(bytes(4))  # RFC 4541 2.1.1: who has no address asks from none
        self._v6: _Family[P] = _Family(link_local)

    # What is to be seen ---------------------------------------------------------------------------------------------

    def groups(self) -> dict[str, list[int]]:
        """The groups that somebody wants, and by which ports, as `bridge mdb show` lists them."""
        now = self._clock.now()
        known = [(group, ports) for family in (self._v4, self._v6) for group, ports in family.groups.items()]
        fresh = {unpack(group): _numbers(ports, now) for group, ports in known}
        return {group: numbers for group, numbers in fresh.items() if numbers}

    def router_ports(self) -> list[int]:
        """The ports behind which a router asks."""
        now = self._clock.now()
        return sorted({*_numbers(self._v4.routers, now), *_numbers(self._v6.routers, now)})

    # Who asks -------------------------------------------------------------------------------------------------------

    @property
    def querier(self) -> bool:
        """Whether this switch asks where nobody else does (Linux mcast_querier); can be set."""
        return self._asks

    @querier.setter
    def querier(self, asks: bool) -> None:
        if asks == self._asks:
            return
        self._asks = asks
        for family in (self._v4, self._v6):
            if asks:
                if not family.other_asks(self._clock.now()):
                    family.certain_at = self._clock.now() + QUERY_RESPONSE_INTERVAL
                self._ask(family)
            elif family.timer is not None:
                family.timer.cancel()

    def plugged(self, port: P) -> None:
        """There is a port more: if this switch asks, whoever is behind it is asked at once."""
        for family in (self._v4, self._v6):
            if self._asks and not family.other_asks(self._clock.now()):
                self._query(family, b"", QUERY_RESPONSE_INTERVAL, port)

    def _ask(self, family: _Family[P]) -> None:
        """Asks for all groups, unless another does; then it looks again when that one has been silent for long."""
        now = self._clock.now()
        if family.other_asks(now):
            family.asked = 0
            family.timer = self._clock.call_at(family.other_until, lambda: self._ask(family))
            return
        family.querier = family.own
        self._query(family, b"", QUERY_RESPONSE_INTERVAL, None)
        family.asked += 1
        interval = _STARTUP_INTERVAL if family.asked <= _STARTUP_COUNT else QUERY_INTERVAL
        family.timer = self._clock.call_at(now + interval, lambda: self._ask(family))

    def _query(self, family: _Family[P], group: bytes, longest: int, port: P | None) -> None:
        if family is self._v4:
            to, packet = group_query4(family.own, group, longest)
        else:
            to, packet = group_query6(family.own, group, longest)
        kind = ETHERTYPE_IPV4 if family is self._v4 else ETHERTYPE_IPV6
        self._send(mac_header(group_mac(to), self.mac, kind) + packet, port)

    # Frames ---------------------------------------------------------------------------------------------------------

    def ports(self, source: P, frame: bytes, now: int) -> list[P] | None:
        """Which ports a frame for a group goes to; None: to all but the one it came from.

        What it says of groups is taken note of.
        """
        ethertype = get16(frame, 12)
        if ethertype == ETHERTYPE_IPV4:
            family, heard = self._v4, overhear4(frame, HEADER_LENGTH)
        elif ethertype == ETHERTYPE_IPV6:
            family, heard = self._v6, overhear6(frame, HEADER_LENGTH)
        else:
            return None
        if heard.kind == MALFORMED:
            self.malformed += 1
            return []
        if heard.kind:
            self._hear(family, source, heard, now)
            if not heard.for_routers:
                return None
            # RFC 4541 2.1.1: another host that heard this would keep silent, and get nothing. Linux floods it as
            # long as it is not certain of all groups.
            if not self._asks and not family.other_asks(now):
                return None
        elif heard.for_all or not self._knows(family, heard.group, now):
            return None
        self.pruned += 1
        members = {} if heard.kind else family.groups.get(heard.group, {})
        wanting = [port for port, until in (members | family.routers).items() if port is not source]
        return [port for port in wanting if members.get(port, 0) > now or family.routers.get(port, 0) > now]

    def _knows(self, family: _Family[P], group: bytes, now: int) -> bool:
        """Whether it is certain who wants a group: somebody asks, all have answered, and there was room for it."""
        if now < family.certain_at or not (self._asks or family.other_asks(now)):
            return False
        return group in family.groups or len(family.groups) < MAX_GROUPS

    def _hear(self, family: _Family[P], source: P, heard: Overheard, now: int) -> None:
        if heard.kind == QUERY:
            self.queries += 1
            self._hear_query(family, source, heard, now)
        elif heard.kind == LEAVE:
            self.leaves += 1
        elif heard.kind == REPORT:
            self.reports += 1
        for group in heard.wanted:
            self._join(family, source, group, now)
        for group in heard.left:
            self._leave(family, source, group, now)

    def _hear_query(self, family: _Family[P], source: P, query: Overheard, now: int) -> None:
        if query.group:
            # the querier gives up those that do not answer; so does the switch
            for port, until in family.groups.get(query.group, {}).items():
                family.groups[query.group][port] = min(until, now + LAST_MEMBER_COUNT * query.longest)
            return
        somebody = self._asks or family.other_asks(now)
        if somebody and any(family.querier) and query.source > family.querier:
            return  # RFC 3376 6.6.2: the lowest address asks
        family.querier = query.source
        if not family.other_asks(now):
            family.certain_at = now + query.longest
        family.other_until = now + QUERIER_INTERVAL
        family.routers[source] = now + QUERIER_INTERVAL

    def _join(self, family: _Family[P], source: P, group: bytes, now: int) -> None:
        ports = family.groups.get(group)
        if ports is None:
            if len(family.groups) >= MAX_GROUPS:
                family.groups = {g: known for g, known in family.groups.items() if max(known.values()) > now}
            if len(family.groups) >= MAX_GROUPS:
                return
            ports = family.groups[group] = {}
        ports[source] = now + MEMBERSHIP_INTERVAL

    def _leave(self, family: _Family[P], source: P, group: bytes, now: int) -> None:
        """Somebody behind a port has left: whether others are there, whoever asks will find out.

        No fast leave: the port is given up when nobody answers.
        """
        ports = family.groups.get(group)
        if ports is None or source not in ports or family.other_asks(now):
            return
        if self._asks:
            self._query(family, group, LAST_MEMBER_INTERVAL, source)
        ports[source] = min(ports[source], now + LAST_MEMBER_COUNT * LAST_MEMBER_INTERVAL)


def _numbers(ports: dict[P, int], now: int) -> list[int]:
    return sorted(port.number for port, until in ports.items() if until > now)
