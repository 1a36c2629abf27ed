"""Whatever octets come, no reader of them raises anything; fuzz/parsers.py has the readers."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.hostile import Hostile
from fuzz.parsers import READERS, host, read

# Octets in which a length, a version or a kind is more often what a reader looks for.
WORDS = st.sampled_from((b"E", b"`", b"\0\x14", b"\2\4", b"\5\x0a", b"\x08\x0a", b"\6", b"\x11", b"\1", b"P"))
OCTETS = st.binary(max_size=120) | st.lists(WORDS | st.binary(max_size=8), max_size=24).map(b"".join)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@settings(max_examples=60)
@given(data=OCTETS)
def test_a_reader_survives_any_octets(reader: Callable[[bytes], None], data: bytes) -> None:
    reader(data)


def test_the_first_octet_chooses_the_reader() -> None:
    read(b"")
    for number in range(len(READERS)):
        read(bytes((number,)) + b"fd00::1")


@settings(max_examples=30)
@given(seed=st.integers(0, 1 << 32), cut=st.integers(0, 100))
def test_a_frame_cut_anywhere_is_survived(seed: int, cut: int) -> None:
    stack = host()
    frames = Hostile(Random(seed)).frames(20)
    stack.interfaces[1].receive([frame[: len(frame) - cut] for frame in frames])
    stack.interfaces[2].receive([frame[14 : len(frame) - cut] for frame in frames])
