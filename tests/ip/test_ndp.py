"""Neighbor Discovery on the wire: questions, answers, what is learned from whom, redirects (RFC 4861)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_Redirect,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.packet import Packet, Raw

from aionetflow.ethernet.neighbour import DELAY, FAILED, INCOMPLETE, PROBE, REACHABLE, STALE
from aionetflow.socket.options import SO_ERROR, SOL_SOCKET
from support.lan import Host, checksum, mac
from support.lan6 import (
    ALL_NODES_MAC,
    OURS6,
    PEER6,
    answer6,
    ask6,
    data6,
    frame6,
    group_mac,
    group_of,
    host6,
    knowing,
    meet,
    own_link_local,
    solicitation,
    udp6,
)
from support.rules import rule

ROUTER = "fe80::9"
FAR = "2001:db8:5::7"


def state(host: Host, address: str = PEER6) -> int:
    neighbour = host.wire.neighbour(address)
    return neighbour.state if neighbour else 0


def asking() -> Host:
    """A host that has asked for the peer, with one datagram waiting."""
    host = host6()
    udp6(host).sendto(b"first", (PEER6, 9))
    return host


def solicitations(said: list[tuple[float, Packet]]) -> list[tuple[float, str]]:
    """When and to which MAC questions went out."""
    return [(when, frame.dst) for when, frame in said if ICMPv6ND_NS in frame]


# ---- asking


@rule("RFC 4861 7.2.2", "The question goes to the target's solicited-node group and names the asker's MAC",
      code="ip/ndp.py")  # fmt: skip
@rule("RFC 2464 7", "A packet to a group is sent to MAC 33:33 and its last four octets", code="ethernet/frame.py")
def test_the_question_goes_to_the_targets_group() -> None:
    (said,) = asking().wire.says()
    assert (said.src, said.dst) == (mac(1), "33:33:ff:00:00:02")
    assert (said[IPv6].src, said[IPv6].dst, said[IPv6].hlim) == (OURS6, "ff02::1:ff00:2", 255)
    assert (said[ICMPv6ND_NS].tgt, said[ICMPv6NDOptSrcLLAddr].lladdr) == (PEER6, mac(1))


@rule("RFC 4861 7.2.2", "Packets wait for the answer and are sent in their order", code="ethernet/neighbour.py")
def test_one_question_serves_all_packets_that_wait() -> None:
    host = host6()
    sock = udp6(host)
    for number in range(5):
        sock.sendto(bytes([number]), (PEER6, 9))
    assert len(host.wire.says()) == 1
    said = host.wire.hears(answer6())
    assert [bytes(frame[UDP].payload) for frame in said] == [bytes([number]) for number in range(5)]
    assert {(frame.dst, frame[IPv6].dst) for frame in said} == {(mac(2), PEER6)}
    assert state(host) == REACHABLE


@rule("RFC 4861 7.2.2", "After three questions a second apart the packets fail with address unreachable",
      code="ip/v6.py")  # fmt: skip
def test_a_neighbour_that_does_not_answer_is_unreachable() -> None:
    host = host6()
    sock = udp6(host)
    sock.connect((PEER6, 9))
    sock.send(b"x")
    tapped: list[bytes] = []
    host.stack.lo.taps.append(lambda now, frame, outbound: tapped.append(frame) if outbound else None)
    host.clock.advance(3)
    group = group_mac(group_of(PEER6))
    assert solicitations(host.wire.says_when()) == [(0.0, group), (1.0, group), (2.0, group)]
    assert state(host) == FAILED
    error = IPv6(tapped[0])
    assert (error[ICMPv6DestUnreach].code, error.dst) == (3, OURS6)
    assert sock.getsockopt(SOL_SOCKET, SO_ERROR) == 0  # Linux: no hard error of a datagram socket


@rule("RFC 4861 7.3.3", "A neighbour not heard of for a while is used, then probed at its MAC, then given up",
      code="ethernet/neighbour.py")  # fmt: skip
def test_an_old_neighbour_is_used_and_then_probed() -> None:
    host = asking()
    host.wire.hears(answer6())
    host.clock.advance(30)
    assert state(host) == STALE
    sock = udp6(host)
    sock.sendto(b"x", (PEER6, 9))
    (said,) = host.wire.says()
    assert (said.dst, state(host)) == (mac(2), DELAY)
    host.clock.advance(5)
    (probe,) = host.wire.says()
    assert (probe.dst, probe[IPv6].dst, probe[ICMPv6ND_NS].tgt, state(host)) == (mac(2), PEER6, PEER6, PROBE)
    host.clock.advance(3)
    assert state(host) == FAILED


@rule("RFC 4861 7.3.3", "The answer to a probe makes the neighbour reachable", code="ethernet/neighbour.py")
def test_an_answer_to_a_probe_ends_it() -> None:
    host = asking()
    host.wire.hears(answer6())
    host.clock.advance(30)
    udp6(host).sendto(b"x", (PEER6, 9))
    host.clock.advance(5)
    host.wire.says()
    host.wire.hears(answer6(flags="S", named=0))
    assert state(host) == REACHABLE


# ---- answering


@rule("RFC 4861 7.2.4", "A question to the group is answered to the asker, solicited, with override and our MAC",
      code="ip/ndp.py")  # fmt: skip
@rule("RFC 4861 7.2.3", "The asker's MAC is learned from its question, and not taken as proof that it hears us",
      code="ip/ndp.py")  # fmt: skip
def test_a_question_is_answered_and_its_sender_learned() -> None:
    host = host6()
    (said,) = host.wire.hears(ask6())
    assert (said.dst, said[IPv6].src, said[IPv6].dst, said[IPv6].hlim) == (mac(2), OURS6, PEER6, 255)
    advert = said[ICMPv6ND_NA]
    assert (advert.tgt, advert.R, advert.S, advert.O, advert.res) == (OURS6, 0, 1, 1, 0)
    assert said[ICMPv6NDOptDstLLAddr].lladdr == mac(1)
    assert state(host) == DELAY  # stale, and used for the answer


def test_a_probe_of_one_who_knows_our_mac_is_answered_without_it() -> None:
    host = knowing()
    (said,) = host.wire.hears(frame6(hlim=255) / solicitation(OURS6))
    assert (said[ICMPv6ND_NA].S, said[ICMPv6ND_NA].O, ICMPv6NDOptDstLLAddr in said) == (1, 0, False)


@rule("RFC 4861 7.2.4", "A router says in its answers that it is one", code="ip/ndp.py")
def test_a_router_says_so() -> None:
    host = host6()
    host.stack.ip6.forwarding = True
    (said,) = host.wire.hears(ask6())
    assert said[ICMPv6ND_NA].R == 1


@rule("RFC 4862 5.4.3", "Whoever asks from :: whether our address is free is answered to all nodes", code="ip/ndp.py")
def test_one_who_wants_our_address_is_told_before_all() -> None:
    host = host6()
    (said,) = host.wire.hears(ask6(source="::", named=0))
    assert (said.dst, said[IPv6].dst, said[IPv6].src) == (ALL_NODES_MAC, "ff02::1", OURS6)
    assert (said[ICMPv6ND_NA].S, said[ICMPv6ND_NA].O) == (0, 1)


def test_an_address_of_another_interface_is_not_answered_for() -> None:
    host = host6()
    host.ethernet("2001:db8:1::1/64", number=2)
    assert host.wire.hears(ask6("2001:db8:1::1", dst=OURS6, to=mac(1))) == []


def test_link_local_addresses_are_there_from_the_start() -> None:
    host = host6()
    (said,) = host.wire.hears(ask6(own_link_local(1), source="fe80::2"))
    assert (said[IPv6].src, said[ICMPv6ND_NA].tgt) == (own_link_local(1), own_link_local(1))
    assert own_link_local(1) == "fe80::ff:fe00:1"


# ---- what is dropped


def lying(frame: Packet, **fields: int) -> Packet:
    for name, value in fields.items():
        setattr(frame[ICMPv6ND_NS], name, value)
    return frame


INVALID = {
    "7.1.1 it may have come through a router": ask6(hlim=254),
    "7.1.1 its checksum is wrong": lying(ask6(), cksum=1),
    "7.1.1 its code is not 0": lying(ask6(), code=1),
    "7.1.1 it is too short": frame6(hlim=255, nh=58, dst=group_of(OURS6), to=group_mac(group_of(OURS6)))
    / Raw(bytes.fromhex("87 00 55 ba 00000000 2001")),
    "7.1.1 its target is a group": ask6("ff02::1", dst=OURS6, to=mac(1)),
    "7.1.1 an option has no length": ask6(named=0) / Raw(bytes(8)),
    "7.1.1 it is from :: and not to the group": ask6(source="::", named=0, dst="ff02::1"),
    "7.1.1 it is from :: and names a MAC": ask6(source="::", named=2),
}


@rule("RFC 4861 7.1.1", "A solicitation that breaks one of the rules of validity is dropped", code="ip/ndp.py")
@pytest.mark.parametrize("what", INVALID)
def test_an_invalid_question_is_not_answered(what: str) -> None:
    host = host6()
    assert host.wire.hears(INVALID[what]) == []
    assert host.wire.neighbour(PEER6) is None
    assert host.stack.stats.icmp6.InErrors == 1


@rule("RFC 4861 7.1.2", "An advertisement with hop limit under 255 or solicited to a group is dropped",
      code="ip/ndp.py")  # fmt: skip
@pytest.mark.parametrize("frame", [answer6(hlim=64), answer6(dst="ff02::1", to=ALL_NODES_MAC), answer6("ff02::5")])
def test_an_invalid_answer_is_not_believed(frame: Packet) -> None:
    host = asking()
    host.wire.says()
    if frame[ICMPv6ND_NA].tgt == "ff02::5":
        frame[IPv6].src = PEER6
    assert host.wire.hears(frame) == []
    assert (state(host), host.stack.stats.icmp6.InErrors) == (INCOMPLETE, 1)


def test_packets_to_groups_that_nobody_here_is_in_stay_out() -> None:
    host = host6()
    assert host.wire.hears(ask6("2001:db8::77")) == []
    assert host.wire.interface.rx_otherhost_dropped == 1
    assert host.stack.stats.ip6.InReceives == 0


# ---- advertisements of a neighbour that is known


@rule("RFC 4861 7.2.5", "Nothing is learned of a neighbour that nobody asked for", code="ethernet/neighbour.py")
def test_an_unasked_advertisement_makes_no_entry() -> None:
    host = host6()
    host.wire.hears(answer6(flags="O", dst="ff02::1", to=ALL_NODES_MAC))
    assert host.wire.neighbour(PEER6) is None


def reachable() -> Host:
    host = asking()
    host.wire.hears(answer6())
    return host


@rule("RFC 4861 7.2.5", "Without override another MAC is not taken over, and the neighbour becomes stale",
      code="ethernet/neighbour.py")  # fmt: skip
def test_another_mac_without_override_only_raises_doubt() -> None:
    host = reachable()
    host.wire.hears(answer6(flags="S", named=7))
    entry = host.wire.neighbour(PEER6)
    assert entry is not None
    assert (entry.mac.hex(":"), entry.state) == (mac(2), STALE)


@rule("RFC 4861 7.2.5", "With override another MAC is taken over; unsolicited it is stale",
      code="ethernet/neighbour.py")  # fmt: skip
def test_another_mac_with_override_counts() -> None:
    host = reachable()
    host.wire.hears(answer6(flags="O", named=7, dst="ff02::1", to=ALL_NODES_MAC))
    entry = host.wire.neighbour(PEER6)
    assert entry is not None
    assert (entry.mac.hex(":"), entry.state) == (mac(7), STALE)
    host.wire.hears(answer6(flags="SO", named=7))
    assert entry.state == REACHABLE


@rule("RFC 4861 7.2.5", "An answer to the first question must name the MAC", code="ethernet/neighbour.py")
def test_an_answer_without_a_mac_says_nothing_while_none_is_known() -> None:
    host = asking()
    host.wire.hears(answer6(named=0))
    assert state(host) == INCOMPLETE


# ---- redirects


def redirect(target: str = "fe80::8", source: str = ROUTER, destination: str = FAR, **fields: int) -> Packet:
    message = ICMPv6ND_Redirect(tgt=target, dst=destination) / ICMPv6NDOptDstLLAddr(lladdr=mac(8))
    return frame6(9, src=source, **{"hlim": 255, **fields}) / message


def routed() -> Host:
    """A host whose way to FAR is by ROUTER, MAC 9."""
    host = host6()
    host.stack.routes.add("default", via=ROUTER, interface=host.wire.interface)
    meet(host.wire, 9, ROUTER)
    return host


def sent_to(host: Host, destination: str = FAR) -> str:
    udp6(host).sendto(b"x", (destination, 9))
    return str(host.wire.says()[0].dst)


@rule("RFC 4861 8.3", "After a redirect from its router a host sends to the better first hop", code="ip/ndp.py")
def test_a_redirect_is_followed() -> None:
    host = routed()
    assert sent_to(host) == mac(9)
    host.wire.hears(redirect())
    assert sent_to(host) == mac(8)
    assert sent_to(host, "2001:db8:5::8") == mac(9)
    host.wire.hears(redirect(FAR))
    assert sent_to(host) == mac(8)


def test_only_so_many_redirects_are_remembered() -> None:
    host = routed()
    last = 0x110
    for number in range(1, last + 1):
        host.wire.hears(redirect(destination=f"2001:db8:5::{number:x}"))
    redirected = [route for route in host.stack.routes if str(route).startswith("2001:db8:5::")]
    assert len(redirected) == len(host.stack.ndp.redirects) < last
    assert sent_to(host, f"2001:db8:5::{last:x}") == mac(8)
    assert sent_to(host, "2001:db8:5::1") == mac(9)


@rule("RFC 4861 8.1", "A redirect that is not from the router in use, or came from afar, is not believed",
      code="ip/ndp.py")  # fmt: skip
@pytest.mark.parametrize(
    "frame", [redirect(source="fe80::7"), redirect(hlim=254), redirect(source=PEER6), redirect("2001:db8::8")]
)
def test_a_redirect_of_a_stranger_is_not_believed(frame: Packet) -> None:
    host = routed()
    host.wire.hears(frame)
    assert sent_to(host) == mac(9)


@rule("RFC 4861 8.2", "A router that sends a packet back where it came from tells the sender the better way",
      code="ip/ndp.py")  # fmt: skip
def test_a_router_redirects_its_neighbour() -> None:
    host = knowing()
    host.stack.ip6.forwarding = True
    host.stack.routes.add("2001:db8:5::/64", via="fe80::8", interface=host.wire.interface)
    meet(host.wire, 8, "fe80::8")
    said = host.wire.hears(frame6(dst=FAR) / data6())
    redirects = [frame for frame in said if ICMPv6ND_Redirect in frame]
    assert [frame.dst for frame in said if ICMPv6ND_Redirect not in frame] == [mac(8)]
    (message,) = redirects
    assert (message.dst, message[IPv6].src, message[IPv6].dst, message[IPv6].hlim) == (
        mac(2), own_link_local(1), PEER6, 255,
    )  # fmt: skip
    assert (message[ICMPv6ND_Redirect].tgt, message[ICMPv6ND_Redirect].dst) == ("fe80::8", FAR)
    assert message[ICMPv6NDOptDstLLAddr].lladdr == mac(8)
    assert bytes(message).endswith(bytes((frame6(dst=FAR) / data6())[IPv6])[:48])  # as many whole units as there are
    again = host.wire.hears(*(frame6(dst=FAR) / data6() for _ in range(9)))
    assert sum(ICMPv6ND_Redirect in frame for frame in again) == 5  # Linux: a bucket of six, one a second


# ---- anything at all


@given(st.sampled_from([1, 2, 3, 4, 128, 129, 133, 134, 135, 136, 137]), st.binary(max_size=100), st.booleans())
def test_no_message_raises(kind: int, rest: bytes, to_all: bool) -> None:
    host = routed()
    host.stack.autoconfigure(host.wire.interface)  # type: ignore[arg-type]
    host.stack.advertise(host.wire.interface)  # type: ignore[arg-type]
    host.clock.advance(2)
    where: dict[str, Any] = {"dst": "ff02::1", "to": ALL_NODES_MAC} if to_all else {"dst": own_link_local(1)}
    header = frame6(9, src=ROUTER, hlim=255, nh=58, **where)
    message = bytes((kind, 0, 0, 0)) + rest
    pseudo = bytes(header[IPv6])[8:40] + len(message).to_bytes(4, "big") + bytes((0, 0, 0, 58))
    host.wire.hears(header / Raw(message[:2] + checksum(pseudo + message) + message[4:]))
    host.clock.advance(5)
    assert host.stack.stats.icmp6.InCsumErrors == 0
