"""Where packets go and where they come from: longest prefix, metrics, sources, holes (RFC 1122 3.3.1, 3.3.4)."""

from __future__ import annotations

import errno
import random
from ipaddress import IPv4Address, IPv4Network

import pytest
from scapy.layers.inet import IP, TCP

from aionetflow.config import ROUTE_CACHE_SIZE
from aionetflow.ip.address import pack
from aionetflow.ip.route import LOCAL, UNICAST
from aionetflow.socket.options import SO_BROADCAST, SOL_SOCKET
from support.lan import ISS, Host, datagram, ip, raw_host
from support.rules import rule


def two_wires() -> Host:
    """10.1.0.1/16 on the first wire, 10.2.0.1/16 on the second."""
    host = Host()
    host.raw("10.1.0.1/16")
    host.raw("10.2.0.1/16")
    return host


def leaves_by(host: Host, destination: str) -> tuple[int, str]:
    """Which wire a datagram to there takes, and the source it has."""
    host.udp().sendto(b"x", (destination, 9))
    found = [(n, packet[IP].src) for n, wire in enumerate(host.wires) for packet in wire.says()]
    assert len(found) == 1
    return found[0]


def refused(host: Host, destination: str) -> tuple[int, int]:
    """What connect() and sendto() say of a destination."""
    with pytest.raises(OSError) as stream:
        host.tcp().connect((destination, 80))
    with pytest.raises(OSError) as plain:
        host.udp().sendto(b"x", (destination, 9))
    assert [wire.says() for wire in host.wires] == [[]] * len(host.wires)
    return stream.value.errno or 0, plain.value.errno or 0


# ---- choosing


def test_each_network_is_reached_by_its_interface_from_its_address() -> None:
    host = two_wires()
    assert leaves_by(host, "10.1.7.7") == (0, "10.1.0.1")
    assert leaves_by(host, "10.2.7.7") == (1, "10.2.0.1")


def test_without_a_route_the_network_is_unreachable() -> None:
    assert refused(two_wires(), "192.0.2.7") == (errno.ENETUNREACH, errno.ENETUNREACH)


@rule("RFC 1122 3.3.1.1", "What is on no connected network goes to a gateway", code="ip/route.py")
def test_the_default_route_takes_what_nothing_else_does() -> None:
    host = two_wires()
    host.stack.routes.add("default", via="10.2.0.254")
    assert leaves_by(host, "192.0.2.7") == (1, "10.2.0.1")
    assert leaves_by(host, "10.1.7.7") == (0, "10.1.0.1")
    host.stack.routes.delete("default")
    assert refused(host, "192.0.2.7") == (errno.ENETUNREACH, errno.ENETUNREACH)


@rule("RFC 1812 5.2.4.3", "The longest matching prefix chooses the route", code="ip/route.py")
@pytest.mark.parametrize("order", [0, 1])
def test_the_longest_prefix_wins_whatever_the_order(order: int) -> None:
    host = two_wires()
    routes = [("192.168.0.0/16", "10.1.0.254"), ("192.168.5.0/24", "10.2.0.254"), ("192.168.5.6/32", "10.1.0.253")]
    for prefix, via in routes[:: -1 if order else 1]:
        host.stack.routes.add(prefix, via=via)
    hops = {d: host.stack.routes.lookup(pack(d)) for d in ("192.168.4.1", "192.168.5.5", "192.168.5.6")}
    vias = [route.via for route in hops.values() if route is not None]
    assert vias == [pack("10.1.0.254"), pack("10.2.0.254"), pack("10.1.0.253")]


def test_the_longest_prefix_wins_whatever_the_metrics() -> None:
    host = two_wires()
    host.stack.routes.add("192.168.0.0/16", via="10.1.0.254", metric=0)
    host.stack.routes.add("192.168.5.0/24", via="10.2.0.254", metric=1000)
    assert leaves_by(host, "192.168.5.5")[0] == 1


