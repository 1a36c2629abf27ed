"""The kernel's vxlan device at the other end of a tunnel: two namespaces, a veth between them, ours in one of them."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import functools
import hashlib
import os
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import aionetflow as anf
from support.interop import FAMILIES, NGINX, listening, output, program, run, tool
from support.namespace import Namespace, missing

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing() or "can be made here")]
UNDERLAY = {4: ("192.0.2.1", "192.0.2.2", 24), 6: ("2001:db8::1", "2001:db8::2", 64)}  # ours, the kernel's
KERNEL = {4: "10.0.0.254", 6: "fd61:696f:6e66::fe"}  # the kernel's inside
OURS = {4: "10.0.1.1", 6: "fd61:696f:6e66::101"}
PREFIX = {4: 16, 6: 64}
MIB = 1 << 20
SIZE = 100 * MIB
PATIENCE = 120.0  # s
SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17  # linux/sockios.h, linux/ethtool.h


class Joined:
    """A host of ours and the kernel on one network, of which the frames pass the veth as VXLAN."""

    def __init__(self, net: anf.Network, ours: Namespace, kernel: Namespace, **settings: Any) -> None:
        self.kernel = kernel
        here, there, _ = UNDERLAY[settings.pop("outside")]
        self.tunnel = net.tunnel((here, 4789), 42, [(there, 4789)], namespace=ours.descriptor, **settings)
        self.host = net.host("web", *(f"{OURS[version]}/{PREFIX[version]}" for version in (4, 6)))


@contextlib.asynccontextmanager
async def joined(outside: int = 4, **settings: Any) -> AsyncIterator[Joined]:
    """The namespaces, the veth, the kernel's vxlan device and our end of it."""
    here, there, length = UNDERLAY[outside]
    with Namespace() as ours, Namespace() as kernel:
        async with program(kernel, "sleep", "infinity") as holder:
            veth = ("ip", "link", "add", "va", "mtu", "1500", "type", "veth", "peer", "name", "vb", "mtu", "1500")
            ours.run(*veth, "netns", str(holder.pid))
        for namespace, device, address in ((ours, "va", here), (kernel, "vb", there)):
            namespace.run("ip", "addr", "add", f"{address}/{length}", "dev", device, *_nodad(outside))
            namespace.run("ip", "link", "set", device, "up")
            namespace.call(functools.partial(sum_in_software, device))
        zero = ("udp6zerocsumrx",) if outside == 6 else ()
        kernel.run("ip", "link", "add", "vx0", "type", "vxlan", "id", "42", "local", there, "remote", here,
                   "dstport", "4789", *zero)  # fmt: skip
        for version in (4, 6):
            kernel.run("ip", "addr", "add", f"{KERNEL[version]}/{PREFIX[version]}", "dev", "vx0", *_nodad(version))
        kernel.run("ip", "link", "set", "vx0", "up")
        async with anf.Network(seed=7) as net:
            yield Joined(net, ours, kernel, outside=outside, **settings)


def sum_in_software(device: str) -> None:
    """Has the kernel cut and sum what a veth sends, as for a real card without these features.

    Otherwise it leaves both to a receiver that knows it is no real one, which is not what reads a UDP socket.
    """
    request = ctypes.create_string_buffer(struct.pack("=II", ETHTOOL_STXCSUM, 0))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP", device.encode(), ctypes.addressof(request)))


def _nodad(version: int) -> tuple[str, ...]:
    return ("nodad",) if version == 6 else ()


