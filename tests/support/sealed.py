"""Two ends of a tunnel with a key, and a network between them whose time and faults are the test's."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import fields
from itertools import count
from random import Random

from aionetflow.tunnel.kernel import cut
from aionetflow.tunnel.sealing.session import Session
from aionetflow.tunnel.sealing.sessions import Sessions, SessionStats

SECOND = 1_000_000_000
KEY = bytes(range(7, 231, 7))
OTHER_KEY = bytes(range(5, 165, 5))
DELAY = SECOND // 100
YEAR_2026 = 1_770_000_000 * SECOND

# What SessionStats counts that is no datagram dropped.
_GOOD = {"sealed", "opened", "handshakes", "waiting_dropped"}


def dropped(stats: SessionStats) -> dict[str, int]:
    """The datagrams dropped, by reason; without those that did not occur."""
    return {f.name: n for f in fields(stats) if f.name not in _GOOD and (n := getattr(stats, f.name))}


def equal_run(sizes: list[int], most: int, room: int) -> int:
    """How many datagrams of these sizes one UDP_SEGMENT send takes: equally long, the last may be shorter."""
    count, octets = 1, sizes[0]
    while count < min(most, len(sizes)) and sizes[count - 1] == sizes[0] >= sizes[count]:
        octets += sizes[count]
        if octets > room:
            break
        count += 1
    return count


def open_all(session: Session, datagrams: list[bytes], now: int) -> tuple[list[bytes], list[bytes]]:
    """Opens datagrams as a tunnel does: those that may have come in one read of the kernel's go together."""
    payloads: list[bytes] = []
    replies: list[bytes] = []
    first = 0
    while first < len(datagrams):
        count = equal_run(list(map(len, datagrams[first:])), 64, 65507)
        buffer = bytearray(b"".join(datagrams[first : first + count]))
        into = bytearray(len(buffer))
        runs, more = session.open_all(buffer, 0, len(buffer), len(datagrams[first]), into, now)
        for start, length, size in runs:
            payloads += [payload for payload in cut(into, start, length, size) if payload]
        replies += more
        first += count
    return payloads, replies


class End:
    """One end: its session, and what it has received."""

    def __init__(self, pair: Pair, key: bytes, seed: int) -> None:
        self.pair = pair
        self.key = key
        self.random = Random(seed)
        self.heard: list[bytes] = []
        self.clock_error = 0  # of its wall clock, in ns
        self.restart()

    def restart(self) -> None:
        """The program ends and is started again: keys, counters and indices are gone."""
        self.stats = SessionStats()
        self.sessions = Sessions()
        self.session = Session(self.key, self.random.randbytes, self.wall_ns, self.stats, self.sessions)

    def wall_ns(self) -> int:
        """The time of day."""
        return YEAR_2026 + self.pair.now + self.clock_error

    def send(self, *payloads: bytes) -> None:
        """Seals payloads and puts what comes of it on the way."""
        self.pair.put(self, self.session.seal(list(payloads), self.pair.now))


class Pair:
    """Two ends, `a` and `b`, and what is on the way between them.

    `fate` says for each datagram after which times, in ns, it arrives: never, once, or more often.
    """

    def __init__(self, key: bytes = KEY, key_of_b: bytes = KEY, seed: int = 1) -> None:
        self.now = 0
        self.a = End(self, key, seed)
        self.b = End(self, key_of_b, seed + 1000)
        self.sent: list[tuple[End, bytes]] = []
        self.fate: Callable[[bytes], list[int]] = lambda datagram: [DELAY]
        self._on_the_way: list[tuple[int, int, End, bytes]] = []
        self._order = count()

    def put(self, sender: End, datagrams: list[bytes]) -> None:
        """What an end sends."""
        receiver = self.b if sender is self.a else self.a
        for datagram in datagrams:
            self.sent.append((sender, datagram))
            for delay in self.fate(datagram):
                heapq.heappush(self._on_the_way, (self.now + delay, next(self._order), receiver, datagram))

    def run(self, seconds: float) -> None:
        """Lets time pass: what is due arrives, in order, and deadlines are kept."""
        until = self.now + round(seconds * SECOND)
        while (due := self._next_event()) <= until:
            self.now = max(due, self.now)
            for end in (self.a, self.b):
                if arrived := self._arrivals(end):
                    payloads, replies = open_all(end.session, arrived, self.now)
                    end.heard += payloads
                    self.put(end, replies)
                deadline = end.session.deadline()
                if deadline is not None and deadline <= self.now:
                    self.put(end, end.session.expire(self.now))
                    later = end.session.deadline()
                    assert later is None or later > self.now, "expire() has left something undone"
        self.now = until

    def _next_event(self) -> int:
        deadlines = [d for end in (self.a, self.b) if (d := end.session.deadline()) is not None]
        arrivals = [self._on_the_way[0][0]] if self._on_the_way else []
        return min(deadlines + arrivals, default=1 << 63)

    def _arrivals(self, end: End) -> list[bytes]:
        """What arrives now at an end."""
        mine = [entry for entry in self._on_the_way if entry[0] <= self.now and entry[2] is end]
        if mine:
            self._on_the_way = [entry for entry in self._on_the_way if entry not in mine]
            heapq.heapify(self._on_the_way)
        return [datagram for _, _, _, datagram in sorted(mine, key=lambda entry: entry[:2])]

    def count(self, kind: int, sender: End | None = None) -> int:
        """How many datagrams of a kind were sent so far, by one end or by both."""
        return sum(datagram[0] == kind for end, datagram in self.sent if sender is None or end is sender)


def shaken(seed: int = 1) -> Pair:
    """Two ends that have keys: `a` began."""
    pair = Pair(seed=seed)
    pair.a.send(b"hello")
    pair.run(1)
    assert pair.a.session.established
    assert pair.b.session.established
    assert pair.b.heard == [b"hello"]
    return pair