def test_of_two_routes_to_one_prefix_the_smaller_metric_wins() -> None:
    host = two_wires()
    host.stack.routes.add("default", via="10.1.0.254", metric=200)
    host.stack.routes.add("default", via="10.2.0.254", metric=100)
    assert leaves_by(host, "192.0.2.7") == (1, "10.2.0.1")
    host.stack.routes.delete("default", via="10.2.0.254")
    assert leaves_by(host, "192.0.2.7") == (0, "10.1.0.1")


def test_an_answer_remembered_is_forgotten_when_a_better_route_comes() -> None:
    host = two_wires()
    host.stack.routes.add("default", via="10.1.0.254")
    assert leaves_by(host, "192.0.2.7")[0] == 0
    host.stack.routes.add("192.0.2.0/24", via="10.2.0.254")
    assert leaves_by(host, "192.0.2.7")[0] == 1
    host.stack.routes.delete("192.0.2.0/24")
    assert leaves_by(host, "192.0.2.7")[0] == 0


def test_look_ups_agree_with_a_plain_search_of_all_prefixes() -> None:
    host, draw = two_wires(), random.Random(5)
    table: dict[IPv4Network, int] = {}
    for _ in range(60):
        network = IPv4Network((draw.getrandbits(32) & 0xC0FF00FF, draw.randint(0, 32)), strict=False)
        if network not in table and not network.is_loopback:
            table[network] = draw.randint(0, 1)
            nic = host.wires[table[network]].interface
            host.stack.routes.add(str(network), interface=nic, metric=5)
    for _ in range(ROUTE_CACHE_SIZE + 500):
        destination = IPv4Address(draw.getrandbits(32) & 0xC0FF00FF)
        fitting = [network for network in table if destination in network]
        route = host.stack.routes.lookup(destination.packed)
        if route is None or route.metric != 5:
            assert not fitting or route is not None
            continue
        best = max(fitting, key=lambda network: network.prefixlen)
        assert (route.prefix_length, route.interface) == (best.prefixlen, host.wires[table[best]].interface)


# ---- sources


def test_a_route_may_say_which_address_to_send_from() -> None:
    host = raw_host("10.0.0.1/24", "10.0.0.9/32")
    host.stack.routes.add("192.168.0.0/16", via="10.0.0.254", source="10.0.0.9")
    assert leaves_by(host, "192.168.1.1") == (0, "10.0.0.9")
    assert leaves_by(host, "10.0.0.7") == (0, "10.0.0.1")
    assert host.connecting(("192.168.1.1", 80)).getsockname()[0] == "10.0.0.9"


def test_one_interface_may_have_several_addresses_on_one_network() -> None:
    # ip-address(8): the second is a secondary one, and the first stays the source
    host = raw_host("10.0.0.1/24", "10.0.0.9/24")
    assert leaves_by(host, "10.0.0.7") == (0, "10.0.0.1")
    sock = host.udp(("10.0.0.9", 5000))
    host.wire.hears(ip("10.0.0.7", "10.0.0.9") / datagram(b"ours too"))
    assert sock.recv(9) == b"ours too"


def test_an_address_that_cannot_be_added_leaves_nothing_behind() -> None:
    host = raw_host("10.0.0.1/24")
    before = [str(route) for route in host.stack.routes]
    with pytest.raises(ValueError):
        host.stack.add_address(host.wire.interface, "10.0.0.1/16")
    assert [str(route) for route in host.stack.routes] == before


@rule("RFC 1122 3.3.4.3", "The source is an address of the interface that the packet leaves by", code="ip/route.py")
def test_of_several_addresses_the_one_on_the_next_hops_network_is_the_source() -> None:
    host = raw_host("10.0.0.1/24", "172.16.0.1/16")
    host.stack.routes.add("default", via="172.16.0.254")
    assert leaves_by(host, "192.0.2.7") == (0, "172.16.0.1")


