"""Resets: RFC 9293 3.5.2, 3.5.3 and 3.10.7, RFC 5961 3 to 5, and what Linux tells the application."""

import errno
from collections.abc import Callable

import pytest

from aionetflow.tcp.states import State
from support.fixtures import EVERY, SYNCHRONIZED, closed, established, syn_received, time_wait
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, SYN, Script

IN, OUT, ERR, HUP, RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000
Builder = Callable[[], Script]
synchronized = pytest.mark.parametrize("state", SYNCHRONIZED.values(), ids=[s.name for s in SYNCHRONIZED])
every = pytest.mark.parametrize("state", EVERY.values(), ids=[s.name for s in EVERY])


def ack_now(script: Script) -> int:
    """An acknowledgment that the state stays in: it does not cover a FIN that is under way."""
    return IRS + 1 if script.sock.connection is not None else script.heard


# A port nobody listens on ---------------------------------------------------------------------------------------


@rule(
    "RFC 9293 3.5.2", "A segment without ACK for no connection is answered with number 0 and an ACK of all of it",
    code="tcp/reset.py",
)  # fmt: skip
@pytest.mark.parametrize(
    ("flags", "data", "length"),
    [(SYN, b"", 1), (SYN, b"abc", 4), (FIN, b"", 1), (PSH, b"abc", 3), (0, b"", 0), (SYN | FIN, b"x", 3)],
)
def test_closed_resets_a_segment_without_ack(flags: int, data: bytes, length: int) -> None:
    script = closed()
    script.sends(flags, data=data).expect(RST | ACK, seq=0, ack=ISS + length)
    script.expect_nothing()


@rule(
    "RFC 9293 3.5.2", "A segment with ACK for no connection is answered with a RST of that number",
    code="tcp/reset.py",
)  # fmt: skip
@pytest.mark.parametrize("flags", [ACK, SYN | ACK, FIN | ACK, PSH | ACK])
def test_closed_resets_a_segment_with_ack(flags: int) -> None:
    script = closed()
    script.sends(flags, ack=0xFFFFFFF5).expect(RST, seq=0xFFFFFFF5)
    script.expect_nothing()


@rule("RFC 9293 3.10.7.1", "A RST is never answered with a RST", code="tcp/reset.py")
@every
@pytest.mark.parametrize("flags", [RST, RST | ACK, RST | SYN, RST | FIN, RST | SYN | ACK])
@pytest.mark.parametrize("offset", [-100000, -1, 0, 1, 100000])
def test_a_reset_is_never_answered_with_a_reset(state: Builder, flags: int, offset: int) -> None:
    script = state()
    script.sends(flags, seq=script.nxt + offset, ack=script.heard)
    assert not any(heard.flags & RST for heard in script.drain())


def test_no_reset_for_a_segment_with_a_wrong_checksum() -> None:
    script = closed()
    packet = bytearray(script.segment(SYN))
    packet[-1] ^= 0x40
    packet[37] ^= 1
    script.deliver([bytes(packet)]).expect_nothing()
    assert script.stack.stats.tcp.InCsumErrors == 1


@rule("RFC 1122 4.2.3.10", "A SYN to a broadcast address is discarded in silence", code="socket/demux.py")
def test_no_reset_for_a_broadcast() -> None:
    """RFC 1122 4.2.3.10: a SYN to a broadcast address is discarded."""
    script = closed()
    packet = bytearray(script.segment(SYN))
    packet[16:20] = bytes((10, 0, 0, 255))
    # Both checksums: the sums of the old and of the new address differ by 254.
    for offset in (10, 36):
        value = int.from_bytes(packet[offset : offset + 2], "big") - 254
        packet[offset : offset + 2] = (value - (value < 0) & 0xFFFF).to_bytes(2, "big")
    script.deliver([bytes(packet)]).expect_nothing()


# A reset arrives (RFC 5961 3) -----------------------------------------------------------------------------------


