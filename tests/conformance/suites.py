"""Whose tests are run, which files of theirs, and where those come from. None of it is copied into this repository."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUTPUT = ROOT / "build" / "conformance"


class SourcesMissing(Exception):
    """The tests of a suite are not to be had here; the text says what would help."""


@dataclass(frozen=True)
class Suite:
    """The tests of one project.

    `files` gives for each file the tests taken, as patterns of `Class.method`. Where the same tests are there for
    several loops, those for one of them are taken: ours is the same in all of them. The tests in `bridged` files talk
    to other processes, or to other loops, and do so over the kernel's loopback.
    """

    name: str
    package: str
    files: dict[str, tuple[str, ...]]
    bridged: tuple[str, ...] = ()

    def takes(self, file: str, test: str) -> bool:
        """Whether a test of a file is run, by its `Class.method`.

        >>> CPYTHON.takes("test_sendfile", "PollEventLoopTests.test_sendfile")
        False
        """
        return any(fnmatchcase(test, pattern) for pattern in self.files[file])


EVERY = ("*",)

CPYTHON = Suite(
    "cpython",
    "test.test_asyncio",
    {
        "test_streams": EVERY,
        "test_sock_lowlevel": ("EPoll*",),
        "test_server": EVERY,
        "test_buffered_proto": EVERY,
        "test_sendfile": ("EPoll*",),
        "test_events": ("EPoll*",),
        "test_sslproto": EVERY,
        "test_ssl": EVERY,
    },
)

# uvloop runs its tests on both loops. Those for its own say more, and are taken, but where they hold what uvloop does
# against what asyncio does: there it is asyncio that we follow.
UVLOOP = Suite(
    "uvloop",
    "tests",
    {
        "test_tcp": ("Test_UV*",),
        "test_udp": ("Test_UV*",),
        "test_sockets": ("TestUV*",),
        "test_dns": ("Test_UV*",),
        "test_unix": ("Test_UV*",),
        "test_base": ("TestBaseUV*",),
        "test_context": ("Test_AIO*",),
        "test_executors": ("TestUV*",),
        "test_pipes": ("Test_UV*",),
        "test_process": ("Test_AIO*",),
        "test_regr1": EVERY,
        "test_aiohttp": ("Test_UV*",),
    },
    bridged=("test_regr1",),
)

SUITES = {suite.name: suite for suite in (CPYTHON, UVLOOP)}


def search_path(suite: Suite) -> list[Path]:
    """The folders from which the package of a suite is imported; fetches it where that is needed.

    Raises SourcesMissing.
    """
    if suite is UVLOOP:
        return [uvloop_tests()]
    if importlib.util.find_spec("test") is None or importlib.util.find_spec(suite.package) is None:
        raise SourcesMissing(f"{sys.executable} came without its own tests ({suite.package}); take another Python")
    return []


def uvloop_tests() -> Path:
    """The folder that holds uvloop's `tests`, of the release that is installed.

    Only they are unpacked: uvloop itself, uncompiled, would hide the installed one.
    """
    try:
        release = version("uvloop")
    except PackageNotFoundError:
        raise SourcesMissing("uvloop is not installed; its tests need it") from None
    folder = OUTPUT / f"uvloop-{release}"
    if not (folder / "tests").is_dir():
        _unpack(_download(release), folder.name)
    return folder


def _download(release: str) -> Path:
    archive = OUTPUT / f"uvloop-{release}.tar.gz"
    if archive.exists():
        return archive
    OUTPUT.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "-q"]
    command += ["--no-deps", "--no-binary", "uvloop", "-d", str(OUTPUT), f"uvloop=={release}"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode or not archive.exists():
        raise SourcesMissing(f"pip could not fetch the sources of uvloop {release}:\n{done.stderr.strip()}")
    return archive


def _unpack(archive: Path, top: str) -> None:
    with tarfile.open(archive) as content:
        content.extractall(OUTPUT, members=_below(content, f"{top}/tests/"), filter="data")


def _below(content: tarfile.TarFile, prefix: str) -> Iterator[tarfile.TarInfo]:
    return (member for member in content if member.name.startswith(prefix))
