"""After the close, and instead of it: TIME-WAIT, resets, SO_LINGER (RFC 9293 3.6.1, 3.10.7.4, RFC 1122 4.2.2.13)."""

import errno
import struct
from collections.abc import Callable

import pytest

from aionetflow.tcp.states import State
from support.fixtures import (
    accepted,
    close,
    established,
    fin_wait_1,
    fin_wait_2,
    is_forgotten,
    shut_write,
    syn_sent,
    time_wait,
)
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, SYN, Script

IN, OUT, ERR, HUP, RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000
LINGER_ZERO = struct.pack("ii", 1, 0)
WAYS = [shut_write, close]


# TIME-WAIT ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_time_wait_lasts_sixty_seconds(way: Callable[[Script], None]) -> None:
    script = time_wait(way)
    script.at(59.999999).expect_nothing()
    assert script.state == State.TIME_WAIT
    script.at(60).expect_nothing()
    is_forgotten(script)


def test_time_wait_acknowledges_the_fin_again_and_starts_anew() -> None:
    script = time_wait()
    script.at(10).sends(FIN | ACK, seq=script.nxt - 1).expect(ACK)
    script.at(69.999999).expect_nothing()
    assert script.state == State.TIME_WAIT
    script.at(70).expect_nothing()
    is_forgotten(script)


def test_time_wait_acknowledges_an_old_duplicate() -> None:
    script = time_wait()
    script.sends(PSH | ACK, seq=ISS + 1, data=b"?").expect(ACK)
    assert script.state == State.TIME_WAIT


def test_time_wait_tells_the_reader_the_end() -> None:
    script = time_wait()
    assert script.sock.recv(10) == b""
    assert script.sock.events() & (IN | RDHUP | HUP) == IN | RDHUP | HUP
    with pytest.raises(BrokenPipeError):
        script.sock.send(b"x")


def server_in_time_wait() -> Script:
    """The listener's side has closed first; the listener is still there."""
    script = accepted()
    script.sock.close()
    script.expect(FIN | ACK)
    script.sends(ACK)
    script.sends(FIN | ACK).expect(ACK)
    assert script.state == State.TIME_WAIT
    return script.mark()


def test_time_wait_makes_room_for_a_new_syn() -> None:
    """RFC 1122 4.2.2.13, RFC 9293 3.10.7.4 fourth: a SYN with a higher number begins a new connection."""
    script = server_in_time_wait()
    old = script.heard
    script.edge = None
    script.nxt = (script.nxt + 100000) & M32
    script.sends(SYN, mss=1000)
    answer = script.take()
    assert (answer.flags, answer.ack) == (SYN | ACK, script.nxt)
    assert 0 < (answer.seq - old) & M32 < 1 << 31, "the new numbers must lie beyond the old ones"
    script.heard = (answer.seq + 1) & M32
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    assert script.listener.accept()[0].getpeername() == ("10.0.0.2", 4000)


def test_time_wait_acknowledges_an_old_syn() -> None:
    script = server_in_time_wait()
    script.sends(SYN, seq=ISS).expect(ACK)
    script.expect_nothing()
    assert script.state == State.TIME_WAIT


# Closing by reset -----------------------------------------------------------------------------------------------


def test_close_with_unread_data_resets() -> None:
    """RFC 1122 4.2.2.13, RFC 2525 2.17."""
    script = established()
    script.sends(PSH | ACK, data=b"unread")
    script.sock.close()
    script.expect(RST | ACK, seq=IRS + 1)
    script.expect_nothing()
    is_forgotten(script)


def test_close_after_reading_all_does_not_reset() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"read")
    script.sock.recv(100)
    script.sock.close()
    script.expect(FIN | ACK)


def test_close_in_close_wait_with_unread_data_resets() -> None:
    script = established()
    script.sends(FIN | PSH | ACK, data=b"unread").at(0.04).expect(ACK)
    script.sock.close()
    script.expect(RST | ACK)
    is_forgotten(script)


def test_linger_zero_resets() -> None:
    script = established()
    script.sock.setsockopt(1, 13, LINGER_ZERO)
    script.sock.close()
    script.expect(RST | ACK, seq=IRS + 1)
    script.expect_nothing()
    is_forgotten(script)


def test_linger_zero_forgets_what_was_written() -> None:
    script = established(window=1000)
    script.sock.setsockopt(1, 13, LINGER_ZERO)
    script.sock.send(bytes(3000))
    script.expect_data(bytes(1000))
    script.sock.close()
    script.expect(RST | ACK, seq=IRS + 1001)
    script.at(100).expect_nothing()


def test_linger_with_time_closes_in_order() -> None:
    script = established()
    script.sock.setsockopt(1, 13, struct.pack("ii", 1, 5))
    script.sock.close()
    script.expect(FIN | ACK)


def test_linger_zero_in_syn_sent_says_nothing() -> None:
    script = syn_sent()
    script.sock.setsockopt(1, 13, LINGER_ZERO)
    script.sock.close()
    script.at(10).expect_nothing()


@pytest.mark.parametrize("state", [fin_wait_1, fin_wait_2])
@pytest.mark.parametrize("way", [close, lambda script: script.sock.shutdown(2)])
def test_data_after_close_are_reset(
    state: Callable[[Callable[[Script], None]], Script], way: Callable[[Script], None]
) -> None:
    """RFC 1122 4.2.2.13: a host that has closed for reading, too, shall say that data are lost."""
    script = state(way)
    script.sends(PSH | ACK, data=b"too late").expect(RST, seq=IRS + 2)
    script.expect_nothing()
    is_forgotten(script)


def test_a_fin_after_close_is_not_reset() -> None:
    script = fin_wait_2(close)
    script.sends(FIN | ACK).expect(ACK)
    assert script.state == State.TIME_WAIT


def test_close_twice_does_nothing_more() -> None:
    script = fin_wait_1(close)
    script.sock.close()
    script.expect_nothing()
    with pytest.raises(OSError) as failure:
        script.sock.send(b"x")
    assert failure.value.errno == errno.EBADF
