"""Stream sockets: small scripts of calls, run on the kernel's sockets and on a stack's, must say the same."""

from __future__ import annotations

import struct

import pytest

from aionetflow.socket.options import (
    MSG_PEEK,
    SHUT_RD,
    SHUT_RDWR,
    SHUT_WR,
    SO_ACCEPTCONN,
    SO_ERROR,
    SO_LINGER,
    SOL_SOCKET,
)
from support.parity import (
    ERR,
    HUP,
    IN,
    LO,
    OUT,
    RDHUP,
    Endpoint,
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


def say_all(*endpoints: Endpoint) -> None:
    for endpoint in endpoints:
        endpoint.events()
        endpoint.getsockopt(SOL_SOCKET, SO_ERROR)
        endpoint.recv(100)
        endpoint.recv(100)
        endpoint.send(b"x")
        endpoint.send(b"x")
        endpoint.events()


@script
def a_new_socket(world: World) -> None:
    sock = world.tcp()
    sock.events()
    sock.getsockname()
    sock.getpeername()
    sock.recv(10)
    sock.send(b"x")
    sock.send(b"")
    sock.accept()
    for how in (SHUT_RD, SHUT_WR, SHUT_RDWR, 7):
        sock.shutdown(how)
    sock.events()


@script
def connecting(world: World) -> None:
    listener, client = server(world), world.tcp()
    client.connect(listener.address)
    client.wait(OUT)
    client.events()
    client.connect(listener.address)
    client.connect(listener.address)
    client.getsockname()
    client.getpeername()
    listener.events()
    accepted, _ = listener.accept()
    listener.events()
    accepted.getsockname()
    accepted.getpeername()
    accepted.connect(listener.address)
    accepted.events()
    listener.accept()


@script
def refused_at_connect(world: World) -> None:
    target, client = nobody(world), world.tcp()
    client.connect(target.address)
    client.wait(ERR)
    client.events()
    client.getpeername()
    client.connect(target.address)
    client.events()
    client.connect(target.address)
    client.wait(ERR)
    client.getsockopt(SOL_SOCKET, SO_ERROR)
    client.getsockopt(SOL_SOCKET, SO_ERROR)
    client.connect(target.address)


@script
def refused_at_recv(world: World) -> None:
    target, client = nobody(world), world.tcp()
    client.connect(target.address)
    client.wait(ERR).recv(10)
    client.recv(10)
    client.send(b"x")
    client.events()


@script
def refused_at_send(world: World) -> None:
    target, client = nobody(world), world.tcp()
    client.connect(target.address)
    client.wait(ERR).send(b"x")
    client.send(b"x")
    client.recv(10)
    client.events()


@script
def refused_then_accepted(world: World) -> None:
    target, client = nobody(world), world.tcp()
    client.connect(target.address)
    client.wait(ERR).connect(target.address)
    target.listen(1)
    client.connect(target.address)
    client.wait(OUT).connect(target.address)
    target.wait(IN).accept()


@script
def refused_while_bound(world: World) -> None:
    target, client = nobody(world), world.tcp()
    client.bind((LO, 0))
    client.getsockname()
    client.connect(target.address)
    client.wait(ERR).getsockopt(SOL_SOCKET, SO_ERROR)
    client.getsockname()


@script
def a_full_backlog(world: World) -> None:
    listener = server(world, 0)
    first, second = world.tcp(), world.tcp()
    first.connect(listener.address)
    first.wait(OUT)
    second.connect(listener.address)
    second.connect(listener.address)
    second.events()
    second.getpeername()
    second.recv(10)
    second.send(b"x")
    second.getsockopt(SOL_SOCKET, SO_ERROR)
    second.bind((LO, 0))
    second.listen(1)
    second.shutdown(SHUT_WR)
    second.events()
    second.recv(10)
    second.close()
    first.events()


@script
def peer_closes(world: World) -> None:
    client, accepted = pair(world)
    client.send(b"last words")
    client.close()
    accepted.wait(RDHUP).events()
    accepted.recv(4)
    accepted.recv(100)
    accepted.recv(100)
    accepted.events()
    accepted.send(b"anyone?")
    accepted.wait(ERR | HUP)
    say_all(accepted)


@script
def half_close(world: World) -> None:
    client, accepted = pair(world)
    client.send(b"question")
    client.shutdown(SHUT_WR)
    client.send(b"x")
    client.events()
    accepted.wait(RDHUP).recv(100)
    accepted.recv(100)
    accepted.send(b"answer")
    accepted.events()
    client.wait(IN).recv(100)
    client.recv(100)
    client.shutdown(SHUT_WR)
    accepted.shutdown(SHUT_WR)
    client.wait(HUP)
    say_all(accepted, client)
    client.getpeername()
    client.shutdown(SHUT_RDWR)


@script
def shutdown_of_reading(world: World) -> None:
    client, accepted = pair(world)
    client.shutdown(SHUT_RD)
    client.events()
    client.recv(10)
    accepted.send(b"unwanted")
    accepted.events()
    client.wait(IN).recv(100)
    client.recv(100)
    client.send(b"still speaking")
    accepted.wait(IN).recv(100)


@script
def shutdown_of_both(world: World) -> None:
    client, accepted = pair(world)
    client.shutdown(SHUT_RDWR)
    client.events()
    client.recv(10)
    client.send(b"x")
    accepted.wait(RDHUP)
    say_all(accepted)


@script
def shutdown_of_a_listener(world: World) -> None:
    listener = server(world)
    listener.shutdown(SHUT_WR)
    listener.accept()
    listener.shutdown(SHUT_RDWR)
    listener.events()
    listener.accept()
    listener.getsockopt(SOL_SOCKET, SO_ACCEPTCONN)


@script
def close_with_unread_data(world: World) -> None:
    client, accepted = pair(world)
    client.send(b"never read")
    accepted.wait(IN).close()
    client.wait(ERR)
    say_all(client)


@script
def close_without_linger(world: World) -> None:
    client, accepted = pair(world)
    accepted.send(b"in your buffer")
    client.wait(IN)
    accepted.setsockopt(SOL_SOCKET, SO_LINGER, LINGER_0)
    accepted.close()
    client.wait(ERR)
    client.events()
    client.recv(100)
    client.recv(100)
    client.send(b"x")
    client.getpeername()


@script
def a_reset_seen_by_recv(world: World) -> None:
    client, accepted = pair(world)
    accepted.setsockopt(SOL_SOCKET, SO_LINGER, LINGER_0)
    accepted.close()
    client.wait(ERR).recv(100)
    client.recv(100)
    client.events()
    client.shutdown(SHUT_WR)


@script
def a_reset_seen_by_send(world: World) -> None:
    client, accepted = pair(world)
    accepted.setsockopt(SOL_SOCKET, SO_LINGER, LINGER_0)
    accepted.close()
    client.wait(ERR).send(b"x")
    client.send(b"x")
    client.recv(100)


@script
def peeking(world: World) -> None:
    client, accepted = pair(world)
    client.send(b"look twice")
    accepted.wait(IN).recv(4, MSG_PEEK)
    accepted.recv(100, MSG_PEEK)
    accepted.recv(5)
    accepted.recv(100)
    accepted.recv(100, MSG_PEEK)


@script
def odd_arguments(world: World) -> None:
    client, accepted = pair(world)
    client.send(b"")
    client.recv(-1)
    client.send("text")
    client.send(bytearray(b"ab"))
    accepted.wait(IN).recv(100)
    client.send(memoryview(b"cd"))
    accepted.wait(IN).recv(100)


@script
def a_full_send_buffer(world: World) -> None:
    client, accepted = pair(world)
    client.fill()
    client.send(b"x")
    client.events()
    accepted.wait(IN).events()
    accepted.drain(client)
    client.wait(OUT).events()
    client.send(b"x")


@script
def binding(world: World) -> None:
    sock, other = world.tcp(), world.tcp()
    sock.bind(("192.0.2.1", 0))
    sock.bind((LO, 0))
    sock.bind((LO, 0))
    sock.getsockname()
    other.bind(sock.address)
    other.bind(("0.0.0.0", sock.port))
    other.bind(("127.0.0.2", sock.port))
    other.getsockname()
    for bad in ((LO, 65536), (LO, -1), "address", (LO,), (LO, "80"), (None, 1)):
        world.tcp().bind(bad)
    world.tcp().bind(("", 0))
    world.tcp().bind(("127.255.255.255", 0))
    world.tcp().bind(("224.0.0.1", 0))


@script
def listening(world: World) -> None:
    sock = world.tcp()
    sock.accept()
    sock.listen(3)
    sock.events()
    sock.getsockopt(SOL_SOCKET, SO_ACCEPTCONN)
    sock.getsockname()
    sock.accept()
    sock.listen(7)
    sock.listen(-1)
    sock.connect((LO, 1))
    sock.recv(10)
    sock.send(b"x")
    sock.getpeername()
    sock.bind((LO, 0))
    client, accepted = dial(world, sock)
    client.listen(1)
    accepted.accept()
    accepted.getsockopt(SOL_SOCKET, SO_ACCEPTCONN)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_stack_says_what_the_kernel_says(name: str) -> None:
    found = differences(SCRIPTS[name])
    assert not found, "\n".join(found)
