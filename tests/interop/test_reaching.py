"""ping and traceroute of the kernel's through virtual routers, and paths with a small MTU in both directions."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import socket

import pytest

import aionetflow as anf
from support.interop import FAMILIES, lab, output, run, tool
from support.namespace import Namespace, missing
from support.talk import read_all

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing() or "can be made here")]
DATA = os.urandom(3_000_000)


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize("size", [56, 1400])
def test_the_kernel_pings_a_virtual_host(version: int, size: int) -> None:
    ping = tool("ping")

    async def main() -> None:
        async with lab(version) as where:
            where.link.delay = 0.005
            printed = await output(
                where.namespace, ping, "-n", "-c", "5", "-i", "0.05", "-s", str(size), where.far_address
            )
            assert " 0% packet loss" in printed, printed
            assert printed.count("ttl=63") == 5, printed
            assert all(10 <= float(time) < 100 for time in re.findall(r"time=([\d.]+) ms", printed)), printed

    run(main())


@pytest.mark.parametrize("version", FAMILIES)
def test_a_long_ping_goes_in_fragments(version: int) -> None:
    ping = tool("ping")

    async def main() -> None:
        async with lab(version) as where:
            far = where.far_address
            printed = await output(where.namespace, ping, "-n", "-c", "2", "-i", "0.05", "-s", "5000", far)
            assert " 0% packet loss" in printed, printed

    run(main())


def test_nobody_answers_for_an_address_that_is_not_there() -> None:
    ping = tool("ping")

    async def main() -> None:
        async with lab(4) as where:
            printed = await output(where.namespace, ping, "-n", "-c", "1", "-W", "5", "10.9.0.77", status=1)
            assert "From 10.8.0.2 icmp_seq=1 Destination Host Unreachable" in printed, printed

    run(main())


@pytest.mark.parametrize("how", ["-U", "-I", "-T"], ids=["udp", "icmp", "tcp"])
def test_traceroute_finds_all_virtual_routers(how: str) -> None:
    traceroute = tool("traceroute")

    async def main() -> None:
        with Namespace() as namespace:
            async with anf.Network(seed=7) as net:
                routers = [net.router(f"r{number}") for number in range(4)]
                far = net.host("far", "10.9.0.2/24")
                net.tap(routers[0], "tap0", "10.8.0.1/24", namespace=namespace.descriptor)
                for near, beyond in itertools.pairwise(routers):
                    net.link(near, beyond)
                net.link(routers[-1], far)
                net.settle()
                namespace.run("ip", "route", "add", "default", "via", routers[0].addresses[0])
                printed = await output(namespace, traceroute, "-n", "-q", "1", "-w", "2", how, far.addresses[0])
                hops = re.findall(r"^ *\d+ +([\d.]+)", printed, re.MULTILINE)
                assert len(hops) == 5, printed
                assert hops[-1] == "10.9.0.2", printed
                assert all(hop in router.addresses for hop, router in zip(hops, routers, strict=False)), printed

    run(main())


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize("mtu", [1280, 1400])
def test_the_kernel_learns_of_a_small_link_behind_a_virtual_router(version: int, mtu: int) -> None:
    async def main() -> None:
        async with lab(version) as where:
            where.link.mtu = mtu
            async with where.far:
                listener = await anf.socket(anf.AF_INET6 if version == 6 else anf.AF_INET)
            where.far.interfaces[0].set_mtu(1500)  # or the kernel would hear of the MTU by the MSS option
            await listener.bind((where.far_address, 9000))
            await listener.listen()

            def send() -> int:
                with socket.create_connection((where.far_address, 9000), 10) as sock:
                    sock.sendall(DATA)
                    sock.shutdown(socket.SHUT_WR)
                    sock.recv(1)
                    option = 14 if version == 4 else 24  # IP_MTU, IPV6_MTU
                    return sock.getsockopt(socket.IPPROTO_IP if version == 4 else socket.IPPROTO_IPV6, option)

            sent = asyncio.get_running_loop().run_in_executor(None, where.namespace.call, send)
            sock, _ = await listener.accept()
            received = await read_all(sock)
            await sock.close()
            await listener.close()
            assert received == DATA
            assert await sent == mtu
            assert version == 6 or where.router.stats.ip.FragFails > 0

    run(main())


@pytest.mark.parametrize("version", FAMILIES)
def test_a_virtual_host_learns_of_a_small_link_before_the_kernel(version: int) -> None:
    async def main() -> None:
        async with lab(version, mtu=1300) as where:
            where.namespace.run("ip", "link", "set", "tap0", "mtu", "1500")  # it offers segments that do not fit
            listener = where.namespace.call(lambda: socket.create_server((where.kernel_address, 9000), family=(
                socket.AF_INET6 if version == 6 else socket.AF_INET)))  # fmt: skip
            listener.settimeout(10)

            def receive() -> bytes:
                with listener, listener.accept()[0] as sock:
                    return b"".join(iter(lambda: sock.recv(65536), b""))

            received = asyncio.get_running_loop().run_in_executor(None, receive)
            async with where.far:
                sock = await anf.socket(anf.AF_INET6 if version == 6 else anf.AF_INET)
            await sock.connect((where.kernel_address, 9000))
            await sock.write(DATA)
            await sock.close()
            assert await received == DATA

    run(main())
