"""Group memberships of one host, and what its neighbours are told of them (RFC 3376, RFC 3810).

A socket has a filter for each group that it joined on an interface. Together they make the interface's filter for the
group, and changes of that are reported: at once, and again a little later, since a report may be lost. IGMP (igmp.py)
and MLD (mld.py) put it into words and hear the queries; what is said when is the same for both families.
"""

from collections.abc import Iterable
from typing import NamedTuple

from aionetflow.alarms import Alarm, Alarms
from aionetflow.config import SECOND
from aionetflow.ethernet.interface import Interface
from aionetflow.rng import Random

INCLUDE, EXCLUDE = 1, 0
IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = range(1, 7)  # RFC 3376 4.2.12, RFC 3810 5.2.12
_UNSOLICITED_INTERVAL = 1 * SECOND  # RFC 3376 8.11, RFC 3810 9.11
_OLD_UNSOLICITED_INTERVAL = 10 * SECOND  # RFC 2236 8.10, RFC 2710 7.10


class Filter(NamedTuple):
    """Whose datagrams to a group are wanted: those of the sources, or of all others."""

    mode: int
    sources: frozenset[bytes] = frozenset()

    def admits(self, source: bytes) -> bool:
        """Whether those of a source are.

        >>> Filter(EXCLUDE, frozenset({b"bad"})).admits(b"bad"), Filter(INCLUDE).admits(b"good")
        (False, False)
        """
        return (source in self.sources) == (self.mode == INCLUDE)


NOTHING = Filter(INCLUDE)
EVERYTHING = Filter(EXCLUDE)


def united(filters: Iterable[Filter]) -> Filter:
    """What all of them want together (RFC 3376 3.2).

    >>> one, other = Filter(EXCLUDE, frozenset({b"a", b"b"})), Filter(INCLUDE, frozenset({b"b"}))
    >>> united([one, other]) == Filter(EXCLUDE, frozenset({b"a"}))
    True
    """
    every = list(filters)
    wanted = frozenset[bytes]().union(*(each.sources for each in every if each.mode == INCLUDE))
    refused = [each.sources for each in every if each.mode == EXCLUDE]
    if not refused:
        return Filter(INCLUDE, wanted)
    return Filter(EXCLUDE, frozenset.intersection(*refused) - wanted)


class Record(NamedTuple):
    """One group in a report."""

    kind: int
    group: bytes
    sources: tuple[bytes, ...] = ()


class Speaker:
    """Puts reports into words: IGMP or MLD."""

    def report(self, interface: Interface, records: list[Record], now: int) -> None:
        """Sends a report of the present version."""

    def report_old(self, interface: Interface, group: bytes, now: int) -> None:
        """Sends the report of the version before it, which names a group and no sources."""

    def leave_old(self, interface: Interface, group: bytes, now: int) -> None:
        """Says in the version before it that nobody here wants a group any more."""


class Group:
    """One group on one interface: what is wanted, and what has yet to be said of that."""

    def __init__(self) -> None:
        self.filters: dict[object, Filter] = {}  # by who wants it
        self.filter = NOTHING
        self.mode_left = 0  # how often its mode has yet to be reported ...
        self.sources_left: dict[bytes, int] = {}  # ... and that a source came or went
        self.asked: Alarm | None = None  # when a query about it is answered
        self.asked_sources: set[bytes] | None = None  # those that were asked for; None: all
        self.old_left = 0
        self.last_reporter = False  # nobody else has reported it since (RFC 2236 3)


class Link:
    """What is kept for one interface."""

    def __init__(self) -> None:
        self.groups: dict[bytes, Group] = {}
        self.old_until = 0  # a querier of the version before was heard: its language is spoken until then
        self.changes: Alarm | None = None
        self.answer: Alarm | None = None  # to a general query


