"""SACKs that are put together: what comes behind a hole is reported at once three times, then in one for many (Linux
tcp_comp_sack_nr, tcp_comp_sack_delay_ns).
"""

from __future__ import annotations

import pytest

from support.fixtures import syn_sent
from support.modern import blocks_of
from support.rules import rule
from support.script import ACK, ISS, M32, PSH, SYN, Script, syn_options

SACK_PERMITTED = b"\x04\x02"
TCP_QUICKACK = 6, 12
SIZE = 100


def with_sack(rtt: float = 0.1) -> Script:
    """A connection whose peer knows SACK."""
    script = syn_sent().after(rtt)
    script.sends(SYN | ACK, options=syn_options(1000, None) + SACK_PERMITTED)
    script.expect(ACK)
    return script.mark()


def with_a_hole(rtt: float = 0.1) -> Script:
    """The peer's first segment is missing; what comes behind it was reported three times."""
    script = with_sack(rtt)
    for number in range(1, 4):
        comes(script, number)
        assert reported(script) == (1, number + 1)
    return script


def comes(script: Script, number: int) -> None:
    """The peer's segment of that number, counted from 0."""
    script.sends(PSH | ACK, seq=ISS + 1 + SIZE * number, data=bytes(SIZE))


def reported(script: Script, expected: int = 0) -> tuple[int, int]:
    """The one block of the SACK that is sent now, and expects that segment, as numbers of segments."""
    ((start, end),) = blocks_of(script.expect(ACK, ack=ISS + 1 + SIZE * expected))
    return (start - ISS - 1 & M32) // SIZE, (end - ISS - 1 & M32) // SIZE


@rule("RFC 5681 4.2", "The first three segments behind a hole are acknowledged at once", code="tcp/delayed_ack.py")
def test_from_the_fourth_on_they_are_reported_together_after_a_millisecond() -> None:
    script = with_a_hole()
    for number in range(4, 9):
        comes(script, number)
    script.at(0.000999).expect_nothing()
    script.at(0.001)
    assert reported(script) == (1, 9)
    assert script.stack.stats.tcp.TCPAckCompressed == 4
    assert script.stack.stats.tcp.DelayedACKs == 0
    script.at(1).expect_nothing()


def test_no_longer_than_a_twentieth_of_a_round_trip() -> None:
    script = with_a_hole(rtt=0.01)
    comes(script, 4)
    script.at(0.000499).expect_nothing()
    script.at(0.0005)
    assert reported(script) == (1, 5)


@pytest.mark.parametrize("most", [0, 1, 3])
def test_tcp_comp_sack_nr_says_how_many(most: int) -> None:
    script = with_a_hole()
    script.stack.sysctl["net.ipv4.tcp_comp_sack_nr"] = most
    for number in range(4, 4 + most):
        comes(script, number)
        script.expect_nothing()
    comes(script, 4 + most)
    assert reported(script) == (1, 5 + most)


def test_what_fills_the_hole_is_acknowledged_at_once() -> None:
    script = with_a_hole()
    comes(script, 4)
    script.expect_nothing()
    comes(script, 0)
    script.expect(ACK, ack=ISS + 1 + 5 * SIZE)
    script.at(1).expect_nothing()


def test_behind_the_next_hole_three_are_reported_at_once_again() -> None:
    """The segment that fills the first is the first of them."""
    script = with_a_hole()
    comes(script, 5)
    script.at(0.001).drain()
    script.sock.setsockopt(*TCP_QUICKACK, 0)
    comes(script, 0)
    script.expect(ACK, ack=ISS + 1 + 4 * SIZE)
    for number in (6, 7):
        comes(script, number)
        assert reported(script, 4) == (5, number + 1)
    comes(script, 8)
    script.expect_nothing()


def test_what_is_written_meanwhile_carries_the_report() -> None:
    script = with_a_hole()
    comes(script, 4)
    script.sock.send(b"x")
    assert blocks_of(script.expect(PSH | ACK, data=b"x")) == [(ISS + 1 + SIZE & M32, ISS + 1 + 5 * SIZE & M32)]
    script.at(0.1).expect_nothing()


def test_one_that_acknowledges_at_once_anyway_puts_nothing_together() -> None:
    """Linux: the first segments of a connection, and those after a pause, are acknowledged each."""
    script = with_sack()
    script.sends(PSH | ACK, data=bytes(SIZE)).expect(ACK)
    for number in range(2, 9):
        comes(script, number)
        assert reported(script, 1) == (2, number + 1)


def test_what_is_in_turn_counts_where_a_single_octet_is_ahead() -> None:
    """Its acknowledgment reports that octet, and is the first of the three."""
    script = with_sack()
    script.sends(PSH | ACK, seq=ISS + 1 + SIZE * 9, data=b"x")
    script.expect(ACK, ack=ISS + 1)
    script.sock.setsockopt(*TCP_QUICKACK, 0)
    comes(script, 0)
    script.expect(ACK, ack=ISS + 1 + SIZE)
    script.sock.setsockopt(*TCP_QUICKACK, 0)  # the first data have begun a phase of quick ones
    for number in (2, 3):
        comes(script, number)
        script.expect(ACK, ack=ISS + 1 + SIZE)
    comes(script, 4)
    script.expect_nothing()
