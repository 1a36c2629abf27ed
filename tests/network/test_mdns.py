"""Multicast DNS for one interface, message by message: scapy reads what it says and writes what it hears."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRR

from aionetflow.clock import ManualClock
from aionetflow.network.mdns import MAX_ADDRESSES, PORT, MulticastDns, name_on_wire
from support.rules import rule

ME4, ME6 = bytes((10, 0, 0, 5)), bytes.fromhex("fd61696f6e6600000000000000000005")
YOU4, YOU6 = "10.0.0.9", "fd61:696f:6e66::9"
MDNS = "network/mdns.py"
ROOM = 1452  # octets of a message


class Bench:
    """A host named "web" on a bench: `said` is what it has said since that was last looked at, and to whom."""

    def __init__(self, name: str = "web.local") -> None:
        self.clock = ManualClock()
        self._said: list[tuple[DNS, object]] = []
        self.names: MulticastDns[str] = MulticastDns(self._send, lambda: ROOM, self.clock, Random(1))
        self._name = name

    def announce(self) -> None:
        self.names.announce(self._name, lambda: [ME4, ME6])

    def _send(self, data: bytes, whom: object) -> None:
        self._said.append((DNS(data), whom))

    def said(self) -> list[tuple[DNS, object]]:
        self.clock.run()
        said, self._said = self._said, []
        return said

    def hears(self, message: DNS, port: int = PORT) -> None:
        self.names.received(bytes(message), "asker", port)

    def announced(self, seconds: float) -> None:
        """Has announced itself so many seconds ago, and been silent since."""
        self.announce()
        self.clock.advance(1)
        assert [whom for _, whom in self.said()] == [None, None]
        self.clock.advance(seconds)


def question(name: str = "web.local", kind: str = "A", unicast: int = 0, **fields: Any) -> DNS:
    return DNS(rd=0, qd=[DNSQR(qname=name, qtype=kind, unicastresponse=unicast)], **fields)


def answer(*records: DNSRR) -> DNS:
    return DNS(qr=1, aa=1, rd=0, qd=[], an=list(records))


def you(address: str = YOU4, ttl: int = 120, flush: int = 1, name: str = "you.local") -> DNSRR:
    kind = "AAAA" if ":" in address else "A"
    return DNSRR(rrname=name, type=kind, ttl=ttl, cacheflush=flush, rdata=address)


def told(message: DNS) -> list[tuple[str, int, int]]:
    """(address, TTL, cache-flush bit) of each answer."""
    assert all(record.rrname == b"web.local." for record in message.an)
    return [(record.rdata, record.ttl, record.cacheflush) for record in message.an]


def literal(addresses: list[bytes]) -> list[str]:
    return [".".join(map(str, address)) if len(address) == 4 else address.hex() for address in addresses]


# ---- what it says of itself


@rule("RFC 6762 8.3", "A host announces its records twice, a second apart", code=MDNS)
def test_a_host_announces_itself_twice_with_both_families_the_flush_bit_and_two_minutes() -> None:
    bench = Bench()
    bench.announce()
    ((first, whom),) = bench.said()
    assert whom is None
    assert (first.qr, first.aa, first.id, first.qdcount) == (1, 1, 0, 0)
    assert told(first) == [("10.0.0.5", 120, 1), ("fd61:696f:6e66::5", 120, 1)]
    bench.clock.advance(0.999)
    assert bench.said() == []
    bench.clock.advance(0.001)
    assert [told(message) for message, _ in bench.said()] == [told(first)]
    bench.clock.advance(3600)
    assert bench.said() == []


@rule("RFC 6762 6", "A question to all is answered to all", code=MDNS)
@pytest.mark.parametrize("kind", ["A", "AAAA", "ALL"])
def test_who_asks_all_is_answered_before_all(kind: str) -> None:
    bench = Bench()
    bench.announced(60)
    bench.hears(question("WEB.local", kind))
    ((message, whom),) = bench.said()
    assert whom is None
    assert [address for address, _, _ in told(message)] == ["10.0.0.5", "fd61:696f:6e66::5"]


@rule("RFC 6762 6", "Nothing is multicast twice within a second", code=MDNS)
def test_many_who_ask_are_answered_once_a_second() -> None:
    bench = Bench()
    bench.announced(60)
    for _ in range(5):
        bench.hears(question())
    assert len(bench.said()) == 1
    bench.clock.advance(0.3)
    bench.hears(question())
    assert bench.said() == []
    bench.clock.advance(0.7)
    assert len(bench.said()) == 1


@rule("RFC 6762 5.4", "A question with the unicast-response bit is answered to its asker alone", code=MDNS)
def test_who_wishes_so_is_answered_alone() -> None:
    bench = Bench()
    bench.announced(5)
    bench.hears(question(unicast=1))
    ((message, whom),) = bench.said()
    assert whom == "asker"
    assert told(message) == [("10.0.0.5", 120, 1)]
    assert [record.rdata for record in message.ar] == ["fd61:696f:6e66::5"]  # RFC 6762 6.2


@rule("RFC 6762 5.4", "... unless all have not heard it for a quarter of its TTL", code=MDNS)
def test_all_hear_it_again_every_now_and_then() -> None:
    bench = Bench()
    bench.announced(31)
    bench.hears(question(unicast=1))
    assert [whom for _, whom in bench.said()] == [None]


@rule("RFC 6762 7.1", "What the asker knows, for half of its time at least, is not told again", code=MDNS)
@pytest.mark.parametrize(("ttl", "answers"), [(60, 0), (59, 1)])
def test_what_the_asker_knows_is_not_told_again(ttl: int, answers: int) -> None:
    bench = Bench()
    bench.announced(60)
    bench.hears(question(an=[you("10.0.0.5", ttl, 0, "web.local")]))
    assert len(bench.said()) == answers


@rule("RFC 6762 6.7", "A resolver on another port is answered as by unicast DNS", code=MDNS)
def test_a_resolver_that_knows_of_no_multicast_is_answered_as_it_expects() -> None:
    bench = Bench()
    bench.announced(60)
    bench.hears(question(id=77), port=40000)
    ((message, whom),) = bench.said()
    assert (whom, message.id) == ("asker", 77)
    assert [(q.qname, q.qtype) for q in message.qd] == [(b"web.local.", 1)]
    assert told(message) == [("10.0.0.5", 10, 0)]


@pytest.mark.parametrize("heard", [question("other.local"), question(kind="TXT"), question("web")])
def test_other_questions_are_not_answered(heard: DNS) -> None:
    bench = Bench()
    bench.announced(60)
    bench.hears(heard)
    bench.clock.advance(5)
    assert bench.said() == []


@rule("RFC 6762 10.1", "A host that goes says goodbye: its records with a TTL of 0", code=MDNS)
def test_who_goes_says_goodbye_and_is_silent() -> None:
    bench = Bench()
    bench.announced(60)
    bench.names.withdraw()
    ((message, whom),) = bench.said()
    assert whom is None
    assert told(message) == [("10.0.0.5", 0, 1), ("fd61:696f:6e66::5", 0, 1)]
    bench.names.withdraw()
    bench.hears(question())
    assert bench.said() == []


def test_who_was_never_announced_needs_no_goodbye() -> None:
    bench = Bench()
    bench.names.withdraw()
    assert bench.said() == []


def test_who_has_no_name_says_nothing() -> None:
    bench = Bench()
    bench.hears(question(""))
    bench.names.withdraw()
    assert bench.said() == []


def test_a_name_without_a_dot_is_one_of_local() -> None:
    assert name_on_wire("WEB") == "web.local"
    assert name_on_wire("web.") == "web.local"
    assert name_on_wire("www.example") == "www.example"


# ---- what it hears of others


def asked(bench: Bench, name: str = "you.local") -> list[int]:
    """Asks for a name; when it has been told that the question is over."""
    over: list[int] = []
    bench.names.ask(name, lambda: over.append(bench.clock.now()))
    return over


@rule("RFC 6762 5.2", "A question is repeated after a second, then not before twice that", code=MDNS)
def test_a_question_is_put_twice_and_given_up_after_three_seconds() -> None:
    bench = Bench()
    over = asked(bench)
    ((first, whom),) = bench.said()
    assert whom is None
    assert (first.qr, first.id) == (0, 0)
    assert [(q.qname, q.qtype, q.unicastresponse) for q in first.qd] == [
        (b"you.local.", 1, 1), (b"you.local.", 28, 1),
    ]  # fmt: skip
    bench.clock.advance(1)
    ((second, _),) = bench.said()
    assert [q.unicastresponse for q in second.qd] == [0, 0]
    bench.clock.advance(1.999)
    assert (over, bench.said()) == ([], [])
    bench.clock.advance(1)
    assert (over, bench.said()) == ([3_000_000_000], [])
    assert bench.names.known("you.local") == []


def test_an_answer_ends_the_question_and_is_known_for_its_time() -> None:
    bench = Bench()
    over = asked(bench)
    bench.clock.advance(0.5)
    bench.hears(answer(you(YOU6, 10), you(YOU4, 10)))
    assert over == [500_000_000]
    assert literal(bench.names.known("you.local")) == [YOU4, "fd61696f6e6600000000000000000009"]
    bench.clock.advance(9.9)
    assert len(bench.names.known("you.local")) == 2
    bench.clock.advance(0.1)
    assert bench.names.known("you.local") == []
    bench.clock.advance(5)
    assert len(bench.said()) == 1  # the question alone


def test_who_asks_for_what_is_being_asked_for_waits_with_the_other() -> None:
    bench = Bench()
    first, second = asked(bench), asked(bench)
    assert len(bench.said()) == 1
    bench.hears(answer(you()))
    assert first == second == [0]


def test_what_is_announced_is_known_unasked() -> None:
    bench = Bench()
    bench.hears(answer(you()))
    assert literal(bench.names.known("you.local")) == [YOU4]
    assert bench.names.known("other.local") == []


@rule("RFC 6762 6", "An answer from another port than 5353 is none", code=MDNS)
def test_an_answer_from_another_port_is_ignored() -> None:
    bench = Bench()
    over = asked(bench)
    bench.hears(answer(you()), port=5354)
    assert (over, bench.names.known("you.local")) == ([], [])


@rule("RFC 6762 10.1", "After a goodbye what was known is known for a second", code=MDNS)
def test_a_goodbye_is_heard() -> None:
    bench = Bench()
    bench.hears(answer(you(), you(YOU6)))
    bench.clock.advance(5)
    bench.hears(answer(you(ttl=0), you(YOU6, 0)))
    bench.clock.advance(0.9)
    assert len(bench.names.known("you.local")) == 2
    bench.clock.advance(0.1)
    assert bench.names.known("you.local") == []


def test_a_goodbye_of_what_was_never_known_is_nothing() -> None:
    bench = Bench()
    over = asked(bench)
    bench.hears(answer(you(ttl=0)))
    assert (over, bench.names.known("you.local")) == ([], [])


@rule("RFC 6762 10.2", "The flush bit ends what was known before, of that family, in a second", code=MDNS)
def test_a_new_address_takes_the_place_of_the_old_one() -> None:
    bench = Bench()
    bench.hears(answer(you("10.0.0.1"), you(YOU6)))
    bench.clock.advance(0.5)
    bench.hears(answer(you("10.0.0.2")))  # within a second: more of the same
    assert literal(bench.names.known("you.local"))[:2] == ["10.0.0.1", "10.0.0.2"]
    bench.clock.advance(2)
    bench.hears(answer(you("10.0.0.3")))
    bench.clock.advance(1)
    assert literal(bench.names.known("you.local")) == ["10.0.0.3", "fd61696f6e6600000000000000000009"]
    bench.hears(answer(you("10.0.0.4", flush=0)))
    bench.clock.advance(2)
    assert literal(bench.names.known("you.local"))[:2] == ["10.0.0.3", "10.0.0.4"]


def test_octets_that_are_no_message_are_ignored() -> None:
    bench = Bench()
    bench.names.received(b"\xff" * 40, "asker", PORT)
    assert bench.said() == []


def test_memory_is_bounded_and_what_is_over_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aionetflow.network.mdns.MAX_NAMES", 100)
    bench = Bench()
    for i in range(110):
        bench.hears(answer(you(name=f"h{i}.local", ttl=5)))
    assert bench.names.known("h0.local")
    assert bench.names.known("h100.local") == []
    for i in range(2 * MAX_ADDRESSES):
        bench.hears(answer(you(f"10.1.0.{i}", name="h0.local")))
    assert len(bench.names.known("h0.local")) == MAX_ADDRESSES
    bench.clock.advance(6)
    bench.hears(answer(you()))
    assert bench.names.known("you.local")


# ---- conflicts


@rule("RFC 6762 9", "That another host answers for one's name is told", code=MDNS)
def test_another_host_of_the_name_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.announced(10)
    bench.hears(answer(you(YOU4, name="web.local")))
    bench.hears(answer(you(YOU6, name="web.local")))
    assert [record.getMessage() for record in caplog.records] == [
        "web.local is a host's name in another process too: one of them needs another name"
    ]
    assert bench.names.known("web.local") == []
    assert caplog.records[0].levelno == logging.WARNING


def test_another_host_of_the_address_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.announced(10)
    bench.hears(answer(you("10.0.0.5")))
    bench.hears(answer(you("10.0.0.5", name="third.local")))
    assert [record.getMessage() for record in caplog.records] == [
        "10.0.0.5 is the address of you.local in another process too: give one of them another by hand"
    ]


def test_a_goodbye_is_no_conflict(caplog: pytest.LogCaptureFixture) -> None:
    Bench().hears(answer(you(YOU4, 0, name="web.local"), you("10.0.0.5", 0)))
    assert caplog.records == []


# ---- many hosts of one process


def names_in(messages: list[DNS]) -> list[str]:
    """The names that have answers there, in order, one for each answer."""
    return [record.rrname.decode().rstrip(".") for message in messages for record in message.an]


def announce_many(bench: Bench, numbers: range) -> list[str]:
    """Announces hosts of these numbers, with an address of each family; returns their names."""
    for i in numbers:
        bench.names.announce(f"host{i}.local", lambda i=i: [bytes((10, 0, i >> 8, i & 255)), ME6[:14] + i.to_bytes(2)])  # type: ignore[misc]
    return [f"host{i}.local" for i in numbers]


@rule("RFC 6762 6.4", "What is to be said of many names is said in few messages, none longer than the link takes",
      code=MDNS)  # fmt: skip
def test_many_hosts_are_announced_in_few_messages_and_take_their_leave_so() -> None:
    bench = Bench()
    names = [name for name in announce_many(bench, range(300)) for _ in range(2)]
    messages = [message for message, _ in bench.said()]
    assert names_in(messages) == names
    assert len(messages) <= 15
    assert max(len(bytes(message)) for message in messages) <= ROOM
    bench.clock.advance(0.999)
    assert bench.said() == []
    bench.clock.advance(0.001)
    assert names_in([message for message, _ in bench.said()]) == names
    bench.clock.advance(3600)
    assert bench.said() == []
    bench.names.withdraw()
    goodbyes = [message for message, _ in bench.said()]
    assert names_in(goodbyes) == names
    assert {record.ttl for message in goodbyes for record in message.an} == {0}
    assert len(goodbyes) <= 15


def test_hosts_that_come_one_after_the_other_are_announced_together() -> None:
    bench = Bench()
    names: list[str] = []
    for i in range(200):  # in two seconds
        names += announce_many(bench, range(i, i + 1))
        bench.clock.advance(0.01)
    bench.clock.advance(2)
    messages = [message for message, _ in bench.said()]
    assert sorted(names_in(messages)) == sorted(4 * names)
    assert len(messages) <= 40
    assert names_in(messages[:1]) == 2 * ["host0.local"]  # the first did not wait


@rule("RFC 6762 6.3", "Where a message asks for names of others too, the answer waits for 20 to 120 ms", code=MDNS)
def test_an_answer_waits_where_others_may_be_about_to_answer() -> None:
    bench = Bench()
    bench.announced(60)
    bench.hears(DNS(rd=0, qd=[DNSQR(qname="web.local"), DNSQR(qname="you.local")]))
    bench.clock.advance(0.019)
    assert bench.said() == []
    bench.clock.advance(0.101)
    assert [whom for _, whom in bench.said()] == [None]


def test_a_message_that_asks_for_two_hosts_is_answered_at_once_in_one() -> None:
    bench = Bench()
    announce_many(bench, range(3))
    bench.clock.advance(60)
    bench.said()
    bench.hears(DNS(rd=0, qd=[DNSQR(qname="host0.local"), DNSQR(qname="host2.local")]))
    ((message, whom),) = bench.said()
    assert (names_in([message]), whom) == (["host0.local"] * 2 + ["host2.local"] * 2, None)
