"""Link-local addresses and the scope that goes with them: fe80::1%eth0 in all calls (RFC 4007, Linux ipv6(7))."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from aionetflow.clock import ManualClock
from aionetflow.ip.address import bare, pack, scope_of, scoped
from aionetflow.socket.datagram import DatagramSocket
from support.lan import Host, plug
from support.lan6 import own_link_local, tcp6, udp6
from support.rules import rule

CLIENT, SERVER = own_link_local(1), own_link_local(2)
ETH0, ETH1 = 2, 3  # indices: lo is 1


def pair() -> tuple[Host, Host]:
    """Two hosts on a link, by each other's eth0; the client has an eth1 that leads nowhere."""
    client = Host()
    server = Host(client.clock)
    plug(client.ethernet(number=1), server.ethernet(number=2))
    client.ethernet(number=3)
    return client, server


def advance(host: Host) -> None:
    assert isinstance(host.clock, ManualClock)
    host.clock.advance(0.1)


def answering(server: Host) -> DatagramSocket:
    return udp6(server, ("::", 5000))


@pytest.mark.parametrize("target", [
    (SERVER, 5000, 0, ETH0), (f"{SERVER}%eth0", 5000), (f"{SERVER}%2", 5000), (f"{SERVER}%eth0", 5000, 0, ETH1),
])  # fmt: skip
def test_a_scope_is_a_number_or_a_name(target: tuple[object, ...]) -> None:
    client, server = pair()
    receiver, sender = answering(server), udp6(client)
    sender.sendto(b"ask", target)
    advance(client)
    data, peer = receiver.recvfrom(10)
    assert (data, peer) == (b"ask", (CLIENT, sender.getsockname()[1], 0, ETH0))
    receiver.sendto(b"answer", peer)
    advance(client)
    assert sender.recvfrom(10) == (b"answer", (SERVER, 5000, 0, ETH0))


@rule("RFC 4007 6", "The same address on another link is another host's", code="ip/address.py")
def test_the_scope_decides_where_a_packet_goes() -> None:
    client, server = pair()
    receiver = answering(server)
    udp6(client).sendto(b"x", (SERVER, 5000, 0, ETH1))
    advance(client)
    assert not receiver.events() & 1
    assert len(client.wires[1].says()) == 1  # the question who has it


@pytest.mark.parametrize("call", ["bind", "connect"])
@pytest.mark.parametrize("make", [udp6, tcp6])
def test_without_a_scope_it_is_not_known_which_link(call: str, make: Callable[[Host], Any]) -> None:
    client, _ = pair()
    with pytest.raises(OSError, match="Invalid argument") as failure:
        getattr(make(client), call)((CLIENT, 5000))
    assert failure.value.errno == errno.EINVAL


def test_a_datagram_without_a_scope_takes_the_first_link() -> None:
    client, server = pair()
    receiver = answering(server)
    udp6(client).sendto(b"x", (SERVER, 5000))
    advance(client)
    assert receiver.recvfrom(9)[1][0::3] == (CLIENT, ETH0)


def test_binding_to_a_group_or_to_a_link_that_is_not_there() -> None:
    client, _ = pair()
    group = udp6(client, ("ff02::1", 5000, 0, ETH1))
    assert group.getsockname() == ("ff02::1", 5000, 0, ETH1)
    group.sendto(b"x", ("ff02::1", 5000))
    (said,) = client.wires[1].says()
    assert said["IPv6"].src == own_link_local(3)
    assert udp6(client, ("ff0e::1", 5000)).getsockname() == ("ff0e::1", 5000, 0, 0)
    for sock, address, code in (
        (udp6(client), ("ff02::1", 5000), errno.EINVAL),
        (tcp6(client), ("ff0e::1", 5000), errno.EINVAL),
        (udp6(client), ("ff02::1", 5000, 0, 9), errno.ENODEV),
        (udp6(client), (CLIENT, 5000, 0, 9), errno.ENODEV),
    ):
        with pytest.raises(OSError, match=r"Invalid|No such") as failure:
            sock.bind(address)
        assert failure.value.errno == code


