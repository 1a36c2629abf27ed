"""The options of stream sockets: tcp(7), and those of socket(7) that TCP makes something of.

What is set before there is a connection is kept with the socket, and `configure` makes a new connection heed it, be it
connect()'s or one of a listening socket's.
"""

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from aionetflow.config import MILLISECOND, MIN_MSS, RECEIVE_BUFFER_MIN, SECOND
from aionetflow.errors import os_error
from aionetflow.socket.options import (
    IPPROTO_TCP,
    NO_PACING_RATE,
    SO_KEEPALIVE,
    SO_MAX_PACING_RATE,
    SO_OOBINLINE,
    SO_RCVLOWAT,
    SOL_SOCKET,
    TCP_CORK,
    TCP_DEFER_ACCEPT,
    TCP_KEEPCNT,
    TCP_KEEPIDLE,
    TCP_KEEPINTVL,
    TCP_LINGER2,
    TCP_MAXSEG,
    TCP_NODELAY,
    TCP_NOTSENT_LOWAT,
    TCP_QUICKACK,
    TCP_SYNCNT,
    TCP_USER_TIMEOUT,
    TCP_WINDOW_CLAMP,
    Option,
    _flag,
    _low_water,
    _truth,
    _within,
)
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.pace import UNLIMITED
from aionetflow.tcp.pacing import limit
from aionetflow.tcp.patience import Patience
from aionetflow.tcp.states import CLOSE_WAIT, ESTABLISHED
from aionetflow.tcp.timeouts import arm_keepalive
from aionetflow.tcp.urgent import mark_of

if TYPE_CHECKING:
    from aionetflow.socket.base import Socket

Key = tuple[int, int]
_MAX_WINDOW = 32767  # Linux MAX_TCP_WINDOW: the longest segment that can be asked for
_DEFER = "defer_accept"  # of stream sockets
_MAX_FIN_TIMEOUT = 120  # s; Linux TCP_FIN_TIMEOUT_MAX
NO_UNSENT_LIMIT = (1 << 32) - 1  # net.ipv4.tcp_notsent_lowat: none


def _heeded(key: Key, checked: Callable[[int], int], default: "Callable[[Socket], int]") -> tuple[Key, Option]:
    """An option that is kept, and that a connection heeds from then on.

    `checked` says what of a value, or raises OSError; `default` what it is while it was not set, or is 0.
    """

    def set_heeded(sock: "Socket", value: int) -> None:
        sock.store(key, checked(value))
        sock.heed(key)

    return key, Option(lambda sock: sock.kept(key, 0) or default(sock), set_heeded)


def _orphan_seconds(value: int) -> int:
    """tcp(7), TCP_LINGER2: 0 is the default, negative means not at all."""
    return -1 if value < 0 else min(value, _MAX_FIN_TIMEOUT)


def _defer_seconds(sock: "Socket") -> int:
    """How long the SYN-ACKs go unanswered, in seconds: 1, 2, 4 and up to 120 each (Linux retrans_to_secs)."""
    rounds: int = getattr(sock, _DEFER)
    return sum(min(1 << i, 120) for i in range(rounds))


def _set_defer_accept(sock: "Socket", value: int) -> None:
    """Linux secs_to_retrans: the fewest SYN-ACKs that take so long, 255 at most."""
    rounds, seconds, step = 0, 0, 1
    while seconds < value and rounds < 255:
        rounds, seconds, step = rounds + 1, seconds + step, min(2 * step, 120)
    setattr(sock, _DEFER, rounds)
    sock.options_changed()


def _set_max_segment(sock: "Socket", value: int) -> None:
    if value and not MIN_MSS <= value <= _MAX_WINDOW:  # Linux do_tcp_setsockopt; 0 lifts the limit
        raise os_error(errno.EINVAL)
    sock.user_mss = value
    sock.options_changed()


