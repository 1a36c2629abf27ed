"""AF_INET6 sockets that speak IPv4, on Ethernet as on lo; and who gets what when several share a port."""

from __future__ import annotations

import errno
from collections import Counter

import pytest
from scapy.layers.inet import IP, TCP, UDP

from aionetflow.ip.address import AF_INET, AF_INET6
from aionetflow.socket.base import Owner, Socket
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import (
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_UNICAST_HOPS,
    IPV6_V6ONLY,
    SO_REUSEPORT,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
)
from aionetflow.socket.stream import StreamSocket
from support.lan import Host, ethernet_host, plug, raw_host

MAPPED_A, MAPPED_B = "::ffff:10.0.0.1", "::ffff:10.0.0.2"


def two_hosts() -> tuple[Host, Host]:
    """10.0.0.1 and 10.0.0.2 on one Ethernet."""
    a = ethernet_host("10.0.0.1/24")
    b = Host(a.clock, seed=2)
    plug(a.wire, b.ethernet("10.0.0.2/24", number=2))
    return a, b


def udp(host: Host, family: int = AF_INET6) -> DatagramSocket:
    sock = host.stack.socket(family, SOCK_DGRAM)
    assert isinstance(sock, DatagramSocket)
    return sock


def tcp(host: Host, family: int = AF_INET6) -> StreamSocket:
    sock = host.stack.socket(family, SOCK_STREAM)
    assert isinstance(sock, StreamSocket)
    return sock


# ---- over Ethernet


def test_datagrams_of_two_dual_sockets_cross_an_ethernet_as_ipv4() -> None:
    a, b = two_hosts()
    one, other = udp(a), udp(b)
    for sock in (one, other):
        sock.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)
        sock.bind(("::", 4433, 0, 0))
    one.sendto(b"there", (MAPPED_B, 4433, 0, 0))
    a.clock.advance(0.1)
    data, source = other.recvfrom(10)
    assert (data, source) == (b"there", (MAPPED_A, 4433, 0, 0))
    other.sendto(b"back", source)
    a.clock.advance(0.1)
    assert one.recvfrom(10) == (b"back", (MAPPED_B, 4433, 0, 0))
    assert one.getsockname() == ("::", 4433, 0, 0)


def test_a_connection_from_a_dual_socket_to_a_dual_listener() -> None:
    a, b = two_hosts()
    listener, client = tcp(b), tcp(a)
    listener.bind(("::", 80))
    listener.listen(1)
    with pytest.raises(BlockingIOError):
        client.connect((MAPPED_B, 80, 0, 0))
    a.clock.advance(0.1)
    accepted, peer = listener.accept()
    assert peer == client.getsockname()
    assert peer[0] == MAPPED_A
    assert accepted.getsockname() == client.getpeername() == (MAPPED_B, 80, 0, 0)
    client.send(b"data")
    a.clock.advance(0.1)
    assert accepted.recv(10) == b"data"
    assert accepted.family == AF_INET6


def test_a_refusal_from_another_host_reaches_a_dual_socket() -> None:
    a, _ = two_hosts()
    sock = udp(a)
    sock.connect((MAPPED_B, 9))
    sock.send(b"x")
    a.clock.advance(0.1)
    with pytest.raises(ConnectionRefusedError):
        sock.recv(1)


def test_what_a_dual_socket_sends_over_ipv4_has_ipv4s_ttl() -> None:
    host = raw_host()
    stream, datagram = tcp(host), udp(host)
    for sock in (stream, datagram):
        sock.setsockopt(IPPROTO_IP, IP_TTL, 33)
        sock.setsockopt(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7)
    datagram.sendto(b"x", (MAPPED_B, 9))
    host.connecting((MAPPED_B, 80), stream)
    first, second = host.wire.says()
    assert (first[IP].ttl, first[UDP].dport, second[IP].ttl, second[TCP].dport) == (33, 9, 33, 80)


def test_a_dual_socket_is_no_way_out_for_ipv6() -> None:
    a, _ = two_hosts()
    for sock in (tcp(a), udp(a)):
        with pytest.raises(OSError, match="unreachable") as failure:
            sock.connect(("2001:db8::2", 80))
        assert failure.value.errno == errno.ENETUNREACH


def test_the_socket_for_ipv4_comes_before_the_dual_one() -> None:
    a, b = two_hosts()
    for make in (udp, tcp):
        for first, second in ((AF_INET, AF_INET6), (AF_INET6, AF_INET)):
            socks: dict[int, Socket] = {family: make(b, family) for family in (first, second)}
            for sock in socks.values():
                sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
                sock.bind(("", 80))
                if sock.type == SOCK_STREAM:
                    sock.listen(1)
            client = make(a, AF_INET)
            if isinstance(client, DatagramSocket):
                client.sendto(b"x", ("10.0.0.2", 80))
            else:
                a.connecting(("10.0.0.2", 80), client)
            a.clock.advance(0.1)
            assert [bool(socks[family].events() & 1) for family in (AF_INET, AF_INET6)] == [True, False]
            for sock in (*socks.values(), client):
                sock.close()


