"""SO_MAX_PACING_RATE on a link: the rate that was asked for is what arrives, evenly, and in every run the same."""

from __future__ import annotations

import asyncio

import pytest

import aionetflow as anf
from aionetflow import Network
from aionetflow.socket.options import SO_MAX_PACING_RATE, SOL_SOCKET
from support.loops import in_virtual_time, seconds
from support.talk import connected, pattern, read_exactly

SIZE = 1_200_000
SECOND = 1_000_000_000


async def transfer(pace: int, **link: float) -> tuple[float, list[tuple[int, int]]]:
    """SIZE octets from one host to another: the time it took, and each frame on the link as (when, how long)."""
    async with Network(seed=5) as net:
        near, far = net.host("near", "10.1.0.1/24"), net.host("far", "10.1.0.2/24")
        wire = net.link(near, far, **link)  # type: ignore[arg-type]
        frames: list[tuple[int, int]] = []
        sock, peer = await connected(near, far)
        await sock.setsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, pace)
        wire.tap(lambda now, channel, frame, fate: frames.append((now, len(frame))) if len(frame) > 100 else None)
        start = seconds()
        writing = asyncio.create_task(sock.write(pattern(SIZE)))
        assert await read_exactly(peer, SIZE) == pattern(SIZE)
        await writing
        took = seconds() - start
        await sock.close()
        await peer.close()
        return took, frames


@in_virtual_time
@pytest.mark.parametrize("rate", [125_000, 1_000_000])
async def test_the_rate_is_kept(rate: int) -> None:
    took, _ = await transfer(rate, delay=0.02, rate=1e9)
    assert SIZE / (took - 0.02) == pytest.approx(rate, rel=0.03)


@in_virtual_time
async def test_data_leave_evenly() -> None:
    """In no tenth of a second, after the first ten segments, is there more or less than its share."""
    _, frames = await transfer(1_000_000, delay=0.02, rate=1e9)
    start = frames[10][0] + SECOND // 2
    for number in range(6):
        first = start + number * SECOND // 10
        octets = sum(length - 66 for when, length in frames if first <= when < first + SECOND // 10)
        assert octets == pytest.approx(100_000, abs=2 * 1448)


@in_virtual_time
async def test_a_lossy_link_gets_no_more_than_the_rate() -> None:
    took, _ = await transfer(500_000, delay=0.01, rate=1e8, loss=0.01)
    assert took >= SIZE / 500_000 * 0.99
    assert took <= SIZE / 500_000 * 1.15


def test_the_same_seed_gives_the_same_departures() -> None:
    first, second = (anf.run(transfer(800_000, delay=0.02, loss=0.02), time="virtual") for _ in range(2))
    assert first == second
