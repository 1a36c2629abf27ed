"""Addresses that are made sure of or made from what routers say, and routers that say it (RFC 4862, RFC 4861 6)."""

from __future__ import annotations

import errno
from itertools import pairwise
from typing import Any

import pytest
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.packet import Packet

from aionetflow.ip.address import pack, unpack
from support.lan import Host, Wire, mac
from support.lan6 import (
    ALL_NODES_MAC,
    PEER6,
    answer6,
    ask6,
    data6,
    frame6,
    group_of,
    host6,
    own_link_local,
    udp6,
)
from support.rules import rule

CODE = "ip/autoconf.py"
SENDS = "ip/advertise.py"
ROUTER = "fe80::9"
PREFIX = "2001:db8:77::"
MADE = "2001:db8:77:0:0:ff:fe00:1"  # of that prefix and MAC 1
WANTED = "2001:db8::5"


def probing(transmits: int = 1) -> Host:
    """A host that is making sure of an address; it has asked for the first time."""
    host = host6("10.0.0.1/24")
    host.stack.autoconf.dad_transmits = transmits
    host.stack.add_address(host.wire.interface, WANTED + "/64", dad=True)
    while transmits and not host.wire.interface.sent:
        host.clock.advance(0.01)
    return host


def addresses(host: Host) -> list[str]:
    return [unpack(entry.address) for entry in host.wire.interface.addresses if len(entry.address) == 16]


def refuses_to_bind(host: Host, address: str = WANTED) -> bool:
    with pytest.raises(OSError) as failure:
        udp6(host, (address, 5000))
    return failure.value.errno == errno.EADDRNOTAVAIL


# ---- duplicate address detection


@rule("RFC 4862 5.4.2", "The question whether an address is free is from :: to its group, and names no MAC", code=CODE)
@rule("RFC 4862 5.4", "An address is not used before nobody has answered for a second", code=CODE)
def test_an_address_is_made_sure_of() -> None:
    host = probing()
    (probe,) = host.wire.says()
    assert (probe[IPv6].src, probe[IPv6].dst, probe[IPv6].hlim) == ("::", group_of(WANTED), 255)
    assert (probe[ICMPv6ND_NS].tgt, ICMPv6NDOptSrcLLAddr in probe) == (WANTED, False)
    assert refuses_to_bind(host)
    host.clock.advance(0.99)
    assert addresses(host) == []
    host.clock.advance(0.01)
    assert addresses(host) == [WANTED]
    udp6(host, (WANTED, 5000))
    assert any(str(route).startswith("2001:db8::/64 dev") for route in host.stack.routes)
    assert host.wire.says() == []


@rule("RFC 4862 5.4.2", "The first question is delayed by up to a second at random", code=CODE)
def test_the_first_question_is_delayed() -> None:
    host = host6("10.0.0.1/24")
    host.stack.add_address(host.wire.interface, WANTED + "/64", dad=True)
    assert host.wire.says() == []
    host.clock.advance(1)
    assert len(host.wire.says()) == 1


def test_no_two_of_many_addresses_are_delayed_alike_and_none_for_long() -> None:
    host = host6("10.0.0.1/24")
    for number in range(1, 31):
        host.stack.add_address(host.wire.interface, f"2001:db8:7::{number:x}/64", dad=True)
    host.clock.advance(10)
    times = {when for when, _ in host.wire.says_when()}
    assert len(times) == 30
    assert max(times) <= 1


@rule("RFC 4862 5.1", "DupAddrDetectTransmits says how often is asked; 0 takes the address at once", code=CODE)
@pytest.mark.parametrize("transmits", [0, 1, 3])
def test_as_many_questions_as_wanted(transmits: int) -> None:
    host = probing(transmits)
    host.clock.advance(transmits)
    assert len(host.wire.says()) == transmits
    assert addresses(host) == [WANTED]


@rule("RFC 4862 5.4.4", "An advertisement for a tentative address makes it a duplicate, which is never used", code=CODE)
def test_somebody_who_has_it_answers() -> None:
    host = probing()
    host.wire.hears(answer6(WANTED, 7, flags="O", dst="ff02::1", to=ALL_NODES_MAC))
    host.clock.advance(10)
    assert addresses(host) == []
    assert host.stack.autoconf.failed == [pack(WANTED)]
    assert refuses_to_bind(host)


