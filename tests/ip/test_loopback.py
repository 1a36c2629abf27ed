"""What stays on the host: 127.0.0.0/8 and its own addresses (RFC 1122 3.2.1.3 (g), 3.3.1.1)."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import IP, TCP

from aionetflow.config import LOOPBACK_MTU
from aionetflow.socket.datagram import DatagramSocket
from support.lan import OURS, Host, raw_host
from support.rules import rule


def exchange(server: DatagramSocket, client: DatagramSocket, address: str) -> tuple[str, str]:
    """One datagram there and one back; the addresses that the two saw."""
    client.sendto(b"there", (address, server.getsockname()[1]))
    data, source = server.recvfrom(99)
    assert data == b"there"
    server.sendto(b"back", source)
    data, answered = client.recvfrom(99)
    assert data == b"back"
    return source[0], answered[0]


@rule("RFC 1122 3.2.1.3", "All of 127/8 is this host", code="ip/route.py")
@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "127.255.255.254"])
def test_all_of_127_is_this_host(address: str) -> None:
    host = Host()  # no interface but lo
    server = host.udp((address, 5000))
    assert exchange(server, host.udp(), address) == ("127.0.0.1", address)


def test_a_bound_loopback_address_is_the_source() -> None:
    host = Host()
    server, client = host.udp(("127.0.0.1", 5000)), host.udp(("127.0.0.9", 0))
    assert exchange(server, client, "127.0.0.1") == ("127.0.0.9", "127.0.0.1")


@rule("RFC 1122 3.2.1.3", "Nothing for 127/8 appears on a wire", code="ip/route.py")
def test_nothing_for_loopback_is_seen_on_a_wire() -> None:
    host = raw_host()
    host.stack.routes.add("default", via="10.0.0.254")
    host.udp().sendto(b"x", ("127.0.0.1", 9))
    host.connecting(("127.1.2.3", 80))
    host.clock.advance(10)
    assert host.wire.says() == []


@pytest.mark.parametrize("bound", ["", OURS])
def test_the_hosts_own_address_is_reached_without_the_wire(bound: str) -> None:
    host = raw_host()
    server = host.udp((bound, 5000))
    assert exchange(server, host.udp(), OURS) == (OURS, OURS)
    assert host.wire.says() == []
    assert host.stack.lo.counters()["tx_packets"] == host.stack.lo.counters()["rx_packets"] == 2


def test_own_addresses_of_other_interfaces_are_reached_too() -> None:
    host = raw_host("10.0.0.1/24")
    host.raw("10.2.0.1/24")
    assert exchange(host.udp(("10.2.0.1", 5000)), host.udp(("10.0.0.1", 0)), "10.2.0.1") == (OURS, "10.2.0.1")
    assert host.wires[0].says() == host.wires[1].says() == []


def test_a_connection_to_the_own_address_works_while_the_interface_is_down() -> None:
    host = raw_host()
    server = host.listening(("127.0.0.1", 80))
    host.stack.set_up(host.wire.interface, False)
    client = host.connecting(("127.0.0.1", 80))
    assert client.state_name() == "ESTAB"
    accepted, address = server.accept()
    assert address == client.getsockname()
    client.send(b"hello")
    assert accepted.recv(9) == b"hello"


def test_a_segment_over_loopback_fits_the_longest_ip_packet() -> None:
    # Linux offers 65495 over its MTU of 65536: an IPv4 packet has at most 65535 octets
    host = Host()
    seen: list[bytes] = []
    host.stack.lo.taps.append(lambda when, frame, out: seen.append(frame))
    host.connecting(("127.0.0.1", 80))
    assert host.stack.lo.mtu == LOOPBACK_MTU
    assert dict(IP(seen[0])[TCP].options)["MSS"] == 65495


def test_a_refused_connection_fails_at_once() -> None:
    client = Host().connecting(("127.0.0.1", 80))
    assert client.take_error() == errno.ECONNREFUSED


def test_a_socket_bound_to_loopback_hears_nothing_sent_to_another_own_address() -> None:
    host = raw_host()
    server, client = host.udp(("127.0.0.1", 5000)), host.udp()
    client.connect((OURS, 5000))
    client.send(b"x")
    with pytest.raises(BlockingIOError):
        server.recv(9)
    with pytest.raises(ConnectionRefusedError):
        client.recv(9)


def test_what_is_sent_to_oneself_is_received_in_order_and_whole() -> None:
    host = Host()
    sock = host.udp(("127.0.0.1", 5000))
    sent = [bytes([n]) * (1 + 37 * n) for n in range(60)]
    for data in sent:
        sock.sendto(data, ("127.0.0.1", 5000))
    assert [sock.recv(9999) for _ in sent] == sent
    largest = bytes(range(256)) * 255 + bytes(227)
    sock.sendto(largest, ("127.0.0.1", 5000))
    assert sock.recv(70000) == largest
    assert len(largest) == 65507


def test_loopback_needs_no_clock() -> None:
    host = Host()
    host.listening(("127.0.0.1", 80))
    host.connecting(("127.0.0.1", 80))
    assert host.clock.now() == 0
    assert host.stack.stats.tcp.PassiveOpens == 1
