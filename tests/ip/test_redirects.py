"""ICMP redirects: who sends them, and who goes by them (RFC 1812 5.2.7.2, RFC 1122 3.2.2.2)."""

from __future__ import annotations

import itertools

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.packet import Packet

from support.lan import OURS, PEER, Host, datagram, ether, ethernet_host, icmp, ip, mac
from support.rules import rule

FAR, NEARER = "192.0.2.1", "10.0.0.3"


def router() -> Host:
    """A router that reaches FAR by another router on the same Ethernet."""
    host = ethernet_host()
    host.stack.ip.forwarding = True
    host.stack.routes.add("192.0.2.0/24", via=NEARER)
    host.wire.learns(2)
    host.wire.learns(3)
    return host


def passing() -> Packet:
    return ether() / ip(destination=FAR) / datagram(b"x")


def redirects(frames: list[Packet]) -> list[Packet]:
    return [frame for frame in frames if ICMP in frame and frame[ICMP].type == 5]


@rule("RFC 1812 5.2.7.2", "A router that sends a packet back by where it came tells its sender of the nearer gateway",
      code="ip/icmp.py")
def test_a_router_tells_of_a_nearer_gateway_and_forwards() -> None:
    host = router()
    said = host.wire.hears(passing())
    (redirect,) = redirects(said)
    assert (redirect[ICMP].code, redirect[ICMP].gw, redirect[IP].dst) == (1, NEARER, PEER)
    assert [(frame.dst, frame[IP].dst) for frame in said if ICMP not in frame] == [(mac(3), FAR)]
    assert host.stack.stats.icmp.OutRedirects == 1


def test_who_does_not_listen_is_told_less_and_less() -> None:
    """Linux ip_rt_send_redirect: after 40 ms, 80 ms, …, nine times in all, until it is silent for 20 s."""
    host, frame = router(), bytes(passing())
    sent = host.stack.stats.icmp
    told: list[int] = []
    for step in range(300):
        before = sent.OutRedirects
        host.wire.interface.receive([frame])
        told += [step] * (sent.OutRedirects - before)
        host.clock.advance(0.05)
    assert [later - earlier for earlier, later in itertools.pairwise(told)] == [1, 2, 4, 7, 13, 26, 52, 103]
    host.clock.advance(21)
    host.wire.interface.receive([frame])
    assert sent.OutRedirects == 10


def test_a_sender_from_elsewhere_is_not_told() -> None:
    host = router()
    host.stack.routes.add("203.0.113.0/24", via=PEER)
    assert redirects(host.wire.hears(ether() / ip("203.0.113.5", FAR) / datagram())) == []


def going_far() -> Host:
    host = ethernet_host()
    host.stack.routes.add("default", via=PEER)
    for number in (2, 3):
        host.wire.learns(number)
    return host


def told(host: Host, *, source: str = PEER, gateway: str = NEARER) -> str:
    """A redirect is heard; the MAC that the next datagram to FAR goes to."""
    sock = host.udp()
    sock.sendto(b"x", (FAR, 9))
    (first,) = host.wire.says()
    assert first.dst == mac(2)
    info = int.from_bytes(bytes(map(int, gateway.split("."))), "big")
    host.wire.hears(ether() / ip(source, OURS, proto=1) / icmp(5, 1, info, bytes(first[IP])))
    host.wire.says()
    sock.sendto(b"x", (FAR, 9))
    frames = [frame for frame in host.wire.says() if IP in frame]
    return str(frames[0].dst) if frames else ""


@rule("RFC 1122 3.2.2.2", "A host goes by a redirect of the gateway that it uses", code="ip/icmp.py")
def test_a_host_goes_by_a_redirect_for_that_destination_alone() -> None:
    host = going_far()
    assert told(host) == mac(3)
    host.udp().sendto(b"x", ("192.0.2.2", 9))
    assert host.wire.says()[0].dst == mac(2)


@rule("RFC 1122 3.2.2.2", "A redirect of another than that gateway, or to one on another link, is ignored",
      code="ip/icmp.py")
@pytest.mark.parametrize("fields", [{"source": "10.0.0.4"}, {"gateway": "203.0.113.9"}, {"gateway": OURS}])
def test_a_redirect_that_cannot_be_meant_is_ignored(fields: dict[str, str]) -> None:
    host = going_far()
    assert told(host, **fields) == mac(2)


@rule("RFC 1812 4.3.3.2", "A router does not go by redirects", code="ip/icmp.py")
def test_a_router_ignores_redirects() -> None:
    host = going_far()
    host.stack.ip.forwarding = True
    assert told(host) == mac(2)
