"""Virtual sockets on other threads than the network's, and while nobody runs its event loop."""

from __future__ import annotations

import asyncio
import functools
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

import aionetflow
from aionetflow import Network
from aionetflow.dropin.socket import VirtualSocket
from aionetflow.network.clock import LoopClock
from aionetflow.network.host import run_as

LONG = 3_000_000  # octets: more than the buffers hold, so that both ends have to wait


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture
def network(loop: asyncio.AbstractEventLoop) -> Iterator[Network]:
    network = Network(seed=1, clock=LoopClock(loop))
    yield network
    network.close()


@pytest.fixture
def listener(network: Network) -> Iterator[VirtualSocket]:
    with VirtualSocket(network.localhost) as sock:
        sock.settimeout(30)
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock


def client_of(listener: VirtualSocket, data: bytes) -> bytes:
    """Sends data to the listener's echo and returns what comes back."""
    with VirtualSocket(listener.host) as sock:
        sock.settimeout(30)
        sock.connect(listener.getsockname())
        sock.sendall(data)
        sock.shutdown(1)
        return b"".join(iter(lambda: sock.recv(70_000), b""))


def echo_once(listener: VirtualSocket) -> None:
    sock, _ = listener.accept()
    with sock:
        sock.settimeout(30)
        sock.sendall(b"".join(iter(lambda: sock.recv(70_000), b"")))