def url(host: str, path: str) -> str:
    return f"http://[{host}]/{path}" if ":" in host else f"http://{host}/{path}"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """100 MiB."""
    folder = tmp_path_factory.mktemp("page")
    folder.chmod(0o755)
    file = folder / "page"
    file.write_bytes(os.urandom(MIB) * (SIZE // MIB))
    yield file
    file.unlink()


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


@pytest.mark.parametrize("outside", FAMILIES)
@pytest.mark.parametrize("version", FAMILIES)
def test_curl_gets_a_hundred_mebibytes_of_aiohttp(version: int, outside: int, page: Path, tmp_path: Path) -> None:
    web = pytest.importorskip("aiohttp.web", reason="needs aiohttp")
    curl = tool("curl")

    async def main() -> None:
        async with joined(outside) as where:
            application = web.Application()
            application.router.add_static("/", page.parent)
            runner = web.AppRunner(application)
            async with where.host:
                await runner.setup()
                await web.TCPSite(runner, OURS[version], 80).start()
            await output(where.kernel, curl, "-sS", "--globoff", "-m", "110", "-o", str(tmp_path / "got"),
                         url(OURS[version], page.name))  # fmt: skip
            assert digest(tmp_path / "got") == digest(page)
            assert where.host.interfaces[0].mtu == (1450 if outside == 4 else 1430)
            await runner.cleanup()

    run(main(), PATIENCE)


@pytest.mark.parametrize("outside", FAMILIES)
@pytest.mark.parametrize("version", FAMILIES)
def test_aiohttp_gets_a_hundred_mebibytes_of_nginx(version: int, outside: int, page: Path, tmp_path: Path) -> None:
    aiohttp = pytest.importorskip("aiohttp", reason="needs aiohttp")
    nginx = tool("nginx")
    settings = tmp_path / "nginx.conf"
    address = KERNEL[version]
    settings.write_text(NGINX.format(folder=page.parent, listen=f"[{address}]:80" if version == 6 else address))

    async def main() -> None:
        async with (
            joined(outside) as where,
            program(where.kernel, nginx, "-c", str(settings), "-e", str(tmp_path / "error.log")),
        ):
            await listening(where.kernel, 80)
            received = hashlib.sha256()
            async with (
                where.host,
                aiohttp.ClientSession() as session,
                session.get(url(address, page.name)) as response,
            ):
                async for chunk in response.content.iter_chunked(1 << 16):
                    received.update(chunk)
            assert received.hexdigest() == digest(page)

    run(main(), PATIENCE)


@pytest.mark.parametrize("version", FAMILIES)
def test_ping_goes_both_ways(version: int) -> None:
    async def main() -> None:
        async with joined() as where:
            text = await output(where.kernel, tool("ping"), "-c", "3", "-i", "0.2", OURS[version])
            assert "3 received" in text
            async with where.host:
                pinged = await anf.ping(KERNEL[version], count=3, interval=0.1)
            assert len(pinged.replies) == 3

    run(main())


@pytest.mark.parametrize("version", FAMILIES)
def test_tshark_finds_nothing_wrong_with_what_we_send(version: int, tmp_path: Path) -> None:
    tshark = tool("tshark")
    file = tmp_path / "underlay.pcap"

    async def main() -> None:
        # One datagram a call: a capture on a veth sees what UDP_SEGMENT sends before it is cut.
        async with joined(batching="single") as where:
            capture = [tool("dumpcap"), "-q", "-P", "-i", "vb", "-w", str(file), "-f", "udp port 4789"]
            await talk_under(where, version, capture, file)

    run(main())
    sent = frames(tshark, file, f"ip.src == {UNDERLAY[4][0]}")
    assert len(sent) > 100
    for vni, inner_ip, inner_tcp, outer in sent:
        assert vni == "42"
        assert "0" not in (inner_ip.split(",")[1:] + inner_tcp.split(",") + outer.split(","))  # 0: bad
    assert not frames(tshark, file, f"ip.src == {UNDERLAY[4][0]} and _ws.malformed")


async def talk_under(where: Joined, version: int, capture: list[str], file: Path) -> None:
    """Some data from a host of ours to a program of the kernel's, while what passes the veth is written down."""
    listener = where.kernel.call(lambda: _listen(KERNEL[version]))
    loop = asyncio.get_running_loop()
    async with program(where.kernel, *capture, stderr=asyncio.subprocess.PIPE) as tshark:
        assert tshark.stderr is not None
        while b"File: " not in await tshark.stderr.readline():  # which comes once it captures
            pass
        reading = loop.run_in_executor(None, _read_all, listener)
        async with where.host:
            _, writer = await asyncio.open_connection(KERNEL[version], 80)
            writer.write(bytes(300_000))
            writer.close()
            await writer.wait_closed()
        assert await reading == 300_000
        while file.stat().st_size < 300_000:  # noqa: ASYNC110, ASYNC240 (dumpcap writes when it likes, and tells nobody)
            await asyncio.sleep(0.05)


def _listen(address: str) -> socket.socket:
    return socket.create_server((address, 80), family=socket.AF_INET6 if ":" in address else socket.AF_INET)


def _read_all(listener: socket.socket) -> int:
    with listener, listener.accept()[0] as sock:
        sock.settimeout(20)
        return sum(len(part) for part in iter(lambda: sock.recv(65536), b""))


def frames(tshark: str, file: Path, wanted: str) -> list[list[str]]:
    """Of each frame in a capture: VNI, status of the IP, TCP and UDP checksums."""
    fields = ("vxlan.vni", "ip.checksum.status", "tcp.checksum.status", "udp.checksum.status")
    checks = ("ip.check_checksum", "tcp.check_checksum", "udp.check_checksum")
    command = [tshark, "-r", str(file), "-Y", wanted, "-T", "fields", "-E", "separator=/t"]
    command += [part for field in fields for part in ("-e", field)] + [f"-o{check}:TRUE" for check in checks]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [line.split("\t") for line in text.splitlines()]
