"""UDP, ICMP and IP itself: replies, errors, fragments."""

from __future__ import annotations

import socket
import struct

from support.beside import packets as p
from support.beside.cases import both
from support.beside.packets import ICMP, OURS, PEER, UDP
from support.beside.talk import Sock, Talk

IP = socket.IPPROTO_IP
BROADCAST = "10.0.0.255"
IP_RECVERR = 11


def icmp(kind: int, code: int, rest: bytes, **fields: object) -> bytes:
    """An ICMP message from the peer; rest is what follows the checksum."""
    body = struct.pack("!BBH", kind, code, 0) + rest
    body = body[:2] + struct.pack("!H", p.checksum(body)) + body[4:]
    return p.ip(4, ICMP, body, **fields)  # type: ignore[arg-type]


def bound(t: Talk, port: int = 53) -> Sock:
    """A datagram socket on a port."""
    sock = t.udp()
    sock.bind((OURS[4], port))
    return sock


# ---- ICMP


@both()
def test_an_echo_is_answered(t: Talk) -> None:
    t.put(icmp(8, 0, struct.pack("!HH", 7, 1) + b"are you there?"))
    t.put(icmp(8, 0, struct.pack("!HH", 7, 2), tos=0x28, ttl=1))
    t.put(icmp(8, 0, struct.pack("!HH", 7, 3) + bytes(1400)))
    t.wait(0.05)


@both()
def test_an_echo_to_all_is_not_answered(t: Talk) -> None:
    t.put(icmp(8, 0, struct.pack("!HH", 7, 1), destination=BROADCAST))
    t.put(icmp(8, 0, struct.pack("!HH", 7, 1), destination="255.255.255.255"))
    t.wait(0.05)


@both()
def test_an_echo_with_a_bad_checksum_is_not_answered(t: Talk) -> None:
    packet = bytearray(icmp(8, 0, struct.pack("!HH", 7, 1)))
    packet[22] ^= 1
    t.put(bytes(packet))
    t.wait(0.05)


@both()
def test_a_timestamp_request_is_answered_by_the_time_of_day(t: Talk) -> None:
    t.put(icmp(13, 0, struct.pack("!HHIII", 7, 1, 1000, 0, 0)))
    t.wait(0.05)


@both()
def test_other_requests_are_not_answered(t: Talk) -> None:
    for kind in (10, 15, 17, 37, 42):
        t.put(icmp(kind, 0, struct.pack("!HHI", 7, 1, 0)))
    t.wait(0.05)


@both()
def test_an_unknown_protocol_is_unreachable(t: Talk) -> None:
    t.put(p.ip(4, 200, b"whatever this is"))
    t.wait(0.05)


@both()
def test_errors_are_not_answered_with_errors(t: Talk) -> None:
    udp = p.summed(4, UDP, struct.pack("!HHHH", 4000, 9, 8, 0), 6)
    t.put(icmp(3, 3, bytes(4) + p.ip(4, UDP, udp, OURS[4], PEER[4])))
    t.wait(0.05)


# ---- UDP


@both()
def test_a_datagram_comes_and_goes(t: Talk) -> None:
    sock = bound(t)
    flow = t.flow(4000, 53)
    flow.sends_datagram(b"question")
    sock.events()
    sock.recvfrom(100)
    sock.sendto(b"answer", (PEER[4], 4000))
    t.wait(0.02)


@both()
def test_a_port_where_nobody_is_is_unreachable(t: Talk) -> None:
    t.flow(4000, 9).sends_datagram(b"anybody?")
    t.flow(4000, 9).sends_datagram(bytes(1200))
    t.wait(0.05)


@both()
def test_a_datagram_to_all_where_nobody_is_is_nothing(t: Talk) -> None:
    body = struct.pack("!HHHH", 4000, 9, 12, 0) + b"data"
    t.put(p.ip(4, UDP, p.summed(4, UDP, body, 6, PEER[4], BROADCAST), PEER[4], BROADCAST))
    t.wait(0.05)


@both()
def test_a_bad_checksum_of_a_datagram_is_nothing(t: Talk) -> None:
    sock = bound(t)
    t.put(p.ip(4, UDP, struct.pack("!HHHH", 4000, 53, 12, 0x1234) + b"data"))
    t.wait(0.02)
    sock.recv(10)


@both()
def test_a_datagram_without_checksum_is_taken(t: Talk) -> None:
    sock = bound(t)
    t.put(p.ip(4, UDP, struct.pack("!HHHH", 4000, 53, 12, 0) + b"data"))
    sock.recv(10)


