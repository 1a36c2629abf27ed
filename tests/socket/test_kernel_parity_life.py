"""Stream sockets from birth to TIME-WAIT, and who may have the port: the same scripts on the kernel and on a stack."""

from __future__ import annotations

import struct

import pytest

from aionetflow.socket.options import (
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_TCP,
    SHUT_WR,
    SO_ERROR,
    SO_LINGER,
    SO_REUSEADDR,
    SOL_SOCKET,
    TCP_CORK,
    TCP_NODELAY,
)
from support.parity import (
    ERR,
    HUP,
    IN,
    LO,
    OUT,
    RDHUP,
    Script,
    World,
    collector,
    dial,
    differences,
    nobody,
    pair,
    server,
)

pytestmark = pytest.mark.kernel

SCRIPTS: dict[str, Script] = {}
script = collector(SCRIPTS)
LINGER_0 = struct.pack("ii", 1, 0)


@script
def data_before_accept(world: World) -> None:
    listener, client = server(world), world.tcp()
    client.connect(listener.address)
    client.wait(OUT).send(b"early")
    accepted, _ = listener.wait(IN).accept()
    accepted.wait(IN).events()
    accepted.recv(100)


@script
def fin_before_accept(world: World) -> None:
    listener, client = server(world), world.tcp()
    client.connect(listener.address)
    client.wait(OUT).send(b"early")
    client.close()
    accepted, _ = listener.wait(IN).accept()
    accepted.wait(RDHUP).events()
    accepted.getpeername()
    accepted.recv(100)
    accepted.recv(100)
    accepted.getsockopt(SOL_SOCKET, SO_ERROR)


@script
def reset_before_accept(world: World) -> None:
    listener, client = server(world), world.tcp()
    client.connect(listener.address)
    client.wait(OUT).send(b"early")
    client.setsockopt(SOL_SOCKET, SO_LINGER, LINGER_0)
    client.close()
    listener.wait(IN).events()
    accepted, _ = listener.accept()
    accepted.wait(HUP).events()
    accepted.getpeername()
    accepted.recv(100)
    accepted.recv(100)
    accepted.send(b"x")
    listener.accept()


@script
def a_listener_that_closes_with_connections_waiting(world: World) -> None:
    listener, client = server(world), world.tcp()
    client.connect(listener.address)
    client.wait(OUT)
    listener.wait(IN).close()
    client.wait(ERR)
    client.events()
    client.recv(100)
    client.recv(100)
    client.send(b"x")


@script
def a_connection_outlives_its_listener(world: World) -> None:
    listener = server(world)
    client, accepted = dial(world, listener)
    port = listener.port
    listener.close()
    client.send(b"still here")
    accepted.wait(IN).recv(100)
    late, other = world.tcp(), world.tcp()
    late.connect((LO, port))
    late.wait(ERR).getsockopt(SOL_SOCKET, SO_ERROR)
    other.bind((LO, port))
    other.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    other.bind((LO, port))


@script
def an_accepted_socket_inherits(world: World) -> None:
    listener = world.tcp()
    options = [
        (SOL_SOCKET, SO_REUSEADDR, 1), (IPPROTO_TCP, TCP_NODELAY, 1), (IPPROTO_TCP, TCP_CORK, 1),
        (IPPROTO_IP, IP_TTL, 9), (IPPROTO_IP, IP_TOS, 16), (SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 7)),
    ]  # fmt: skip
    for option in options:
        listener.setsockopt(*option)
    listener.bind((LO, 0))
    listener.listen(5)
    client, accepted = dial(world, listener)
    for level, name, _ in options:
        accepted.getsockopt(level, name, 8)
        client.getsockopt(level, name, 8)


@script
def a_socket_that_connects_to_itself(world: World) -> None:
    sock = nobody(world)
    sock.connect(sock.address)
    sock.wait(OUT).connect(sock.address)
    sock.getpeername()
    sock.send(b"me")
    sock.wait(IN).recv(10)
    sock.shutdown(SHUT_WR)
    sock.wait(RDHUP).events()
    sock.recv(10)
    sock.close()


@script
def connecting_to_no_address_in_particular(world: World) -> None:
    listener, client = server(world, host="0.0.0.0"), world.tcp()
    client.connect(("0.0.0.0", listener.port))
    client.wait(OUT).getpeername()
    client.getsockname()
    listener.wait(IN).accept()
    client.connect((LO, 1))


@script
def connecting_from_another_loopback_address(world: World) -> None:
    listener, client = server(world), world.tcp()
    client.bind(("127.0.0.2", 0))
    client.connect(listener.address)
    accepted, _ = listener.wait(IN).accept()
    client.getsockname()
    accepted.getpeername()


