"""What routers say by ICMP of a connection's segments, and the path's MTU (RFC 1122, 1191, 5927)."""

from __future__ import annotations

import socket

from support.beside.cases import both
from support.beside.packets import mss
from support.beside.states import accepted, syn_sent
from support.beside.talk import Talk

ANEW = "Linux cuts each segment that was sent for itself, we cut the stream anew"
IP, TCP = socket.IPPROTO_IP, socket.IPPROTO_TCP
PLAIN = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0}
UNREACHABLE, QUENCH, EXCEEDED, PROBLEM = 3, 4, 11, 12
IP_MTU_DISCOVER, IP_RECVERR, IP_MTU = 10, 11, 14


@both(sysctls=PLAIN)
def test_port_unreachable_refuses_a_connection(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends_icmp(UNREACHABLE, 3)
    t.wait(0.02)
    sock.events()
    sock.error()


@both(sysctls=PLAIN)
def test_protocol_unreachable_refuses_a_connection(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends_icmp(UNREACHABLE, 2)
    t.wait(0.02)
    sock.error()


@both(sysctls=PLAIN)
def test_host_unreachable_ends_connecting(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    sock.events()
    sock.error()


@both(sysctls=PLAIN)
def test_prohibited_ends_connecting(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends_icmp(UNREACHABLE, 13)
    t.wait(0.02)
    sock.error()


@both(sysctls=PLAIN)
def test_time_exceeded_while_connecting(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends_icmp(EXCEEDED, 0)
    t.wait(0.02)
    sock.events()
    sock.error()


@both(sysctls=PLAIN)
def test_parameter_problem_while_connecting(t: Talk) -> None:
    sock, flow = syn_sent(t)
    flow.sends_icmp(PROBLEM, 0)
    t.wait(0.02)
    sock.error()


@both()
def test_host_unreachable_is_no_end_of_a_connection(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    sock.events()
    sock.error()
    sock.state()


@both()
def test_port_unreachable_is_no_end_of_a_connection(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 3)
    t.wait(0.02)
    sock.error()
    sock.state()


@both()
def test_ip_recverr_tells_at_once(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.set(IP, IP_RECVERR, 1)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(0.02)
    sock.events()
    sock.error()
    sock.state()


@both()
def test_source_quench_is_ignored(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(5000))
    t.wait(0.01)
    flow.sends_icmp(QUENCH, 0)
    t.wait(0.02)
    flow.acks()
    sock.error()


@both(sysctls={"net.ipv4.tcp_early_retrans": 0, "net.ipv4.tcp_retries2": 3})
def test_the_time_out_tells_what_the_router_said(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.expect("PA")
    flow.sends_icmp(UNREACHABLE, 1)
    t.wait(4.5)
    sock.error()


@both()
def test_an_error_about_a_number_never_sent_is_ignored(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(1000))
    t.expect("PA")
    quoted = bytearray(flow.raw[-1])
    quoted[24:28] = b"\x12\x34\x56\x78"
    flow.sends_icmp(UNREACHABLE, 4, 600, quoted=bytes(quoted))
    t.wait(0.05)
    sock.getsockopt(IP, IP_MTU)


@both()
def test_an_error_about_another_connection_is_ignored(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(1000))
    t.expect("PA")
    quoted = bytearray(flow.raw[-1])
    quoted[22:24] = b"\x12\x34"
    flow.sends_icmp(UNREACHABLE, 4, 600, quoted=bytes(quoted))
    t.wait(0.05)
    sock.state()


# ---- the path's MTU


@both(differs=ANEW)
def test_fragmentation_needed_sends_smaller_segments_at_once(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(4000))
    t.wait(0.01)
    flow.sends_icmp(UNREACHABLE, 4, 1000)
    t.wait(0.02)
    flow.acks()
    sock.getsockopt(IP, IP_MTU)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)


@both()
def test_a_smaller_path_counts_for_what_comes_later(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(0.01)
    flow.sends_icmp(UNREACHABLE, 4, 1200)
    t.wait(0.02)
    flow.acks()
    sock.send(bytes(3000))
    t.wait(0.02)


@both()
def test_a_next_connection_knows_the_path(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(0.01)
    flow.sends_icmp(UNREACHABLE, 4, 1000)
    t.wait(0.02)
    second, _ = accepted(t, opts=mss(1460), peer=4001, port=81)
    second.send(bytes(2000))
    t.wait(0.02)


@both()
def test_an_mtu_below_552_is_not_believed(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(0.01)
    flow.sends_icmp(UNREACHABLE, 4, 100)
    t.wait(0.02)
    sock.getsockopt(IP, IP_MTU)
    flow.acks()


@both()
def test_a_router_that_tells_no_mtu(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(0.01)
    flow.sends_icmp(UNREACHABLE, 4, 0)
    t.wait(0.02)
    sock.getsockopt(IP, IP_MTU)


@both()
def test_an_mtu_larger_than_what_was_sent_changes_nothing(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(1000))
    t.wait(0.01)
    flow.sends_icmp(UNREACHABLE, 4, 1600)
    t.wait(0.02)
    sock.getsockopt(IP, IP_MTU)


@both()
def test_without_path_mtu_discovery_df_is_not_set(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.set(IP, IP_MTU_DISCOVER, 0)
    sock.send(bytes(1460))
    t.wait(0.01)
    flow.sends_icmp(UNREACHABLE, 4, 1000)
    t.wait(0.02)


@both(sysctls={"net.ipv4.ip_no_pmtu_disc": 1})
def test_path_mtu_discovery_is_switched_off_for_all(t: Talk) -> None:
    sock, _ = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(0.01)


@both(sysctls={"net.ipv4.tcp_early_retrans": 0, "net.ipv4.tcp_mtu_probing": 1})
def test_a_black_hole_is_noticed_by_time_outs(t: Talk) -> None:
    sock, _ = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(3.6)


@both()
def test_a_fragmentation_needed_for_a_syn_ack(t: Talk) -> None:
    listener = t.tcp()
    listener.bind(("10.0.0.1", 80))
    listener.listen(3)
    flow = t.flow()
    flow.sends("S", opts=mss(1460))
    t.expect("SA")
    flow.sends_icmp(UNREACHABLE, 4, 1000)
    t.wait(0.05)
    flow.acks()
    sock, _ = listener.accept()
    sock.send(bytes(2000))
    t.wait(0.02)


@both(sysctls=PLAIN | {"net.ipv4.route.mtu_expires": 1})
def test_a_smaller_path_is_forgotten(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1460))
    sock.send(bytes(1460))
    t.wait(0.01)
    flow.sends_icmp(UNREACHABLE, 4, 1000)
    t.wait(0.02)
    flow.acks()
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    t.wait(1.5)
    sock.getsockopt(IP, IP_MTU)
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
    sock.send(bytes(2920))
    t.wait(0.02)
    flow.acks()
    sock.getsockopt(TCP, socket.TCP_MAXSEG)
