"""Switches that snoop: what is for a group goes where it is wanted, and as on a Linux bridge."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import ICMPv6MLQuery, IPv6
from scapy.layers.l2 import Ether

from aionetflow import AF_INET, SOCK_DGRAM, Network
from aionetflow.clock import ManualClock
from aionetflow.ip.address import pack
from aionetflow.network.snooping import MEMBERSHIP_INTERVAL, QUERIER_INTERVAL, Snooping
from aionetflow.network.switch import Port
from support.decode import check_frame
from support.groups import G4, G6, PORTS, Bridge, Linux, Ours, data, leave, query, record, report
from support.namespace import missing
from support.rules import rule

SNOOPING = "network/snooping.py"
TO_IN, TO_EX, ALLOW, BLOCK, IS_IN = 3, 4, 5, 6, 1
both_families = pytest.mark.parametrize("group", [G4, G6], ids=["IGMP", "MLD"])


def asked(group: str = G4) -> Ours:
    """A switch behind whose port 4 a router has asked, and the time for answers is over."""
    ours = Ours()
    assert ours.heard(4, query(4, family=group)) == [1, 2, 3]
    ours.pause(0.2)
    return ours


def snooping(ours: Ours) -> Snooping[Port]:
    assert ours.switch.snooping is not None
    return ours.switch.snooping


# ---- where a datagram goes


@both_families
def test_as_long_as_nobody_asks_all_is_flooded(group: str) -> None:
    ours = Ours()
    assert ours.heard(2, report(2, group)) == [1, 3, 4]
    assert ours.heard(1, data(1, group)) == [2, 3, 4]
    assert ours.switch.groups() == {group: [2]}


@rule("RFC 4541 2.1.2", "What is for a group goes to the ports that have reported it and to those of routers",
      code=SNOOPING)  # fmt: skip
@both_families
def test_a_datagram_goes_to_members_and_routers(group: str) -> None:
    ours = asked(group)
    ours.heard(2, report(2, group))
    ours.heard(3, record(3, TO_EX, group=group))
    assert ours.heard(1, data(1, group)) == [2, 3, 4]
    assert ours.heard(2, data(2, group)) == [3, 4]
    assert ours.heard(4, data(4, group)) == [2, 3]
    assert ours.switch.groups() == {group: [2, 3]}
    assert snooping(ours).router_ports() == [4]


@rule("RFC 4541 2.1.2", "What nobody has reported goes to the routers alone", code=SNOOPING)
@both_families
def test_what_nobody_wants_goes_to_routers(group: str) -> None:
    ours = asked(group)
    before = snooping(ours).pruned
    assert ours.heard(1, data(1, group)) == [4]
    assert ours.heard(4, data(4, group)) == []
    assert snooping(ours).pruned == before + 2


@both_families
def test_until_the_answers_to_the_first_query_have_come_all_is_flooded(group: str) -> None:
    ours = Ours()
    ours.heard(4, query(4, seconds=10, family=group))
    ours.pause(9.9)
    assert ours.heard(1, data(1, group)) == [2, 3, 4]
    ours.pause(0.1)
    assert ours.heard(1, data(1, group)) == [4]


@rule("RFC 4541 2.1.2", "224.0.0.0/24 and ff02::1 are flooded always, and nobody has to report them", code=SNOOPING)
@pytest.mark.parametrize("group", ["224.0.0.251", "224.0.0.1", "ff02::1", "ff02::1:ff00:1"])
def test_what_is_of_the_link_goes_everywhere(group: str) -> None:
    ours = asked(group)
    ours.heard(2, report(2, group))
    assert ours.heard(1, data(1, group)) == [2, 3, 4]
    assert set(ours.switch.groups()) <= {"ff02::1:ff00:1"}


@rule("RFC 4541 2.1.1", "A report goes to routers alone: another host that heard it would not send its own",
      code=SNOOPING)  # fmt: skip
@both_families
def test_a_report_goes_to_routers(group: str) -> None:
    ours = Ours()
    ours.heard(4, query(4, seconds=10, family=group))
    assert ours.heard(2, report(2, group)) == [4]
    assert ours.heard(2, record(2, TO_EX, group=group)) == [1, 3, 4]  # which nobody keeps silent for
    assert ours.heard(2, leave(2, group)) == [1, 3, 4]


def test_a_frame_of_another_protocol_is_flooded() -> None:
    ours = asked()
    assert ours.heard(1, bytes.fromhex("01005e010101020000000001 1234") + bytes(46)) == [2, 3, 4]


def test_the_families_do_not_know_of_each_other() -> None:
    ours = asked(G4)
    assert ours.heard(1, data(1, G6)) == [2, 3, 4]
    assert ours.heard(1, data(1, G4)) == [4]


# ---- how long


@both_families
def test_a_member_that_says_nothing_any_more_is_forgotten(group: str) -> None:
    ours = asked(group)
    ours.heard(2, report(2, group))
    ours.pause(200)
    ours.heard(4, query(4, family=group))
    ours.pause(MEMBERSHIP_INTERVAL / 1e9 - 200.1)
    assert ours.heard(1, data(1, group)) == [2, 4]
    ours.pause(0.1)
    assert ours.heard(1, data(1, group)) == [4]
    assert ours.switch.groups() == {}


@both_families
def test_when_nobody_asks_any_more_all_is_flooded_again(group: str) -> None:
    ours = asked(group)
    ours.pause(QUERIER_INTERVAL / 1e9 - 0.3)
    assert ours.heard(1, data(1, group)) == [4]
    ours.pause(0.2)
    assert ours.heard(1, data(1, group)) == [2, 3, 4]
    assert snooping(ours).router_ports() == []


@rule("RFC 2236 3", "Who asks, asks for a group that somebody leaves; it is given up if nobody answers", code=SNOOPING)
@both_families
def test_a_leave_is_the_routers_affair(group: str) -> None:
    ours = asked(group)
    ours.heard(2, report(2, group))
    ours.heard(3, report(3, group))
    ours.heard(2, leave(2, group))
    ours.pause(5)
    assert ours.heard(1, data(1, group)) == [2, 3, 4]  # another host behind that port may want it
    ours.heard(4, query(4, group, seconds=1))
    ours.heard(3, report(3, group))
    ours.pause(1.9)
    assert ours.heard(1, data(1, group)) == [2, 3, 4]
    ours.pause(0.1)
    assert ours.heard(1, data(1, group)) == [3, 4]


@pytest.mark.parametrize(
    ("kind", "sources", "wants"),
    [(TO_IN, [], False), (IS_IN, [], False), (TO_EX, [], True), (ALLOW, ["10.0.0.1"], True),
     (IS_IN, ["10.0.0.1"], True), (BLOCK, ["10.0.0.1"], True), (7, [], None)],
)  # fmt: skip
def test_records_of_a_report(kind: int, sources: list[str], wants: bool | None) -> None:
    ours = Ours()
    ours.heard(2, report(2))
    ours.heard(2, record(2, kind, *sources))
    ours.heard(3, record(3, kind, *sources))
    ours.pause(2)
    assert ours.switch.groups() == {True: {G4: [2, 3]}, False: {}, None: {G4: [2]}}[wants]


# ---- who asks


@rule("RFC 3376 6.6.2", "Of several routers the one with the lowest address asks", code=SNOOPING)
@both_families
def test_a_router_with_a_higher_address_does_not_ask(group: str) -> None:
    ours = asked(group)
    ours.heard(3, query(3, source="fe80::9" if ":" in group else "10.0.0.9", family=group))
    assert snooping(ours).router_ports() == [4]
    ours.heard(1, query(1, family=group))
    assert snooping(ours).router_ports() == [1, 4]


@both_families
def test_a_switch_that_asks_does_so_twice_soon_and_then_every_two_minutes(group: str) -> None:
    ours = Ours()
    snooping(ours).querier = True
    times: list[float] = []
    for _ in range(400):
        came = ours.came_out()
        assert came[1] == came[2] == came[3] == came[4]
        for frame in came[1]:
            check_frame(frame)
            ether = Ether(frame)
            if ICMPv6MLQuery in ether and ":" in group:
                assert (ether[IPv6].dst, ether[IPv6].hlim, ether[ICMPv6MLQuery].mladdr) == ("ff02::1", 1, "::")
                assert ether[IPv6].src.startswith("fe80::")
                assert ether[ICMPv6MLQuery].mrd == 10_000
                times.append(ours.clock.now() / 1e9)
            elif IP in ether and ":" not in group:
                assert (ether[IP].src, ether[IP].dst, ether[IP].ttl) == ("0.0.0.0", "224.0.0.1", 1)
                assert bytes(ether[IP].payload)[:2] + bytes(ether[IP].payload)[4:8] == bytes((0x11, 100, 0, 0, 0, 0))
                times.append(ours.clock.now() / 1e9)
        ours.pause(1)
    assert times == [0, 32, 63, 188, 313]
    assert ours.heard(1, data(1, group)) == []
    snooping(ours).querier = False
    ours.came_out()
    ours.pause(300)
    assert ours.came_out() == {port: [] for port in PORTS}
    assert ours.heard(1, data(1, group)) == [2, 3, 4]


@both_families
def test_a_switch_asks_when_somebody_leaves(group: str) -> None:
    ours = Ours()
    snooping(ours).querier = True
    ours.pause(11)
    ours.heard(2, report(2, group))
    ours.heard(3, report(3, group))
    ours.came_out()
    ours.links[1].b.send([leave(2, group)])
    came = ours.came_out()
    assert [len(came[port]) for port in PORTS] == [1, 1, 1, 1]
    (asking,) = (frame for frame in came[2] if frame != leave(2, group))
    assert (Ether(asking)[ICMPv6MLQuery].mladdr if ":" in group else Ether(asking)[IP].dst) == group
    check_frame(asking)
    ours.pause(1.9)
    assert ours.heard(1, data(1, group)) == [2, 3]
    ours.pause(0.2)
    assert ours.heard(1, data(1, group)) == [3]


def test_a_switch_that_asks_keeps_silent_while_a_router_does() -> None:
    ours = Ours()
    snooping(ours).querier = True
    ours.heard(4, query(4))
    ours.heard(4, query(4, family=G6, source="fe80::1"))
    ours.came_out()
    ours.pause(QUERIER_INTERVAL / 1e9 - 0.1)
    assert ours.came_out() == {port: [] for port in PORTS}
    ours.pause(0.2)
    assert [len(frames) for frames in ours.came_out().values()] == [2] * 4


def test_hosts_of_ours_answer_a_switch_that_asks_and_hear_what_they_joined() -> None:
    clock = ManualClock()
    net = Network(1, clock=clock)
    lan = net.switch("office", querier=True)
    hosts = [net.host(f"h{i}") for i in range(4)]
    for host in hosts:
        net.link(host, lan)
    net.settle()
    socks = [host.socket(AF_INET, SOCK_DGRAM) for host in hosts]
    for i, (host, sock) in enumerate(zip(hosts, socks, strict=True)):
        sock.bind(("", 7))
        own = pack(host.addresses[0])
        sock.setsockopt(0, 32, own)  # IP_MULTICAST_IF
        if i in (1, 2):
            sock.setsockopt(0, 35, pack(G4) + own)  # IP_ADD_MEMBERSHIP
    clock.advance(600)
    assert lan.groups()[G4] == [2, 3]
    before = [host.interfaces[0].rx_packets for host in hosts]
    socks[0].sendto(b"news", (G4, 7))  # type: ignore[attr-defined]
    clock.run()
    assert [host.interfaces[0].rx_packets - count for host, count in zip(hosts, before, strict=True)] == [0, 1, 1, 0]
    assert [sock.recvfrom(9)[0] for sock in socks[1:3]] == [b"news", b"news"]  # type: ignore[attr-defined]


# ---- bounds and switches that do not


def test_the_table_is_bounded_and_what_is_over_is_flooded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aionetflow.network.snooping.MAX_GROUPS", 8)
    ours = asked()
    for i in range(10):
        ours.heard(2, report(2, f"239.0.0.{i}"))
    assert len(ours.switch.groups()) == 8
    assert ours.heard(1, data(1, "239.0.0.1")) == [2, 4]
    assert ours.heard(1, data(1, "239.99.0.1")) == [2, 3, 4]
    ours.pause(200)
    ours.heard(4, query(4))
    ours.pause(100)
    ours.heard(2, report(2, "239.99.0.1"))
    assert ours.switch.groups() == {"239.99.0.1": [2]}


def test_a_switch_that_does_not_snoop_floods() -> None:
    ours = asked()
    ours.heard(2, report(2))
    ours.switch.snooping = None
    assert ours.heard(1, data(1)) == [2, 3, 4]
    assert ours.switch.groups() == {}
    assert Network(1, clock=ManualClock()).switch("plain", snooping=False).snooping is None


def broken(make: Callable[[int], bytes], at: int, octets: bytes | None) -> bytes:
    frame = bytearray(make(2))
    if octets is None:
        return bytes(frame[:at])
    frame[at : at + len(octets)] = octets
    return bytes(frame)


MALFORMED = [
    broken(report, 24, b"\0\0"), broken(report, 41, b"\7"), broken(report, 30, None), broken(report, 14, b"\x66"),
    broken(report, 14, b"\x44"), broken(report, 16, b"\0\x09"), broken(report, 16, b"\xff\0"),
    broken(lambda port: report(port, G6), 64, b"\7\7"), broken(lambda port: report(port, G6), 14, b"\x40"),
    broken(lambda port: report(port, G6), 18, b"\1\0"), broken(lambda port: report(port, G6), 50, None),
    query(2, family=G6, source="2001:db8::1"),
]  # fmt: skip


@pytest.mark.parametrize("frame", MALFORMED, ids=range(len(MALFORMED)))
def test_what_breaks_a_rule_is_dropped_and_counted(frame: bytes) -> None:
    ours = asked()
    assert ours.heard(2, frame) == []
    assert snooping(ours).malformed == 1
    assert ours.switch.groups() == {}


# ---- beside a Linux bridge


@pytest.fixture(scope="module")
def linux() -> Iterator[Linux]:
    if why := missing():
        pytest.skip(why)
    with Linux() as bridge:
        yield bridge


def story(bridge: Bridge, group: str) -> list[tuple[int, list[int]]]:
    """One event after the other; of each, which line it was and by which ports it came out."""
    came = []
    events: list[tuple[int, bytes] | float] = [
        (1, data(1, group)), (3, record(3, TO_EX, group=group)), (1, data(1, group)),
        (4, query(4, family=group)), 0.2, (1, data(1, group)), (2, data(2, group)),
        (2, report(2, group)), (1, data(1, group)), (4, data(4, group)), (2, leave(2, group)), (1, data(1, group)),
        (1, data(1, group.replace("1", "2"))), (4, query(4, group)), 0.3, (1, data(1, group)),
        (3, record(3, ALLOW, *(["10.0.0.9"] if group == G4 else ["fe80::9"]), group=group)), (1, data(1, group)),
        (3, record(3, TO_IN, group=group)), (1, data(1, group)),
        (3, query(3, family=group)), (1, data(1, group)), (2, data(2, group)),
        (1, data(1, "ff02::1" if group == G6 else "224.0.0.251")),
    ]  # fmt: skip
    for line, event in enumerate(events):
        if isinstance(event, float):
            bridge.pause(event)
        else:
            came.append((line, bridge.heard(*event)))
    return came


@pytest.mark.kernel
@both_families
def test_a_story_goes_as_on_a_linux_bridge(linux: Linux, group: str) -> None:
    assert story(Ours(), group) == story(linux, group)


@pytest.mark.kernel
def test_what_breaks_a_rule_is_dropped_as_on_a_linux_bridge(linux: Linux) -> None:
    assert [linux.heard(2, frame) for frame in MALFORMED] == [[]] * len(MALFORMED)
