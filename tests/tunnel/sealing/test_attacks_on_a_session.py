"""What somebody on the way, or a false peer, can do to a session: nothing but be counted."""

from __future__ import annotations

import gc
import sys
from random import Random
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from aionetflow.tunnel.sealing import noise
from aionetflow.tunnel.sealing import session as session_module
from aionetflow.tunnel.sealing.keypair import Keypair
from aionetflow.tunnel.sealing.messages import INITIATION, PROLOGUE, RESPONSE, TRANSPORT, VERSION, peek_index, timestamp
from aionetflow.tunnel.sealing.replay import WINDOW
from aionetflow.tunnel.sealing.session import Session
from aionetflow.tunnel.sealing.sessions import Sessions, SessionStats
from support.sealed import DELAY, KEY, OTHER_KEY, SECOND, YEAR_2026, End, Pair, dropped, open_all, shaken

KINDS = pytest.mark.parametrize("kind", ["initiation", "response", "transport"])


def next_of(kind: str) -> tuple[Pair, End, bytes]:
    """A pair, and a datagram of a kind that one of its ends is just about to get."""
    if kind == "transport":
        pair = shaken()
        (datagram,) = pair.a.session.seal([b"the payload"], pair.now)
        return pair, pair.b, datagram
    pair = Pair()
    (initiation,) = pair.a.session.seal([b"the payload"], pair.now)
    if kind == "initiation":
        return pair, pair.b, initiation
    _, (response,) = pair.b.session.open(initiation, pair.now)
    return pair, pair.a, response


def is_taken(end: End, datagram: bytes, now: int) -> bool:
    """Whether a datagram is still as good as it was: it gets an answer, or has a payload."""
    payload, replies = end.session.open(datagram, now)
    return payload == b"the payload" or len(replies) == 1


# ---- altered