@rule("RFC 4862 5.4.3", "A question from :: for a tentative address means that two want it: neither gets it", code=CODE)
def test_somebody_else_wants_it() -> None:
    host = probing()
    assert host.wire.hears(ask6(WANTED, 7, source="::", named=0))[1:] == []
    host.clock.advance(10)
    assert addresses(host) == []


@rule("RFC 4862 5.4", "A tentative address is not answered for", code="ip/ndp.py")
def test_a_tentative_address_is_not_answered_for() -> None:
    host = probing()
    host.wire.says()
    assert host.wire.hears(ask6(WANTED, 7, source="fe80::7")) == []


# ---- hosts and routers' advertisements


def started() -> Host:
    """A host that configures itself; its link-local address is sure."""
    host = Host()
    host.ethernet()
    host.stack.autoconfigure(host.wire.interface)  # type: ignore[arg-type]
    host.clock.advance(2)
    return host


def advertisement(
    lifetime: int = 1800, valid: int = 86400, preferred: int = 14400, *, flags: str = "LA", prefix: str = PREFIX,
    plen: int = 64, mtu: int = 0, **fields: Any,
) -> Packet:  # fmt: skip
    message = ICMPv6ND_RA(routerlifetime=lifetime) / ICMPv6NDOptSrcLLAddr(lladdr=mac(9))
    message = message / ICMPv6NDOptPrefixInfo(
        prefix=prefix, prefixlen=plen, validlifetime=valid, preferredlifetime=preferred,
        L=int("L" in flags), A=int("A" in flags),
    )  # fmt: skip
    if mtu:
        message = message / ICMPv6NDOptMTU(mtu=mtu)
    return frame6(9, **{"src": ROUTER, "dst": "ff02::1", "to": ALL_NODES_MAC, "hlim": 255, **fields}) / message


def configured(**said: Any) -> Host:
    """A host that has heard an advertisement, and made its address sure."""
    host = started()
    host.wire.says()
    host.wire.hears(advertisement(**said))
    host.clock.advance(2)
    host.wire.says()
    return host


def routers(host: Host) -> list[str]:
    return [str(route).split(" dev")[0] for route in host.stack.routes if str(route).startswith("default")]


@rule("RFC 4861 6.3.7", "A host asks for routers up to three times, four seconds apart", code=CODE)
def test_routers_are_asked_for() -> None:
    host = started()
    host.clock.advance(30)
    said = host.wire.says_when()
    asked = [(when, frame) for when, frame in said if ICMPv6ND_RS in frame]
    assert [round(when - asked[0][0]) for when, _ in asked] == [0, 4, 8]
    (_, first), *_ = asked
    assert (first.dst, first[IPv6].dst, first[IPv6].src) == ("33:33:00:00:00:02", "ff02::2", own_link_local(1))
    assert (first[IPv6].hlim, first[ICMPv6NDOptSrcLLAddr].lladdr) == (255, mac(1))


@rule("RFC 4862 5.3", "The link-local address is made sure of before anything else is sent", code=CODE)
def test_the_link_local_address_comes_first() -> None:
    said = started().wire.says()
    assert (said[0][IPv6].src, said[0][ICMPv6ND_NS].tgt) == ("::", own_link_local(1))
    assert ICMPv6ND_RS in said[1]


@rule("RFC 4862 5.5.3", "An autonomous prefix of 64 bits makes an address with the interface's identifier", code=CODE)
@rule("RFC 4861 6.3.4", "A router's lifetime makes it a default router; a prefix with the L flag is on the link",
      code=CODE)  # fmt: skip
def test_an_advertisement_makes_an_address_and_routes() -> None:
    host = started()
    host.wire.says()
    host.wire.hears(advertisement())
    host.clock.advance(1)
    (probe,) = host.wire.says()
    assert (probe[IPv6].src, probe[ICMPv6ND_NS].tgt) == ("::", str(unpack(pack(MADE))))
    host.clock.advance(1)
    assert addresses(host) == [unpack(pack(MADE))]
    assert routers(host) == [f"default via {ROUTER}"]
    udp6(host).sendto(b"x", ("2001:db8:99::1", 9))
    (said,) = host.wire.says()
    assert (said.dst, said[IPv6].src) == (mac(9), unpack(pack(MADE)))
    udp6(host).sendto(b"x", (PREFIX + "5", 9))
    (said,) = host.wire.says()
    assert said[ICMPv6ND_NS].tgt == PREFIX + "5"


