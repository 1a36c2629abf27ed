"""Closing a connection: RFC 9293 3.6 and 3.10.7.4, RFC 1122 4.2.2.13, Linux's orphans and SO_LINGER."""

import errno
from collections.abc import Callable

import pytest

from aionetflow.tcp.states import State
from support.fixtures import (
    close,
    close_wait,
    closing,
    established,
    fin_wait_1,
    fin_wait_2,
    is_forgotten,
    last_ack,
    shut_write,
)
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, Script

IN, OUT, ERR, HUP, RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000
WAYS = [shut_write, close]


# The stack closes first -----------------------------------------------------------------------------------------


@rule("RFC 9293 3.10.4", "CLOSE in ESTABLISHED sends a FIN and moves to FIN-WAIT-1", code="tcp/departure.py")
@pytest.mark.parametrize("way", WAYS)
def test_established_sends_a_fin_on_close(way: Callable[[Script], None]) -> None:
    script = established()
    way(script)
    script.expect(FIN | ACK, seq=IRS + 1, ack=ISS + 1)
    script.expect_nothing()
    assert script.state == State.FIN_WAIT_1


@pytest.mark.parametrize("way", WAYS)
def test_the_fin_goes_with_the_last_data(way: Callable[[Script], None]) -> None:
    """The last octets wait for Nagle's ACK; they and the FIN go as one when it closes."""
    script = established()
    script.sock.send(b"first")
    script.expect(PSH | ACK, data=b"first")
    script.sock.send(b"last")
    script.expect_nothing()
    way(script)
    script.expect(FIN | PSH | ACK, data=b"last")
    assert script.state == State.FIN_WAIT_1


@rule("RFC 9293 3.10.4", "The FIN follows all that was written", code="tcp/send.py")
def test_the_fin_waits_for_data_that_the_window_holds_back() -> None:
    script = established(window=2000)
    script.sock.send(bytes(3000))
    script.sock.close()
    script.expect_data(bytes(2000), [1000, 1000])
    script.expect_nothing()
    script.sends(ACK, window=2000)
    script.expect(FIN | PSH | ACK, data=bytes(1000))
    script.expect_nothing()


@rule("RFC 9293 3.10.7.4", "FIN-WAIT-1 moves to FIN-WAIT-2 when the FIN is acknowledged", code="tcp/states.py")
@pytest.mark.parametrize("way", WAYS)
def test_fin_wait_1_moves_to_fin_wait_2_on_the_ack_of_the_fin(way: Callable[[Script], None]) -> None:
    script = fin_wait_1(way)
    script.sends(ACK).expect_nothing()
    assert script.state == State.FIN_WAIT_2


@rule("RFC 9293 3.10.7.4", "FIN-WAIT-1 stays until the FIN itself is acknowledged", code="tcp/send.py")
def test_fin_wait_1_stays_when_only_its_data_are_acknowledged() -> None:
    script = established()
    script.sock.send(b"data")
    script.sock.close()
    script.expect(PSH | ACK, data=b"data")
    script.expect(FIN | ACK)
    script.sends(ACK, ack=IRS + 5).expect_nothing()
    assert script.state == State.FIN_WAIT_1
    script.sends(ACK, ack=IRS + 6).expect_nothing()
    assert script.state == State.FIN_WAIT_2


@rule("RFC 9293 3.6", "FINs that cross lead to CLOSING", code="tcp/states.py")
@pytest.mark.parametrize("way", WAYS)
def test_fin_wait_1_moves_to_closing_on_a_fin_without_the_ack(way: Callable[[Script], None]) -> None:
    script = fin_wait_1(way)
    script.sends(FIN | ACK, ack=IRS + 1).expect(ACK, seq=IRS + 2)
    assert script.state == State.CLOSING


@rule("RFC 9293 3.10.7.4", "FIN-WAIT-1 moves to TIME-WAIT on a FIN that acknowledges ours", code="tcp/arrival.py")
@pytest.mark.parametrize("way", WAYS)
def test_fin_wait_1_moves_to_time_wait_on_a_fin_with_the_ack(way: Callable[[Script], None]) -> None:
    script = fin_wait_1(way)
    script.sends(FIN | ACK).expect(ACK)
    assert script.state == State.TIME_WAIT


@rule("RFC 9293 3.10.7.4", "FIN-WAIT-2 moves to TIME-WAIT on a FIN", code="tcp/states.py")
@pytest.mark.parametrize("way", WAYS)
def test_fin_wait_2_moves_to_time_wait_on_a_fin(way: Callable[[Script], None]) -> None:
    script = fin_wait_2(way)
    script.sends(FIN | ACK).expect(ACK)
    assert script.state == State.TIME_WAIT


@rule("RFC 9293 3.10.7.4", "CLOSING moves to TIME-WAIT on the ACK of the FIN", code="tcp/states.py")
@pytest.mark.parametrize("way", WAYS)
def test_closing_moves_to_time_wait_on_the_ack(way: Callable[[Script], None]) -> None:
    script = closing(way)
    script.sends(ACK).expect_nothing()
    assert script.state == State.TIME_WAIT


