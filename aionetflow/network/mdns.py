"""Multicast DNS (RFC 6762) of one process on one segment: says who its hosts are, and asks who others are.

Nothing here sends or receives: messages are handed in, and out. Names are those that hosts have on a segment that
is shared with other processes: they are not probed for, because a host's name decides about its addresses too; that
somebody else has one is told by a line of the log. What is said of many hosts at once is said in few messages.
"""

from collections.abc import Callable, Iterable
from logging import getLogger
from typing import Generic, TypeVar

from aionetflow.clock import Clock, Timer
from aionetflow.config import MILLISECOND, NEVER, SECOND
from aionetflow.ip.address import unpack
from aionetflow.network import dns
from aionetflow.network.dns import Message, Question, Record
from aionetflow.rng import Random

PORT = 5353
TTL = 120  # s; RFC 6762 10: of records with a host's name
_LEGACY_TTL = 10  # s; RFC 6762 6.7
_SOON = SECOND  # RFC 6762 6, 8.3, 10.1, 10.2: once a second at most; what is withdrawn is forgotten after one
_RECENTLY = TTL * SECOND // 4  # RFC 6762 5.4
_GATHER = 250 * MILLISECOND  # RFC 6762 6.4: hosts that come one after the other are announced together
_LEAST_DELAY, _MORE_DELAY = 20 * MILLISECOND, 100 * MILLISECOND  # RFC 6762 6.3
_NEVER = -(1 << 62)
_REPEAT, _GIVE_UP = 1 * SECOND, 3 * SECOND  # RFC 6762 5.2: each interval at least twice as long
MAX_NAMES = 4096  # that are remembered
MAX_ADDRESSES = 16  # of each of them
_LONGEST_TTL = 4500  # s; RFC 6762 10 has nothing longer
_log = getLogger("aionetflow.mdns")

Whom = TypeVar("Whom")


def name_on_wire(name: str) -> str:
    """What a host's name is on a shared segment.

    >>> name_on_wire("Web"), name_on_wire("web.example")
    ('web.local', 'web.example')
    """
    name = name.rstrip(".").lower()
    return name if "." in name else f"{name}.local"


class _Own:
    """The name of a host of this process, and when it was told and will be."""

    def __init__(self, name: str, addresses: Callable[[], list[bytes]]) -> None:
        self.name = name
        self.addresses = addresses
        self.told_at = _NEVER  # ns
        self.due = NEVER  # ns
        self.again = True  # it has not been announced twice yet
        self.conflict = False  # that somebody else has it has been told

    def records(self, ttl: int) -> tuple[Record, ...]:
        """What is to be said of it; ttl 0: it is so no longer."""
        return tuple(
            Record(self.name, dns.A if len(address) == 4 else dns.AAAA, ttl, address, flush=True)
            for address in self.addresses()
        )


class _Known:
    """An address of somebody's, and for how long."""

    def __init__(self, heard: int, until: int) -> None:
        self.heard, self.until = heard, until  # ns


