"""Attempts to reach the real network from a test that runs on a virtual one.

Python announces what it asks of the kernel's sockets (PEP 578, `python -m pydoc sys.addaudithook`). While such a test
runs, what would leave for the real network is refused before it happens, wherever in the process it comes from. Unix
sockets and socketpair() are nobody's network. What a C library does by itself is not announced.
"""

import os
import socket
import sys
import sysconfig
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from aionetflow.network.names import is_literal

_ADDRESSED = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg")
_NAMED = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_LOOPBACK = ("127.", "::1", "localhost")
_STDLIB = sysconfig.get_path("stdlib")
_OURS = (f"{Path(__file__).parent.parent}{os.sep}", "<")
_SITE = ("site-packages", "dist-packages")

_watching: "Guard | None" = None
_installed = False


class RealNetworkError(RuntimeError):
    """A test that runs on a virtual network wanted something of the real one. No OSError: programs survive those."""


class Guard:
    """Refuses the real network while it is on, and keeps what it has refused in `refused`.

    `loopback` says that the loopback addresses of the kernel may be used; `root` is the folder of the test's own code.
    """

    def __init__(self, root: Path, loopback: bool) -> None:
        self.refused: list[RealNetworkError] = []
        self._root = str(root)
        self._loopback = loopback

    def start(self) -> None:
        """From now on. There is one guard at a time."""
        global _watching, _installed  # noqa: PLW0603  # an audit hook is the process's, and stays
        if not _installed:
            sys.addaudithook(_audit)
            _installed = True
        _watching = self

    def stop(self) -> None:
        """Until now."""
        global _watching  # noqa: PLW0603
        _watching = None

    def check(self, event: str, args: tuple[Any, ...]) -> None:
        """Raises RealNetworkError if an event is about the real network."""
        __tracebackhide__ = True
        if event in _ADDRESSED:
            sock, address = args[0], args[1]
            if sock.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(address, tuple):
                return
            host, text = str(address[0]), f"{event.removeprefix('socket.')} to {_endpoint(address)}"
        elif event in _NAMED:
            host = args[0].decode(errors="replace") if isinstance(args[0], bytes) else str(args[0] or "")
            if event != "socket.gethostbyaddr" and (not host or is_literal(host.partition("%")[0])):
                return  # no more than a translation
            text = f"look-up of {host!r}"
        else:
            return
        if self._loopback and host.startswith(_LOOPBACK):
            return
        error = RealNetworkError(
            f"{text} on the real network, at {self._place(sys._getframe(2))}. This test runs on a virtual network, and "
            "this call was made past it: by a thread that runs as none of its hosts, or by a name that was imported "
            "before (`from socket import socket`)"
        )
        self.refused.append(error)
        raise error

    def _place(self, frame: FrameType | None) -> str:
        """File and line of the test's own code that led here; of a library's, if there is none of the test's."""
        library = ""
        while frame is not None:
            path, line = frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
            installed = any(part in path for part in _SITE)
            if path.startswith(_OURS) or (path.startswith(_STDLIB) and not installed):
                continue
            if path.startswith(self._root) and not installed:
                return f"{path[len(self._root) :].lstrip(os.sep)}:{line}"
            library = library or f"{path}:{line}"
        return library or f"no line of the test's, in thread {threading.current_thread().name}"


def _audit(event: str, args: tuple[Any, ...]) -> None:
    __tracebackhide__ = True
    if _watching is not None and event.startswith("socket."):
        _watching.check(event, args)


def _endpoint(address: tuple[Any, ...]) -> str:
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