def test_closing_sends_its_fin_again() -> None:
    script = closing()
    script.at(0.3).expect(FIN | ACK, seq=IRS + 1)


@rule("RFC 9293 3.8.1", "A FIN that was lost is sent again", code="tcp/departure.py")
@pytest.mark.parametrize("way", WAYS)
def test_fin_lost_is_sent_again_with_back_off(way: Callable[[Script], None]) -> None:
    script = fin_wait_1(way)
    for when in (0.3, 0.9, 2.1, 4.5):
        script.at(when - 0.000001).expect_nothing()
        script.at(when).expect(FIN | ACK, seq=IRS + 1)
    script.sends(ACK).expect_nothing()
    assert script.state == State.FIN_WAIT_2


def test_an_orphan_gives_up_after_eight_retries() -> None:
    """Linux tcp_orphan_retries: 0 means 8."""
    script = fin_wait_1(close)
    for _ in range(8):
        script.clock.run_timers(script.clock.next_deadline())
        script.expect(FIN | ACK, seq=IRS + 1)
    script.after(300)
    assert all(heard.flags & RST for heard in script.drain())  # Linux may say a last word
    is_forgotten(script)


# Half close -----------------------------------------------------------------------------------------------------


@rule("RFC 9293 3.6.1", "A connection may be half closed: the other direction goes on", code="tcp/arrival.py")
@pytest.mark.parametrize("state", [fin_wait_1, fin_wait_2])
def test_after_shutdown_the_peer_is_still_heard(state: Callable[[], Script]) -> None:
    script = state()
    script.sends(PSH | ACK, ack=script.heard, data=b"more").after(0.04).expect(ACK)
    assert script.sock.events() == IN | OUT  # Linux: writing would not block, it fails
    assert script.sock.recv(100) == b"more"
    with pytest.raises(BlockingIOError):
        script.sock.recv(100)
    script.sends(FIN | ACK).expect(ACK)
    assert script.sock.recv(100) == b""


def test_after_shutdown_nothing_can_be_sent() -> None:
    script = fin_wait_2()
    with pytest.raises(BrokenPipeError):
        script.sock.send(b"x")
    script.sock.shutdown(1)  # Linux: once more does no harm
    script.expect_nothing()


def test_data_written_before_shutdown_are_still_delivered() -> None:
    script = established()
    script.sock.send(bytes(12000))
    script.sock.shutdown(1)
    script.expect_data(bytes(10000))
    script.sends(ACK)
    script.expect(ACK, data=bytes(1000))
    script.expect(FIN | PSH | ACK, data=bytes(1000))


@rule("RFC 9293 3.6.1", "CLOSE-WAIT can still send", code="tcp/states.py")
def test_close_wait_can_still_send() -> None:
    script = close_wait()
    assert script.sock.events() == IN | OUT | RDHUP
    assert script.sock.recv(100) == b""
    assert script.sock.send(b"answer") == 6
    script.expect(PSH | ACK, data=b"answer")
    script.sends(ACK).expect_nothing()
    assert script.state == State.CLOSE_WAIT


def test_fin_wait_2_of_a_socket_in_use_has_no_time_out() -> None:
    script = fin_wait_2(shut_write)
    script.at(1000).expect_nothing()
    assert script.state == State.FIN_WAIT_2


def test_fin_wait_2_of_an_orphan_ends_after_sixty_seconds() -> None:
    script = fin_wait_2(close)
    script.at(59.999999).expect_nothing()
    assert script.state == State.FIN_WAIT_2
    script.at(60).expect_nothing()
    is_forgotten(script)


def test_close_in_fin_wait_2_starts_its_time_out() -> None:
    script = fin_wait_2(shut_write)
    script.at(100)
    script.sock.close()
    script.at(159).expect_nothing()
    assert script.state == State.FIN_WAIT_2
    script.at(160.000001).expect_nothing()
    is_forgotten(script)


def test_shutdown_of_reading_ends_the_stream_for_the_reader_alone() -> None:
    script = established()
    script.sock.shutdown(0)
    script.expect_nothing()  # nothing on the wire says so
    assert script.sock.events() == IN | OUT | RDHUP
    assert script.sock.recv(100) == b""
    assert script.sock.send(b"x") == 1
    script.expect(PSH | ACK, data=b"x")


# The peer closes first ------------------------------------------------------------------------------------------


@rule("RFC 9293 3.10.7.4", "ESTABLISHED moves to CLOSE-WAIT on a FIN", code="tcp/states.py")
def test_established_moves_to_close_wait_on_a_fin() -> None:
    script = established()
    script.sends(FIN | ACK).expect(ACK, ack=ISS + 2)
    assert script.state == State.CLOSE_WAIT


