"""IPv6: the same things said in the other family, and what is its own (RFC 8200, 4443, 8201)."""

from __future__ import annotations

import socket
import struct

from support.beside import packets as p
from support.beside.cases import both
from support.beside.packets import ICMPV6, NOP, OURS, PEER, SACK_OK, UDP, mss, timestamps, wscale
from support.beside.states import accepted, connected, listening, syn_sent
from support.beside.talk import Talk

V6 = socket.IPPROTO_IPV6
PLAIN = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0}


def icmp6(kind: int, code: int, rest: bytes, **fields: object) -> bytes:
    """An ICMPv6 message from the peer; rest is what follows the checksum."""
    return p.ip(6, ICMPV6, p.summed(6, ICMPV6, struct.pack("!BBH", kind, code, 0) + rest, 2), **fields)  # type: ignore[arg-type]


@both()
def test_a_listener_answers(t: Talk) -> None:
    listening(t, version=6)
    t.flow(version=6).sends("S")
    t.expect("SA")


@both()
def test_a_listener_answers_all_options(t: Talk) -> None:
    listening(t, version=6)
    t.flow(version=6).sends("S", opts=mss(1440) + SACK_OK + timestamps(100_000, 0) + NOP + wscale(7))
    t.expect("SA")


@both(sysctls=PLAIN)
def test_a_client_connects(t: Talk) -> None:
    sock, flow = connected(t, version=6)
    sock.send(b"request")
    t.expect("PA")
    flow.sends("PA", b"answer")
    t.wait(0.06)
    sock.recv(10)
    sock.close()
    t.wait(0.02)


@both()
def test_a_closed_port_resets(t: Talk) -> None:
    t.flow(version=6).sends("S", seq=100)
    t.flow(4001, version=6).sends("A", seq=100, ack=12345)
    t.wait(0.02)


@both()
def test_segments_fill_the_mtu(t: Talk) -> None:
    sock, flow = accepted(t, version=6, opts=mss(1440))
    sock.send(bytes(4000))
    t.wait(0.02)
    flow.acks()


@both()
def test_without_an_mss_segments_have_536_octets(t: Talk) -> None:
    sock, flow = accepted(t, version=6, opts=b"")
    sock.send(bytes(2000))
    t.wait(0.02)
    flow.acks()


@both()
def test_packet_too_big_sends_smaller_segments(t: Talk) -> None:
    sock, flow = accepted(t, version=6, opts=mss(1440))
    sock.send(bytes(4000))
    t.wait(0.01)
    flow.sends_icmp(2, 0, 1300)
    t.wait(0.02)
    flow.acks()


@both()
def test_packet_too_big_below_1280(t: Talk) -> None:
    sock, flow = accepted(t, version=6, opts=mss(1440))
    sock.send(bytes(1440))
    t.wait(0.01)
    flow.sends_icmp(2, 0, 600)
    t.wait(0.02)
    flow.acks()


@both(sysctls=PLAIN)
def test_port_unreachable_refuses_a_connection(t: Talk) -> None:
    sock, flow = syn_sent(t, version=6)
    flow.sends_icmp(1, 4)
    t.wait(0.02)
    sock.error()


@both(sysctls=PLAIN)
def test_no_route_ends_connecting(t: Talk) -> None:
    sock, flow = syn_sent(t, version=6)
    flow.sends_icmp(1, 0)
    t.wait(0.02)
    sock.error()


@both()
def test_hop_limit_and_traffic_class(t: Talk) -> None:
    sock, flow = accepted(t, version=6)
    sock.set(V6, socket.IPV6_UNICAST_HOPS, 33)
    sock.set(V6, socket.IPV6_TCLASS, 0x28)
    sock.send(b"hello")
    t.wait(0.02)
    flow.acks()


@both()
def test_closing(t: Talk) -> None:
    sock, flow = accepted(t, version=6)
    sock.close()
    t.expect("FA")
    flow.acks()
    flow.sends("FA")
    t.wait(0.06)
    flow.sends("FA", seq=1)
    t.wait(0.06)


