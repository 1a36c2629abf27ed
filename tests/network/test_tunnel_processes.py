"""A tunnel between two processes: what is moved arrives whole, and one may be killed; tests/soak has more of it."""

from __future__ import annotations

import asyncio

import pytest

from aionetflow.tunnel.sealing.key import generate_key
from support.build import PURE
from support.far import CALL, GIVE, TAKE, Far, move, two_processes, unending
from support.loops import seconds

pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(PURE, reason="half a minute of processes that start: on the compiled build alone"),
]
KEYS = [None, generate_key()]
SIZE = 4 << 20
PATIENCE = 60.0  # s
AGAIN = 5.0  # s; within which a new connection to who is back has done its work
with_and_without_a_key = pytest.mark.parametrize("key", KEYS, ids=["plain", "with a key"])


@with_and_without_a_key
@pytest.mark.parametrize("job", [TAKE, GIVE, CALL], ids=["there", "back", "called for"])
async def test_what_is_moved_between_processes_arrives_whole(key: str | None, job: int) -> None:
    async with asyncio.timeout(PATIENCE), two_processes(key):
        moved = await move("far", job, SIZE)
        assert moved.here == moved.there


@with_and_without_a_key
@pytest.mark.parametrize("job", [TAKE, GIVE], ids=["there", "back"])
async def test_who_is_killed_and_comes_back_is_spoken_to_as_before(key: str | None, job: int) -> None:
    async with asyncio.timeout(PATIENCE), two_processes(key) as far:
        transfer = await unending("far", job, SIZE)
        await far.kill()
        await far.start()
        await speak(far)
        if job == TAKE:  # what is sent again is answered by a reset
            with pytest.raises(ConnectionResetError):
                await transfer
        else:  # who only reads hears nothing
            assert not transfer.done()
            transfer.cancel()
            await asyncio.wait([transfer])


async def speak(far: Far) -> None:
    """Both begin connections, and octets are moved each way."""
    began = seconds()
    for job in (TAKE, GIVE, CALL):
        moved = await move("far", job, 100_000)
        assert moved.here == moved.there
    assert seconds() - began < AGAIN
    assert [peer.address for peer in far.tunnel.peers] == [far.address]
