"""Finding the MTU of a path whose routers tell none (RFC 4821): net.ipv4.tcp_mtu_probing, in both its ways."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.packets import NOP, SACK_OK, mss, timestamps
from support.beside.states import accepted, connected, syn_sent
from support.beside.talk import Talk

TCP = socket.IPPROTO_TCP
PLAIN = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0, "net.ipv4.tcp_early_retrans": 0}
ALWAYS = PLAIN | {"net.ipv4.tcp_mtu_probing": 2}
SACK = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_early_retrans": 0, "net.ipv4.tcp_mtu_probing": 2}
STAMPED = {"net.ipv4.tcp_early_retrans": 0, "net.ipv4.tcp_mtu_probing": 2}
UNREACHABLE = 3
PUSHES = ("flags",)  # Linux marks by PSH where what was in its buffer together ends
BLACK_HOLE = PLAIN | {"net.ipv4.tcp_mtu_probing": 1}


@both(sysctls=ALWAYS)
def test_who_connects_begins_with_short_segments(t: Talk) -> None:
    sock, flow = connected(t, opts=mss(1460))
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    sock.send(bytes(3 * 1024))
    t.wait(0.02)
    flow.acks()


@both(sysctls=ALWAYS)
def test_who_accepts_begins_with_long_ones(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    sock.send(bytes(3 * 1460))
    t.wait(0.02)
    flow.acks()


@both(sysctls=ALWAYS, ignored=PUSHES)
def test_a_probe_that_arrives_makes_segments_longer(t: Talk) -> None:
    sock, flow = connected(t, opts=mss(1460))
    sock.send(bytes(16 * 1024 + 1242))
    for _ in range(2):
        t.wait(0.02)
        flow.acks()
        sock.getsockopt(TCP, socket.TCP_MAXSEG)


@both(sysctls=ALWAYS, ignored=PUSHES)
def test_a_probe_of_who_accepts_makes_them_shorter(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(15 * 1460 + 1242))
    for _ in range(2):
        t.wait(0.02)
        flow.acks()
        sock.getsockopt(TCP, socket.TCP_MAXSEG)


@both(sysctls=ALWAYS, ignored=PUSHES)
def test_a_probe_that_is_lost_goes_again_in_short_segments(t: Talk) -> None:
    sock, flow = connected(t, opts=mss(1460))
    sock.send(bytes(36 * 1024))
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)
    for _ in range(4):
        flow.sends("A", ack=1 + 10 * 1024)
    t.wait(0.02)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    flow.acks()
    t.wait(0.02)


@both(sysctls=SACK, ignored=PUSHES)
def test_a_probe_that_is_lost_is_told_by_sack(t: Talk) -> None:
    sock, flow = connected(t, opts=mss(1460) + SACK_OK + NOP * 2)
    sock.send(bytes(36 * 1024))
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)
    behind = 1 + 10 * 1024 + 1242
    for count in range(1, 5):
        flow.sends("A", ack=1 + 10 * 1024, sack=[(behind, behind + count * 1024)])
    t.wait(0.02)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    flow.acks()
    t.wait(0.02)


@both(sysctls=STAMPED, ignored=PUSHES)
def test_timestamps_count_as_headers(t: Talk) -> None:
    sock, flow = syn_sent(t)
    t.wait(0.02)
    flow.sends("SA", opts=mss(1460) + SACK_OK + timestamps(t.stamp(), flow.echo))
    t.expect("A")
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    sock.send(bytes(16 * 1024 + 1236))
    for _ in range(2):
        t.wait(0.02)
        flow.acks()
        sock.getsockopt(TCP, socket.TCP_MAXSEG)


@both(sysctls=ALWAYS, ignored=PUSHES)
def test_over_ipv6(t: Talk) -> None:
    sock, flow = connected(t, opts=mss(1440), version=6)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    sock.send(bytes(16 * 1024 + 1232))
    for _ in range(2):
        t.wait(0.02)
        flow.acks()
        sock.getsockopt(TCP, socket.TCP_MAXSEG)


@both(sysctls=ALWAYS, ignored=PUSHES, differs="Linux's window is of segments: the second half of the probe waits")
def test_a_router_tells_of_a_probe(t: Talk) -> None:
    sock, flow = connected(t, opts=mss(1460))
    sock.send(bytes(36 * 1024))
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)
    probe = next(packet for packet in flow.raw if len(packet) == 1282)
    flow.sends_icmp(UNREACHABLE, 4, 1200, quoted=probe)
    t.wait(0.02)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    flow.acks()
    t.wait(0.02)


@both(sysctls=ALWAYS)
def test_a_router_tells_less_than_a_search_began_with(t: Talk) -> None:
    sock, flow = connected(t, opts=mss(1460))
    sock.send(bytes(1024))
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 4, 800)
    t.wait(0.02)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    flow.acks()


@both(sysctls=ALWAYS)
def test_a_search_meets_a_black_hole(t: Talk) -> None:
    sock, _ = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(5)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)


@both(sysctls=BLACK_HOLE | {"net.ipv4.tcp_base_mss": 700})
def test_in_a_black_hole_segments_are_halved(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(12)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    flow.acks()


@both(sysctls=BLACK_HOLE | {"net.ipv4.tcp_mtu_probe_floor": 900})
def test_they_are_not_shorter_than_the_floor(t: Talk) -> None:
    sock, _ = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(8)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
