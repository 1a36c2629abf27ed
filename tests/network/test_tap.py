"""Network.tap: the virtual network and the kernel on one Ethernet, on every loop; what is said where that cannot be."""

from __future__ import annotations

import asyncio
import errno
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import aionetflow as anf
from aionetflow import Network
from aionetflow.clock import ManualClock
from aionetflow.link import tap
from aionetflow.network.device import Device, within
from support.loops import in_real_time, in_virtual_time, until
from support.namespace import Namespace, missing, write_sysctl
from support.talk import listening, pattern, read_all, stream

pytestmark = [pytest.mark.kernel, pytest.mark.skipif(bool(missing()), reason=missing() or "can be made here")]
KERNEL = "10.0.0.254"
DATA = pattern(300_000)


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """Where the kernel's side is."""
    with Namespace() as made:
        yield made


async def in_kernel(namespace: Namespace, function: Callable[[], bytes]) -> bytes:
    """Calls a function that blocks, in the namespace."""
    return await asyncio.get_running_loop().run_in_executor(None, namespace.call, function)


def fetch(address: str, port: int) -> bytes:
    """What a server says to a client of the kernel's."""
    with socket.create_connection((address, port), 5) as sock:
        sock.settimeout(5)
        sock.sendall(b"please")
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def answer(listener: socket.socket) -> bytes:
    """Serves one client by the kernel; returns what it asked."""
    with listener, listener.accept()[0] as sock:
        sock.settimeout(5)
        asked = b"".join(iter(lambda: sock.recv(65536), b""))
        sock.sendall(DATA)
        return asked


def knock(address: str) -> bytes:
    """What becomes of connecting to a port where nobody listens."""
    try:
        socket.create_connection((address, 9), 1).close()
    except ConnectionRefusedError:
        return b"refused"
    except TimeoutError:
        return b"nothing"
    return b"connected"


def listen(address: str) -> socket.socket:
    """A listener of the kernel's."""
    listener = socket.create_server((address, 80))
    listener.settimeout(5)
    return listener


@in_real_time
async def test_a_client_of_the_kernels_reaches_a_virtual_server() -> None:
    with Namespace() as namespace:
        async with Network(seed=1) as net:
            web = net.host("web")
            net.tap(net.lan, "tap0", f"{KERNEL}/16", namespace=namespace.descriptor)
            listener = await listening(web)

            async def serve() -> None:
                sock, address = await listener.accept()
                assert address[0] == KERNEL
                assert await read_all(sock) == b"please"
                await sock.write(DATA)
                await sock.close()

            web.spawn(serve())
            assert await in_kernel(namespace, lambda: fetch(web.addresses[0], 80)) == DATA
            await listener.close()


@in_real_time
async def test_a_virtual_client_reaches_a_server_of_the_kernels() -> None:
    with Namespace() as namespace:
        async with Network(seed=1) as net:
            client = net.host("client")
            net.tap(net.lan, "tap0", f"{KERNEL}/16", namespace=namespace.descriptor)
            listener = namespace.call(lambda: listen(KERNEL))
            served = asyncio.ensure_future(in_kernel(namespace, lambda: answer(listener)))
            sock = await stream(client)
            await sock.connect((KERNEL, 80))
            await sock.write(b"please")
            await sock.shutdown(anf.SHUT_WR)
            assert await read_all(sock) == DATA
            assert await served == b"please"
            await sock.close()


