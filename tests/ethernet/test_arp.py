"""ARP on the wire: questions, answers, and what is learned from whom (RFC 826, RFC 5227, RFC 1122 2.3.2)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from aionetflow.ethernet.interface import EthernetInterface
from aionetflow.ethernet.neighbour import INCOMPLETE, PERMANENT, REACHABLE, STALE
from aionetflow.ip.address import pack
from support.lan import (
    EVERYBODY,
    OURS,
    PEER,
    Host,
    Wire,
    answer,
    arp,
    datagram,
    ether,
    ethernet_host,
    ip,
    mac,
    mac_octets,
    question,
)
from support.rules import rule

NOBODY = "00:00:00:00:00:00"


def known_mac(wire: Wire, address: str = PEER) -> str:
    neighbour = wire.neighbour(address)
    return neighbour.mac.hex(":") if neighbour else ""


def asking() -> Host:
    """A host that has asked for the peer, with one datagram waiting."""
    host = ethernet_host()
    host.udp().sendto(b"first", (PEER, 9))
    host.wire.says()
    return host


# ---- asking


@rule("RFC 826 Packet Generation", "A question goes to all and says who asks", code="ethernet/arp.py")
def test_the_question_goes_to_all_and_says_who_asks() -> None:
    host = ethernet_host()
    host.udp().sendto(b"x", (PEER, 9))
    (said,) = host.wire.says()
    assert (said.dst, said.src) == (EVERYBODY, mac(1))
    packet = said[ARP]
    assert (packet.op, packet.hwsrc, packet.psrc, packet.hwdst, packet.pdst) == (1, mac(1), OURS, NOBODY, PEER)


def test_one_question_serves_all_packets_that_wait() -> None:
    host = ethernet_host()
    sock = host.udp()
    for number in range(5):
        sock.sendto(bytes([number]), (PEER, 9))
    assert len(host.wire.says()) == 1
    said = host.wire.hears(answer(2))
    assert [bytes(frame[UDP].payload) for frame in said] == [bytes([number]) for number in range(5)]
    assert {frame.dst for frame in said} == {mac(2)}


@rule("RFC 1122 3.3.1.1", "The question is for the next hop, not for the destination", code="ip/v4.py")
def test_the_question_is_for_the_next_hop_not_the_destination() -> None:
    host = ethernet_host()
    host.stack.routes.add("default", via="10.0.0.254")
    host.udp().sendto(b"x", ("192.0.2.7", 9))
    (said,) = host.wire.says()
    assert said[ARP].pdst == "10.0.0.254"
    (sent,) = host.wire.hears(answer(254))
    assert (sent.dst, sent[IP].dst) == (mac(254), "192.0.2.7")


@rule(
    "RFC 1122 3.3.4.3", "A question comes from an address that the neighbour can answer",
    code="ethernet/interface.py",
)  # fmt: skip
def test_the_question_comes_from_the_address_on_the_neighbours_network() -> None:
    # RFC 1122 3.3.4.3: the neighbour must be able to answer
    host = ethernet_host("10.0.0.1/24", "172.16.0.1/16")
    host.udp(("10.0.0.1", 5000)).sendto(b"x", ("172.16.9.9", 9))
    (said,) = host.wire.says()
    assert said[ARP].psrc == "172.16.0.1"


# ---- answering


@rule(
    "RFC 826 Packet Reception", "A question for our address is answered, to the asker alone",
    code="ethernet/interface.py",
)  # fmt: skip
def test_a_question_for_our_address_is_answered_to_the_asker_alone() -> None:
    host = ethernet_host()
    (said,) = host.wire.hears(question(2))
    assert (said.dst, said.src) == (mac(2), mac(1))
    packet = said[ARP]
    assert (packet.op, packet.hwsrc, packet.psrc) == (2, mac(1), OURS)
    assert (packet.hwdst, packet.pdst) == (mac(2), PEER)


def test_a_question_put_to_our_mac_is_answered() -> None:
    host = ethernet_host()
    assert len(host.wire.hears(question(2, dst=mac(1)))) == 1


def test_a_question_for_each_of_our_addresses_is_answered() -> None:
    host = ethernet_host("10.0.0.1/24", "172.16.0.1/16")
    said = host.wire.hears(question(2, "172.16.0.1", "172.16.0.2"), question(2))
    assert [frame[ARP].psrc for frame in said] == ["172.16.0.1", OURS]


@rule("RFC 826 Packet Reception", "A question for someone else is not answered", code="ethernet/interface.py")
def test_a_question_for_someone_else_is_not_answered_and_teaches_nothing() -> None:
    host = ethernet_host()
    assert host.wire.hears(question(2, "10.0.0.3")) == []
    assert host.wire.neighbour(PEER) is None


def test_an_address_taken_away_is_not_answered_for() -> None:
    host = ethernet_host()
    host.stack.remove_address(host.wire.interface, OURS + "/24")
    assert host.wire.hears(question(2)) == []


# ---- learning (RFC 826, packet reception)


@rule("RFC 826 Packet Reception", "Who asks for us is learned", code="ethernet/neighbour.py")
def test_the_asker_is_learned_from_its_question_and_not_asked_back() -> None:
    host = ethernet_host()
    host.wire.hears(question(2))
    neighbour = host.wire.neighbour(PEER)
    assert neighbour is not None
    assert (neighbour.mac, neighbour.state) == (mac_octets(2), STALE)
    host.udp().sendto(b"x", (PEER, 9))
    (said,) = host.wire.says()
    assert said.type == 0x0800
    assert said.dst == mac(2)


def test_an_answer_to_our_question_is_learned() -> None:
    host = asking()
    (said,) = host.wire.hears(answer(2))
    assert bytes(said[UDP].payload) == b"first"
    neighbour = host.wire.neighbour(PEER)
    assert neighbour is not None
    assert neighbour.state == REACHABLE


def test_an_answer_that_nobody_asked_for_teaches_nothing_new() -> None:
    host = ethernet_host()
    assert host.wire.hears(answer(2), answer(3, dst=EVERYBODY)) == []
    assert host.wire.neighbour(PEER) is None
    assert host.wire.neighbour("10.0.0.3") is None


def test_a_neighbours_question_while_we_ask_for_it_sets_the_waiting_free() -> None:
    host = asking()
    said = host.wire.hears(question(2))
    assert [frame.type for frame in said] == [0x0800, 0x0806]
    neighbour = host.wire.neighbour(PEER)
    assert neighbour is not None
    assert neighbour.state == STALE  # it told its MAC; that it hears us is not proved


@rule(
    "RFC 826 Packet Reception", "A known sender's MAC is renewed even if the question is not for us",
    code="ethernet/neighbour.py",
)  # fmt: skip
def test_a_known_neighbours_question_for_someone_else_updates_its_mac() -> None:
    # RFC 826: Merge_flag comes before the test whether the question is for us
    host = ethernet_host()
    host.wire.learns(2)
    host.clock.advance(10)
    host.wire.hears(arp(1, 9, PEER, "10.0.0.77"))
    assert known_mac(host.wire) == mac(9)


@rule(
    "RFC 5227 3", "An announcement, by question or by answer, renews the MAC of a known neighbour",
    code="ethernet/neighbour.py",
)  # fmt: skip
@pytest.mark.parametrize("operation", [1, 2])
def test_an_announcement_updates_a_known_neighbour(operation: int) -> None:
    # RFC 5227 3: both addresses are the sender's; some announce by an answer to all
    host = ethernet_host()
    host.wire.learns(2)
    host.clock.advance(10)
    assert host.wire.hears(arp(operation, 9, PEER, PEER)) == []
    assert known_mac(host.wire) == mac(9)
    neighbour = host.wire.neighbour(PEER)
    assert neighbour is not None
    assert neighbour.state == STALE  # said to all: no proof that it hears us
    host.udp().sendto(b"x", (PEER, 9))
    assert host.wire.says()[0].dst == mac(9)


def test_an_announcement_of_a_stranger_teaches_nothing() -> None:
    # Linux, net.ipv4.conf.*.arp_accept=0
    host = ethernet_host()
    assert host.wire.hears(arp(1, 9, PEER, PEER)) == []
    assert host.wire.neighbour(PEER) is None


# ---- announcements and probes (RFC 5227)


@rule(
    "RFC 5227 2.3", "A new address is announced: a question whose sender and target it is",
    code="ethernet/interface.py",
)  # fmt: skip
def test_an_address_is_announced_when_it_is_added() -> None:
    host = Host()
    nic = host.stack.attach_ethernet("eth0", mac_octets(1))
    host.stack.add_address(nic, OURS + "/24")
    ((when, frame),) = nic.sent
    said = Ether(frame)
    assert (when, said.dst, said[ARP].op) == (0, EVERYBODY, 1)
    assert (said[ARP].psrc, said[ARP].pdst, said[ARP].hwsrc) == (OURS, OURS, mac(1))


@rule("RFC 5227 2.1.1", "A probe for an address in use is answered, and teaches nothing", code="ethernet/interface.py")
def test_a_probe_for_our_address_is_answered_and_teaches_nothing() -> None:
    host = ethernet_host()
    (said,) = host.wire.hears(question(2, OURS, "0.0.0.0"))
    assert (said.dst, said[ARP].op, said[ARP].psrc, said[ARP].hwsrc) == (mac(2), 2, OURS, mac(1))
    assert host.wire.neighbour("0.0.0.0") is None


def test_a_probe_for_another_address_is_left_alone() -> None:
    host = ethernet_host()
    assert host.wire.hears(question(2, PEER, "0.0.0.0")) == []
    assert host.wire.neighbour("0.0.0.0") is None


# ---- hostile


@pytest.mark.parametrize("operation", [1, 2])
@pytest.mark.parametrize("target", [OURS, PEER])
def test_someone_elses_claim_to_our_address_is_not_believed(operation: int, target: str) -> None:
    host = ethernet_host()
    host.wire.hears(arp(operation, 6, OURS, target))
    assert host.wire.neighbour(OURS) is None
    sock = host.udp((OURS, 5000))
    sock.sendto(b"to myself", (OURS, 5000))
    assert host.wire.says() == []
    assert sock.recv(99) == b"to myself"


@rule("RFC 1812 3.3.2", "An ARP packet that says a group MAC is not believed", code="ethernet/interface.py")
@pytest.mark.parametrize("sender", [EVERYBODY, "01:00:5e:00:00:01", "03:00:00:00:00:02"])
def test_a_group_mac_is_not_believed(sender: str) -> None:
    # RFC 1812 3.3.2
    host = asking()
    assert host.wire.hears(answer(2, hwsrc=sender)) == []
    assert host.wire.hears(question(2, hwsrc=sender)) == []
    assert known_mac(host.wire) == ""
    assert host.wire.interface.counters()["rx_errors"] == 2


@pytest.mark.parametrize("sender", ["255.255.255.255", "224.0.0.1", "127.0.0.1", "10.0.0.255"])
def test_an_address_that_no_neighbour_can_have_is_not_learned(sender: str) -> None:
    # RFC 1122 3.2.1.3; Linux arp_process finds no way back to such a sender
    host = ethernet_host()
    assert host.wire.hears(question(6, OURS, sender)) == []
    assert host.wire.neighbour(sender) is None


HOSTILE = {
    "hardware": {"hwtype": 15},
    "protocol": {"ptype": 0x86DD},
    "hardware length": {"hwlen": 8},
    "protocol length": {"plen": 16},
}


@rule(
    "RFC 826 Packet Reception", "Hardware and protocol types and lengths that are not ours are dropped",
    code="ethernet/arp.py",
)  # fmt: skip
@pytest.mark.parametrize("name", HOSTILE)
def test_arp_for_something_else_is_dropped_and_counted(name: str) -> None:
    host = asking()
    frame = bytearray(bytes(answer(2)))
    field, value = next(iter(HOSTILE[name].items()))
    offset, width = {"hwtype": (14, 2), "ptype": (16, 2), "hwlen": (18, 1), "plen": (19, 1)}[field]
    frame[offset : offset + width] = value.to_bytes(width, "big")
    assert host.wire.hears(bytes(frame)) == []
    assert host.wire.interface.counters()["rx_errors"] == 1
    neighbour = host.wire.neighbour(PEER)
    assert neighbour is not None
    assert neighbour.state == INCOMPLETE


@pytest.mark.parametrize("operation", [0, 3, 4, 8, 9, 0xFFFF])
def test_other_operations_are_dropped_and_counted(operation: int) -> None:
    host = asking()
    assert host.wire.hears(arp(operation, 2, PEER, OURS)) == []
    assert known_mac(host.wire) == ""
    assert host.wire.interface.counters()["rx_errors"] == 1


def test_what_is_said_of_one_neighbour_changes_no_other() -> None:
    host = ethernet_host()
    host.wire.learns(2)
    host.wire.learns(3)
    host.clock.advance(10)
    host.wire.hears(answer(9, "10.0.0.3"))
    assert [known_mac(host.wire, "10.0.0.2"), known_mac(host.wire, "10.0.0.3")] == [mac(2), mac(9)]


def test_a_permanent_neighbour_is_neither_asked_for_nor_overwritten() -> None:
    host = ethernet_host()
    nic = host.wire.interface
    assert isinstance(nic, EthernetInterface)
    nic.neighbours.add_permanent(pack(PEER), mac_octets(0x42))
    host.wire.hears(question(6, OURS, PEER), answer(6, PEER))
    host.clock.advance(1000)
    host.udp().sendto(b"x", (PEER, 9))
    (said,) = host.wire.says()
    assert said.dst == mac(0x42)
    neighbour = host.wire.neighbour(PEER)
    assert neighbour is not None
    assert neighbour.state == PERMANENT


def test_a_flood_of_askers_leaves_the_table_bounded_and_those_we_ask_for_in_it() -> None:
    host = asking()
    nic = host.wire.interface
    assert isinstance(nic, EthernetInterface)
    flood = [bytes(question(0x2000 + n, OURS, f"10.{1 + n // 200}.0.{1 + n % 200}")) for n in range(1100)]
    host.wire.interface.receive(flood)
    host.wire.interface.sent.clear()
    assert len(nic.neighbours.entries) <= 1024  # net.ipv4.neigh.default.gc_thresh3
    (said,) = host.wire.hears(answer(2))
    assert bytes(said[UDP].payload) == b"first"


def test_one_sender_with_data_does_not_enter_the_table() -> None:
    # only ARP teaches: the source MAC of an IP packet may be a router's
    host = ethernet_host()
    host.udp((OURS, 5000))
    host.wire.hears(ether(2) / ip() / datagram())
    assert host.wire.neighbour(PEER) is None
