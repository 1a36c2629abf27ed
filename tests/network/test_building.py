"""Names, addresses and interfaces: what a network hands out, and what it takes by hand."""

from __future__ import annotations

import errno
from ipaddress import IPv4Address, IPv4Network

import pytest

import aionetflow as anf
from aionetflow import Host, Network, Router, Switch
from aionetflow.clock import ManualClock
from support.loops import everywhere, turns
from support.reach import reaches


def world(seed: int | str | None = 1) -> Network:
    return Network(seed, clock=ManualClock())


def test_a_network_begins_with_localhost_on_a_lan() -> None:
    net = world()
    assert [host.name for host in net.hosts] == ["localhost"]
    assert list(net.nodes) == ["lan", "localhost"]
    assert net.localhost.addresses == ["10.0.0.1"]
    assert net.resolve("localhost") == ["127.0.0.1"]
    assert net.sockets() == []


@pytest.mark.parametrize("make", [Network.host, Network.router, Network.switch])
@pytest.mark.parametrize("taken", ["a", "r", "s", "localhost", "lan"])
def test_a_name_is_given_once(make: object, taken: str) -> None:
    net = world()
    net.host("a"), net.router("r"), net.switch("s")
    before = dict(net.nodes)
    with pytest.raises(ValueError, match=f"'{taken}'"):
        make(net, taken)  # type: ignore[operator]
    assert net.nodes == before


def test_names_that_differ_only_in_case_are_one_name() -> None:
    net = world()
    net.host("web")
    with pytest.raises(ValueError):
        net.host("WEB")


def test_kinds_of_nodes() -> None:
    net = world()
    host, router, switch = net.host("h"), net.router("r"), net.switch("s")
    assert (type(host), type(router), type(switch)) == (Host, Router, Switch)
    assert (host.stack.ip.forwarding, router.stack.ip.forwarding) == (False, True)
    assert net.hosts == [net.localhost, host, router]
    assert repr(router) == "<Router r>"
    assert repr(switch) == "<Switch s, 0 ports>"
    assert "3 hosts" in repr(net)


def test_localhost_has_addresses_of_both_families() -> None:
    net = Network(seed=1, clock=ManualClock())
    web = net.host("web")
    for name in ("localhost", "LocalHost", "localhost."):
        assert net.resolve_all(name) == ["127.0.0.1", "::1"]
    assert net.resolve_all("web") == [*web.addresses, *web.addresses6]
    assert net.resolve("web") == web.addresses
    for literal in ("::1", "10.9.8.7", "", "<broadcast>"):
        assert net.resolve_all(literal) == [literal]
    with pytest.raises(OSError, match="no host named 'nobody'") as failure:
        net.resolve_all("nobody")
    assert failure.value.errno == errno.ENETUNREACH


def test_names_are_resolved_without_case_and_with_a_final_dot() -> None:
    net = world()
    web = net.host("web.example")
    for name in ("web.example", "WEB.Example", "web.example."):
        assert net.resolve(name) == web.addresses
    assert net.resolve("10.9.8.7") == ["10.9.8.7"]
    for unknown in ("web", "example", "web.example.com", "lan"):
        with pytest.raises(OSError):
            net.resolve(unknown)


def test_a_name_of_several_interfaces_has_several_addresses() -> None:
    net = world()
    host, one, two = net.host("h"), net.host("one"), net.host("two")
    net.link(host, one)
    net.link(host, two)
    assert len(host.addresses) == 2
    assert net.resolve("h") == host.addresses


@pytest.mark.parametrize("bad", ["10.0.0.300", "nonsense", "10.0.0.1/33", "", "10.0.0.1/24/2"])
def test_an_address_that_is_none_makes_no_host(bad: str) -> None:
    net = world()
    with pytest.raises(ValueError):
        net.host("a", "10.1.1.1/24", bad)
    assert list(net.nodes) == ["lan", "localhost"]
    net.host("a", "10.1.1.1/24")


def test_addresses_by_hand_go_to_the_links_in_their_order() -> None:
    net = world()
    host = net.host("h", "10.1.0.5/24", "10.2.0.5/24")
    other, third = net.host("o"), net.host("t", "10.9.9.9/24")
    net.link(host, other)
    net.link(host, third)
    assert host.addresses == ["10.1.0.5", "10.2.0.5"]
    assert IPv4Address(other.addresses[0]) in IPv4Network("10.1.0.0/24")
    assert other.addresses != ["10.1.0.5"]


def test_more_addresses_than_links_all_find_their_place() -> None:
    net = world()
    host = net.host("h", "10.1.0.5/24", "10.1.0.6/24", "10.3.0.1/16")
    net.link(host, net.host("o"))
    assert host.addresses == ["10.1.0.5", "10.1.0.6", "10.3.0.1"]
    assert len(host.interfaces) == 1


def test_addresses_handed_out_avoid_those_given_by_hand() -> None:
    net = world()
    given = [net.host(f"g{i}", f"10.0.0.{i}/16") for i in range(2, 6)]
    free = [net.host(f"f{i}") for i in range(6)]
    addresses = [address for host in (net.localhost, *given, *free) for address in host.addresses]
    assert len(set(addresses)) == len(addresses) == 11
    for host in free:
        assert reaches(host, given[0].addresses[0])
        assert reaches(given[0], host.addresses[0])


