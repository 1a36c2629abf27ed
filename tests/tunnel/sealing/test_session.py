"""Two sessions over a network: keys are made, renewed and found again, and what is sent arrives, whatever happens."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aionetflow.tunnel.sealing import keypair as keypairs
from aionetflow.tunnel.sealing import times
from aionetflow.tunnel.sealing.messages import INITIATION, OVERHEAD, RESPONSE, TRANSPORT, peek_index
from aionetflow.tunnel.sealing.session import MAX_WAITING, Session
from aionetflow.tunnel.sealing.sessions import Sessions, SessionStats
from support.sealed import DELAY, KEY, SECOND, End, Pair, dropped, open_all, shaken


def numbered(first: int, last: int) -> list[bytes]:
    return [b"payload %d" % number for number in range(first, last)]


def talk(pair: Pair, seconds: int, *, each_way: bool = True) -> tuple[list[bytes], list[bytes]]:
    """A payload a second, from both ends or from `a` alone; what should have arrived at `b` and at `a`."""
    forth, back = [], []
    for number in range(seconds):
        forth.append(b"forth %d at %d" % (number, pair.now))
        pair.a.send(forth[-1])
        if each_way:
            back.append(b"back %d at %d" % (number, pair.now))
            pair.b.send(back[-1])
        pair.run(1)
    return forth, back


# ---- the first keys


def test_the_first_payload_arrives_after_one_and_a_half_round_trips() -> None:
    pair = Pair()
    pair.a.send(b"hello")
    pair.run(2.9 * DELAY / SECOND)
    assert pair.b.heard == []
    pair.run(0.2 * DELAY / SECOND)
    assert pair.b.heard == [b"hello"]
    assert [datagram[0] for _, datagram in pair.sent] == [INITIATION, RESPONSE, TRANSPORT]


def test_what_waited_for_keys_is_sent_in_order_and_once() -> None:
    pair = Pair()
    for payload in numbered(0, 20):
        pair.a.send(payload)
    pair.run(1)
    assert pair.b.heard == numbered(0, 20)
    assert pair.count(INITIATION) == 1


def test_no_more_than_128_payloads_wait_and_the_newest_are_kept() -> None:
    pair = Pair()
    pair.a.send(*numbered(0, 100))
    pair.a.send(*numbered(100, 200))
    pair.run(1)
    assert MAX_WAITING == 128
    assert pair.b.heard == numbered(72, 200)
    assert pair.a.stats.waiting_dropped == 72


def test_the_responder_is_silent_until_the_initiator_has_shown_that_it_has_the_key() -> None:
    pair = Pair()
    (initiation,) = pair.a.session.seal([b"hello"], 0)
    _, (response,) = pair.b.session.open(initiation, 0)
    assert pair.b.session.seal([b"not yet"], 0) == []
    assert not pair.b.session.established

    _, (hello,) = pair.a.session.open(response, 0)
    assert pair.a.session.established
    payload, (answer,) = pair.b.session.open(hello, 0)
    assert payload == b"hello"
    assert pair.b.session.established
    assert pair.a.session.open(answer, 0) == (b"not yet", [])


def test_an_initiator_that_has_nothing_to_send_confirms_with_a_keepalive() -> None:
    pair = shaken()
    pair.run(120)
    pair.a.send(b"under the old key")
    pair.run(1)
    assert [(datagram[0], len(datagram)) for _, datagram in pair.sent[-3:]] == [
        (INITIATION, 65),
        (RESPONSE, 57),
        (TRANSPORT, OVERHEAD),
    ]
    assert pair.b.stats.handshakes == 2


def test_a_sealed_payload_is_longer_by_the_overhead_and_does_not_show() -> None:
    pair = shaken()
    for size in (0, 1, 100, 9000):
        (datagram,) = pair.a.session.seal([b"A" * size], pair.now)
        assert len(datagram) == size + OVERHEAD
        assert b"AAAA" not in datagram
    assert pair.a.session.seal([], pair.now) == []


# ---- nobody answers


def test_an_initiation_is_repeated_every_five_seconds_and_given_up_after_ninety() -> None:
    pair = Pair()
    pair.fate = lambda datagram: []
    pair.a.send(b"into the void")
    times = []
    while (deadline := pair.a.session.deadline()) is not None:
        times.append(pair.now / SECOND)
        pair.run((deadline - pair.now) / SECOND)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(5 <= gap < 5.34 for gap in gaps)
    assert len(set(gaps)) == len(gaps)  # each with its own jitter
    assert 85 < times[-1] < 90 <= pair.now / SECOND < 95.4
    initiations = [datagram for _, datagram in pair.sent]
    assert len(set(initiations)) == len(initiations) == len(times)
    assert pair.a.stats.waiting_dropped == 1


def test_after_giving_up_it_begins_again_when_there_is_something_to_send() -> None:
    pair = Pair()
    pair.fate = lambda datagram: []
    pair.a.send(b"into the void")
    pair.run(200)
    sent = len(pair.sent)
    pair.run(1000)
    assert len(pair.sent) == sent
    pair.fate = lambda datagram: [DELAY]
    pair.a.send(b"is anybody there?")
    pair.run(1)
    assert pair.b.heard == [b"is anybody there?"]


def test_a_lost_response_costs_five_seconds() -> None:
    pair = Pair()
    lost = iter([[DELAY], []])  # the initiation arrives, the response does not
    pair.fate = lambda datagram: next(lost, [DELAY])
    pair.a.send(b"hello")
    pair.run(4.9)
    assert pair.b.heard == []
    pair.run(0.6)
    assert pair.b.heard == [b"hello"]


@pytest.mark.parametrize(("each_way", "established"), [(2.4, True), (2.7, False)])
def test_a_response_has_to_come_before_the_next_initiation(each_way: float, established: bool) -> None:
    pair = Pair()
    pair.fate = lambda datagram: [round(each_way * SECOND)]
    pair.a.send(b"far")
    pair.run(80)
    assert pair.a.session.established == established
    assert pair.b.heard == [b"far"] * established


def test_if_the_confirmation_is_lost_the_responder_makes_keys_itself() -> None:
    pair = Pair()
    pair.fate = lambda datagram: [] if datagram[0] == TRANSPORT else [DELAY]
    pair.a.send(b"lost")
    pair.run(0.5)
    pair.fate = lambda datagram: [DELAY]
    pair.b.send(b"waits")
    pair.run(6)
    assert pair.a.heard == [b"waits"]
    assert pair.count(INITIATION, pair.b) == 1


# ---- keepalives


def test_who_has_received_and_not_sent_for_ten_seconds_sends_a_keepalive() -> None:
    pair = shaken()
    before = len(pair.sent)
    pair.run(8.5)
    assert len(pair.sent) == before
    pair.run(1)
    assert [(end, len(datagram)) for end, datagram in pair.sent[before:]] == [(pair.b, OVERHEAD)]
    pair.run(100)  # a keepalive is not answered, and nobody misses anything
    assert len(pair.sent) == before + 1
    assert pair.a.heard == []


def test_who_sends_anyway_sends_no_keepalive() -> None:
    pair = shaken()
    forth, back = talk(pair, 60)
    assert pair.b.heard == [b"hello", *forth]
    assert pair.a.heard == back
    assert pair.count(TRANSPORT) == 1 + len(forth) + len(back)


def test_a_handshake_is_as_good_an_answer_as_any() -> None:
    pair = shaken()
    pair.run(120)
    pair.a.send(b"renew")
    pair.run(1)
    pair.fate = lambda datagram: []
    pair.run(100)  # b's keepalive is lost, but a had an answer
    assert pair.count(INITIATION) == 2


# ---- new keys for old


def test_keys_are_renewed_after_two_minutes_by_who_made_them_and_no_payload_is_lost() -> None:
    pair = shaken()
    forth, back = talk(pair, 600)
    assert pair.b.heard == [b"hello", *forth]
    assert pair.a.heard == back
    assert pair.count(INITIATION, pair.a) == 5  # at 0 and after each 120 s
    assert pair.count(INITIATION, pair.b) == 0
    assert dropped(pair.a.stats) == dropped(pair.b.stats) == {}


def test_who_only_receives_renews_the_keys_before_they_expire() -> None:
    pair = shaken()  # a made the keys; from now on only b sends
    back = numbered(0, 400)
    for payload in back:
        pair.b.send(payload)
        pair.run(1)
    assert pair.a.heard == back
    assert pair.count(INITIATION, pair.b) == 0


def test_what_is_under_way_under_the_old_key_is_still_opened() -> None:
    pair = shaken()
    pair.run(120)
    slow = pair.b.session.seal(numbered(0, 5), pair.now)
    pair.a.send(b"renew")
    pair.run(1)
    pair.a.send(b"with the new key")
    pair.run(1)
    assert pair.a.stats.handshakes == pair.b.stats.handshakes == 2
    assert open_all(pair.a.session, slow, pair.now)[0] == numbered(0, 5)


@pytest.mark.parametrize("messages", [10, times.REKEY_AFTER_MESSAGES])
def test_an_index_is_forgotten_with_its_key(messages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypairs, "REKEY_AFTER_MESSAGES", messages)
    pair = shaken()
    hello = pair.sent[2][1]
    while pair.a.stats.handshakes < 2:
        assert pair.b.sessions.find(hello) is pair.b.session
        talk(pair, 1)
    assert pair.b.sessions.find(hello) is pair.b.session, "it may still be under way"
    while pair.a.stats.handshakes < 3:
        talk(pair, 1)
    assert pair.b.sessions.find(hello) is None


def test_an_old_key_opens_nothing_after_three_minutes() -> None:
    pair = shaken()
    made = 2 * DELAY  # when a had the keys
    quick, slow = pair.b.session.seal([b"quick", b"slow"], pair.now)
    assert pair.a.session.open(quick, made + 180 * SECOND - 1)[0] == b"quick"
    assert pair.a.session.open(slow, made + 180 * SECOND) == (None, [])
    assert open_all(pair.a.session, [slow, slow], made + 180 * SECOND) == ([], [])
    assert dropped(pair.a.stats) == {"late": 3}
    pair.a.session.expire(made + 180 * SECOND)
    assert not pair.a.session.established
    assert pair.a.session.open(slow, made + 180 * SECOND) == (None, [])
    assert dropped(pair.a.stats) == {"late": 3, "unknown_index": 1}


def test_an_idle_session_forgets_its_keys_and_says_nothing() -> None:
    pair = shaken()
    datagram = pair.sent[-1][1]
    pair.run(1000)
    assert pair.a.session.deadline() is None
    assert pair.b.session.deadline() is None
    assert not pair.a.session.established
    assert pair.b.sessions.find(datagram) is None
    assert pair.count(TRANSPORT) == 2  # "hello", and the keepalive for it
    assert pair.count(INITIATION) == 1


@pytest.mark.parametrize("sender", ["a", "b"])
def test_whoever_has_sent_many_messages_renews_the_keys(sender: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypairs, "REKEY_AFTER_MESSAGES", 100)
    monkeypatch.setattr(keypairs, "REJECT_AFTER_MESSAGES", 200)
    pair = shaken()
    pair.run(5)  # an initiation not sooner than 5 s after the last
    end: End = getattr(pair, sender)
    for first in range(0, 1000, 20):
        end.send(*numbered(first, first + 20))
        pair.run(2)
    heard = pair.b.heard[1:] if sender == "a" else pair.a.heard
    assert heard == numbered(0, 1000)
    assert pair.count(INITIATION, end) == 10 if sender == "b" else 11


def test_a_key_is_not_used_for_more_messages_than_it_is_good_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypairs, "REJECT_AFTER_MESSAGES", 50)
    pair = shaken()
    pair.run(5)
    assert len(pair.a.session.seal(numbered(0, 49), pair.now)) == 49
    (datagram,) = pair.a.session.seal([b"one too many"], pair.now)
    assert datagram[0] == INITIATION
    pair.put(pair.a, [datagram])
    pair.run(1)
    assert pair.b.heard == [b"hello", b"one too many"]


def test_nor_for_a_keepalive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keypairs, "REJECT_AFTER_MESSAGES", 1)
    pair = shaken()
    pair.b.send(b"back")
    pair.run(15)
    assert pair.a.heard == [b"back"]
    assert pair.count(TRANSPORT, pair.a) == 1


def test_no_counter_is_used_twice_even_if_sealing_fails() -> None:
    pair = shaken()
    with pytest.raises(ValueError, match="no room"):  # in the second of them
        pair.a.session.seal_block(bytearray(2 * OVERHEAD - 1), OVERHEAD, pair.now)
    datagrams = pair.a.session.seal(numbered(0, 3), pair.now)
    assert [int.from_bytes(datagram[5:13], "big") for datagram in datagrams] == [3, 4, 5]


# ---- both at once, and one again


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("head_start", [0, DELAY // 2, DELAY, 2 * DELAY])
def test_ends_that_begin_at_once_agree_on_one_key(seed: int, head_start: int) -> None:
    pair = Pair(seed=seed)
    pair.a.send(b"forth")
    pair.run(head_start / SECOND)
    pair.b.send(b"back")
    pair.run(1)
    assert pair.b.heard == [b"forth"]
    assert pair.a.heard == [b"back"]
    assert pair.count(INITIATION) <= 2
    talk(pair, 100)
    before = len(pair.sent)
    talk(pair, 5)
    indices = {peek_index(datagram) for _, datagram in pair.sent[before:]}
    assert len(indices) == 2, "each end sends under one key, the same"
    talk(pair, 500)
    assert pair.count(INITIATION) <= 2 + 5
    assert min(pair.count(INITIATION, end) for end in (pair.a, pair.b)) <= 1, "one of them renews"
    assert len(pair.b.heard) == len(pair.a.heard) == 606


@pytest.mark.parametrize("seed", range(6))
def test_of_two_handshakes_the_one_with_the_greater_ephemeral_key_counts(seed: int) -> None:
    pair = Pair(seed=seed)
    pair.a.send(b"forth")
    pair.b.send(b"back")
    (_, first), (_, second) = pair.sent
    winner = pair.a if first[1:33] > second[1:33] else pair.b
    pair.run(1)
    talk(pair, 130)
    assert pair.count(INITIATION, winner) == 2, "who began with the key that counts renews it"


@pytest.mark.parametrize("seed", range(6))
def test_who_has_answered_waits_before_it_tries_again_itself(seed: int) -> None:
    pair = Pair(seed=seed)
    pair.fate = lambda datagram: []
    pair.a.send(b"forth")
    pair.run(4.75)
    pair.fate = lambda datagram: [DELAY * 20]
    pair.b.send(b"back")  # its third message is on the way when a would begin anew
    pair.run(10)
    assert pair.b.heard == [b"forth"]
    assert pair.a.heard == [b"back"]
    assert pair.count(INITIATION) == 2


def crossing() -> tuple[Pair, bytes]:
    """Both have begun; the handshake of `b` is done but for its last message, that of `a`, which counts, is slow."""
    for seed in range(20):
        pair = Pair(seed=seed)
        (slow,) = pair.a.session.seal([b"forth"], 0)
        (quick,) = pair.b.session.seal([b"back"], 0)
        if slow[1:33] > quick[1:33]:
            _, (response,) = pair.a.session.open(quick, 0)
            _, (back,) = pair.b.session.open(response, 0)
            _, (answer,) = pair.b.session.open(slow, 0)
            pair.put(pair.b, [answer])
            return pair, back
    raise AssertionError("no such seed")


def test_what_was_sent_under_the_key_that_does_not_count_is_opened() -> None:
    pair, back = crossing()
    pair.run(1)
    assert pair.b.heard == [b"forth"]
    assert pair.a.session.open(back, pair.now)[0] == b"back"


def test_an_answer_that_comes_when_there_are_keys_already_is_dropped() -> None:
    pair, back = crossing()
    payload, replies = pair.a.session.open(back, 0)
    assert payload == b"back"
    pair.put(pair.a, replies)
    pair.run(1)
    assert pair.b.heard == [b"forth"]
    assert dropped(pair.a.stats) == {"unknown_index": 1}
    assert pair.a.stats.handshakes == 1


@pytest.mark.parametrize("restarted", ["a", "b"])
def test_an_end_that_lost_its_keys_is_found_again_by_the_other(restarted: str) -> None:
    pair = shaken()
    end: End = getattr(pair, restarted)
    other = pair.a if end is pair.b else pair.b
    end.restart()
    end.heard.clear()
    for number in range(30):
        other.send(b"%d" % number)
        pair.run(1)
    assert end.stats.unknown_index in (15, 16)
    assert end.heard == [b"%d" % number for number in range(end.stats.unknown_index, 30)]
    end.send(b"here again")
    pair.run(1)
    assert other.heard[-1] == b"here again"


@pytest.mark.parametrize("restarted", ["a", "b"])
def test_an_end_that_lost_its_keys_and_has_something_to_send_makes_new_ones_at_once(restarted: str) -> None:
    pair = shaken()
    end: End = getattr(pair, restarted)
    other = pair.a if end is pair.b else pair.b
    pair.run(10)
    end.restart()
    end.send(b"here again")
    pair.run(1)
    other.send(b"welcome")
    pair.run(1)
    assert other.heard[-1] == b"here again"
    assert end.heard[-1] == b"welcome"


# ---- many sessions of one endpoint


def test_a_datagram_from_anywhere_finds_its_session_by_the_index() -> None:
    stats, sessions, random = SessionStats(), Sessions(), Random(1)
    server = [Session(KEY, random.randbytes, lambda: 1, stats, sessions) for _ in range(50)]
    clients = [Session(KEY, random.randbytes, lambda: 1, SessionStats()) for _ in server]
    last = []
    for ours, theirs in zip(server, clients, strict=True):
        (initiation,) = theirs.seal([b"hello"], 0)
        assert sessions.find(initiation) is None
        _, (response,) = ours.open(initiation, 0)
        _, hello = theirs.open(response, 0)
        last += hello
    assert [sessions.find(datagram) for datagram in last] == server
    assert stats.handshakes == 0
    for ours, datagram in zip(server, last, strict=True):
        assert ours.open(datagram, 0)[0] == b"hello"
    assert stats.handshakes == 50
    server[7].close()
    assert sessions.find(last[7]) is None
    assert server[7].deadline() is None
    assert not server[7].established


def test_what_is_too_short_has_no_index() -> None:
    for length in range(OVERHEAD):
        assert peek_index(bytes([TRANSPORT, *range(1, OVERHEAD)])[:length]) is None
    assert peek_index(bytes([TRANSPORT, *range(1, OVERHEAD)])) == b"\1\2\3\4"


def test_an_index_in_use_is_not_drawn_again() -> None:
    drawn = iter([b"same", b"same", b"same", b"more"])
    sessions = Sessions()
    session = Session(KEY, Random(1).randbytes, lambda: 1, SessionStats(), sessions)
    assert sessions.new_index(session, lambda size: next(drawn)) == b"same"
    assert sessions.new_index(session, lambda size: next(drawn)) == b"more"


def test_the_index_of_an_initiation_is_forgotten_with_it() -> None:
    random, drawn, sessions = Random(1), list[bytes](), Sessions()

    def recorded(size: int) -> bytes:
        drawn.append(random.randbytes(size))
        return drawn[-1]

    session = Session(KEY, recorded, lambda: 1, SessionStats(), sessions)
    session.seal([b"into the void"], 0)
    while (deadline := session.deadline()) is not None:
        session.expire(deadline)
        assert sum(sessions.ours(octets) for octets in drawn) == (session.deadline() is not None)
    assert sum(len(octets) == 4 for octets in drawn) > 10


def test_a_session_takes_a_key_of_32_octets_only() -> None:
    with pytest.raises(ValueError, match="32 octets"):
        Session(b"short", Random(1).randbytes, lambda: 1, SessionStats())


# ---- a bad network


@given(seed=st.integers(0, 1 << 32), loss=st.floats(0, 0.6), duplicate=st.floats(0, 0.3), spread=st.floats(0, 20))
def test_over_any_network_each_payload_arrives_at_most_once_and_all_do_when_it_is_good_again(
    seed: int, loss: float, duplicate: float, spread: float
) -> None:
    pair, random = Pair(seed=seed), Random(seed)
    pair.fate = bad_network(random, loss, duplicate, spread)
    forth: list[list[bytes]] = []
    back: list[list[bytes]] = []
    for number in range(40):
        if random.random() < 0.7:
            forth.append([b"forth %d.%d" % (number, i) for i in range(random.randrange(1, 6))])
            pair.a.send(*forth[-1])
        if random.random() < 0.7:
            back.append([b"back %d.%d" % (number, i) for i in range(random.randrange(1, 6))])
            pair.b.send(*back[-1])
        if random.random() < 0.02:
            random.choice((pair.a, pair.b)).restart()
        pair.run(random.random() * 15)
    pair.fate = lambda datagram: [DELAY]
    pair.run(spread + 1)
    for _ in range(40):  # who sends without an answer notices within 15 s; an initiation is repeated after 5 s
        pair.a.send(b"forth?")
        pair.b.send(b"back?")
        pair.run(1)
    assert pair.b.heard[-20:] == [b"forth?"] * 20
    assert pair.a.heard[-20:] == [b"back?"] * 20
    for heard, sent in ((pair.b.heard, forth), (pair.a.heard, back)):
        early = [payload for payload in heard if not payload.endswith(b"?")]
        assert len(set(early)) == len(early)
        assert set(early) <= {payload for batch in sent for payload in batch}


def bad_network(random: Random, loss: float, duplicate: float, spread: float) -> Callable[[bytes], list[int]]:
    """Loses, duplicates and reorders: each copy takes up to `spread` seconds."""

    def fate(datagram: bytes) -> list[int]:
        copies = 0 if random.random() < loss else 1 + (random.random() < duplicate)
        return [DELAY + round(random.random() ** 4 * spread * SECOND) for _ in range(copies)]

    return fate


@given(st.randoms(use_true_random=False), st.floats(0, 0.4), st.floats(0, 0.4))
def test_batches_open_the_same_as_datagrams_one_by_one(random: Random, swaps: float, keepalives: float) -> None:
    pair, twin = shaken(), shaken()
    payloads = [b"" if random.random() < keepalives else b"%d" % number for number in range(60)]
    datagrams = pair.a.session.seal(payloads, pair.now)
    assert datagrams == twin.a.session.seal(payloads, twin.now)
    for place in range(len(datagrams)):
        if random.random() < swaps:
            other = random.randrange(len(datagrams))
            datagrams[place] = datagrams[other]  # one twice, one never
    opened, replies = open_all(pair.b.session, datagrams, pair.now)
    one_by_one = [twin.b.session.open(datagram, twin.now) for datagram in datagrams]
    assert opened == [payload for payload, _ in one_by_one if payload]
    assert replies == [reply for _, more in one_by_one for reply in more] == []
    assert pair.b.stats == twin.b.stats