@rule("RFC 4861 6.1.2", "An advertisement that is not from a link-local address, or came from afar, is dropped",
      code="ip/ndp.py")  # fmt: skip
@pytest.mark.parametrize("fields", [{"src": PEER6}, {"hlim": 254}])
def test_an_invalid_advertisement_is_dropped(fields: dict[str, Any]) -> None:
    host = started()
    host.wire.hears(advertisement(**fields))
    host.clock.advance(2)
    assert (addresses(host), routers(host), host.stack.stats.icmp6.InErrors) == ([], [], 1)


@rule("RFC 4862 5.5.3", "A prefix without the A flag, of another length, link-local or preferred longer than valid "
      "makes no address", code=CODE)  # fmt: skip
@pytest.mark.parametrize(
    "said", [{"flags": "L"}, {"plen": 63}, {"prefix": "fe80::"}, {"valid": 10, "preferred": 20}, {"valid": 0}]
)
def test_a_prefix_that_makes_no_address(said: dict[str, Any]) -> None:
    assert addresses(configured(**said)) == []


def test_a_host_that_does_not_configure_itself_takes_nothing() -> None:
    host = host6()
    host.wire.hears(advertisement())
    host.clock.advance(2)
    assert addresses(host) == ["2001:db8::1"]
    assert routers(host) == []


@rule("RFC 4861 6.2.2", "A router does not make addresses or routes of what others advertise", code=CODE)
def test_a_router_takes_nothing() -> None:
    host = started()
    host.stack.ip6.forwarding = True
    host.wire.hears(advertisement())
    host.clock.advance(2)
    assert (addresses(host), routers(host)) == ([], [])


@rule("RFC 4861 6.3.4", "A lifetime of 0 ends a default router", code=CODE)
@rule("RFC 4861 6.3.5", "A default router whose lifetime has ended is not used", code=CODE)
def test_default_routers_end() -> None:
    host = configured(lifetime=100)
    host.wire.hears(advertisement(lifetime=0))
    assert routers(host) == []
    host.wire.hears(advertisement(lifetime=100))
    assert routers(host) == [f"default via {ROUTER}"]
    host.clock.advance(100)
    assert routers(host) == []


@rule("RFC 4861 7.3.3", "A neighbour that says it is no router any more is no default router", code=CODE)
def test_a_router_that_ceases_to_be_one() -> None:
    host = configured()
    host.wire.hears(answer6(ROUTER, 9, flags="SO", dst=own_link_local(1)))
    assert routers(host) == []


@rule("RFC 4862 5.5.4", "An address is deprecated after its preferred lifetime: nothing new begins from it", code=CODE)
@rule("RFC 4862 5.5.4", "An address is gone after its valid lifetime", code=CODE)
def test_an_address_grows_old() -> None:
    host = configured(valid=10000, preferred=5000)
    interface = host.wire.interface
    host.clock.advance(4990)
    assert interface.deprecated == frozenset()
    host.clock.advance(10)
    assert interface.deprecated == frozenset((pack(MADE),))
    sock = udp6(host, (MADE, 5000))
    host.clock.advance(5000)
    assert addresses(host) == []
    sock.close()
    assert not any(PREFIX in str(route) for route in host.stack.routes)


@rule("RFC 4862 5.5.3", "(e) A lifetime under two hours does not end an address that has longer", code=CODE)
def test_an_address_is_not_ended_at_once() -> None:
    host = configured(valid=86400)
    host.wire.hears(advertisement(valid=1, preferred=1))
    host.clock.advance(7100)
    assert addresses(host) == [unpack(pack(MADE))]
    host.clock.advance(100)
    assert addresses(host) == []


def test_a_flood_of_advertisements_is_bounded() -> None:
    host = started()
    for k in range(300):
        host.wire.hears(advertisement(prefix=f"2001:db8:{k:x}::", src=f"fe80::{k + 1:x}"))
    host.clock.advance(5)
    assert len(addresses(host)) == 16
    assert len(routers(host)) == 16
    assert sum("2001:db8" in str(route) and "/64" in str(route) for route in host.stack.routes) == 16