def test_an_interface_that_is_not_there() -> None:
    client, _ = pair()
    with pytest.raises(OSError, match="No such device") as failure:
        udp6(client).connect((f"{SERVER}%wlan0", 5000))
    assert failure.value.errno == errno.ENODEV
    with pytest.raises(OSError, match="unreachable"):
        udp6(client).connect((SERVER, 5000, 0, 9))


def test_a_bound_socket_is_on_that_link() -> None:
    client, server = pair()
    receiver, sender = answering(server), udp6(client, (CLIENT, 4000, 0, ETH0))
    assert sender.getsockname() == (CLIENT, 4000, 0, ETH0)
    sender.sendto(b"x", (SERVER, 5000))
    advance(client)
    assert receiver.recvfrom(9)[1] == (CLIENT, 4000, 0, ETH0)
    with pytest.raises(OSError, match="Invalid argument"):
        sender.connect((SERVER, 5000, 0, ETH1))


@pytest.mark.parametrize(("address", "scope"), [(SERVER, ETH0), (CLIENT, ETH1)])
def test_only_an_own_address_on_its_link_can_be_bound(address: str, scope: int) -> None:
    client, _ = pair()
    with pytest.raises(OSError, match="Cannot assign") as failure:
        udp6(client).bind((address, 5000, 0, scope))
    assert failure.value.errno == errno.EADDRNOTAVAIL


def test_a_stream_between_link_local_addresses() -> None:
    client, server = pair()
    listener = tcp6(server)
    listener.bind((SERVER, 80, 0, ETH0))
    listener.listen()
    sock = client.connecting((f"{SERVER}%eth0", 80), tcp6(client))
    advance(client)
    accepted, peer = listener.accept()
    assert peer == (CLIENT, sock.getsockname()[1], 0, ETH0)
    assert sock.getpeername() == (SERVER, 80, 0, ETH0)
    assert sock.getsockname()[0::3] == (CLIENT, ETH0)
    sock.send(bytes(10000))
    advance(client)
    assert len(accepted.recv(20000)) == 10000
    sock.close()
    accepted.close()
    advance(client)


def test_a_host_reaches_its_own_link_local_address() -> None:
    client, _ = pair()
    receiver = udp6(client, ("::", 5000))
    udp6(client).sendto(b"x", (CLIENT, 5000, 0, ETH0))
    assert receiver.recvfrom(9)[1][0::3] == (CLIENT, ETH0)
    refused = client.connecting((f"{CLIENT}%eth0", 81), tcp6(client))
    assert refused.getsockopt(1, 4) == errno.ECONNREFUSED


def test_global_addresses_have_no_scope() -> None:
    for literal in ("2001:db8::1", "ff05::1", "10.0.0.1"):
        assert scoped(pack(literal), 5) == pack(literal)
        assert scope_of(pack(literal)) == 0
    for literal in ("fe80::1", "ff02::1", "ff12::1", "ff01::1"):
        assert scope_of(scoped(pack(literal), 5)) == 5
        assert bare(scoped(pack(literal), 5)) == pack(literal)


def test_a_group_of_the_link_is_sent_to_on_the_link_that_is_named() -> None:
    client, server = pair()
    receiver, sender = answering(server), udp6(client)
    sender.sendto(b"x", ("ff02::1%eth0", 5000))
    advance(client)
    assert receiver.recvfrom(9)[1][0::3] == (CLIENT, ETH0)
    sender.sendto(b"x", ("ff02::1%eth1", 5000))
    (said,) = client.wires[1].says()
    assert (said.dst, said["IPv6"].dst, said["IPv6"].src) == ("33:33:00:00:00:01", "ff02::1", own_link_local(3))