class Background:
    """A call on a thread of its own."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self.outcome: object = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.outcome = self._call()
        except BaseException as error:
            self.outcome = error

    def wait(self) -> None:
        """For ever, if need be."""
        self._thread.join()

    def join(self) -> object:
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.outcome


def test_blocking_calls_meet_while_nobody_runs_the_loop(listener: VirtualSocket) -> None:
    data = bytes(range(250)) * (LONG // 250)
    client = Background(lambda: client_of(listener, data))
    echo_once(listener)
    assert client.join() == data


def test_a_blocking_call_goes_on_whether_the_loop_runs_or_not(
    loop: asyncio.AbstractEventLoop, listener: VirtualSocket
) -> None:
    server = Background(lambda: echo_once(listener))
    client = Background(lambda: client_of(listener, bytes(LONG)))
    for _ in range(20):  # begun and ended in the middle of it
        loop.run_until_complete(asyncio.sleep(0.001))
    assert client.join() == bytes(LONG)
    assert server.join() is None


def test_a_thread_waits_for_the_running_loop(loop: asyncio.AbstractEventLoop, listener: VirtualSocket) -> None:
    async def serve() -> bytes:
        server = asyncio.to_thread(echo_once, listener)
        client = asyncio.to_thread(client_of, listener, bytes(LONG))
        return (await asyncio.gather(client, server))[0]

    assert loop.run_until_complete(serve()) == bytes(LONG)


def test_a_timeout_ends_a_wait_outside_the_loop(listener: VirtualSocket) -> None:
    listener.settimeout(0.01)
    with pytest.raises(TimeoutError, match=r"^timed out$"):
        listener.accept()
    assert not listener.description.sleepers


def test_a_timeout_ends_a_wait_beside_the_running_loop(
    loop: asyncio.AbstractEventLoop, listener: VirtualSocket
) -> None:
    listener.settimeout(0.01)
    with pytest.raises(TimeoutError, match=r"^timed out$"):
        loop.run_until_complete(asyncio.to_thread(listener.accept))
    assert not listener.description.sleepers


def test_a_wait_inside_the_running_loop_is_an_error(loop: asyncio.AbstractEventLoop, listener: VirtualSocket) -> None:
    async def accept() -> None:
        listener.accept()

    with pytest.raises(RuntimeError, match=r"^accept\(\) would have to wait"):
        loop.run_until_complete(accept())


def test_a_closed_socket_wakes_who_waits_for_it(listener: VirtualSocket) -> None:
    waiting = Background(listener.accept)
    while not listener.description.sleepers:
        threading.Event().wait(0.001)
    listener.close()
    assert isinstance(waiting.join(), OSError)


def test_virtual_time_passes_for_a_thread_that_waits_for_the_network_and_stands_still_for_its_work() -> None:
    def fetch(server: str) -> bytes:
        with socket.create_connection((server, 80), timeout=20) as sock:
            sock.sendall(b"question")
            return b"".join(iter(lambda: sock.recv(100), b""))

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"answer")
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        async with Network(seed=1) as net:
            web = net.host("web")
            net.link(net.localhost, web, delay=1.0)
            async with web:
                server = await asyncio.start_server(answer, "0.0.0.0", 80)
            with aionetflow.patch():
                assert await asyncio.to_thread(fetch, "web") == b"answer"
            # ARP, the handshake, the request: three round trips; not the time-out's 20 s
            assert asyncio.get_running_loop().time() == 6.0
            server.close()
            await server.wait_closed()

    aionetflow.run(main(), time="virtual")


def test_a_time_out_of_a_thread_is_in_the_time_of_the_network() -> None:
    def wait() -> None:
        with socket.socket() as sock:
            sock.settimeout(3600)
            sock.bind(("127.0.0.1", 80))
            sock.listen()
            with pytest.raises(TimeoutError):
                sock.accept()

    async def main() -> None:
        async with Network(seed=1):
            with aionetflow.patch():
                await asyncio.to_thread(wait)
            assert asyncio.get_running_loop().time() == 3600.0

    aionetflow.run(main(), time="virtual")


def test_a_thread_that_the_loop_joins_goes_on(listener: VirtualSocket, loop: asyncio.AbstractEventLoop) -> None:
    """The loop stands still meanwhile: what waits for it would wait for its own end."""

    def both_ends() -> bytes:
        with VirtualSocket(listener.host) as client:
            client.settimeout(0.01)
            client.connect(listener.getsockname())
            near, _ = listener.accept()
            near.sendall(b"hello")
            received = client.recv(5)
            with near, pytest.raises(TimeoutError):
                client.recv(1)
        return received

    async def main() -> object:
        thread = Background(both_ends)
        thread.wait()
        return thread.outcome

    assert loop.run_until_complete(main()) == b"hello"


def test_virtual_time_passes_for_threads_that_wait_though_other_work_waits_for_a_free_thread() -> None:
    def wait() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 0))
            waiting.append(sock.getsockname())
            sock.settimeout(3600)
            try:
                sock.recv(1)
            except TimeoutError:
                return True
            return False

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with Network(seed=1) as network:

            def give_up() -> None:
                with VirtualSocket(network.localhost, socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    for address in waiting:
                        sock.sendto(b"x", address)

            alarm = threading.Timer(20, loop.call_soon_threadsafe, (give_up,))  # time has stood still for so long
            alarm.start()
            with ThreadPoolExecutor(2) as threads, aionetflow.patch():
                assert all(await asyncio.gather(*(loop.run_in_executor(threads, wait) for _ in range(4))))
            alarm.cancel()
            assert loop.time() == 7200.0
            assert not loop.clock.held  # type: ignore[attr-defined]

    waiting: list[tuple[str, int]] = []
    aionetflow.run(main(), time="virtual")


def test_threads_that_look_names_up_at_once_have_the_addresses_given_out_once() -> None:
    async def main() -> None:
        async with Network(seed=1) as net:
            hosts = [net.host(f"h{i}") for i in range(20)]
            with aionetflow.patch(), ThreadPoolExecutor(4) as pool:
                loop = asyncio.get_running_loop()
                looks = [functools.partial(run_as, host, socket.gethostbyname, host.name) for host in hosts[:4]]
                found = await asyncio.gather(*(loop.run_in_executor(pool, look) for look in looks))
            assert found == [host.addresses[0] for host in hosts[:4]]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # s; or they would hardly meet
    try:
        for _ in range(10):
            aionetflow.run(main())
    finally:
        sys.setswitchinterval(before)
