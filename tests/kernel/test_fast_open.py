"""TCP Fast Open (RFC 7413): data in SYNs, on either side. Of cookies the length is compared: each stack has its own."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.packets import NOP, OURS, PEER, SACK_OK, fast_open, mss, timestamps, wscale
from support.beside.states import connected
from support.beside.talk import Flow, Heard, Sock, Talk

TCP = socket.IPPROTO_TCP
FAST_OPEN, CONNECT, KEY, NO_COOKIE = 23, 30, 33, 34  # linux/tcp.h
SEND = 0x20000000  # MSG_FASTOPEN
KNOWN = bytes(range(16))
OTHER = bytes(range(16, 32))
BOTH = {"net.ipv4.tcp_fastopen": 3}
WITHOUT_COOKIE = {"net.ipv4.tcp_fastopen": 3 | 4 | 0x200}
COOKIE = b"12345678"  # the peer's
AT_ONCE = "a FIN in a SYN-ACK is acknowledged at once, not after 200 ms"


def listening(t: Talk, limit: int = 5, backlog: int = 8, version: int = 4) -> Sock:
    """A server that takes data in SYNs."""
    listener = t.tcp(version)
    listener.bind((OURS[version], 80))
    listener.set(TCP, FAST_OPEN, limit)
    listener.listen(backlog)
    return listener


def cookie_of(heard: Heard) -> bytes:
    """The cookie in a SYN-ACK, which scripts do not see."""
    at = heard.raw.index(b"\x22\x0a")
    return heard.raw[at + 2 : at + 10]


def asked(t: Talk, peer: int = 3999, version: int = 4) -> bytes:
    """The peer has asked for a cookie, and given that connection up."""
    flow = t.flow(peer, 80, version)
    flow.sends("S", opts=mss(1000) + fast_open() + NOP * 2)
    cookie = cookie_of(t.expect("SA", ack=1))
    flow.sends("R", seq=1)
    return cookie


def opened(t: Talk, listener: Sock, data: bytes = b"hello", peer: int = 4000, version: int = 4) -> tuple[Sock, Flow]:
    """The peer has opened a connection with a cookie and data, and it was accepted."""
    flow = t.flow(peer, 80, version)
    flow.sends("S", data, opts=mss(1000) + fast_open(asked(t, version=version)) + NOP * 2)
    t.expect("SA", ack=1 + len(data))
    sock, _ = listener.accept()
    return sock, flow


# ---- the server


@both(sysctls=BOTH)
def test_a_cookie_is_given_to_who_asks(t: Talk) -> None:
    listening(t)
    asked(t)


@both(sysctls=BOTH)
def test_a_cookie_is_given_with_all_other_options(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=mss(1000) + SACK_OK + timestamps(100_000, 0) + NOP + wscale(7) + fast_open() + NOP * 2)
    t.expect("SA")


@both()
def test_no_cookie_is_given_where_the_host_does_not_let_servers(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", opts=mss(1000) + fast_open() + NOP * 2)
    t.expect("SA")


@both(sysctls=BOTH)
def test_no_cookie_is_given_by_a_listener_without_the_option(t: Talk) -> None:
    listening(t, limit=0)
    t.flow().sends("S", b"early", opts=mss(1000) + fast_open() + NOP * 2)
    t.expect("SA")


@both(sysctls=BOTH)
def test_data_of_a_syn_are_there_before_the_handshake_has_ended(t: Talk) -> None:
    sock, flow = opened(t, listening(t))
    sock.state()
    sock.events()
    sock.recv(100)
    sock.getpeername()
    t.wait(0.02)
    flow.acks()
    sock.state()
    flow.sends("PA", b"more")
    sock.recv(100)


@both(sysctls=BOTH)
def test_an_answer_goes_before_the_handshake_has_ended(t: Talk) -> None:
    sock, flow = opened(t, listening(t))
    sock.recv(100)
    sock.send(bytes(1500))
    t.wait(0.02)
    flow.acks()
    sock.state()
    t.wait(0.3)


@both(sysctls=BOTH)
def test_a_syn_with_a_cookie_alone_may_be_answered_at_once(t: Talk) -> None:
    sock, flow = opened(t, listening(t), b"")
    sock.recv(100)
    sock.send(b"welcome")
    t.wait(0.02)
    flow.acks()
    t.wait(0.3)


@both(sysctls=BOTH)
def test_a_syn_ack_that_is_lost_goes_again_and_the_answer_waits(t: Talk) -> None:
    sock, flow = opened(t, listening(t))
    sock.send(b"answer")
    t.wait(3.5)
    flow.acks()
    t.wait(1.0)


@both(sysctls=BOTH)
def test_a_syn_that_comes_again_is_answered_again(t: Talk) -> None:
    listener = listening(t)
    cookie = asked(t)
    flow = t.flow()
    flow.sends("S", b"hello", opts=mss(1000) + fast_open(cookie) + NOP * 2)
    t.expect("SA", ack=6)
    t.wait(0.6)
    flow.sends("S", b"hello", seq=0, opts=mss(1000) + fast_open(cookie) + NOP * 2)
    t.wait(0.1)
    flow.sends("S", seq=0, opts=mss(1000))
    t.wait(0.6)
    sock, _ = listener.accept()
    sock.recv(100)
    sock.recv(100)


@both(sysctls=BOTH)
def test_a_wrong_cookie_gets_the_right_one_and_the_data_wait(t: Talk) -> None:
    listener = listening(t)
    flow = t.flow()
    flow.sends("S", b"hello", opts=mss(1000) + fast_open(b"wrong678") + NOP * 2)
    t.expect("SA", ack=1)
    listener.events()
    flow.sends("A", b"hello", seq=1)
    t.wait(0.02)
    sock, _ = listener.accept()
    sock.recv(100)


@both(sysctls=BOTH)
def test_a_cookie_of_another_length_is_wrong(t: Talk) -> None:
    listening(t)
    for peer, size in ((4000, 4), (4001, 16), (4002, 3), (4003, 18), (4004, 2)):
        t.flow(peer).sends("S", b"hello", opts=mss(1000) + fast_open(bytes(size)) + NOP * 2)
        t.expect("SA", ack=1)


@both(sysctls=WITHOUT_COOKIE)
def test_a_host_may_need_no_cookie(t: Talk) -> None:
    listener = listening(t)
    t.flow().sends("S", b"hello", opts=mss(1000))
    t.expect("SA", ack=6)
    sock, _ = listener.accept()
    sock.recv(100)


@both(sysctls=BOTH)
def test_a_listener_may_need_no_cookie(t: Talk) -> None:
    listener = listening(t)
    listener.set(TCP, NO_COOKIE, 1)
    t.flow().sends("S", b"hello", opts=mss(1000))
    t.expect("SA", ack=6)
    sock, _ = listener.accept()
    sock.recv(100)


@both(sysctls={"net.ipv4.tcp_fastopen": 0x402})
def test_every_listener_may_be_such_a_server(t: Talk) -> None:
    listener = t.tcp()
    listener.bind((OURS[4], 80))
    listener.listen(8)
    t.flow().sends("S", opts=mss(1000) + fast_open() + NOP * 2)
    t.expect("SA")


@both(sysctls=BOTH)
def test_there_is_room_for_so_many(t: Talk) -> None:
    listener = listening(t, limit=1)
    cookie = asked(t)
    for peer in (4000, 4001):
        t.flow(peer).sends("S", b"hello", opts=mss(1000) + fast_open(cookie) + NOP * 2)
        t.wait(0.01)
    t.flows[1].acks()
    t.flow(4002).sends("S", b"hello", opts=mss(1000) + fast_open(cookie) + NOP * 2)
    t.wait(0.01)
    listener.events()


@both(sysctls=BOTH)
def test_a_reset_ends_it_and_counts_on(t: Talk) -> None:
    listener = listening(t, limit=1)
    sock, flow = opened(t, listener)
    flow.sends("R", seq=6)
    sock.state()
    sock.recv(100)
    sock.recv(100)
    t.flow(4001).sends("S", opts=mss(1000) + fast_open() + NOP * 2)
    t.expect("SA")


@both(sysctls=BOTH)
def test_a_reset_before_accept_counts_no_longer(t: Talk) -> None:
    listener = listening(t, limit=1)
    cookie = asked(t)
    flow = t.flow()
    flow.sends("S", b"hello", opts=mss(1000) + fast_open(cookie) + NOP * 2)
    t.expect("SA")
    flow.sends("R", seq=6)
    t.flow(4001).sends("S", opts=mss(1000) + fast_open() + NOP * 2)
    t.expect("SA")
    sock, _ = listener.accept()
    sock.state()


@both(sysctls=BOTH)
def test_a_wrong_acknowledgment_is_reset(t: Talk) -> None:
    sock, flow = opened(t, listening(t))
    flow.sends("A", ack=1000)
    sock.state()
    flow.acks()
    sock.state()


@both(sysctls=BOTH)
def test_closing_before_the_handshake_has_ended(t: Talk) -> None:
    sock, flow = opened(t, listening(t))
    sock.recv(100)
    sock.send(b"bye")
    sock.close()
    t.wait(0.02)
    flow.acks()
    flow.sends("FA")
    t.wait(0.1)


@both(sysctls=BOTH)
def test_a_shutdown_waits_for_the_end_of_the_handshake(t: Talk) -> None:
    sock, flow = opened(t, listening(t))
    sock.send(b"bye")
    sock.shutdown(socket.SHUT_WR)
    sock.state()
    t.wait(0.02)
    flow.acks()
    sock.state()
    t.wait(0.02)


@both(sysctls=BOTH)
def test_nobody_acknowledges_the_syn_ack(t: Talk) -> None:
    sock, _ = opened(t, listening(t))
    sock.recv(100)
    sock.set(TCP, socket.TCP_SYNCNT, 2)
    t.wait(9.0)
    sock.state()
    sock.error()


@both(sysctls={**BOTH, "net.ipv4.tcp_syncookies": 2})
def test_with_syn_cookies_there_is_none(t: Talk) -> None:
    listening(t)
    t.flow().sends("S", b"hello", opts=mss(1000) + fast_open() + NOP * 2)
    t.expect("SA", ack=1)


@both(sysctls=BOTH)
def test_the_key_decides_and_the_one_before_is_taken(t: Talk) -> None:
    listener = listening(t)
    listener.set(TCP, KEY, KNOWN)
    cookie = asked(t)
    t.note("cookie", cookie.hex())
    listener.set(TCP, KEY, OTHER + KNOWN)
    listener.getsockopt(TCP, KEY, 32)
    flow = t.flow()
    flow.sends("S", b"hello", opts=mss(1000) + fast_open(cookie) + NOP * 2)
    t.expect("SA", ack=6)
    listener.set(TCP, KEY, OTHER)
    t.flow(4001).sends("S", b"hello", opts=mss(1000) + fast_open(cookie) + NOP * 2)
    t.expect("SA", ack=1)


@both(sysctls=BOTH)
def test_a_cookie_of_ipv6_is_made_of_both_addresses(t: Talk) -> None:
    listening(t, version=6).set(TCP, KEY, KNOWN)
    t.note("cookie", asked(t, version=6).hex())


@both(sysctls=BOTH)
def test_a_server_of_ipv6(t: Talk) -> None:
    sock, flow = opened(t, listening(t, version=6), version=6)
    sock.recv(100)
    sock.send(b"answer")
    t.wait(0.02)
    flow.acks()
    sock.state()


@both(sysctls=BOTH)
def test_a_connection_in_time_wait_is_followed_by_one_with_data(t: Talk) -> None:
    listener = listening(t)
    cookie = asked(t)
    flow = t.flow()
    flow.sends("S", b"hello", opts=mss(1000) + fast_open(cookie) + NOP * 2)
    sock, _ = listener.accept()
    sock.recv(100)
    sock.close()
    flow.acks()
    flow.sends("FA")
    t.wait(0.01)
    flow.sends("S", b"again", seq=100_000, opts=mss(1000) + fast_open(cookie) + NOP * 2)
    t.wait(0.01)
    sock, _ = listener.accept()
    sock.recv(100)


# ---- the client


def got_cookie(t: Talk, version: int = 4, cookie: bytes = COOKIE, size: int = 1000) -> None:
    """The stack has a cookie of the peer's."""
    sock = t.tcp(version)
    flow = t.flow(80, None, version)
    sock.sendmsg([b"first"], [], SEND, (PEER[version], 80))
    t.expect("S")
    t.wait(0.02)
    flow.sends("SA", opts=mss(size) + fast_open(cookie) + NOP * 2)
    t.expect("A")
    flow.sends("R")
    t.flows.remove(flow)


