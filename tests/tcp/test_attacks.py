"""What somebody may try who cannot see the connection, or who is its other end and means no good (RFC 5961).

Nothing is closed, nothing is delivered that was not sent, nothing grows without bound.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest

from aionetflow.config import INITIAL_WINDOW
from aionetflow.socket.stream import StreamSocket
from aionetflow.tcp.states import State
from support.fixtures import accepted, established, listening
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, MSS, PSH, RST, SYN, Script

WINDOW = 65535  # what the peer has offered, at most


def text(length: int) -> bytes:
    """Octets that tell where they belong."""
    return bytes(index * 7 % 251 for index in range(length))


# Who cannot see it ------------------------------------------------------------------------------------------------


@rule("RFC 5961 1", "Whoever must guess the numbers closes nothing and delivers nothing", code="tcp/arrival.py")
@pytest.mark.parametrize("flags", [RST, RST | ACK, SYN, SYN | ACK, FIN | ACK, PSH | ACK])
def test_blind_guesses_close_nothing_and_deliver_nothing(flags: int) -> None:
    script, random = established(), Random(flags)
    script.sock.send(b"one under way")
    script.drain()
    for turn in range(600):
        # every other guess lies inside the window, as one in 65,536 would
        offset = random.randrange(1, 60000) if turn % 2 else random.getrandbits(32) | 1
        ack = script.heard - WINDOW - 1 - random.randrange(1 << 30)
        script.deliver([script.segment(flags, seq=script.nxt + offset, ack=ack, data=b"forged" * (flags & PSH > 0))])
        script.after(random.choice((0, 0, 0.001)))
    script.drain()
    assert script.state == State.ESTABLISHED
    with pytest.raises(BlockingIOError):
        script.sock.recv(100)
    script.sends(PSH | ACK, data=b"true").drain()
    assert script.sock.recv(100) == b"true"


def test_blind_guesses_call_for_few_answers() -> None:
    """RFC 5961 7, Linux tcp_invalid_ratelimit: else each would be a question whose answer costs more than it."""
    script = established()
    for turn in range(1000):
        script.deliver([script.segment(RST, seq=script.nxt + 1 + turn), script.segment(SYN, seq=turn)])
    assert len(script.drain()) <= 2


# Who is the other end ---------------------------------------------------------------------------------------------


@rule(
    "RFC 5681 3.1", "Many ACKs for parts of a segment open the window no further than one for all of it",
    code="tcp/congestion/base.py",
)  # fmt: skip
@pytest.mark.parametrize("parts", [2, 10, 250])
def test_dividing_acknowledgments_opens_the_window_no_further(parts: int) -> None:
    def window(step: int) -> int:
        script = established()
        script.sock.send(text(60 * MSS))
        script.drain()
        for acked in range(step, 2 * MSS + 1, step):
            script.deliver([script.segment(ACK, ack=IRS + 1 + acked)])
        script.drain()
        assert script.sock.connection is not None
        return script.sock.connection.recovery.cc.cwnd

    assert window(MSS // parts) <= window(MSS)


@rule("RFC 5681 3.1", "An ACK of what was not sent opens no window", code="tcp/acknowledgment.py")
def test_acknowledging_what_was_not_sent_opens_nothing() -> None:
    script = established()
    script.sock.send(text(60 * MSS))
    assert len(script.drain()) == INITIAL_WINDOW
    for ahead in range(1, 40):
        script.deliver([script.segment(ACK, ack=script.heard + ahead * MSS)]).after(1)
        assert not [heard for heard in script.drain() if heard.seq == script.heard and heard.data]
    assert script.sock.connection is not None
    assert script.sock.connection.snd.snd_una == (IRS + 1) & M32


@rule(
    "RFC 9293 3.10.7.4", "What was received is not replaced by another text for the same numbers",
    code="tcp/receive.py",
)  # fmt: skip
def test_another_text_for_the_same_numbers_replaces_nothing() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"first").after(0.04).drain()
    script.deliver([script.segment(PSH | ACK, seq=ISS + 1, data=b"FIRST and more")]).after(1).drain()
    assert script.sock.recv(100) == b"first and more"


def test_another_text_for_what_is_held_out_of_order_replaces_nothing() -> None:
    script = established()
    for data in (b"behind", b"BEHIND"):
        script.deliver([script.segment(PSH | ACK, seq=ISS + 4, data=data)]).drain()
    script.deliver([script.segment(PSH | ACK, seq=ISS + 1, data=b"is")]).drain()
    script.deliver([script.segment(PSH | ACK, seq=ISS + 1, data=b"IS ")]).drain()
    assert script.sock.recv(100) == b"is behind"


@pytest.mark.parametrize("mss", [0, 1, 47])
def test_a_tiny_mss_does_not_make_a_segment_of_each_octet(mss: int) -> None:
    """Linux tcp_min_snd_mss: 48 octets, options included."""
    script = established(mss=mss)
    script.sock.send(text(4800))
    script.after(0.01)
    for _ in range(40):
        script.drain()
        script.deliver([script.segment(ACK)])
    sent = script.stack.stats.tcp.OutSegs
    assert sent <= 4800 // 36 + 10


@pytest.mark.parametrize("window", [1, 10, 100])
def test_a_tiny_window_is_not_filled_with_tiny_segments(window: int) -> None:
    """RFC 9293 3.8.6.2.1: only a time-out overrides it, and so a segment costs the peer at least that."""
    script = established()
    script.sends(ACK, window=window)
    script.sock.send(text(2000))
    before = script.stack.stats.tcp.OutSegs
    for _ in range(50):
        script.deliver([script.segment(ACK, window=window)])
    assert script.stack.stats.tcp.OutSegs - before <= 1


def connections(count: int) -> tuple[Script, list[StreamSocket]]:
    """So many connections that were accepted, each from a port of its own."""
    script = listening(backlog=count)
    assert script.listener is not None
    socks = []
    for number in range(count):
        script.ports, script.nxt, script.edge = (5000 + number, 80), ISS, None
        script.deliver([script.segment(SYN, mss=MSS)])
        script.heard = (IRS + 1) & M32
        script.drain()
        script.deliver([script.segment(ACK, ack=IRS + 1)])
        socks.append(script.listener.accept()[0])
    return script, socks


def answer_probes(script: Script) -> None:
    """Every connection that says anything is told that its window is closed."""
    for heard in script.drain():
        script.ports, script.edge = heard.ports[::-1], None
        script.deliver([script.segment(ACK, seq=heard.ack, ack=heard.seq if heard.data else heard.end, window=0)])


def test_peers_that_never_open_their_windows_are_given_up_when_nobody_owns_the_connections() -> None:
    """What is known as sockstress; Linux tcp_orphan_retries."""
    script, socks = connections(40)
    for number, sock in enumerate(socks):
        script.ports = (5000 + number, 80)
        script.deliver([script.segment(ACK, seq=ISS + 1, ack=IRS + 1, window=0)])
        sock.send(text(5000))
        sock.close()
    for _ in range(400):
        script.after(5)
        answer_probes(script)
    assert len(script.stack.table.connections) == 0


def test_peers_that_never_open_their_windows_cost_no_more_than_the_send_buffers() -> None:
    script, socks = connections(20)
    for number, sock in enumerate(socks):
        script.ports = (5000 + number, 80)
        script.deliver([script.segment(ACK, seq=ISS + 1, ack=IRS + 1, window=0)])
        sock.setsockopt(1, 7, 4096)  # SO_SNDBUF: Linux doubles it
        with suppress(BlockingIOError):
            for _ in range(100):
                sock.send(text(1000))
    for _ in range(100):
        script.after(5)
        answer_probes(script)
    assert all(sock.queued()[1] <= 16384 for sock in socks)
    assert all(sock.state_name() == "ESTAB" for sock in socks)


def test_a_peer_whose_octets_nobody_reads_fills_one_buffer_and_no_more() -> None:
    script = accepted(receive_buffer=4000)
    for _ in range(300):
        script.deliver([script.segment(PSH | ACK, data=bytes(MSS))])
        script.drain()
    assert script.sock.queued()[0] <= 8000


def test_a_flood_of_syns_leaves_no_more_half_open_than_the_backlog() -> None:
    script = listening(backlog=32)
    for number in range(600):
        script.ports, script.nxt, script.edge = (1024 + number, 80), ISS, None
        script.deliver([script.segment(SYN, mss=MSS)])
        script.drain()
    assert len(script.stack.table.connections) <= 64
    script.after(200).drain()
    assert len(script.stack.table.connections) == 0
