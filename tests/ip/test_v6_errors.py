"""ICMPv6 errors that come in, and what the socket that they concern hears (RFC 4443 3, RFC 8201, RFC 5927).

The errno of each code, and whether it is fatal, are Linux's icmpv6_err_convert.
"""

from __future__ import annotations

import errno
from contextlib import suppress

import pytest
from scapy.layers.inet import TCP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw

from aionetflow.ip.address import AF_INET6
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SO_ERROR, SOCK_DGRAM, SOL_SOCKET
from aionetflow.socket.stream import StreamSocket
from support.lan import ISS, Host, checksum
from support.lan6 import OURS6, PEER6, frame6, knowing, meet, tcp6, udp6
from support.rules import rule

E = errno
UNREACHABLE = [
    (E.ENETUNREACH, False), (E.EACCES, True), (E.EHOSTUNREACH, False), (E.EHOSTUNREACH, False),
    (E.ECONNREFUSED, True), (E.EACCES, True), (E.EACCES, True),
]  # fmt: skip
EVERY = [
    *((1, code, name, fatal) for code, (name, fatal) in enumerate(UNREACHABLE)),
    (3, 0, E.EHOSTUNREACH, False), (4, 0, E.EPROTO, True),
]  # fmt: skip


def error6(about: Packet, kind: int, code: int = 0, info: int = 0, source: str = PEER6) -> Packet:
    """What a router says of a packet of the host's, all of which is quoted."""
    packet = about[IPv6]
    message = bytes((kind, code, 0, 0)) + info.to_bytes(4, "big") + bytes(packet)[:1232]
    header = IPv6(src=source, dst=packet.src, nh=58)
    pseudo = bytes(header)[8:40] + len(message).to_bytes(4, "big") + bytes((0, 0, 0, 58))
    check = checksum(pseudo + message)
    return frame6(src=source, dst=packet.src, nh=58) / Raw(message[:2] + check + message[4:])


def so_error(sock: StreamSocket | DatagramSocket) -> int:
    value = sock.getsockopt(SOL_SOCKET, SO_ERROR)
    assert isinstance(value, int)
    return value


def sending(host: Host, *, connect: bool = True, target: str = PEER6) -> tuple[DatagramSocket, Packet]:
    """A datagram socket that has just sent to the peer, and what it sent."""
    sock = udp6(host)
    if connect:
        sock.connect((target, 9, 0, 2))
    sock.sendto(b"x", (target, 9, 0, 2))
    (packet,) = host.wire.says()
    return sock, packet


def connecting(host: Host) -> tuple[StreamSocket, Packet]:
    sock = tcp6(host)
    with suppress(BlockingIOError):
        sock.connect((PEER6, 80))
    (syn,) = host.wire.says()
    return sock, syn


def in_flight(host: Host, size: int = 4, mss: int = 1440) -> tuple[StreamSocket, list[Packet]]:
    """A connection with data on their way, and their segments."""
    sock, syn = connecting(host)
    tcp = syn[TCP]
    host.wire.hears(
        frame6()
        / TCP(sport=80, dport=tcp.sport, flags="SA", seq=ISS, ack=tcp.seq + 1, options=[("MSS", mss)], window=65535)
    )  # fmt: skip
    sock.connect((PEER6, 80))
    sock.send(bytes(size))
    return sock, host.wire.says()


@rule("RFC 4443 3", "A connected datagram socket hears of what is final, as Linux's errno", code="ip/icmpv6.py")
@pytest.mark.parametrize(("kind", "code", "name", "fatal"), EVERY)
def test_a_connected_datagram_socket_hears_what_is_final(kind: int, code: int, name: int, fatal: bool) -> None:
    host = knowing()
    sock, packet = sending(host)
    assert host.wire.hears(error6(packet, kind, code)) == []
    assert so_error(sock) == (name if fatal else 0)


def test_an_echo_socket_hears_of_its_request() -> None:
    host = knowing()
    sock = host.stack.socket(AF_INET6, SOCK_DGRAM, protocol=58)
    assert isinstance(sock, DatagramSocket)
    sock.connect((PEER6, 0))
    sock.send(bytes((128, 0, 0, 0, 0, 0, 0, 1)))
    (packet,) = host.wire.says()
    assert host.wire.hears(error6(packet, 1, 4)) == []
    assert so_error(sock) == errno.ECONNREFUSED


def test_one_that_is_not_connected_hears_nothing() -> None:
    host = knowing()
    sock, packet = sending(host, connect=False)
    host.wire.hears(error6(packet, 1, 4))
    assert so_error(sock) == 0


@rule("RFC 4007 6", "An error about a packet to a link-local address concerns the socket on that link",
      code="ip/icmpv6.py")  # fmt: skip
