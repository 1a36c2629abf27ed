"""Which address to send from, and which to try first (RFC 6724 5, 6 and the examples of 10)."""

from __future__ import annotations

import pytest

from aionetflow.ip.address import pack, unpack
from aionetflow.ip.selection import precedence_and_label, scope
from support.lan import Host
from support.rules import rule

CODE = "ip/selection.py"


def host_with(*addresses: str, outgoing: tuple[str, ...] = ()) -> Host:
    """A host with an interface that has addresses, and maybe one before it with others, by which packets leave."""
    host = Host()
    host.ethernet(*(outgoing or addresses), number=1)
    if outgoing:
        host.ethernet(*addresses, number=2)
    return host


def source(host: Host, destination: str) -> str:
    """The address chosen for a destination that packets leave for by the first interface."""
    return unpack(host.stack.sources.best(host.wire.interface, pack(destination)))


@rule("RFC 6724 5", "Rule 1: a destination of one's own is its own source", code=CODE)
def test_the_same_address() -> None:
    assert source(host_with("2001:db8::1/64", "2001:db8::2/64"), "2001:db8::2") == "2001:db8::2"


@rule("RFC 6724 5", "Rule 2: the smallest scope that is not smaller than the destination's", code=CODE)
@pytest.mark.parametrize(
    ("destination", "expected"),
    [("2001:db8:1::9", "2001:db8::1"), ("fe80::9", "fe80::ff:fe00:1"), ("ff02::9", "fe80::ff:fe00:1"),
     ("ff0e::9", "2001:db8::1"), ("ff05::9", "2001:db8::1")],
)  # fmt: skip
def test_the_scope(destination: str, expected: str) -> None:
    assert source(host_with("2001:db8::1/64"), destination) == expected


@rule("RFC 6724 5", "Rule 3: no deprecated address while there is another", code=CODE)
def test_deprecated_addresses_come_last() -> None:
    host = host_with("2001:db8:1::1/64", "2001:db8:2::1/64")
    assert source(host, "2001:db8:1::9") == "2001:db8:1::1"
    host.wire.interface.deprecated = frozenset((pack("2001:db8:1::1"),))
    assert source(host, "2001:db8:1::9") == "2001:db8:2::1"


@rule("RFC 6724 5", "Rule 5: an address of the interface that the packet leaves by", code=CODE)
def test_the_outgoing_interface() -> None:
    host = host_with("2001:db8:9::1/64", outgoing=("2001:db8:1::1/64",))
    assert source(host, "2001:db8:9::9") == "2001:db8:1::1"


def test_an_interface_without_addresses_takes_another_ones() -> None:
    host = Host()
    host.raw()
    host.ethernet("2001:db8::1/64")
    assert source(host, "2001:db8:9::9") == "2001:db8::1"


@rule("RFC 6724 5", "Rule 6: an address with the destination's label", code=CODE)
@pytest.mark.parametrize(
    ("destination", "expected"),
    [("fd00:2::9", "fd00:1::1"), ("2001:db8:2::9", "2001:db8:1::1"), ("2002:102::9", "2002:101::1")],
)
def test_the_label(destination: str, expected: str) -> None:
    assert source(host_with("fd00:1::1/64", "2001:db8:1::1/64", "2002:101::1/64"), destination) == expected


@rule("RFC 6724 5", "Rule 8: the longest prefix in common, as far as the source's prefix goes", code=CODE)
def test_the_longest_prefix() -> None:
    host = host_with("2001:db8:1::1/64", "2001:db8:3::1/64")
    assert source(host, "2001:db8:2::9") == "2001:db8:3::1"  # 10 and 11 against 01 in the last octet
    assert source(host, "2001:db8:1::9") == "2001:db8:1::1"


@rule("RFC 6724 2.1", "The default policy table", code=CODE)
@pytest.mark.parametrize(
    ("address", "expected"),
    [("::1", (50, 0)), ("2001:db8::1", (40, 1)), ("10.0.0.1", (35, 4)), ("::ffff:10.0.0.1", (35, 4)),
     ("2002::1", (30, 2)), ("2001::1", (5, 5)), ("fd00::1", (3, 13)), ("fec0::1", (1, 11)), ("3ffe::1", (1, 12)),
     ("::2", (1, 3)), ("fe80::1", (40, 1))],
)  # fmt: skip
def test_the_policy_table(address: str, expected: tuple[int, int]) -> None:
    assert precedence_and_label(pack(address)) == expected