@rule("RFC 4861 6.3.4", "An advertised MTU from 1280 up to the link's is taken", code=CODE)
@pytest.mark.parametrize(("mtu", "taken"), [(1400, 1400), (1280, 1280), (1279, 1500), (9000, 1500)])
def test_an_advertised_mtu(mtu: int, taken: int) -> None:
    assert configured(mtu=mtu).wire.interface.mtu == taken


# ---- routers


def router(*addresses: str) -> tuple[Host, Wire]:
    host = Host()
    host.stack.ip6.forwarding = True
    wire = host.ethernet(*(addresses or ("2001:db8:77::1/64",)), number=9)
    return host, wire


@rule("RFC 4861 6.2.3", "An advertisement says lifetime, MTU, MAC and the networks of the interface's addresses",
      code=SENDS)  # fmt: skip
def test_what_a_router_advertises() -> None:
    host, wire = router("2001:db8:77::1/64", "2001:db8:77::2/64", "fd00:1::1/64", "10.0.0.1/24")
    host.stack.advertise(wire.interface)  # type: ignore[arg-type]
    (said,) = wire.says()
    assert (said.dst, said[IPv6].src, said[IPv6].dst, said[IPv6].hlim) == (
        ALL_NODES_MAC, own_link_local(9), "ff02::1", 255,
    )  # fmt: skip
    assert (said[ICMPv6ND_RA].routerlifetime, said[ICMPv6ND_RA].chlim, said[ICMPv6ND_RA].M) == (1800, 64, 0)
    assert (said[ICMPv6NDOptMTU].mtu, said[ICMPv6NDOptSrcLLAddr].lladdr) == (1500, mac(9))
    prefix = said[ICMPv6NDOptPrefixInfo]
    assert (prefix.prefix, prefix.prefixlen, prefix.L, prefix.A) == ("2001:db8:77::", 64, 1, 1)
    assert (prefix.validlifetime, prefix.preferredlifetime) == (2592000, 604800)
    assert prefix.payload.getlayer(ICMPv6NDOptPrefixInfo).prefix == "fd00:1::"


@rule("RFC 4861 6.2.4", "The first advertisements are at most 16 s apart, the others 200 to 600 s", code=SENDS)
def test_when_a_router_advertises() -> None:
    host, wire = router()
    host.stack.advertise(wire.interface)  # type: ignore[arg-type]
    host.clock.advance(4000)
    times = [when for when, frame in wire.says_when() if ICMPv6ND_RA in frame]
    waits = [after - before for before, after in pairwise(times)]
    assert waits[:2] == [16, 16]
    assert len(waits) > 6
    assert all(200 <= wait <= 600 for wait in waits[2:])


@rule("RFC 4861 6.2.6", "A solicitation is answered within half a second, but not twice in three seconds", code=SENDS)
def test_a_solicitation_is_answered() -> None:
    host, wire = router()
    host.stack.advertise(wire.interface)  # type: ignore[arg-type]
    host.clock.advance(5)
    wire.says()
    question = frame6(2, 9, src="::", dst="ff02::2", to="33:33:00:00:00:02", hlim=255) / ICMPv6ND_RS()
    assert wire.hears(question) == []
    host.clock.advance(0.5)
    assert [ICMPv6ND_RA in frame for frame in wire.says()] == [True]
    wire.hears(question)
    host.clock.advance(2.4)
    assert wire.says() == []
    host.clock.advance(0.6)
    assert len(wire.says()) == 1


@rule("RFC 4861 6.2.5", "A router that stops to advertise takes leave with a lifetime of 0", code=SENDS)
def test_a_router_takes_leave() -> None:
    host, wire = router()
    host.stack.advertise(wire.interface)  # type: ignore[arg-type]
    wire.says()
    host.stack.advertiser.stop(wire.interface, host.clock.now())  # type: ignore[arg-type]
    host.stack.run()
    (said,) = wire.says()
    assert said[ICMPv6ND_RA].routerlifetime == 0
    host.clock.advance(2000)
    assert wire.says() == []


def test_a_packet_in_the_meantime_does_not_disturb() -> None:
    host = probing()
    host.wire.hears(frame6(dst=WANTED) / data6())
    host.clock.advance(2)
    assert addresses(host) == [WANTED]
    assert not any(ICMPv6ND_NA in frame for frame in host.wire.says())
