"""Several stacks on one clock, links between them: the way of a packet over more than one hop."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from aionetflow.clock import ManualClock
from aionetflow.link.memory import MemoryLink
from aionetflow.socket.options import IP_TTL, IPPROTO_IP, SO_ERROR, SOL_SOCKET
from aionetflow.socket.stream import StreamSocket
from support.lan import Host, mac, plug
from support.rules import rule


class Chain:
    """client - router 1 - … - router n - server; network k is 10.k.0.0/24, its left end .1 and its right end .2."""

    def __init__(self, routers: int, mtus: dict[int, int] | None = None, delay: float = 0.001) -> None:
        self.clock = ManualClock()
        self.hosts = [Host(self.clock, seed) for seed in range(routers + 2)]
        self.client, self.server = self.hosts[0], self.hosts[-1]
        self.links: list[MemoryLink] = []
        for k in range(routers + 1):
            mtu = (mtus or {}).get(k, 1500)
            left = self.hosts[k].ethernet(f"10.{k}.0.1/24", number=16 * k + 1, mtu=mtu)
            right = self.hosts[k + 1].ethernet(f"10.{k}.0.2/24", number=16 * k + 2, mtu=mtu)
            self.links.append(plug(left, right, delay=delay, mtu=mtu))
        for k, host in enumerate(self.hosts):
            host.stack.ip.forwarding = 0 < k <= routers
            for network in range(routers + 1):
                if network < k - 1:
                    host.stack.routes.add(f"10.{network}.0.0/24", via=f"10.{k - 1}.0.1")
                elif network > k:
                    host.stack.routes.add(f"10.{network}.0.0/24", via=f"10.{k}.0.2")
        self.address = f"10.{routers}.0.2"
        self.seen: list[tuple[int, bytes]] = []
        for k, link in enumerate(self.links):
            self.watch(k, link)

    def watch(self, number: int, link: MemoryLink) -> None:
        """Keeps all frames that enter a link, with its number."""
        link.tap(lambda when, channel, frame, fate: self.seen.append((number, frame)))

    def packets(self, protocol: int) -> list[tuple[int, Ether]]:
        """What went over which link, of one IP protocol."""
        frames = [(k, Ether(frame)) for k, frame in self.seen if frame[12:14] == b"\x08\x00"]
        return [(k, frame) for k, frame in frames if frame[IP].proto == protocol]

    def connect(self) -> tuple[StreamSocket, StreamSocket]:
        """A connection from end to end: both its sockets."""
        listener = self.server.listening((self.address, 80))
        client = self.client.connecting((self.address, 80))
        self.clock.advance(1)
        return client, listener.accept()[0]

    def carry(self, source: StreamSocket, target: StreamSocket, data: bytes, seconds: float = 20) -> bytes:
        """Writes all of it at one end; what was read at the other in that time."""
        sent, got = 0, b""
        for _ in range(int(seconds / 0.01)):
            sent += source.send(data[sent:]) if sent < len(data) else 0
            self.clock.advance(0.01)
            if target.events() & 1:
                got += target.recv(1 << 20)
        return got


@rule("RFC 791 3.2", "Each module that handles a packet lowers its TTL by at least one", code="ip/v4.py")
def test_three_routers_in_a_row_rewrite_the_macs_and_lower_the_ttl_at_each_hop() -> None:
    chain = Chain(3)
    sock = chain.server.udp((chain.address, 5000))
    chain.client.udp().sendto(b"far away", (chain.address, 5000))
    chain.clock.advance(1)
    assert sock.recvfrom(99)[0] == b"far away"
    hops = [(k, frame.src, frame.dst, frame[IP].ttl) for k, frame in chain.packets(17)]
    assert hops == [(k, mac(16 * k + 1), mac(16 * k + 2), 64 - k) for k in range(4)]
    assert {(frame[IP].src, frame[IP].dst) for _, frame in chain.packets(17)} == {("10.0.0.1", chain.address)}


@pytest.mark.parametrize("ttl", [1, 2, 3])
def test_each_router_in_turn_is_found_by_a_short_ttl(ttl: int) -> None:
    chain = Chain(3)
    sock = chain.client.udp()
    sock.setsockopt(IPPROTO_IP, IP_TTL, ttl)
    sock.sendto(b"probe", (chain.address, 33434))
    chain.clock.advance(1)
    answers = [frame for k, frame in chain.packets(1) if k == 0]
    assert [frame[IP].src for frame in answers] == [f"10.{ttl - 1}.0.2"]
    assert (answers[0]["ICMP"].type, answers[0]["ICMP"].code) == (11, 0)


def test_the_last_hop_is_found_by_port_unreachable() -> None:
    chain = Chain(3)
    sock = chain.client.udp()
    sock.connect((chain.address, 33434))
    sock.setsockopt(IPPROTO_IP, IP_TTL, 4)
    sock.send(b"probe")
    chain.clock.advance(1)
    with pytest.raises(ConnectionRefusedError):
        sock.recv(9)
    assert [frame[IP].src for k, frame in chain.packets(1) if k == 0] == [chain.address]


@rule("RFC 792 Time Exceeded", "A packet whose TTL is zero is discarded", code="ip/v4.py")
def test_a_routing_loop_ends_by_the_ttl() -> None:
    chain = Chain(2)
    one, two = chain.hosts[1].stack.routes, chain.hosts[2].stack.routes
    one.add("192.0.2.0/24", via="10.1.0.2")
    two.add("192.0.2.0/24", via="10.1.0.1")
    chain.client.stack.routes.add("default", via="10.0.0.2")
    sock = chain.client.udp()
    sock.setsockopt(IPPROTO_IP, IP_TTL, 10)
    sock.sendto(b"round and round", ("192.0.2.1", 9))
    chain.clock.advance(5)
    ttls = [frame[IP].ttl for k, frame in chain.packets(17) if k == 1]
    assert ttls == list(range(9, 0, -1))
    assert [(frame["ICMP"].type, frame[IP].dst) for k, frame in chain.packets(1) if k == 0] == [(11, "10.0.0.1")]


def test_a_stream_goes_through_three_routers_both_ways() -> None:
    chain = Chain(3)
    client, accepted = chain.connect()
    data = bytes(range(256)) * 400
    assert chain.carry(client, accepted, data, 2) == data
    assert chain.carry(accepted, client, data[::-1], 2) == data[::-1]
    assert chain.client.stack.stats.tcp.RetransSegs == 0


@rule("RFC 1191 3", "Fragmentation needed lowers the path MTU, and segments follow it", code="tcp/arrival.py")
@pytest.mark.parametrize("bottleneck", [1, 2])
def test_a_stream_adapts_its_segments_to_a_smaller_mtu_on_the_way(bottleneck: int) -> None:
    # RFC 1191: both ends offer 1460, and learn by "fragmentation needed"
    chain = Chain(3, {bottleneck: 1000})
    client, accepted = chain.connect()
    assert client.max_segment() == 1448
    data = bytes(range(256)) * 400
    assert chain.carry(client, accepted, data, 10) == data
    assert client.max_segment() == 948
    assert accepted.max_segment() == 1448
    lengths = [frame[IP].len for k, frame in chain.packets(6) if k == bottleneck]
    assert max(lengths) == 1000
    assert chain.clock.now() < 60 * 10**9


def test_the_segment_size_follows_two_bottlenecks_one_after_the_other() -> None:
    chain = Chain(3, {1: 1200, 3: 700})
    client, accepted = chain.connect()
    data = bytes(range(256)) * 200
    assert chain.carry(client, accepted, data, 10) == data
    assert accepted.max_segment() == 648  # the server's own link: it says so in its SYN
    assert client.max_segment() == 648


def test_path_mtu_costs_no_time_out() -> None:
    # the segments are sent again when the router says so, not a second later
    chain = Chain(1, {1: 1000, 0: 1500})
    listener = chain.server.listening((chain.address, 80))
    client = chain.client.connecting((chain.address, 80))
    chain.clock.advance(0.5)
    accepted, _ = listener.accept()
    client.send(bytes(20000))
    chain.clock.advance(0.15)  # a round trip takes 4 ms; the shortest time-out is 200 ms
    assert len(accepted.recv(99999)) == 20000


def test_a_connection_to_a_host_that_is_not_there_fails_with_host_unreachable() -> None:
    chain = Chain(2)
    sock = chain.client.connecting(("10.2.0.77", 80))
    chain.clock.advance(3.5)
    assert sock.getsockopt(SOL_SOCKET, SO_ERROR) == errno.EHOSTUNREACH


def test_a_connection_to_a_network_that_is_not_there_fails_with_net_unreachable() -> None:
    chain = Chain(2)
    chain.client.stack.routes.add("default", via="10.0.0.2")
    sock = chain.client.connecting(("192.0.2.1", 80))
    chain.clock.advance(0.5)
    assert sock.getsockopt(SOL_SOCKET, SO_ERROR) == errno.ENETUNREACH


def test_a_stream_survives_a_link_that_is_down_for_a_while() -> None:
    chain = Chain(2)
    client, accepted = chain.connect()
    chain.links[1].up = False
    client.send(b"patience")
    chain.clock.advance(3)
    assert accepted.queued() == (0, 0)
    chain.links[1].up = True
    chain.clock.advance(10)
    assert accepted.recv(99) == b"patience"


def test_the_routers_hold_no_state_of_connections() -> None:
    chain = Chain(3)
    chain.connect()
    assert all(not host.stack.table.connections for host in chain.hosts[1:-1])
    assert all(host.stack.stats.tcp.InSegs == 0 for host in chain.hosts[1:-1])
