"""A host under hostile frames: nothing is raised, its good connections go on octet for octet, and nothing is left.

`make fuzz` does it for longer.
"""

from __future__ import annotations

from random import Random

import pytest

from fuzz.battle import Battle
from fuzz.hostile import Hostile, checksum, ipv4, mended, tcp
from support.build import COMPILED
from support.decode import check_frame

ROUNDS = 150 if COMPILED else 40  # in a quarter of them the friend does something, and its third time octets arrive


@pytest.fixture(autouse=True)
def watched_frames() -> None:
    """Not in these tests: the frames are too many. One of them looks at those of a short battle."""


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_host_under_fire_serves_its_friend_and_forgets_its_enemies(seed: int) -> None:
    battle = Battle(seed)
    for _ in range(ROUNDS):
        battle.round(64)
    battle.end()
    assert battle.octets > 0


def test_what_a_host_under_fire_says_is_true() -> None:
    battle = Battle(4)
    battle.nic.taps.append(lambda now, frame, outbound: check_frame(frame) if outbound else None)
    for _ in range(ROUNDS // 5):
        battle.round(64)
    assert len(battle.hostile.heard) > 100


def test_the_fire_reaches_deep() -> None:
    """Or it would prove nothing: connections are made and broken, and each counter of damage moves."""
    battle = Battle(5)
    for _ in range(3 * ROUNDS):
        battle.round(64)
    stats = battle.host.stats
    for count in (
        stats.ip.InHdrErrors, stats.ip.InAddrErrors, stats.ip.InUnknownProtos, stats.tcp.InCsumErrors,
        stats.tcp.PassiveOpens, stats.tcp.ActiveOpens, stats.tcp.OutRsts, stats.tcp.TCPChallengeACK,
        stats.udp.InCsumErrors + stats.udp.InErrors, stats.udp.NoPorts, stats.icmp.InErrors, stats.icmp.InEchos,
        battle.nic.rx_errors,
    ):  # fmt: skip
        assert count > 0


def test_the_same_seed_gives_the_same_battle() -> None:
    battles = Battle(6), Battle(6)
    for battle in battles:
        for _ in range(10):
            battle.round(32)
    first, second = battles
    assert (first.octets, first.clock.now()) == (second.octets, second.clock.now())
    assert first.hostile.heard == second.hostile.heard


def test_hostile_frames_are_right_where_they_want_to_be() -> None:
    source = bytes((10, 0, 0, 66))
    packet = ipv4(6, tcp((1, 2), 3, 4, 0x12, 5, b"\2\4\5\xb4", b"odd", source), source)
    check_frame(bytes(6) + bytes((2, 0, 0, 0, 0, 1)) + b"\x08\0" + packet)
    spoilt = bytes(12) + b"\x08\0" + packet[:10] + b"\0\0" + packet[12:36] + b"\1\1" + packet[38:] + b"more"
    check_frame(bytes(6) + bytes((2, 0, 0, 0, 0, 1)) + mended(spoilt)[12:])
    assert checksum(b"\x12\x34\x56") == ~(0x1234 + 0x5600) & 0xFFFF
    assert len(Hostile(Random(1)).frames(100)) == 100