@script
def connecting_to_another_loopback_address(world: World) -> None:
    listener, client, refused = server(world, host="0.0.0.0"), world.tcp(), world.tcp()
    client.connect(("127.9.9.9", listener.port))
    accepted, _ = listener.wait(IN).accept()
    client.getsockname()
    accepted.getsockname()
    refused.connect(("127.9.9.9", nobody(world).port))
    refused.wait(ERR).getsockopt(SOL_SOCKET, SO_ERROR)


@script
def connecting_to_everybody(world: World) -> None:
    for address in ("127.255.255.255", "224.0.0.1"):
        sock = world.tcp()
        sock.connect((address, 80))
        sock.events()
        sock.getsockname()


@script
def addresses_that_are_none(world: World) -> None:
    for bad in ((LO, 65536), (LO, -1), "address", (LO,), (LO, "80"), (None, 1), 7):
        world.tcp().connect(bad)


@script
def a_closed_socket(world: World) -> None:
    client, _ = pair(world)
    client.close()
    client.close()
    client.fileno()
    client.recv(1)
    client.send(b"x")
    client.connect((LO, 1))
    client.bind((LO, 0))
    client.listen(1)
    client.accept()
    client.getsockname()
    client.getpeername()
    client.shutdown(SHUT_WR)
    client.getsockopt(SOL_SOCKET, SO_ERROR)
    client.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)


@script
def a_port_in_use(world: World) -> None:
    listener = server(world)
    for reuse in (0, 1):
        other = world.tcp()
        other.setsockopt(SOL_SOCKET, SO_REUSEADDR, reuse)
        other.bind(listener.address)


@script
def a_port_shared_by_sockets_that_do_not_listen(world: World) -> None:
    one, two, three = world.tcp(), world.tcp(), world.tcp()
    for sock in (one, two):
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    one.bind((LO, 0))
    two.bind(one.address)
    three.bind(one.address)
    one.listen(1)
    two.listen(1)
    one.close()
    two.listen(1)
    two.getsockname()


@script
def a_wildcard_beside_an_address(world: World) -> None:
    for reuse in (0, 1):
        one, two = world.tcp(), world.tcp()
        for sock in (one, two):
            sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, reuse)
        one.bind((LO, 0))
        two.bind(("", one.port))
        one.listen(1)
        two.listen(1)


@script
def the_closer_address_gets_the_connection(world: World) -> None:
    one, two = world.tcp(), world.tcp()
    for sock in (one, two):
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    one.bind(("127.0.0.7", 0))
    two.bind(("127.0.0.8", one.port))
    one.listen(1)
    two.listen(1)
    client = world.tcp()
    client.connect(("127.0.0.8", one.port))
    client.wait(OUT)
    two.wait(IN).accept()
    one.accept()


@script
def rebinding_while_the_client_waits_out_its_time(world: World) -> None:
    listener = server(world)
    client, accepted = dial(world, listener)
    address = listener.address
    listener.close()
    client.close()
    accepted.wait(RDHUP).close()  # the client closed first: its port waits, the server's is free
    again = world.tcp()
    again.bind(address)
    again.listen(1)


@script
def rebinding_while_the_server_waits_out_its_time(world: World) -> None:
    for before, after in ((0, 0), (0, 1), (1, 0), (1, 1)):
        listener = server(world, reuse=bool(before))
        client, accepted = dial(world, listener)
        address = listener.address
        listener.close()
        accepted.close()
        client.wait(RDHUP).close()
        again = world.tcp()
        again.setsockopt(SOL_SOCKET, SO_REUSEADDR, after)
        again.bind(address)
        again.listen(1)


@script
def rebinding_after_a_reset(world: World) -> None:
    listener = server(world)
    client, accepted = dial(world, listener)
    address = listener.address
    listener.close()
    accepted.setsockopt(SOL_SOCKET, SO_LINGER, LINGER_0)
    accepted.close()
    client.wait(ERR)
    again = world.tcp()
    again.bind(address)


@script
def two_connections_from_one_bound_port(world: World) -> None:
    first, second = server(world), server(world)
    one, two, three = world.tcp(), world.tcp(), world.tcp()
    for sock in (one, two, three):
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    one.bind((LO, 0))
    for sock in (two, three):
        sock.bind(one.address)
    one.connect(first.address)
    one.wait(OUT)
    two.connect(second.address)
    two.wait(OUT)
    three.connect(first.address)
    three.getsockname()


@script
def close_while_connecting(world: World) -> None:
    listener, client = server(world, 0), world.tcp()
    client.connect(listener.address)
    client.close()
    listener.wait(IN).events()
    accepted, _ = listener.accept()
    accepted.wait(RDHUP | HUP).recv(10)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_stack_says_what_the_kernel_says(name: str) -> None:
    found = differences(SCRIPTS[name])
    assert not found, "\n".join(found)
