"""Initial sequence numbers (RFC 6528): where they come from, and what they give away."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from scapy.layers.inet import TCP

from aionetflow.clock import ManualClock
from aionetflow.siphash import SipHash, keyed
from aionetflow.socket.ports import connection_key
from aionetflow.stack import Stack
from aionetflow.tcp.isn import InitialNumbers
from support.lan import Host, ip, raw_host
from support.rules import rule

M32 = 0xFFFFFFFF
SECOND = 1_000_000_000
HERE, THERE = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))


def key(local_port: int = 40000, remote: bytes = THERE) -> bytes:
    return connection_key(remote, HERE, 80, local_port)


# The first entries of the table in SipHash's reference implementation: the hash of 0, 1, 2, … octets
@pytest.mark.parametrize(
    ("length", "digest"),
    [
        (0, "310e0edd47db6f72"), (1, "fd67dc93c539f874"), (2, "5a4fa9d909806c0d"), (7, "37d1018bf50002ab"),
        (8, "6224939a79f5f593"), (15, "e545be4961ca29a1"), (16, "db9bc2577fcc2a3f"),
    ],
)  # fmt: skip
def test_siphash_is_the_one_of_its_authors(length: int, digest: str) -> None:
    key0, key1 = (int.from_bytes(bytes(range(at, at + 8)), "little") for at in (0, 8))
    assert SipHash(key0, key1).hash(bytes(range(length))).to_bytes(8, "little").hex() == digest


def test_two_keys_make_two_functions() -> None:
    one, other = keyed(random.Random(1)), keyed(random.Random(2))
    assert one.hash(b"same") != other.hash(b"same")
    assert one.hash(b"same") == keyed(random.Random(1)).hash(b"same")


@rule("RFC 6528 3", "Between the same two ends later connections begin at higher numbers", code="tcp/isn.py")
@rule("RFC 9293 3.4.1", "The clock of initial sequence numbers goes up at least every 4 µs", code="tcp/isn.py")
def test_the_same_two_ends_begin_later_at_a_higher_number() -> None:
    numbers = InitialNumbers(random.Random(1))
    first = numbers.initial(key(), 0)
    assert (numbers.initial(key(), 4000) - first) & M32 == 4000 // 64
    assert 0 < (numbers.initial(key(), 60 * SECOND) - first) & M32 < 1 << 31


@rule("RFC 6528 3", "Each pair of ends has an offset of its own that a secret key decides on", code="tcp/isn.py")
def test_one_pair_of_ends_says_nothing_about_another() -> None:
    numbers = InitialNumbers(random.Random(1))
    pairs = [key(40000 + i) for i in range(200)] + [key(remote=bytes((10, 0, 1, i))) for i in range(200)]
    drawn = [numbers.initial(pair, 0) for pair in pairs]
    assert len(set(drawn)) == len(pairs)
    # spread over the whole circle: in each eighth of it about as many, and no step between neighbours twice
    eighths = [sum(number >> 29 == eighth for number in drawn) for eighth in range(8)]
    assert min(eighths) > 25
    assert len({(b - a) & M32 for a, b in pairwise(drawn)}) == len(pairs) - 1
    other = InitialNumbers(random.Random(2))
    assert all(other.initial(pair, 0) != number for pair, number in zip(pairs, drawn, strict=True))


def test_numbers_follow_from_the_seed_and_the_time() -> None:
    def numbers(seed: int, wait: float) -> list[int]:
        host = Host()
        host.clock.advance(wait)
        host.stack = Stack(host.clock, random.Random(seed))
        host.raw("10.0.0.1/24")
        for _ in range(3):
            host.connecting()
        return [syn.seq for syn in host.wire.says()]

    assert numbers(1, 0) == numbers(1, 0)
    assert numbers(1, 0) != numbers(2, 0)
    assert [(b - a) & M32 for a, b in zip(numbers(1, 0), numbers(1, 64e-9 * 1000), strict=True)] == [1000] * 3


def test_a_server_draws_its_numbers_by_the_same_rule() -> None:
    host = raw_host()
    host.stack = Stack(ManualClock(), random.Random(1))
    host.wires.clear()
    host.raw("10.0.0.1/24")
    host.listening(("10.0.0.1", 80))
    (said,) = host.wire.hears(ip() / TCP(sport=4000, dport=80, flags="S", seq=7))
    expected = Stack(ManualClock(), random.Random(1)).isn.initial(connection_key(THERE, HERE, 4000, 80), 0)
    assert said.seq == expected