@rule("RFC 1122 3.3.4.3", "The application may choose the source address", code="socket/base.py")
def test_a_bound_address_is_the_source_whatever_the_way() -> None:
    host = two_wires()
    host.udp(("10.1.0.1", 0)).sendto(b"x", ("10.2.7.7", 9))
    (said,) = host.wires[1].says()
    assert said.src == "10.1.0.1"


@rule("RFC 1122 3.2.1.3", "A loopback address is never the source of what leaves", code="socket/base.py")
def test_a_loopback_address_is_never_the_source_of_what_leaves() -> None:
    # RFC 1122 3.2.1.3 (g); Linux __mkroute_output: EINVAL
    host = raw_host()
    stream, plain = host.tcp(("127.0.0.1", 0)), host.udp(("127.0.0.1", 0))
    for call in (lambda: stream.connect(("10.0.0.2", 80)), lambda: plain.sendto(b"x", ("10.0.0.2", 9))):
        with pytest.raises(OSError) as caught:
            call()
        assert caught.value.errno == errno.EINVAL
    assert host.wire.says() == []


@rule("RFC 1122 4.2.3.10", "A connection to a broadcast or multicast address is refused", code="socket/stream.py")
@pytest.mark.parametrize("destination", ["10.0.0.255", "255.255.255.255", "224.0.0.1"])
def test_a_stream_is_between_two(destination: str) -> None:
    # RFC 9293 3.9.2.3
    host = raw_host()
    with pytest.raises(OSError) as caught:
        host.tcp().connect((destination, 80))
    assert caught.value.errno == errno.ENETUNREACH
    assert host.wire.says() == []


def test_an_answer_comes_from_the_address_that_was_asked() -> None:
    # RFC 1122 3.2.1.3 and 4.2.3.7: though the way back has another source
    host = two_wires()
    host.listening(("", 80))
    (syn_ack,) = host.wires[1].hears(ip("10.2.7.7", "10.1.0.1") / TCP(sport=4000, dport=80, flags="S", seq=ISS))
    assert (syn_ack.src, syn_ack.dst) == ("10.1.0.1", "10.2.7.7")


# ---- holes, and interfaces that are down


def test_an_unreachable_route_refuses_with_ehostunreach() -> None:
    # ip-route(8): local senders get EHOSTUNREACH
    host = two_wires()
    host.stack.routes.add("default", via="10.1.0.254")
    host.stack.routes.add("192.168.0.0/16", interface=host.stack.lo, unreachable=True)
    assert refused(host, "192.168.1.1") == (errno.EHOSTUNREACH, errno.EHOSTUNREACH)
    assert leaves_by(host, "192.0.2.7")[0] == 0


def test_a_route_over_an_interface_that_is_down_is_not_used() -> None:
    host = two_wires()
    host.stack.routes.add("default", via="10.1.0.254", metric=1)
    host.stack.routes.add("default", via="10.2.0.254", metric=2)
    assert leaves_by(host, "192.0.2.7")[0] == 0
    host.stack.set_up(host.wires[0].interface, False)
    assert leaves_by(host, "192.0.2.7")[0] == 1
    host.stack.set_up(host.wires[1].interface, False)
    assert refused(host, "192.0.2.7") == (errno.ENETUNREACH, errno.ENETUNREACH)
    host.stack.set_up(host.wires[0].interface, True)
    assert leaves_by(host, "192.0.2.7")[0] == 0


def test_a_connection_takes_another_way_when_its_own_has_gone() -> None:
    host = two_wires()
    host.stack.routes.add("default", via="10.1.0.254", metric=1)
    host.stack.routes.add("default", via="10.2.0.254", metric=2)
    host.connecting(("192.0.2.7", 80))
    assert len(host.wires[0].says()) == 1
    host.stack.set_up(host.wires[0].interface, False)
    host.clock.advance(1)
    (again,) = host.wires[1].says()
    assert again.src == "10.1.0.1"  # RFC 9293 3.9.2.3: a connection does not change its address


# ---- the table itself


