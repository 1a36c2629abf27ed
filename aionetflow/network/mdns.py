"""Multicast DNS (RFC 6762) for one interface of a host: says who the host is, and asks who others are.

Nothing here sends or receives: messages are handed in, and out. Names are those that the host has on a segment that
is shared with other processes: they are not probed for, because a host's name decides about its addresses too; that
somebody else has one is told by a line of the log.
"""

from collections.abc import Callable, Iterable
from logging import getLogger
from typing import Generic, TypeVar

from aionetflow.clock import Clock, Timer
from aionetflow.config import SECOND
from aionetflow.ip.address import unpack
from aionetflow.network import dns
from aionetflow.network.dns import Message, Question, Record

PORT = 5353
TTL = 120  # s; RFC 6762 10: of records with a host's name
_LEGACY_TTL = 10  # s; RFC 6762 6.7
_SOON = SECOND  # RFC 6762 6, 10.1, 10.2: once a second at most; what is withdrawn is forgotten after one
_RECENTLY = TTL * SECOND // 4  # RFC 6762 5.4
_NEVER = -(1 << 62)
_REPEAT, _GIVE_UP = 1 * SECOND, 3 * SECOND  # RFC 6762 5.2: each interval at least twice as long
MAX_NAMES = 1024  # that are remembered
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
    """The names of one interface. name is the host's own, or empty; addresses() are those it answers with.

    send(message, whom) sends a message to the source of another, or to all if that is None.
    """

    def __init__(
        self, name: str, addresses: Callable[[], list[bytes]], send: Callable[[bytes, Whom | None], None], clock: Clock
    ) -> None:
        self.name = name
        self._addresses = addresses
        self._send = send
        self._clock = clock
        self._cache: dict[str, dict[bytes, _Known]] = {}
        self._queries: dict[str, _Query] = {}
        self._told_at = _NEVER  # when all were told last, ns
        self._telling: Timer | None = None
        self._conflict = False  # it has been told

    # The host's own name -------------------------------------------------------------------------------------------

    def announce(self) -> None:
        """Tells all, twice (RFC 6762 8.3)."""
        if self.name:
            self._tell_all()
            self._tell_soon()

    def withdraw(self) -> None:
        """Tells all that it is so no longer (RFC 6762 10.1); nothing is told or asked after that."""
        if self._telling is not None:
            self._telling.cancel()
        if self.name and self._told_at != _NEVER:
            self._send(dns.pack(Message(answers=self._records(0), is_response=True)), None)
        self.name = ""
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
        asked = [question for question in query.questions if question.name == self.name]
        answers = self._answers_to(asked, query)
        if not answers:
            return
        if port != PORT:  # RFC 6762 6.7: of a resolver that knows of no multicast DNS
            short = tuple(record._replace(ttl=_LEGACY_TTL, flush=False) for record in answers)
            plain = tuple(question._replace(unicast=False) for question in asked)
            self._send(dns.pack(Message(plain, short, (), True, query.ident)), whom)
        elif all(question.unicast for question in asked) and self._clock.now() - self._told_at < _RECENTLY:
            # RFC 6762 6.2: with the addresses of one family those of the other
            further = tuple(record for record in self._records(TTL) if record not in answers)
            self._send(dns.pack(Message((), answers, further, is_response=True)), whom)
        else:
            self._tell_soon()

    def _answers_to(self, asked: list[Question], query: Message) -> tuple[Record, ...]:
        kinds = {question.type for question in asked}
        known = {(record.name, record.data) for record in query.answers if record.ttl >= TTL // 2}  # RFC 6762 7.1
        return tuple(
            record
            for record in self._records(TTL)
            if (record.type in kinds or dns.ANY in kinds) and (record.name, record.data) not in known
        )

    def _records(self, ttl: int) -> tuple[Record, ...]:
        return tuple(
            Record(self.name, dns.A if len(address) == 4 else dns.AAAA, ttl, address, flush=True)
            for address in self._addresses()
        )

    def _tell_soon(self) -> None:
        """Tells all: now, or when a second has gone by since it was told last."""
        if self._telling is None:
            when = max(self._told_at + _SOON, self._clock.now())
            self._telling = self._clock.call_at(when, self._tell_all)

    def _tell_all(self) -> None:
        self._telling = None
        self._told_at = self._clock.now()
        self._send(dns.pack(Message(answers=self._records(TTL), is_response=True)), None)

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
            if record.name != self.name:
                self._remember(record)
                if record.ttl:
                    told.add(record.name)
        for name in told:
            self._end(name)

    def _check(self, record: Record) -> None:
        """RFC 6762 9: somebody else answers for the host's name, or has its address, which only they can change."""
        if not record.ttl or self._conflict:
            return
        if record.name == self.name:
            self._conflict = True
            _log.warning("%s is a host's name in another process too: one of them needs another name", self.name)
        elif record.data in self._addresses():
            self._conflict = True
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
        if len(self._cache) >= MAX_NAMES:
            for name in [n for n, known in self._cache.items() if all(k.until <= now for k in known.values())]:
                del self._cache[name]
        return len(self._cache) < MAX_NAMES
