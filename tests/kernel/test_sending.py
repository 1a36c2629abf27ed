"""When data leave: Nagle, cork, MSG_MORE, pushing, the peer's window, the congestion window at its beginning."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.packets import NOP, mss, timestamps, wscale
from support.beside.states import accepted, connected
from support.beside.talk import Talk

TCP = socket.IPPROTO_TCP
MORE = 0x8000
SCALED = mss(1000) + NOP + wscale(7)
PLAIN = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0}


@both()
def test_nagle_holds_the_second_small_segment(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"one")
    t.wait(0.02)
    sock.send(b"two")
    sock.send(b"three")
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)


@both()
def test_nagle_lets_full_segments_go(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"one")
    t.wait(0.02)
    sock.send(bytes(2500))
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)


@both()
def test_minshall_lets_the_tail_of_a_large_write_go(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(2500))
    t.wait(0.02)
    sock.send(b"small")
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)


@both()
def test_nodelay_sends_each_write(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.nodelay()
    for word in (b"one", b"two", b"three"):
        sock.send(word)
        t.wait(0.01)


@both()
def test_setting_nodelay_sends_what_is_held(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.send(b"one")
    sock.send(b"two")
    t.wait(0.02)
    sock.nodelay()
    t.wait(0.02)


@both()
def test_cork_holds_until_it_is_pulled(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.set(TCP, socket.TCP_CORK, 1)
    sock.send(b"one")
    sock.send(b"two")
    t.wait(0.1)
    sock.set(TCP, socket.TCP_CORK, 0)
    t.wait(0.02)


@both()
def test_cork_lets_full_segments_go(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.set(TCP, socket.TCP_CORK, 1)
    sock.send(bytes(2500))
    t.wait(0.1)
    sock.set(TCP, socket.TCP_CORK, 0)
    t.wait(0.02)


@both()
def test_cork_holds_for_200_ms_at_most(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.set(TCP, socket.TCP_CORK, 1)
    sock.send(b"one")
    t.wait(0.4)


@both()
def test_msg_more_is_cork_for_one_call(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.send(b"head", MORE)
    t.wait(0.05)
    sock.send(b"body")
    t.wait(0.02)


@both()
def test_msg_more_with_nodelay(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.nodelay()
    sock.send(b"head", MORE)
    t.wait(0.05)
    sock.send(b"body")
    t.wait(0.02)


@both()
def test_a_fin_takes_what_cork_holds_with_it(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.set(TCP, socket.TCP_CORK, 1)
    sock.send(b"one")
    sock.shutdown(socket.SHUT_WR)
    t.wait(0.02)


@both()
def test_the_first_window_is_ten_segments(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(30_000))
    t.wait(0.02)
    flow.acks(1001)
    t.wait(0.02)
    flow.acks(3001)
    t.wait(0.02)


@both()
def test_slow_start_doubles(t: Talk) -> None:
    sock, flow = accepted(t, opts=SCALED, win=2000)
    sock.send(bytes(16_000))
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)
    sock.send(bytes(30_000))
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)


@both()
def test_which_segments_are_pushed(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(4000))
    t.wait(0.02)
    flow.acks()
    sock.send(bytes(1500))
    t.wait(0.02)
    sock.send(bytes(500))
    t.wait(0.02)
    flow.acks()


@both()
def test_half_a_large_window_is_pushed(t: Talk) -> None:
    sock, flow = accepted(t, win=8000)
    for _ in range(6):
        sock.send(bytes(1000))
    t.wait(0.02)
    flow.acks()


@both()
def test_the_peers_window_bounds_what_is_sent(t: Talk) -> None:
    sock, flow = accepted(t, win=2500)
    sock.send(bytes(6000))
    t.wait(0.02)
    flow.acks(win=2500)
    t.wait(0.02)
    flow.acks(win=2500)
    t.wait(0.02)


@both()
def test_a_window_smaller_than_a_segment(t: Talk) -> None:
    sock, flow = accepted(t, win=300)
    sock.send(bytes(1000))
    t.wait(0.05)
    flow.acks(win=300)
    t.wait(0.3)
    flow.acks(win=5000)
    t.wait(0.05)


@both()
def test_half_the_largest_window_is_worth_a_segment(t: Talk) -> None:
    sock, flow = accepted(t, win=1600)
    sock.send(bytes(3000))
    t.wait(0.05)
    flow.acks(win=1600)
    t.wait(0.05)


@both()
def test_a_window_that_shrinks(t: Talk) -> None:
    sock, flow = accepted(t, win=5000)
    sock.send(bytes(10_000))
    t.wait(0.02)
    flow.acks(2001, win=1000)
    t.wait(0.05)
    flow.acks(5001, win=3000)
    t.wait(0.05)


@both()
def test_writes_are_joined_while_they_wait(t: Talk) -> None:
    sock, flow = accepted(t, win=1000)
    sock.send(bytes(1000))
    t.wait(0.01)
    for _ in range(10):
        sock.send(bytes(150))
    flow.acks(win=10_000)
    t.wait(0.05)


@both()
def test_the_send_buffer_fills(t: Talk) -> None:
    sock, _ = accepted(t, win=1000)
    sock.set(socket.SOL_SOCKET, socket.SO_SNDBUF, 5000)
    sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    sock.fill()
    sock.events()
    sock.send(b"x")
    t.wait(0.02)


@both(sysctls=PLAIN)
def test_a_client_is_no_different(t: Talk) -> None:
    sock, flow = connected(t)
    sock.send(bytes(15_000))
    t.wait(0.02)
    flow.acks(2001)
    t.wait(0.02)
    flow.acks(10_001)
    t.wait(0.02)


@both(sysctls={"net.ipv4.tcp_slow_start_after_idle": 1})
def test_after_idle_the_window_begins_again(t: Talk) -> None:
    sock, flow = accepted(t, opts=SCALED, win=2000)
    for _ in range(2):
        sock.send(bytes(20_000))
        t.wait(0.02)
        flow.acks()
        t.wait(0.02)
        flow.acks()
    t.wait(1.5)
    sock.send(bytes(40_000))
    t.wait(0.02)


@both()
def test_ip_tos_and_ttl_are_on_every_segment(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(socket.IPPROTO_IP, socket.IP_TOS, 0x28)
    sock.set(socket.IPPROTO_IP, socket.IP_TTL, 33)
    sock.send(b"hello")
    t.wait(0.02)
    flow.acks()
    sock.close()
    t.wait(0.02)


@both()
def test_tcp_notsent_lowat_says_when_to_write(t: Talk) -> None:
    sock, flow = accepted(t, win=1000)
    sock.set(TCP, socket.TCP_NOTSENT_LOWAT, 3000)
    sock.send(bytes(3500))
    sock.events()
    sock.send(bytes(2500))
    sock.events()
    flow.acks(win=4000)
    t.wait(0.02)
    sock.events()


@both()
def test_what_comes_ends_the_wait_for_more(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"head", MORE)
    t.wait(0.05)
    flow.sends("PA", b"question")
    t.wait(0.06)


@both()
def test_whole_segments_with_more_to_come_are_not_pushed(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(2000), MORE)
    t.wait(0.02)
    flow.acks()
    sock.send(b"the end")
    t.wait(0.02)


@both()
def test_half_a_window_is_pushed_though_more_is_to_come(t: Talk) -> None:
    sock, flow = accepted(t, win=5000)
    for _ in range(3):
        sock.send(bytes(1000), MORE)
    t.wait(0.02)
    flow.acks()


@both()
def test_segments_that_were_written_whole_are_pushed_each(t: Talk) -> None:
    sock, flow = accepted(t, win=10_000)
    flow.sends("PA", b"x", win=0)
    for _ in range(3):
        sock.send(bytes(1000))
    sock.send(bytes(500))
    flow.acks(win=10_000)
    t.wait(0.02)


@both()
def test_a_segment_that_is_sent_again_is_pushed_again(t: Talk) -> None:
    sock, flow = accepted(t, win=3000)
    sock.send(bytes(3000))
    t.wait(0.02)
    flow.acks(1001)
    t.wait(0.4)


@both()
def test_a_fin_waits_for_room_in_the_window(t: Talk) -> None:
    sock, flow = accepted(t, win=2000)
    sock.send(bytes(2000))
    t.wait(0.02)
    flow.acks(win=1000)
    sock.set(TCP, socket.TCP_CORK, 1)
    sock.send(bytes(500))
    sock.send(bytes(500))
    sock.shutdown(socket.SHUT_WR)
    t.wait(0.02)
    flow.acks(win=1000)
    t.wait(0.02)


@both()
def test_data_wait_with_the_fin_that_has_no_room(t: Talk) -> None:
    sock, flow = accepted(t, win=2000)
    flow.sends("PA", b"x", win=700)
    sock.set(TCP, socket.TCP_CORK, 1)
    sock.send(bytes(700))
    sock.shutdown(socket.SHUT_WR)
    t.wait(0.5)
    flow.acks(win=1000)
    t.wait(0.02)


@both()
def test_a_tiny_window_with_timestamps(t: Talk) -> None:
    sock, _ = accepted(t, opts=mss(1000) + NOP * 2 + timestamps(100_000, 0), win=30)
    sock.send(bytes(100))
    t.wait(0.3)


@both()
def test_the_window_of_the_syn_is_not_the_largest(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1000), win=65535)
    flow.sends("PA", b"x", win=100)
    sock.send(bytes(1000))
    t.wait(0.3)


@both(sysctls=PLAIN)
def test_a_client_goes_by_the_window_of_the_syn_ack(t: Talk) -> None:
    sock, flow = connected(t, win=1200)
    sock.send(bytes(2400))
    t.wait(0.02)
    flow.acks(win=4000)
    t.wait(0.02)
