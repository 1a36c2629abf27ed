"""errno and events() before and while connecting: each scenario runs on the kernel's loopback and on ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.worlds import LOOPBACK, World, compare

SO_REUSEADDR, SO_ERROR, SO_ACCEPTCONN = 2, 4, 30
RD, WR, RDWR = range(3)

Scenario = Callable[[World], None]
SCENARIOS: list[Scenario] = []


def scenario(run: Scenario) -> Scenario:
    """Has a function run on both."""
    SCENARIOS.append(run)
    return run


# Sockets without a connection -------------------------------------------------------------------------------------


@scenario
def fresh_socket(world: World) -> None:
    sock = world.socket()
    world.polls(sock)
    world.notes(sock.getsockname())
    world.tries(sock.send, b"x")
    world.tries(sock.send, b"")
    world.tries(sock.recv, 10)
    world.tries(sock.getpeername)
    world.tries(sock.accept)
    for how in (RD, WR, RDWR):
        world.tries(sock.shutdown, how)
    world.tries(sock.shutdown, 7)
    world.polls(sock)
    world.tries(sock.getsockopt, 1, SO_ERROR)


@scenario
def bound_socket(world: World) -> None:
    sock = world.socket()
    world.tries(sock.bind, (LOOPBACK, 0))
    world.polls(sock)
    world.tries(sock.bind, (LOOPBACK, 0))
    world.tries(sock.accept)
    world.tries(sock.recv, 10)
    world.tries(sock.send, b"x")


@scenario
def bind_where_it_cannot_be(world: World) -> None:
    world.tries(world.socket().bind, ("203.0.113.7", 0))
    world.tries(world.socket().bind, ("203.0.113.7", 0))
    first = world.socket()
    first.bind((LOOPBACK, 0))
    port = first.getsockname()[1]
    world.tries(world.socket().bind, (LOOPBACK, port))
    world.tries(world.socket().bind, ("0.0.0.0", port))
    world.tries(world.socket().bind, ("127.0.0.2", port))


@scenario
def bind_with_reuse(world: World) -> None:
    socks = [world.socket() for _ in range(3)]
    for sock in socks:
        sock.setsockopt(1, SO_REUSEADDR, 1)
    socks[0].bind((LOOPBACK, 0))
    address = socks[0].getsockname()
    world.tries(socks[1].bind, address)
    world.tries(socks[0].listen, 5)
    world.tries(socks[1].listen, 5)
    world.tries(socks[2].bind, address)


@scenario
def bind_after_close(world: World) -> None:
    listener = world.listener()
    address = listener.getsockname()
    listener.close()
    sock = world.socket()
    world.tries(sock.bind, address)


@scenario
def bind_where_a_connection_is_left_in_time_wait(world: World) -> None:
    listener = world.listener()
    address = listener.getsockname()
    client = world.connects(address)
    server = listener.accept()[0]
    for sock in (server, client, listener):
        sock.close()
    world.tries(world.socket().bind, address)
    again = world.socket()
    again.setsockopt(1, SO_REUSEADDR, 1)
    world.tries(again.bind, address)
    world.tries(again.listen, 1)


@scenario
def listening_socket(world: World) -> None:
    sock = world.listener()
    world.polls(sock)
    world.tries(sock.accept)
    world.tries(sock.listen, 3)
    world.tries(sock.send, b"x")
    world.tries(sock.recv, 10)
    world.tries(sock.getpeername)
    world.tries(sock.connect, (LOOPBACK, 9))
    world.tries(sock.bind, (LOOPBACK, 0))
    world.tries(sock.getsockopt, 1, SO_ACCEPTCONN)
    world.polls(sock)


@scenario
def shutdown_of_a_listener(world: World) -> None:
    sock = world.listener()
    address = sock.getsockname()
    world.tries(sock.shutdown, WR)
    world.polls(sock)
    world.tries(sock.shutdown, RD)
    world.polls(sock)
    world.tries(sock.accept)
    world.tries(world.connects(address).getsockopt, 1, SO_ERROR)


@scenario
def listen_without_bind(world: World) -> None:
    sock = world.socket()
    world.tries(sock.listen)
    assert sock.getsockname()[1]
    world.notes(sock.getsockname()[0])


@scenario
def closed_socket(world: World) -> None:
    sock = world.socket()
    sock.close()
    world.notes(sock.fileno())
    for call, arguments in (
        (sock.send, (b"x",)), (sock.recv, (1,)), (sock.listen, (1,)), (sock.accept, ()), (sock.shutdown, (WR,)),
        (sock.getsockname, ()), (sock.getpeername, ()), (sock.bind, ((LOOPBACK, 0),)),
        (sock.connect, ((LOOPBACK, 1),)), (sock.getsockopt, (1, SO_ERROR)), (sock.close, ()),
    ):  # fmt: skip
        world.tries(call, *arguments)


# Connecting -------------------------------------------------------------------------------------------------------


@scenario
def connect_refused(world: World) -> None:
    address = (LOOPBACK, world.free_port())
    sock = world.socket()
    world.tries(sock.connect, address)
    world.polls(sock)
    world.tries(sock.getpeername)
    world.tries(sock.getsockopt, 1, SO_ERROR)
    world.tries(sock.getsockopt, 1, SO_ERROR)
    world.polls(sock)
    world.tries(sock.recv, 10)
    world.tries(sock.send, b"x")


@scenario
def connect_refused_told_by_connect(world: World) -> None:
    address = (LOOPBACK, world.free_port())
    sock = world.socket()
    for _ in range(3):
        world.tries(sock.connect, address)
    world.polls(sock)


@scenario
def connect_refused_told_by_recv(world: World) -> None:
    sock = world.connects((LOOPBACK, world.free_port()))
    world.tries(sock.recv, 10)
    world.tries(sock.recv, 10)
    world.tries(sock.send, b"x")


@scenario
def connect_refused_told_by_send(world: World) -> None:
    sock = world.connects((LOOPBACK, world.free_port()))
    world.tries(sock.send, b"x")
    world.tries(sock.send, b"x")
    world.tries(sock.recv, 10)


@scenario
def connect_again_elsewhere_after_a_refusal(world: World) -> None:
    sock = world.connects((LOOPBACK, world.free_port()))
    world.tries(sock.getsockopt, 1, SO_ERROR)
    listener = world.listener()
    world.tries(sock.connect, listener.getsockname())
    world.tries(sock.connect, listener.getsockname())
    world.tries(sock.connect, listener.getsockname())
    world.polls(sock, listener)


@scenario
def connect_several_times(world: World) -> None:
    listener = world.listener()
    sock = world.socket()
    for _ in range(4):
        world.tries(sock.connect, listener.getsockname())
        world.polls(sock)
    world.tries(sock.bind, (LOOPBACK, 0))
    world.tries(sock.listen, 1)
    world.tries(sock.accept)


@scenario
def connect_to_any_address_means_this_host(world: World) -> None:
    listener = world.listener()
    sock = world.connects(("0.0.0.0", listener.getsockname()[1]))
    world.notes(sock.getpeername()[0])
    world.polls(sock)


@scenario
def connect_where_nothing_can_be(world: World) -> None:
    world.tries(world.socket().connect, ("224.0.0.1", 80))
    world.tries(world.socket().connect, ("255.255.255.255", 80))


@scenario
def socket_in_syn_sent(world: World) -> None:
    listener = world.listener(0)
    world.connects(listener.getsockname())
    sock = world.connects(listener.getsockname())
    world.polls(sock)
    world.tries(sock.connect, listener.getsockname())
    world.tries(sock.send, b"x")
    world.tries(sock.recv, 10)
    world.tries(sock.getpeername)
    world.tries(sock.bind, (LOOPBACK, 0))
    world.tries(sock.accept)
    world.tries(sock.listen, 1)
    world.tries(sock.getsockopt, 1, SO_ERROR)


@scenario
def shutdown_in_syn_sent(world: World) -> None:
    listener = world.listener(0)
    world.connects(listener.getsockname())
    sock = world.connects(listener.getsockname())
    world.tries(sock.shutdown, WR)
    world.polls(sock)
    world.tries(sock.getsockopt, 1, SO_ERROR)
    world.polls(sock)
    world.tries(sock.recv, 10)
    world.tries(sock.send, b"x")


@pytest.mark.kernel
@pytest.mark.parametrize("run", SCENARIOS, ids=lambda run: run.__name__)
def test_calls_end_as_the_kernels_do(run: Scenario) -> None:
    compare(run)
