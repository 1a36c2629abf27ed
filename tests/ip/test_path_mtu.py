"""What is remembered of the way to a destination: the path MTU (RFC 1191, RFC 8201, Linux route.mtu_expires)."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import IP, TCP

from aionetflow.socket.ip_options import IP_MTU
from aionetflow.socket.options import IP_MTU_DISCOVER, IP_RECVERR, IPPROTO_IP, MSG_ERRQUEUE
from support.lan import PEER, Host, icmp_error, raw_host
from support.rules import rule

FAR = "192.0.2.1"


def host_with_gateway() -> Host:
    host = raw_host()
    host.stack.routes.add("default", via=PEER)
    return host


def refuse(host: Host, mtu: int, size: int = 1400) -> None:
    """A datagram to a far host is too long for a link of that MTU on the way."""
    sock = host.udp()
    sock.sendto(bytes(size), (FAR, 9))
    (packet,) = host.wire.says()
    host.wire.hears(icmp_error(packet, 3, 4, mtu))
    sock.close()


def sizes(host: Host) -> list[tuple[int, str]]:
    return [(packet.len, str(packet.flags)) for packet in host.wire.says()]


@rule("RFC 1191 3", "What a router says of the way to a destination is remembered for all that goes there",
      code="ip/route.py")
def test_a_path_mtu_counts_for_all_sockets_and_for_nobody_else() -> None:
    host = host_with_gateway()
    refuse(host, 1000)
    sock = host.udp()
    sock.sendto(bytes(1400), (FAR, 9))
    assert sizes(host) == [(996, "MF"), (452, "")]
    sock.sendto(bytes(900), (FAR, 9))
    sock.sendto(bytes(1400), ("192.0.2.2", 9))
    assert sizes(host) == [(928, "DF"), (1428, "DF")]
    sock.connect((FAR, 9))
    assert sock.getsockopt(IPPROTO_IP, IP_MTU) == 1000


@rule("RFC 1191 6.3", "A path MTU is forgotten after a while: Linux route.mtu_expires, ten minutes", code="ip/route.py")
def test_a_path_mtu_is_forgotten_after_ten_minutes() -> None:
    host = host_with_gateway()
    refuse(host, 1000)
    sock = host.udp()
    sock.connect((FAR, 9))
    host.clock.advance(599.9)
    assert sock.getsockopt(IPPROTO_IP, IP_MTU) == 1000
    host.clock.advance(0.2)
    assert sock.getsockopt(IPPROTO_IP, IP_MTU) == 1500
    sock.send(bytes(1400))
    assert sizes(host) == [(1428, "DF")]


def test_a_larger_path_mtu_than_the_known_one_says_nothing() -> None:
    host = host_with_gateway()
    refuse(host, 700)
    sock = host.udp()
    sock.connect((FAR, 9))
    sock.send(bytes(600))
    (packet,) = host.wire.says()
    host.wire.hears(icmp_error(packet, 3, 4, 1200))
    assert sock.getsockopt(IPPROTO_IP, IP_MTU) == 700


def test_a_route_that_changes_is_a_way_that_nothing_is_known_of() -> None:
    host = host_with_gateway()
    refuse(host, 1000)
    host.stack.routes.add("203.0.113.0/24", via=PEER)
    sock = host.udp()
    sock.connect((FAR, 9))
    assert sock.getsockopt(IPPROTO_IP, IP_MTU) == 1500


@pytest.mark.parametrize(
    ("mode", "learns"), [(0, True), (1, True), (2, True), (3, True), (4, False), (5, False)],
    ids=["dont", "want", "do", "probe", "interface", "omit"],
)  # fmt: skip
def test_who_believes_what_icmp_says_of_the_way(mode: int, learns: bool) -> None:
    """ip(7), IP_MTU_DISCOVER; Linux ip_sk_accept_pmtu."""
    host = host_with_gateway()
    sock = host.udp()
    sock.setsockopt(IPPROTO_IP, IP_MTU_DISCOVER, mode)
    sock.sendto(bytes(1400), (FAR, 9))
    (packet,) = host.wire.says()
    host.wire.hears(icmp_error(packet, 3, 4, 1000))
    sock.connect((FAR, 9))
    assert sock.getsockopt(IPPROTO_IP, IP_MTU) == (1000 if learns else 1500)


@pytest.mark.parametrize(("mode", "fits"), [(2, False), (3, True), (4, True)], ids=["do", "probe", "interface"])
def test_what_is_longer_than_the_way_takes_is_refused_or_tried(mode: int, fits: bool) -> None:
    host = host_with_gateway()
    refuse(host, 1000)
    sock = host.udp()
    sock.setsockopt(IPPROTO_IP, IP_MTU_DISCOVER, mode)
    sock.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
    if fits:
        sock.sendto(bytes(1400), (FAR, 9))
        assert [size for size, _ in sizes(host)] == [1428]
        return
    with pytest.raises(OSError, match="too long"):
        sock.sendto(bytes(973), (FAR, 9))
    _, ((level, kind, report),), _, _ = sock.recvmsg(0, 99, MSG_ERRQUEUE)
    assert (level, kind, report[4], int.from_bytes(report[8:12], "little")) == (0, IP_RECVERR, 1, 1000)
    assert sock.sendto(bytes(972), (FAR, 9)) == 972


def test_a_connected_socket_is_told_once_that_it_was_too_long() -> None:
    host = host_with_gateway()
    sock = host.udp()
    sock.connect((FAR, 9))
    sock.send(bytes(1400))
    (packet,) = host.wire.says()
    host.wire.hears(icmp_error(packet, 3, 4, 1000))
    with pytest.raises(OSError, match="too long") as failure:
        sock.send(bytes(1400))
    assert failure.value.errno == errno.EMSGSIZE
    sock.send(bytes(1400))
    assert len(sizes(host)) == 2


@rule("RFC 1191 6.4", "All connections to a destination go by its path MTU", code="socket/driver.py")
def test_connections_to_the_same_host_share_what_one_learns() -> None:
    host = raw_host()
    (one, _), (two, _) = host.connected(), host.connected()
    one.send(bytes(1400))
    (packet,) = host.wire.says()
    host.wire.hears(icmp_error(packet, 3, 4, 1000))
    assert {segment.len for segment in host.wire.says() if len(segment[TCP].payload)} <= {1000, 480}
    two.send(bytes(1400))
    assert max(segment[IP].len for segment in host.wire.says()) == 1000
    assert two.getsockopt(IPPROTO_IP, IP_MTU) == 1000
    three, syn = host.connected()
    three.send(bytes(1400))
    assert max(segment[IP].len for segment in host.wire.says()) == 1000
    assert dict(syn[TCP].options)["MSS"] == 960  # Linux ipv4_default_advmss


def test_the_setting_turns_path_mtu_discovery_off() -> None:
    """ip-sysctl, ip_no_pmtu_disc=1: new sockets' packets may be cut on the way."""
    host = host_with_gateway()
    host.stack.sysctl["net.ipv4.ip_no_pmtu_disc"] = 1
    host.udp().sendto(bytes(100), (FAR, 9))
    host.connecting((FAR, 80))
    assert [flags for _, flags in sizes(host)] == ["", ""]
