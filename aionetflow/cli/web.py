"""aionetflow host … serve and get: files over HTTP/1.1, by aiohttp, which knows of no virtual network."""

import argparse
import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from aionetflow.cli.site import Problem, Site, put, tell

PORT = 80
_CHUNK = 1 << 20  # octets
_CONNECTING, _SILENT = 10.0, 30.0  # s; how long a server may take to connect, and then say nothing
_ENDING = 1.0  # s; how long transfers go on when the server is stopped
_NEEDED = "{} needs aiohttp{}: pip install aionetflow[host]"


def add_jobs(jobs: Any, quantity: Callable[..., Any], whole: Callable[..., Any]) -> None:
    """Adds both commands."""
    port = whole({"": 1}, 1, 65535, "a whole number from 1 to 65535")
    serve = jobs.add_parser(
        "serve", help="offer the files of a folder over HTTP/1.1",
        description="Offers the files of a folder over HTTP/1.1, ranges and lists of folders included, until it is "
        "interrupted. Nothing outside of the folder is shown, whatever is asked for.",
    )  # fmt: skip
    serve.set_defaults(job=_serve)
    serve.add_argument("folder", metavar="DIR", help="the folder")
    serve.add_argument("--port", type=port, default=PORT, metavar="N", help="port (default %(default)s)")
    get = jobs.add_parser(
        "get", help="fetch a file over HTTP", description="Fetches a file, such as http://web/big.iso.",
        epilog="Exit status: 0 the file is there, whole; 1 it is not.",
    )  # fmt: skip
    get.set_defaults(job=_get)
    get.add_argument("url", metavar="URL", type=_url, help="where it is, such as http://web/big.iso")
    get.add_argument("-o", "--output", metavar="FILE", help="where it goes (default: its name in the URL); - for "
                     "standard output")  # fmt: skip


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"must be a URL such as http://web/big.iso, not {text!r}")
    return text


# The server -----------------------------------------------------------------------------------------------------------


def _folder(path: str) -> Path:
    if not Path(path).is_dir():
        raise Problem(f"no such folder: {path}")
    return Path(path)


async def _serve(site: Site, arguments: argparse.Namespace) -> int:
    try:
        from aiohttp import web
    except ModuleNotFoundError:
        raise Problem(_NEEDED.format("serve", "")) from None
    folder = _folder(arguments.folder)
    application = web.Application()
    application.router.add_static("/", folder, show_index=True)
    log = logging.getLogger("aionetflow.serve")
    log.setLevel(logging.INFO)
    runner = web.AppRunner(
        application, access_log=log, access_log_format='%a "%r" %s', shutdown_timeout=_ENDING, handle_signals=False
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, port=arguments.port).start()
        port = "" if arguments.port == PORT else f":{arguments.port}"
        tell(f"serving {folder} at http://{site.host.name}{port}/ ({site.addresses})")
        await asyncio.get_running_loop().create_future()
    finally:
        await runner.cleanup()
    return 0


# The client -----------------------------------------------------------------------------------------------------------


async def _get(site: Site, arguments: argparse.Namespace) -> int:
    try:
        import aiohttp
        import rich.progress  # noqa: F401
    except ModuleNotFoundError:
        raise Problem(_NEEDED.format("get", " and rich")) from None
    parts = urlsplit(arguments.url)
    await site.find(str(parts.hostname))
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECTING, sock_read=_SILENT)
    try:
        # what is stored is what was sent: nothing is unpacked on the way
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
            session.get(arguments.url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            if response.status != 200:
                raise Problem(f"{arguments.url}: {response.status} {response.reason}")
            with _target(arguments.output, parts.path) as write, _progress(response.content_length) as advance:
                async for piece in response.content.iter_chunked(_CHUNK):
                    write(piece)
                    advance(len(piece))
    except aiohttp.ClientConnectorError as error:
        raise Problem(f"{arguments.url}: {os.strerror(error.errno) if error.errno else error}") from None
    except aiohttp.ClientPayloadError:
        raise Problem(f"{arguments.url}: the connection has ended before the file was whole") from None
    except aiohttp.ClientError as error:
        raise Problem(f"{arguments.url}: {error}") from None
    return 0


@contextlib.contextmanager
def _target(output: str | None, path: str) -> Iterator[Callable[[bytes], object]]:
    """Where the file goes: standard output, or a name that it gets when it is whole. Problem if it cannot be there."""
    if output == "-":
        yield put
        return
    name = Path(output) if output is not None else Path(_name_in(path))
    part = name.with_name(f"{name.name}.part")
    try:
        if name.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        file = part.open("wb")
    except (OSError, ValueError) as error:
        raise Problem(f"cannot write {name}: {getattr(error, 'strerror', None) or error}") from None
    try:
        with file:
            yield file.write
        part.replace(name)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _name_in(path: str) -> str:
    """The name of a file in a URL: its last part, and never that of another folder.

    >>> _name_in("/a/big.iso"), _name_in("/"), _name_in("/a/%2e%2e%2fetc%2fpasswd"), _name_in("/..")
    ('big.iso', 'index.html', 'passwd', 'index.html')
    """
    name = Path(unquote(path).replace("\0", "")).name
    return name if name not in ("", "..") else "index.html"


@contextlib.contextmanager
def _progress(total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, for so many octets; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda octets: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("", total=total)
        yield lambda octets: bar.advance(task, octets)
