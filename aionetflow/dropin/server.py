"""What create_server() returns: asyncio's own Server, over listening sockets of a virtual host."""

import asyncio
from asyncio import base_events
from inspect import signature
from typing import Any

_TAKES_TRANSPORT = len(signature(base_events.Server._attach).parameters) > 1  # type: ignore[attr-defined]


class Server(base_events.Server):
    """Differs from asyncio's in what its loop is: the calls of a network are not the loop itself."""

    _loop: Any

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that the server serves on."""
        loop: asyncio.AbstractEventLoop = self._loop.loop
        return loop

    @property
    def is_closed(self) -> bool:
        """Whether it takes no connection any more."""
        return self._sockets is None  # type: ignore[attr-defined]

    def attach(self, transport: Any) -> None:
        """A connection of this server begins (Python 3.13 and later keep the transports themselves)."""
        self._attach(transport) if _TAKES_TRANSPORT else self._attach()  # type: ignore[attr-defined]

    def detach(self, transport: Any) -> None:
        """It has ended."""
        self._detach(transport) if _TAKES_TRANSPORT else self._detach()  # type: ignore[attr-defined]
