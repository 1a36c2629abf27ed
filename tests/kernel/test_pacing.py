"""Data that leave at a rate: SO_MAX_PACING_RATE without a queueing discipline that paces (Linux tcp_pacing_check)."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.packets import NOP, SACK_OK, mss
from support.beside.states import accepted
from support.beside.talk import Flow, Sock, Talk

# One segment at a time: so it is on the device that the kernel has here.
PLAIN = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0, "net.ipv4.tcp_min_tso_segs": 1}
SO_MAX_PACING_RATE = 47
RATE = 20_000  # octets per second: a segment in 50 ms


def paced(t: Talk, rate: int = RATE) -> tuple[Sock, Flow]:
    """An accepted connection to be paced, of which ten segments have left and are acknowledged."""
    sock, flow = accepted(t, opts=mss(1000))
    sock.set(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)
    sock.send(bytes(10_000))
    t.wait(0.02)
    flow.acks()
    return sock, flow


@both(sysctls=PLAIN)
def test_segments_leave_one_by_one(t: Talk) -> None:
    sock, flow = paced(t)
    t.wait(0.1)
    for _ in range(2):
        sock.send(bytes(4000))
        t.wait(0.19)
        flow.acks()
        t.wait(0.1)


@both(sysctls=PLAIN)
def test_the_rate_may_change(t: Talk) -> None:
    sock, flow = paced(t)
    for rate in (RATE // 2, 2 * RATE):
        t.wait(0.3)
        sock.set(socket.SOL_SOCKET, SO_MAX_PACING_RATE, rate)
        flow.sends("A")
        sock.send(bytes(3000))
        t.wait(0.21)
        flow.acks()


@both(sysctls=PLAIN)
def test_the_fin_waits_for_its_time(t: Talk) -> None:
    sock, flow = paced(t)
    t.wait(0.2)
    sock.send(bytes(2000))
    sock.shutdown(socket.SHUT_WR)
    t.wait(0.15)
    flow.acks()


@both(sysctls=PLAIN)
def test_the_option_is_told(t: Talk) -> None:
    sock, _ = paced(t)
    sock.getsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE)


@both(sysctls=PLAIN)
def test_what_a_time_out_asks_for_does_not_wait(t: Talk) -> None:
    sock, flow = paced(t, rate=2000)
    t.wait(0.3)
    sock.send(bytes(2000))
    t.wait(0.4)
    flow.acks()
    t.wait(0.6)


@both(sysctls={"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_min_tso_segs": 1})
def test_what_is_lost_is_sent_again_at_the_rate(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1000) + SACK_OK + NOP * 2)
    sock.set(socket.SOL_SOCKET, SO_MAX_PACING_RATE, RATE)
    sock.send(bytes(10_000))
    t.wait(0.02)
    for count in range(1, 6):
        flow.sends("A", ack=1, sack=[(5001, 5001 + count * 1000)])
    t.wait(0.25)
    flow.acks()


@both(sysctls=PLAIN)
def test_the_rate_follows_from_the_window(t: Talk) -> None:
    """What was paced once stays so: twice ten segments in a round trip of 100 ms."""
    sock, flow = accepted(t, opts=mss(1000), rtt=0.1)
    sock.set(socket.SOL_SOCKET, SO_MAX_PACING_RATE, 1_000_000)
    sock.set(socket.SOL_SOCKET, SO_MAX_PACING_RATE, -1)
    sock.send(bytes(10_000))
    t.wait(0.1)
    flow.acks()
    t.wait(0.1)
    sock.send(bytes(20_000))
    t.wait(0.09)
    flow.acks()
