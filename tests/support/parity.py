"""The same calls on the kernel's sockets and on a stack's lo, and what each of them said.

A script is a function of a World. It makes endpoints and calls what sockets have; each result, or the name of the
error, goes into the world's log. Ports are logged by the order in which they appear, since no two worlds draw the same.
"""

from __future__ import annotations

import errno
import random
import select
import socket
from collections.abc import Callable
from typing import Any

from aionetflow.clock import ManualClock
from aionetflow.ip.address import AF_INET
from aionetflow.socket.options import SO_REUSEADDR, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET
from aionetflow.stack import Stack
from support.lan import Numbers

LO = "127.0.0.1"
LO6 = "::1"
IN, OUT, ERR, HUP, RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000
EVENTS = {IN: "IN", OUT: "OUT", ERR: "ERR", HUP: "HUP", RDHUP: "RDHUP"}
Script = Callable[["World"], None]


class Endpoint:
    """One socket of a world: whatever is called on it is logged."""

    def __init__(self, world: World, sock: Any) -> None:
        self.world = world
        self.sock = sock
        self.name = world.name_endpoint()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            return self.world.record(f"{self.name}.{name}", getattr(self.sock, name, None), args)

        return call

    @property
    def port(self) -> int:
        """Its own port; not logged."""
        return int(self.sock.getsockname()[1])

    @property
    def address(self) -> tuple[str, int]:
        """Where it is reached over loopback; not logged."""
        return (LO if self.sock.family == socket.AF_INET else LO6), self.port

    def events(self) -> None:
        """Logs what poll(2) says."""
        bits = self.world.poll(self.sock)
        self.world.log.append((f"{self.name}.events", [EVENTS[bit] for bit in EVENTS if bits & bit]))

    def wait(self, mask: int) -> Endpoint:
        """Lets the world come to the point where any of these events is there; not logged."""
        self.world.wait(self.sock, mask)
        return self

    def fill(self) -> None:
        """Sends until there is no room; how much that was is each world's own business."""
        try:
            while True:
                self.sock.send(bytes(65536))
        except BlockingIOError:
            pass

    def drain(self, source: Endpoint) -> None:
        """Reads until nothing more comes from the other end."""
        while self.world.pending(self.sock, source.sock):
            try:
                self.sock.recv(1 << 20)
            except BlockingIOError:
                return


class World:
    """Somewhere that has sockets."""

    def __init__(self) -> None:
        self.log: list[tuple[str, Any]] = []
        self.ports: dict[int, str] = {}
        self.names = 0

    def tcp(self, family: int = AF_INET) -> Endpoint:
        """A new stream socket that does not block."""
        return Endpoint(self, self.make(SOCK_STREAM, family))

    def udp(self, family: int = AF_INET) -> Endpoint:
        """A new datagram socket that does not block."""
        return Endpoint(self, self.make(SOCK_DGRAM, family))

    def make(self, kind: int, family: int) -> Any:
        """A socket of the world's own kind."""
        raise NotImplementedError

    def poll(self, sock: Any) -> int:
        """The events of a socket, now."""
        raise NotImplementedError

    def wait(self, sock: Any, mask: int) -> None:
        """Until one of the events is there."""
        raise NotImplementedError

    def pending(self, sock: Any, source: Any) -> bool:
        """Whether something is, or comes soon, from the source to the socket."""
        raise NotImplementedError

    def name_endpoint(self) -> str:
        """The next name in the log."""
        self.names += 1
        return f"{self.names}"

    def record(self, what: str, call: Callable[..., Any] | None, args: tuple[Any, ...]) -> Any:
        """Calls, and logs the outcome; an accepted socket is returned as an endpoint, a failure as None."""
        try:
            if call is None:
                raise NotImplementedError(what)
            result = call(*args)
        except OSError as error:
            self.log.append((what, errno.errorcode[error.errno or 0]))
            return None
        except (TypeError, ValueError, OverflowError, NotImplementedError) as error:
            self.log.append((what, type(error).__name__))
            return None
        if isinstance(result, tuple) and hasattr(result[0], "fileno"):
            result = Endpoint(self, self.adopt(result[0])), result[1]
        self.log.append((what, self.plain(result)))
        return result

    def adopt(self, sock: Any) -> Any:
        """Takes an accepted socket over."""
        return sock

    def plain(self, result: Any) -> Any:
        """A result with nothing in it that is one world's own."""
        if isinstance(result, Endpoint):
            return result.name
        if not isinstance(result, tuple):
            return result
        if len(result) in (2, 4) and isinstance(result[0], str) and isinstance(result[1], int):
            host, port, *rest = result
            return host, self.ports.setdefault(port, f"port {len(self.ports) + 1}") if port else 0, *rest
        return tuple(self.plain(part) for part in result)


