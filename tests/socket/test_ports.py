"""Which ports connect() and bind() choose (RFC 6056), and what net.ipv4.ip_local_port_range and its like change."""

from __future__ import annotations

import errno
import random
from collections.abc import Iterator
from itertools import pairwise

import pytest

from aionetflow.ip.address import pack
from aionetflow.socket.options import SO_REUSEADDR, SOL_SOCKET
from aionetflow.socket.ports import PortHold
from aionetflow.socket.table import SocketTable
from aionetflow.sysctl import Sysctl
from support.lan import PEER, raw_host
from support.rules import rule

HERE, ANY = pack("10.0.0.1"), pack("0.0.0.0")
PEERS = [pack(f"10.0.{n >> 8}.{n & 255}") for n in range(2, 130)]
STREAM = 6


def table(**settings: object) -> SocketTable:
    sysctl = Sysctl()
    for name, value in settings.items():
        sysctl[f"net.ipv4.{name}"] = value  # type: ignore[assignment]
    return SocketTable(sysctl)


def connects(ports: SocketTable, peer: bytes, count: int, source: random.Random, *, close: bool = True) -> list[int]:
    """The ports of so many connections to a peer, each over before the next begins unless told."""
    chosen = []
    for _ in range(count):
        hold = ports.hold_for_connect(STREAM, HERE, peer, 80, source, 0)
        chosen.append(hold.port)
        if close:
            ports.release(STREAM, hold)
    return chosen


def bound(ports: SocketTable, count: int) -> Iterator[PortHold]:
    """So many sockets bound to port 0."""
    source = random.Random(1)
    for _ in range(count):
        hold = PortHold(ANY, 0, False)
        ports.hold(STREAM, hold, source)
        yield hold


@rule("RFC 6056 3.3.4", "Ports to one destination are taken one after the other", code="socket/ports.py")
def test_a_destination_sees_a_port_again_as_late_as_possible() -> None:
    chosen = connects(table(ip_local_port_range=(40000, 49999)), PEERS[0], 500, random.Random(1))
    assert len(set(chosen)) == 500
    steps = {(after - before) % 10000 for before, after in pairwise(chosen)}
    # Linux draws how far it goes on: two to sixteen
    assert steps == set(range(2, 17, 2))


@rule("RFC 6056 3.3.4", "Where the ports to a destination begin is a secret of the host", code="socket/ports.py")
def test_ports_to_one_destination_say_nothing_about_those_to_another() -> None:
    first = [connects(table(), peer, 1, random.Random(1))[0] for peer in PEERS]
    assert len(set(first)) > 120
    assert len({after - before for before, after in pairwise(first)}) > 120
    assert [connects(table(), peer, 1, random.Random(2))[0] for peer in PEERS] != first


def test_connect_takes_ports_of_the_parity_of_the_lowest_and_bind_the_others() -> None:
    # Linux __inet_hash_connect, inet_csk_find_open_port: they do not come into each other's way
    ports = table()
    chosen = [port for peer in PEERS for port in connects(ports, peer, 3, random.Random(1))]
    assert all(port % 2 == 0 for port in chosen)
    assert all(hold.port % 2 == 1 for hold in bound(table(), 300))


def test_when_its_half_is_full_connect_takes_the_other() -> None:
    host = raw_host()
    host.stack.sysctl["net.ipv4.ip_local_port_range"] = 40000, 40009
    chosen = [host.connecting((PEER, 80)).getsockname()[1] for _ in range(10)]
    assert sorted(chosen) == list(range(40000, 40010))
    assert all(port % 2 == 0 for port in chosen[:5])
    with pytest.raises(OSError, match="40000 to 40009") as caught:
        host.tcp().connect((PEER, 80))
    assert caught.value.errno == errno.EADDRNOTAVAIL
    assert host.connecting((PEER, 81)).getsockname()[1] in chosen


def test_ports_may_be_shared_by_connections_to_different_destinations() -> None:
    ports = table(ip_local_port_range=(40000, 40001))
    for peer in PEERS[:10]:
        assert set(connects(ports, peer, 2, random.Random(1), close=False)) <= {40000, 40001}


@pytest.mark.parametrize("limits", [(40000, 40000), (40001, 40001), (40000, 40001), (65535, 65535), (1, 3)])
def test_a_small_range_is_used_as_far_as_linux_uses_it(limits: tuple[int, int]) -> None:
    # in pairs: the last of an odd number is left out, unless it is the only one
    low, high = limits
    usable = range(low, low + ((high - low + 1) & ~1 or 1))
    holds = list(bound(table(ip_local_port_range=limits), len(usable)))
    assert sorted(hold.port for hold in holds) == list(usable)


def test_reserved_ports_are_not_chosen_but_may_be_asked_for() -> None:
    ports = table(ip_local_port_range=(40000, 40009), ip_local_reserved_ports="40000-40003,40006")
    free = [40004, 40005, 40007, 40008, 40009]
    assert sorted(hold.port for hold in bound(ports, 5)) == free
    with pytest.raises(OSError, match="in use"):
        next(bound(ports, 1))
    ports.hold(STREAM, PortHold(ANY, 40006, False), random.Random(1))
    ports.sysctl["net.ipv4.ip_local_reserved_ports"] = ""
    assert sorted(hold.port for hold in bound(ports, 4)) == [40000, 40001, 40002, 40003]


def test_a_port_taken_at_another_address_is_free_at_this_one() -> None:
    ports = table(ip_local_port_range=(40000, 40001))
    source = random.Random(1)
    for address in (HERE, PEERS[0]):
        for _ in range(2):
            ports.hold(STREAM, PortHold(address, 0, False), source)
    with pytest.raises(OSError, match="in use"):
        ports.hold(STREAM, PortHold(ANY, 0, False), source)


def test_ip_autobind_reuse_shares_ports_when_none_is_left() -> None:
    ports = table(ip_local_port_range=(40000, 40001))
    source = random.Random(1)
    for _ in range(2):
        ports.hold(STREAM, PortHold(ANY, 0, True), source)
    with pytest.raises(OSError, match="in use"):
        ports.hold(STREAM, PortHold(ANY, 0, True), source)
    ports.sysctl["net.ipv4.ip_autobind_reuse"] = 1
    ports.hold(STREAM, PortHold(ANY, 0, True), source)
    with pytest.raises(OSError, match="in use"):
        ports.hold(STREAM, PortHold(ANY, 0, False), source)


def test_sockets_follow_the_settings_of_their_host() -> None:
    host = raw_host()
    host.stack.sysctl["net.ipv4.ip_local_port_range"] = 50000, 50003
    host.stack.sysctl["net.ipv4.ip_local_reserved_ports"] = "50002"
    ports = [host.connecting((PEER, 80)).getsockname()[1] for _ in range(3)]
    assert sorted(ports) == [50000, 50001, 50003]
    assert ports[0] == 50000
    sock = host.tcp()
    sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    with pytest.raises(OSError, match="50000 to 50003"):
        sock.bind(("", 0))
