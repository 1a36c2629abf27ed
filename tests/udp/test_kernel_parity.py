"""Datagram sockets: small scripts of calls, run on the kernel's sockets and on a stack's, must say the same."""

from __future__ import annotations

import pytest

from aionetflow.socket.options import (
    MSG_PEEK,
    SHUT_RD,
    SHUT_RDWR,
    SHUT_WR,
    SO_BROADCAST,
    SO_ERROR,
    SO_REUSEADDR,
    SOL_SOCKET,
)
from support.parity import ERR, IN, LO, Endpoint, Script, World, collector, differences

pytestmark = pytest.mark.kernel

SCRIPTS: dict[str, Script] = {}
script = collector(SCRIPTS)


def bound(world: World, host: str = LO, *, reuse: bool = False, port: int = 0) -> Endpoint:
    sock = world.udp()
    if reuse:
        sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock


def nobody(world: World) -> tuple[str, int]:
    """Where nobody listens on 127.0.0.1: the port is held on another address."""
    return LO, bound(world, "127.0.0.9").port


@script
def a_new_socket(world: World) -> None:
    sock = world.udp()
    sock.events()
    sock.getsockname()
    sock.getpeername()
    sock.recv(10)
    sock.send(b"x")
    sock.getsockopt(SOL_SOCKET, SO_ERROR)


@script
def an_exchange(world: World) -> None:
    server, client = bound(world), world.udp()
    client.sendto(b"question", server.address)
    client.getsockname()
    server.wait(IN).events()
    server.recvfrom(100)
    server.recvfrom(100)
    server.sendto(b"answer", client.address)
    client.wait(IN).recvfrom(100)


@script
def what_is_wrong_with_a_call_is_told_before_what_went_wrong_earlier(world: World) -> None:
    gone = nobody(world)
    client = bound(world)
    client.connect(gone)
    client.send(b"x")
    client.wait(ERR).send(bytes(65508))
    client.send(bytes(70000))
    client.sendto(b"x", (LO, 0))
    client.send(b"x")
    client.shutdown(SHUT_WR)
    client.send(bytes(65508))
    client.sendto(b"x", (LO, 0))
    client.send(b"x")


@script
def a_connected_exchange(world: World) -> None:
    server, client = bound(world), world.udp()
    client.connect(server.address)
    client.getsockname()
    client.getpeername()
    client.send(b"a")
    client.sendto(b"b", server.address)
    server.wait(IN).recvfrom(10)
    server.wait(IN).recvfrom(10)
    bound(world).sendto(b"stranger", client.address)
    client.recv(10)
    server.sendto(b"friend", client.address)
    client.wait(IN).recvfrom(10)


@script
def bounds_of_datagrams(world: World) -> None:
    server, client = bound(world), world.udp()
    for data in (b"0123456789", b"", b"next"):
        client.sendto(data, server.address)
    server.wait(IN).recv(4, MSG_PEEK)
    server.recv(4)
    server.recv(4)
    server.recv(4)
    server.recv(4)
    server.recv(-1)


@script
def sizes(world: World) -> None:
    server, client = bound(world), world.udp()
    client.sendto(bytes(65507), server.address)
    server.wait(IN).recv(70000)
    client.sendto(bytes(65508), server.address)
    client.connect(server.address)
    client.send(bytes(65508))
    client.events()


@script
def odd_destinations(world: World) -> None:
    server, client = bound(world, "0.0.0.0"), world.udp()
    client.sendto(b"x", (LO, 0))
    client.sendto(b"to any", ("0.0.0.0", server.port))
    server.wait(IN).recvfrom(10)
    for bad in ((LO, 65536), (LO, -1), "address", (LO,), (LO, "80")):
        client.sendto(b"x", bad)
    client.sendto("text", server.address)
    client.sendto(bytearray(b"ok"), server.address)


@script
def refused_at_recv(world: World) -> None:
    target, sock = nobody(world), world.udp()
    sock.connect(target)
    sock.send(b"x")
    sock.wait(ERR).events()
    sock.recv(10)
    sock.events()
    sock.recv(10)


@script
def refused_at_send(world: World) -> None:
    target, sock = nobody(world), world.udp()
    sock.connect(target)
    sock.send(b"x")
    sock.wait(ERR).send(b"x")
    sock.getsockopt(SOL_SOCKET, SO_ERROR)
    sock.send(b"x")
    sock.wait(ERR).getsockopt(SOL_SOCKET, SO_ERROR)
    sock.getsockopt(SOL_SOCKET, SO_ERROR)


@script
def refused_without_a_connection(world: World) -> None:
    target, sock = nobody(world), world.udp()
    sock.sendto(b"x", target)
    sock.events()
    sock.recv(10)
    sock.sendto(b"x", target)


@script
def refused_with_data_waiting(world: World) -> None:
    peer, sock = bound(world), bound(world)
    sock.connect(peer.address)
    peer.sendto(b"data", sock.address)
    sock.wait(IN)
    peer.close()
    sock.send(b"x")
    sock.wait(ERR).events()
    sock.recv(10)
    sock.recv(10)
    sock.recv(10)