@pytest.mark.parametrize("via", ["192.0.2.1", "127.0.0.1", "10.1.0.1"])
def test_a_next_hop_that_is_on_no_link_is_refused(via: str) -> None:
    with pytest.raises(ValueError, match="no link"):
        two_wires().stack.routes.add("192.168.0.0/16", via=via)


def test_a_route_is_entered_once() -> None:
    host = two_wires()
    host.stack.routes.add("192.168.0.0/16", via="10.1.0.254")
    with pytest.raises(ValueError, match="exists"):
        host.stack.routes.add("192.168.0.0/16", via="10.1.0.253")


def test_a_prefix_with_host_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="host bits"):
        two_wires().stack.routes.add("192.168.0.1/16", via="10.1.0.254")


def test_deleting_what_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match="no route"):
        two_wires().stack.routes.delete("192.168.0.0/16")


def test_an_address_brings_its_routes_and_takes_them_away() -> None:
    host = raw_host("10.9.0.1/24")
    lookup = host.stack.routes.lookup
    kinds = [route.kind for d in ("10.9.0.1", "10.9.0.7") if (route := lookup(pack(d))) is not None]
    assert kinds == [LOCAL, UNICAST]
    host.stack.remove_address(host.wire.interface, "10.9.0.1/24")
    assert [lookup(pack(d)) for d in ("10.9.0.1", "10.9.0.7", "10.9.0.255")] == [None] * 3
    sock = host.udp(("", 5000))
    host.wire.hears(ip(destination="10.9.0.1") / datagram(b"late"))
    with pytest.raises(BlockingIOError):
        sock.recv(9)


def test_a_second_address_goes_without_taking_the_firsts_routes() -> None:
    host = raw_host("10.0.0.1/24", "10.0.0.9/24")
    before = [str(route) for route in raw_host("10.0.0.1/24").stack.routes]
    host.stack.remove_address(host.wire.interface, "10.0.0.9/24")
    assert [str(route) for route in host.stack.routes] == before
    assert leaves_by(host, "10.0.0.7") == (0, "10.0.0.1")


def test_everybody_is_still_reached_when_the_first_of_two_addresses_has_gone() -> None:
    host = two_wires()
    host.stack.remove_address(host.wires[0].interface, "10.1.0.1/16")
    sock = host.udp(("", 5000))
    sock.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
    sock.sendto(b"x", ("255.255.255.255", 9))
    (said,) = host.wires[1].says()
    assert (said.src, said.dst) == ("10.2.0.1", "255.255.255.255")


def test_an_address_is_added_once_and_removed_if_there() -> None:
    host = raw_host("10.9.0.1/24")
    with pytest.raises(ValueError):
        host.stack.add_address(host.wire.interface, "10.9.0.1/24")
    with pytest.raises(ValueError):
        host.stack.remove_address(host.wire.interface, "10.9.0.2/24")


@rule("RFC 3021 2.2", "A network of /31 has two hosts and no directed broadcast", code="ip/route.py")
@pytest.mark.parametrize("own", ["10.9.0.0/31", "10.9.0.1/31"])
def test_a_network_of_two_has_no_broadcast(own: str) -> None:
    # RFC 3021: both addresses are hosts
    host = raw_host(own)
    address = own.partition("/")[0]
    (other,) = {"10.9.0.0", "10.9.0.1"} - {address}
    assert leaves_by(host, other) == (0, address)
    sock = host.udp((address, 5000))
    host.wire.hears(ip(other, address) / datagram(b"ours"))
    assert sock.recv(9) == b"ours"


def test_a_network_of_one_leads_nowhere_else() -> None:
    host = raw_host("10.9.0.1/32")
    assert refused(host, "10.9.0.2") == (errno.ENETUNREACH, errno.ENETUNREACH)
    sock = host.udp(("", 5000))
    host.wire.hears(ip("10.9.0.2", "10.9.0.1") / datagram(b"ours"))
    assert sock.recv(9) == b"ours"