class _Query:
    """A name that is being asked for, and who waits for that."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.timer: Timer | None = None


class MulticastDns(Generic[Whom]):
    """The names on one segment: those of this process's hosts, and what others have told.

    send(message, whom) sends a message to the source of another, or to all if that is None; room() is how long one may
    be, in octets.
    """

    def __init__(
        self, send: Callable[[bytes, Whom | None], None], room: Callable[[], int], clock: Clock, random: Random
    ) -> None:
        self._send = send
        self._room = room
        self._clock = clock
        self._random = random
        self._own: dict[str, _Own] = {}
        self._own_addresses: dict[bytes, _Own] = {}
        self._due: dict[_Own, None] = {}  # of whom all are to be told, in that order
        self._telling: Timer | None = None
        self._announced_at = _NEVER  # ns
        self._cache: dict[str, dict[bytes, _Known]] = {}
        self._swept_at = _NEVER  # ns; when what is over was thrown out last
        self._queries: dict[str, _Query] = {}

    # The names of this process's hosts -----------------------------------------------------------------------------

    def announce(self, name: str, addresses: Callable[[], list[bytes]]) -> None:
        """Answers for a name from now on, with what addresses() are then, and tells all, twice (RFC 6762 8.3)."""
        own = self._own.setdefault(name, _Own(name, addresses))
        own.again = True
        for address in addresses():
            self._own_addresses[address] = own
        self._tell(own, self._announced_at + _GATHER)

    def withdraw(self) -> None:
        """Tells all that it is so no longer (RFC 6762 10.1); nothing is told or asked after that."""
        told = [own for own in self._own.values() if own.told_at != _NEVER]
        self._put_records([record for own in told for record in own.records(0)])
        self.stop()

    def stop(self) -> None:
        """Tells and asks nothing any more."""
        if self._telling is not None:
            self._telling.cancel()
        self._due.clear()
        self._own.clear()
        self._own_addresses.clear()
        for name in list(self._queries):
            self._end(name)

    def received(self, data: bytes, whom: Whom, port: int) -> None:
        """Takes a message that came from a port; whom is what an answer to its source is sent to."""
        try:
            message = dns.parse(data)
        except dns.BadMessage:
            return
        if not message.is_response:
            self._answer(message, whom, port)
        elif port == PORT:  # RFC 6762 6
            self._learn((*message.answers, *message.additional))

    def _answer(self, query: Message, whom: Whom, port: int) -> None:
        asked = [question for question in query.questions if question.name in self._own]
        owners = {question.name: self._own[question.name] for question in asked}
        answers = {own: records for own in owners.values() if (records := self._answers_to(own, asked, query))}
        if not answers:
            return
        told = tuple(record for records in answers.values() for record in records)
        now = self._clock.now()
        if port != PORT:  # RFC 6762 6.7: of a resolver that knows of no multicast DNS
            short = tuple(record._replace(ttl=_LEGACY_TTL, flush=False) for record in told)
            plain = tuple(question._replace(unicast=False) for question in asked)
            self._send(dns.pack(Message(plain, short, (), True, query.ident)), whom)
        elif all(question.unicast for question in asked) and all(now - own.told_at < _RECENTLY for own in answers):
            # RFC 6762 6.2: with the addresses of one family those of the other
            further = tuple(record for own in answers for record in own.records(TTL) if record not in told)
            self._send(dns.pack(Message((), told, further, is_response=True)), whom)
        else:
            when = now
            if len(asked) < len(query.questions):  # RFC 6762 6.3: others may be about to answer the rest
                when += _LEAST_DELAY + self._random.getrandbits(32) % _MORE_DELAY
            for own in answers:
                self._tell(own, when)

    def _answers_to(self, own: _Own, asked: list[Question], query: Message) -> tuple[Record, ...]:
        kinds = {question.type for question in asked if question.name == own.name}
        known = {(record.name, record.data) for record in query.answers if record.ttl >= TTL // 2}  # RFC 6762 7.1
        return tuple(
            record
            for record in own.records(TTL)
            if (record.type in kinds or dns.ANY in kinds) and (record.name, record.data) not in known
        )

    def _tell(self, own: _Own, when: int) -> None:
        """Tells all of a name at a time (ns), or as soon as a second has gone by since they were told last."""
        own.due = min(own.due, max(when, own.told_at + _SOON, self._clock.now()))
        self._due[own] = None
        if self._telling is None or own.due < self._telling.when:
            if self._telling is not None:
                self._telling.cancel()
            self._telling = self._clock.call_at(own.due, self._tell_all)

    def _tell_all(self) -> None:
        """Tells all of the names that are due, in as few messages as they fit into (RFC 6762 6.4)."""
        now = self._clock.now()
        self._telling = None
        telling = [own for own in self._due if own.due <= now]
        records: list[Record] = []
        for own in telling:
            del self._due[own]
            if own.told_at == _NEVER:
                self._announced_at = now
            own.told_at, own.due = now, NEVER
            told = own.records(TTL)
            self._own_addresses.update((record.data, own) for record in told)
            records += told
        self._put_records(records)
        for own in telling:
            if own.again:
                own.again = False
                self._tell(own, now + _SOON)
        if self._due and self._telling is None:
            self._telling = self._clock.call_at(min(own.due for own in self._due), self._tell_all)

    def _put_records(self, records: list[Record]) -> None:
        for some in dns.split(records, self._room()):
            self._send(dns.pack(Message(answers=some, is_response=True)), None)

    # Others' names -------------------------------------------------------------------------------------------------

    def known(self, name: str) -> list[bytes]:
        """The addresses of a name as others have told them, those of IPv4 first."""
        now = self._clock.now()
        entries = self._cache.get(name, {})
        return sorted((address for address, entry in entries.items() if entry.until > now), key=len)

    def ask(self, name: str, then: Callable[[], None]) -> None:
        """Asks all for the addresses of a name; calls then() when they are known, or nobody has answered in time."""
        query = self._queries.get(name)
        if query is None:
            query = self._queries[name] = _Query()
            query.timer = self._clock.call_at(self._clock.now() + _REPEAT, lambda: self._repeat(name))
            self._put(name, unicast=True)  # RFC 6762 5.4: all need not hear what one has missed
        query.waiting.append(then)

    def _repeat(self, name: str) -> None:
        self._queries[name].timer = self._clock.call_at(
            self._clock.now() + _GIVE_UP - _REPEAT, lambda: self._end(name)
        )
        self._put(name, unicast=False)

    def _put(self, name: str, *, unicast: bool) -> None:
        questions = (Question(name, dns.A, unicast), Question(name, dns.AAAA, unicast))
        self._send(dns.pack(Message(questions)), None)

    def _end(self, name: str) -> None:
        query = self._queries.pop(name, None)
        if query is None:
            return
        if query.timer is not None:
            query.timer.cancel()
        for then in query.waiting:
            then()

    def _learn(self, records: Iterable[Record]) -> None:
        told = set()
        for record in records:
            self._check(record)
            if record.name not in self._own:
                self._remember(record)
                if record.ttl:
                    told.add(record.name)
        for name in told:
            self._end(name)

    def _check(self, record: Record) -> None:
        """RFC 6762 9: somebody else answers for a host's name, or has its address, which only they can change."""
        own = self._own.get(record.name) or self._own_addresses.get(record.data)
        if own is None or not record.ttl or own.conflict:
            return
        own.conflict = True
        if record.name == own.name:
            _log.warning("%s is a host's name in another process too: one of them needs another name", own.name)
        else:
            _log.warning("%s is the address of %s in another process too: give one of them another by hand",
                         unpack(record.data), record.name)  # fmt: skip

    def _remember(self, record: Record) -> None:
        now = self._clock.now()
        entries = self._cache.get(record.name)
        if entries is None:
            if not record.ttl or not self._has_room(now):
                return
            entries = self._cache[record.name] = {}
        if record.flush:  # RFC 6762 10.2: not what the same message, or the one before, has told
            for address, entry in entries.items():
                if len(address) == len(record.data) and entry.heard < now - _SOON:
                    entry.until = min(entry.until, now + _SOON)
        if record.ttl and (record.data in entries or len(entries) < MAX_ADDRESSES):
            entries[record.data] = _Known(now, now + min(record.ttl, _LONGEST_TTL) * SECOND)
        elif not record.ttl and record.data in entries:
            entries[record.data].until = min(entries[record.data].until, now + _SOON)

    def _has_room(self, now: int) -> bool:
        if len(self._cache) >= MAX_NAMES and self._swept_at < now - _SOON:
            self._swept_at = now
            for name in [n for n, known in self._cache.items() if all(k.until <= now for k in known.values())]:
                del self._cache[name]
        return len(self._cache) < MAX_NAMES
