"""curl visits a virtual server, and a virtual client visits nginx, through a virtual router."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from support.interop import FAMILIES, NGINX, Lab, lab, listening, output, program, run, tool
from support.namespace import missing

pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(missing()), reason=missing() or "can be made here")]
PAGE = os.urandom(8_000_000)


async def serve(where: Lab, count: int) -> asyncio.Server:
    """A virtual web server on the far host: `count` pages of PAGE per connection."""

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(count):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(PAGE))
            writer.write(PAGE)
            await writer.drain()
        await reader.read()
        writer.close()

    async with where.far:
        return await asyncio.start_server(page, where.far_address, 80)


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize("loss", [0.0, 0.002])
def test_curl_fetches_a_page_of_a_virtual_server(version: int, loss: float, tmp_path: Path) -> None:
    curl = tool("curl")

    async def main() -> None:
        async with lab(version, loss=loss, delay=0.001) as where:
            server = await serve(where, 3)
            url = where.url(where.far_address)
            files = [tmp_path / str(number) for number in range(3)]
            outputs = [part for file in files for part in ("-o", str(file), url)]
            await output(where.namespace, curl, "-sS", "--globoff", "-m", "25", *outputs)
            assert all(file.read_bytes() == PAGE for file in files)
            server.close()

    run(main())


@pytest.mark.parametrize("version", FAMILIES)
@pytest.mark.parametrize("loss", [0.0, 0.002])
def test_a_virtual_client_fetches_a_page_of_nginx(version: int, loss: float, tmp_path: Path) -> None:
    nginx = tool("nginx")
    tmp_path.chmod(0o755)
    (tmp_path / "page").write_bytes(PAGE)
    settings = tmp_path / "nginx.conf"

    async def main() -> None:
        async with lab(version, loss=loss, delay=0.001) as where:
            address = where.kernel_address
            settings.write_text(NGINX.format(folder=tmp_path, listen=f"[{address}]:80" if version == 6 else address))
            async with program(where.namespace, nginx, "-c", str(settings), "-e", str(tmp_path / "error.log")):
                await listening(where.namespace, 80)
                async with where.far:
                    reader, writer = await asyncio.open_connection(address, 80)
                writer.write(b"GET /page HTTP/1.0\r\n\r\n")
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.read()
                writer.close()
                assert head.startswith(b"HTTP/1.1 200 OK"), head
                assert hashlib.sha256(body).digest() == hashlib.sha256(PAGE).digest()

    run(main())