def test_an_address_of_ones_own_comes_before_any() -> None:
    _, b = two_hosts()
    dual, own = udp(b), udp(b)
    for sock, host in ((dual, "::"), (own, MAPPED_B)):
        sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        sock.bind((host, 80))
    udp(b, AF_INET).sendto(b"x", ("10.0.0.2", 80))
    assert own.recv(1) == b"x"
    udp(b).sendto(b"y", ("::1", 80))
    assert dual.recv(1) == b"y"
    assert not own.events() & 1


# ---- SO_REUSEPORT


def sharers(host: Host, kind: int, count: int, family: int = AF_INET, address: str = "") -> list[Socket]:
    """Sockets that share port 80."""
    socks = [host.stack.socket(family, kind, Owner(1, "server")) for _ in range(count)]
    for sock in socks:
        sock.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
        sock.bind((address, 80))
        if kind == SOCK_STREAM:
            sock.listen(100)
    return socks


def connections_of(host: Host, listeners: list[Socket]) -> list[int]:
    """How many connections each listener has ready, taken out."""
    counts = []
    for listener in listeners:
        counts.append(0)
        while listener.events() & 1:
            accepted, _ = listener.accept()
            accepted.close()
            counts[-1] += 1
    return counts


@pytest.mark.parametrize(("family", "target"), [(AF_INET, "127.0.0.1"), (AF_INET6, "::1")])
def test_connections_are_spread_over_the_listeners_of_a_port(family: int, target: str) -> None:
    host = raw_host()
    listeners = sharers(host, SOCK_STREAM, 3, family)
    for _ in range(60):
        host.connecting((target, 80), tcp(host, family))
    counts = connections_of(host, listeners)
    assert sum(counts) == 60
    assert min(counts) >= 8


def test_a_flow_of_datagrams_stays_with_one_socket() -> None:
    host = raw_host()
    receivers = sharers(host, SOCK_DGRAM, 3)
    senders = [udp(host, AF_INET) for _ in range(40)]
    for _ in range(2):
        for sender in senders:
            sender.sendto(b"x", ("127.0.0.1", 80))
    seen: list[Counter[int]] = []
    for receiver in receivers:
        assert isinstance(receiver, DatagramSocket)
        seen.append(Counter())
        while receiver.events() & 1:
            seen[-1][receiver.recvfrom(1)[1][1]] += 1
    assert all(set(ports.values()) == {2} for ports in seen)
    assert sum(len(ports) for ports in seen) == 40
    assert min(len(ports) for ports in seen) >= 4


def test_the_same_flows_are_spread_in_the_same_way_every_time() -> None:
    def spread() -> list[int]:
        host = raw_host()
        listeners = sharers(host, SOCK_STREAM, 4)
        for _ in range(20):
            host.connecting(("127.0.0.1", 80), tcp(host, AF_INET))
        return connections_of(host, listeners)

    assert spread() == spread()


def test_a_listener_that_is_closed_leaves_its_share_to_the_others() -> None:
    host = raw_host()
    first, second = sharers(host, SOCK_STREAM, 2)
    first.close()
    for _ in range(10):
        host.connecting(("127.0.0.1", 80), tcp(host, AF_INET))
    assert connections_of(host, [second]) == [10]


def test_a_socket_that_does_not_share_keeps_the_port_to_itself() -> None:
    host = raw_host()
    for kind in (SOCK_STREAM, SOCK_DGRAM):
        sharers(host, kind, 2)
        other = host.stack.socket(kind=kind)
        with pytest.raises(OSError, match="in use") as failure:
            other.bind(("", 80))
        assert failure.value.errno == errno.EADDRINUSE


def test_a_connected_datagram_socket_takes_its_peers_and_leaves_the_rest() -> None:
    host = raw_host()
    connected, other = sharers(host, SOCK_DGRAM, 2)
    peer, stranger = udp(host, AF_INET), udp(host, AF_INET)
    peer.bind(("127.0.0.1", 5000))
    assert isinstance(connected, DatagramSocket)
    connected.connect(("127.0.0.1", 5000))
    for _ in range(3):
        peer.sendto(b"peer", ("127.0.0.1", 80))
        stranger.sendto(b"stranger", ("127.0.0.1", 80))
    assert isinstance(other, DatagramSocket)
    assert [connected.recv(9) for _ in range(3)] == [b"peer"] * 3
    assert [other.recv(9) for _ in range(3)] == [b"stranger"] * 3


def test_a_broadcast_is_heard_by_all_that_share() -> None:
    host = raw_host()
    sockets = sharers(host, SOCK_DGRAM, 3)
    host.wire.hears(IP(src="10.0.0.2", dst="10.0.0.255") / UDP(sport=1, dport=80) / b"all")
    assert all(sock.events() & 1 for sock in sockets)
