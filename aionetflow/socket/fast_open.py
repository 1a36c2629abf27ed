"""What sockets have to do with TCP Fast Open (RFC 7413): its options (tcp(7)), and how a connection is begun with it.

Who listens lets data in with SYNs by TCP_FASTOPEN, which says how many such connections may wait for the end of their
handshake, and with bit 2 of net.ipv4.tcp_fastopen. Who connects sends them by sendto() with MSG_FASTOPEN; or
TCP_FASTOPEN_CONNECT lets connect() return at once, and what is written first goes with the SYN.
"""

import errno
from typing import TYPE_CHECKING

from aionetflow.errors import os_error
from aionetflow.ip.address import Address
from aionetflow.socket.options import (
    IPPROTO_TCP,
    TCP_FASTOPEN,
    TCP_FASTOPEN_CONNECT,
    TCP_FASTOPEN_KEY,
    TCP_FASTOPEN_NO_COOKIE,
    Option,
    RawOption,
)
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.early_data import most_in_syn
from aionetflow.tcp.fast_open import (
    CLIENT,
    CLIENT_WITHOUT_COOKIE,
    COOKIE_UNAVAILABLE,
    KEY_LENGTH,
    SERVER,
    SERVER_WITHOUT_OPTION,
    CookieKeys,
    FastOpen,
    FastOpenHost,
    FastOpenQueue,
    option_of,
)
from aionetflow.tcp.handshake import send_first_syn
from aionetflow.widths import i64

if TYPE_CHECKING:
    from aionetflow.socket.base import Socket
    from aionetflow.socket.listener import Listener
    from aionetflow.socket.stream import StreamSocket

_UNUSED = ("UNCONN", "LISTEN")
_OPENS = "opens_fast"  # of stream sockets
_KEYS = "fast_open_keys"


def early_room(connection: Connection) -> i64:
    """How much may be written though the handshake has not ended: what the SYN holds, which then is due, or any.

    Raises BlockingIOError if nothing may.
    """
    if connection.is_opening():
        raise os_error(errno.EAGAIN)
    room, fast = connection.room(), connection.fast_open
    if fast is not None and fast.deferred:
        fast.deferred = False
        room = min(room, fast.most)
        send_first_syn(connection)
    return room


def is_deferred(connection: Connection | None) -> bool:
    """Whether connect() has returned before the SYN was sent, for data to go with it."""
    return connection is not None and connection.fast_open is not None and connection.fast_open.deferred


def connect(sock: "StreamSocket", address: Address | None) -> None:
    """What MSG_FASTOPEN makes of connect(): returns when data may follow at once (Linux tcp_sendmsg_fastopen).

    Raises OSError: EOPNOTSUPP if net.ipv4.tcp_fastopen does not let clients do so, EINVAL without an address;
    EINPROGRESS if the SYN asks for a cookie, and what connect() raises otherwise.
    """
    connection = sock.connection
    if not sock.settings().tcp_fastopen & CLIENT:
        raise os_error(errno.EOPNOTSUPP)
    if sock.is_listening():
        raise os_error(errno.EISCONN)
    if connection is not None:
        if not is_deferred(connection):
            sock.continue_connecting(connection)
        return
    if address is None:
        raise os_error(errno.EINVAL)
    before, sock.opens_fast = sock.opens_fast, True
    try:
        sock.begin(*sock.pack(address))
    finally:
        sock.opens_fast = before
    if not is_deferred(sock.connection):
        raise os_error(errno.EINPROGRESS)


def prepare(host: FastOpenHost, connection: Connection, without_cookie: bool, now: i64) -> None:
    """Makes a connection that is about to be opened one with Fast Open (Linux tcp_fastopen_cookie_check).

    With a cookie its SYN waits for data; without, it asks for one.
    """
    connection.fast_open = fast = FastOpen(host)
    if host.is_paused(now):
        return
    fast.trying = host.is_trying()
    known = host.known(connection.local, connection.remote)
    if without_cookie or host.sysctl.tcp_fastopen & CLIENT_WITHOUT_COOKIE:
        fast.deferred = True
    elif known.cookie:
        fast.deferred = True
        fast.option = option_of(known.cookie)
    else:
        fast.client_fail = COOKIE_UNAVAILABLE
        fast.option = option_of(b"")
    fast.most = most_in_syn(connection, known.mss, now)


def tell(sock: "Socket", listener: "Listener") -> None:
    """Has a listener heed what was set on its socket, and its host's settings (Linux inet_listen)."""
    limit = sock.kept((IPPROTO_TCP, TCP_FASTOPEN), 0)
    always = SERVER | SERVER_WITHOUT_OPTION
    if not limit and sock.settings().tcp_fastopen & always == always:
        limit = listener.backlog
    if listener.fast_open is None:
        if not limit:
            return
        listener.fast_open = FastOpenQueue(sock._services.fast_open)
    listener.fast_open.limit = limit
    listener.fast_open.own_keys = getattr(sock, _KEYS)
    listener.fast_open.without_cookie = bool(sock.kept((IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE), 0))


# Options ------------------------------------------------------------------------------------------------------------


def _set_limit(sock: "Socket", value: int) -> None:
    if value < 0 or sock.state_name() not in _UNUSED:
        raise os_error(errno.EINVAL)
    sock.store((IPPROTO_TCP, TCP_FASTOPEN), min(value, sock.settings().somaxconn))
    sock.heed((IPPROTO_TCP, TCP_FASTOPEN))


def _set_connect(sock: "Socket", value: int) -> None:
    if value not in (0, 1):
        raise os_error(errno.EINVAL)
    if not sock.settings().tcp_fastopen & CLIENT:
        raise os_error(errno.EOPNOTSUPP)
    if sock.state_name() != "UNCONN":
        raise os_error(errno.EINVAL)
    setattr(sock, _OPENS, bool(value))


def _set_no_cookie(sock: "Socket", value: int) -> None:
    if value not in (0, 1) or sock.state_name() not in _UNUSED:
        raise os_error(errno.EINVAL)
    sock.store((IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE), value)
    sock.heed((IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE))


def _set_key(sock: "Socket", data: bytes) -> None:
    if len(data) not in (KEY_LENGTH, 2 * KEY_LENGTH):
        raise os_error(errno.EINVAL)
    setattr(sock, _KEYS, CookieKeys(data))
    sock.heed((IPPROTO_TCP, TCP_FASTOPEN_KEY))


def _get_key(sock: "Socket") -> bytes:
    keys: CookieKeys | None = getattr(sock, _KEYS)
    return keys.octets if keys is not None else b""


OPTIONS: dict[tuple[int, int], Option] = {
    (IPPROTO_TCP, TCP_FASTOPEN): Option(lambda sock: sock.kept((IPPROTO_TCP, TCP_FASTOPEN), 0), _set_limit),
    (IPPROTO_TCP, TCP_FASTOPEN_CONNECT): Option(lambda sock: int(getattr(sock, _OPENS)), _set_connect),
    (IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE): Option(
        lambda sock: sock.kept((IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE), 0), _set_no_cookie
    ),
}
RAW_OPTIONS: dict[tuple[int, int], RawOption] = {(IPPROTO_TCP, TCP_FASTOPEN_KEY): RawOption(_get_key, _set_key)}