@both()
def test_a_wrong_length_of_a_datagram_is_nothing(t: Talk) -> None:
    sock = bound(t)
    t.put(p.ip(4, UDP, struct.pack("!HHHH", 4000, 53, 20, 0) + b"data"))
    t.put(p.ip(4, UDP, struct.pack("!HHHH", 4000, 53, 7, 0) + b"data"))
    t.put(p.ip(4, UDP, struct.pack("!HHHH", 4000, 53, 10, 0) + b"data"))
    t.wait(0.02)
    sock.recv(10)
    sock.recv(10)


@both()
def test_a_connected_socket_hears_that_the_port_is_unreachable(t: Talk) -> None:
    sock = bound(t)
    sock.connect((PEER[4], 4000))
    flow = t.flow(4000, 53)
    sock.send(b"anybody?")
    t.expect()
    flow.sends_icmp(3, 3)
    t.wait(0.02)
    sock.events()
    sock.send(b"again")
    sock.send(b"again")


@both()
def test_an_unconnected_socket_does_not_hear_it(t: Talk) -> None:
    sock = bound(t)
    flow = t.flow(4000, 53)
    sock.sendto(b"anybody?", (PEER[4], 4000))
    t.expect()
    flow.sends_icmp(3, 3)
    t.wait(0.02)
    sock.events()
    sock.error()


@both()
def test_an_unconnected_socket_hears_it_with_ip_recverr(t: Talk) -> None:
    sock = bound(t)
    sock.set(IP, IP_RECVERR, 1)
    flow = t.flow(4000, 53)
    sock.sendto(b"anybody?", (PEER[4], 4000))
    t.expect()
    flow.sends_icmp(3, 3)
    t.wait(0.02)
    sock.events()
    sock.error()
    sock.sendto(b"again", (PEER[4], 4000))


@both()
def test_host_unreachable_is_soft_for_a_connected_socket(t: Talk) -> None:
    sock = bound(t)
    sock.connect((PEER[4], 4000))
    flow = t.flow(4000, 53)
    sock.send(b"anybody?")
    t.expect()
    flow.sends_icmp(3, 1)
    t.wait(0.02)
    sock.events()
    sock.error()


@both()
def test_a_connected_socket_hears_its_peer_alone(t: Talk) -> None:
    sock = bound(t)
    sock.connect((PEER[4], 4000))
    t.flow(4001, 53).sends_datagram(b"stranger")
    t.flow(4000, 53).sends_datagram(b"friend")
    t.wait(0.02)
    sock.recv(100)
    sock.recv(100)


@both()
def test_a_datagram_is_cut_off(t: Talk) -> None:
    sock = bound(t)
    t.flow(4000, 53).sends_datagram(b"0123456789")
    sock.recv(4)
    sock.recv(4)


@both()
def test_ttl_and_tos_of_datagrams(t: Talk) -> None:
    sock = bound(t)
    sock.set(IP, socket.IP_TTL, 5)
    sock.set(IP, socket.IP_TOS, 0x28)
    sock.sendto(b"hello", (PEER[4], 4000))
    t.wait(0.02)


@both()
def test_an_empty_datagram(t: Talk) -> None:
    sock = bound(t)
    t.flow(4000, 53).sends_datagram(b"")
    sock.recvfrom(10)
    sock.sendto(b"", (PEER[4], 4000))
    t.wait(0.02)


