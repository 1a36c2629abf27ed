"""patch(): what it replaces, for whom, and that it gives everything back."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

import aionetflow
from aionetflow.dropin.socket import VirtualSocket
from support.loops import LOOPS, everywhere

NAMES = (
    "socket", "SocketType", "create_server", "create_connection", "has_dualstack_ipv6", "getaddrinfo", "getnameinfo",
    "gethostname", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getfqdn", "socketpair", "fromfd",
)  # fmt: skip


def module() -> dict[str, Any]:
    """The socket module as it is now."""
    return {name: getattr(socket, name) for name in NAMES}


def test_all_is_as_before_when_the_last_user_has_ended_it() -> None:
    before = module()
    first = aionetflow.patch()
    second = aionetflow.patch()
    assert socket.socket is not before["socket"]
    first.undo()
    first.undo()  # counts once
    assert socket.socket is not before["socket"]
    second.undo()
    assert module() == before


def test_an_exception_ends_it_too() -> None:
    before = module()
    with pytest.raises(ZeroDivisionError), aionetflow.patch():
        raise ZeroDivisionError
    assert module() == before


@pytest.mark.kernel
def test_without_a_network_everything_is_the_kernels() -> None:
    with aionetflow.patch():
        with socket.socket() as sock:
            assert not isinstance(sock, VirtualSocket)
        assert socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)[0][4] == ("127.0.0.1", 80)
        assert socket.gethostbyname("127.0.0.1") == "127.0.0.1"
        assert socket.gethostname()


@pytest.mark.parametrize("kind", LOOPS)
def test_a_loop_made_while_sockets_are_patched_wakes_up(kind: str) -> None:
    """Its own sockets are the kernel's, or nothing could wake it from another thread."""

    async def main() -> str:
        async with aionetflow.Network(seed=1):
            with socket.socket() as sock:
                assert isinstance(sock, VirtualSocket)
            told: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            await asyncio.to_thread(asyncio.get_running_loop().call_soon_threadsafe, told.set_result, "awake")
            return await told

    with aionetflow.patch(), asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        assert runner.run(main()) == "awake"


@everywhere
async def test_a_loop_made_inside_a_patched_network_wakes_up_too() -> None:
    def other() -> int:
        async def main() -> int:
            return await asyncio.to_thread(int, "5")

        return asyncio.run(main())

    async with aionetflow.Network(seed=1):
        with aionetflow.patch():
            assert await asyncio.to_thread(other) == 5


@everywhere
async def test_unix_sockets_and_pairs_stay_the_kernels() -> None:
    async with aionetflow.Network(seed=1):
        with aionetflow.patch():
            near, far = socket.socketpair()
            with near, far, socket.socket(socket.AF_UNIX) as sock:
                assert not any(isinstance(one, VirtualSocket) for one in (near, far, sock))
                near.setblocking(False)
                far.setblocking(False)
                await asyncio.get_running_loop().sock_sendall(near, b"hello")
                assert await asyncio.get_running_loop().sock_recv(far, 10) == b"hello"


@everywhere
async def test_sockets_are_sockets_whoever_asks() -> None:
    with socket.socket() as kernels:
        async with aionetflow.Network(seed=1):
            with aionetflow.patch(), socket.socket() as sock:
                assert isinstance(sock, socket.socket)
                assert isinstance(kernels, socket.socket)
                assert issubclass(VirtualSocket, socket.socket)
                assert not isinstance(5, socket.socket)
        assert isinstance(sock, socket.socket)


@everywhere
async def test_a_class_that_a_program_derives_from_socket_still_works() -> None:
    async with aionetflow.Network(seed=1):
        with aionetflow.patch():

            class Derived(socket.socket):
                pass

            with Derived(socket.AF_UNIX) as sock:
                assert isinstance(sock, Derived)
            assert not isinstance(sock, VirtualSocket)


@everywhere
async def test_create_server_and_create_connection_are_of_the_network() -> None:
    async with aionetflow.Network(seed=1):
        with aionetflow.patch():
            assert socket.has_dualstack_ipv6()
            with socket.create_server(("localhost", 8080)) as listener:
                assert isinstance(listener, VirtualSocket)

                def ask() -> Any:
                    with socket.create_connection(("localhost", 8080), timeout=5) as sock:
                        return type(sock), sock.getpeername()

                assert await asyncio.to_thread(ask) == (VirtualSocket, ("127.0.0.1", 8080))


def looked_up(names: list[Any]) -> Callable[..., Any]:
    """A function that a test puts in the place of socket.getaddrinfo."""

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        names.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    return getaddrinfo


@pytest.mark.parametrize("patched", [False, True])
@everywhere
async def test_a_getaddrinfo_of_the_test_is_asked_for_names_that_the_network_does_not_have(patched: bool) -> None:
    asked: list[Any] = []
    async with aionetflow.Network(seed=1) as network:
        network.host("known")
        patch = aionetflow.patch() if patched else None
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 80)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(socket, "getaddrinfo", looked_up(asked))
            for name in ("unknown.example", "localhost"):
                _, writer = await asyncio.open_connection(name, 80)
                writer.close()
                await writer.wait_closed()
            assert await asyncio.get_running_loop().getaddrinfo("known", 80)
        server.close()
        if patch is not None:
            patch.undo()
    assert asked == ["unknown.example"]
