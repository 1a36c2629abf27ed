"""Programs of the kernel's and programs on the network, for the tests that join the two."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest

import aionetflow as anf
from support.namespace import Namespace

PATIENCE = 30.0  # s
KERNEL = {4: "10.8.0.1", 6: "fd08::1"}  # the kernel's addresses on the device ...
ROUTER = {4: "10.8.0.2", 6: "fd08::2"}  # ... and the virtual router's beside it
FAR = {4: "10.9.0.2", 6: "fd09::2"}  # the virtual host behind the router
PREFIX = {4: 24, 6: 64}
FAR_NETWORK = {4: "10.9.0.0/24", 6: "fd09::/64"}
# A configuration of nginx, with the folder that it serves and the address where it listens
NGINX = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder};
    server {{
        listen {listen};
        root {folder};
    }}
}}
"""
FAMILIES = [pytest.param(4, id="IPv4"), pytest.param(6, id="IPv6")]


def tool(name: str) -> str:
    """The path of a program; skips where it is missing."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"needs {name} (apt-get install it)")
    return found


def run(main: Coroutine[Any, Any, None], patience: float = PATIENCE) -> None:
    """Runs a test on our event loop, in real time."""

    async def limited() -> None:
        async with asyncio.timeout(patience):
            await main

    anf.run(limited())


def with_prefix(addresses: dict[int, str], versions: tuple[int, ...]) -> list[str]:
    """Addresses as an interface is given them."""
    return [f"{addresses[version]}/{PREFIX[version]}" for version in versions]


class Lab:
    """The kernel in a namespace of its own, a virtual router beside it, and a virtual host `far` behind that.

    kernel --tap0-- router --link-- far
    """

    def __init__(self, net: anf.Network, namespace: Namespace, version: int, **settings: Any) -> None:
        versions = (4,) if version == 4 else (4, 6)
        self.net = net
        self.namespace = namespace
        self.version = version
        self.router = net.router("core", *with_prefix(ROUTER, versions))
        self.far = net.host("far", *with_prefix(FAR, versions))
        descriptor = namespace.descriptor
        self.tap = net.tap(self.router, "tap0", *with_prefix(KERNEL, versions), namespace=descriptor, **settings)
        self.link = net.link(self.router, self.far)
        net.settle()
        for each in versions:
            namespace.run("ip", f"-{each}", "route", "add", FAR_NETWORK[each], "via", ROUTER[each])

    @property
    def kernel_address(self) -> str:
        """Where the kernel is reached."""
        return KERNEL[self.version]

    @property
    def far_address(self) -> str:
        """Where the virtual host is reached."""
        return FAR[self.version]

    def url(self, host: str, path: str = "") -> str:
        """An address in a URL."""
        return f"http://[{host}]/{path}" if ":" in host else f"http://{host}/{path}"


@contextlib.asynccontextmanager
async def lab(version: int, **settings: Any) -> AsyncIterator[Lab]:
    """A network with a Lab on it; skips if the network does not speak that family yet."""
    with Namespace() as namespace:
        async with anf.Network(seed=7) as net:
            try:
                made = Lab(net, namespace, version, **settings)
            except (ValueError, OSError) as error:
                if version == 6:
                    pytest.skip(f"no IPv6 between hosts: {error}")
                raise
            yield made


@contextlib.asynccontextmanager
async def program(namespace: Namespace, *args: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program of the kernel's that runs meanwhile; it is ended afterwards."""
    process = await asyncio.create_subprocess_exec(*namespace.command(*args), **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def output(namespace: Namespace, *args: str, status: int = 0) -> str:
    """What a program of the kernel's prints by its end."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *namespace.command(*args), stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    try:
        printed, _ = await process.communicate()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    text = printed.decode(errors="replace")
    assert process.returncode == status, f"{args[0]} ended with {process.returncode}: {text}"
    return text


async def listening(namespace: Namespace, port: int) -> None:
    """Waits until somebody in the namespace listens on a TCP port."""
    entry = f":{port:04X} "

    def listed() -> bool:
        def look() -> bool:
            tables = [Path(f"/proc/thread-self/net/{name}").read_text() for name in ("tcp", "tcp6")]
            return any(entry in line and " 0A " in line for table in tables for line in table.splitlines())

        return namespace.call(look)

    while not listed():  # noqa: ASYNC110 (the kernel tells nobody)
        await asyncio.sleep(0.02)