class Memberships:
    """The groups of one host and one family.

    robustness is how often a change is reported (igmp_qrv, mld_qrv).
    """

    width = 4  # octets of an address

    def __init__(self, speaker: Speaker, alarms: Alarms, random: Random, robustness: int = 2) -> None:
        self.robustness = robustness
        self.links: dict[Interface, Link] = {}
        self._speaker = speaker
        self._alarms = alarms
        self._random = random

    # What sockets want ----------------------------------------------------------------------------------------------

    def want(self, interface: Interface, address: bytes, who: object, wanted: Filter | None, now: int) -> None:
        """Somebody wants a group's datagrams so, or not at all any more."""
        link = self.links.setdefault(interface, Link())
        group = link.groups.setdefault(address, Group())
        if wanted is not None:
            if who not in group.filters:
                interface.join(address)
            group.filters[who] = wanted
        elif group.filters.pop(who, None) is not None:
            interface.leave(address)
        before, group.filter = group.filter, united(group.filters.values())
        if before != group.filter and self._is_reported(address):
            self._changed(interface, link, address, before, now)
        self._forget_if_done(link, address)

    # What queriers ask ----------------------------------------------------------------------------------------------

    def asked(
        self, interface: Interface, address: bytes, sources: list[bytes], longest: int, old: bool, quiet: int, now: int
    ) -> None:  # fmt: skip
        """A query was heard: about all groups if address is empty; answered within `longest` ns (RFC 3376 5.2).

        old says that it was of the version before, whose language is then spoken for `quiet` ns (RFC 3376 7.2.1).
        """
        link = self.links.setdefault(interface, Link())
        if old:
            link.old_until = now + quiet
            self._stop(link)
        speaks_old = link.old_until > now
        when = now + self._random.getrandbits(32) % max(longest, 1)
        if link.answer is not None and link.answer.is_set() and link.answer.when <= when:
            return  # RFC 3376 5.2, rule 1
        if not address and not speaks_old:
            if link.answer is not None:
                self._alarms.cancel(link.answer)
            link.answer = self._alarms.set(when, lambda then: self._answer(interface, link, then))
            return
        for each in [address] if address else list(link.groups):
            if each in link.groups and self._is_reported(each):
                self._ask_group(interface, link, each, sources, when)

    def heard_report(self, interface: Interface, address: bytes) -> None:
        """Another host has reported a group in the language of the version before: no need to do so (RFC 2236 3)."""
        link = self.links.get(interface)
        group = link.groups.get(address) if link is not None else None
        if group is not None and group.asked is not None and group.asked.is_set():
            self._alarms.cancel(group.asked)
            group.last_reporter = False
            group.old_left = 0

    def speaks_old(self, interface: Interface, now: int) -> bool:
        """Whether a querier of the version before was heard lately."""
        link = self.links.get(interface)
        return link is not None and link.old_until > now

    # Inside -----------------------------------------------------------------------------------------------------------

    @staticmethod
    def _is_reported(address: bytes) -> bool:
        """Whether anybody is told: not of the group of all hosts, nor of what does not leave the host (RFC 3376 5)."""
        if len(address) == 4:
            return address != b"\xe0\0\0\1"
        return address[1] & 15 > 1 and address != b"\xff\2" + bytes(13) + b"\1"

    def _changed(self, interface: Interface, link: Link, address: bytes, before: Filter, now: int) -> None:
        """RFC 3376 5.1: a change is reported at once, and again within a second each time."""
        group = link.groups[address]
        if link.old_until > now:
            self._changed_old(interface, link, address, before, now)
            return
        if before.mode != group.filter.mode:
            group.mode_left = self.robustness
            group.sources_left.clear()
        else:
            for source in before.sources ^ group.filter.sources:
                group.sources_left[source] = self.robustness
        if link.changes is not None:
            self._alarms.cancel(link.changes)
        self._report_changes(interface, link, now)

    def _report_changes(self, interface: Interface, link: Link, now: int) -> None:
        records: list[Record] = []
        for address in list(link.groups):
            records += self._changes_of(address, link.groups[address])
            self._forget_if_done(link, address)
        if records:
            self._speaker.report(interface, records, now)
        if any(group.mode_left or group.sources_left for group in link.groups.values()):
            delay = self._random.getrandbits(32) % _UNSOLICITED_INTERVAL + 1
            link.changes = self._alarms.set(now + delay, lambda then: self._report_changes(interface, link, then))

    @staticmethod
    def _changes_of(address: bytes, group: Group) -> list[Record]:
        """What is to be said of changes now; it counts as said once more."""
        wanted = group.filter
        if group.mode_left:
            group.mode_left -= 1
            kind = TO_IN if wanted.mode == INCLUDE else TO_EX
            return [Record(kind, address, tuple(sorted(wanted.sources)))]
        allowed = tuple(sorted(source for source in group.sources_left if wanted.admits(source)))
        blocked = tuple(sorted(source for source in group.sources_left if not wanted.admits(source)))
        group.sources_left = {source: left - 1 for source, left in group.sources_left.items() if left > 1}
        records = [Record(ALLOW, address, allowed), Record(BLOCK, address, blocked)]
        return [record for record in records if record.sources]

    def _changed_old(self, interface: Interface, link: Link, address: bytes, before: Filter, now: int) -> None:
        """RFC 2236 3: a join is reported, and again; the leave by who reported it last."""
        group = link.groups[address]
        if before == NOTHING:
            group.old_left = self.robustness
            self._report_old(interface, link, address, now)
        elif group.filter == NOTHING and group.last_reporter:
            self._speaker.leave_old(interface, address, now)

    def _report_old(self, interface: Interface, link: Link, address: bytes, now: int) -> None:
        group = link.groups.get(address)
        if group is None or group.filter == NOTHING:
            return
        self._speaker.report_old(interface, address, now)
        group.last_reporter = True
        group.old_left = max(group.old_left - 1, 0)
        if group.old_left:
            when = now + self._random.getrandbits(32) % _OLD_UNSOLICITED_INTERVAL + 1
            group.asked = self._alarms.set(when, lambda then: self._report_old(interface, link, address, then))

    def _answer(self, interface: Interface, link: Link, now: int) -> None:
        """The answer to a general query: what is wanted of every group."""
        records = [
            Record(IS_IN if group.filter.mode == INCLUDE else IS_EX, address, tuple(sorted(group.filter.sources)))
            for address, group in link.groups.items()
            if self._is_reported(address) and group.filter != NOTHING
        ]
        for address in interface.groups:
            if len(address) == self.width and address not in link.groups and self._is_reported(address):
                records.append(Record(IS_EX, address))  # that the host is in for its own sake
        if records:
            self._speaker.report(interface, records, now)

    def _ask_group(self, interface: Interface, link: Link, address: bytes, sources: list[bytes], when: int) -> None:
        """RFC 3376 5.2, rules 3 to 5: the earlier answer counts, and answers all that was asked."""
        group = link.groups[address]
        pending = group.asked is not None and group.asked.is_set()
        if not sources:
            group.asked_sources = None
        elif not pending:
            group.asked_sources = set(sources)
        elif group.asked_sources is not None:
            group.asked_sources |= set(sources)
        if pending and group.asked is not None:
            if group.asked.when <= when:
                return
            self._alarms.cancel(group.asked)
        group.asked = self._alarms.set(when, lambda then: self._answer_group(interface, link, address, then))

    def _answer_group(self, interface: Interface, link: Link, address: bytes, now: int) -> None:
        group = link.groups.get(address)
        if group is None or group.filter == NOTHING:
            return
        if link.old_until > now:
            self._report_old(interface, link, address, now)
            return
        wanted = group.filter
        record = Record(IS_IN if wanted.mode == INCLUDE else IS_EX, address, tuple(sorted(wanted.sources)))
        if group.asked_sources is not None:
            admitted = tuple(sorted(source for source in group.asked_sources if wanted.admits(source)))
            if not admitted:
                return
            record = Record(IS_IN, address, admitted)
        self._speaker.report(interface, [record], now)

    def _stop(self, link: Link) -> None:
        """RFC 3376 7.2.1: with the language what was to be said in the other is forgotten."""
        for alarm in (link.changes, link.answer):
            if alarm is not None:
                self._alarms.cancel(alarm)
        for group in link.groups.values():
            group.mode_left = 0
            group.sources_left.clear()

    @staticmethod
    def _forget_if_done(link: Link, address: bytes) -> None:
        group = link.groups[address]
        if not group.filters and not group.mode_left and not group.sources_left:
            del link.groups[address]


class Memberships6(Memberships):
    """Those of IPv6."""

    width = 16
