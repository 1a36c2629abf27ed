"""Which socket gets a datagram: binding, conflicts, the best fit, and broadcast (RFC 1122 4.1.3.5, Linux)."""

from __future__ import annotations

import errno
from itertools import permutations

import pytest
from scapy.layers.inet import IP, UDP

from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SO_BROADCAST, SO_REUSEADDR, SOL_SOCKET
from support.lan import EVERYBODY, OURS, PEER, Host, datagram, ether, ethernet_host, ip, mac, raw_host
from support.rules import rule

SECOND = "10.0.0.9"


def reusing(host: Host, *address: tuple[str, int]) -> DatagramSocket:
    sock = host.udp()
    sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    for each in address:
        sock.bind(each)
    return sock


def who_got(sockets: list[DatagramSocket]) -> list[int]:
    """Which of them have something to read; it is read."""
    ready = [n for n, sock in enumerate(sockets) if sock.events() & 1]
    for n in ready:
        sockets[n].recv(99)
    return ready


def refusal(sock: DatagramSocket, address: tuple[str, int]) -> int:
    with pytest.raises(OSError) as caught:
        sock.bind(address)
    return caught.value.errno or 0


# ---- binding


@pytest.mark.parametrize(("first", "second", "both"), [
    ("", "", False), ("", OURS, False), (OURS, "", False), (OURS, OURS, False),
    (OURS, SECOND, True), (OURS, "127.0.0.1", True),
])  # fmt: skip
def test_two_sockets_share_a_port_only_on_different_addresses(first: str, second: str, both: bool) -> None:
    host = raw_host("10.0.0.1/24", SECOND + "/32")
    host.udp((first, 5000))
    if both:
        host.udp((second, 5000))
    else:
        assert refusal(host.udp(), (second, 5000)) == errno.EADDRINUSE


@pytest.mark.parametrize(("first", "second"), [(False, True), (True, False), (True, True)])
def test_a_port_is_reused_only_if_both_want_it(first: bool, second: bool) -> None:
    host = raw_host()
    (reusing if first else Host.udp)(host, ("", 5000))
    late = reusing(host) if second else host.udp()
    if first and second:
        late.bind(("", 5000))
    else:
        assert refusal(late, ("", 5000)) == errno.EADDRINUSE


def test_tcp_and_udp_have_ports_of_their_own() -> None:
    host = raw_host()
    host.listening(("", 5000))
    host.udp(("", 5000))


@pytest.mark.parametrize("address", ["10.0.0.2", "192.0.2.1", "0.0.0.1"])
def test_only_an_address_of_the_hosts_can_be_bound(address: str) -> None:
    assert refusal(raw_host().udp(), (address, 5000)) == errno.EADDRNOTAVAIL


@pytest.mark.parametrize("address", ["10.0.0.255", "255.255.255.255", "224.0.0.251"])
def test_a_datagram_socket_may_be_bound_to_everybody_or_a_group(address: str) -> None:
    # Linux inet_addr_valid_or_nonlocal: how servers hear only what was sent to all
    host = raw_host()
    sock = host.udp((address, 5000))
    assert sock.getsockname() == (address, 5000)
    host.wire.hears(ip() / datagram(b"to one"))
    assert who_got([sock]) == []


@pytest.mark.parametrize("bound", [0, 1])
def test_a_socket_bound_to_everybody_hears_what_is_sent_to_just_that_address(bound: int) -> None:
    host = ethernet_host()
    addresses = ["10.0.0.255", "255.255.255.255"]
    sock = host.udp((addresses[bound], 5000))
    for destination in addresses:
        host.wire.hears(ether(dst=EVERYBODY) / ip(destination=destination) / datagram(destination.encode()))
    assert sock.recv(99) == addresses[bound].encode()
    assert who_got([sock]) == []


def test_a_socket_is_bound_once() -> None:
    host = raw_host()
    sock = host.udp(("", 5000))
    assert refusal(sock, ("", 5001)) == errno.EINVAL


def test_a_bind_that_failed_may_be_tried_again() -> None:
    host = raw_host()
    other, sock = host.udp(("", 5000)), host.udp()
    assert refusal(sock, ("", 5000)) == errno.EADDRINUSE
    assert sock.getsockname() == ("0.0.0.0", 0)
    other.close()
    sock.bind(("", 5000))
    assert sock.getsockname() == ("0.0.0.0", 5000)


def test_a_closed_socket_frees_its_port() -> None:
    host = raw_host()
    for _ in range(3):
        host.udp(("", 5000)).close()
    assert host.stack.table.datagrams == {}


def test_port_zero_chooses_a_free_port_each_time() -> None:
    host = raw_host()
    ports = {host.udp((OURS, 0)).getsockname()[1] for _ in range(200)}
    assert len(ports) == 200
    assert all(32768 <= port <= 60999 for port in ports)


# ---- the best fit


