"""The current host is a context variable: tasks, callbacks and threads started by a task are on its host."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

import aionetflow as anf
from aionetflow import Host, Network, current_host
from support.loops import everywhere, on, on_foreign_loops, turns


def name() -> str:
    return current_host().name


@on_foreign_loops
async def test_inside_a_network_one_is_on_localhost_and_afterwards_nowhere() -> None:
    async with Network(seed=1) as net:
        assert current_host() is net.localhost
    with pytest.raises(RuntimeError, match="no network here"):
        current_host()


@on("own", "virtual")
async def test_a_loop_of_our_own_has_a_network_before_and_after_those_that_are_entered() -> None:
    own = current_host()
    assert own.name == "localhost"
    async with Network(seed=1) as net:
        assert current_host() is net.localhost is not own
    assert current_host() is own


@everywhere
async def test_hosts_are_entered_and_left_in_any_depth() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        async with a:
            async with b:
                async with a:
                    assert name() == "a"
                assert name() == "b"
                with pytest.raises(KeyError):
                    async with a:
                        raise KeyError
                assert name() == "b"
            assert name() == "a"
        assert name() == "localhost"


@everywhere
async def test_tasks_callbacks_and_threads_are_where_they_were_started() -> None:
    async with Network(seed=1) as net:
        loop = asyncio.get_running_loop()
        seen: list[str] = []

        async def task() -> str:
            await turns(2)
            return name()

        async with net.host("a") as a:
            assert isinstance(a, Host)
            started = asyncio.create_task(task())
            loop.call_soon(lambda: seen.append(name()))
            loop.call_later(0, lambda: seen.append(name()))
            future = loop.create_future()
            future.add_done_callback(lambda _: seen.append(name()))
            assert await asyncio.to_thread(name) == "a"
            gathered = asyncio.gather(task(), task())
        assert name() == "localhost"
        future.set_result(None)
        assert await started == "a"
        assert list(await gathered) == ["a", "a"]
        await asyncio.sleep(0.01)
        assert seen == ["a", "a", "a"]


@everywhere
async def test_spawned_tasks_are_on_their_host_and_so_are_theirs() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        other: contextvars.ContextVar[str] = contextvars.ContextVar("other", default="none")
        other.set("kept")

        async def child() -> tuple[str, str]:
            return name(), other.get()

        async def parent() -> list[tuple[str, str]]:
            return [await child(), await asyncio.create_task(child()), await b.spawn(child())]

        async with b:
            assert await a.spawn(parent()) == [("a", "kept"), ("a", "kept"), ("b", "kept")]
            assert name() == "b"


@everywhere
async def test_two_tasks_may_be_on_one_host_at_once() -> None:
    async with Network(seed=1) as net:
        a = net.host("a")
        first_is_in, second_is_in = asyncio.Event(), asyncio.Event()

        async def first() -> str:
            async with a:
                first_is_in.set()
                await second_is_in.wait()
            return name()

        async def second() -> str:
            await first_is_in.wait()
            async with a:
                second_is_in.set()
                await turns(5)
                assert name() == "a"
            return name()

        assert list(await asyncio.gather(first(), second())) == ["localhost", "localhost"]


@everywhere
async def test_a_socket_stays_on_its_host_wherever_it_is_used() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        async with b:
            listener = await anf.socket()
            await listener.bind(("", 80))
            await listener.listen()
        async with a:
            sock = await anf.socket()
        async with b:
            await sock.connect(("b", 80))
        server, (host, _) = await listener.accept()
        assert host == a.addresses[0]
        assert server.host is b
        for each in (sock, server, listener):
            await each.close()


@everywhere
async def test_networks_may_be_nested() -> None:
    async with Network(seed=1) as outer:
        async with Network(seed=1) as inner:
            assert current_host() is inner.localhost
            async with outer.localhost:
                assert current_host() is outer.localhost
            assert current_host() is inner.localhost
        assert current_host() is outer.localhost


@everywhere
async def test_two_networks_in_two_tasks_know_nothing_of_each_other() -> None:
    async def world(text: bytes) -> bytes:
        async with Network(seed=5) as net:
            a, b = net.host("a"), net.host("b")

            async def serve() -> None:
                async with await anf.socket() as listener:
                    await listener.bind(("", 80))
                    await listener.listen()
                    while True:
                        conn, _ = await listener.accept()
                        async with conn:
                            await conn.write(text + await conn.read(100))

            b.spawn(serve())
            await turns(3)
            answers = b""
            async with a:
                for i in range(20):
                    async with await anf.socket() as sock:
                        await sock.connect(("b", 80))
                        await sock.write(bytes([65 + i]))
                        answers += await sock.read(100)
            assert {block.host for block in net.sockets()} <= {"a", "b"}
            return answers

    one, two = await asyncio.gather(world(b"1"), world(b"2"))
    assert one == b"".join(b"1" + bytes([65 + i]) for i in range(20))
    assert two == one.replace(b"1", b"2")


@everywhere
async def test_a_network_that_ends_does_not_disturb_another_that_goes_on() -> None:
    async with Network(seed=1) as net:
        first = await anf.socket()
        await first.bind(("", 80))
        await first.listen()

        async def other() -> None:
            async with Network(seed=1) as another, another.host("x"), await anf.socket() as sock:
                with pytest.raises(ConnectionRefusedError):
                    await sock.connect((net.localhost.addresses[0], 80))  # the other network's 10.0.0.1

        await asyncio.create_task(other())
        async with net.host("a"), await anf.socket() as sock:
            await sock.connect(("10.0.0.1", 80))
        await first.close()