def test_an_error_about_a_link_local_address_finds_its_socket() -> None:
    host = knowing()
    meet(host.wire, 2, "fe80::2")
    sock, packet = sending(host, target="fe80::2")
    host.wire.hears(error6(packet, 1, 4, source="fe80::2"))
    assert so_error(sock) == E.ECONNREFUSED


@rule("RFC 1122 4.2.3.9", "An error ends a handshake over IPv6 with its errno", code="ip/icmpv6.py")
@pytest.mark.parametrize(("kind", "code", "name", "fatal"), EVERY)
def test_a_handshake_ends(kind: int, code: int, name: int, fatal: bool) -> None:
    host = knowing()
    sock, syn = connecting(host)
    host.wire.hears(error6(syn, kind, code))
    assert so_error(sock) == name


@rule("RFC 5927 4.2", "An error about a connection that stands is only remembered", code="ip/icmpv6.py")
@pytest.mark.parametrize(("kind", "code", "name", "fatal"), EVERY)
def test_a_connection_that_stands_goes_on(kind: int, code: int, name: int, fatal: bool) -> None:
    host = knowing()
    sock, (segment, *_) = in_flight(host)
    host.wire.hears(error6(segment, kind, code))
    assert (so_error(sock), sock.state_name()) == (name, "ESTAB")


@rule("RFC 8201 4", "Packet too big makes TCP's segments fit the MTU, and what was refused is sent again",
      code="ip/icmpv6.py")  # fmt: skip
def test_packet_too_big_makes_segments_smaller() -> None:
    host = knowing()
    sock, segments = in_flight(host, 4000)
    assert len(segments[0][IPv6]) == 1500
    said = host.wire.hears(error6(segments[0], 2, info=1400))
    assert sock.max_segment() == 1400 - 60
    assert [len(frame[IPv6]) for frame in said] == [1400, 1400, 4000 - 2 * 1340 + 60]
    assert said[0][TCP].seq == segments[0][TCP].seq


@rule("RFC 8201 4", "An MTU below 1280 is not believed", code="ip/icmpv6.py")
@pytest.mark.parametrize("mtu", [0, 68, 1279])
def test_an_mtu_below_the_least_is_not_believed(mtu: int) -> None:
    host = knowing()
    sock, segments = in_flight(host, 4000)
    assert host.wire.hears(error6(segments[0], 2, info=mtu)) == []
    assert sock.max_segment() == 1440


@rule("RFC 5927 4.1", "An error that quotes numbers which are not in flight is not believed", code="socket/demux.py")
def test_an_error_about_other_numbers_is_not_believed() -> None:
    host = knowing()
    sock, segments = in_flight(host, 4000)
    lie = segments[0].copy()
    lie[TCP].seq = (lie[TCP].seq + 100_000) % 2**32
    host.wire.hears(error6(lie, 2, info=1300))
    assert sock.max_segment() == 1440


@rule("RFC 9293 3.7.1", "A peer that names no MSS takes 1220 octets over IPv6", code="tcp/handshake.py")
def test_a_peer_that_names_no_mss() -> None:
    host = knowing()
    sock, syn = connecting(host)
    tcp = syn[TCP]
    host.wire.hears(frame6() / TCP(sport=80, dport=tcp.sport, flags="SA", seq=ISS, ack=tcp.seq + 1, window=65535))
    sock.connect((PEER6, 80))
    assert sock.max_segment() == 1220


@pytest.mark.parametrize("size", [0, 39, 40, 47])
def test_a_quote_that_says_nothing_is_counted(size: int) -> None:
    host = knowing()
    _, packet = sending(host)
    short = IPv6(bytes(packet[IPv6])[:size]) if size >= 40 else Raw(bytes(packet[IPv6])[:size])
    message = bytes((1, 4, 0, 0, 0, 0, 0, 0)) + bytes(short)
    pseudo = bytes(IPv6(src=PEER6, dst=OURS6))[8:40] + len(message).to_bytes(4, "big") + bytes((0, 0, 0, 58))
    host.wire.hears(frame6(nh=58) / Raw(message[:2] + checksum(pseudo + message) + message[4:]))
    assert host.stack.stats.icmp6.InErrors == 1


def test_an_error_reaches_through_the_extension_headers_of_the_quote() -> None:
    host = knowing()
    sock, packet = sending(host)
    inner = bytes(packet[IPv6])
    options = bytes((17, 0, 1, 4, 0, 0, 0, 0))
    quoted = inner[:4] + (len(inner) - 40 + 8).to_bytes(2, "big") + b"\x3c" + inner[7:40] + options + inner[40:]
    host.wire.hears(error6(IPv6(quoted), 1, 4))
    assert so_error(sock) == E.ECONNREFUSED