@KINDS
def test_a_datagram_with_any_bit_flipped_is_dropped_and_counted(kind: str) -> None:
    pair, end, datagram = next_of(kind)
    for bit in range(8 * len(datagram)):
        altered = bytearray(datagram)
        altered[bit // 8] ^= 1 << bit % 8
        before = sum(dropped(end.stats).values())
        assert end.session.open(bytes(altered), pair.now) == (None, []), f"bit {bit}"
        assert sum(dropped(end.stats).values()) == before + 1, f"bit {bit}"
    # A counter that was altered may be one that came already; before the tag has been looked at nobody can know.
    assert dropped(end.stats).keys() <= {"altered", "foreign", "malformed", "unknown_index", "replayed"}
    assert is_taken(end, datagram, pair.now), "none of that has done any harm"


@KINDS
def test_a_datagram_that_was_cut_or_continued_is_dropped_and_counted(kind: str) -> None:
    pair, end, datagram = next_of(kind)
    wrong = [datagram[:length] for length in range(len(datagram))] + [datagram + b"\0", datagram + datagram]
    for number, altered in enumerate(wrong, 1):
        assert end.session.open(altered, pair.now) == (None, [])
        assert sum(dropped(end.stats).values()) == number
    assert open_all(end.session, wrong, pair.now) == ([], [])
    assert sum(dropped(end.stats).values()) == 2 * len(wrong)
    assert is_taken(end, datagram, pair.now)


@given(st.sampled_from([INITIATION, RESPONSE, TRANSPORT, 0x10, 0x08]), st.binary(max_size=200), st.booleans())
def test_any_octets_are_dropped_and_counted(kind: int, octets: bytes, ours: bool) -> None:
    pair = shaken()
    index = pair.sent[2][1][1:5] if ours else b""
    datagram = bytes([kind]) + index + octets
    assert pair.b.session.open(datagram, pair.now) == (None, [])
    assert open_all(pair.b.session, [octets, datagram], pair.now) == ([], [])
    assert sum(dropped(pair.b.stats).values()) == 3


def test_one_altered_datagram_among_many_costs_only_itself() -> None:
    pair = shaken()
    payloads = [b"%d" % number for number in range(100)]
    datagrams = pair.a.session.seal(payloads, pair.now)
    datagrams[40] = datagrams[40][:-1] + bytes([datagrams[40][-1] ^ 1])
    assert open_all(pair.b.session, datagrams, pair.now) == (payloads[:40] + payloads[41:], [])
    assert dropped(pair.b.stats) == {"altered": 1}


def test_ends_with_different_keys_never_agree() -> None:
    pair = Pair(key_of_b=OTHER_KEY)
    pair.a.send(b"forth")
    pair.b.send(b"back")
    pair.run(100)
    assert pair.a.heard == pair.b.heard == []
    assert not pair.a.session.established
    assert not pair.b.session.established
    assert pair.count(RESPONSE) == 0
    assert dropped(pair.a.stats).keys() == dropped(pair.b.stats).keys() == {"altered"}


def test_another_version_is_told_from_another_key() -> None:
    pair, end, datagram = next_of("initiation")
    vxlan = bytes.fromhex("0800000000002a00") + bytes(60)
    for other in (bytes([datagram[0] + 0x10]) + datagram[1:], vxlan):
        assert end.session.open(other, pair.now) == (None, [])
    assert dropped(end.stats) == {"foreign": 2}
    # Whoever only writes our version on the outside does not get further: it is in what is hashed.
    private = X25519PrivateKey.from_private_bytes(KEY)
    other_prologue = PROLOGUE.replace(b"%d" % VERSION, b"%d" % (VERSION + 1))
    assert other_prologue != PROLOGUE
    _, message = noise.write_first(noise.begin(KEY, other_prologue), private, timestamp(YEAR_2026) + b"abcd")
    assert end.session.open(bytes([INITIATION]) + message, pair.now) == (None, [])
    assert dropped(end.stats) == {"foreign": 2, "altered": 1}


# ---- sent again


def test_a_datagram_that_comes_twice_is_taken_once() -> None:
    pair = shaken()
    datagrams = pair.a.session.seal([b"%d" % number for number in range(10)], pair.now)
    assert len(open_all(pair.b.session, datagrams + datagrams[::-1], pair.now)[0]) == 10
    assert dropped(pair.b.stats) == {"replayed": 10}
    assert pair.b.session.open(datagrams[3], pair.now) == (None, [])
    assert dropped(pair.b.stats) == {"replayed": 11}


def test_a_datagram_may_be_overtaken_by_thousands_but_not_by_more_than_the_window() -> None:
    pair = shaken()
    datagrams = pair.a.session.seal([b"x"] * (WINDOW + 2), pair.now)
    pair.b.session.open(datagrams[-1], pair.now)
    assert pair.b.session.open(datagrams[2], pair.now)[0] == b"x"
    assert pair.b.session.open(datagrams[1], pair.now)[0] is None
    assert pair.b.session.open(datagrams[2], pair.now)[0] is None
    assert dropped(pair.b.stats) == {"late": 1, "replayed": 1}


@pytest.mark.parametrize("wait", [0, 10, 150, 1000])
def test_an_initiation_that_was_recorded_does_nothing(wait: int) -> None:
    pair = shaken()
    initiation, response = pair.sent[0][1], pair.sent[1][1]
    pair.run(wait)
    assert pair.b.session.open(initiation, pair.now) == (None, [])
    assert dropped(pair.b.stats) == {"old_initiation": 1}
    assert pair.a.session.open(response, pair.now) == (None, [])
    assert dropped(pair.a.stats) == {"unknown_index": 1}
    pair.a.send(b"still here")
    pair.run(1)
    assert pair.b.heard[-1] == b"still here"


def test_initiations_out_of_order_count_as_recorded() -> None:
    pair = Pair()
    (first,) = pair.a.session.seal([b"hello"], pair.now)
    deadline = pair.a.session.deadline()
    assert deadline is not None
    (second,) = pair.a.session.expire(deadline)
    assert len(pair.b.session.open(second, deadline)[1]) == 1
    assert pair.b.session.open(first, deadline) == (None, [])
    assert dropped(pair.b.stats) == {"old_initiation": 1}


def test_initiations_stay_in_order_when_the_wall_clock_goes_back() -> None:
    pair = shaken()
    pair.run(200)  # the keys are gone
    pair.a.clock_error = -YEAR_2026
    pair.a.send(b"in 1970")
    pair.run(1)
    assert pair.b.heard[-1] == b"in 1970"


def test_a_recorded_session_is_of_no_use_after_a_restart() -> None:
    pair = shaken()
    for number in range(20):
        pair.a.send(b"%d" % number)
    recorded = [datagram for end, datagram in pair.sent if end is pair.a]
    pair.b.restart()
    payloads, replies = open_all(pair.b.session, recorded, pair.now)
    assert payloads == []
    assert [reply[0] for reply in replies] == [RESPONSE]  # b has forgotten when a last began; a has not
    assert open_all(pair.a.session, replies, pair.now) == ([], [])
    assert dropped(pair.a.stats) == {"unknown_index": 1}
    assert pair.b.session.seal([b"secret"], pair.now) == []
    assert not pair.b.session.established


# ---- recorded, and the key learned later


def test_with_the_key_a_recorded_initiation_can_be_read_and_nothing_after_it() -> None:
    pair = shaken()
    initiation, response, hello = (datagram for _, datagram in pair.sent[:3])
    first = noise.read_first(noise.begin(KEY, PROLOGUE), initiation[1:])
    assert first is not None
    assert first.payload[:-4] == timestamp(YEAR_2026)
    # What only the two ends had, and what they have forgotten, is one of the ephemeral private keys.
    other = X25519PrivateKey.from_private_bytes(KEY)
    assert noise.read_second(first.state, other, response[5:]) is None
    assert all(
        Keypair(b"", hello[1:5], key, key, initiated=True, now=0).open(hello, 0) is None
        for key in (KEY, *noise.split(first.state))
    )


def test_keys_are_forgotten_three_minutes_after_they_were_made() -> None:
    def keypairs() -> set[int]:
        gc.collect()
        return {id(thing) for thing in gc.get_objects() if isinstance(thing, Keypair)}

    others = keypairs()
    pair = shaken()
    assert len(keypairs() - others) == 2
    pair.run(180)
    assert keypairs() <= others


# ---- sent back


def test_an_end_does_not_make_keys_with_itself() -> None:
    pair = Pair()
    (initiation,) = pair.a.session.seal([b"hello"], pair.now)
    assert pair.a.session.open(initiation, pair.now) == (None, [])
    assert dropped(pair.a.stats) == {"reflected": 1}
    pair.put(pair.a, [initiation])
    pair.run(1)
    assert pair.b.heard == [b"hello"]


def test_two_sessions_of_an_endpoint_do_not_make_keys_with_one_another() -> None:
    stats, sessions, random = SessionStats(), Sessions(), Random(1)
    to_b, to_c = (Session(KEY, random.randbytes, lambda: YEAR_2026, stats, sessions) for _ in range(2))
    (initiation,) = to_b.seal([b"for b"], 0)
    assert to_c.open(initiation, 0) == (None, [])
    assert dropped(stats) == {"reflected": 1}


def test_what_an_end_has_sent_it_does_not_take_itself() -> None:
    pair = shaken()
    pair.b.send(b"back")
    pair.run(1)
    assert peek_index(pair.sent[-1][1]) is not None
    for end, datagram in pair.sent:
        assert end.session.open(datagram, pair.now) == (None, [])
    assert sum(dropped(pair.a.stats).values()) + sum(dropped(pair.b.stats).values()) == len(pair.sent)


# ---- too many, and too costly


@pytest.fixture
def curve(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Counts the private keys made: without one there is no operation on the curve."""
    counted = SimpleNamespace(keys=0)

    def from_private_bytes(octets: bytes) -> X25519PrivateKey:
        counted.keys += 1
        return X25519PrivateKey.from_private_bytes(octets)

    monkeypatch.setattr(session_module, "X25519PrivateKey", SimpleNamespace(from_private_bytes=from_private_bytes))
    return counted


@pytest.mark.parametrize("thousands", [10, pytest.param(100, marks=pytest.mark.soak)])
def test_thousands_of_false_initiations_cost_no_memory_and_no_operation_on_the_curve(
    curve: SimpleNamespace, thousands: int
) -> None:
    pair, random = shaken(), Random(1)
    made = curve.keys
    flood = [bytes([INITIATION]) + random.randbytes(64) for _ in range(1000)]
    open_all(pair.b.session, flood, pair.now)
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(thousands - 1):
        assert open_all(pair.b.session, flood, pair.now) == ([], [])
    gc.collect()
    assert sys.getallocatedblocks() - before < 1000  # what runs beside the test takes some
    assert curve.keys == made
    assert dropped(pair.b.stats) == {"altered": thousands * 1000}
    pair.a.send(b"still here")
    pair.run(1)
    assert pair.b.heard[-1] == b"still here"


def test_nobody_is_kept_out_by_false_initiations(curve: SimpleNamespace) -> None:
    pair, random = Pair(), Random(1)
    open_all(pair.b.session, [bytes([INITIATION]) + random.randbytes(64) for _ in range(10_000)], pair.now)
    assert curve.keys == 0
    pair.a.send(b"hello")
    pair.run(1)
    assert pair.b.heard == [b"hello"]


def test_holders_of_the_key_are_answered_a_hundred_times_at_once_and_fifty_times_a_second(
    curve: SimpleNamespace,
) -> None:
    stats, sessions = SessionStats(), Sessions()
    random = Random(1)
    ours = [Session(KEY, random.randbytes, lambda: YEAR_2026, stats, sessions) for _ in range(300)]
    theirs = [Session(KEY, random.randbytes, lambda: YEAR_2026, SessionStats()) for _ in ours]
    initiations = [session.seal([b"hello"], 0)[0] for session in theirs]
    made = curve.keys
    answered = [len(session.open(datagram, 0)[1]) for session, datagram in zip(ours, initiations, strict=True)]
    assert sum(answered) == 100
    assert curve.keys == made + 100
    assert dropped(stats) == {"limited": 200}
    answered = [len(session.open(datagram, SECOND)[1]) for session, datagram in zip(ours, initiations, strict=True)]
    assert sum(answered) == 50
    assert dropped(stats) == {"limited": 350, "old_initiation": 100}


def test_a_peer_has_at_most_one_handshake_half_open() -> None:
    sessions, random = Sessions(), Random(1)
    ours = Session(KEY, random.randbytes, lambda: YEAR_2026, SessionStats(), sessions)
    responses = []
    for number in range(50):
        theirs = Session(KEY, random.randbytes, lambda: YEAR_2026 + number, SessionStats())  # noqa: B023
        (initiation,) = theirs.seal([b"%d" % number], 0)
        _, (response,) = ours.open(initiation, 0)
        responses.append((theirs, response))
    hellos = [theirs.open(response, 0)[1][0] for theirs, response in responses]
    assert [sessions.find(hello) for hello in hellos] == [None] * 49 + [ours]
    assert open_all(ours, hellos, 0)[0] == [b"49"]


def test_a_false_key_of_a_holder_is_refused() -> None:
    """A point of low order would make the secret the same for everybody."""
    random, drawn, stats, sessions = Random(1), list[bytes](), SessionStats(), Sessions()

    def recorded(size: int) -> bytes:
        drawn.append(random.randbytes(size))
        return drawn[-1]

    session = Session(KEY, recorded, lambda: YEAR_2026, stats, sessions)
    begun = noise.begin(KEY, PROLOGUE)
    for point in (bytes(32), b"\x01" + bytes(31)):
        false = SimpleNamespace(public_key=lambda: SimpleNamespace(public_bytes_raw=lambda: point))  # noqa: B023
        _, message = noise.write_first(begun, false, timestamp(YEAR_2026) + b"abcd")  # type: ignore[arg-type]
        assert noise.read_first(begun, message) is not None
        assert session.open(bytes([INITIATION]) + message, 0) == (None, [])
    assert dropped(stats)["altered"] == 1
    assert session.deadline() is None
    assert not any(sessions.ours(octets) for octets in drawn)


def test_false_responses_do_not_end_a_handshake() -> None:
    pair, end, response = next_of("response")
    random = Random(1)
    for _ in range(50):
        false = response[:5] + random.randbytes(len(response) - 5)
        assert end.session.open(false, pair.now) == (None, [])
    assert dropped(end.stats) == {"altered": 50}
    assert is_taken(end, response, pair.now)


def test_false_datagrams_prolong_nothing() -> None:
    """What is not the peer's does not count as its answer: after 15 s of silence keys are made anew."""
    pair = shaken()
    pair.fate = lambda datagram: [DELAY] if datagram[0] != TRANSPORT else []
    random = Random(1)
    before = pair.count(INITIATION)
    for _ in range(16):
        pair.a.send(b"anybody?")
        pair.a.session.open(pair.sent[2][1][:5] + random.randbytes(60), pair.now)
        pair.run(1)
    assert pair.count(INITIATION) == before + 1