@both()
def test_broadcasting_must_be_allowed(t: Talk) -> None:
    sock = bound(t)
    sock.sendto(b"all", (BROADCAST, 4000))
    sock.set(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.sendto(b"all", (BROADCAST, 4000))
    t.wait(0.02)


# ---- fragments


@both()
def test_a_long_datagram_is_sent_in_fragments(t: Talk) -> None:
    bound(t).sendto(bytes(4000), (PEER[4], 4000))
    t.wait(0.02)


@both()
def test_a_datagram_may_be_too_long(t: Talk) -> None:
    sock = bound(t)
    sock.sendto(bytes(65_507), (PEER[4], 4000))
    sock.sendto(bytes(65_508), (PEER[4], 4000))
    t.wait(0.02)


@both()
def test_with_df_a_long_datagram_is_refused(t: Talk) -> None:
    sock = bound(t)
    sock.set(IP, 10, 2)  # IP_MTU_DISCOVER: IP_PMTUDISC_DO
    sock.sendto(bytes(1472), (PEER[4], 4000))
    sock.sendto(bytes(1473), (PEER[4], 4000))
    t.wait(0.02)


@both()
def test_a_smaller_path_for_datagrams(t: Talk) -> None:
    sock = bound(t)
    flow = t.flow(4000, 53)
    sock.sendto(bytes(1400), (PEER[4], 4000))
    t.expect()
    flow.sends_icmp(3, 4, 1000)
    t.wait(0.02)
    sock.sendto(bytes(1400), (PEER[4], 4000))
    t.wait(0.02)


def pieces(data: bytes, *cuts: int, ident: int = 99) -> list[bytes]:
    """A UDP datagram to port 53, as fragments cut at these offsets."""
    whole = p.summed(4, UDP, struct.pack("!HHHH", 4000, 53, 8 + len(data), 0) + data, 6)
    ends = [*cuts, len(whole)]
    starts = [0, *cuts]
    return [
        p.ip(4, UDP, whole[start:end], ident=ident, fragment=start // 8 | (0x2000 if end < len(whole) else 0))
        for start, end in zip(starts, ends, strict=True)
    ]


@both()
def test_fragments_are_put_together(t: Talk) -> None:
    sock = bound(t)
    t.put(*pieces(bytes(range(200)) * 10, 800, 1600))
    sock.recv(4000)


@both()
def test_fragments_may_come_in_any_order(t: Talk) -> None:
    sock = bound(t)
    first, second, third = pieces(bytes(range(200)) * 10, 800, 1600)
    t.put(third, first)
    t.wait(0.02)
    sock.recv(4000)
    t.put(second)
    sock.recv(4000)


@both()
def test_fragments_that_overlap_are_thrown_away(t: Talk) -> None:
    sock = bound(t)
    first, second = pieces(bytes(range(200)) * 10, 800)
    _, overlapping = pieces(bytes(range(200)) * 10, 792)
    t.put(first, overlapping)
    t.wait(0.02)
    t.put(second)
    sock.recv(4000)


@both()
def test_a_repeated_fragment_does_no_harm(t: Talk) -> None:
    sock = bound(t)
    first, second = pieces(bytes(range(200)) * 10, 800)
    t.put(first, first, second)
    sock.recv(4000)


@both(sysctls={"net.ipv4.ipfrag_time": 1})
def test_fragments_that_stay_alone_are_reported(t: Talk) -> None:
    first, _ = pieces(bytes(range(200)) * 10, 800)
    t.put(first)
    t.wait(1.5)


@both(sysctls={"net.ipv4.ipfrag_time": 1})
def test_without_the_first_fragment_nothing_is_reported(t: Talk) -> None:
    _, second = pieces(bytes(range(200)) * 10, 800)
    t.put(second)
    t.wait(1.5)


@both()
def test_a_fragment_of_odd_length_is_cut_to_eights(t: Talk) -> None:
    sock = bound(t)
    whole = p.summed(4, UDP, struct.pack("!HHHH", 4000, 53, 108, 0) + bytes(100), 6)
    t.put(p.ip(4, UDP, whole[:50], ident=5, fragment=0x2000), p.ip(4, UDP, whole[48:], ident=5, fragment=6))
    t.wait(0.02)
    sock.recv(200)


# ---- IP


@both()
def test_headers_that_are_wrong_are_nothing(t: Talk) -> None:
    echo = icmp(8, 0, struct.pack("!HH", 7, 1))
    for at, value in ((0, 0x44), (0, 0x55), (2, 0xFF), (10, 0x12)):
        packet = bytearray(echo)
        packet[at] = value
        t.put(bytes(packet))
    t.put(echo[:19])
    t.wait(0.02)


@both(differs="Linux answers who says to be all of a network; RFC 1122 3.2.1.3 (d) has it that nobody is")
def test_addresses_that_cannot_be_are_nothing(t: Talk) -> None:
    for source in ("127.0.0.1", "255.255.255.255", "224.0.0.1", OURS[4], "10.0.0.255", "0.0.0.0"):
        t.put(icmp(8, 0, struct.pack("!HH", 7, 1), source=source))
    t.put(icmp(8, 0, struct.pack("!HH", 7, 1), destination="127.0.0.1"))
    t.put(icmp(8, 0, struct.pack("!HH", 7, 1), destination="10.0.0.9"))
    t.wait(0.02)


@both()
def test_octets_behind_the_packet_do_not_count(t: Talk) -> None:
    t.put(icmp(8, 0, struct.pack("!HH", 7, 1) + b"x") + b"trailer")
    t.wait(0.02)