def test_an_interface_knows_its_link() -> None:
    net = world()
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b, mtu=900)
    (nic,) = a.interfaces
    assert (nic.name, nic.mtu, nic.link) == ("eth0", 900, link.a)
    assert link.name == "a-b"
    macs = [nic.mac for host in net.hosts for nic in host.interfaces]
    assert len(set(macs)) == len(macs)
    assert all(mac[0] & 3 == 2 for mac in macs)  # locally administered, no group


def test_nodes_of_another_network_cannot_be_linked() -> None:
    net, other = world(), world()
    a, b = net.host("a"), other.host("b")
    for first, second in ((a, b), (b, a), (a, other.lan)):
        with pytest.raises(ValueError, match="not on this network"):
            net.link(first, second)
    assert net.links == []


@pytest.mark.parametrize(
    ("name", "value"), [("loss", 3), ("delay", -1), ("rate", 0), ("mtu", 0), ("queue", -5), ("jitter", -1)]
)
def test_a_setting_that_makes_no_sense_makes_no_link(name: str, value: float) -> None:
    net = world()
    a, b = net.host("a"), net.host("b")
    with pytest.raises(ValueError, match=name):
        net.link(a, b, **{name: value})  # type: ignore[arg-type]
    assert net.links == []
    assert a.bare_stack.interfaces == [a.bare_stack.lo]
    net.settle()
    assert len(a.interfaces) == 1


def test_a_host_without_a_link_is_on_the_lan_and_one_with_a_link_is_not() -> None:
    net = world()
    loose, linked, other = net.host("loose"), net.host("linked"), net.host("other")
    net.link(linked, other)
    assert loose.addresses == ["10.0.0.2"]
    assert not linked.addresses[0].startswith("10.0.")
    assert reaches(net.localhost, loose.addresses[0])
    assert not reaches(loose, linked.addresses[0])


def test_a_router_is_on_no_lan_unless_it_is_linked_to_it() -> None:
    net = world()
    alone, joined = net.router("alone"), net.router("joined")
    net.link(joined, net.lan)
    assert alone.addresses == []
    assert joined.addresses == ["10.0.0.2"] or joined.addresses == ["10.0.0.1"]


def test_two_hundred_hosts_on_the_lan() -> None:
    net = world()
    hosts = [net.host(f"h{i}") for i in range(200)]
    addresses = [host.addresses for host in hosts]
    assert len({address for (address,) in addresses}) == 200
    assert all(IPv4Address(address) in IPv4Network("10.0.0.0/16") for (address,) in addresses)
    for i in (0, 57, 199):
        assert reaches(hosts[i], hosts[(i * 7 + 3) % 200].addresses[0])


def test_a_hundred_links_have_networks_of_their_own() -> None:
    net = world()
    hub = net.router("hub")
    for i in range(100):
        net.link(hub, net.host(f"h{i}"))
    networks = {route.prefix for route in hub.routes if route.prefix_length == 29}
    assert len(networks) == 100


def test_one_clock_is_shared() -> None:
    clock = ManualClock()
    net = Network(1, clock=clock)
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b, delay=1)
    assert net.clock is clock is a.stack.clock is b.stack.clock
    assert reaches(a, b.addresses[0])
    assert link.a_to_b.delivered > 0
    assert clock.now() > 0


def test_a_seed_is_drawn_and_told_if_none_is_given() -> None:
    seeds = {Network(clock=ManualClock()).seed for _ in range(5)}
    assert len(seeds) > 1
    assert all(isinstance(seed, int) for seed in seeds)
    assert Network("text", clock=ManualClock()).seed == "text"


def test_without_a_loop_a_network_needs_a_clock() -> None:
    with pytest.raises(RuntimeError):
        Network(seed=1)


@everywhere
async def test_a_network_that_was_not_entered_can_be_used_by_its_hosts() -> None:
    net = Network(seed=1)
    a = net.host("a")
    async with a, await anf.socket() as sock:
        with pytest.raises(ConnectionRefusedError):
            await sock.connect((net.localhost.addresses[0], 80))
    net.close()


async def test_a_network_that_has_ended_gives_out_nothing() -> None:
    async with Network(seed=1) as net:
        host = net.host("a")
    with pytest.raises(RuntimeError, match="has ended"):
        host.socket()
    with pytest.raises(RuntimeError, match="has ended"):
        await net.__aenter__()


def test_hosts_join_the_lan_by_links_with_the_settings_of_that_moment() -> None:
    net = Network(seed=1, clock=ManualClock())
    net.lan_settings = {"delay": 0.5, "mtu": 600}
    first = net.host("first")
    net.settle()
    net.lan_settings = {}
    net.host("second")
    net.settle()
    assert {link.name: (link.delay, link.mtu) for link in net.links} == {
        "localhost-lan": (0.5, 600), "first-lan": (0.5, 600), "second-lan": (0.0, 1500),
    }  # fmt: skip
    assert [nic.mtu for nic in first.interfaces] == [600]


@everywhere
async def test_a_network_ends_though_the_tasks_of_its_hosts_have_ended_in_this_very_turn() -> None:
    async def work() -> None: ...

    async with Network(seed=1) as net:
        task = net.host("a").spawn(work())
        await turns(1)
        assert task.done()  # but its callbacks have not run: gather() of Python 3.12 does not wait for them
