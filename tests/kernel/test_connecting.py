"""Handshakes that the stack begins: its SYN, what may answer it, and when it is given up."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.packets import NOP, PEER, SACK_OK, mss, timestamps, wscale
from support.beside.states import connected, syn_sent
from support.beside.talk import Talk

TCP = socket.IPPROTO_TCP
NEITHER = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0}
# Linux scales its windows then though the peer has not offered to, against RFC 7323 2.2
SCALED_ALONE = ("win",)
BARE = {**NEITHER, "net.ipv4.tcp_window_scaling": 0}


@both()
def test_a_syn_offers_all_options(t: Talk) -> None:
    syn_sent(t)


@both(sysctls=BARE)
def test_a_syn_offers_the_mss_alone(t: Talk) -> None:
    syn_sent(t)


@both(sysctls=NEITHER)
def test_a_syn_offers_a_window_scale(t: Talk) -> None:
    syn_sent(t)


@both(sysctls={"net.ipv4.tcp_timestamps": 0})
def test_a_syn_offers_sack_without_timestamps(t: Talk) -> None:
    syn_sent(t)


@both(sysctls={"net.ipv4.tcp_sack": 0})
def test_a_syn_offers_timestamps_without_sack(t: Talk) -> None:
    syn_sent(t)


@both(sysctls=BARE)
def test_a_connection_is_made_and_used(t: Talk) -> None:
    sock, flow = connected(t)
    sock.events()
    sock.error()
    sock.send(b"request")
    t.expect("PA")
    flow.sends("PA", b"answer")
    t.wait(0.1)
    sock.recv(100)


@both()
def test_a_connection_with_all_options_is_made_and_used(t: Talk) -> None:
    sock, flow = syn_sent(t)
    t.wait(0.02)
    flow.sends("SA", opts=mss(1000) + SACK_OK + timestamps(t.stamp(), flow.echo) + NOP + wscale(7))
    t.expect("A")
    sock.send(b"request")
    t.expect("PA")
    flow.sends("PA", b"answer")
    t.wait(0.1)
    sock.recv(100)


@both(sysctls=NEITHER)
def test_a_syn_is_sent_again_each_second_at_first(t: Talk) -> None:
    syn_sent(t)
    t.wait(3.3)


@both(sysctls=NEITHER)
def test_tcp_syncnt_says_when_to_give_up(t: Talk) -> None:
    sock, _ = syn_sent(t, before=lambda sock: sock.set(TCP, socket.TCP_SYNCNT, 1))
    t.wait(3.5)
    sock.events()
    sock.error()


@both(sysctls={**NEITHER, "net.ipv4.tcp_syn_retries": 1})
def test_the_system_says_when_to_give_up(t: Talk) -> None:
    sock, _ = syn_sent(t)
    t.wait(3.5)
    sock.error()


@both(sysctls=NEITHER)
def test_a_reset_refuses_the_connection(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("RA")
    t.wait(0.02)
    sock.events()
    sock.error()
    sock.state()


@both(sysctls=NEITHER)
def test_a_reset_without_ack_is_ignored_in_syn_sent(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("R", seq=0)
    t.wait(0.02)
    sock.state()


@both(sysctls=NEITHER)
def test_a_reset_that_acknowledges_something_else_is_ignored_in_syn_sent(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("RA", ack=7)
    t.wait(0.02)
    sock.state()


@both(sysctls=NEITHER)
def test_a_wrong_acknowledgment_in_syn_sent_is_reset(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("A", seq=0, ack=2)
    t.wait(0.02)
    flow.sends("SA", seq=0, ack=0)
    t.wait(0.02)
    flow.sends("SA", seq=0, ack=1, opts=mss(1000))
    t.wait(0.02)
    sock.state()


@both(sysctls=NEITHER)
def test_an_acknowledgment_without_syn_is_ignored_in_syn_sent(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("A", seq=0, ack=1)
    t.wait(0.02)
    flow.sends("FA", seq=0, ack=1)
    t.wait(0.02)
    sock.state()


@both(sysctls=NEITHER, ignored=SCALED_ALONE)
def test_both_sides_open_at_once(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    sock.state()
    flow.sends("SA", seq=0, ack=1, opts=mss(1000))
    t.wait(0.02)
    sock.state()
    sock.send(b"hello")
    t.wait(0.02)


@both(sysctls=NEITHER, ignored=SCALED_ALONE)
def test_both_sides_open_at_once_and_an_ack_is_enough(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.sends("A", ack=1)
    t.wait(0.02)
    sock.state()


@both()
def test_both_sides_open_at_once_with_all_options(t: Talk) -> None:
    sock, flow = syn_sent(t)
    offer = mss(1000) + SACK_OK + timestamps(t.stamp(), 0) + NOP + wscale(7)
    flow.sends("S", opts=offer)
    t.expect("SA")
    flow.sends("SA", seq=0, ack=1, opts=mss(1000) + SACK_OK + timestamps(t.stamp(), flow.echo) + NOP + wscale(7))
    t.wait(0.02)
    sock.send(b"hello")
    t.wait(0.02)


@both(sysctls=NEITHER, ignored=SCALED_ALONE)
def test_both_sides_open_at_once_and_one_is_lost(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    t.wait(3.5)
    flow.sends("S", seq=0, opts=mss(1000))
    t.wait(0.1)
    sock.state()


@both(sysctls=NEITHER, ignored=SCALED_ALONE)
def test_a_wrong_acknowledgment_in_simultaneous_syn_received(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.sends("SA", seq=0, ack=7, opts=mss(1000))
    t.wait(0.6)
    flow.sends("A", seq=1, ack=7)
    t.wait(0.1)
    sock.state()


@both(sysctls={**NEITHER, "net.ipv4.tcp_syn_retries": 2, "net.ipv4.tcp_syn_linear_timeouts": 0})
def test_without_linear_time_outs_the_waits_double(t: Talk) -> None:
    sock, _ = syn_sent(t)
    t.wait(7.5)
    sock.error()


@both(sysctls=NEITHER)
def test_a_syn_ack_may_carry_data(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("SA", b"hello", ack=1, opts=mss(1000))
    t.wait(0.06)
    sock.recv(100)


@both(sysctls=NEITHER)
def test_a_syn_ack_with_fin_closes_at_once(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends("SFA", ack=1, opts=mss(1000))
    t.wait(0.06)
    sock.state()
    sock.recv(100)


@both(sysctls=NEITHER)
def test_a_repeated_syn_ack_is_acknowledged(t: Talk) -> None:
    _, flow = connected(t)
    flow.sends("SA", seq=0, ack=1, opts=mss(1000))
    t.wait(0.06)


@both(sysctls=NEITHER)
def test_what_the_first_write_waits_for(t: Talk) -> None:
    sock, flow = syn_sent(t)
    sock.send(b"too early")
    flow.sends("SA", opts=mss(1000))
    t.expect("A")
    sock.send(b"in time")
    t.wait(0.02)


@both(sysctls=NEITHER)
def test_tcp_maxseg_is_what_the_syn_offers(t: Talk) -> None:
    sock, flow = syn_sent(t, before=lambda sock: sock.set(TCP, socket.TCP_MAXSEG, 600))
    flow.sends("SA", opts=mss(1000))
    t.expect("A")
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    sock.send(bytes(1500))
    t.wait(0.02)


@both(sysctls=NEITHER)
def test_close_in_syn_sent_is_silent(t: Talk) -> None:
    sock, flow = syn_sent(t)
    sock.close()
    t.wait(0.02)
    flow.sends("SA", ack=1, opts=mss(1000))
    t.wait(0.02)


@both(sysctls=NEITHER)
def test_connecting_twice_says_already(t: Talk) -> None:
    sock, flow = syn_sent(t)
    sock.connect((PEER[4], 80))
    flow.sends("SA", opts=mss(1000))
    t.expect("A")
    sock.connect((PEER[4], 80))
    sock.connect((PEER[4], 80))


@both(sysctls=NEITHER)
def test_calls_of_a_socket_that_connects(t: Talk) -> None:
    sock, _ = syn_sent(t)
    sock.recv(10)
    sock.send(b"x")
    sock.shutdown(socket.SHUT_RD)
    sock.listen(1)
    sock.getpeername()
    sock.events()


@both(sysctls=NEITHER)
def test_nobody_is_reached_off_the_network(t: Talk) -> None:
    t.tcp().connect(("192.0.2.1", 80))


@both(sysctls=NEITHER)
def test_the_acknowledgment_of_a_syn_sent_twice(t: Talk) -> None:
    sock, flow = syn_sent(t)
    t.wait(1.2)
    flow.sends("SA", opts=mss(1000))
    t.expect("A")
    sock.send(b"hello")
    t.wait(3.5)