async def test_a_virtual_router_forwards_for_the_kernel(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        router, far = net.router("core"), net.host("far", "10.9.0.5/24")
        net.tap(router, "tap0", "10.8.0.1/24", namespace=namespace.descriptor)
        net.link(router, far)
        assert router.addresses[0] == "10.8.0.2"  # on the kernel's network, its own address left alone
        namespace.run("ip", "route", "add", "10.9.0.0/24", "via", "10.8.0.2")
        assert await in_kernel(namespace, lambda: knock("10.9.0.5")) == b"refused"
        assert router.stats.ip.ForwDatagrams == 2


async def test_a_link_to_the_kernel_has_the_settings_of_any_link(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        host = net.host("host")
        link = net.tap(host, "tap0", "10.8.0.1/24", namespace=namespace.descriptor, delay=0.02, mtu=1000)
        await until(lambda: host.addresses == ["10.8.0.2"])
        assert "mtu 1000" in namespace.run("ip", "link", "show", "tap0")
        loop = asyncio.get_running_loop()
        begun = loop.time()
        assert await in_kernel(namespace, lambda: knock("10.8.0.2")) == b"refused"
        assert loop.time() - begun >= 0.04
        link.mtu = 900
        assert "mtu 900" in namespace.run("ip", "link", "show", "tap0")
        assert host.interfaces[0].mtu == 900
        link.up = False
        before = link.device.frames_out
        assert await in_kernel(namespace, lambda: knock("10.8.0.2")) == b"nothing"
        assert link.device.frames_out == before
        assert link.b_to_a.down_dropped > 0


async def test_the_device_goes_with_the_network(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        link = net.tap(net.lan, "tap0", "10.0.0.254/16", namespace=namespace.descriptor)
        assert link.device.fileno() >= 0
        assert "tap0" in namespace.run("ip", "link")
    assert "tap0" not in namespace.run("ip", "link")
    assert link.device.fileno() == -1
    link.device.receive([bytes(60)])  # on its way when the network ended
    link.device.readable()


async def test_the_kernel_gives_a_number_to_a_name_without_one(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        first = net.tap(net.lan, namespace=namespace.descriptor)
        second = net.tap(net.lan, namespace=namespace.descriptor)
        assert (first.device.name, second.device.name) == ("tap0", "tap1")


async def test_frames_that_the_device_refuses_are_counted(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        link = net.tap(net.lan, "tap0", namespace=namespace.descriptor)
        namespace.run("ip", "link", "set", "tap0", "down")
        link.device.receive([bytes(60), bytes(60)])
        assert (link.device.refused, link.device.frames_out) == (2, 0)


async def test_frames_are_true_ones_with_checksums(namespace: Namespace) -> None:
    """A long write crosses a clean link uncut, but not this one: the kernel would drop what is longer than its MTU."""
    async with Network(seed=1) as net:
        web = net.host("web")
        link = net.tap(net.lan, "tap0", f"{KERNEL}/16", namespace=namespace.descriptor)
        longest = 0
        receive = link.device.receive

        def watched(frames: list[bytes]) -> None:
            nonlocal longest
            longest = max(longest, *map(len, frames))
            receive(frames)

        link.device.receive = watched  # type: ignore[method-assign]
        listener = await listening(web)

        async def serve() -> None:
            sock, _ = await listener.accept()
            await read_all(sock)
            await sock.write(DATA)
            await sock.close()

        web.spawn(serve())
        assert await in_kernel(namespace, lambda: fetch(web.addresses[0], 80)) == DATA
        assert longest == 1514
        counted = namespace.call(lambda: Path("/proc/thread-self/net/snmp").read_text())
        names, values = (line.split() for line in counted.splitlines() if line.startswith("Tcp:"))
        assert dict(zip(names, values, strict=True))["InCsumErrors"] == "0"
        await listener.close()


async def test_two_networks_meet_in_the_kernel(namespace: Namespace) -> None:
    """The kernel forwards between two of its devices, and behind each is a network of its own."""
    namespace.set_sysctl("net.ipv4.ip_forward", 1)
    async with Network(seed=1) as left, Network(seed=2) as right:
        near, far = left.host("near"), right.host("far")
        left.tap(near, "tap0", "10.1.0.1/24", namespace=namespace.descriptor)
        right.tap(far, "tap1", "10.2.0.1/24", namespace=namespace.descriptor)
        near.routes.add("10.2.0.0/24", via="10.1.0.1")
        far.routes.add("10.1.0.0/24", via="10.2.0.1")
        listener = await listening(far)
        sock = await stream(near)
        await sock.connect((far.addresses[0], 80))
        peer, address = await listener.accept()
        assert address[0] == near.addresses[0]
        for opened in (sock, peer, listener):
            await opened.close()


# ---- what is said where it cannot be


@in_virtual_time
async def test_virtual_time_is_refused() -> None:
    async with Network(seed=1) as net:
        with pytest.raises(RuntimeError, match="needs real time"):
            net.tap(net.lan, "tap0")


def test_a_clock_moved_by_hand_is_refused() -> None:
    net = Network(seed=1, clock=ManualClock())
    with pytest.raises(RuntimeError, match="moved by hand"):
        net.tap(net.lan, "tap0")


async def test_a_name_in_use_is_told(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        net.tap(net.lan, "tap0", namespace=namespace.descriptor)
        links = list(net.links)
        with pytest.raises(OSError, match="the name 'tap0' is in use") as failure:
            net.tap(net.lan, "tap0", namespace=namespace.descriptor)
        assert failure.value.errno == errno.EBUSY
        assert net.links == links


async def test_a_device_of_another_kind_is_told(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        with pytest.raises(OSError, match="the name 'lo' is that of a device of another kind"):
            net.tap(net.lan, "lo", namespace=namespace.descriptor)


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b"])
async def test_a_name_that_cannot_be_is_told(name: str) -> None:
    async with Network(seed=1) as net:
        with pytest.raises(ValueError, match="a device's name has 1 to 15 octets"):
            net.tap(net.lan, name)


async def test_a_namespace_that_is_not_there_is_told() -> None:
    async with Network(seed=1) as net:
        with pytest.raises(OSError, match="there is no network namespace 'nowhere': No such file or directory"):
            net.tap(net.lan, "tap0", namespace="nowhere")


async def test_an_address_that_is_none_is_told_before_anything_is_made(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        with pytest.raises(ValueError, match="300"):
            net.tap(net.lan, "tap0", "10.0.0.300/16", namespace=namespace.descriptor)
        assert "tap0" not in namespace.run("ip", "link")


async def test_an_address_given_twice_takes_the_device_back(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        with pytest.raises(OSError, match=r"10\.0\.0\.254/16 for tap0: File exists"):
            net.tap(net.lan, "tap0", "10.0.0.254/16", "10.0.0.254/16", namespace=namespace.descriptor)
        assert "tap0" not in namespace.run("ip", "link")


async def test_a_setting_that_makes_no_sense_takes_the_device_back(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        with pytest.raises(ValueError, match="loss must be between 0 and 1"):
            net.tap(net.lan, "tap0", namespace=namespace.descriptor, loss=3)
        assert "tap0" not in namespace.run("ip", "link")


async def test_an_address_of_the_kernels_that_a_host_has_is_told(namespace: Namespace) -> None:
    async with Network(seed=1) as net:
        host = net.host("host", "10.8.0.1/24")
        net.tap(host, "tap0", "10.8.0.1/24", namespace=namespace.descriptor)
        with pytest.raises(ValueError, match=r"10\.8\.0\.1 is given to the kernel and to host"):
            net.settle()
        host.bare_stack.remove_address(host.bare_stack.interfaces[1], "10.8.0.1/24")


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (errno.ENOENT, "there is no /dev/net/tun: TAP devices need Linux with its tun module"),
        (errno.ENXIO, "load the kernel's tun module"),
        (errno.EACCES, "/dev/net/tun may not be opened by this user"),
        (errno.EMFILE, "Too many open files"),
    ],
)
def test_what_is_missing_is_told_in_one_line(code: int, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OSError, match=line) as failure:
        tap.open_device("tap0")
    assert failure.value.errno == code
    assert "\n" not in str(failure.value)


def test_without_the_capability_it_is_told() -> None:
    """In a process of its own, which gives the capability away."""
    script = """
import os
from aionetflow.link.tap import open_device
os.setgroups([]); os.setresgid(65534, 65534, 65534); os.setresuid(65534, 65534, 65534)
try:
    open_device("tap0")
except OSError as error:
    print(error.strerror)
"""
    path = os.pathsep.join(filter(None, [str(Path(anf.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, env=environment
    )
    assert "needs CAP_NET_ADMIN (run as root)" in done.stdout or "may not be opened by this user" in done.stdout, done


def test_a_device_is_told_apart_from_none(namespace: Namespace) -> None:
    with pytest.raises(OSError, match="no interface with this name"):
        namespace.call(lambda: Device("tap77"))


def test_a_function_in_a_namespace_raises_what_it_raises(namespace: Namespace) -> None:
    def fail() -> None:
        raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        within(namespace.descriptor, fail)
    namespace.call(lambda: write_sysctl("net.ipv4.ip_forward", 1))
    assert namespace.call(lambda: Path("/proc/sys/net/ipv4/ip_forward").read_text()) == "1\n"


async def test_the_example_is_visited(namespace: Namespace, capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "kernel_visits.py"))
    served = asyncio.create_task(example["main"](f"/proc/{os.getpid()}/fd/{namespace.descriptor}", 1))
    await until(lambda: served.done() or "tap0" in namespace.run("ip", "link"))
    namespace.run("ip", "route", "add", "10.9.0.0/24", "via", "10.8.0.2")

    def visit() -> bytes:
        with socket.create_connection(("10.9.0.2", 80), 5) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: sock.recv(65536), b""))

    assert (await in_kernel(namespace, visit)).endswith(b"\r\n\r\nhello from behind a virtual router\n")
    await served
    printed = capsys.readouterr().out
    assert "ip route add 10.9.0.0/24 via 10.8.0.2" in printed
    assert "a visitor from 10.8.0.1" in printed
