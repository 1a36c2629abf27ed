"""The calls that move data beyond send and recv, alike for both kinds of socket: into buffers, of buffers, with flags.

Flags have Linux's meaning for a socket that does not block, so that MSG_DONTWAIT, MSG_WAITALL and MSG_NOSIGNAL change
nothing: no call waits, and no signal is ever sent. A stream has no ancillary data.
"""

import errno
from collections.abc import Iterable, Sequence

from aionetflow.errors import os_error
from aionetflow.ip.address import Address
from aionetflow.socket.base import Socket
from aionetflow.socket.options import SOL_SOCKET

Buffer = bytes | bytearray | memoryview
Ancillary = Iterable[tuple[int, int, Buffer]]  # level, type, data
_UNIX_MESSAGES = (1, 2)  # SCM_RIGHTS, SCM_CREDENTIALS: SOL_SOCKET in name only


class DataSocket(Socket):
    """What StreamSocket and DatagramSocket have in common where data moves."""

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0) -> int:
        """As recv, into a buffer, at most nbytes octets (0: as many as it holds): how many.

        With MSG_TRUNC a datagram's whole length, and a stream's octets are thrown away instead of stored.
        """
        view = _room(buffer, nbytes, "recv_into")
        return self._take_into(view, flags)[0] if len(view) else 0

    def recvfrom_into(
        self, buffer: bytearray | memoryview, nbytes: int = 0, flags: int = 0
    ) -> tuple[int, Address | None]:
        """As recv_into, and who sent it; None on a stream."""
        count, _, address = self._take_into(_room(buffer, nbytes, "recvfrom_into"), flags)
        return count, address

    def recvmsg(
        self, limit: int, ancillary_limit: int = 0, flags: int = 0
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Address | None]:
        """As recv: (data, ancillary data, flags, sender).

        Ancillary data is what the socket has asked for (socket/ancillary.py), as (level, type, octets). Of the flags,
        MSG_TRUNC says that a datagram was cut, MSG_CTRUNC that ancillary data was, MSG_ERRQUEUE that it is an error.
        """
        if limit < 0:
            raise ValueError("negative buffer size in recvmsg()")
        if ancillary_limit < 0:
            raise ValueError("invalid ancillary data buffer length")
        return self._take_message(limit, ancillary_limit, flags)

    def recvmsg_into(
        self, buffers: Iterable[bytearray | memoryview], ancillary_limit: int = 0, flags: int = 0
    ) -> tuple[int, list[tuple[int, int, bytes]], int, Address | None]:
        """As recvmsg, into buffers, one filled after the other: (octets, ancillary data, flags, sender)."""
        if ancillary_limit < 0:
            raise ValueError("invalid ancillary data buffer length")
        views = [_room(buffer, 0, "recvmsg_into") for buffer in buffers]
        data, told, said, address = self._take_message(sum(map(len, views)), ancillary_limit, flags)
        rest = memoryview(data)
        for view in views:
            part = rest[: len(view)]
            view[: len(part)] = part
            rest = rest[len(part) :]
        return len(data), told, said, address

    def sendmsg(
        self, buffers: Iterable[Buffer], ancillary: Ancillary = (), flags: int = 0, address: Address | None = None
    ) -> int:
        """As send, of buffers, one behind the other: how many octets. A stream does not look at the address.

        EINVAL for ancillary data that asks something of the socket: none of that can be done here. What is for others
        means nothing (Linux sock_cmsg_send).
        """
        for level, kind, _ in ancillary:
            if level == SOL_SOCKET and kind not in _UNIX_MESSAGES:
                raise os_error(errno.EINVAL)
        return self._send_all([_octets(buffer) for buffer in buffers], flags, address)

    # What the kinds of socket fill in --------------------------------------------------------------------------

    def _take(self, limit: int, flags: int) -> tuple[bytes, int, Address | None]:
        """What has arrived, what to say of it (MSG_TRUNC), and who sent it."""
        raise NotImplementedError

    def _take_message(
        self, limit: int, room: int, flags: int
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Address | None]:
        """The same with ancillary data, as much as a control buffer of room octets holds."""
        data, said, address = self._take(limit, flags)
        return data, [], said, address

    def _take_into(self, view: memoryview, flags: int) -> tuple[int, int, Address | None]:
        """The same into a buffer: how many octets, or a cut datagram's whole length if MSG_TRUNC asks for it."""
        raise NotImplementedError

    def _send_all(self, buffers: Sequence[bytes | memoryview], flags: int, address: Address | None) -> int:
        """Sends buffers, one behind the other."""
        raise NotImplementedError


def _octets(buffer: Buffer) -> bytes | memoryview:
    return buffer if type(buffer) is bytes else memoryview(buffer).cast("B")


def _room(buffer: bytearray | memoryview, nbytes: int, call: str) -> memoryview:
    """The part of a buffer that may be written; CPython's words if it cannot be."""
    view = memoryview(buffer).cast("B")
    if view.readonly:
        raise TypeError(f"{call}() argument 1 must be read-write bytes-like object, not {type(buffer).__name__}")
    if nbytes < 0:
        raise ValueError(f"negative buffersize in {call}")
    if nbytes > len(view):
        raise ValueError("buffer too small for requested bytes")
    return view[:nbytes] if nbytes else view