@rule("RFC 1122 4.1.3.5", "An application may bind to a port on one address or on all of them", code="socket/table.py")
@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_the_socket_that_fits_best_gets_it_whatever_the_order(order: tuple[int, ...]) -> None:
    # Linux compute_score: a peer's address and port count more than an own address
    host = raw_host()
    made: dict[int, DatagramSocket] = {}
    for kind in order:
        made[kind] = reusing(host, (OURS if kind in (1, 3) else "", 5000))
        if kind >= 2:
            made[kind].connect((PEER if kind == 3 else "10.0.0.3", 4000))
    sockets = [made[kind] for kind in range(4)]
    host.wire.hears(ip() / datagram())
    assert who_got(sockets) == [3]
    host.wire.hears(ip("10.0.0.3") / datagram())
    assert who_got(sockets) == [2]
    host.wire.hears(ip("10.0.0.4") / datagram())
    assert who_got(sockets) == [1]
    made[1].close()
    host.wire.hears(ip("10.0.0.4") / datagram())
    assert who_got([made[0]]) == [0]


def test_each_own_address_has_its_own_socket() -> None:
    host = raw_host("10.0.0.1/24", SECOND + "/32")
    sockets = [host.udp((OURS, 5000)), host.udp((SECOND, 5000))]
    host.wire.hears(ip() / datagram())
    assert who_got(sockets) == [0]
    host.wire.hears(ip(destination=SECOND) / datagram())
    assert who_got(sockets) == [1]


def test_the_address_is_what_counts_not_the_interface() -> None:
    # RFC 1122 3.3.4.2, the weak model, as Linux
    host = raw_host()
    host.raw("10.2.0.1/24")
    sock = host.udp(("10.2.0.1", 5000))
    host.wires[0].hears(ip(destination="10.2.0.1") / datagram())
    assert who_got([sock]) == [0]


# ---- broadcast


@pytest.mark.parametrize("destination", ["10.0.0.255", "255.255.255.255"])
def test_a_broadcast_needs_the_option(destination: str) -> None:
    host = ethernet_host()
    sock = host.udp()
    for call in (lambda: sock.sendto(b"x", (destination, 9)), lambda: sock.connect((destination, 9))):
        with pytest.raises(PermissionError) as caught:
            call()
        assert caught.value.errno == errno.EACCES
    assert host.wire.says() == []


@rule("RFC 919 7", "A limited broadcast goes to all in a broadcast frame", code="ethernet/interface.py")
@pytest.mark.parametrize("destination", ["10.0.0.255", "255.255.255.255", "<broadcast>"])
def test_a_broadcast_goes_to_all_without_a_question(destination: str) -> None:
    host = ethernet_host()
    sock = host.udp(("", 5000))
    sock.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
    sock.sendto(b"all", (destination, 9))
    (said,) = host.wire.says()
    assert (said.dst, said.src, said[IP].src) == (EVERYBODY, mac(1), OURS)
    assert said[IP].dst == destination.replace("<broadcast>", "255.255.255.255")
    assert bytes(said[UDP].payload) == b"all"


@pytest.mark.parametrize("destination", ["10.0.0.255", "255.255.255.255"])
def test_a_host_hears_its_own_broadcast(destination: str) -> None:
    # Linux ip_mc_output: a broadcast is looped back to local sockets
    host = ethernet_host()
    listener, sender = host.udp(("", 5000)), host.udp()
    sender.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
    sender.sendto(b"all", (destination, 5000))
    assert who_got([listener]) == [0]


def test_a_broadcast_beyond_a_router_is_an_ordinary_packet() -> None:
    # RFC 919: only the routers there know that it is one
    host = raw_host()
    host.stack.routes.add("default", via=PEER)
    host.udp().sendto(b"x", ("10.5.0.255", 9))
    assert [packet.dst for packet in host.wire.says()] == ["10.5.0.255"]


@rule("RFC 1122 3.3.6", "A broadcast is received as if it were to the host", code="socket/table.py")
@pytest.mark.parametrize("destination", ["10.0.0.255", "255.255.255.255"])
def test_a_broadcast_reaches_every_socket_at_its_port(destination: str) -> None:
    host = ethernet_host()
    sockets = [reusing(host, ("", 5000)), reusing(host, ("", 5000)), host.udp(("", 5001))]
    frame = ether(dst=EVERYBODY) / ip(destination=destination) / datagram(b"all")
    assert host.wire.hears(frame) == []
    assert who_got(sockets) == [0, 1]


def test_a_socket_bound_to_one_address_hears_no_broadcast() -> None:
    host = ethernet_host()
    sock = host.udp((OURS, 5000))
    assert host.wire.hears(ether(dst=EVERYBODY) / ip(destination="10.0.0.255") / datagram()) == []
    assert who_got([sock]) == []


def test_a_connected_socket_hears_no_broadcast_even_of_its_peer() -> None:
    # Linux: connect() has given the socket an own address, which the datagram was not sent to
    host = ethernet_host()
    sock = host.udp(("", 5000))
    sock.connect((PEER, 4000))
    host.wire.hears(ether(dst=EVERYBODY) / ip(destination="255.255.255.255") / datagram())
    assert who_got([sock]) == []


def test_a_datagram_from_port_0_cannot_be_answered() -> None:
    """RFC 768: a source port of zero is none; Linux udp_sendmsg refuses it as a destination."""
    host = raw_host()
    sock = host.udp((OURS, 5000))
    host.wire.hears(ip() / datagram(b"?", sport=0))
    _, nobody = sock.recvfrom(9)
    assert nobody == ("10.0.0.2", 0)
    with pytest.raises(OSError, match="Invalid argument"):
        sock.sendto(b"!", nobody)