def sent(t: Talk, data: bytes = b"hello", version: int = 4) -> tuple[Sock, Flow]:
    """The stack has sent data in a SYN."""
    got_cookie(t, version)
    sock = t.tcp(version)
    flow = t.flow(80, None, version)
    sock.sendmsg([data], [], SEND, (PEER[version], 80))
    t.expect("S")
    return sock, flow


@both()
def test_a_first_syn_asks_for_a_cookie(t: Talk) -> None:
    got_cookie(t)


@both()
def test_a_second_syn_brings_data(t: Talk) -> None:
    sock, flow = sent(t)
    sock.events()
    sock.send(b"more")
    t.wait(0.02)
    flow.sends("SA", opts=mss(1000))
    t.wait(0.1)
    sock.events()
    sock.send(b"more")


@both()
def test_a_syn_holds_a_segment_without_the_room_for_options(t: Talk) -> None:
    _, flow = sent(t, bytes(3000))
    t.wait(0.02)
    flow.sends("SA", opts=mss(1000))
    t.wait(0.1)


@both()
def test_data_that_are_not_acknowledged_go_again(t: Talk) -> None:
    sock, flow = sent(t)
    t.wait(0.02)
    flow.sends("SA", ack=1, opts=mss(1000))
    t.wait(0.1)
    flow.acks()
    sock.send(b"more")
    t.wait(0.1)


