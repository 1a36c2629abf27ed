"""How connections end: FINs in every order, resets, what is left of a closed socket."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.packets import NOP, SACK_OK, mss
from support.beside.states import (
    ABORT,
    accepted,
    close_wait,
    closing,
    fin_wait_1,
    fin_wait_2,
    last_ack,
    time_wait,
)
from support.beside.talk import Talk

TCP = socket.IPPROTO_TCP
WR, RD, RDWR = socket.SHUT_WR, socket.SHUT_RD, socket.SHUT_RDWR


@both()
def test_the_stack_closes_first(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.close()
    t.expect("FA")
    flow.acks()
    t.wait(0.05)
    flow.sends("FA")
    t.wait(0.1)


@both()
def test_the_peer_closes_first(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("FA")
    t.wait(0.1)
    sock.state()
    sock.events()
    sock.recv(100)
    sock.close()
    t.expect("FA")
    flow.acks()
    t.wait(0.05)
    flow.acks()
    t.wait(0.05)


@both()
def test_both_close_at_once(t: Talk) -> None:
    _, flow = closing(t)
    flow.acks()
    t.wait(0.1)
    flow.sends("FA", seq=1)
    t.wait(0.1)


@both()
def test_a_fin_and_its_acknowledgment_in_one(t: Talk) -> None:
    sock, flow = fin_wait_1(t)
    sock.state()
    flow.sends("FA")
    t.wait(0.1)


@both()
def test_half_closed_for_writing_still_reads(t: Talk) -> None:
    sock, flow = fin_wait_2(t)
    sock.state()
    flow.sends("PA", b"late")
    t.wait(0.06)
    sock.recv(100)
    sock.send(b"x")
    flow.sends("FA")
    t.wait(0.06)
    sock.recv(100)
    sock.events()


@both()
def test_half_closed_by_the_peer_still_writes(t: Talk) -> None:
    sock, flow = close_wait(t)
    sock.send(b"still here")
    t.expect("PA")
    flow.acks()
    sock.shutdown(WR)
    t.expect("FA")
    flow.acks()
    t.wait(0.05)
    sock.state()


@both()
def test_data_and_fin_go_in_one_segment(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(800))
    t.expect("PA")
    sock.send(bytes(300))
    t.wait(0.01)
    sock.close()
    t.wait(0.01)
    flow.acks()
    t.wait(0.05)


@both()
def test_a_fin_comes_with_data(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("FPA", b"the end")
    t.wait(0.1)
    sock.recv(100)
    sock.recv(100)
    sock.state()


@both()
def test_a_fin_before_its_data(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("FA", seq=6)
    t.wait(0.06)
    flow.sends("PA", b"hello", seq=1)
    t.wait(0.06)
    sock.recv(100)
    sock.recv(100)
    sock.state()


@both()
def test_a_repeated_fin_is_acknowledged_again(t: Talk) -> None:
    _, flow = close_wait(t)
    flow.sends("FA", seq=1)
    t.wait(0.1)
    flow.sends("FA", seq=1)
    t.wait(0.1)


@both()
def test_data_after_the_fin_are_not_taken(t: Talk) -> None:
    sock, flow = close_wait(t)
    flow.sends("PA", b"ghost", seq=2)
    t.wait(0.1)
    sock.recv(100)


@both()
def test_data_across_the_fin_end_the_connection(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("PFA", b"the end", seq=1)
    t.wait(0.06)
    flow.sends("PA", b"the end is not yet", seq=1)
    t.wait(0.06)
    sock.error()
    sock.state()


@both()
def test_what_comes_again_after_the_fin(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1000) + NOP * 2 + SACK_OK)
    flow.sends("PFA", b"the end", seq=1)
    t.wait(0.06)
    flow.sends("PFA", b"the end", seq=1)
    t.wait(0.06)
    flow.sends("PA", b"end", seq=5)
    t.wait(0.06)
    flow.sends("FA", seq=8)
    t.wait(0.06)
    flow.sends("FA", seq=9)
    t.wait(0.06)
    sock.recv(10)


@both()
def test_a_fin_behind_a_hole_comes_twice(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1000) + NOP * 2 + SACK_OK)
    flow.sends("FA", seq=6)
    t.wait(0.06)
    flow.sends("FA", seq=6)
    t.wait(0.06)
    flow.sends("PA", b"o", seq=5)
    t.wait(0.06)
    flow.sends("PA", b"hell", seq=1)
    t.wait(0.06)
    sock.recv(10)


@both(differs="nothing follows a FIN: Linux takes for data what comes behind one that waits for what is before it")
def test_data_behind_a_fin_that_waits(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("FA", seq=6)
    t.wait(0.06)
    flow.sends("PA", b"ghost", seq=7)
    t.wait(0.06)
    flow.sends("PA", b"hello", seq=1)
    t.wait(0.06)
    sock.recv(10)
    sock.recv(10)
    sock.state()


@both()
def test_data_in_last_ack_and_closing(t: Talk) -> None:
    _, flow = closing(t)
    flow.sends("PA", b"ghost", seq=2, ack=1)
    t.wait(0.06)
    flow.sends("FA", seq=1, ack=1)
    t.wait(0.06)


@both()
def test_a_fin_is_sent_again(t: Talk) -> None:
    fin_wait_1(t)
    t.wait(1.2)


@both()
def test_closing_with_unread_data_resets(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("PA", b"unread")
    t.wait(0.06)
    sock.close()
    t.wait(0.05)


@both()
def test_closing_with_linger_zero_resets(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    sock.close()
    t.wait(0.05)


@both()
def test_linger_zero_drops_what_is_unsent(t: Talk) -> None:
    sock, _ = accepted(t, win=1000)
    sock.send(bytes(3000))
    t.wait(0.01)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    sock.close()
    t.wait(0.05)


@both()
def test_data_for_a_closed_socket_are_reset(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.close()
    t.expect("FA")
    flow.acks()
    flow.sends("PA", b"anybody?")
    t.wait(0.05)
    flow.sends("PA", b"anybody?")
    t.wait(0.05)


@both()
def test_data_before_the_acknowledgment_of_the_fin_of_a_closed_socket(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.close()
    t.expect("FA")
    flow.sends("PA", b"crossing", ack=1)
    t.wait(0.05)


@both()
def test_shut_for_reading_still_acknowledges(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.shutdown(RD)
    sock.recv(10)
    flow.sends("PA", b"hello")
    t.wait(0.06)
    sock.recv(10)
    sock.events()


@both()
def test_shut_both_ways_says_fin(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.shutdown(RDWR)
    t.expect("FA")
    flow.sends("PA", b"hello")
    t.wait(0.06)
    sock.recv(10)
    sock.send(b"x")


@both(sysctls={"net.ipv4.tcp_fin_timeout": 1})
def test_an_orphan_in_fin_wait_2_is_given_up(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.close()
    t.expect("FA")
    flow.acks()
    t.wait(0.5)
    flow.acks()
    t.wait(2.0)
    flow.acks()
    t.wait(0.05)


@both()
def test_tcp_linger2_shortens_fin_wait_2(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(TCP, socket.TCP_LINGER2, 1)
    sock.close()
    t.expect("FA")
    flow.acks()
    t.wait(1.6)
    flow.sends("FA")
    t.wait(0.05)


@both()
def test_a_negative_tcp_linger2_leaves_nothing(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(TCP, socket.TCP_LINGER2, -1)
    sock.close()
    t.expect("FA")
    flow.acks()
    t.wait(0.05)


@both(sysctls={"net.ipv4.tcp_fin_timeout": 1})
def test_fin_wait_2_of_an_open_socket_has_no_end(t: Talk) -> None:
    sock, flow = fin_wait_2(t)
    t.wait(1.5)
    flow.sends("PA", b"still")
    t.wait(0.06)
    sock.recv(10)


@both(sysctls={"net.ipv4.tcp_orphan_retries": 1})
def test_an_orphan_gives_up_resending(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.close()
    t.expect("FA")
    t.wait(1.5)
    flow.acks()
    t.wait(0.05)


@both()
def test_last_ack_ends_with_the_acknowledgment(t: Talk) -> None:
    _, flow = last_ack(t)
    flow.acks()
    flow.acks()
    t.wait(0.05)


@both()
def test_last_ack_sends_its_fin_again(t: Talk) -> None:
    _, flow = last_ack(t)
    t.wait(0.8)
    flow.sends("FA", seq=1)
    t.wait(0.05)


# ---- TIME-WAIT


@both()
def test_time_wait_acknowledges_a_repeated_fin(t: Talk) -> None:
    _, flow = time_wait(t)
    flow.sends("FA", seq=1)
    t.wait(0.1)


@both()
def test_time_wait_acknowledges_data(t: Talk) -> None:
    _, flow = time_wait(t)
    flow.sends("PA", b"ghost", seq=1)
    t.wait(0.05)
    flow.sends("PA", b"ghost", seq=2)
    t.wait(0.05)
    flow.sends("A", seq=30000)
    t.wait(0.05)


@both()
def test_time_wait_takes_a_later_syn(t: Talk) -> None:
    sock, flow = time_wait(t)
    sock.close()
    listener = t.tcp()
    listener.set(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("10.0.0.1", 80))
    listener.listen(3)
    flow.sends("S", seq=100_000, opts=mss(1000))
    t.wait(0.05)


@both()
def test_time_wait_acknowledges_an_earlier_syn(t: Talk) -> None:
    sock, flow = time_wait(t)
    sock.close()
    listener = t.tcp()
    listener.set(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("10.0.0.1", 80))
    listener.listen(3)
    flow.sends("S", seq=1, opts=mss(1000))
    t.wait(0.05)


@both()
def test_a_reset_ends_time_wait(t: Talk) -> None:
    _, flow = time_wait(t)
    flow.sends("R", seq=2)
    t.wait(0.02)
    flow.sends("A", seq=2)
    t.wait(0.05)


@both(sysctls={"net.ipv4.tcp_rfc1337": 1})
def test_a_reset_does_not_end_time_wait_with_rfc_1337(t: Talk) -> None:
    _, flow = time_wait(t)
    flow.sends("R", seq=2)
    t.wait(0.02)
    flow.sends("FA", seq=1)
    t.wait(0.05)


@both()
def test_time_wait_holds_the_port(t: Talk) -> None:
    sock, _ = time_wait(t)
    sock.close()
    t.tcp().bind(("10.0.0.1", 80))
    second = t.tcp()
    second.set(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    second.bind(("10.0.0.1", 80))


# ---- resets


@both()
def test_a_reset_in_established(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("R")
    t.wait(0.02)
    sock.events()
    sock.recv(10)
    sock.recv(10)
    sock.send(b"x")
    sock.state()


@both()
def test_a_reset_behind_data(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("PA", b"hello")
    flow.sends("R")
    t.wait(0.02)
    sock.events()
    sock.recv(10)
    sock.recv(10)


@both()
def test_a_reset_in_close_wait(t: Talk) -> None:
    sock, flow = close_wait(t)
    flow.sends("R")
    t.wait(0.02)
    sock.events()
    sock.error()
    sock.send(b"x")


@both()
def test_a_reset_in_fin_wait_1(t: Talk) -> None:
    sock, flow = fin_wait_1(t)
    flow.sends("R")
    t.wait(0.02)
    sock.events()
    sock.error()
    sock.state()


@both()
def test_a_reset_in_fin_wait_2(t: Talk) -> None:
    sock, flow = fin_wait_2(t)
    flow.sends("R")
    t.wait(0.02)
    sock.events()
    sock.error()


@both()
def test_a_reset_in_closing(t: Talk) -> None:
    sock, flow = closing(t)
    sock.state()
    flow.sends("R")
    t.wait(0.02)
    sock.error()


@both()
def test_a_reset_in_last_ack(t: Talk) -> None:
    _, flow = last_ack(t)
    flow.sends("R")
    t.wait(0.02)
    flow.sends("A")
    t.wait(0.02)


@both()
def test_writing_after_a_reset_is_a_broken_pipe(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"x")
    t.expect("PA")
    flow.sends("R")
    sock.error()
    sock.send(b"x")
    sock.shutdown(WR)
