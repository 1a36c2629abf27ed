"""What tests use: the kernel's network, as an audit hook sees it, or a virtual one."""

from __future__ import annotations

import socket
import sys
from typing import Any

WATCHED = ("socket.bind", "socket.connect", "socket.sendto", "socket.sendmsg")
INTERNET = (socket.AF_INET, socket.AF_INET6)


class KernelCalls:
    """Collects the calls on kernel sockets of the Internet's families, until they are taken.

    Unix sockets do not count: they are the kernel's for everyone. There is no audit event for listen, but nobody
    reaches a listening socket that was not bound.
    """

    def __init__(self) -> None:
        self._calls: list[str] = []
        # bound once: the hook stays for good, and may run while the interpreter goes down
        sys.addaudithook(self._see)

    def _see(self, event: str, arguments: tuple[object, ...]) -> None:
        if event not in WATCHED:
            return
        sock = arguments[0]
        if isinstance(sock, socket.SocketType) and sock.family in INTERNET:
            # a destination given to sendmsg comes second as well
            self._calls.append(f"{event} {arguments[1]!r}")

    def take(self) -> list[str]:
        """The calls since the last time."""
        calls, self._calls = self._calls, []
        return calls


class VirtualSockets:
    """Counts the sockets that programs make on virtual hosts, until the count is taken."""

    def __init__(self) -> None:
        from aionetflow import Host

        self._count = 0
        make = Host.socket

        def counted(host: Host, *args: Any) -> Any:
            self._count += 1
            return make(host, *args)

        setattr(Host, "socket", counted)  # noqa: B010  # mypy allows no other way

    def take(self) -> int:
        """How many since the last time."""
        count, self._count = self._count, 0
        return count