@rule("RFC 5961 3.2", "A RST with exactly the expected number ends the connection", code="tcp/arrival.py")
@synchronized
def test_an_exact_reset_ends_the_connection(state: Builder) -> None:
    script = state()
    script.sends(RST).expect_nothing()
    assert script.state == State.CLOSED
    script.at(200).expect_nothing()
    script.sends(ACK, ack=IRS + 9).expect(RST, seq=IRS + 9)


@rule("RFC 5961 3.2", "A RST elsewhere in the window is answered with a challenge ACK", code="tcp/arrival.py")
@synchronized
@pytest.mark.parametrize("offset", [1, 1000])
def test_a_reset_elsewhere_in_the_window_is_challenged(state: Builder, offset: int) -> None:
    script = state()
    before = script.state
    script.sends(RST, seq=script.nxt + offset).expect(ACK)
    script.expect_nothing()
    assert script.state == before
    assert script.stack.stats.tcp.TCPChallengeACK == 1


@rule("RFC 5961 3.2", "A RST outside of the window is dropped in silence", code="tcp/arrival.py")
@synchronized
@pytest.mark.parametrize("offset", [-1, -70000, 10_000_000, 1 << 31])
def test_a_reset_outside_of_the_window_is_ignored(state: Builder, offset: int) -> None:
    script = state()
    before = script.state
    script.sends(RST, seq=script.nxt + offset).expect_nothing()
    # Linux tcp_reset_check: some peers reset with the number of their FIN
    ended = offset == -1 and before in (State.CLOSE_WAIT, State.LAST_ACK, State.CLOSING)
    assert script.state == (State.CLOSED if ended else before)


def test_syn_received_challenges_a_reset_elsewhere_in_the_window() -> None:
    """RFC 9293 3.10.7.4 second counts SYN-RECEIVED among the states of RFC 5961."""
    script = syn_received()
    script.sends(RST, seq=ISS + 2).expect(ACK, seq=IRS + 1)
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    assert script.listener.events() == IN


@rule("RFC 9293 3.10.7.4", "A RST ends TIME-WAIT", code="tcp/arrival.py")
def test_time_wait_ends_with_an_exact_reset() -> None:
    """RFC 9293 3.10.7.4 second, Linux with tcp_rfc1337 = 0."""
    script = time_wait()
    script.sends(RST).expect_nothing()
    assert script.state == State.CLOSED


def test_time_wait_ignores_any_other_reset() -> None:
    script = time_wait()
    script.sends(RST, seq=script.nxt - 1).expect_nothing()
    assert script.state == State.TIME_WAIT


@rule("RFC 9293 3.10.7.4", "A RST is reported to the user, whose calls fail", code="socket/stream.py")
def test_the_application_is_told_of_a_reset_once() -> None:
    script = established()
    script.sends(RST | ACK)
    assert script.sock.events() == IN | OUT | ERR | HUP | RDHUP
    with pytest.raises(ConnectionResetError):
        script.sock.recv(10)
    assert script.sock.events() == IN | OUT | HUP | RDHUP
    assert script.sock.recv(10) == b""
    with pytest.raises(BrokenPipeError):
        script.sock.send(b"x")


def test_send_is_told_of_a_reset_once() -> None:
    script = established()
    script.sends(RST | ACK)
    with pytest.raises(ConnectionResetError):
        script.sock.send(b"x")
    with pytest.raises(BrokenPipeError):
        script.sock.send(b"x")


@pytest.mark.parametrize("state", [s for s in SYNCHRONIZED if s is not State.ESTABLISHED])
def test_the_error_of_a_reset_is_linux_s(state: State) -> None:
    """Linux tcp_reset: EPIPE in CLOSE-WAIT, else ECONNRESET."""
    script = SYNCHRONIZED[state]()
    script.sends(RST)
    wanted = errno.EPIPE if state is State.CLOSE_WAIT else errno.ECONNRESET
    assert script.sock.getsockopt(1, 4) == wanted


def test_a_reset_leaves_what_was_received() -> None:
    """Linux: data that were received before stay readable, and the error comes after them."""
    script = established()
    script.sends(PSH | ACK, data=b"first").sends(RST)
    assert script.sock.recv(100) == b"first"
    with pytest.raises(ConnectionResetError):
        script.sock.recv(100)


