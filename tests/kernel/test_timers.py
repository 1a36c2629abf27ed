"""Timers beside retransmission: zero windows, keepalive, the user's time-out."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.packets import NOP, mss, timestamps
from support.beside.states import accepted, close_wait, fin_wait_2, syn_sent
from support.beside.talk import Sock, Talk

TCP = socket.IPPROTO_TCP
NO_PROBE = {"net.ipv4.tcp_early_retrans": 0}
PLAIN = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0}


def keepalive(sock: Sock, idle: int = 1, interval: int = 1, count: int = 2) -> None:
    """Sets keepalive; seconds."""
    sock.set(TCP, socket.TCP_KEEPIDLE, idle)
    sock.set(TCP, socket.TCP_KEEPINTVL, interval)
    sock.set(TCP, socket.TCP_KEEPCNT, count)
    sock.set(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


# ---- zero window


@both()
def test_a_closed_window_is_probed(t: Talk) -> None:
    sock, _ = accepted(t, win=0)
    sock.send(b"waiting")
    t.wait(1.8)


@both()
def test_a_window_that_closes_is_probed_with_nothing_new(t: Talk) -> None:
    sock, flow = accepted(t, win=2000)
    sock.send(bytes(5000))
    t.wait(0.02)
    flow.acks(win=0)
    t.wait(1.0)


@both()
def test_probes_that_are_answered_go_on_backing_off(t: Talk) -> None:
    sock, flow = accepted(t, win=0)
    sock.send(b"waiting")
    for _ in range(4):
        t.expect("A")
        flow.acks(win=0)
    t.wait(0.1)


@both()
def test_a_window_that_opens_lets_data_go(t: Talk) -> None:
    sock, flow = accepted(t, win=0)
    sock.send(bytes(2500))
    t.wait(0.4)
    flow.acks(win=1500)
    t.wait(0.05)
    flow.acks(win=5000)
    t.wait(0.05)


@both()
def test_a_little_window_is_probed_like_none(t: Talk) -> None:
    sock, flow = accepted(t, win=5000)
    sock.send(bytes(5000))
    t.wait(0.02)
    flow.acks(win=100)
    sock.send(bytes(1000))
    t.wait(0.6)


@both()
def test_a_fin_waits_for_the_window(t: Talk) -> None:
    sock, flow = accepted(t, win=0)
    sock.send(b"last")
    sock.shutdown(socket.SHUT_WR)
    t.wait(0.5)
    flow.acks(win=1000)
    t.wait(0.05)


@both()
def test_a_fin_alone_does_not_wait_for_the_window(t: Talk) -> None:
    sock, _ = accepted(t, win=0)
    sock.shutdown(socket.SHUT_WR)
    t.wait(0.3)


@both()
def test_an_orphan_with_a_closed_window(t: Talk) -> None:
    sock, flow = accepted(t, win=0)
    sock.send(b"last")
    sock.close()
    t.wait(0.5)
    flow.acks(win=1000)
    t.wait(0.05)


@both(sysctls=NO_PROBE)
def test_the_window_closes_while_a_segment_is_lost(t: Talk) -> None:
    sock, flow = accepted(t, win=5000)
    sock.send(bytes(3000))
    t.wait(0.02)
    flow.acks(1001, win=0)
    t.wait(0.8)
    flow.acks(1001, win=5000)
    t.wait(0.05)


@both(sysctls={"net.ipv4.tcp_retries2": 2})
def test_probes_that_nobody_answers_end_the_connection(t: Talk) -> None:
    sock, _ = accepted(t, win=0)
    sock.send(b"waiting")
    t.wait(4.0)
    sock.error()
    sock.state()


# ---- keepalive


@both()
def test_keepalive_probes_and_gives_up(t: Talk) -> None:
    sock, flow = accepted(t)
    keepalive(sock)
    t.wait(3.4)
    sock.events()
    sock.error()
    flow.acks()
    t.wait(0.02)


@both()
def test_keepalive_with_timestamps(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1000) + NOP * 2 + timestamps(100_000, 0))
    keepalive(sock)
    t.wait(1.3)
    flow.acks()
    t.wait(1.3)


@both()
def test_keepalive_is_content_with_an_answer(t: Talk) -> None:
    sock, flow = accepted(t)
    keepalive(sock)
    t.wait(1.3)
    flow.acks()
    t.wait(1.3)
    sock.state()


@both()
def test_keepalive_waits_anew_after_data(t: Talk) -> None:
    sock, flow = accepted(t)
    keepalive(sock)
    t.wait(0.7)
    flow.sends("PA", b"alive")
    sock.recv(10)
    t.wait(0.7)
    t.wait(0.6)


@both()
def test_keepalive_is_set_on_the_listener(t: Talk) -> None:
    sock, _ = accepted(t, before=keepalive)
    t.wait(1.3)
    sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    sock.getsockopt(TCP, socket.TCP_KEEPIDLE)


@both()
def test_keepalive_hears_a_reset(t: Talk) -> None:
    sock, flow = accepted(t)
    keepalive(sock)
    t.wait(1.3)
    flow.sends("R")
    sock.error()


@both(sysctls=NO_PROBE)
def test_keepalive_says_nothing_while_data_are_on_the_way(t: Talk) -> None:
    sock, _ = accepted(t)
    keepalive(sock)
    sock.send(b"hello")
    t.wait(1.9)


@both()
def test_keepalive_in_close_wait(t: Talk) -> None:
    sock, _ = close_wait(t)
    keepalive(sock)
    t.wait(1.3)


@both()
def test_keepalive_in_fin_wait_2(t: Talk) -> None:
    sock, _ = fin_wait_2(t)
    keepalive(sock)
    t.wait(1.3)


@both(sysctls={"net.ipv4.tcp_keepalive_time": 1, "net.ipv4.tcp_keepalive_intvl": 1, "net.ipv4.tcp_keepalive_probes": 1})
def test_keepalive_by_the_systems_settings(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.set(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.getsockopt(TCP, socket.TCP_KEEPIDLE)
    t.wait(2.4)
    sock.error()


# ---- TCP_USER_TIMEOUT


@both(sysctls=NO_PROBE)
def test_the_users_time_out_ends_retransmission(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.set(TCP, socket.TCP_USER_TIMEOUT, 700)
    sock.send(b"hello")
    t.wait(1.6)
    sock.events()
    sock.error()


@both()
def test_the_users_time_out_ends_probing(t: Talk) -> None:
    sock, _ = accepted(t, win=0)
    sock.set(TCP, socket.TCP_USER_TIMEOUT, 700)
    sock.send(b"hello")
    t.wait(1.8)
    sock.error()


@both()
def test_the_users_time_out_ends_keepalive(t: Talk) -> None:
    sock, _ = accepted(t)
    keepalive(sock, count=9)
    sock.set(TCP, socket.TCP_USER_TIMEOUT, 1500)
    t.wait(3.3)
    sock.error()


@both(sysctls=PLAIN)
def test_the_users_time_out_ends_connecting(t: Talk) -> None:
    sock, _ = syn_sent(t, before=lambda sock: sock.set(TCP, socket.TCP_USER_TIMEOUT, 1500))
    t.wait(3.0)
    sock.error()


@both(sysctls=NO_PROBE)
def test_the_users_time_out_begins_anew_with_each_acknowledgment(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(TCP, socket.TCP_USER_TIMEOUT, 700)
    sock.send(b"hello")
    t.wait(0.5)
    flow.acks()
    sock.send(b"again")
    t.wait(0.5)
    sock.state()
    t.wait(1.0)
    sock.state()


# ---- TCP_DEFER_ACCEPT


@both()
def test_tcp_defer_accept_waits_for_data(t: Talk) -> None:
    listener = t.tcp()
    listener.set(TCP, socket.TCP_DEFER_ACCEPT, 2)
    listener.bind(("10.0.0.1", 80))
    listener.listen(5)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.acks()
    t.wait(0.1)
    listener.accept()
    flow.sends("PA", b"hello")
    t.wait(0.05)
    listener.accept()


@both()
def test_tcp_defer_accept_does_not_wait_for_ever(t: Talk) -> None:
    listener = t.tcp()
    listener.set(TCP, socket.TCP_DEFER_ACCEPT, 1)
    listener.bind(("10.0.0.1", 80))
    listener.listen(5)
    flow = t.flow()
    flow.sends("S", opts=mss(1000))
    t.expect("SA")
    flow.acks()
    t.wait(1.4)
    flow.acks()
    t.wait(0.1)
    listener.accept()
