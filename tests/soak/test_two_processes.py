"""A tunnel between two processes: a gibibyte each way, and one of them killed again and again."""

from __future__ import annotations

import asyncio
import time
from random import Random

import pytest

from aionetflow.tunnel.sealing.key import generate_key
from support.far import GIVE, TAKE, move, two_processes, unending
from support.loops import seconds

GIB = 1 << 30
KILLS = 10
PATIENCE = 600.0  # s
AGAIN = 5.0  # s; within which a new connection to who is back has done its work
with_and_without_a_key = pytest.mark.parametrize("key", [None, generate_key()], ids=["plain", "with a key"])


@pytest.mark.soak
@with_and_without_a_key
@pytest.mark.parametrize("job", [TAKE, GIVE], ids=["there", "back"])
async def test_a_gibibyte_arrives_whole(key: str | None, job: int) -> None:
    async with asyncio.timeout(PATIENCE), two_processes(key) as far:
        began, cpu = seconds(), time.process_time()
        moved = await move("far", job, GIB)
        took, cpu = seconds() - began, time.process_time() - cpu
        print(f"\n{8 * GIB / took / 1e9:.2f} Gbit/s, {100 * cpu / took:.0f} % of a CPU at this end; {far.tunnel.stats}")
        assert moved.here == moved.there


@pytest.mark.soak
@with_and_without_a_key
async def test_who_is_killed_again_and_again_is_spoken_to_as_before(key: str | None) -> None:
    draws = Random(1)
    async with asyncio.timeout(PATIENCE), two_processes(key) as far:
        for number in range(KILLS):
            job = TAKE if number % 2 else GIVE
            transfer = await unending("far", job, draws.randrange(16 << 20))
            await far.kill()
            await far.start()
            began = seconds()
            moved = await move("far", job, 1 << 20)
            assert moved.here == moved.there
            assert seconds() - began < AGAIN
            transfer.cancel()
            await asyncio.wait([transfer])
