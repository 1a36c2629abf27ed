"""A path that drops what is too long for it and tells nobody: tcp_mtu_probing finds out all the same (RFC 4821)."""

from __future__ import annotations

import asyncio

import pytest

import aionetflow as anf
from aionetflow import Host, Network
from aionetflow.socket.options import IPPROTO_TCP, TCP_MAXSEG
from support.loops import in_virtual_time, seconds
from support.talk import connected, pattern, read_exactly

SIZE = 1_000_000
MTU = 1300  # octets, between the switches
LONGEST = MTU - 52  # octets of data: headers with timestamps take the rest
THRESHOLD = 8  # net.ipv4.tcp_probe_threshold


def black_hole(net: Network) -> tuple[Host, Host]:
    """Two hosts with two switches between them; the link between these takes less, and a switch tells nobody."""
    near, far, s1, s2 = net.host("near"), net.host("far"), net.switch("s1"), net.switch("s2")
    net.link(near, s1, delay=0.002)
    net.link(s1, s2, delay=0.01, mtu=MTU)
    net.link(s2, far, delay=0.002)
    return near, far


async def transfer(probing: int, size: int = SIZE) -> tuple[float, int, Host]:
    """That many octets through such a path: how long it took, the segment size at the end, and who sent."""
    async with Network(seed=4) as net:
        near, far = black_hole(net)
        near.sysctl["net.ipv4.tcp_mtu_probing"] = probing
        sock, peer = await connected(near, far)
        start = seconds()
        async with asyncio.timeout(60):
            _, data = await asyncio.gather(sock.write(pattern(size)), read_exactly(peer, size))
        assert data == pattern(size)
        took = seconds() - start
        mss = await sock.getsockopt(IPPROTO_TCP, TCP_MAXSEG)
        assert isinstance(mss, int)
        await sock.close()
        await peer.close()
        return took, mss, near


@in_virtual_time
async def test_one_that_always_probes_finds_the_longest() -> None:
    took, mss, near = await transfer(2)
    assert LONGEST - THRESHOLD < mss <= LONGEST
    assert took < 2
    stats = near.stats.tcp
    assert stats.TCPMTUPSuccess >= 2
    assert stats.TCPMTUPFail >= 3
    assert stats.TCPTimeouts == 0


@in_virtual_time
async def test_one_that_falls_into_the_hole_gets_out_and_finds_the_longest() -> None:
    took, mss, near = await transfer(1)
    assert LONGEST - THRESHOLD < mss <= LONGEST
    assert 3 < took < 8
    assert near.stats.tcp.TCPTimeouts >= 3


@in_virtual_time
async def test_one_that_does_neither_stays_in_it() -> None:
    with pytest.raises(TimeoutError):
        await transfer(0)


def test_the_search_is_the_same_in_every_run() -> None:
    first, second = (anf.run(transfer(2), time="virtual") for _ in range(2))
    assert first[:2] == second[:2]
    assert first[2].stats.tcp.OutSegs == second[2].stats.tcp.OutSegs