@both()
def test_data_that_are_acknowledged_in_part_go_again_in_part(t: Talk) -> None:
    _, flow = sent(t)
    t.wait(0.02)
    flow.sends("SA", ack=3, opts=mss(1000))
    t.wait(0.1)


@both()
def test_a_syn_that_is_sent_again_is_bare(t: Talk) -> None:
    _, flow = sent(t)
    t.wait(1.5)
    flow.sends("SA", ack=1, opts=mss(1000))
    t.wait(0.1)


@both()
def test_the_data_come_late_but_come(t: Talk) -> None:
    _, flow = sent(t)
    t.wait(1.5)
    flow.sends("SA", ack=6, opts=mss(1000))
    t.wait(0.1)


@both()
def test_a_syn_ack_may_bring_data(t: Talk) -> None:
    sock, flow = sent(t)
    t.wait(0.02)
    flow.sends("SA", b"welcome", opts=mss(1000))
    t.wait(0.1)
    sock.recv(100)


@both(differs=AT_ONCE)
def test_a_syn_ack_may_bring_data_and_a_fin(t: Talk) -> None:
    sock, flow = sent(t)
    t.wait(0.02)
    flow.sends("SFA", b"welcome", opts=mss(1000))
    t.wait(0.1)
    sock.recv(100)
    sock.recv(100)
    sock.state()


