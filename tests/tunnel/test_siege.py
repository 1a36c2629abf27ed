"""Hostile datagrams for a tunnel, from strangers and from somebody on the way; tests/soak has a million of them."""

from __future__ import annotations

import pytest

from aionetflow.tunnel.sealing.messages import INITIATION, RESPONSE, TRANSPORT
from support.hostile import besiege

KEY = "000102030405060708090a0b0c0d0e0ff0e0d0c0b0a090807060504030201000"
KINDS = (bytes([INITIATION]), bytes([RESPONSE]), bytes([TRANSPORT]), b"\x08")


async def test_nothing_gets_in_without_the_key() -> None:
    siege = await besiege(4000, 1, KEY, KINDS)
    assert siege.carried > 0
    assert siege.strange == 0
    stats = siege.stats
    for name in ("strangers", "altered", "replayed", "unknown_index", "old_initiation", "malformed", "unsealed"):
        assert stats[name] > 0, name


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_of_a_stranger_gets_in(seed: int) -> None:
    siege = await besiege(4000, seed, None)
    assert siege.carried > 0
    assert siege.strange == 0
    assert siege.stats["strangers"] > 1000
