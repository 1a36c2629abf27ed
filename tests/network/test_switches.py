"""Switches: they learn, age and flood, and change nothing."""

from __future__ import annotations

import pytest

from aionetflow import Network, Switch
from aionetflow.clock import ManualClock
from aionetflow.network.switch import AGEING_TIME
from support.reach import path, reaches

SECOND = 1_000_000_000


def lan(count: int) -> tuple[Network, ManualClock, Switch]:
    """A switch with so many hosts, whose announcements are over but heard by nobody."""
    clock = ManualClock()
    net = Network(1, clock=clock)
    switch = net.switch("office")
    for i in range(1, count + 1):
        net.link(net.host(f"h{i}", f"10.1.0.{i}/24"), switch)
    return net, clock, switch


def text(net: Network, name: str) -> str:
    return net.nodes[name].interfaces[0].mac.hex(":")  # type: ignore[union-attr]


def announce_all(net: Network) -> None:
    """Every interface goes up anew, and says so."""
    for host in net.hosts:
        for nic in host.interfaces:
            host.stack.set_up(nic, True)


def test_it_learns_from_what_it_hears() -> None:
    net, clock, switch = lan(4)
    assert switch.table() == {}
    net.settle()
    clock.run()
    assert switch.table() == {}  # addresses that nobody else can have are given without a word
    announce_all(net)
    clock.run()
    assert switch.table() == {text(net, f"h{i}"): i for i in range(1, 5)}
    assert repr(switch) == "<Switch office, 4 ports>"


def test_what_is_for_one_goes_to_one_port_and_what_is_for_all_to_all_others() -> None:
    net, clock, switch = lan(4)
    net.settle()
    clock.run()
    hosts = [host for host in net.hosts if host is not net.localhost]
    before = [host.interfaces[0].rx_packets for host in hosts]
    flooded = switch.flooded
    assert path(hosts[0], "10.1.0.3", 1.0)
    heard = [host.interfaces[0].rx_packets - count for host, count in zip(hosts, before, strict=True)]
    assert heard == [2, 1, 2, 1]  # the ARP request reaches all; its answer and the datagrams one each
    assert switch.flooded == flooded + 1


def test_what_it_learned_is_forgotten_after_five_minutes() -> None:
    net, clock, switch = lan(3)
    net.settle()
    announce_all(net)
    clock.run()
    clock.advance_to(AGEING_TIME - 1)
    assert len(switch.table()) == 3
    clock.advance_to(AGEING_TIME)
    assert switch.table() == {}
    assert AGEING_TIME == 300 * SECOND


def test_a_host_that_moves_is_found_at_its_new_port() -> None:
    net, clock, switch = lan(2)
    first, second = net.hosts[1], net.hosts[2]
    assert reaches(first, "10.1.0.2")
    (nic,) = second.interfaces
    net.link(second, switch)
    old, new = net.links[1], net.links[-1]
    old.up = False
    assert switch.table()[nic.mac.hex(":")] == 2
    old.b.detach()
    # the same interface, plugged into another port
    moved = second.interfaces[1]
    new.a.detach()
    old.a.detach()
    nic.link = new.a
    new.a.attach(nic)
    moved.link = None
    nic.announce(clock.now())
    second.stack.run()
    clock.run()
    assert switch.table()[nic.mac.hex(":")] == 3


def test_frames_pass_unchanged() -> None:
    net, clock, _ = lan(2)
    entered: list[bytes] = []
    left: list[bytes] = []
    first, second = net.links
    first.tap(lambda now, channel, frame, fate: entered.append(frame) if channel is first.a_to_b else None)
    second.tap(lambda now, channel, frame, fate: left.append(frame) if channel is second.b_to_a else None)
    assert reaches(net.hosts[1], "10.1.0.2")
    clock.run()
    assert entered == left != []


def test_a_frame_too_short_to_have_addresses_is_dropped() -> None:
    _, clock, switch = lan(2)
    switch.forward(switch.ports[0], [b"", bytes(13)])
    clock.run()
    assert (switch.flooded, switch.table()) == (0, {})


@pytest.mark.parametrize("source", ["ffffffffffff", "010000000001"])
def test_a_group_address_is_not_learned(source: str) -> None:
    _, clock, switch = lan(2)
    switch.forward(switch.ports[0], [bytes(6) + bytes.fromhex(source) + bytes(50)])
    clock.run()
    assert switch.table() == {}


def test_the_table_is_bounded() -> None:
    _, clock, switch = lan(2)
    frames = [b"\xff" * 6 + b"\x02" + i.to_bytes(5, "big") + bytes(50) for i in range(8300)]
    switch.forward(switch.ports[0], frames)
    assert len(switch.table()) == 8192
    clock.advance(301)
    switch.forward(switch.ports[0], frames[-5:])
    assert len(switch.table()) <= 8192


def test_two_switches_and_a_host_on_each_port() -> None:
    clock = ManualClock()
    net = Network(1, clock=clock)
    first, second = net.switch("first"), net.switch("second")
    net.link(first, second)
    hosts = [net.host(f"h{i}") for i in range(4)]
    for i, host in enumerate(hosts):
        net.link(host, (first, second)[i % 2])
    for a in hosts:
        for b in hosts:
            if a is not b:
                assert reaches(a, b.addresses[0])
    assert len(first.table()) == len(second.table()) == 4