@both(differs=AT_ONCE)
def test_a_syn_ack_may_bring_a_fin_alone(t: Talk) -> None:
    sock, flow = sent(t)
    flow.sends("SFA", opts=mss(1000))
    t.wait(0.1)
    sock.recv(100)
    sock.state()


@both()
def test_a_refused_syn_with_data(t: Talk) -> None:
    sock, flow = sent(t)
    flow.sends("RA", seq=0)
    sock.state()
    sock.error()


@both()
def test_connect_returns_at_once_with_a_cookie(t: Talk) -> None:
    got_cookie(t)
    sock = t.tcp()
    sock.set(TCP, CONNECT, 1)
    flow = t.flow(80, None)
    sock.connect((PEER[4], 80))
    sock.state()
    sock.events()
    sock.connect((PEER[4], 80))
    sock.recv(100)
    t.wait(0.02)
    sock.send(b"hello")
    t.expect("S")
    sock.connect((PEER[4], 80))
    sock.send(b"more")
    t.wait(0.02)
    flow.sends("SA", opts=mss(1000))
    sock.connect((PEER[4], 80))
    sock.send(b"more")
    t.wait(0.02)


@both()
def test_connect_asks_for_a_cookie(t: Talk) -> None:
    sock, _ = connected(t, before=lambda sock: sock.set(TCP, CONNECT, 1), opts=mss(1000) + fast_open(COOKIE))
    sock.send(b"hello")
    t.wait(0.01)


