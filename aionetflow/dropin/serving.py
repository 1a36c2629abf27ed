"""How connections are accepted for a server: asyncio's Server says when to begin and when to end."""

import asyncio
from asyncio import constants
from typing import Any

from aionetflow.dropin.description import READABLE
from aionetflow.dropin.socket import VirtualSocket


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
        for _ in range(max(backlog, 1)):
            try:
                accepted, address = sock.accept_now()
            except (BlockingIOError, ConnectionAbortedError):
                return
            accepted.setblocking(False)
            extra = {"peername": address}
            serve = self._serve(protocol_factory, accepted, extra, sslcontext, server, timeouts)
            self.loop.create_task(serve)

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