def _set_clamp(sock: "Socket", value: int) -> None:
    """Linux tcp_set_window_clamp: 0 lifts the limit, but not once there is a connection."""
    if value == 0 and sock.state_name() != "UNCONN":
        raise os_error(errno.EINVAL)
    key = IPPROTO_TCP, TCP_WINDOW_CLAMP
    sock.store(key, max(value, RECEIVE_BUFFER_MIN // 2) if value else 0)
    sock.heed(key)


def _set_quick(sock: "Socket", value: int) -> None:
    sock.store((IPPROTO_TCP, TCP_QUICKACK), value)
    sock.heed((IPPROTO_TCP, TCP_QUICKACK))


STREAM_OPTIONS: dict[Key, Option] = {
    (IPPROTO_TCP, TCP_NODELAY): _flag("nodelay"),
    (IPPROTO_TCP, TCP_CORK): _flag("cork"),
    (IPPROTO_TCP, TCP_DEFER_ACCEPT): Option(_defer_seconds, _set_defer_accept),
    (IPPROTO_TCP, TCP_MAXSEG): Option(lambda sock: sock.max_segment(), _set_max_segment),
    (IPPROTO_TCP, TCP_WINDOW_CLAMP): Option(lambda sock: sock.window_clamp(), _set_clamp),
    (IPPROTO_TCP, TCP_QUICKACK): Option(lambda sock: int(sock.is_quick()), _set_quick),
    **dict(
        (
            _heeded((SOL_SOCKET, SO_KEEPALIVE), _truth, lambda sock: 0),
            _heeded((SOL_SOCKET, SO_OOBINLINE), _truth, lambda sock: 0),
            _heeded((SOL_SOCKET, SO_RCVLOWAT), _low_water, lambda sock: 1),
            _heeded((IPPROTO_TCP, TCP_KEEPIDLE), _within(1, 32767), lambda sock: sock.settings().tcp_keepalive_time),
            _heeded((IPPROTO_TCP, TCP_KEEPINTVL), _within(1, 32767), lambda sock: sock.settings().tcp_keepalive_intvl),
            _heeded((IPPROTO_TCP, TCP_KEEPCNT), _within(1, 127), lambda sock: sock.settings().tcp_keepalive_probes),
            _heeded((IPPROTO_TCP, TCP_SYNCNT), _within(1, 127), lambda sock: sock.settings().tcp_syn_retries),
            _heeded((IPPROTO_TCP, TCP_LINGER2), _orphan_seconds, lambda sock: sock.settings().tcp_fin_timeout),
            _heeded((IPPROTO_TCP, TCP_USER_TIMEOUT), _within(0), lambda sock: 0),
            _heeded((IPPROTO_TCP, TCP_NOTSENT_LOWAT), int, lambda sock: 0),
        )
    ),
}


def configure(sock: "Socket", connection: Connection, now: int) -> None:
    """Makes a new connection heed what was set on its socket, or on the one that listens for it."""
    _heed_unsent_limit(connection, 0, now)
    for key in sock.stored or ():
        heed(sock, connection, key, now)


def heed(sock: "Socket", connection: Connection, key: Key, now: int) -> None:
    """Makes a connection heed an option of its socket."""
    act = _ACTS.get(key)
    if act is not None:
        act(connection, sock.kept(key, 0), now)


def _heed_low_water(connection: Connection, value: int, now: int) -> None:
    rcv = connection.rcv
    rcv.low_water = value
    rcv.limit = max(rcv.limit, min(2 * value, rcv.most))  # Linux tcp_set_rcvlowat: there is room for so many
    connection.wake = True


def _heed_clamp(connection: Connection, value: int, now: int) -> None:
    connection.rcv.clamp = value


def _heed_unsent_limit(connection: Connection, value: int, now: int) -> None:
    limit = value & NO_UNSENT_LIMIT or connection.sysctl.tcp_notsent_lowat
    connection.snd.unsent_limit = limit if limit < NO_UNSENT_LIMIT else 0
    connection.wake = True


def _heed_quick(connection: Connection, value: int, now: int) -> None:
    """tcp(7), TCP_QUICKACK: what is owed goes now; an even number lasts for that only (Linux tcp_sock_set_quickack)."""
    acks = connection.acks
    acks.ping_pong = 0 if value else 1
    if value and acks.scheduled and connection.state in (ESTABLISHED, CLOSE_WAIT):
        acks.pushed = max(acks.pushed, 1)
        connection.after_read()
        if not value & 1:
            acks.ping_pong = 1


def _heed_pacing(connection: Connection, value: int, now: int) -> None:
    """Linux sk_setsockopt: what was paced once stays so, at whatever rate follows from its window."""
    if value != NO_PACING_RATE or connection.pace is not None:
        limit(connection, min(value, UNLIMITED))


def _heed_inline(connection: Connection, value: int, now: int) -> None:
    mark_of(connection).inline = bool(value)


def _heed_patience(attribute: str, unit: int) -> Callable[[Connection, int, int], None]:
    def act(connection: Connection, value: int, now: int) -> None:
        if connection.patience is None:
            connection.patience = Patience()
        setattr(connection.patience, attribute, value * unit)
        if attribute in ("keep_alive", "idle"):
            arm_keepalive(connection, now)

    return act


_ACTS: dict[Key, Callable[[Connection, int, int], None]] = {
    (SOL_SOCKET, SO_KEEPALIVE): _heed_patience("keep_alive", 1),
    (SOL_SOCKET, SO_RCVLOWAT): _heed_low_water,
    (SOL_SOCKET, SO_OOBINLINE): _heed_inline,
    (SOL_SOCKET, SO_MAX_PACING_RATE): _heed_pacing,
    (IPPROTO_TCP, TCP_WINDOW_CLAMP): _heed_clamp,
    (IPPROTO_TCP, TCP_QUICKACK): _heed_quick,
    (IPPROTO_TCP, TCP_NOTSENT_LOWAT): _heed_unsent_limit,
    (IPPROTO_TCP, TCP_USER_TIMEOUT): _heed_patience("user_timeout", MILLISECOND),
    (IPPROTO_TCP, TCP_SYNCNT): _heed_patience("syn_retries", 1),
    (IPPROTO_TCP, TCP_LINGER2): _heed_patience("orphan_seconds", 1),
    (IPPROTO_TCP, TCP_KEEPIDLE): _heed_patience("idle", SECOND),
    (IPPROTO_TCP, TCP_KEEPINTVL): _heed_patience("interval", SECOND),
    (IPPROTO_TCP, TCP_KEEPCNT): _heed_patience("count", 1),
}
