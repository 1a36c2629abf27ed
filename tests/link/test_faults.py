"""The fate of a frame: the same for a seed everywhere, with the odds that were asked for."""

import math
import random
from collections.abc import Callable

import pytest

from aionetflow.link import faults
from aionetflow.link.faults import Fate, Odds, draw, flip_bit

# fmt: off
GOLDEN = [
    (5, "duplicated, reordered"), (10, "lost"), (13, "lost"), (14, "duplicated"), (15, "duplicated"),
    (16, "reordered"), (17, "lost"), (21, "lost"), (23, "lost"), (24, "corrupted"),
    (27, "corrupted, reordered"), (29, "reordered"), (31, "lost"), (32, "corrupted"),
    (33, "lost"), (34, "lost"), (35, "lost"), (37, "corrupted"),
]
# fmt: on
GOLDEN_LATE = [0.259827447489, 0.169378087126, 0.950039107954]
SOME = Odds(loss=0.2, reorder=0.1, duplicate=0.1, corrupt=0.1)


def fates(odds: Odds, count: int, seed: int = 7) -> list[Fate]:
    source = random.Random(seed)
    return [draw(source, odds) for _ in range(count)]


def test_a_seed_gives_these_fates_on_every_version_of_python() -> None:
    named = [(n, str(fate)) for n, fate in enumerate(fates(SOME, 40, seed=20)) if str(fate)]
    assert named == GOLDEN
    assert [round(fate.late, 12) for fate in fates(SOME, 3, seed=20)] == GOLDEN_LATE


def test_the_fate_of_one_fault_does_not_depend_on_the_others() -> None:
    alone = [fate.lost for fate in fates(Odds(loss=0.2), 2000)]
    assert alone == [fate.lost for fate in fates(Odds(0.2, 0.5, 0.5, 0.5), 2000)]
    assert sum(alone) > 0


@pytest.mark.parametrize("name", ["lost", "reordered", "duplicated", "corrupted"])
@pytest.mark.parametrize("odds", [0.01, 0.3, 0.9])
def test_each_fault_comes_as_often_as_its_odds(name: str, odds: float) -> None:
    field = {"lost": "loss", "reordered": "reorder", "duplicated": "duplicate", "corrupted": "corrupt"}[name]
    count = 20_000
    hits = sum(getattr(fate, name) for fate in fates(Odds(**{field: odds}), count))
    assert abs(hits - odds * count) < 4 * math.sqrt(count * odds * (1 - odds))


@pytest.mark.parametrize(("odds", "expected"), [(0.0, 0), (1.0, 500)])
def test_never_and_always_mean_it(odds: float, expected: int) -> None:
    assert sum(fate.lost for fate in fates(Odds(loss=odds), 500)) == expected
    others = fates(Odds(0.0, odds, odds, odds), 500)
    assert sum(fate.reordered and fate.duplicated and fate.corrupted for fate in others) == expected


def test_a_lost_frame_meets_no_other_fault() -> None:
    assert set(fates(Odds(1.0, 1.0, 1.0, 1.0), 100)) == {Fate(lost=True)}


def test_the_fractions_are_uniform() -> None:
    drawn = fates(Odds(0.0, 0.25, 0.0, 0.25), 40_000)
    for values in (
        [fate.late for fate in drawn],
        [fate.hold for fate in drawn if fate.reordered],
        [fate.spot for fate in drawn if fate.corrupted],
    ):
        assert 0 <= min(values) < 0.01
        assert 0.99 < max(values) < 1
        assert abs(sum(values) / len(values) - 0.5) < 0.01


def test_a_fate_is_named_for_all_that_applies() -> None:
    assert str(Fate()) == ""
    assert str(Fate(lost=True)) == "lost"
    assert str(Fate(duplicated=True, corrupted=True, reordered=True)) == "duplicated, corrupted, reordered"


@pytest.mark.parametrize("spot", [0.0, 0.123, 0.5, 0.999, 1 - 2**-53])
def test_flip_bit_flips_exactly_one_bit_where_it_is_told(spot: float) -> None:
    frame = random.Random(1).randbytes(97)
    difference = int.from_bytes(frame, "big") ^ int.from_bytes(flip_bit(frame, spot), "big")
    assert difference.bit_count() == 1
    assert 97 * 8 - difference.bit_length() == int(spot * 97 * 8)


def test_flip_bit_leaves_nothing_as_it_is() -> None:
    assert flip_bit(b"", 0.5) == b""


@pytest.mark.parametrize(
    ("check", "value", "message"),
    [
        (faults.probability, 3, "x must be between 0 and 1, not 3"),
        (faults.probability, -0.1, "x must be between 0 and 1, not -0.1"),
        (faults.probability, math.nan, "x must be between 0 and 1, not nan"),
        (faults.probability, "0.5", "x must be between 0 and 1, not '0.5'"),
        (faults.seconds, -1, "x must be seconds, 0 or more, not -1"),
        (faults.seconds, math.inf, "x must be seconds, 0 or more, not inf"),
        (faults.bit_rate, 0, "x must be in bits per second, above 0, or None, not 0"),
        (faults.bit_rate, math.inf, "x must be in bits per second, above 0, or None, not inf"),
        (faults.queue_octets, -1, "x must be a whole number of bytes, 0 or more, or None, not -1"),
        (faults.queue_octets, 1.5, "x must be a whole number of bytes, 0 or more, or None, not 1.5"),
        (faults.mtu_octets, 67, "x must be a whole number between 68 and 65535, not 67"),
        (faults.mtu_octets, 65536, "x must be a whole number between 68 and 65535, not 65536"),
        (faults.truth, 1, "x must be True or False, not 1"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    check: Callable[[str, object], object], value: object, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        check("x", value)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (faults.probability, [0, 1, 0.5]),
        (faults.seconds, [0, 0.02, 3600]),
        (faults.bit_rate, [None, 0.5, 10**11]),
        (faults.queue_octets, [None, 0, 1 << 30]),
        (faults.mtu_octets, [68, 1500, 65535]),
        (faults.truth, [True, False]),
    ],
)
def test_what_makes_sense_comes_back(check: Callable[[str, object], object], values: list[object]) -> None:
    assert [check("x", value) for value in values] == values
