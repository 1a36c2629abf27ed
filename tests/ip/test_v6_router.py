"""A stack that forwards IPv6, one hop at a time: hop limit, routes, scopes, MTU (RFC 8200, RFC 4443, RFC 4291 2.5)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6PacketTooBig,
    ICMPv6ParamProblem,
    ICMPv6TimeExceeded,
    IPv6,
)
from scapy.packet import Packet, Raw

from support.lan import Host, mac
from support.lan6 import data6, frame6, meet
from support.rules import rule

A, B = "2001:db8:a::2", "2001:db8:b::2"  # hosts on the two sides; the router is ::1 on both
FAR = "2001:db8:f::7"  # behind the next router, fe80::9 on the right


def router(mtu: int = 1500) -> Host:
    """Ethernet on both sides, MACs 1 and 11; it knows the MACs of A (2), B (12) and the next router (9)."""
    host = Host()
    host.stack.ip6.forwarding = True
    left = host.ethernet("2001:db8:a::1/64")
    right = host.ethernet("2001:db8:b::1/64", number=11, mtu=mtu)
    host.stack.routes.add("2001:db8:f::/64", via="fe80::9", interface=right.interface)
    host.stack.routes.add("2001:db8:e::/64", unreachable=True, interface=right.interface)
    meet(left, 2, A)
    meet(right, 12, B, 11)
    meet(right, 9, "fe80::9", 11)
    return host


def to(destination: str = B, source: str = A, **fields: int) -> Packet:
    return frame6(src=source, dst=destination, **fields)


def through(host: Host, *frames: Packet | bytes) -> list[Packet]:
    """Frames in on the left; what comes out on the right, the left having stayed silent."""
    assert host.wires[0].hears(*frames) == []
    return host.wires[1].says()


def refused(host: Host, *frames: Packet | bytes) -> list[Packet]:
    """Frames in on the left; what the router says of them there, nothing having gone out on the right."""
    said = host.wires[0].hears(*frames)
    assert host.wires[1].says() == []
    return said


@rule("RFC 8200 3", "A router lowers the hop limit by one and changes nothing else behind the MAC header",
      code="ip/v6.py")  # fmt: skip
def test_the_hop_limit_is_lowered_and_nothing_else_touched() -> None:
    frame = to(hlim=9, tc=0xB8, fl=0x12345) / data6(b"payload")
    (said,) = through(router(), frame)
    assert (said.src, said.dst) == (mac(11), mac(12))
    assert bytes(said)[14:] == bytes(to(hlim=8, tc=0xB8, fl=0x12345) / data6(b"payload"))[14:]


def test_a_packet_for_a_far_network_goes_to_the_next_router() -> None:
    (said,) = through(router(), to(FAR) / data6())
    assert (said.dst, said[IPv6].dst, said[IPv6].hlim) == (mac(9), FAR, 63)


def test_segments_of_a_run_are_forwarded_each_for_itself() -> None:
    host = router()
    said = through(host, *(to() / TCP(sport=1, dport=2, flags="A", seq=100 * k) / Raw(bytes(100)) for k in range(4)))
    assert [frame[TCP].seq for frame in said] == [0, 100, 200, 300]
    assert [frame[IPv6].hlim for frame in said] == [63] * 4
    assert host.stack.stats.ip6.OutForwDatagrams == 4


@rule("RFC 4443 3.3", "Where the hop limit ends, time exceeded code 0 is said, with as much of the packet as fits 1280",
      code="ip/icmpv6.py")  # fmt: skip
@pytest.mark.parametrize("hops", [0, 1])
def test_the_hop_limit_ends(hops: int) -> None:
    frame = to(hlim=hops) / data6(bytes(1400))
    (said,) = refused(router(), frame)
    assert (said[IPv6].src, said[IPv6].dst, said[ICMPv6TimeExceeded].code) == ("2001:db8:a::1", A, 0)
    assert len(said[IPv6]) == 1280
    assert bytes(said[ICMPv6TimeExceeded])[8:] == bytes(frame)[14 : 14 + 1232]


@rule("RFC 4443 3.1", "Without a route the sender hears destination unreachable, code 0", code="ip/v6.py")
@pytest.mark.parametrize("destination", ["2001:db8:9::1", "2001:db8:e::1"])
def test_without_a_route(destination: str) -> None:
    host = router()
    (said,) = refused(host, to(destination) / data6())
    assert said[ICMPv6DestUnreach].code == 0
    assert (host.stack.stats.ip6.InNoRoutes, host.stack.stats.icmp6.OutDestUnreachs) == (1, 1)


@rule("RFC 4443 3.2", "A packet longer than the next link's MTU is answered with packet too big and that MTU",
      code="ip/v6.py")  # fmt: skip
def test_a_packet_too_big() -> None:
    host = router(mtu=1400)
    (said,) = through(host, to() / data6(bytes(1400 - 48)))
    assert len(said[IPv6]) == 1400
    (error,) = refused(host, to() / data6(bytes(1400 - 47)))
    assert (error[ICMPv6PacketTooBig].code, error[ICMPv6PacketTooBig].mtu) == (0, 1400)
    assert host.stack.stats.ip6.InTooBigErrors == 1


@rule("RFC 4291 2.5.6", "A packet with a link-local source or destination is not forwarded", code="ip/v6.py")
def test_link_local_addresses_stay_on_their_link() -> None:
    host = router()
    meet(host.wires[0], 2, "fe80::2")
    (said,) = refused(host, to(source="fe80::2") / data6())
    assert said[ICMPv6DestUnreach].code == 2  # RFC 4443 3.1: beyond scope of source address
    assert refused(host, to("fe80::12") / data6()) == []


@rule("RFC 4291 2.5.2", "A packet from :: is not forwarded", code="ip/v6.py")
def test_nobody_is_not_forwarded() -> None:
    assert refused(router(), to(source="::") / data6()) == []


def test_groups_and_frames_to_all_are_not_forwarded() -> None:
    host = router()
    assert refused(host, frame6(src=A, dst="ff0e::1", to="33:33:00:00:00:01") / data6()) == []
    assert refused(host, frame6(src=A, dst=B, to="33:33:00:00:00:01") / data6()) == []


@rule("RFC 8200 4.3", "Hop-by-hop options are looked at on the way, other extension headers only at the end",
      code="ip/v6.py")  # fmt: skip
def test_only_hop_by_hop_options_are_looked_at_on_the_way() -> None:
    unknown = bytes((17, 0, 0x9E, 2)) + b"ab" + bytes(2)  # bits 10: report
    (said,) = through(router(), to(nh=60) / Raw(unknown + bytes(8)))
    assert said[IPv6].hlim == 63
    (error,) = refused(router(), to(nh=0) / Raw(unknown + bytes(8)))
    assert (error[ICMPv6ParamProblem].code, error[ICMPv6ParamProblem].ptr) == (2, 42)


@rule("RFC 4443 2.4", "(e) Nothing is said of an ICMPv6 error, nor of a fragment that does not say whose it is",
      code="ip/icmpv6.py")  # fmt: skip
def test_nothing_is_said_of_an_error() -> None:
    assert refused(router(), to(hlim=1) / ICMPv6TimeExceeded() / Raw(bytes(48))) == []
    (said,) = refused(router(), to(hlim=1) / ICMPv6EchoRequest())
    assert ICMPv6TimeExceeded in said


@rule("RFC 4443 2.4", "(f) Errors are limited: six at once, then one in 250 ms to one destination on a /64",
      code="ip/icmpv6.py")  # fmt: skip
def test_errors_are_limited() -> None:
    host = router()
    flood = [to(hlim=1) / data6() for _ in range(20)]
    assert len(refused(host, *flood)) == 6
    assert host.stack.stats.icmp6.OutRateLimitHost == 14
    host.clock.advance(0.25)
    assert len(refused(host, *flood)) == 1
    host.clock.advance(100)
    meet(host.wires[0], 2, A)
    host.wires[1].says()
    assert len(refused(host, *flood)) == 6


def test_errors_to_all_together_are_limited_too() -> None:
    """Linux icmp_global_allow: fifty at once, then a thousand a second."""
    host = router()
    sources = [f"2001:db8:f::{number:x}" for number in range(1, 200)]
    flood = [frame6(9, 11, src=source, dst=A, hlim=1) / data6() for source in sources]
    assert len(host.wires[1].hears(*flood)) == 50
    host.clock.advance(0.020)
    assert len(host.wires[1].hears(*flood)) == 20
    host.clock.advance(0.005)
    assert host.wires[1].hears(*flood) == []


@rule("RFC 8201 3", "Packet too big is not limited: path-MTU discovery needs it (Linux net.ipv6.icmp.ratemask)",
      code="ip/icmpv6.py")  # fmt: skip
def test_packet_too_big_is_not_limited() -> None:
    assert len(refused(router(mtu=1300), *(to() / data6(bytes(1400)) for _ in range(100)))) == 100


def test_whoever_waits_in_vain_for_the_next_hop_is_told() -> None:
    host = router()
    host.wires[0].hears(to("2001:db8:b::77") / data6())
    host.clock.advance(3)
    (said,) = [frame for frame in host.wires[0].says() if ICMPv6DestUnreach in frame]
    assert (said[IPv6].dst, said[ICMPv6DestUnreach].code) == (A, 3)


def test_a_host_does_not_forward() -> None:
    host = router()
    host.stack.ip6.forwarding = False
    assert refused(host, to() / data6()) == []
    assert host.stack.stats.ip6.InAddrErrors == 1
