"""The kernel's loopback and one of our stacks behind one face, so that the same calls can be made on both."""

from __future__ import annotations

import errno
import random
import select
import socket
from collections.abc import Callable
from typing import Any

import pytest

from aionetflow.clock import ManualClock
from aionetflow.stack import Stack

LOOPBACK = "127.0.0.1"


class World:
    """Where sockets come from, and what has come out of the calls so far."""

    def __init__(self) -> None:
        self.outcome: list[str] = []
        self.opened: list[Any] = []

    def make(self, kind: int) -> Any:
        raise NotImplementedError

    def poll(self, sock: Any) -> int:
        raise NotImplementedError

    def socket(self, kind: int = 1) -> Any:
        """A new socket that does not block."""
        sock = self.make(kind)
        self.opened.append(sock)
        return sock

    def notes(self, *words: object) -> None:
        """One line of what has come out."""
        self.outcome.append(f"{len(self.outcome)}: " + " ".join(map(str, words)))

    def tries(self, call: Callable[..., object], *arguments: object) -> None:
        """Notes what a call returns, or its errno and the exception's class."""
        # Addresses are left out: ports differ.
        shown = [argument for argument in arguments if not isinstance(argument, tuple)]
        try:
            result = call(*arguments)
        except OSError as error:
            outcome = f"{errno.errorcode.get(error.errno or 0)} {type(error).__name__}"
        else:
            outcome = repr(result) if isinstance(result, int | bytes | None) else "done"
        self.notes(call.__name__, *shown, "->", outcome)

    def polls(self, *socks: Any) -> None:
        """Notes what poll(2) says."""
        self.notes("poll ->", *(f"{self.poll(sock):#x}" for sock in socks))

    # What many scenarios begin with

    def listener(self, backlog: int = 8) -> Any:
        sock = self.socket()
        sock.bind((LOOPBACK, 0))
        sock.listen(backlog)
        return sock

    def connects(self, address: object) -> Any:
        """A socket whose connect() is under way."""
        sock = self.socket()
        with pytest.raises(BlockingIOError):
            sock.connect(address)
        return sock

    def pair(self) -> tuple[Any, Any]:
        """A connected socket and its other end."""
        listener = self.listener()
        client = self.connects(listener.getsockname())
        server = listener.accept()[0]
        if isinstance(server, socket.socket):
            server.setblocking(False)
        self.opened.append(server)
        return client, server

    def free_port(self) -> int:
        """A port that nobody uses."""
        sock = self.socket()
        sock.bind((LOOPBACK, 0))
        port = int(sock.getsockname()[1])
        sock.close()
        return port


class Kernel(World):
    """The machine's own sockets."""

    def make(self, kind: int) -> Any:
        sock = socket.socket(socket.AF_INET, kind)
        sock.setblocking(False)
        return sock

    def poll(self, sock: Any) -> int:
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLOUT | select.POLLRDHUP)
        found = poll.poll(0)
        return found[0][1] if found else 0


class Ours(World):
    """One stack and its loopback."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.stack = Stack(self.clock, random.Random(3))

    def make(self, kind: int) -> Any:
        return self.stack.socket(kind=kind)

    def poll(self, sock: Any) -> int:
        mask = sock.events()
        assert isinstance(mask, int)
        return mask


def compare(run: Callable[[World], None]) -> None:
    """Raises AssertionError unless all calls of a scenario end on ours as they do on the kernel's."""
    outcomes: list[list[str]] = []
    for world in (Kernel(), Ours()):
        try:
            run(world)
        finally:
            for sock in world.opened:
                sock.close()
        outcomes.append(world.outcome)
    assert outcomes[0], "the scenario notes nothing"
    differ = [pair for pair in zip(*outcomes, strict=True) if pair[0] != pair[1]]
    assert not differ, "kernel and ours:\n" + "\n".join(f"  {kernel}\n  {ours}" for kernel, ours in differ)
