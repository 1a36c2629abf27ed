"""How connections are accepted for a server: asyncio's Server says when to begin and when to end."""

import asyncio
from asyncio import constants
from contextvars import Context, copy_context
from typing import Any

from aionetflow.dropin.description import READABLE, Description
from aionetflow.dropin.socket import VirtualSocket, bridges
from aionetflow.dropin.stream import StreamTransport
from aionetflow.fast_paths import FAST
from aionetflow.ip.address import endpoint
from aionetflow.socket.stream import StreamSocket


class Serving:
    """The part of a loop's network calls that asyncio's Server makes; `loop` is the loop."""

    loop: asyncio.AbstractEventLoop
    _make_socket_transport: Any
    _make_ssl_transport: Any

    def _start_serving(
        self, protocol_factory: Any, sock: VirtualSocket, sslcontext: Any = None, server: Any = None,
        backlog: int = 100, ssl_handshake_timeout: float | None = None, ssl_shutdown_timeout: float | None = None,
    ) -> None:  # fmt: skip
        timeouts = {
            "ssl_handshake_timeout": ssl_handshake_timeout or constants.SSL_HANDSHAKE_TIMEOUT,
            "ssl_shutdown_timeout": ssl_shutdown_timeout or constants.SSL_SHUTDOWN_TIMEOUT,
        }
        sock.description.watch(READABLE, self._accept, (protocol_factory, sock, sslcontext, server, backlog, timeouts))

    def _stop_serving(self, sock: VirtualSocket) -> None:
        sock.description.unwatch(READABLE)
        sock.close()

    def _accept(
        self, protocol_factory: Any, sock: VirtualSocket, sslcontext: Any, server: Any, backlog: int, timeouts: Any
    ) -> None:
        if FAST.direct_accept and not sslcontext and not bridges and self._is_plain():
            self._accept_directly(protocol_factory, sock, server, max(backlog, 1))
            return
        for _ in range(max(backlog, 1)):
            try:
                accepted, address = sock.accept_now()
            except (BlockingIOError, ConnectionAbortedError):
                return
            accepted.setblocking(False)
            extra = {"peername": address}
            serve = self._serve(protocol_factory, accepted, extra, sslcontext, server, timeouts)
            self.loop.create_task(serve)

    def _is_plain(self) -> bool:
        """Whether nobody looks at the tasks that asyncio makes for each connection."""
        return self.loop.get_task_factory() is None and not self.loop.get_debug()

    def _accept_directly(self, protocol_factory: Any, sock: VirtualSocket, server: Any, most: int) -> None:
        """As _accept, without an object for each socket, and with a callback in the place of a task."""
        core, host, proto, loop = sock.core, sock.host, sock.proto, sock.description.loop
        assert isinstance(core, StreamSocket)
        for _ in range(most):
            accepted = core.take_ready()
            if accepted is None:
                return
            accepted.owner = host.owner()
            description = Description(accepted, host, loop, proto)
            context = copy_context()
            self.loop.call_soon(
                self._serve_directly, protocol_factory, description, server, context, context=context
            )  # fmt: skip

    def _serve_directly(
        self, protocol_factory: Any, description: Description, server: Any, context: Context
    ) -> None:
        """As _serve."""
        if server is not None and server.is_closed:  # since the connection was accepted
            description.release()
            return
        core = description.core
        # asyncio knows the peer from accept(), and says who it was even if it has gone since
        extra = None if core.is_connected() else {"peername": endpoint(core.family, core.remote, core.remote_port)}
        try:
            StreamTransport(self.loop, description, protocol_factory(), None, extra, server, context)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            description.release()

    async def _serve(
        self, protocol_factory: Any, sock: VirtualSocket, extra: Any, sslcontext: Any, server: Any, timeouts: Any
    ) -> None:
        if server is not None and server.is_closed:  # since the connection was accepted
            sock.close()
            return
        protocol = transport = None
        try:
            waiter = self.loop.create_future()
            protocol = protocol_factory()
            if sslcontext:
                transport = self._make_ssl_transport(
                    sock, protocol, sslcontext, waiter, server_side=True, extra=extra, server=server, **timeouts
                )
            else:
                transport = self._make_socket_transport(sock, protocol, waiter, extra=extra, server=server)
            try:
                await waiter
            except BaseException:
                transport.close()
                raise
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            if transport is None:
                sock.close()
            self._tell_failed_accept(error, protocol, transport)

    def _tell_failed_accept(self, error: BaseException, protocol: Any, transport: Any) -> None:
        """As asyncio does: in debug mode only."""
        if not self.loop.get_debug():
            return
        context = {"message": "Error on transport creation for incoming connection", "exception": error}
        if protocol is not None:
            context["protocol"] = protocol
        if transport is not None:
            context["transport"] = transport
        self.loop.call_exception_handler(context)
