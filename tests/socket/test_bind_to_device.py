"""SO_BINDTODEVICE: a socket that uses one interface alone (socket(7))."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.packet import Packet

from aionetflow.socket.base import Socket
from aionetflow.socket.options import SO_BINDTODEVICE, SO_REUSEADDR, SOL_SOCKET
from support.lan import ISS, Host, back, datagram, ip

HERE = ("10.0.0.1/24", "10.0.1.1/24")  # of tun0 and tun1


def two_wires() -> Host:
    host = Host()
    for address in HERE:
        host.raw(address)
    return host


def bound(sock: Socket, name: str) -> Socket:
    sock.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, name.encode())
    return sock


def syn(destination: str, port: int = 4000, source: str = "10.0.9.9") -> Packet:
    return ip(source, destination) / TCP(sport=port, dport=80, flags="S", seq=ISS)


def test_the_option_tells_the_interface() -> None:
    host = two_wires()
    sock = host.tcp()
    assert sock.getsockopt(SOL_SOCKET, SO_BINDTODEVICE, 16) == b""
    bound(sock, "tun1\0")
    assert sock.getsockopt(SOL_SOCKET, SO_BINDTODEVICE, 16) == b"tun1\0"
    bound(sock, "")
    assert sock.getsockopt(SOL_SOCKET, SO_BINDTODEVICE, 16) == b""
    with pytest.raises(OSError, match="No such device") as caught:
        bound(sock, "eth7")
    assert caught.value.errno == errno.ENODEV


def test_what_is_sent_leaves_by_the_interface_whatever_the_routes_say() -> None:
    host = two_wires()
    sock = host.udp()
    sock.sendto(b"by route", ("10.0.0.2", 9))
    bound(sock, "tun1")
    sock.sendto(b"by interface", ("10.0.0.2", 9))
    assert [bytes(packet[UDP].payload) for packet in host.wires[0].says()] == [b"by route"]
    (packet,) = host.wires[1].says()
    assert (packet.src, bytes(packet[UDP].payload)) == ("10.0.1.1", b"by interface")


def test_a_connection_begins_and_goes_on_by_the_interface() -> None:
    host = two_wires()
    sock = host.tcp()
    bound(sock, "tun1")
    host.connecting(("10.0.0.2", 80), sock)
    (packet,) = host.wires[1].says()
    assert packet.src == "10.0.1.1"
    host.clock.advance(3)
    assert [len(wire.says()) for wire in host.wires] == [0, 2]


@pytest.mark.parametrize("order", [("tun0", "tun1"), ("tun1", "tun0")])
def test_listeners_on_two_interfaces_share_a_port(order: tuple[str, str]) -> None:
    host = two_wires()
    listeners = {}
    for name in order:
        sock = host.tcp()
        bound(sock, name)
        sock.bind(("", 80))
        sock.listen(5)
        listeners[name] = sock
    for number, name in enumerate(("tun0", "tun1")):
        wire = host.wires[number]
        (said,) = wire.hears(syn("10.0.0.1"))
        wire.hears(back(said, TCP(flags="A", seq=(ISS + 1) & 0xFFFFFFFF)))
        accepted = listeners[name].accept()[0]
        assert accepted.getsockopt(SOL_SOCKET, SO_BINDTODEVICE, 16) == name.encode() + b"\0"
        accepted.close()
        wire.says()
        host.clock.advance(200)


def test_the_socket_of_the_interface_is_preferred_to_one_of_all() -> None:
    host = two_wires()
    datagrams = [host.udp(), host.udp()]
    for sock, name in zip(datagrams, ("", "tun1"), strict=True):
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        bound(sock, name)
        sock.bind(("", 5000))
    host.wires[1].hears(ip("10.0.1.2", "10.0.1.1") / datagram(b"near"))
    host.wires[0].hears(ip("10.0.0.2", "10.0.1.1") / datagram(b"far"))
    assert [sock.recv(10) for sock in datagrams] == [b"far", b"near"]


def test_what_comes_by_another_interface_finds_nobody() -> None:
    host = two_wires()
    sock = host.tcp()
    bound(sock, "tun1")
    sock.bind(("", 80))
    sock.listen(5)
    (said,) = host.wires[0].hears(syn("10.0.1.1", source="10.0.0.2"))
    assert str(said[TCP].flags) == "RA"


def test_an_interface_that_is_down_leads_nowhere() -> None:
    host = two_wires()
    sock = host.udp()
    bound(sock, "tun1")
    host.stack.set_up(host.wires[1].interface, False)
    with pytest.raises(OSError, match="unreachable") as caught:
        sock.sendto(b"?", ("10.0.1.2", 9))
    assert caught.value.errno == errno.ENETUNREACH
