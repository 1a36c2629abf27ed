"""The TCP state machine (RFC 9293 3.3.2, figure 5), as a table.

Everything that moves a connection from one state to another is an Event, and every pair of state and event has an
entry: the next state, which is the same one where the event changes nothing.
"""

from enum import IntEnum


class State(IntEnum):
    """The states, with the numbers of Linux's TCP_INFO."""

    ESTABLISHED = 1
    SYN_SENT = 2
    SYN_RECEIVED = 3
    FIN_WAIT_1 = 4
    FIN_WAIT_2 = 5
    TIME_WAIT = 6
    CLOSED = 7
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11


class Event(IntEnum):
    """What can happen to a connection: calls, segments, a timer."""

    PASSIVE_OPEN = 0  # listen()
    ACTIVE_OPEN = 1  # connect()
    CLOSE = 2  # close() or shutdown(): no more will be sent
    ABORT = 3  # close with unread data, or too many retries
    RCV_SYN = 4  # a SYN without an ACK
    RCV_SYN_ACK = 5  # a SYN that acknowledges ours
    RCV_ACK_OF_SYN = 6
    RCV_FIN = 7  # the peer's FIN, everything before it received
    RCV_ACK_OF_FIN = 8
    RCV_RST = 9
    TIMEOUT = 10  # 2 MSL in TIME-WAIT, Linux's limit on FIN-WAIT-2


# ss(8)'s names
SHORT_NAMES = {
    State.ESTABLISHED: "ESTAB", State.SYN_SENT: "SYN-SENT", State.SYN_RECEIVED: "SYN-RECV",
    State.FIN_WAIT_1: "FIN-WAIT-1", State.FIN_WAIT_2: "FIN-WAIT-2", State.TIME_WAIT: "TIME-WAIT",
    State.CLOSED: "UNCONN", State.CLOSE_WAIT: "CLOSE-WAIT", State.LAST_ACK: "LAST-ACK", State.LISTEN: "LISTEN",
    State.CLOSING: "CLOSING",
}  # fmt: skip

TRANSITIONS: dict[tuple[State, Event], State] = {
    (State.CLOSED, Event.PASSIVE_OPEN): State.LISTEN,
    (State.CLOSED, Event.ACTIVE_OPEN): State.SYN_SENT,
    (State.LISTEN, Event.RCV_SYN): State.SYN_RECEIVED,
    (State.LISTEN, Event.CLOSE): State.CLOSED,
    (State.SYN_SENT, Event.RCV_SYN): State.SYN_RECEIVED,  # simultaneous open
    (State.SYN_SENT, Event.RCV_SYN_ACK): State.ESTABLISHED,
    (State.SYN_SENT, Event.CLOSE): State.CLOSED,
    (State.SYN_RECEIVED, Event.RCV_ACK_OF_SYN): State.ESTABLISHED,
    (State.SYN_RECEIVED, Event.RCV_FIN): State.CLOSE_WAIT,
    (State.SYN_RECEIVED, Event.CLOSE): State.FIN_WAIT_1,
    (State.ESTABLISHED, Event.CLOSE): State.FIN_WAIT_1,
    (State.ESTABLISHED, Event.RCV_FIN): State.CLOSE_WAIT,
    (State.FIN_WAIT_1, Event.RCV_ACK_OF_FIN): State.FIN_WAIT_2,
    (State.FIN_WAIT_1, Event.RCV_FIN): State.CLOSING,  # simultaneous close
    (State.FIN_WAIT_2, Event.RCV_FIN): State.TIME_WAIT,
    (State.FIN_WAIT_2, Event.TIMEOUT): State.CLOSED,  # Linux: net.ipv4.tcp_fin_timeout
    (State.CLOSING, Event.RCV_ACK_OF_FIN): State.TIME_WAIT,
    (State.CLOSE_WAIT, Event.CLOSE): State.LAST_ACK,
    (State.LAST_ACK, Event.RCV_ACK_OF_FIN): State.CLOSED,
    (State.TIME_WAIT, Event.TIMEOUT): State.CLOSED,
}
# A reset or an abort ends a connection in every state that has one (RFC 9293 3.10.5, 3.10.7.4 second).
for _state in State:
    TRANSITIONS[_state, Event.ABORT] = State.CLOSED
    if _state is not State.LISTEN:
        TRANSITIONS[_state, Event.RCV_RST] = State.CLOSED

_EVENTS = len(Event)
_TABLE = bytes(
    TRANSITIONS.get((State(state), event), State(state)) if state else 0
    for state in range(max(State) + 1)
    for event in Event
)


def next_state(state: int, event: int) -> int:
    """The state that follows; the same one where the event means nothing to it.

    >>> State(next_state(State.ESTABLISHED, Event.CLOSE)).name
    'FIN_WAIT_1'
    """
    return _TABLE[state * _EVENTS + event]


# The same numbers as plain integers: what compiled code compares with.
ESTABLISHED = int(State.ESTABLISHED)
SYN_SENT = int(State.SYN_SENT)
SYN_RECEIVED = int(State.SYN_RECEIVED)
FIN_WAIT_1 = int(State.FIN_WAIT_1)
FIN_WAIT_2 = int(State.FIN_WAIT_2)
TIME_WAIT = int(State.TIME_WAIT)
CLOSED = int(State.CLOSED)
CLOSE_WAIT = int(State.CLOSE_WAIT)
LAST_ACK = int(State.LAST_ACK)
LISTEN = int(State.LISTEN)
CLOSING = int(State.CLOSING)


def _set(*states: State) -> int:
    """States as bits."""
    return sum(1 << state for state in states)


_UNSYNCHRONIZED = _set(State.CLOSED, State.LISTEN, State.SYN_SENT, State.SYN_RECEIVED)
_RECEIVING = _set(State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2)
_SENDING = _set(State.ESTABLISHED, State.CLOSE_WAIT, State.FIN_WAIT_1, State.CLOSING, State.LAST_ACK)
_OPEN = _set(State.ESTABLISHED, State.CLOSE_WAIT)


def is_synchronized(state: int) -> bool:
    """Whether both ends know each other's sequence numbers (RFC 9293 3.3.2)."""
    return (_UNSYNCHRONIZED >> state) & 1 == 0


def may_receive(state: int) -> bool:
    """Whether the peer may still send data."""
    return (_RECEIVING >> state) & 1 == 1


def may_send(state: int) -> bool:
    """Whether data that was written may still be sent, or sent again."""
    return (_SENDING >> state) & 1 == 1


def is_open(state: int) -> bool:
    """Whether the application may still write."""
    return (_OPEN >> state) & 1 == 1
