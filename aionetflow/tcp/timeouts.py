"""When a connection gives up: retransmissions, probes of a closed window, probes of an idle peer (keepalive).

Linux does not count retransmissions. It takes for how long so many would go on that begin at 200 ms and double up to
two minutes, and gives up when that time has passed since the first one (tcp_model_timeout): a small round trip does not
make the host less patient.
"""

import errno

from aionetflow.config import MILLISECOND, NEVER, ORPHAN_RETRIES, RTO_INITIAL, RTO_MAX, RTO_MIN, SECOND
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.states import CLOSED, FIN_WAIT_2, LISTEN, SYN_RECEIVED, SYN_SENT, TIME_WAIT, Event
from aionetflow.widths import i64

_ABORT = int(Event.ABORT)
_TICK = MILLISECOND  # no timer is armed for less
ETIMEDOUT = errno.ETIMEDOUT


def model_timeout(retries: int, first: i64) -> i64:
    """How long so many retransmissions go on, ns: the waits begin with `first` and double up to the maximum."""
    total: i64 = first
    wait: i64 = first
    for _ in range(retries):
        wait = min(2 * wait, RTO_MAX)
        total += wait
    return total


def has_retransmitted_enough(connection: Connection, now: i64) -> bool:
    """Whether the time-out that has just come is the last (Linux tcp_write_timeout)."""
    patience, sysctl = connection.patience, connection.sysctl
    if connection.state == SYN_SENT or connection.state == SYN_RECEIVED or connection.is_early():
        limit = _handshake_retries(connection)
        if connection.retries >= limit + (sysctl.tcp_syn_linear_timeouts if connection.state == SYN_SENT else 0):
            return True
        first = RTO_INITIAL
    else:
        limit = sysctl.tcp_retries2
        first = RTO_MIN
        if connection.user is None:
            limit = orphan_retries(connection, connection.recovery.rtt.rto() < RTO_MAX)
    if connection.retries == 0:
        return False
    timeout = patience.user_timeout if patience is not None else 0
    return now - connection.stuck_since >= (timeout or model_timeout(limit, first))


def has_probed_enough(connection: Connection, now: i64) -> bool:
    """Whether a peer with a closed window is given up (Linux tcp_probe_timer).

    RFC 1122 4.2.2.17: not while it answers, unless nobody holds the connection or the application has set a limit.
    """
    patience = connection.patience
    timeout = patience.user_timeout if patience is not None else 0
    if connection.stuck_since == NEVER:
        connection.stuck_since = now
    elif timeout and now - connection.stuck_since >= timeout:
        return True
    limit = connection.sysctl.tcp_retries2
    if connection.user is None:
        alive = connection.recovery.rtt.rto() < RTO_MAX
        limit = orphan_retries(connection, alive)
        if not alive and connection.recovery.rtt.backoff >= limit:
            return True
    return connection.retries >= limit


def orphan_retries(connection: Connection, alive: bool) -> int:
    """How often is tried for what nobody holds; alive: the peer was heard not long ago (Linux tcp_orphan_retries)."""
    retries = connection.sysctl.tcp_orphan_retries
    if connection.soft_error and not alive:
        return 0
    return ORPHAN_RETRIES if retries == 0 and alive else retries


def within_user_timeout(connection: Connection, wait: i64, now: i64) -> i64:
    """How long to wait for a timer: not beyond what TCP_USER_TIMEOUT leaves (Linux tcp_clamp_rto_to_user_timeout)."""
    patience = connection.patience
    if patience is None or patience.user_timeout == 0 or connection.stuck_since == NEVER:
        return wait
    return min(wait, max(patience.user_timeout - (now - connection.stuck_since), _TICK))


def give_up(connection: Connection) -> None:
    """Nobody answers any more: what the application hears is what a router said of it, or ETIMEDOUT."""
    connection.stats.TCPAbortOnTimeout += 1
    connection.fail(_ABORT, connection.soft_error or ETIMEDOUT)


# Keepalive (RFC 1122 4.2.3.6) -----------------------------------------------------------------------------------


def arm_keepalive(connection: Connection, now: i64) -> None:
    """SO_KEEPALIVE or one of its times was set, or the handshake is done: the timer runs, or stops.

    It is the one that TIME-WAIT and an orphan's FIN-WAIT-2 use, which come later (Linux sk_timer).
    """
    patience = connection.patience
    if patience is None or connection.state in (CLOSED, LISTEN, SYN_SENT, SYN_RECEIVED) or _is_leaving(connection):
        return
    if patience.keep_alive:
        connection.timers.wait = max(_heard_at(connection) + _idle_time(connection), now)
    else:
        connection.timers.wait = NEVER


def on_wait(connection: Connection, now: i64) -> bool:
    """The timer has come: True if the connection is over, since it was in TIME-WAIT or left alone in FIN-WAIT-2."""
    if _is_leaving(connection):
        return True
    patience = connection.patience
    if patience is not None and patience.keep_alive:
        _on_keepalive(connection, now)
    return False


def _on_keepalive(connection: Connection, now: i64) -> None:
    """Linux tcp_keepalive_timer."""
    patience, timers = connection.patience, connection.timers
    assert patience is not None
    heard_at, idle = _heard_at(connection), _idle_time(connection)
    if connection.snd.in_flight() or connection.snd.queue.length > 0:
        timers.wait = now + idle  # retransmission, or the probe of the window, will find out
        return
    if heard_at >= patience.probed_at:
        patience.probes = 0
    elapsed = now - heard_at
    if elapsed < idle:
        timers.wait = heard_at + idle
        return
    if patience.user_timeout:
        over = elapsed >= patience.user_timeout and patience.probes > 0
    else:
        over = patience.probes >= (patience.count or connection.sysctl.tcp_keepalive_probes)
    if over:
        connection.reset_due = True
        give_up(connection)
        return
    patience.probes += 1
    patience.probed_at = now
    connection.stats.TCPKeepAlive += 1
    connection.probe_due = True
    timers.wait = now + (patience.interval or connection.sysctl.tcp_keepalive_intvl * SECOND)


def _heard_at(connection: Connection) -> i64:
    return max(connection.heard_at, connection.acks.received_at)


def _idle_time(connection: Connection) -> i64:
    patience = connection.patience
    assert patience is not None
    return patience.idle or connection.sysctl.tcp_keepalive_time * SECOND


def _is_leaving(connection: Connection) -> bool:
    return connection.state == TIME_WAIT or (connection.state == FIN_WAIT_2 and connection.user is None)


def _handshake_retries(connection: Connection) -> int:
    """How often a SYN, or a SYN-ACK, is sent again."""
    patience = connection.patience
    asked = patience.syn_retries if patience is not None else 0
    if connection.is_early():
        return asked or connection.sysctl.tcp_synack_retries + 1  # Linux tcp_fastopen_synack_timer
    return asked or connection.sysctl.tcp_syn_retries
