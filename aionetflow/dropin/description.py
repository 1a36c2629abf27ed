"""An open file description (POSIX): what is behind a virtual socket, and who waits for it to change.

A socket object, the copies that dup() makes of it and the transport that took it over all share one description. The
core socket below tells it of every change; it wakes whoever waits:

    a transport         does its reading and writing in the loop's next turn
    a coroutine         sock_recv() and its kin: tries again
    a sleeping thread   a blocking call outside of the loop: tries again
    a watch             add_reader(), add_writer(): called as long as the socket is ready, as epoll's level triggers
    the mirror          a descriptor of the kernel, for programs that ask poll(2)
"""

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any, TypeVar

from aionetflow.dropin.mirror import Mirror
from aionetflow.dropin.threads import Sleeper
from aionetflow.network.host import Host
from aionetflow.socket.base import IN, OUT, Socket, Watcher
from aionetflow.socket.options import IPPROTO_TCP

_T = TypeVar("_T")
# Python's selectors: what is neither wakes both, so that hanging up and errors are seen by readers and writers.
READABLE = ~OUT
WRITABLE = ~IN
_SHOWN = 0x1F  # IN PRI OUT ERR HUP: RDHUP is reported only to those who ask for it


def ready(core: Socket) -> int:
    """The events that epoll would report to somebody who asked for IN and OUT."""
    return core.events() & _SHOWN


class Taker:
    """The part of a transport that hears of changes; see flow.py."""

    def changed(self) -> None:
        """The socket below has changed."""
        raise NotImplementedError


class Watch:
    """A callback of add_reader() or add_writer(); `mask` is READABLE or WRITABLE."""

    def __init__(
        self, core: Socket, mask: int, loop: asyncio.AbstractEventLoop, callback: Callable[..., object], args: Any
    ) -> None:
        self._core = core
        self._mask = mask
        self._loop = loop
        self._callback = callback
        self._args = args
        self._context = contextvars.copy_context()
        self._turn: asyncio.Handle | None = None
        self._over = False

    def look(self) -> None:
        """Has the callback called in the loop's next turn if the socket is ready."""
        if self._turn is None and not self._over and ready(self._core) & self._mask:
            self._turn = self._loop.call_soon(self._fire, context=self._context)

    def cancel(self) -> None:
        """Ends it."""
        self._over = True
        if self._turn is not None:
            self._turn.cancel()

    def _fire(self) -> None:
        self._turn = None
        if self._over or not ready(self._core) & self._mask:
            return
        try:
            self._callback(*self._args)
        finally:
            self.look()


