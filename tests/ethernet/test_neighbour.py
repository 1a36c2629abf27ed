"""The life of a neighbour entry, by the clock: RFC 4861 7.3.2 with the times that Linux gives ARP."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import ICMP, TCP, UDP
from scapy.layers.l2 import ARP

from aionetflow.ethernet.interface import EthernetInterface
from aionetflow.ethernet.neighbour import DELAY, FAILED, INCOMPLETE, PROBE, REACHABLE, STALE
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SO_ERROR, SOL_SOCKET
from support.lan import EVERYBODY, ISS, OURS, PEER, Host, answer, back, ether, ethernet_host, mac, question
from support.rules import rule


def state(host: Host, address: str = PEER) -> int:
    neighbour = host.wire.neighbour(address)
    return neighbour.state if neighbour else 0


def questions(host: Host) -> list[tuple[float, str]]:
    """When a question was asked, and of which MAC."""
    return [(when, frame.dst) for when, frame in host.wire.says_when() if frame.type == 0x0806]


def reachable() -> tuple[Host, DatagramSocket]:
    """A host whose neighbour has just answered, and a socket to make it talk."""
    host = ethernet_host()
    sock = host.udp()
    sock.sendto(b"x", (PEER, 9))
    host.wire.hears(answer(2))
    assert state(host) == REACHABLE
    return host, sock


def discards(host: Host) -> int:
    nic = host.wire.interface
    assert isinstance(nic, EthernetInterface)
    return nic.neighbours.unresolved_discards


def test_what_waits_for_a_neighbour_that_a_full_table_forgets_is_counted() -> None:
    host = ethernet_host("10.0.0.1/8")
    sock = host.udp()
    for number in range(1, 1027):  # net.ipv4.neigh.default.gc_thresh3 is 1024
        sock.sendto(b"x", (f"10.{number >> 8}.{number & 255}.7", 9))
    assert discards(host) == 2


# ---- INCOMPLETE


@rule("RFC 1122 2.3.2.1", "Questions for one address are limited to one a second", code="ethernet/neighbour.py")
def test_incomplete_asks_three_times_a_second_apart_then_gives_up() -> None:
    host = ethernet_host()
    host.clock.advance(5)
    host.udp().sendto(b"x", (PEER, 9))
    assert state(host) == INCOMPLETE
    host.clock.advance(2.999)
    assert questions(host) == [(5.0, EVERYBODY), (6.0, EVERYBODY), (7.0, EVERYBODY)]
    assert state(host) == INCOMPLETE
    host.clock.advance(0.001)
    assert state(host) == FAILED
    host.clock.advance(100)
    assert questions(host) == []


def test_incomplete_becomes_reachable_with_an_answer_to_the_last_question() -> None:
    host = ethernet_host()
    host.udp().sendto(b"x", (PEER, 9))
    host.clock.advance(2.999)
    host.wire.says()
    (said,) = host.wire.hears(answer(2))
    assert bytes(said[UDP].payload) == b"x"
    host.clock.advance(10)
    assert host.wire.says() == []  # nothing is repeated, nothing fails
    assert state(host) == REACHABLE


def test_more_packets_while_incomplete_ask_no_more_questions() -> None:
    host = ethernet_host()
    sock = host.udp()
    for _ in range(10):
        sock.sendto(b"x", (PEER, 9))
        host.clock.advance(0.09)
    assert questions(host) == [(0.0, EVERYBODY)]


def test_a_neighbour_that_failed_is_asked_for_again_when_used_again() -> None:
    host = ethernet_host()
    sock = host.udp()
    sock.sendto(b"x", (PEER, 9))
    host.clock.advance(10)
    host.wire.says()
    sock.sendto(b"y", (PEER, 9))
    assert questions(host) == [(10.0, EVERYBODY)]
    (said,) = host.wire.hears(answer(2))
    assert bytes(said[UDP].payload) == b"y"  # what had failed is gone


@rule("RFC 1122 2.3.2.2", "The latest packets to an unresolved address are kept", code="ethernet/neighbour.py")
def test_a_hundred_and_one_packets_wait_and_the_oldest_go() -> None:
    # net.ipv4.neigh.default.unres_qlen; RFC 1122 2.3.2.2: keep the latest
    host = ethernet_host()
    sock = host.udp()
    for number in range(150):
        sock.sendto(number.to_bytes(2, "big"), (PEER, 9))
    said = host.wire.hears(answer(2))[1:]
    assert [int.from_bytes(bytes(frame[UDP].payload), "big") for frame in said] == list(range(49, 150))
    assert discards(host) == 49


def test_each_neighbour_has_its_own_queue() -> None:
    host = ethernet_host()
    sock = host.udp()
    for number in (2, 3):
        sock.sendto(bytes([number]), (f"10.0.0.{number}", 9))
    host.wire.says()
    (said,) = host.wire.hears(answer(3))
    assert (said.dst, bytes(said[UDP].payload)) == (mac(3), b"\3")
    (said,) = host.wire.hears(answer(2))
    assert (said.dst, bytes(said[UDP].payload)) == (mac(2), b"\2")


# ---- failure, at the socket


def test_a_connecting_socket_fails_with_ehostunreach_when_nobody_answers() -> None:
    # Linux: arp_error_report, ipv4_link_failure; no need to wait for the SYN's own time-out
    host = ethernet_host()
    sock = host.connecting((PEER, 80))
    host.clock.advance(2.999)
    assert sock.state_name() == "SYN-SENT"
    host.clock.advance(0.001)
    assert sock.getsockopt(SOL_SOCKET, SO_ERROR) == errno.EHOSTUNREACH
    assert sock.state_name() == "UNCONN"
    assert {frame.type for frame in host.wire.says()} == {0x0806}


def test_connect_raises_the_failure_once() -> None:
    host = ethernet_host()
    sock = host.connecting((PEER, 80))
    host.clock.advance(3)
    with pytest.raises(OSError) as caught:
        sock.connect((PEER, 80))
    assert caught.value.errno == errno.EHOSTUNREACH
    with pytest.raises(BlockingIOError) as again:
        sock.connect((PEER, 80))
    assert again.value.errno == errno.EINPROGRESS


def test_a_connection_behind_a_gateway_that_does_not_answer_fails_too() -> None:
    host = ethernet_host()
    host.stack.routes.add("default", via="10.0.0.254")
    sock = host.connecting(("192.0.2.7", 80))
    host.clock.advance(3)
    assert sock.getsockopt(SOL_SOCKET, SO_ERROR) == errno.EHOSTUNREACH


def test_an_unconnected_datagram_socket_does_not_hear_of_the_failure() -> None:
    host = ethernet_host()
    sock = host.udp()
    sock.sendto(b"x", (PEER, 9))
    host.clock.advance(4)
    assert sock.getsockopt(SOL_SOCKET, SO_ERROR) == 0
    assert sock.sendto(b"x", (PEER, 9)) == 1


def test_a_connected_datagram_socket_does_not_hear_of_it_either() -> None:
    # Linux __udp4_lib_err: host unreachable is not fatal, and without IP_RECVERR only what is fatal is told
    host = ethernet_host()
    sock = host.udp()
    sock.connect((PEER, 9))
    sock.send(b"x")
    host.clock.advance(4)
    assert sock.getsockopt(SOL_SOCKET, SO_ERROR) == 0


def test_the_failure_is_never_told_on_the_wire_by_the_host_that_failed() -> None:
    host = ethernet_host()
    host.udp().sendto(b"x", (PEER, 9))
    host.clock.advance(10)
    assert not any(frame.haslayer(ICMP) for frame in host.wire.says())


@rule(
    "RFC 1122 4.2.3.9", "A connection is not aborted because a host is unreachable for a while",
    code="tcp/arrival.py",
)  # fmt: skip
def test_an_established_connection_survives_a_neighbour_that_is_silent_for_a_while() -> None:
    host = ethernet_host()
    host.wire.learns(2)
    sock = host.connecting((PEER, 80))
    syn = host.wire.says()[-1]
    host.wire.hears(ether() / back(syn, TCP(flags="SA", seq=ISS)))
    assert sock.state_name() == "ESTAB"
    host.clock.advance(60)
    sock.send(b"are you there")
    host.clock.advance(30)  # DELAY, PROBE, gone, asked again: RFC 1122 4.2.3.9, no reason to abort
    assert sock.state_name() == "ESTAB"
    host.wire.says()
    said = host.wire.hears(question(2))
    host.clock.advance(120)
    said += host.wire.says()
    assert b"are you there" in {bytes(frame[TCP].payload) for frame in said if frame.haslayer(TCP)}


# ---- REACHABLE, STALE, DELAY, PROBE


@rule("RFC 4861 7.3.2", "REACHABLE becomes STALE after ReachableTime", code="ethernet/neighbour.py")
def test_reachable_lasts_thirty_seconds() -> None:
    host, sock = reachable()
    host.clock.advance(29.999)
    assert state(host) == REACHABLE
    sock.sendto(b"x", (PEER, 9))
    assert state(host) == REACHABLE
    host.clock.advance(0.001)
    assert state(host) == STALE


def test_stale_without_use_asks_nothing_and_goes_after_a_minute() -> None:
    host, _ = reachable()
    host.clock.advance(30 + 59.999)
    assert state(host) == STALE
    assert questions(host) == []
    host.clock.advance(0.001)
    assert state(host) == 0
    assert questions(host) == []


@rule(
    "RFC 4861 7.3.2", "STALE in use sends at once, becomes DELAY, and after five seconds PROBE",
    code="ethernet/neighbour.py",
)  # fmt: skip
def test_stale_in_use_sends_at_once_and_delays_five_seconds() -> None:
    host, sock = reachable()
    host.clock.advance(30)
    host.wire.says()
    sock.sendto(b"y", (PEER, 9))
    (said,) = host.wire.says()
    assert (said.dst, bytes(said[UDP].payload)) == (mac(2), b"y")
    assert state(host) == DELAY
    host.clock.advance(4.999)
    assert (state(host), questions(host)) == (DELAY, [])
    host.clock.advance(0.001)
    assert (state(host), questions(host)) == (PROBE, [(35.0, mac(2))])


def test_more_use_does_not_put_the_probe_off() -> None:
    host, sock = reachable()
    host.clock.advance(30)
    for _ in range(12):
        sock.sendto(b"y", (PEER, 9))
        host.clock.advance(0.5)
    assert questions(host) == [(35.0, mac(2)), (36.0, mac(2))]


@rule("RFC 4861 7.3.2", "An answer to a probe makes the neighbour REACHABLE", code="ethernet/neighbour.py")
def test_an_answer_to_the_probe_makes_it_reachable() -> None:
    host, sock = reachable()
    host.clock.advance(30)
    sock.sendto(b"y", (PEER, 9))
    host.clock.advance(6)
    assert state(host) == PROBE
    host.wire.hears(answer(2))
    assert state(host) == REACHABLE
    host.wire.says()
    host.clock.advance(29.999)
    assert (state(host), questions(host)) == (REACHABLE, [])


@rule(
    "RFC 4861 7.3.3", "PROBE asks the neighbour itself, three times, while packets go out",
    code="ethernet/neighbour.py",
)  # fmt: skip
def test_a_probe_asks_three_times_while_packets_still_go_out() -> None:
    host, sock = reachable()
    host.clock.advance(30)
    sock.sendto(b"y", (PEER, 9))
    host.clock.advance(6.5)
    host.wire.says()
    sock.sendto(b"z", (PEER, 9))
    (said,) = host.wire.says()
    assert (said.dst, bytes(said[UDP].payload)) == (mac(2), b"z")
    host.clock.advance(1.499)
    assert (state(host), questions(host)) == (PROBE, [(37.0, mac(2))])
    host.clock.advance(0.001)
    assert state(host) == FAILED
    sock.sendto(b"z", (PEER, 9))
    assert questions(host) == [(38.0, EVERYBODY)]


def test_a_neighbours_own_question_does_not_answer_a_probe() -> None:
    # Linux neigh_update: the same MAC again, not as an answer, changes neither state nor the count of questions
    host, sock = reachable()
    host.clock.advance(30)
    sock.sendto(b"y", (PEER, 9))
    for _ in range(19):
        host.clock.advance(0.4)
        host.wire.hears(question(2, "10.0.0.77"))
    assert state(host) != REACHABLE
    host.clock.advance(0.4)
    assert state(host) == FAILED


def test_a_failed_neighbour_is_asked_for_anew_and_forgotten_when_nobody_needs_it() -> None:
    host = ethernet_host()
    host.udp().sendto(b"x", (PEER, 9))
    host.clock.advance(3)
    host.wire.says()
    assert state(host) == FAILED
    host.udp().sendto(b"y", (PEER, 9))
    assert (state(host), questions(host)) == (INCOMPLETE, [(3.0, EVERYBODY)])
    host.clock.advance(3)
    assert state(host) == FAILED
    host.clock.advance(60)
    assert state(host) == 0


def test_a_new_mac_heard_by_the_way_makes_it_stale() -> None:
    host, sock = reachable()
    host.clock.advance(10)
    host.wire.hears(question(9, OURS, PEER))
    assert state(host) == STALE
    sock.sendto(b"y", (PEER, 9))
    assert host.wire.says()[-1].dst == mac(9)
    assert state(host) == DELAY


def test_the_same_mac_heard_by_the_way_leaves_it_reachable() -> None:
    host, _ = reachable()
    host.clock.advance(10)
    host.wire.hears(question(2))
    assert state(host) == REACHABLE
    host.clock.advance(20)
    assert state(host) == STALE  # and does not make it last longer: only an answer does


@rule("RFC 1122 2.3.2.1", "Entries that are out of date are flushed", code="ethernet/neighbour.py")
def test_stale_entries_of_askers_age_out() -> None:
    host = ethernet_host()
    host.wire.learns(2)
    assert state(host) == STALE
    host.clock.advance(60)
    assert state(host) == 0


def test_a_host_with_idle_neighbours_comes_to_rest() -> None:
    host, _ = reachable()
    assert host.clock.run_until_idle(600)
    assert host.clock.now() <= 120 * 1_000_000_000


@rule("RFC 1122 2.3.2.1", "An entry is verified by a question to the neighbour alone", code="ethernet/neighbour.py")
def test_the_question_of_a_probe_is_put_to_the_neighbour_alone() -> None:
    host, sock = reachable()
    host.clock.advance(30)
    sock.sendto(b"y", (PEER, 9))
    host.clock.advance(5)
    said = host.wire.says()[-1]
    assert (said.dst, said[ARP].op, said[ARP].pdst, said[ARP].psrc) == (mac(2), 1, PEER, OURS)


def test_an_interface_that_goes_down_forgets_its_neighbours() -> None:
    # Linux neigh_ifdown: behind the interface there may be another network when it comes up
    host, sock = reachable()
    host.stack.set_up(host.wire.interface, False)
    host.stack.set_up(host.wire.interface, True)
    host.wire.says()
    sock.sendto(b"y", (PEER, 9))
    assert questions(host) == [(0.0, EVERYBODY)]


def test_nothing_that_waited_leaves_an_interface_that_is_down() -> None:
    host = ethernet_host()
    host.udp().sendto(b"x", (PEER, 9))
    host.wire.says()
    host.stack.set_up(host.wire.interface, False)
    host.clock.advance(10)
    assert host.wire.hears(answer(2)) == []
    host.stack.set_up(host.wire.interface, True)
    assert [frame[ARP].pdst for frame in host.wire.says()] == [OURS]
