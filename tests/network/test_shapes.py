"""Addresses and routes that nobody gave: everybody reaches everybody, by the fewest routers, on every shape."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise, permutations

import pytest

from aionetflow import Host, Network, Router
from aionetflow.clock import ManualClock
from support.loops import in_virtual_time
from support.reach import hops, path, reaches
from support.talk import datagram


def world() -> Network:
    return Network(1, clock=ManualClock())


def line(net: Network) -> None:
    """a - r0 - r1 - r2 - b"""
    routers = [net.router(f"r{i}") for i in range(3)]
    net.link(net.host("a"), routers[0])
    for first, second in pairwise(routers):
        net.link(first, second)
    net.link(routers[-1], net.host("b"))


def star(net: Network) -> None:
    """Five hosts around a router."""
    hub = net.router("hub")
    for i in range(5):
        net.link(net.host(f"h{i}"), hub)


def ring(net: Network) -> None:
    """Five routers in a ring, a host at each."""
    routers = [net.router(f"r{i}") for i in range(5)]
    for i, router in enumerate(routers):
        net.link(router, routers[(i + 1) % 5])
        net.link(router, net.host(f"h{i}"))


def tree(net: Network) -> None:
    """A router, two below it, a host at each of the four leaves."""
    root = net.router("root")
    for i in range(2):
        branch = net.router(f"branch{i}")
        net.link(root, branch)
        for j in range(2):
            net.link(branch, net.host(f"h{i}{j}"))


def two_lans(net: Network) -> None:
    """Two switches with three hosts each, and a router between."""
    router = net.router("between")
    for i in range(2):
        switch = net.switch(f"lan{i}")
        net.link(switch, router)
        for j in range(3):
            net.link(net.host(f"h{i}{j}"), switch)


def cascaded_switches(net: Network) -> None:
    """Three switches in a row are one LAN."""
    switches = [net.switch(f"s{i}") for i in range(3)]
    net.link(switches[0], switches[1])
    net.link(switches[1], switches[2])
    for i, switch in enumerate(switches):
        net.link(net.host(f"h{i}"), switch)


def mesh(net: Network) -> None:
    """Six routers at random, joined in a random tree with some links more; a host at each."""
    draws = random.Random(5)
    routers = [net.router(f"r{i}") for i in range(6)]
    for i in range(1, 6):
        net.link(routers[i], routers[draws.randrange(i)])
    net.link(routers[0], routers[5])
    for i, router in enumerate(routers):
        net.link(net.host(f"h{i}"), router)


SHAPES: list[Callable[[Network], None]] = [line, star, ring, tree, two_lans, cascaded_switches, mesh]


@pytest.mark.parametrize("shape", SHAPES)
def test_everybody_reaches_all_addresses_of_everybody(shape: Callable[[Network], None]) -> None:
    net = world()
    shape(net)
    ends = [host for host in net.hosts if host is not net.localhost and not isinstance(host, Router)]
    routers = [host for host in net.hosts if isinstance(host, Router)]
    pairs = list(permutations(ends, 2))
    for a, b in random.Random(1).sample(pairs, min(len(pairs), 8)):
        for address in b.addresses:
            assert reaches(a, address), f"{a} -> {b}"
    for router in routers[:3]:
        for address in router.addresses:
            assert reaches(ends[0], address)
        assert reaches(router, ends[-1].addresses[0])
    networks = [(nic.addresses[0].address, nic.addresses[0].prefix_length) for h in net.hosts for nic in h.interfaces]
    assert len(set(networks)) == len(networks)


@pytest.mark.parametrize(
    ("shape", "source", "target", "expected"),
    [
        (line, "a", "b", 3), (line, "b", "a", 3), (star, "h0", "h4", 1), (ring, "h0", "h1", 2), (ring, "h0", "h2", 3),
        (ring, "h0", "h3", 3), (ring, "h0", "h4", 2), (tree, "h00", "h01", 1), (tree, "h00", "h11", 3),
        (two_lans, "h00", "h01", 0), (two_lans, "h00", "h12", 1), (cascaded_switches, "h0", "h2", 0),
    ],
)  # fmt: skip
def test_the_way_is_the_one_over_the_fewest_routers(
    shape: Callable[[Network], None], source: str, target: str, expected: int
) -> None:
    net = world()
    shape(net)
    a, b = net.nodes[source], net.nodes[target]
    assert isinstance(a, Host)
    assert isinstance(b, Host)
    assert hops(a, b.addresses[0]) == expected


def test_hosts_have_a_default_route_and_routers_know_every_network() -> None:
    net = world()
    line(net)
    a, middle = net.hosts[4], net.hosts[2]
    assert a.name == "a"
    ways = [str(route).split(" dev")[0] for route in a.routes if route.via]
    assert ways == ["default via 10.128.0.2", "default via fe80::ff:fe02:0"]
    assert sum(route.prefix_length == 29 for route in middle.routes) == 4
    assert sum(str(route).startswith("fd61:696f:6e66") and route.prefix_length == 64 for route in middle.routes) == 4
    assert not any(route.prefix_length == 0 for route in middle.routes)


def two_homes() -> tuple[Network, Host, Host, Host]:
    """A host on two links: to one neighbour on each, and behind the second a router to a third."""
    net = world()
    host, left = net.host("host", "10.1.0.9/24", "10.2.0.9/24"), net.host("left", "10.1.0.1/24")
    router, far = net.router("router", "10.2.0.1/24", "10.3.0.1/24"), net.host("far", "10.3.0.2/24")
    net.link(host, left)
    net.link(host, router)
    net.link(router, far)
    return net, host, left, far


def test_the_source_address_is_that_of_the_route() -> None:
    _, host, left, far = two_homes()
    assert path(host, left.addresses[0]) == ("10.1.0.9", 64)
    assert path(host, far.addresses[0]) == ("10.2.0.9", 63)
    assert reaches(far, "10.2.0.9")


def test_a_route_by_hand_chooses_the_source_address() -> None:
    _, host, _, far = two_homes()
    host.routes.add("10.3.0.0/24", via="10.2.0.1", source="10.1.0.9", metric=0)
    assert "10.3.0.0/24 via 10.2.0.1 dev eth1 src 10.1.0.9" in [str(route) for route in host.routes]
    host.socket()
    assert path(host, far.addresses[0]) is None  # the answer to 10.1.0.9 finds no way back
    router = host.network.nodes["router"]
    assert isinstance(router, Router)
    router.routes.add("10.1.0.0/24", via="10.2.0.9")
    assert path(host, far.addresses[0]) == ("10.1.0.9", 63)


def test_a_route_by_hand_goes_another_way_and_stays_when_the_network_grows() -> None:
    net = world()
    ring(net)
    h0, h2, r0 = (net.nodes[name] for name in ("h0", "h2", "r0"))
    assert isinstance(h0, Host)
    assert isinstance(h2, Host)
    assert isinstance(r0, Router)
    assert hops(h0, h2.addresses[0]) == 3
    by_r4 = net.nodes["r4"].addresses[1]  # type: ignore[union-attr]
    long_way = net.resolve("h2")[0] + "/32"
    r0.routes.add(long_way, via=by_r4)
    assert hops(h0, h2.addresses[0]) == 4
    net.link(net.host("new"), r0)
    assert hops(h0, h2.addresses[0]) == 4
    r0.routes.delete(long_way)
    assert hops(h0, h2.addresses[0]) == 3


def test_an_unreachable_route_by_hand_is_a_hole() -> None:
    net = world()
    line(net)
    a, b, r1 = net.nodes["a"], net.nodes["b"], net.nodes["r1"]
    assert isinstance(a, Host)
    assert isinstance(b, Host)
    assert isinstance(r1, Router)
    assert reaches(a, b.addresses[0])
    hole = b.addresses[0] + "/32"
    r1.routes.add(hole, interface=r1.interfaces[1], unreachable=True)
    assert not reaches(a, b.addresses[0])
    assert r1.stats.ip.OutNoRoutes > 0
    r1.routes.delete(hole)
    assert reaches(a, b.addresses[0])


def test_a_default_route_by_hand_is_obeyed() -> None:
    net = world()
    a, r, s = net.host("a", "10.1.0.5/24"), net.router("r", "10.1.0.1/24"), net.router("s", "10.1.0.2/24")
    lan = net.switch("office")
    for node in (a, r, s):
        net.link(node, lan)
    for router in (r, s):
        net.link(router, net.host(f"behind-{router.name}"))
    assert reaches(a, net.resolve("behind-r")[0])
    assert reaches(a, net.resolve("behind-s")[0])
    with pytest.raises(ValueError):
        a.routes.add("default", via="10.77.0.1")


def test_two_segments_may_share_no_address() -> None:
    net = world()
    star(net)
    two_lans(net)
    ring_addresses = [address for host in net.hosts for address in host.addresses]
    assert len(set(ring_addresses)) == len(ring_addresses)


def test_a_link_made_later_joins_two_islands() -> None:
    net = world()
    a, b, left, right = net.host("a"), net.host("b"), net.router("left"), net.router("right")
    net.link(a, left)
    net.link(right, b)
    assert not reaches(a, b.addresses[0])
    before = a.addresses, b.addresses
    net.link(left, right)
    assert hops(a, b.addresses[0]) == 2
    assert (a.addresses, b.addresses) == before


def test_a_shortcut_made_later_is_taken() -> None:
    net = world()
    ring(net)
    h0, h2 = net.nodes["h0"], net.nodes["h2"]
    assert isinstance(h0, Host)
    assert isinstance(h2, Host)
    assert hops(h0, h2.addresses[0]) == 3
    net.link(net.nodes["r0"], net.nodes["r2"])
    assert hops(h0, h2.addresses[0]) == 2


@in_virtual_time
async def test_sockets_there_are_use_links_and_hosts_that_come_later() -> None:
    async with Network(1) as net:
        a, b = net.host("a", "10.1.0.2/24"), net.host("b", "10.2.0.2/24")
        left, right = net.router("left", "10.1.0.1/24"), net.router("right", "10.2.0.1/24")
        net.link(a, left)
        net.link(right, b)
        here, there = await datagram(a), await datagram(b)
        await there.bind(("", 7))
        net.link(left, right)
        await here.sendto(b"hello", ("10.2.0.2", 7))  # a literal: no name is asked for
        assert (await there.recvfrom(10))[0] == b"hello"
        await here.close()
        await there.close()


@in_virtual_time
async def test_a_host_that_comes_later_answers() -> None:
    async with Network(1) as net:
        here = await datagram(net.host("a"))
        net.host("late", "10.0.5.5/16")
        await here.connect(("10.0.5.5", 7))
        await here.write(b"anybody?")
        with pytest.raises(ConnectionRefusedError):
            await here.read(10)
        await here.close()
