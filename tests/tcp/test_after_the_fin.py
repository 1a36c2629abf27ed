"""What comes of a stream that has ended, or is about to (RFC 9293 3.10.7.4, Linux tcp_rcv_state_process)."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from aionetflow.tcp.states import State
from support.fixtures import close_wait, closing, established, last_ack, syn_sent, time_wait
from support.modern import blocks_of
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, SYN, Script, syn_options

SO_ERROR = (1, 4)
Fixture = Callable[[], Script]
SACK_PERMITTED = b"\x04\x02"


def with_sack() -> Script:
    """A connection with SACK, whose segments are acknowledged at once."""
    script = syn_sent()
    script.sends(SYN | ACK, options=syn_options(1000, None) + SACK_PERMITTED)
    script.expect(ACK)
    return script.mark()


@pytest.mark.parametrize("fixture", [close_wait, closing, last_ack])
@rule("RFC 9293 3.10.7.4", "What follows the peer's FIN is not looked at", code="tcp/arrival.py")
def test_data_behind_the_fin_are_dropped_without_a_word(fixture: Fixture) -> None:
    """Linux: nobody can have sent it in good order."""
    script = fixture()
    state = script.state
    for flags, data in ((PSH | ACK, b"ghost"), (FIN | ACK, b"")):
        script.sends(flags, seq=script.nxt, ack=script.heard - 1, data=data).expect_nothing()
    assert script.state == state


@rule("RFC 1122 4.2.2.13", "Data that go beyond the peer's FIN end the connection", code="tcp/arrival.py")
def test_data_across_the_fin_reset_the_connection() -> None:
    script = close_wait()
    script.sends(PSH | ACK, seq=script.nxt - 2, data=b"tail").expect(RST, seq=IRS + 1)
    assert script.state == State.CLOSED
    assert script.sock.getsockopt(*SO_ERROR) == errno.EPIPE
    assert script.stack.stats.tcp.TCPAbortOnData == 1


@rule("RFC 2883 4", "A FIN that comes twice is reported like data that do", code="tcp/sack.py")
def test_what_came_before_the_fin_is_acknowledged_again_at_once() -> None:
    script = with_sack()
    script.sends(FIN | PSH | ACK, data=b"end").drain()
    for seq, flags, data in ((ISS + 1, FIN | PSH | ACK, b"end"), (ISS + 4, FIN | ACK, b"")):
        script.sends(flags, seq=seq, data=data)
        assert blocks_of(script.expect(ACK, ack=ISS + 5)) == [(seq & M32, (ISS + 5) & M32)]


def test_a_fin_that_waits_and_comes_again_is_reported() -> None:
    script = with_sack()
    fin = script.segment(FIN | ACK, seq=ISS + 6)
    block = (ISS + 6) & M32, (ISS + 7) & M32
    script.deliver([fin])
    assert blocks_of(script.expect(ACK)) == [block]
    script.deliver([fin])
    assert blocks_of(script.expect(ACK)) == [block, block]  # twice, and still ahead of its turn


@pytest.mark.parametrize("fixture", [established, close_wait, closing, last_ack])
@rule("RFC 9293 3.10.7.4", "An ACK of what was not sent is answered by an ACK", code="tcp/acknowledgment.py")
def test_an_acknowledgment_of_what_was_not_sent_is_challenged(fixture: Fixture) -> None:
    """Linux: no more often than any challenge, as both ends may think that of each other."""
    script = fixture()
    script.mark()
    script.sends(ACK, ack=script.heard + 1000).expect(ACK)
    script.at(0.1).sends(ACK, ack=script.heard + 1000).expect_nothing()
    script.sends(PSH | ACK, ack=script.heard + 1000, seq=script.nxt, data=b"x").expect_nothing()
    assert script.stack.stats.tcp.TCPACKSkippedChallenge == 2


def test_time_wait_answers_data_and_fins_always_and_the_rest_rarely() -> None:
    """Linux tcp_oow_rate_limited: no two ends answer each other's data for ever."""
    script = time_wait()
    for _ in range(2):
        script.sends(FIN | ACK, seq=script.nxt - 1).expect(ACK)
        script.sends(PSH | ACK, seq=script.nxt - 3, data=b"old").expect(ACK)
    script.sends(ACK, seq=script.nxt + 100_000).expect(ACK)
    script.sends(ACK, seq=script.nxt + 100_000).expect_nothing()