@rule("RFC 6724 3.2", "IPv4 addresses of one host or link have link-local scope, all others global", code=CODE)
def test_scopes() -> None:
    literals = ("127.0.0.1", "169.254.1.1", "10.0.0.1", "::1", "fe80::1", "fec0::1", "fd00::1", "ff02::1", "ff08::1")
    assert [scope(pack(literal)) for literal in literals] == [2, 2, 14, 2, 2, 5, 14, 2, 8]


# ---- destinations


def order(host: Host, *literals: str) -> list[str]:
    return host.stack.sources.order(literals)


def everywhere(*addresses: str) -> Host:
    """A host with those addresses and default routes."""
    host = host_with(*addresses)
    if any(":" in address for address in addresses):
        host.stack.routes.add("default", via="fe80::9", interface=host.wire.interface)
    if any("." in address for address in addresses):
        host.stack.routes.add("0.0.0.0/0", interface=host.wire.interface)
    return host


@rule("RFC 6724 6", "Rule 1: what cannot be reached is not tried", code=CODE)
def test_unreachable_destinations() -> None:
    assert order(everywhere("10.0.0.1/8"), "2001:db8::1", "192.0.2.1") == ["192.0.2.1"]


@rule("RFC 6724 6", "Rule 2: a destination whose scope a source has comes first", code=CODE)
def test_matching_scopes() -> None:
    host = host_with("10.0.0.1/8")
    host.stack.routes.add("default6", interface=host.wire.interface)  # with a link-local source alone
    assert order(host, "2001:db8::1", "10.2.3.4") == ["10.2.3.4", "2001:db8::1"]


@rule("RFC 6724 6", "Rule 5: a destination whose label a source has comes first", code=CODE)
def test_matching_labels() -> None:
    host = everywhere("fd00::1/64", "10.0.0.1/8")
    assert order(host, "2001:db8::1", "192.0.2.1") == ["192.0.2.1", "2001:db8::1"]


@rule("RFC 6724 6", "Rule 6: the higher precedence comes first: IPv6, IPv4, unique local IPv6", code=CODE)
def test_precedence() -> None:
    host = everywhere("2001:db8::1/64", "fd00::1/64", "10.0.0.1/8")
    assert order(host, "fd00::9", "192.0.2.1", "2001:db8:9::1") == ["2001:db8:9::1", "192.0.2.1", "fd00::9"]


@rule("RFC 6724 6", "Rule 8: the smaller scope comes first", code=CODE)
def test_smaller_scopes() -> None:
    host = everywhere("2001:db8::1/64", "fec0::1/64")
    assert order(host, "fec0::9", "2001:db8::9") == ["2001:db8::9", "fec0::9"]  # rule 6 is before it
    host.wire.interface.addresses.clear()
    host.stack.addresses.take(host.wire.interface, pack("::2"), 96)
    assert order(host, "2001:db8::9", "2002::9")[0] == "2001:db8::9"


@rule("RFC 6724 6", "Rule 9: the longer prefix in common with its source comes first", code=CODE)
def test_longer_prefixes() -> None:
    host = everywhere("2001:db8::1/64")
    assert order(host, "2001:db9::9", "2001:db8::9") == ["2001:db8::9", "2001:db9::9"]


@rule("RFC 6724 6", "Rule 10: otherwise they keep their order", code=CODE)
def test_the_order_is_kept() -> None:
    host = everywhere("10.0.0.1/8")
    assert order(host, "10.0.0.9", "10.0.0.2", "10.0.0.5") == ["10.0.0.9", "10.0.0.2", "10.0.0.5"]


def test_what_was_chosen_is_forgotten_when_addresses_change() -> None:
    host = everywhere("2001:db8:1::1/64")
    route = host.stack.routes.lookup(pack("2001:db8:2::9"))
    assert route is not None
    assert unpack(host.stack.sources.choose(route, pack("2001:db8:2::9"))) == "2001:db8:1::1"
    host.stack.add_address(host.wire.interface, "2001:db8:2::1/64")
    assert unpack(host.stack.sources.choose(route, pack("2001:db8:2::9"))) == "2001:db8:2::1"
