"""A million hostile datagrams for a tunnel: nothing gets in, memory stays flat, what is carried arrives whole."""

from __future__ import annotations

import pytest
from tunnel.test_siege import KEY, KINDS

from support.hostile import besiege

MILLION = 1_000_000
MIB = 1 << 20


@pytest.mark.soak
@pytest.mark.parametrize("key", [KEY, None], ids=["with a key", "plain"])
async def test_a_million_hostile_datagrams(key: str | None) -> None:
    siege = await besiege(MILLION, 1, key, KINDS)
    print(siege)
    assert siege.carried > 100
    assert siege.strange == 0
    assert siege.grown < 4 * MIB
