"""One test for each defect of the IP layer and of hosts that a review or an attack has found."""

from __future__ import annotations

from random import Random

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Raw

from aionetflow.clock import ManualClock
from aionetflow.ip.address import pack
from aionetflow.network.network import Network
from aionetflow.stack import Stack
from support.lan import ISS, raw_host
from support.lan6 import frame6, knowing, own_link_local, tcp6
from support.rules import rule


def router_without_an_address() -> Stack:
    stack = Stack(ManualClock(), Random(1))
    stack.ip.forwarding = True
    stack.routes.add("default", interface=stack.attach_raw("tun0"))
    return stack


def test_a_host_without_an_address_sends_no_errors() -> None:
    stack = router_without_an_address()
    nic = stack.interfaces[1]
    nic.receive([bytes(IP(src="8.8.8.8", dst="10.7.0.1", ttl=1) / Raw(b"x" * 8))])
    assert nic.sent == []
    assert stack.stats.icmp.OutErrors == 1


@rule("RFC 1122 3.2.2", "No error is sent about a fragment that is not the first", code="ip/icmp.py")
@pytest.mark.parametrize(("offset", "errors"), [(0, 1), (5, 0)])
def test_errors_are_about_first_fragments_only(offset: int, errors: int) -> None:
    host = raw_host()
    host.stack.ip.forwarding = True
    nic = host.wire.interface
    nic.receive([bytes(IP(src="10.0.0.2", dst="10.7.0.1", ttl=1, frag=offset) / Raw(b"x" * 8))])
    assert len(nic.sent) == errors


def test_the_network_stays_when_the_first_of_two_addresses_goes() -> None:
    stack = Stack(ManualClock(), Random(1))
    nic = stack.attach_raw("tun0")
    stack.add_address(nic, "10.0.0.1/24")
    stack.add_address(nic, "10.0.0.9/24")
    stack.remove_address(nic, "10.0.0.1/24")
    route = stack.routes.lookup(pack("10.0.0.5"))
    assert route is not None
    assert route.source == pack("10.0.0.9")


def test_an_address_given_twice_is_told_every_time() -> None:
    net = Network(seed=1, clock=ManualClock())
    a, b = net.host("a", "10.9.0.1/24"), net.host("b", "10.9.0.1/24")
    net.link(a, b)
    for _ in range(2):
        with pytest.raises(ValueError, match="share a link"):
            _ = a.addresses


def test_the_interfaces_hear_of_a_new_mtu_of_their_link() -> None:
    net = Network(seed=1, clock=ManualClock())
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b)
    link.a_to_b.mtu = 700
    assert (a.interfaces[0].mtu, b.interfaces[0].mtu) == (700, 1500)


def test_a_connection_from_a_global_address_to_a_link_local_one_carries_data() -> None:
    host = knowing()
    server = tcp6(host)
    server.bind(("::", 80))
    server.listen(1)
    fields = {"dst": own_link_local(1)}
    (syn_ack,) = host.wire.hears(frame6(**fields) / TCP(sport=4000, dport=80, flags="S", seq=ISS))
    reply = {"sport": 4000, "dport": 80, "seq": (ISS + 1) & 0xFFFFFFFF, "ack": (syn_ack[TCP].seq + 1) & 0xFFFFFFFF}
    host.wire.hears(frame6(**fields) / TCP(flags="A", **reply))
    host.wire.hears(frame6(**fields) / TCP(flags="PA", **reply) / b"hello")
    assert server.accept()[0].recv(9) == b"hello"
