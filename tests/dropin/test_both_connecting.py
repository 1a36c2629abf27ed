"""Making connections, on the kernel and on a virtual network: addresses, families, sockets, and giving up."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from support.loops import until
from support.sides import LO, Recorder, Trial, on_both, settle

loop = asyncio.get_running_loop


@on_both
async def test_local_addr_is_where_a_connection_comes_from(trial: Trial) -> None:
    address = await trial.server()
    transport, _ = await loop().create_connection(Recorder, *address, local_addr=("127.0.0.5", 0))
    assert transport.get_extra_info("sockname")[0] == "127.0.0.5"
    transport.close()


@on_both
async def test_the_next_address_is_tried_when_one_refuses(trial: Trial) -> None:
    host, port = await trial.server()
    asked: list[Any] = []

    async def two_addresses(*args: Any, **kwargs: Any) -> Any:
        asked.append(args[0])
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.9", host)]

    setattr(loop(), "getaddrinfo", two_addresses)  # noqa: B010
    trial.left.callback(delattr, loop(), "getaddrinfo")
    for delay in (None, 0.05):
        transport, _ = await loop().create_connection(Recorder, "some.name", port, happy_eyeballs_delay=delay)
        assert transport.get_extra_info("peername") == (host, port)
        transport.close()
    assert asked == ["some.name", "some.name"]


@on_both
async def test_a_name_of_both_families_reaches_a_server_of_one(trial: Trial) -> None:
    _, port = await trial.server()
    several: tuple[dict[str, Any], ...] = ({}, {"happy_eyeballs_delay": 0.05}, {"interleave": 2})
    for options in several:
        transport, _ = await loop().create_connection(Recorder, "localhost", port, **options)
        assert transport.get_extra_info("peername") == (LO, port)
        transport.close()


@on_both
async def test_a_connected_socket_becomes_a_transport(trial: Trial) -> None:
    near, far = await trial.pair()
    transport, protocol = await loop().create_connection(Recorder, sock=near)
    accepted, other = await loop().connect_accepted_socket(Recorder, far)
    transport.write(b"hello")
    transport.close()
    await other.lost
    assert other.data == b"hello"
    await protocol.lost
    assert near.fileno() == -1
    accepted.close()


@pytest.mark.skipif(sys.version_info < (3, 12), reason="all_errors came with Python 3.12")
@on_both
async def test_all_errors_are_told_if_asked_for(trial: Trial) -> None:
    _, port = trial.bound().getsockname()

    async def two_addresses(*args: Any, **kwargs: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.9", LO)]

    setattr(loop(), "getaddrinfo", two_addresses)  # noqa: B010
    trial.left.callback(delattr, loop(), "getaddrinfo")
    with pytest.raises(ExceptionGroup, match="create_connection failed") as failure:
        await loop().create_connection(Recorder, "some.name", port, all_errors=True)  # type: ignore[call-overload]
    assert [type(error) for error in failure.value.exceptions] == [ConnectionRefusedError] * 2


# ---- giving up


def waiting_calls(
    trial: Trial, listener: socket.socket, near: socket.socket
) -> dict[str, Callable[[], Coroutine[Any, Any, Any]]]:
    """Calls that wait, and will do so until somebody does something."""
    full = trial.listener(backlog=0)
    trial.sock().connect_ex(full.getsockname())
    return {
        "accept": lambda: loop().sock_accept(listener),
        "recv": lambda: loop().sock_recv(near, 1),
        "recv_into": lambda: loop().sock_recv_into(near, bytearray(1)),
        "recvfrom": lambda: loop().sock_recvfrom(trial.bound(socket.SOCK_DGRAM), 1),
        "connect": lambda: loop().sock_connect(trial.sock(), full.getsockname()),
        "create_connection": lambda: loop().create_connection(Recorder, *full.getsockname()),
        "sendall": lambda: loop().sock_sendall(near, bytes(16_000_000)),
    }


@on_both
async def test_a_call_that_is_cancelled_leaves_nothing_behind(trial: Trial) -> None:
    listener = trial.listener()
    near, _ = await trial.pair()
    for name, call in waiting_calls(trial, listener, near).items():
        waiting = asyncio.ensure_future(call())
        await settle()
        assert not waiting.done(), name
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not loop().remove_reader(listener), name
        assert not loop().remove_reader(near), name
        assert not loop().remove_writer(near), name


@on_both
async def test_what_comes_after_a_call_was_cancelled_is_for_the_next(trial: Trial) -> None:
    listener = trial.listener()
    near, far = await trial.pair()
    for call in (lambda: loop().sock_accept(listener), lambda: loop().sock_recv(near, 10)):
        waiting = asyncio.ensure_future(call())
        await settle()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    client = trial.sock()
    await loop().sock_connect(client, listener.getsockname())
    accepted, address = await loop().sock_accept(listener)
    trial.left.callback(accepted.close)
    assert address == client.getsockname()
    await loop().sock_sendall(far, b"not lost")
    assert await loop().sock_recv(near, 10) == b"not lost"


@on_both
async def test_a_connection_that_is_given_up_when_it_is_there_is_closed(trial: Trial) -> None:
    address = await trial.server()
    made: list[Recorder] = []

    def factory() -> Recorder:
        connecting.cancel()
        made.append(Recorder())
        return made[0]

    connecting = asyncio.ensure_future(loop().create_connection(factory, *address))
    with pytest.raises(asyncio.CancelledError):
        await connecting
    assert await made[0].lost is None


@on_both
async def test_two_calls_may_wait_for_one_socket_one_to_read_and_one_to_write(trial: Trial) -> None:
    near, far = await trial.pair()
    reading = asyncio.ensure_future(loop().sock_recv(near, 10))
    writing = asyncio.ensure_future(loop().sock_sendall(near, bytes(16_000_000)))
    await settle()
    await loop().sock_sendall(far, b"answer")
    assert await reading == b"answer"
    left = 16_000_000
    while left:
        left -= len(await loop().sock_recv(far, 1 << 20))
    await writing


@on_both
async def test_readers_and_writers_are_called_while_a_socket_is_ready(trial: Trial) -> None:
    near, far = await trial.pair()
    calls: list[Any] = []
    loop().add_reader(near, calls.append, "readable")
    loop().add_writer(near.fileno(), calls.append, "writable")
    await until(lambda: calls.count("writable") > 2)
    assert loop().remove_writer(near)
    assert not loop().remove_writer(near)
    assert "readable" not in calls
    await loop().sock_sendall(far, b"x")
    await until(lambda: calls.count("readable") > 2)
    near.recv(10)
    await settle()
    calls.clear()
    await settle()
    assert calls == []
    loop().add_reader(near, calls.append, "another")
    far.close()
    await until(lambda: "another" in calls)
    assert "readable" not in calls
    assert loop().remove_reader(near.fileno())
    assert not loop().remove_reader(near)


@on_both
async def test_an_unclosed_socket_is_warned_of_and_closed(trial: Trial) -> None:
    near, far = await trial.pair()
    sock = socket.socket(fileno=near.detach())
    sock.setblocking(False)
    with pytest.warns(ResourceWarning, match="unclosed <"):
        del sock
    assert await loop().sock_recv(far, 10) == b""
