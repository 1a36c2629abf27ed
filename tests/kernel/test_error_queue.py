"""IP_RECVERR and IPV6_RECVERR of stream sockets: what ICMP says is told at once, and queued for MSG_ERRQUEUE."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.states import accepted, syn_sent
from support.beside.talk import Sock, Talk

IP, IPV6, TCP = socket.IPPROTO_IP, socket.IPPROTO_IPV6, socket.IPPROTO_TCP
PLAIN = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0}
UNREACHABLE, EXCEEDED = 3, 11
UNREACHABLE_6, EXCEEDED_6 = 1, 3
IP_RECVTTL, IP_RECVERR, IPV6_RECVERR = 12, 11, 25
MSG_ERRQUEUE = 0x2000


def asking(sock: Sock) -> None:
    """Asks for errors."""
    sock.set(IP, IP_RECVERR, 1)


def asking_6(sock: Sock) -> None:
    """The same of IPv6."""
    sock.set(IPV6, IPV6_RECVERR, 1)


@both(sysctls=PLAIN)
def test_what_ends_connecting_is_queued(t: Talk) -> None:
    sock, flow = syn_sent(t, before=asking)
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    sock.events()
    sock.recvmsg(0, 200, MSG_ERRQUEUE)
    sock.events()
    sock.error()
    sock.recvmsg(0, 200, MSG_ERRQUEUE)
    sock.events()


@both(sysctls=PLAIN)
def test_it_is_queued_for_who_does_not_ask_too(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    sock.events()
    sock.recvmsg(0, 200, MSG_ERRQUEUE)
    sock.error()
    sock.events()


@both(sysctls=PLAIN)
def test_so_error_leaves_the_queue(t: Talk) -> None:
    sock, flow = syn_sent(t, before=asking)
    flow.sends_icmp(EXCEEDED, 0)
    t.wait(0.02)
    sock.error()
    sock.events()
    sock.recvmsg(0, 200, MSG_ERRQUEUE)
    sock.events()


@both()
def test_what_comes_later_is_told_and_not_queued(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(IP, IP_RECVERR, 1)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    sock.events()
    sock.recvmsg(0, 200, MSG_ERRQUEUE)
    sock.recv(10)
    sock.recv(10)
    sock.events()
    flow.acks()
    flow.sends("PA", b"answer")
    t.wait(0.05)
    sock.recv(10)


@both()
def test_send_fails_once(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(IP, IP_RECVERR, 1)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 13)
    t.wait(0.02)
    sock.send(b"more")
    sock.send(b"more")
    t.wait(0.01)


@both()
def test_data_before_the_error_are_read_first(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(IP, IP_RECVERR, 1)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends("PA", b"answer", ack=1)
    t.wait(0.1)
    flow.sends_icmp(EXCEEDED, 0)
    t.wait(0.02)
    sock.recv(3)
    sock.recv(10)
    sock.recv(10)
    sock.recv(10)


@both()
def test_a_soft_error_fails_no_call(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    sock.recv(10)
    sock.send(b"more")
    sock.error()
    sock.error()


@both()
def test_an_acknowledgment_ends_a_soft_error(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)
    sock.error()


@both()
def test_an_acknowledgment_ends_no_other(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(IP, IP_RECVERR, 1)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    flow.acks()
    t.wait(0.02)
    sock.error()


@both(sysctls=PLAIN)
def test_a_listening_socket_hands_the_option_on(t: Talk) -> None:
    sock, flow = accepted(t, before=asking)
    sock.getsockopt(IP, IP_RECVERR)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    sock.error()


@both(sysctls=PLAIN)
def test_what_is_too_long_is_not_told(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(IP, IP_RECVERR, 1)
    sock.send(bytes(1000))
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 4, 700)
    t.wait(0.02)
    sock.events()
    sock.error()
    sock.recvmsg(0, 200, MSG_ERRQUEUE)


@both(sysctls=PLAIN)
def test_ipv6_tells_it_too(t: Talk) -> None:
    sock, flow = accepted(t, version=6)
    sock.set(IPV6, IPV6_RECVERR, 1)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE_6, 0)
    t.wait(0.02)
    sock.events()
    sock.recvmsg(0, 200, MSG_ERRQUEUE)
    sock.error()
    sock.state()


@both(sysctls=PLAIN)
def test_without_being_asked_ipv6_keeps_it(t: Talk) -> None:
    sock, flow = accepted(t, version=6)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(EXCEEDED_6, 0)
    t.wait(0.02)
    sock.events()
    sock.error()
    sock.state()


@both(sysctls=PLAIN)
def test_what_ends_connecting_by_ipv6_is_queued(t: Talk) -> None:
    sock, flow = syn_sent(t, version=6, before=asking_6)
    flow.sends_icmp(UNREACHABLE_6, 3)
    t.wait(0.02)
    sock.events()
    sock.recvmsg(0, 200, MSG_ERRQUEUE)
    sock.error()
    sock.events()


@both(sysctls=PLAIN)
def test_the_hops_of_the_report_are_told(t: Talk) -> None:
    sock, flow = syn_sent(t, before=lambda sock: sock.set(IP, IP_RECVERR, 1).set(IP, IP_RECVTTL, 1))
    flow.sends_icmp(UNREACHABLE, 3)
    t.wait(0.02)
    sock.recvmsg(0, 200, MSG_ERRQUEUE)


@both(sysctls=PLAIN)
def test_there_is_nothing_in_the_queue(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.recvmsg(0, 200, MSG_ERRQUEUE)
    sock.recv(100, MSG_ERRQUEUE)
