"""errno, events() and options of connections: each scenario runs on the kernel's loopback and on ours."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from support.worlds import LOOPBACK, World, compare

LINGER_ZERO = struct.pack("ii", 1, 0)
SO_ERROR, SO_LINGER = 4, 13
RD, WR, RDWR = range(3)
PEEK = 2

Scenario = Callable[[World], None]
SCENARIOS: list[Scenario] = []


def scenario(run: Scenario) -> Scenario:
    """Has a function run on both."""
    SCENARIOS.append(run)
    return run


# Connected ----------------------------------------------------------------------------------------------------------


@scenario
def connected_pair(world: World) -> None:
    client, server = world.pair()
    world.polls(client, server)
    world.tries(client.recv, 10)
    world.tries(client.send, b"")
    world.tries(client.send, b"hello")
    world.polls(client, server)
    world.tries(server.recv, 3, PEEK)
    world.tries(server.recv, 3)
    world.tries(server.recv, 3)
    world.tries(server.recv, 3)
    world.polls(client, server)


@scenario
def half_close(world: World) -> None:
    client, server = world.pair()
    client.send(b"last")
    for _ in range(2):
        world.tries(client.shutdown, WR)
        world.polls(client, server)
    world.tries(client.send, b"x")
    world.tries(client.recv, 10)
    for _ in range(3):
        world.tries(server.recv, 10)
    world.polls(client, server)
    world.tries(server.send, b"answer")
    world.tries(client.recv, 10)
    world.tries(server.shutdown, WR)
    world.polls(client, server)
    world.tries(client.recv, 10)
    for sock in (client, server):
        world.tries(sock.shutdown, WR)
        world.tries(sock.getpeername)
        world.tries(sock.send, b"x")
        world.tries(sock.recv, 10)
        world.tries(sock.connect, (LOOPBACK, 9))


@scenario
def shutdown_of_reading(world: World) -> None:
    client, server = world.pair()
    world.tries(client.shutdown, RD)
    world.polls(client, server)
    world.tries(client.recv, 10)
    world.tries(server.send, b"still")
    world.polls(client, server)
    world.tries(client.recv, 10)
    world.tries(client.recv, 10)
    world.tries(client.send, b"x")
    world.tries(server.recv, 10)


@scenario
def shutdown_of_both(world: World) -> None:
    client, server = world.pair()
    world.tries(client.shutdown, RDWR)
    world.polls(client, server)
    world.tries(client.recv, 10)
    world.tries(client.send, b"x")
    world.tries(server.recv, 10)
    world.tries(server.send, b"into the void")
    world.polls(client, server)
    world.tries(server.send, b"x")
    world.tries(server.recv, 10)
    world.tries(client.getsockopt, 1, SO_ERROR)
    world.tries(client.getpeername)


@scenario
def peer_has_closed(world: World) -> None:
    client, server = world.pair()
    client.close()
    world.polls(server)
    world.tries(server.recv, 10)
    world.tries(server.send, b"first")
    world.polls(server)
    world.tries(server.send, b"second")
    world.tries(server.send, b"third")
    world.tries(server.recv, 10)
    world.tries(server.getsockopt, 1, SO_ERROR)


@scenario
def peer_has_closed_and_recv_tells(world: World) -> None:
    client, server = world.pair()
    client.close()
    world.tries(server.send, b"first")
    world.tries(server.recv, 10)
    world.tries(server.recv, 10)
    world.polls(server)


@scenario
def peer_has_reset(world: World) -> None:
    client, server = world.pair()
    client.setsockopt(1, SO_LINGER, LINGER_ZERO)
    client.close()
    world.polls(server)
    world.tries(server.getpeername)
    world.tries(server.recv, 10)
    world.polls(server)
    world.tries(server.recv, 10)
    world.tries(server.send, b"x")
    world.tries(server.shutdown, WR)
    world.tries(server.connect, (LOOPBACK, world.free_port()))


@scenario
def peer_has_reset_after_data(world: World) -> None:
    client, server = world.pair()
    client.send(b"data")
    client.setsockopt(1, SO_LINGER, LINGER_ZERO)
    client.close()
    world.polls(server)
    for _ in range(3):
        world.tries(server.recv, 2)


@scenario
def peer_has_closed_with_unread_data(world: World) -> None:
    client, server = world.pair()
    server.send(b"unread")
    client.close()
    world.polls(server)
    world.tries(server.getsockopt, 1, SO_ERROR)
    world.polls(server)
    world.tries(server.recv, 10)
    world.tries(server.send, b"x")


@scenario
def reset_after_shutdown(world: World) -> None:
    client, server = world.pair()
    server.shutdown(WR)
    client.setsockopt(1, SO_LINGER, LINGER_ZERO)
    client.close()
    world.polls(server)
    world.tries(server.send, b"x")
    world.tries(server.recv, 10)
    world.tries(server.recv, 10)


@scenario
def reset_after_the_peers_fin(world: World) -> None:
    client, server = world.pair()
    client.shutdown(WR)
    client.setsockopt(1, SO_LINGER, LINGER_ZERO)
    client.close()
    world.polls(server)
    world.tries(server.recv, 10)
    world.tries(server.recv, 10)
    world.tries(server.send, b"x")


@scenario
def not_accepted_and_the_listener_closes(world: World) -> None:
    listener = world.listener()
    client = world.connects(listener.getsockname())
    listener.close()
    world.polls(client)
    world.tries(client.recv, 10)
    world.tries(client.send, b"x")


@scenario
def accepted_after_the_peer_has_closed(world: World) -> None:
    listener = world.listener()
    client = world.connects(listener.getsockname())
    client.send(b"bye")
    client.close()
    world.polls(listener)
    server = listener.accept()[0]
    world.opened.append(server)
    world.polls(server)
    world.tries(server.recv, 10)
    world.tries(server.recv, 10)


@scenario
def accepted_after_the_peer_has_reset(world: World) -> None:
    listener = world.listener()
    client = world.connects(listener.getsockname())
    client.setsockopt(1, SO_LINGER, LINGER_ZERO)
    client.close()
    world.polls(listener)
    server = listener.accept()[0]
    world.opened.append(server)
    world.polls(server)
    world.tries(server.recv, 10)
    world.tries(server.recv, 10)


# Options ------------------------------------------------------------------------------------------------------------


@scenario
def options_of_a_stream(world: World) -> None:
    sock = world.socket()
    for level, option in ((1, 2), (1, 3), (1, 38), (1, 39), (1, 30), (1, 13), (6, 1), (6, 2), (6, 3), (0, 2), (0, 1)):
        world.tries(sock.getsockopt, level, option)
    world.tries(sock.getsockopt, 1, SO_LINGER, 8)
    world.tries(sock.getsockopt, 1, SO_ERROR, 4)
    world.tries(sock.getsockopt, 6, 1, 2)
    for level, option, value in (
        (1, 2, 5), (6, 1, 7), (6, 3, 2), (0, 2, 7), (0, 2, 0), (0, 2, 256), (0, 1, 0x10), (1, 13, LINGER_ZERO),
        (1, 13, b"\0" * 4), (1, 13, 1), (1, 3, 1), (1, 30, 1), (1, 8, 10000), (1, 8, 1), (1, 7, 10000), (6, 1, b"\1"),
        (6, 1, b"\1\0\0\0"), (6, 999, 1), (1, 999, 1), (77, 1, 1),
    ):  # fmt: skip
        world.tries(sock.setsockopt, level, option, value)
        if level != 77 and option != 999:
            world.tries(sock.getsockopt, level, option)
    world.tries(sock.getsockopt, 6, 999)
    world.tries(sock.getsockopt, 77, 1)
    world.tries(sock.getsockopt, 1, SO_LINGER, 8)


@scenario
def options_are_inherited(world: World) -> None:
    listener = world.listener()
    for level, option, value in ((6, 1, 1), (1, 8, 20000), (1, 7, 30000), (0, 2, 33), (1, 2, 1)):
        listener.setsockopt(level, option, value)
    world.connects(listener.getsockname())
    server = listener.accept()[0]
    world.opened.append(server)
    for level, option in ((6, 1), (1, 8), (1, 7), (0, 2), (1, 2), (1, 30)):
        world.tries(server.getsockopt, level, option)


@pytest.mark.kernel
@pytest.mark.parametrize("run", SCENARIOS, ids=lambda run: run.__name__)
def test_calls_end_as_the_kernels_do(run: Scenario) -> None:
    compare(run)
