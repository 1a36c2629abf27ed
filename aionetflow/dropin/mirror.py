"""A descriptor of the kernel whose readiness is set by hand.

Some programs ask the kernel about a socket's descriptor instead of the socket: httpx polls for POLLIN before it uses a
connection again. A number that the kernel does not know would be a lie. An eventfd can be readable or writable but
not neither, which is what a socket that is connecting is; one end of a pair of Unix sockets can be all four.
"""

import _socket
import os
import select

_FULL = bytes(4096)


class Mirror:
    """`descriptor` is readable and writable as `show` was last told; at first it is writable only.

    >>> import select
    >>> mirror = Mirror()
    >>> poll = select.poll()
    >>> poll.register(mirror.descriptor, select.POLLIN | select.POLLOUT)
    >>> mirror.show(True, False)
    >>> poll.poll(0) == [(mirror.descriptor, select.POLLIN)]
    True
    >>> mirror.close()
    """

    def __init__(self) -> None:
        # the C class: socket.socket may be a class of ours at this moment
        near, far = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        for end in (near, far):
            end.setblocking(False)
        near.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 1)
        self.descriptor = near.detach()
        self._far = far.detach()
        self._readable = False
        self._writable = True
        self._identity = _identity(self.descriptor)
        self.lent = False  # to a program, which may close it without a word

    def is_there(self) -> bool:
        """Whether the descriptor still is what it was: once it is closed, the kernel gives its number to others."""
        return _identity(self.descriptor) == self._identity

    def show(self, readable: bool, writable: bool) -> None:
        """Makes poll(2) say so."""
        if readable != self._readable:
            self._readable = readable
            if readable:
                os.write(self._far, b"\0")
            else:
                os.read(self.descriptor, 1)
        if writable != self._writable:
            self._writable = writable
            if writable:
                self._drain()
            else:
                self._fill()

    def close(self) -> None:
        """Gives the descriptor back to the kernel."""
        if self.is_there():
            os.close(self.descriptor)
        os.close(self._far)
        self.descriptor = self._far = -1

    def _fill(self) -> None:
        poll = select.poll()
        poll.register(self.descriptor, select.POLLOUT)
        while poll.poll(0):
            os.write(self.descriptor, _FULL)

    def _drain(self) -> None:
        try:
            while os.read(self._far, 1 << 16):
                pass
        except BlockingIOError:
            pass


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