@script
def refused_then_another_peer(world: World) -> None:
    target, peer, sock = nobody(world), bound(world), world.udp()
    sock.connect(target)
    sock.send(b"x")
    sock.wait(ERR).connect(peer.address)
    sock.events()
    sock.send(b"x")
    sock.send(b"y")
    peer.wait(IN).recv(10)


@script
def another_peer(world: World) -> None:
    one, two, sock = bound(world), bound(world, "127.0.0.2"), world.udp()
    sock.connect(one.address)
    sock.getsockname()
    sock.connect(("127.0.0.2", two.port))
    sock.getsockname()
    sock.getpeername()
    sock.send(b"x")
    two.wait(IN).recvfrom(10)
    one.sendto(b"old", sock.address)
    sock.recv(10)


@script
def shutdown_without_a_connection(world: World) -> None:
    sock = bound(world)
    for how in (SHUT_RD, SHUT_WR, SHUT_RDWR, 9):
        sock.shutdown(how)
        sock.events()
    sock.recv(10)


@script
def shutdown_of_reading(world: World) -> None:
    peer, sock = bound(world), bound(world)
    sock.connect(peer.address)
    sock.shutdown(SHUT_RD)
    sock.events()
    sock.recv(10)
    peer.sendto(b"data", sock.address)
    sock.recv(10)
    sock.send(b"x")
    peer.wait(IN).recv(10)


@script
def shutdown_of_writing(world: World) -> None:
    peer, sock = bound(world), bound(world)
    sock.connect(peer.address)
    sock.shutdown(SHUT_WR)
    sock.events()
    sock.send(b"x")
    sock.sendto(b"x", peer.address)
    peer.sendto(b"data", sock.address)
    sock.wait(IN).recv(10)
    sock.shutdown(SHUT_RDWR)
    sock.events()


@script
def binding(world: World) -> None:
    sock = bound(world)
    sock.bind((LO, 0))
    world.udp().bind(("192.0.2.1", 0))
    world.udp().bind(sock.address)
    world.udp().bind(("", sock.port))
    world.udp().bind(("127.0.0.2", sock.port))
    for reuse in (0, 1):
        late = world.udp()
        late.setsockopt(SOL_SOCKET, SO_REUSEADDR, reuse)
        late.bind(sock.address)
    for bad in ((LO, 65536), (LO, -1), "address", (LO,), (LO, "80")):
        world.udp().bind(bad)


@script
def binding_to_everybody_or_a_group(world: World) -> None:
    for address in ("127.255.255.255", "255.255.255.255", "224.0.0.1"):
        sock = world.udp()
        sock.bind((address, 0))
        sock.getsockname()


@script
def binding_after_sending(world: World) -> None:
    server, sock = bound(world), world.udp()
    sock.sendto(b"x", server.address)
    sock.bind((LO, 0))
    other = world.udp()
    other.connect(server.address)
    other.bind((LO, 0))


@script
def two_on_one_port(world: World) -> None:
    one = bound(world, reuse=True)
    two = bound(world, reuse=True, port=one.port)
    client = world.udp()
    for data in (b"1", b"2"):
        client.sendto(data, one.address)
    two.wait(IN).recv(10)
    two.recv(10)
    one.recv(10)
    two.close()
    client.sendto(b"3", one.address)
    one.wait(IN).recv(10)


@script
def the_best_fit(world: World) -> None:
    client, stranger = bound(world), bound(world)
    wild = bound(world, "0.0.0.0", reuse=True)
    exact = bound(world, reuse=True, port=wild.port)
    mine = bound(world, "0.0.0.0", reuse=True, port=wild.port)
    mine.connect(client.address)
    client.sendto(b"mine", wild.address)
    mine.wait(IN).recv(10)
    stranger.sendto(b"exact", wild.address)
    exact.wait(IN).recv(10)
    stranger.sendto(b"wild", ("127.0.0.2", wild.port))
    wild.wait(IN).recvfrom(10)
    for sock in (mine, exact, wild):
        sock.recv(10)


@script
def broadcast(world: World) -> None:
    listener, sock = bound(world, "0.0.0.0"), world.udp()
    everybody = ("127.255.255.255", listener.port)
    sock.sendto(b"x", everybody)
    sock.connect(everybody)
    sock.setsockopt(SOL_SOCKET, SO_BROADCAST, 1)
    sock.sendto(b"all", everybody)
    listener.wait(IN).recvfrom(10)
    sock.connect(everybody)
    sock.getpeername()
    sock.send(b"again")
    listener.wait(IN).recvfrom(10)


@script
def calls_that_are_for_streams(world: World) -> None:
    sock = bound(world)
    sock.listen(1)
    sock.accept()


@script
def a_closed_socket(world: World) -> None:
    sock = bound(world)
    address = sock.address
    sock.close()
    sock.close()
    sock.fileno()
    sock.recv(1)
    sock.send(b"x")
    sock.sendto(b"x", address)
    sock.connect(address)
    sock.bind(address)
    sock.getsockname()
    sock.getpeername()
    sock.shutdown(SHUT_WR)
    world.udp().bind(address)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_stack_says_what_the_kernel_says(name: str) -> None:
    found = differences(SCRIPTS[name])
    assert not found, "\n".join(found)
