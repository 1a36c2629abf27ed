"""Who does not see a connection cannot end it, nor write into it (RFC 5961, RFC 5927), in any state."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from aionetflow.tcp.states import State
from support.fixtures import (
    close_wait,
    closing,
    established,
    fin_wait_1,
    fin_wait_2,
    last_ack,
    listening,
    syn_received,
    syn_sent,
    time_wait,
)
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, SYN, URG, Heard, Script

Builder = Callable[[], Script]
CONNECTED = (syn_sent, established, fin_wait_1, fin_wait_2, closing, time_wait, close_wait, last_ack)
SYNCHRONIZED = CONNECTED[1:]
GUESSES = 400
HARD = [(3, 2), (3, 3), (3, 9), (3, 10), (3, 13), (12, 0)]  # ICMP types and codes that would abort (RFC 1122 4.2.3.9)


def guesses(script: Script, exact: set[int], seed: int = 1) -> Iterator[tuple[int, int]]:
    """Sequence and acknowledgment numbers, half of the first in the window; none of them exactly right."""
    draws = random.Random(seed)
    for number in range(GUESSES):
        seq = draws.getrandbits(32) if number % 2 else (script.nxt + 1 + draws.getrandbits(15)) & M32
        ack = draws.getrandbits(32) if number % 3 else (script.heard + draws.getrandbits(16)) & M32
        if seq not in exact and ack not in exact:
            yield seq, ack


def attack(script: Script, flags: int, data: bytes = b"") -> int:
    """So many guessed segments; how many answers they got."""
    exact = {(script.nxt + i) & M32 for i in (-1, 0)} | {(script.heard + i) & M32 for i in (0, 1)}
    frames = [script.segment(flags, seq=seq, ack=ack, data=data) for seq, ack in guesses(script, exact)]
    assert len(frames) > GUESSES // 2
    for frame in frames:
        script.deliver([frame])
    return len(script.drain())


def is_alive(script: Script) -> None:
    """The true peer sends what comes next, and it is read; what was written is sent, and acknowledged."""
    script.after(1).drain()
    script.sends(PSH | ACK, data=b"true")
    script.drain()
    assert script.sock.recv(100) == b"true"
    script.sock.send(b"answer")
    script.expect(PSH | ACK, data=b"answer")


@rule("RFC 5961 3.2", "A RST whose number is not exactly the next one ends nothing", code="tcp/arrival.py")
@pytest.mark.parametrize("state", CONNECTED)
@pytest.mark.parametrize("flags", [RST, RST | ACK])
def test_guessed_resets_end_nothing(state: Builder, flags: int) -> None:
    script = state()
    before = script.state
    answers = attack(script, flags)
    assert script.state == before
    # RFC 5961 7: one challenge in half a second; only in SYN-SENT a RST gets none
    assert answers == (0 if before in (State.SYN_SENT, State.TIME_WAIT) else 1)


@rule("RFC 5961 4.2", "A SYN in a synchronized state is answered by a challenge ACK and ends nothing",
      code="tcp/arrival.py")  # fmt: skip
@pytest.mark.parametrize("state", SYNCHRONIZED)
@pytest.mark.parametrize("flags", [SYN, SYN | ACK, SYN | RST, SYN | FIN])
def test_guessed_syns_end_nothing(state: Builder, flags: int) -> None:
    script = state()
    before = script.state
    answers = attack(script, flags)
    assert script.state == before
    assert answers <= 1


@rule("RFC 5961 5.2", "Data whose ACK is not of what is in flight is not taken", code="tcp/arrival.py")
@pytest.mark.parametrize("state", SYNCHRONIZED)
@pytest.mark.parametrize("flags", [ACK, PSH | ACK, FIN | ACK, PSH | ACK | URG, FIN | PSH | ACK])
def test_guessed_data_reaches_nobody(state: Builder, flags: int) -> None:
    script = state()
    before = script.state
    exact = {script.nxt}
    window = script.nxt
    for seq, ack in guesses(script, exact, seed=3):
        # never an ACK that could be true: older than the largest window, or of what was not sent
        ack = ack if 70000 < (script.heard - ack) & M32 < 1 << 32 else (script.heard + 5) & M32
        script.deliver([script.segment(flags, seq=seq, ack=ack, data=b"false")])
    script.drain()
    assert script.state == before
    assert script.sock.connection is not None
    assert script.sock.connection.rcv.reassembly.length == 0
    assert script.sock.connection.rcv.rcv_nxt == window


def test_after_all_that_the_connection_goes_on() -> None:
    script = established()
    for flags in (RST, SYN, RST | ACK, SYN | ACK):
        attack(script, flags)
        is_alive(script)


@pytest.mark.parametrize("flags", [SYN | ACK, RST | ACK, ACK, FIN | ACK])
def test_a_connection_that_begins_takes_no_guess(flags: int) -> None:
    # RFC 5961 3.2, RFC 9293 3.10.7.3: in SYN-SENT the ACK must be of the SYN
    script = syn_sent()
    attack(script, flags)
    assert script.state == State.SYN_SENT
    script.sends(SYN | ACK).expect(ACK)
    assert script.state == State.ESTABLISHED


@pytest.mark.parametrize("flags", [RST, RST | ACK, SYN, SYN | ACK, ACK, PSH | ACK, FIN | ACK])
def test_a_half_open_connection_takes_no_guess(flags: int) -> None:
    script = syn_received()
    attack(script, flags, b"x" if flags & PSH else b"")
    assert len(script.stack.half_open.requests) == 1
    script.drain()
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    script.listener.accept()


def test_a_listener_gives_nothing_to_guesses() -> None:
    script = listening()
    script.heard = IRS
    attack(script, ACK)
    attack(script, RST | ACK)
    assert script.stack.half_open.requests == {}
    assert script.stack.table.connections == {}


# ---- challenge ACKs


@rule("RFC 5961 7", "A host sends no more challenge ACKs in a second than its limit", code="tcp/challenge.py")
def test_the_whole_host_sends_only_so_many_challenges() -> None:
    script = listening(backlog=100)
    script.stack.sysctl["net.ipv4.tcp_challenge_ack_limit"] = 10
    connections = range(4000, 4060)
    for port in connections:
        script.ports, script.nxt, script.edge, script.heard = (port, 80), ISS, None, IRS
        script.sends(SYN)
        script.drain()
        script.sends(ACK)
    counts = []
    for _ in range(8):
        script.after(1)
        for port in connections:
            script.ports, script.edge = (port, 80), None
            script.deliver([script.segment(RST, seq=ISS + 100)])
        counts.append(len(script.drain()))
    # Linux: half of it, and by chance up to as much again
    assert all(5 <= count < 15 for count in counts), counts
    assert len(set(counts)) > 1
    assert script.stack.stats.tcp.TCPChallengeACK == sum(counts)


def test_by_default_only_the_connection_has_a_limit() -> None:
    script = established()
    for _ in range(5):
        script.deliver([script.segment(RST, seq=script.nxt + 100)])
    script.expect(ACK)
    script.expect_nothing()
    assert script.stack.stats.tcp.TCPACKSkippedChallenge == 4
    script.at(0.499).sends(RST, seq=script.nxt + 100).expect_nothing()
    script.at(0.5).sends(RST, seq=script.nxt + 100).expect(ACK)


def test_tcp_invalid_ratelimit_0_answers_all() -> None:
    script = established()
    script.stack.sysctl["net.ipv4.tcp_invalid_ratelimit"] = 0
    for _ in range(5):
        script.sends(SYN, seq=script.nxt + 100).expect(ACK)
    assert script.stack.stats.tcp.TCPSYNChallenge == 5


# ---- ICMP


@rule("RFC 5927 4.1", "ICMP about a number that is not in flight changes nothing", code="socket/demux.py")
@pytest.mark.parametrize(("kind", "code"), [*HARD, (3, 4)])
@pytest.mark.parametrize("state", CONNECTED)
def test_icmp_about_what_is_not_in_flight_changes_nothing(state: Builder, kind: int, code: int) -> None:
    script = state()
    connection = script.sock.connection
    assert connection is not None
    before, mss = script.state, connection.snd.mss
    quoted = script_heard(script)
    for offset in (-1, -1000, 1000, 1 << 31):
        seq = ((connection.snd.snd_una if offset < 0 else connection.snd.snd_nxt) + offset) & M32
        script.sends_icmp(kind, code, quoted._replace(seq=seq), 68)
    assert (script.state, connection.snd.mss, connection.soft_error, connection.error) == (before, mss, 0, 0)
    assert script.stack.stats.tcp.OutOfWindowIcmps == 4


@rule("RFC 5927 5.2", "In a synchronized state no ICMP error ends a connection", code="tcp/arrival.py")
@pytest.mark.parametrize(("kind", "code"), HARD)
@pytest.mark.parametrize("state", SYNCHRONIZED)
def test_hard_errors_are_soft_once_both_ends_know_each_other(state: Builder, kind: int, code: int) -> None:
    script = state()
    before = script.state
    assert script.sock.connection is not None
    quoted = script_heard(script)._replace(seq=script.sock.connection.snd.snd_una)
    script.sends_icmp(kind, code, quoted)
    script.drain()
    assert (script.state, script.sock.connection.error) == (before, 0)


def script_heard(script: Script) -> Heard:
    """A segment of the stack's, for ICMP to quote."""
    return Heard(0.0, ACK, 0, 0, 0, b"", {}, script.ports[::-1])
