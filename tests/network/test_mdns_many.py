"""Many hosts of one process on a shared segment: one speaks for all, so that the frames grow as the hosts do."""

from __future__ import annotations

import asyncio
import socket

import pytest
from scapy.layers.dns import DNS, DNSQR

import aionetflow as anf
from aionetflow import Network, Switch
from aionetflow.clock import ManualClock
from support.joined import Half, join
from support.loops import in_virtual_time

HOSTS = 200
GROUPS = (b"\x01\0\x5e\0\0\xfb", b"\x33\x33\0\0\0\xfb")


def told(half: Half) -> list[bytes]:
    """The frames of multicast DNS that have left by a tunnel."""
    return [frame for frame in half.frames if frame[:6] in GROUPS]


def pair(hosts: int) -> tuple[list[Network], Half, ManualClock]:
    """Two networks, joined, and hosts on the first; what is to be said at the start has been said."""
    clock = ManualClock()
    nets = [Network(1, clock=clock), Network(2, clock=clock)]
    half, _ = join(nets[0], nets[1])
    for i in range(hosts):
        nets[0].host(f"host{i}")
    clock.advance(5)
    return nets, half, clock


def frames(net: Network) -> int:
    """How many frames its hosts have sent and heard."""
    return sum(nic.rx_packets + nic.tx_packets for host in net.hosts for nic in host.interfaces)


def test_a_hundred_hosts_more_cost_each_host_a_few_frames_and_the_others_too() -> None:
    few, many = pair(HOSTS // 2), pair(HOSTS)
    assert len(told(many[1])) <= 2 * 2 * (HOSTS // 20 + 1)  # twice, in both families, twenty names a message
    assert len(many[1].frames) - len(few[1].frames) <= HOSTS // 4
    for nets, _, _ in (few, many):
        each = frames(nets[0]) / len(nets[0].hosts)
        assert each <= HOSTS // 4 + 20
    assert frames(many[0][1]) - frames(few[0][1]) <= HOSTS // 4


def test_nothing_is_said_when_nobody_asks() -> None:
    nets, half, clock = pair(HOSTS)
    before = len(half.frames), frames(nets[0]), frames(nets[1])
    clock.advance(3600)
    assert (len(half.frames), frames(nets[0]), frames(nets[1])) == before


def test_all_of_them_are_known_to_the_others() -> None:
    nets, _, _ = pair(HOSTS)
    for i in range(HOSTS):
        host = nets[0].nodes[f"host{i}"]
        assert nets[1].resolve_all(f"host{i}") == [*host.addresses, *host.addresses6]  # type: ignore[union-attr]


@in_virtual_time
async def test_all_of_them_take_their_leave_in_a_few_frames() -> None:
    async with Network(seed=1) as near, Network(seed=2) as far:
        half, _ = join(near, far)
        hosts = [near.host(f"host{i}") for i in range(HOSTS)]
        await asyncio.sleep(5)
        assert far.resolve("host7") == hosts[7].addresses
        half.frames.clear()
        near.close()
        assert len(told(half)) <= 2 * (HOSTS // 20 + 1)
        await asyncio.sleep(1.01)
        with pytest.raises(OSError, match="no host named"):
            far.resolve("host7")


@pytest.mark.parametrize("cut", ["the interface", "the link"])
@in_virtual_time
async def test_another_speaks_when_the_one_that_did_is_cut_off(cut: str) -> None:
    async with Network(seed=1) as near, Network(seed=2) as far:
        join(near, far)
        here, there = near.host("here"), far.host("there")
        await asyncio.sleep(5)
        if cut == "the link":
            near.links[-2].up = False
            assert near.links[-2].name == "localhost-lan"
        else:
            near.localhost.stack.set_up(near.localhost.interfaces[0], False)
        far.host("late")
        async with here:
            infos = await asyncio.get_running_loop().getaddrinfo("late", 80, family=socket.AF_INET)
            assert infos[0][4][0] == far.nodes["late"].addresses[0]  # type: ignore[union-attr]
        async with there:
            near.host("later")
            await asyncio.sleep(1)
            assert far.resolve("later") == near.nodes["later"].addresses  # type: ignore[union-attr]


@in_virtual_time
async def test_a_resolver_that_knows_of_no_multicast_dns_finds_each_of_them() -> None:
    async with Network(seed=1) as near, Network(seed=2) as far:
        join(near, far)
        hosts = [near.host(f"host{i}") for i in range(30)]
        await asyncio.sleep(5)
        async with far.localhost, await anf.socket(anf.AF_INET, anf.SOCK_DGRAM) as sock:
            own = socket.inet_aton(far.localhost.addresses[0])
            await sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, own)
            for host in hosts:
                question = DNS(id=7, rd=0, qd=[DNSQR(qname=f"{host.name}.local", qtype="A")])
                await anf.sendto(sock, bytes(question), ("224.0.0.251", 5353))
                data, source = await asyncio.wait_for(anf.recvfrom(sock, 1500), 1)
                answer = DNS(data)
                assert [record.rdata for record in answer.an] == host.addresses
                assert (source, answer.id) == ((near.localhost.addresses[0], 5353), 7)


@in_virtual_time
async def test_two_segments_that_become_one_have_one_who_speaks() -> None:
    async with Network(seed=1) as near, Network(seed=2) as far:
        half, _ = join(near, far)
        dmz = near.switch("dmz")
        near.link(near.host("inside"), dmz)
        Half(near, dmz)
        await asyncio.sleep(5)
        inside = near.nodes["inside"]
        with pytest.raises(OSError, match="no host named"):
            far.resolve("inside")
        near.link(dmz, near.lan)
        await asyncio.sleep(5)
        assert far.resolve("inside") == inside.addresses  # type: ignore[union-attr]
        half.frames.clear()
        async with far.localhost:
            await asyncio.get_running_loop().getaddrinfo("inside", 80)
        near.close()
        assert len(told(half)) == 2  # one goodbye in each family


@in_virtual_time
async def test_a_host_with_two_interfaces_on_a_segment_has_the_addresses_of_both() -> None:
    async with Network(seed=1) as near, Network(seed=2) as far:
        join(near, far)
        web = near.host("web")
        for _ in range(2):
            near.link(web, near.lan)
        await asyncio.sleep(5)
        assert isinstance(near.lan, Switch)
        assert sorted(far.resolve_all("web")) == sorted([*web.addresses, *web.addresses6])
        assert len(web.addresses) == 2