def test_a_reset_drops_what_was_to_be_sent() -> None:
    script = established(window=1000)
    script.sock.send(bytes(3000))
    script.expect_data(bytes(1000))
    script.sends(RST).expect_nothing()
    script.at(100).expect_nothing()


# A SYN arrives (RFC 5961 4) -------------------------------------------------------------------------------------


@rule(
    "RFC 5961 4.2", "A SYN in a synchronized state is answered with a challenge ACK, wherever it lies",
    code="tcp/arrival.py",
)  # fmt: skip
@synchronized
@pytest.mark.parametrize("offset", [-70000, -1, 0, 1000, 10_000_000])
@pytest.mark.parametrize("flags", [SYN, SYN | ACK])
def test_a_syn_is_challenged_wherever_it_lies(state: Builder, flags: int, offset: int) -> None:
    script = state()
    before = script.state
    script.sends(flags, seq=script.nxt + offset, ack=ack_now(script)).expect(ACK)
    script.expect_nothing()
    assert script.state == before


# An ACK arrives (RFC 5961 5) ------------------------------------------------------------------------------------


@rule(
    "RFC 9293 3.10.7.4", "An ACK of what was not sent is answered with an ACK, and the segment dropped",
    code="tcp/acknowledgment.py",
)  # fmt: skip
@synchronized
def test_an_ack_of_what_was_never_sent_is_answered_with_an_ack(state: Builder) -> None:
    """RFC 9293 3.10.7.4 fifth: send an ACK, drop the segment."""
    script = state()
    before = script.state
    script.sends(PSH | ACK, seq=script.nxt, ack=IRS + 3, data=b"no").expect(ACK)
    script.expect_nothing()
    assert script.state == before


@rule(
    "RFC 5961 5.2", "An ACK older than the largest window is answered with an ACK, and its data dropped",
    code="tcp/acknowledgment.py",
)  # fmt: skip
@pytest.mark.parametrize("age", [65535 + 2, 1_000_000, (1 << 31) - 5])
def test_an_ack_from_long_ago_is_challenged_and_its_data_dropped(age: int) -> None:
    script = established()
    script.sends(PSH | ACK, seq=script.nxt, ack=IRS + 1 - age, data=b"no").expect(ACK)
    with pytest.raises(BlockingIOError):
        script.sock.recv(10)


@rule("RFC 5961 5.2", "An old ACK of at most the largest window's age is acceptable", code="tcp/acknowledgment.py")
def test_an_ack_within_a_window_s_age_brings_its_data() -> None:
    script = established()
    script.sends(PSH | ACK, ack=IRS + 1 - 60000, data=b"yes").at(0.04).expect(ACK)
    assert script.sock.recv(10) == b"yes"


@rule("RFC 9293 3.10.7.4", "In a synchronized state a segment without ACK is dropped", code="tcp/arrival.py")
@synchronized
@pytest.mark.parametrize("flags", [0, PSH, FIN])
def test_a_segment_without_ack_is_dropped(state: Builder, flags: int) -> None:
    script = state()
    before = script.state
    script.sends(flags, seq=script.nxt, data=b"x").expect_nothing()
    assert script.state == before


@rule("RFC 5961 7", "Challenge ACKs are limited in their rate", code="tcp/connection.py")
def test_challenge_acks_are_limited() -> None:
    """RFC 5961 7; Linux: tcp_challenge_ack_limit."""
    script = established()
    for _ in range(1500):
        script.deliver([script.segment(RST, seq=script.nxt + 1)])
    assert len(script.drain()) <= 1000


def test_a_reset_to_another_connection_concerns_this_one_not() -> None:
    script = established()
    own = script.ports
    script.ports = (own[0] + 1, own[1])
    script.sends(RST, seq=script.nxt).expect_nothing()
    assert script.state == State.ESTABLISHED
    script.sends(ACK, seq=script.nxt, ack=77).expect(RST, seq=77)
    assert (script.nxt, script.state) == ((ISS + 1) & M32, State.ESTABLISHED)
