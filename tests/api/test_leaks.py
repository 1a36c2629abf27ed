"""What is left when it is over: nothing. And what was forgotten is told of."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import textwrap
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

import aionetflow as anf
from aionetflow import Host, Network, Socket
from support.loops import everywhere, in_virtual_time, turns, until
from support.talk import connected, listening, pattern, stream


@contextmanager
def unclosed() -> Iterator[list[str]]:
    """The messages of the ResourceWarnings given meanwhile."""
    messages: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield messages
        gc.collect()
    messages += [str(each.message) for each in caught if each.category is ResourceWarning]


def line() -> int:
    """The line it is called from."""
    return sys._getframe(1).f_lineno


@everywhere
async def test_a_dropped_socket_is_closed_with_a_warning_that_says_where_it_was_made() -> None:
    async with Network(seed=1) as net:
        with unclosed() as messages:
            sock: Socket | None = await anf.socket()
            made = line() - 1
            assert sock is not None
            assert sock.made_at == f"{__file__}:{made}"
            sock = None
            await turns(1)
        assert len(messages) == 1
        assert f"{__file__}:{made}" in messages[0]
        assert "unclosed" in messages[0]
        assert "UNCONN" in messages[0]
        assert net.sockets() == []


@everywhere
async def test_a_dropped_accepted_socket_says_where_it_was_accepted() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        async with await listening(b) as listener, await stream(a) as client:
            with unclosed() as messages:
                connecting = asyncio.create_task(client.connect(("b", 80)))
                pair: tuple[Socket, object] | None = await anf.accept(listener)
                made = line() - 1
                await connecting
                assert pair is not None
                pair = None
                await turns(2)
            assert len(messages) == 1
            assert f"{__file__}:{made}" in messages[0]
            assert await client.read(1) == b""


@everywhere
async def test_a_closed_socket_is_dropped_in_silence() -> None:
    async with Network(seed=1) as net:
        with unclosed() as messages:
            client, server = await connected(net.host("a"), net.host("b"))
            await client.close()
            await server.close()
            del client, server
        assert messages == []


@everywhere
async def test_a_socket_that_a_task_waits_on_is_not_dropped() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        with unclosed() as messages:
            listener: Socket | None = await listening(b)
            assert listener is not None
            accepting = asyncio.create_task(listener.accept())
            listener = None
            await turns(2)
            gc.collect()
            client = await stream(a)
            await client.connect(("b", 80))
            server, _ = await accepting
            del accepting
        assert len(messages) == 1  # when nobody waited on it any more
        assert "LISTEN" in messages[0]
        await client.close()
        await server.close()


class Watch:
    """Records the handles that a loop gives out, and weak references to what must go."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.timers: list[asyncio.TimerHandle] = []
        self.gone: list[weakref.ref[Any]] = []
        for name in ("call_at", "call_later"):
            setattr(self.loop, name, self._recording(getattr(self.loop, name)))

    def _recording(self, original: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> asyncio.TimerHandle:
            handle: asyncio.TimerHandle = original(*arguments, **keywords)
            if hasattr(handle, "when"):  # uvloop gives a plain handle for a delay that it rounds to none
                self.timers.append(handle)
            return handle

        return call

    def expects_to_go(self, *things: object) -> None:
        self.gone += [weakref.ref(thing) for thing in things]

    async def check(self) -> None:
        """Everything is over: no timer will run, no task is left, nothing is held."""
        await turns(3)
        soon = self.loop.time() + 0.001  # uvloop runs a timer up to half a ms before the time that it names
        left = [handle for handle in self.timers if not handle.cancelled() and handle.when() > soon]
        assert left == []
        self.timers.clear()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()
        assert [reference() for reference in self.gone if reference() is not None] == []


async def busy(net: Network, watch: Watch) -> list[Socket]:
    """Sockets of a network in the middle of things: some open, closing or begun, data in flight, timers armed."""
    a, b, r = net.host("a"), net.host("b"), net.router("r")
    net.link(a, r, delay=0.001)
    net.link(r, b, delay=0.001, loss=0.2)
    client, server = await connected(a, b, 80)
    other, ended = await connected(a, b, 81)
    await ended.close()
    await client.write(pattern(100_000))
    listener, lost = await listening(b, 82), await stream(a)
    waiting = [
        a.spawn(lost.connect(("10.128.0.6", 1))), b.spawn(listener.accept()), a.spawn(client.read(1)),
        b.spawn(asyncio.Event().wait()),
    ]  # fmt: skip
    await turns(10)
    watch.expects_to_go(
        net, a, b, r, a.bare_stack, client, server, other, ended, listener, lost, client.core, *waiting, *net.links
    )
    return [client, server, other, listener, lost]


@everywhere
async def test_nothing_is_left_of_a_network_that_has_ended() -> None:
    watch = Watch()
    async with Network(seed=1) as net:
        sockets = await busy(net, watch)
    for sock in sockets:
        assert sock.fileno() == -1
    del net, sock, sockets
    await watch.check()


@everywhere
async def test_an_exception_inside_a_network_cleans_up_too() -> None:
    watch = Watch()

    async def fails() -> None:
        async with Network(seed=1) as net:
            sockets = await busy(net, watch)
            assert sockets
            raise KeyError("reason")

    with suppress(KeyError):  # pytest.raises would keep the traceback, and with it the network
        await fails()
    await watch.check()


@everywhere
async def test_a_cancelled_network_cleans_up_too() -> None:
    watch = Watch()

    async def live() -> None:
        async with Network(seed=1) as net:
            sockets = await busy(net, watch)
            await asyncio.Event().wait()
            assert sockets

    task = asyncio.create_task(live())
    await until(lambda: watch.gone)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    del task
    await watch.check()


@everywhere
async def test_a_network_that_was_never_entered_leaves_nothing() -> None:
    watch = Watch()
    net = Network(seed=1)
    net.link(net.host("a"), net.host("b"))
    watch.expects_to_go(net, *net.hosts)
    net.settle()
    net.close()
    del net
    await watch.check()


@everywhere
async def test_spawned_tasks_are_cancelled_and_may_clean_up() -> None:
    cleaned: list[str] = []

    async def run(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await turns(3)
            cleaned.append(name)

    async with Network(seed=1) as net:
        tasks = [net.host(name).spawn(run(name)) for name in "abc"]
        await turns(2)
        done = net.localhost.spawn(turns(1))
        await done
        assert net.localhost.tasks == set()
    assert cleaned == ["a", "b", "c"]
    assert all(task.cancelled() for task in tasks)


@everywhere
async def test_what_a_task_spawns_while_the_network_ends_is_cancelled_too() -> None:
    spawned: list[asyncio.Task[Any]] = []

    async def parent(host: Host) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            spawned.append(host.spawn(asyncio.Event().wait()))

    async with Network(seed=1) as net:
        net.localhost.spawn(parent(net.localhost))
        await turns(2)
    await turns(2)
    ended = [task.done() for task in spawned]
    for task in spawned:
        task.cancel()
    assert ended == [True]


@everywhere
async def test_who_waits_on_a_socket_when_the_network_ends_is_told() -> None:
    async with Network(seed=1) as net:
        listener = await listening(net.localhost)
        waiting = asyncio.create_task(listener.accept())  # not spawned by a host, so not cancelled
        await turns(2)
    with pytest.raises(OSError):
        await waiting


@everywhere
async def test_sockets_and_hosts_that_are_done_go_while_the_network_goes_on() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        gone: list[weakref.ref[Socket]] = []
        for port in range(80, 90):
            client, server = await connected(a, b, port)
            gone += [weakref.ref(client), weakref.ref(server)]
            await client.close()
            await server.close()
        del client, server
        await turns(10)
        gc.collect()
        assert [ref() for ref in gone if ref()] == []


@in_virtual_time
async def test_control_blocks_of_many_connections_go() -> None:
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        listener = await listening(b)
        for _ in range(100):
            async with await stream(a) as client:
                await client.connect(("b", 80))
                server, _ = await listener.accept()
                await server.close()
                assert await client.read(1) == b""
        assert 90 < len(net.sockets()) <= 102  # in TIME-WAIT all but a few that shared a port
        await asyncio.sleep(61)
        assert len(net.sockets()) == 1
        assert not a.bare_stack.table.connections
        await listener.close()


PROGRAM = """
    import asyncio, sys
    import aionetflow as anf

    events = []

    async def main():
        on = [True]
        def hook(name, args):
            if on[0] and name.startswith("socket."):
                events.append((name, args))
        sys.addaudithook(hook)
        async with anf.Network(seed=1) as net:
            a, b = net.host("a"), net.host("b")
            net.link(a, b, delay=0.001, loss=0.05)
            async with b:
                listener = await anf.socket()
                await listener.bind(("", 80))
                await listener.listen()
            async with a, await anf.socket() as sock, await anf.socket(type=anf.SOCK_DGRAM) as datagrams:
                await datagrams.sendto(b"x", ("b", 80))
                await sock.connect(("b", 80))
                server, _ = await listener.accept()
                await sock.write(bytes(10000))
                await sock.close()
                while await server.read(5000):
                    pass
                await server.close()
                try:
                    await anf.connect(await_me := await anf.socket(), ("203.0.113.1", 80))
                except OSError:
                    await await_me.close()
            await listener.close()
        on[0] = False

    {run}
    print(events)
"""
RUNS = {
    "asyncio": "asyncio.run(main())",
    "uvloop": "import uvloop; uvloop.run(main())",
}


@pytest.mark.parametrize("kind", list(RUNS))
def test_no_kernel_socket_is_made(kind: str) -> None:
    if kind == "uvloop":
        pytest.importorskip("uvloop", reason="uvloop is not installed")
    program = textwrap.dedent(PROGRAM).replace("{run}", RUNS[kind])
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stderr == ""
    assert ran.stdout == "[]\n"


@everywhere
async def test_hosts_know_their_tasks() -> None:
    async with Network(seed=1) as net:
        a: Host = net.host("a")
        started = a.spawn(turns(3))
        assert a.tasks == {started}
        await started
        await turns(1)
        assert a.tasks == set()