class KernelWorld(World):
    """Linux itself. Only loopback addresses are used, and nothing outlives `close`."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: list[socket.socket] = []

    def make(self, kind: int, family: int) -> socket.socket:
        return self.adopt(socket.socket(family, kind))

    def adopt(self, sock: socket.socket) -> socket.socket:
        sock.setblocking(False)
        self.sockets.append(sock)
        return sock

    def poll(self, sock: socket.socket) -> int:
        poller = select.poll()
        poller.register(sock, IN | OUT | RDHUP)
        return sum(bits for _, bits in poller.poll(0))

    def wait(self, sock: socket.socket, mask: int) -> None:
        poller = select.poll()
        poller.register(sock, mask)
        for _ in range(1000):
            if any(bits & mask for _, bits in poller.poll(5000)):
                return
        raise AssertionError(f"the kernel never reported {mask:#x}")

    def pending(self, sock: socket.socket, source: socket.socket) -> bool:
        poller = select.poll()
        poller.register(sock, IN)
        return bool(poller.poll(50))

    def close(self) -> None:
        """Closes whatever a script has left open."""
        for sock in self.sockets:
            sock.close()


class StackWorld(World):
    """One stack with nothing but lo."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.stack = Stack(self.clock, random.Random(1))
        self.stack.isn = Numbers(random.Random(1))

    def make(self, kind: int, family: int) -> Any:
        return self.stack.socket(family, kind)

    def poll(self, sock: Any) -> int:
        return int(sock.events())

    def wait(self, sock: Any, mask: int) -> None:
        for _ in range(100):
            if sock.events() & mask:
                return
            self.clock.advance(0.01)

    def pending(self, sock: Any, source: Any) -> bool:
        self.wait(sock, IN)
        return bool(sock.events() & IN)


def both(script: Script) -> tuple[list[tuple[str, Any]], list[tuple[str, Any]]]:
    """What the kernel and the stack said to the same script."""
    kernel, stack = KernelWorld(), StackWorld()
    try:
        script(kernel)
    finally:
        kernel.close()
    script(stack)
    return kernel.log, stack.log


def differences(script: Script) -> list[str]:
    """Where the stack did not say what the kernel said, one line each."""
    kernel, stack = both(script)
    assert len(kernel) == len(stack) > 0
    return [
        f"{k}: {what}: kernel {said}, stack {ours}"
        for k, ((what, said), (_, ours)) in enumerate(zip(kernel, stack, strict=True))
        if said != ours
    ]


def collector(scripts: dict[str, Script]) -> Callable[[Script], Script]:
    """A decorator that enters scripts by name."""

    def collect(script: Script) -> Script:
        scripts[script.__name__] = script
        return script

    return collect


# ---- what many scripts begin with


def server(world: World, backlog: int = 5, host: str = LO, *, reuse: bool = False) -> Endpoint:
    listener = world.tcp()
    if reuse:
        listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    listener.bind((host, 0))
    listener.listen(backlog)
    return listener


def dial(world: World, listener: Endpoint) -> tuple[Endpoint, Endpoint]:
    client = world.tcp()
    client.connect(listener.address)
    client.wait(OUT)
    accepted, _ = listener.wait(IN).accept()
    return client, accepted


def pair(world: World) -> tuple[Endpoint, Endpoint]:
    return dial(world, server(world))


def nobody(world: World) -> Endpoint:
    """A port where nobody listens, and which nobody else can take."""
    holder = world.tcp()
    holder.bind((LO, 0))
    return holder
