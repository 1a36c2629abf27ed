"""TLS on virtual sockets for programs that block: what ssl.SSLContext.wrap_socket() makes of one.

The ssl module reads and writes a descriptor of the kernel, and a virtual socket has none that carries data. So the
OpenSSL object works on two buffers in memory here, and what it wants to have read and written the socket below reads
and writes. All else, how SSLSocket answers and what it raises, is the ssl module's own.
"""

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, Self, TypeVar

from aionetflow.dropin.adopt import known
from aionetflow.dropin.data import DataCalls
from aionetflow.dropin.socket import VirtualSocket

_T = TypeVar("_T")
_AT_ONCE = 1 << 16


class _Layer:
    """What SSLSocket knows as `_sslobj`: the OpenSSL object, which never waits, and the socket, which may."""

    def __init__(self, owner: "VirtualTlsSocket", session: Any) -> None:
        self._owner = owner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._unsent = memoryview(b"")
        context: Any = owner.context
        name = owner.server_hostname
        self._object = context._wrap_bio(
            self._incoming, self._outgoing, server_side=owner.server_side, owner=owner, session=session,
            server_hostname=None if name is None else context._encode_hostname(name),
        )  # fmt: skip

    def __getattr__(self, name: str) -> Any:
        return getattr(self._object, name)  # cipher(), getpeercert() and whatever else is only looked up

    @property
    def context(self) -> Any:
        """The SSLContext; it may be changed while the client's hello is looked at."""
        return self._object.context

    @context.setter
    def context(self, context: ssl.SSLContext) -> None:
        self._object.context = context

    @property
    def session(self) -> Any:
        """The TLS session, to be resumed."""
        return self._object.session

    @session.setter
    def session(self, session: ssl.SSLSession) -> None:
        self._object.session = session

    def do_handshake(self) -> None:
        """See SSLSocket.do_handshake()."""
        self._run(self._object.do_handshake)

    def read(self, *args: Any) -> Any:
        """See SSLSocket.read()."""
        return self._run(self._object.read, *args)

    def write(self, data: Any) -> int:
        """See SSLSocket.write(). What OpenSSL has taken is sent later, if the socket does not take it now."""
        if len(self._unsent):
            self._flush()
        taken: int = self._object.write(data)
        with contextlib.suppress(ssl.SSLWantWriteError):
            self._flush()
        return taken

    def shutdown(self) -> "VirtualTlsSocket":
        """See SSLSocket.unwrap()."""
        self._run(self._object.shutdown)
        return self._owner

    def verify_client_post_handshake(self) -> None:
        """See SSLSocket.verify_client_post_handshake()."""
        self._run(self._object.verify_client_post_handshake)

    def _run(self, step: Callable[..., _T], *args: Any) -> _T:
        while True:
            try:
                result = step(*args)
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            except ssl.SSLError:
                self._say_goodbye()
                raise
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        self._unsent = memoryview(bytes(self._unsent) + self._outgoing.read())
        while len(self._unsent):
            try:
                sent = DataCalls.send(self._owner, self._unsent)
            except BlockingIOError:
                raise ssl.SSLWantWriteError(ssl.SSL_ERROR_WANT_WRITE, _UNDONE.format("write")) from None
            self._unsent = self._unsent[sent:]

    def _fill(self) -> None:
        try:
            data = DataCalls.recv(self._owner, _AT_ONCE)
        except BlockingIOError:
            raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, _UNDONE.format("read")) from None
        except TimeoutError:
            raise TimeoutError("The read operation timed out") from None
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _say_goodbye(self) -> None:
        with contextlib.suppress(OSError):
            self._flush()  # the alert that says what was wrong


_UNDONE = "The operation did not complete ({})"


# The methods of SSLSocket come first, and their super() is VirtualSocket.
class VirtualTlsSocket(ssl.SSLSocket, VirtualSocket):  # type: ignore[misc]  # SSLSocket's own signatures differ
    """An ssl.SSLSocket on a virtual host; made by SSLContext.wrap_socket() while sockets are patched."""

    # SSLSocket's, which its published type leaves out
    _session: Any
    _sslobj: Any
    _connected: bool
    do_handshake_on_connect: bool

    @classmethod
    def wrap(
        cls, sock: VirtualSocket, context: ssl.SSLContext, *, server_side: bool = False,
        do_handshake_on_connect: bool = True, suppress_ragged_eofs: bool = True, server_hostname: str | None = None,
        session: Any = None,
    ) -> Self:  # fmt: skip
        """See SSLContext.wrap_socket(), from which the arguments are: `sock` is used up."""
        if sock.type != ssl.SOCK_STREAM:
            raise NotImplementedError("only stream sockets are supported")
        if server_side and server_hostname:
            raise ValueError("server_hostname can only be specified in client mode")
        if server_side and session is not None:
            raise ValueError("session can only be specified in client mode")
        if context.check_hostname and not server_hostname:
            raise ValueError("check_hostname requires server_hostname")
        self = cls.__new__(cls)
        VirtualSocket.__init__(self, sock.host, proto=sock.proto, description=sock.description)
        self.settimeout(sock.gettimeout())
        sock.give_up()
        vars(self).update(
            _context=context, _session=session, _sslobj=None, _connected=False, server_side=server_side,
            server_hostname=server_hostname, do_handshake_on_connect=do_handshake_on_connect,
            suppress_ragged_eofs=suppress_ragged_eofs,
        )  # fmt: skip
        self._begin()
        return self

    def _begin(self) -> None:
        """TLS from here on, if it is connected; otherwise when it is."""
        try:
            self.getpeername()
        except OSError:
            return
        self._connected = True
        try:
            self._sslobj = _Layer(self, self._session)
            if self.do_handshake_on_connect:
                if self.gettimeout() == 0.0:
                    raise ValueError("do_handshake_on_connect should not be specified for non-blocking sockets")
                self.do_handshake()
        except BaseException:
            self.close()
            raise

    def _real_connect(self, addr: Any, connect_ex: bool) -> int | None:
        if self.server_side:
            raise ValueError("can't connect in server-side mode")
        if self._connected or self._sslobj is not None:
            raise ValueError("attempt to connect already-connected SSLSocket!")
        self._sslobj = _Layer(self, self._session)
        try:
            outcome = None
            if connect_ex:
                outcome = VirtualSocket.connect_ex(self, addr)
            else:
                VirtualSocket.connect(self, addr)
            if not outcome:
                self._connected = True
                if self.do_handshake_on_connect:
                    self.do_handshake()
        except (OSError, ValueError):
            self._sslobj = None
            raise
        return outcome

    def __repr__(self) -> str:
        return VirtualSocket.__repr__(self)


class PatchedTlsSocket(ssl.SSLSocket):
    """What SSLContext makes of a socket while sockets are patched: ours of ours, the ssl module's of the kernel's."""

    @classmethod
    def _create(cls, sock: Any, *args: Any, context: Any = None, **kwargs: Any) -> Any:
        ours = known(sock)
        if ours is None and not isinstance(sock, socket.socket):
            ours = known(sock.fileno())  # an object that stands for a socket
        if ours is None:
            return ssl.SSLSocket._create(sock, *args, context=context, **kwargs)  # type: ignore[attr-defined]
        return VirtualTlsSocket.wrap(ours, context, *args, **kwargs)