@both(sysctls=WITHOUT_COOKIE)
def test_a_client_may_need_no_cookie(t: Talk) -> None:
    sock = t.tcp()
    flow = t.flow(80, None)
    sock.sendmsg([bytes(2000)], [], SEND, (PEER[4], 80))
    t.wait(0.02)
    flow.sends("SA", opts=mss(1000))
    t.wait(0.02)


@both()
def test_a_socket_may_need_no_cookie(t: Talk) -> None:
    sock = t.tcp()
    sock.set(TCP, NO_COOKIE, 1)
    flow = t.flow(80, None)
    sock.sendmsg([b"hello"], [], SEND, (PEER[4], 80))
    t.wait(0.02)
    flow.sends("SA", ack=1, opts=mss(1000))
    t.wait(0.02)


@both(sysctls={"net.ipv4.tcp_fastopen": 2})
def test_a_host_may_let_no_client(t: Talk) -> None:
    sock = t.tcp()
    sock.sendmsg([b"hello"], [], SEND, (PEER[4], 80))
    sock.set(TCP, CONNECT, 1)


@both()
def test_msg_fastopen_where_it_has_no_place(t: Talk) -> None:
    sock, _ = connected(t)
    sock.sendmsg([b"hello"], [], SEND, (PEER[4], 80))
    sock.sendmsg([b"hello"], [], SEND, (PEER[4], 80))
    listener = listening(t)
    listener.sendmsg([b"hello"], [], SEND, (PEER[4], 80))
    t.tcp().send(b"hello", SEND)
    sock.send(b"end")
    t.wait(0.01)


@both()
def test_options_and_their_values(t: Talk) -> None:
    sock = t.tcp()
    for option in (FAST_OPEN, CONNECT, NO_COOKIE):
        for value in (-1, 0, 1, 2, 5000):
            sock.set(TCP, option, value)
            sock.getsockopt(TCP, option)
    for size in (0, 8, 16, 17, 32):
        sock.set(TCP, KEY, bytes(size))
        sock.getsockopt(TCP, KEY, 64)
    other, _ = connected(t)
    for option in (FAST_OPEN, CONNECT, NO_COOKIE):
        other.set(TCP, option, 1)


@both(sysctls={"net.ipv4.tcp_fastopen_blackhole_timeout_sec": 60})
def test_three_time_outs_look_like_a_black_hole(t: Talk) -> None:
    sent(t)
    t.wait(3.5)
    sock = t.tcp()
    t.flow(80, None)
    sock.sendmsg([b"hello"], [], SEND, (PEER[4], 80))
    t.wait(0.1)


@both()
def test_a_client_of_ipv6(t: Talk) -> None:
    sock, flow = sent(t, version=6)
    t.wait(0.02)
    flow.sends("SA", opts=mss(1000))
    t.wait(0.1)
    sock.send(b"more")


# ---- both


def tell_info(sock: Sock) -> None:
    """Logs what TCP_INFO says of Fast Open: data of the SYN were taken, it was made by them, why they were not."""
    info = sock.sock.getsockopt(TCP, socket.TCP_INFO, 8)
    sock.talk.note(f"{sock.name}.info", (bool(info[5] & 32), bool(info[5] & 128), info[7] >> 1 & 3))


@both(sysctls=BOTH)
def test_tcp_info_of_a_server(t: Talk) -> None:
    sock, flow = opened(t, listening(t))
    tell_info(sock)
    flow.acks()
    tell_info(sock)


@both(sysctls=BOTH)
def test_tcp_info_of_a_server_whose_syn_brought_nothing(t: Talk) -> None:
    sock, _ = opened(t, listening(t), b"")
    tell_info(sock)


@both()
def test_tcp_info_of_a_client(t: Talk) -> None:
    sock, flow = sent(t)
    tell_info(sock)
    flow.sends("SA", opts=mss(1000))
    tell_info(sock)


@both()
def test_tcp_info_of_a_client_without_a_cookie(t: Talk) -> None:
    sock = t.tcp()
    flow = t.flow(80, None)
    sock.sendmsg([b"hello"], [], SEND, (PEER[4], 80))
    flow.sends("SA", opts=mss(1000))
    tell_info(sock)


