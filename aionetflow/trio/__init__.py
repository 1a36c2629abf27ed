"""A virtual network on trio: `pip install aionetflow[trio]`.

Unchanged trio programs run on it: trio.open_tcp_stream(), trio.serve_tcp() and their kin, TLS over them, trio.socket.
Its time is trio's; with a trio.testing.MockClock it is virtual.

>>> import aionetflow.trio, trio, trio.testing
>>> async def echo(stream: trio.SocketStream) -> None:
...     async for data in stream:
...         await stream.send_all(data)
>>> async def main() -> None:
...     async with aionetflow.trio.Network(seed=7) as net:
...         server, client = net.host("server"), net.host("client")
...         net.link(server, client, delay=0.050)
...         async with server:
...             await net.nursery.start(trio.serve_tcp, echo, 7)
...         async with client, await trio.open_tcp_stream("server", 7) as stream:
...             await stream.send_all(b"hello")
...             print(await stream.receive_some(), round(trio.current_time(), 3))
>>> trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
b'hello' 0.3
"""

import contextvars
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import trio

from aionetflow.network import network
from aionetflow.network.host import Host, enter, leave
from aionetflow.trio.clock import TrioClock, TrioLoop
from aionetflow.trio.socket import HostnameResolver, Socket, SocketFactory

__all__ = ["HostnameResolver", "Network", "Socket", "SocketFactory", "TrioClock"]


class Network(network.Network):
    """A network whose time is trio's; inside `async with`, the sockets and names of trio programs are its own.

    It is made inside trio.run() (RuntimeError elsewhere). As everywhere a task runs as the host that is entered, with
    `async with host`, where the task is started; outside any host, as `localhost`. `nursery` is for tasks that are to
    end with the network: when the `async with` block is left, they are cancelled. What asyncio alone has is not here:
    `host.spawn` (see `start_soon`), and the coroutines of the package itself.
    """

    nursery: trio.Nursery

    def __init__(self, seed: int | str | None = None) -> None:
        self._time = TrioClock()
        super().__init__(seed, clock=self._time)
        self._loop = TrioLoop()  # type: ignore[abstract]
        self._manager = trio.open_nursery()
        self._previous: tuple[Any, Any] = (None, None)

    def start_soon(self, host: Host, async_fn: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Starts a task in `nursery` that runs as a host."""
        context = contextvars.copy_context()
        context.run(enter, host)
        context.run(self.nursery.start_soon, async_fn, *args)

    def event_loop(self) -> TrioLoop:
        """What virtual sockets have in the place of an event loop."""
        return self._loop

    def close(self) -> None:
        """Closes all sockets and stops the network's time: nothing can be done on it any more."""
        super().close()
        self._time.close()
        self._loop.close()

    async def __aenter__(self) -> Self:
        self.check_open()
        self.nursery = await self._manager.__aenter__()
        self.nursery.start_soon(self._time.run)
        self._previous = (
            trio.socket.set_custom_socket_factory(SocketFactory(self.localhost)),
            trio.socket.set_custom_hostname_resolver(HostnameResolver(self.localhost)),
        )
        enter(self.localhost)
        return self

    async def __aexit__(  # type: ignore[override]
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        self.nursery.cancel_scope.cancel()
        try:
            return bool(await self._manager.__aexit__(kind, error, traceback))
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1 and group.exceptions[0] is error:
                return False  # the block's own exception, as it is
            raise
        finally:
            factory, resolver = self._previous
            trio.socket.set_custom_socket_factory(factory)
            trio.socket.set_custom_hostname_resolver(resolver)
            self.close()
            leave()