class Description(Watcher):
    """What virtual sockets that are copies of each other have in common."""

    def __init__(self, core: Socket, host: Host, loop: asyncio.AbstractEventLoop, proto: int = IPPROTO_TCP) -> None:
        self.core = core
        self.host = host
        self.loop = loop
        self.proto = proto  # that its socket objects were made with
        self.references = 1  # socket objects that have it open
        self.transport: asyncio.BaseTransport | None = None  # that has taken it over
        self.taker: Taker | None = None  # a part of it
        self.changes = 0
        self.mirror: Mirror | None = None
        self.sleepers: list[Sleeper] | None = None
        self._waiting: list[asyncio.Future[None]] | None = None
        self._watches: dict[int, Watch] | None = None  # by mask
        core.on_change = self

    def release(self) -> None:
        """A socket object is closed; with the last of them the socket is."""
        self.references -= 1
        if self.references == 0:
            self.close()

    def close(self) -> None:
        """Closes the socket for all who have it."""
        self._end_watches()
        if self.mirror is not None:
            self.mirror.close()
            self.mirror = None
        self.core.close()
        self._wake()
        self._rouse()
        self.transport = self.taker = None

    def descriptor(self) -> int:
        """A descriptor of the kernel that poll(2) answers for as for this socket; made when first asked for."""
        if self.core.closed:
            return -1
        if self.mirror is None:
            self.mirror = Mirror()
            self.reflect()
        return self.mirror.descriptor

    def is_at(self, descriptor: int) -> bool:
        """Whether a descriptor of the kernel is this socket's: the number may have gone to another since."""
        mirror = self.mirror
        return mirror is not None and mirror.descriptor == descriptor and mirror.is_there()

    def lend(self, lent: bool = True) -> None:
        """The descriptor belongs to the program now, which may close it without a word; or does so no more."""
        if self.mirror is not None:
            self.mirror.lent = lent

    def reflect(self) -> None:
        """Reading or writing may have changed what poll(2) is to say."""
        if self.mirror is not None and self.mirror.lent and not self.mirror.is_there():
            self.close()  # as the program has closed its descriptor
        elif self.mirror is not None:
            events = ready(self.core)
            self.mirror.show(bool(events & READABLE), bool(events & WRITABLE))

    def make(self, call: Callable[[], _T]) -> _T:
        """Makes a call on the socket, and has poll(2) told of what that has changed, even if it failed."""
        try:
            return call()
        finally:
            self.reflect()

    def check_free(self, descriptor: object) -> None:
        """RuntimeError if a transport has taken the socket over: nobody else may wait for it."""
        if self.transport is not None:
            raise RuntimeError(f"File descriptor {descriptor!r} is used by transport {self.transport!r}")

    async def until_done(self, attempt: Callable[[], _T], *, for_transport: bool = False) -> _T:
        """Makes a call until it does not say "would block" any more.

        A call that is cancelled has been made or not, and nothing lies between. RuntimeError, as in asyncio, if it
        would have to wait and a transport has the socket, and is not who makes it.
        """
        while True:
            seen = self.changes
            try:
                return attempt()
            except BlockingIOError:
                if self.transport is not None and not for_transport:
                    self.check_free(self.descriptor())
                await self.wait(seen)

    async def wait(self, seen: int) -> None:
        """Until something has changed since `changes` was what the caller has seen."""
        if self.changes != seen:
            return
        future = self.loop.create_future()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(future)
        try:
            await future
        except BaseException:  # cancelled
            self._waiting = [other for other in self._waiting or () if other is not future]
            raise

    def watch(self, mask: int, callback: Callable[..., object], args: Any) -> None:
        """Has a callback called while the socket is ready (READABLE or WRITABLE), in place of an earlier one."""
        self.unwatch(mask)
        if self._watches is None:
            self._watches = {}
        watch = self._watches[mask] = Watch(self.core, mask, self.loop, callback, args)
        watch.look()

    def unwatch(self, mask: int) -> bool:
        """Ends it; False if there was none."""
        watch = self._watches.pop(mask, None) if self._watches is not None else None
        if watch is not None:
            watch.cancel()
        return watch is not None

    def sleeping(self) -> list[Sleeper]:
        """The threads that wait for a change, to be added to and taken from."""
        if self.sleepers is None:
            self.sleepers = []
        return self.sleepers

    def socket_changed(self) -> None:
        """The core socket has changed: tells all who wait for that."""
        if self.taker is not None:
            self.taker.changed()
        if self._waiting:
            self._wake()
        else:
            self.changes += 1
        if self.sleepers:
            self._rouse()
        if self._watches:
            watches = list(self._watches.values())
            if self.core.closed:  # by the end of its network
                self._end_watches()
            for watch in watches:
                watch.look()
        if self.mirror is not None:
            self.reflect()

    def _end_watches(self) -> None:
        watches, self._watches = self._watches, None
        if watches is not None:
            for watch in watches.values():
                watch.cancel()

    def _wake(self) -> None:
        """All look again, the longest waiting first."""
        self.changes += 1
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            for future in waiting:
                if not future.done():
                    future.set_result(None)

    def _rouse(self) -> None:
        if self.sleepers is not None:
            for sleeper in self.sleepers:
                sleeper.wake()