@both()
def test_an_echo_is_answered(t: Talk) -> None:
    t.put(icmp6(128, 0, struct.pack("!HH", 7, 1) + b"are you there?"))
    t.put(icmp6(128, 0, struct.pack("!HH", 7, 2), tos=0x28, ttl=1))
    t.wait(0.05)


@both()
def test_a_datagram_comes_and_goes(t: Talk) -> None:
    sock = t.udp(6)
    sock.bind((OURS[6], 53))
    t.flow(4000, 53, 6).sends_datagram(b"question")
    sock.recvfrom(100)
    sock.sendto(b"answer", (PEER[6], 4000))
    t.wait(0.02)


@both()
def test_a_port_where_nobody_is_is_unreachable(t: Talk) -> None:
    t.flow(4000, 9, 6).sends_datagram(b"anybody?")
    t.flow(4000, 9, 6).sends_datagram(bytes(1400))
    t.wait(0.05)


@both()
def test_a_datagram_without_checksum_is_nothing(t: Talk) -> None:
    sock = t.udp(6)
    sock.bind((OURS[6], 53))
    t.put(p.ip(6, UDP, struct.pack("!HHHH", 4000, 53, 12, 0) + b"data"))
    t.wait(0.02)
    sock.recv(10)


@both()
def test_an_unknown_next_header(t: Talk) -> None:
    t.put(p.ip(6, 200, b"whatever this is"))
    t.wait(0.05)


@both()
def test_extension_headers_are_skipped(t: Talk) -> None:
    echo = p.summed(6, ICMPV6, struct.pack("!BBHHH", 128, 0, 0, 7, 1), 2)
    padding = b"\x01\x04\0\0\0\0"
    t.put(p.ip(6, 60, bytes((ICMPV6, 0)) + padding + echo))
    t.put(p.ip(6, 0, bytes((60, 0)) + padding + bytes((ICMPV6, 0)) + padding + echo))
    t.wait(0.05)


@both()
def test_an_option_that_must_be_known(t: Talk) -> None:
    echo = p.summed(6, ICMPV6, struct.pack("!BBHHH", 128, 0, 0, 7, 1), 2)
    for kind in (0x3E, 0x7E, 0xBE, 0xFE):
        t.put(p.ip(6, 60, bytes((ICMPV6, 0, kind, 4, 0, 0, 0, 0)) + echo))
    t.wait(0.05)


@both()
def test_a_long_datagram_is_sent_in_fragments(t: Talk) -> None:
    sock = t.udp(6)
    sock.bind((OURS[6], 53))
    sock.sendto(bytes(4000), (PEER[6], 4000))
    t.wait(0.02)


@both()
def test_fragments_are_put_together(t: Talk) -> None:
    sock = t.udp(6)
    sock.bind((OURS[6], 53))
    data = bytes(range(200)) * 10
    whole = p.summed(6, UDP, struct.pack("!HHHH", 4000, 53, 8 + len(data), 0) + data, 6)
    t.put(
        p.ip(6, 44, struct.pack("!BBHI", UDP, 0, 1, 99) + whole[:800]),
        p.ip(6, 44, struct.pack("!BBHI", UDP, 0, 800, 99) + whole[800:]),
    )
    sock.recv(4000)


@both()
def test_a_dual_stack_listener_hears_both_families(t: Talk) -> None:
    listener = t.tcp(6)
    listener.bind(("::", 80))
    listener.listen(5)
    for version in (4, 6):
        flow = t.flow(4000 + version, 80, version)
        flow.sends("S", opts=mss(1000))
        t.expect("SA")
        flow.acks()
        listener.accept()


@both()
def test_ipv6_v6only_hears_one_family(t: Talk) -> None:
    listener = t.tcp(6)
    listener.set(V6, socket.IPV6_V6ONLY, 1)
    listener.bind(("::", 80))
    listener.listen(5)
    t.flow(4000, 80, 4).sends("S", opts=mss(1000))
    t.wait(0.02)
