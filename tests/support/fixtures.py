"""Scripts that have shaken hands: a function for each state of RFC 9293 figure 5, by segments and calls alone."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from aionetflow.socket.options import IPPROTO_TCP, TCP_QUICKACK
from aionetflow.tcp.states import State
from support.script import ACK, FIN, IRS, ISS, M32, MSS, PEER_PORT, RST, SERVER_PORT, SYN, Script

REMOTE = ("10.0.0.2", PEER_PORT)


def begin_connect(script: Script) -> None:
    """connect(), which cannot be done at once."""
    with pytest.raises(BlockingIOError) as failure:
        script.sock.connect(REMOTE)
    assert failure.value.errno == errno.EINPROGRESS


def closed() -> Script:
    """Nobody listens."""
    return Script()


def listening(backlog: int = 8, *, receive_buffer: int = 0, mtu: int = 1500) -> Script:
    """A socket listens on port 80."""
    script = Script(mtu)
    script.listener = script.stream()
    if receive_buffer:
        script.listener.setsockopt(1, 8, receive_buffer)  # SO_RCVBUF
    script.listener.bind(("10.0.0.1", SERVER_PORT))
    script.listener.listen(backlog)
    return script


def syn_sent(*, receive_buffer: int = 0, mtu: int = 1500) -> Script:
    """A socket has sent its SYN, which the peer has heard."""
    script = Script(mtu)
    script.sock = script.stream()
    if receive_buffer:
        script.sock.setsockopt(1, 8, receive_buffer)  # SO_RCVBUF
    begin_connect(script)
    script.collect()
    script.heard = IRS
    script.ports = (PEER_PORT, script.sock.getsockname()[1])
    script.expect(SYN)
    return script.mark()


def syn_received(backlog: int = 8, *, mss: int | None = MSS, wscale: int | None = None) -> Script:
    """A listener has answered a SYN; `script.sock` does not exist yet."""
    script = listening(backlog)
    script.sends(SYN, mss=mss, wscale=wscale)
    script.heard = IRS
    script.expect(SYN | ACK)
    return script.mark()


def established(
    *, rtt: float = 0.1, mss: int | None = MSS, wscale: int | None = None, window: int = 65535,
    receive_buffer: int = 0, quick: bool = False,
) -> Script:  # fmt: skip
    """The stack has connected to the peer; a round trip took `rtt` seconds, so that the RTO is rtt + 0.2.

    It does not acknowledge the first segments at once, as a new connection does; with `quick` it does.
    """
    script = syn_sent(receive_buffer=receive_buffer)
    script.after(rtt)
    script.sends(SYN | ACK, mss=mss, wscale=wscale, window=window)
    script.expect(ACK)
    assert script.state == State.ESTABLISHED
    if not quick:
        script.sock.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 0)
    return script.mark()


def accepted(
    *, mss: int | None = MSS, window: int = 65535, receive_buffer: int = 0, quick: bool = False
) -> Script:  # fmt: skip
    """The peer has connected to a listener; `script.sock` is what accept() gave."""
    script = listening(receive_buffer=receive_buffer)
    script.sends(SYN, mss=mss, window=window)
    script.heard = IRS
    script.expect(SYN | ACK)
    script.after(0.1)
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    assert script.state == State.ESTABLISHED
    if not quick:
        script.sock.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 0)
    return script.mark()


def fin_wait_1(how: Callable[[Script], None] | None = None) -> Script:
    """The stack has sent a FIN after shutdown(SHUT_WR), or after what `how` does."""
    script = established()
    (how or shut_write)(script)
    script.expect(FIN | ACK)
    return check(script, State.FIN_WAIT_1)


def fin_wait_2(how: Callable[[Script], None] | None = None) -> Script:
    """The peer has acknowledged the FIN."""
    script = fin_wait_1(how)
    script.sends(ACK).expect_nothing()
    return check(script, State.FIN_WAIT_2)


def closing(how: Callable[[Script], None] | None = None) -> Script:
    """The peer's FIN has crossed the stack's."""
    script = fin_wait_1(how)
    script.sends(FIN | ACK, ack=IRS + 1).expect(ACK)
    return check(script, State.CLOSING)


def time_wait(how: Callable[[Script], None] | None = None) -> Script:
    """Both have closed, the stack first."""
    script = fin_wait_2(how)
    script.sends(FIN | ACK).expect(ACK)
    return check(script, State.TIME_WAIT)


def close_wait() -> Script:
    """The peer has closed."""
    script = established()
    script.sends(FIN | ACK).expect(ACK)
    return check(script, State.CLOSE_WAIT)


def last_ack(how: Callable[[Script], None] | None = None) -> Script:
    """The peer has closed, then the stack."""
    script = close_wait()
    (how or shut_write)(script)
    script.expect(FIN | ACK)
    return check(script, State.LAST_ACK)


def shut_write(script: Script) -> None:
    """shutdown(SHUT_WR)."""
    script.sock.shutdown(1)


def close(script: Script) -> None:
    """close(): from here on nobody will read."""
    script.sock.close()


def check(script: Script, state: State) -> Script:
    """Time counts from the moment that the state was reached."""
    assert State(script.state) is state
    return script.mark()


def is_forgotten(script: Script) -> None:
    """The stack does not know of the connection: a segment for it is reset (RFC 9293 3.10.7.1)."""
    assert script.state == State.CLOSED
    script.sends(ACK, ack=IRS + 500).expect(RST, seq=IRS + 500)
    script.expect_nothing()


SYNCHRONIZED: dict[State, Callable[[], Script]] = {
    State.ESTABLISHED: established,
    State.FIN_WAIT_1: fin_wait_1,
    State.FIN_WAIT_2: fin_wait_2,
    State.CLOSING: closing,
    State.CLOSE_WAIT: close_wait,
    State.LAST_ACK: last_ack,
}
EVERY: dict[State, Callable[[], Script]] = {
    State.CLOSED: closed,
    State.LISTEN: listening,
    State.SYN_SENT: syn_sent,
    State.SYN_RECEIVED: syn_received,
    **SYNCHRONIZED,
    State.TIME_WAIT: time_wait,
}
assert (ISS + 1) & M32 < IRS  # both wrap within the first octets of every test