@rule("RFC 9293 3.10.4", "CLOSE in CLOSE-WAIT sends a FIN and moves to LAST-ACK", code="tcp/states.py")
@pytest.mark.parametrize("way", WAYS)
def test_close_wait_moves_to_last_ack_on_close(way: Callable[[Script], None]) -> None:
    script = close_wait()
    way(script)
    script.expect(FIN | ACK)
    assert script.state == State.LAST_ACK


@rule("RFC 9293 3.10.7.4", "LAST-ACK ends with the ACK of the FIN", code="tcp/states.py")
@pytest.mark.parametrize("way", WAYS)
def test_last_ack_is_over_with_the_ack(way: Callable[[Script], None]) -> None:
    script = last_ack(way)
    script.sends(ACK).expect_nothing()
    is_forgotten(script)


def test_last_ack_sends_its_fin_again() -> None:
    script = last_ack()
    script.at(0.3).expect(FIN | ACK, seq=IRS + 1)
    script.at(0.9).expect(FIN | ACK, seq=IRS + 1)


def test_a_socket_whose_connection_has_ended_says_so() -> None:
    script = last_ack()
    script.sends(ACK)
    assert script.sock.events() == IN | OUT | HUP | RDHUP
    assert script.sock.recv(10) == b""
    with pytest.raises(BrokenPipeError):
        script.sock.send(b"x")
    with pytest.raises(OSError) as failure:
        script.sock.getpeername()
    assert failure.value.errno == errno.ENOTCONN


@rule("RFC 9293 3.10.7.4", "A FIN counts behind the data of its segment", code="tcp/arrival.py")
def test_fin_with_data_delivers_them_first() -> None:
    script = established()
    script.sends(FIN | PSH | ACK, data=b"bye").expect(ACK)
    assert script.state == State.CLOSE_WAIT
    assert (script.sock.recv(100), script.sock.recv(100)) == (b"bye", b"")


@rule("RFC 9293 3.10.7.4", "A FIN counts when all before it has arrived", code="tcp/arrival.py")
def test_fin_out_of_order_waits_for_what_is_missing() -> None:
    script = established()
    script.sends(FIN | ACK, seq=ISS + 6).expect(ACK, ack=ISS + 1)
    assert script.state == State.ESTABLISHED
    script.sends(PSH | ACK, seq=ISS + 1, data=b"late!").drain()
    script.nxt = (ISS + 7) & M32
    if script.state == State.ESTABLISHED:
        # Whether a FIN ahead of its turn is kept is left open (RFC 9293 3.10.7.4 eighth); it will come again.
        script.sends(FIN | ACK, seq=ISS + 6).expect(ACK)
    assert script.state == State.CLOSE_WAIT
    assert (script.sock.recv(100), script.sock.recv(100)) == (b"late!", b"")


def test_fin_with_data_out_of_order_waits_for_what_is_missing() -> None:
    script = established()
    script.sends(FIN | PSH | ACK, seq=ISS + 6, data=b"world").expect(ACK, ack=ISS + 1)
    script.sends(PSH | ACK, seq=ISS + 1, data=b"hello")
    assert script.drain()[-1].ack == (ISS + 12) & M32  # Linux keeps the FIN
    assert script.state == State.CLOSE_WAIT
    assert (script.sock.recv(100), script.sock.recv(100)) == (b"helloworld", b"")


@rule("RFC 9293 3.10.7.4", "A FIN that comes again is acknowledged again and moves nothing", code="tcp/arrival.py")
@pytest.mark.parametrize("state", [close_wait, last_ack, closing])
def test_the_fin_again_is_acknowledged_again(state: Callable[[], Script]) -> None:
    script = state()
    before = script.state
    script.sends(FIN | ACK, seq=script.nxt - 1, ack=IRS + 1).expect(ACK)
    assert script.state == before


@rule("RFC 9293 3.10.7.4", "What follows the peer's FIN is ignored", code="tcp/receive.py")
@pytest.mark.parametrize("state", [close_wait, last_ack, closing])
def test_data_after_the_fin_are_not_delivered(state: Callable[[], Script]) -> None:
    """RFC 9293 3.10.7.4 seventh: this should not occur; ignore the segment text."""
    script = state()
    script.sends(PSH | ACK, ack=IRS + 1, data=b"beyond").after(0.1).drain()
    script.nxt = (script.nxt - 6) & M32
    if state is close_wait:
        assert script.sock.recv(100) == b""
    script.at(script.now()).sends(ACK, ack=IRS + 1)
    assert all(heard.ack == script.nxt for heard in script.drain())


@rule("RFC 9293 3.6", "Two ends that close at once both reach CLOSED", code="tcp/states.py")
def test_simultaneous_close_ends_in_time_wait_and_then_closed() -> None:
    script = closing(close)
    script.sends(ACK).mark()
    assert script.state == State.TIME_WAIT
    script.at(60).expect_nothing()
    is_forgotten(script)