@both()
def test_tcp_info_of_a_client_whose_data_were_not_taken(t: Talk) -> None:
    sock, flow = sent(t)
    flow.sends("SA", ack=1, opts=mss(1000))
    tell_info(sock)


@both()
def test_tcp_info_of_a_client_whose_data_were_lost(t: Talk) -> None:
    sock, flow = sent(t)
    t.wait(1.5)
    flow.sends("SA", ack=1, opts=mss(1000))
    tell_info(sock)


@both(sysctls=BOTH)
def test_a_full_accept_queue_takes_no_data(t: Talk) -> None:
    listener = listening(t, backlog=0)
    cookie = asked(t)
    for peer in (4000, 4001):
        t.flow(peer).sends("S", b"hello", opts=mss(1000) + fast_open(cookie) + NOP * 2)
        t.wait(0.01)
    listener.accept()


@both(sysctls=BOTH)
def test_an_answer_that_is_lost_goes_again_when_the_handshake_has_ended(t: Talk) -> None:
    sock, flow = opened(t, listening(t))
    sock.send(b"answer")
    t.wait(0.02)
    flow.acks(1)
    t.wait(1.0)


@both(sysctls=BOTH)
def test_icmp_before_accept_ends_it(t: Talk) -> None:
    listener = listening(t)
    cookie = asked(t)
    flow = t.flow()
    flow.sends("S", b"hello", opts=mss(1000) + fast_open(cookie) + NOP * 2)
    t.expect("SA")
    flow.sends_icmp(3, 1)
    sock, _ = listener.accept()
    sock.state()
    sock.error()


@both(sysctls=BOTH)
def test_icmp_after_accept_does_not(t: Talk) -> None:
    sock, flow = opened(t, listening(t))
    flow.sends_icmp(3, 1)
    sock.state()


@both()
def test_a_connection_that_waits_for_data_is_closed(t: Talk) -> None:
    got_cookie(t)
    sock = t.tcp()
    sock.set(TCP, CONNECT, 1)
    sock.connect((PEER[4], 80))
    sock.close()
    t.wait(0.1)


@both()
def test_a_connection_that_waits_for_data_is_shut_down(t: Talk) -> None:
    got_cookie(t)
    sock = t.tcp()
    sock.set(TCP, CONNECT, 1)
    sock.connect((PEER[4], 80))
    sock.shutdown(socket.SHUT_WR)
    sock.state()
    t.wait(0.1)


@both()
def test_a_cookie_is_changed(t: Talk) -> None:
    _, flow = sent(t)
    flow.sends("SA", ack=1, opts=mss(1000) + fast_open(b"another cookie") + NOP * 2)
    t.wait(0.1)
    sock = t.tcp()
    t.flow(80, None)
    sock.sendmsg([b"hello"], [], SEND, (PEER[4], 80))
    t.wait(0.1)


@both()
def test_buffers_of_a_message_fill_the_syn(t: Talk) -> None:
    got_cookie(t)
    sock = t.tcp()
    t.flow(80, None)
    sock.sendmsg([b"one", bytes(500), b"two", bytes(500)], [], SEND, (PEER[4], 80))
    t.wait(0.1)


@both()
def test_a_small_mss_bounds_the_data_of_a_syn(t: Talk) -> None:
    got_cookie(t, size=500)
    sock = t.tcp()
    sock.set(TCP, socket.TCP_MAXSEG, 300)
    t.flow(80, None)
    sock.sendmsg([bytes(1000)], [], SEND, (PEER[4], 80))
    t.wait(0.1)


@both()
def test_a_tiny_mss_leaves_little_room_in_a_syn(t: Talk) -> None:
    got_cookie(t, size=10)
    sock = t.tcp()
    t.flow(80, None)
    sock.sendmsg([bytes(1000)], [], SEND, (PEER[4], 80))
    t.wait(0.1)


@both(differs="what was to be written has been written when the call returns: there is nothing to say EINPROGRESS of")
def test_nothing_is_written_with_a_cookie(t: Talk) -> None:
    got_cookie(t)
    sock = t.tcp()
    flow = t.flow(80, None)
    sock.sendmsg([b""], [], SEND, (PEER[4], 80))
    t.wait(0.02)
    flow.sends("SA", opts=mss(1000))
    t.wait(0.1)
    tell_info(sock)
