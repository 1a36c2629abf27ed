"""Segments that networks of several processes share: who is who follows from names, in each process by itself."""

from __future__ import annotations

import subprocess
import sys
from ipaddress import ip_address, ip_network

import pytest

from aionetflow import Host, Network
from aionetflow.clock import ManualClock
from aionetflow.network.shared import Identity
from aionetflow.network.topology import Family
from support.joined import Half, join

WEB = "b2:d5:f0:f7:4e:92"


def network(seed: int = 1) -> Network:
    return Network(seed, clock=ManualClock())


def shared(seed: int = 1) -> Network:
    net = network(seed)
    Half(net, net.lan)
    return net


def mac(host: Host) -> str:
    return host.interfaces[0].mac.hex(":")


def test_a_host_has_the_same_mac_and_addresses_in_every_network_whatever_was_made_before() -> None:
    one, other = shared(1), shared(2)
    one.host("first")
    one.router("second")
    web, again = one.host("web"), other.host("Web")
    assert mac(web) == mac(again) == WEB
    assert web.addresses == again.addresses
    assert web.addresses6 == again.addresses6
    assert ip_address(web.addresses[0]) in ip_network("10.0.0.0/16")
    assert ip_address(web.addresses6[0]) in ip_network("fd61:696f:6e66::/64")


def test_another_process_comes_to_the_same_mac() -> None:
    code = "from aionetflow.network.shared import Identity; print(Identity('web', 0).mac.hex(':'))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.strip() == WEB


def test_every_localhost_is_another() -> None:
    one, other = shared().localhost, shared().localhost
    assert mac(one) != mac(other)
    assert one.addresses != other.addresses
    assert one.addresses6 != other.addresses6
    assert one.interfaces[0].link_local != other.interfaces[0].link_local


def test_macs_are_unicast_and_locally_administered_and_each_interface_has_its_own() -> None:
    macs = {Identity(f"host{i}", number).mac for i in range(200) for number in range(3)}
    assert len(macs) == 600
    assert {octets[0] & 3 for octets in macs} == {2}


def test_the_link_local_address_goes_with_the_mac() -> None:
    net = network()
    web = net.host("web")
    net.link(web, net.lan)
    before = web.bare_stack.interfaces[1].link_local
    Half(net, net.lan)
    nic = web.interfaces[0]
    assert nic.link_local != before
    assert nic.link_local[8:].hex(":") == "b0:d5:f0:ff:fe:f7:4e:92"
    assert web.stack.owns(nic.link_local)
    assert not web.stack.owns(before)


def test_hosts_that_were_linked_before_and_hosts_made_later_are_named_alike() -> None:
    net = network()
    net.link(net.host("web"), net.lan)
    Half(net, net.lan)
    assert mac(net.hosts[1]) == WEB
    later = net.host("later")
    assert later.interfaces[0].mac == Identity("later", 0).mac


def test_addresses_given_by_hand_stay() -> None:
    net = shared()
    web, far = net.host("web", "10.0.0.5/16", "2001:db8::5/64"), net.host("far", "192.168.7.1/24")
    assert (web.addresses, web.addresses6) == (["10.0.0.5"], ["2001:db8::5"])
    assert far.addresses == ["192.168.7.1"]
    assert far.addresses6 != []


def test_who_finds_an_address_taken_gets_the_next_free_one() -> None:
    taken = shared().host("web").addresses[0]
    net = shared()
    net.host("squatter", f"{taken}/16")
    assert net.host("web").addresses == [str(ip_address(taken) + 1)]


def test_a_full_network_says_so() -> None:
    family = Family(4, [ip_network("10.0.0.0/30")], {int(ip_address("10.0.0.1"))})
    assert family.address_near(7) == "10.0.0.2/30"
    with pytest.raises(ValueError, match=r"no free address left in 10\.0\.0\.0/30"):
        family.address_near(7)


def test_a_shared_switch_has_the_network_of_its_vni_in_every_process() -> None:
    nets = network(1), network(2)
    nets[0].link(nets[0].host("a"), nets[0].host("b"))  # which takes the first network of links
    for net, name in zip(nets, ("web", "client"), strict=True):
        net.link(net.host(name), net.switch("dmz"))
    join(*nets, "dmz")
    web, client = nets[0].hosts[-1], nets[1].hosts[-1]
    segment = ip_network("10.66.160.0/20")
    assert ip_address(web.addresses[0]) in segment
    assert ip_address(client.addresses[0]) in segment
    assert web.interfaces[0].addresses[1].address[:8] == client.interfaces[0].addresses[1].address[:8]


def test_what_is_not_shared_is_as_ever() -> None:
    net = network()
    a, b = net.host("a"), net.host("b")
    net.link(a, b)
    Half(net, net.lan)
    plain = network()
    net.settle()
    assert (mac(a), a.addresses) == ("02:00:00:02:00:00", ["10.128.0.1"])
    assert plain.host("c").addresses == ["10.0.0.2"]
    assert not plain.shared


def test_addresses_that_nobody_has_used_yet_are_given_anew() -> None:
    net = network()
    web = net.host("web")
    assert web.addresses == ["10.0.0.2"]
    Half(net, net.lan)
    assert web.addresses == shared().host("web").addresses
    assert web.addresses6 == shared().host("web").addresses6
    assert [route for route in web.stack.routes if route.source == bytes((10, 0, 0, 2))] == []


def test_a_segment_in_use_cannot_be_shared_any_more() -> None:
    net = network()
    web, other = net.host("web"), net.switch("other")
    sock = web.socket()
    sock.bind(("10.0.0.2", 80))
    with pytest.raises(RuntimeError, match="eth0 of 'web' is in use: share its segment before that"):
        Half(net, net.lan)
    assert not net.shared
    Half(net, other)  # nobody is on that one
    sock.close()
    Half(net, net.lan)
    assert mac(web) == WEB


def test_a_segment_in_use_cannot_be_linked_to_a_shared_one() -> None:
    net = network()
    a, b, office = net.host("a"), net.host("b"), net.switch("office")
    net.link(a, office)
    net.link(b, office)
    sock = a.socket(kind=2)
    sock.sendto(b"", (b.addresses[0], 9))  # type: ignore[attr-defined]
    Half(net, net.lan)
    net.link(office, net.lan)
    with pytest.raises(RuntimeError, match="eth0 of 'a' is in use"):
        net.settle()


def test_a_second_tunnel_on_a_segment_is_no_news() -> None:
    net = shared()
    web = net.host("web")
    assert mac(web) == WEB
    Half(net, net.lan)
    assert mac(web) == WEB
