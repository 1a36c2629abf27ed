"""Explicit congestion notification (RFC 3168): agreed on or not, congestion heard of and answered."""

from __future__ import annotations

import pytest

from aionetflow.socket.options import IPPROTO_TCP, TCP_QUICKACK
from support.fixtures import begin_connect, listening
from support.rules import rule
from support.script import ACK, FIN, IRS, MSS, PEER_PORT, PSH, SYN, Script, checksum

ECE, CWR = 0x40, 0x80
ECT_1, ECT_0, CE = 1, 2, 3


def marked(packet: bytes, mark: int) -> bytes:
    """A packet of the peer's with that ECN field in its IP header."""
    head = packet[:1] + bytes((mark,)) + packet[2:10]
    return head + checksum(head + bytes(2) + packet[12:20]).to_bytes(2, "big") + packet[12:]


def marks(script: Script) -> list[int]:
    """The ECN fields of what the stack has sent now."""
    found = [frame[1] & 3 for _, frame in script.nic.sent]
    script.drain()
    return found


def agreed(window: int = 65535) -> Script:
    """The peer has connected to a listener and asked for ECN."""
    script = listening()
    script.sends(SYN | ECE | CWR, mss=MSS, window=window)
    script.heard = IRS
    script.expect(SYN | ACK | ECE)
    script.after(0.1).sends(ACK).expect_nothing()
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.sock.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 0)
    return script.mark()


def asking(ecn: int = 1) -> Script:
    """A socket connects, on a host with that net.ipv4.tcp_ecn."""
    script = Script()
    script.stack.sysctl["net.ipv4.tcp_ecn"] = ecn
    script.sock = script.stream()
    begin_connect(script)
    script.heard = IRS
    script.ports = (PEER_PORT, script.sock.getsockname()[1])
    return script


# Agreeing ---------------------------------------------------------------------------------------------------------


@rule("RFC 3168 6.1.1", "A SYN with ECE and CWR asks for ECN, a SYN-ACK with ECE alone agrees", code="tcp/ecn.py")
def test_both_ends_agree_by_their_syns() -> None:
    script = asking()
    script.expect(SYN | ECE | CWR)
    script.sends(SYN | ACK | ECE, mss=MSS).expect(ACK)
    script.sock.send(b"data")
    assert marks(script) == [ECT_0]
    script = agreed()
    script.sock.send(b"data")
    assert marks(script) == [ECT_0]


@pytest.mark.parametrize("flags", [0, CWR, ECE | CWR])
def test_a_syn_ack_without_ece_or_with_cwr_does_not_agree(flags: int) -> None:
    script = asking()
    script.expect(SYN | ECE | CWR)
    script.sends(SYN | ACK | flags, mss=MSS).expect(ACK)
    script.sock.send(b"data")
    assert marks(script) == [0]


@pytest.mark.parametrize("ecn", [0, 2])
def test_a_host_asks_only_if_so_set_and_is_not_given_what_it_did_not_ask_for(ecn: int) -> None:
    script = asking(ecn)
    script.expect(SYN)
    script.sends(SYN | ACK | ECE, mss=MSS).expect(ACK)
    script.sock.send(b"data")
    assert marks(script) == [0]


@pytest.mark.parametrize("flags", [0, ECE, CWR])
def test_a_syn_that_does_not_ask_is_answered_plainly(flags: int) -> None:
    script = listening()
    script.sends(SYN | flags, mss=MSS)
    script.heard = IRS
    script.expect(SYN | ACK)


@pytest.mark.parametrize(("ecn", "answer"), [(0, 0), (1, ECE), (2, ECE)])
def test_a_listener_agrees_unless_ecn_is_off(ecn: int, answer: int) -> None:
    script = listening()
    script.stack.sysctl["net.ipv4.tcp_ecn"] = ecn
    script.sends(SYN | ECE | CWR, mss=MSS)
    script.heard = IRS
    script.expect(SYN | ACK | answer)


@rule("RFC 3168 6.1.1", "A SYN that is itself marked is no honest offer", code="tcp/ecn.py")
def test_a_marked_syn_is_not_agreed_to() -> None:
    script = listening()
    script.deliver([marked(script.segment(SYN | ECE | CWR, mss=MSS), ECT_0)])
    script.heard = IRS
    script.expect(SYN | ACK)


@rule("RFC 3168 6.1.1.1", "A SYN that is sent again does not ask: it may have been dropped for that", code="tcp/ecn.py")
def test_a_syn_that_is_sent_again_does_not_ask() -> None:
    script = asking()
    script.expect(SYN | ECE | CWR)
    script.at(1).expect(SYN, seq=IRS)


# Hearing of congestion ----------------------------------------------------------------------------------------------


@rule("RFC 3168 6.1.3", "Each ACK says that a mark was seen, until the peer has reduced its window", code="tcp/ecn.py")
def test_a_mark_is_echoed_until_the_peer_says_that_it_has_slowed_down() -> None:
    script = agreed()
    script.deliver([marked(script.segment(PSH | ACK, data=b"1"), CE)]).expect(ACK | ECE)
    script.deliver([marked(script.segment(PSH | ACK, data=b"2"), ECT_0)])
    script.after(0.04).expect(ACK | ECE)
    script.sock.send(b"data")
    script.expect(PSH | ACK | ECE, data=b"data")
    script.deliver([marked(script.segment(PSH | ACK | CWR, data=b"3"), ECT_0)]).expect(ACK)
    script.deliver([marked(script.segment(PSH | ACK, data=b"4"), ECT_0)]).expect(ACK)


def test_that_the_peer_has_slowed_down_is_acknowledged_at_once() -> None:
    """Linux tcp_ecn_accept_cwr: its window may be down to one segment."""
    script = agreed()
    script.deliver([marked(script.segment(PSH | ACK | CWR, data=b"1"), ECT_0)]).expect(ACK)


def test_only_the_first_mark_is_acknowledged_at_once() -> None:
    script = agreed()
    script.deliver([marked(script.segment(PSH | ACK, data=b"1"), CE)]).expect(ACK | ECE)
    script.deliver([marked(script.segment(PSH | ACK, data=b"2"), CE)]).expect_nothing()
    script.after(0.04).expect(ACK | ECE)


def test_what_is_marked_and_says_that_it_has_slowed_down_is_echoed_anew() -> None:
    script = agreed()
    script.deliver([marked(script.segment(PSH | ACK, data=b"1"), CE)]).expect(ACK | ECE)
    script.deliver([marked(script.segment(PSH | ACK | CWR, data=b"2"), CE)]).expect(ACK | ECE)


@pytest.mark.parametrize("mark", [0, ECT_1, ECT_0])
def test_other_marks_mean_nothing(mark: int) -> None:
    script = agreed()
    script.deliver([marked(script.segment(PSH | ACK, data=b"1"), mark)]).expect_nothing()
    script.after(0.04).expect(ACK)


def test_without_agreement_marks_mean_nothing() -> None:
    script = asking(0)
    script.expect(SYN)
    script.sends(SYN | ACK, mss=MSS).expect(ACK)
    script.sock.setsockopt(IPPROTO_TCP, TCP_QUICKACK, 0)
    script.deliver([marked(script.segment(PSH | ACK, data=b"1"), CE)]).after(0.04).expect(ACK)


# Answering it -------------------------------------------------------------------------------------------------------


@rule("RFC 3168 6.1.2", "The window is reduced once a round trip, and the next data say so", code="tcp/recovery.py")
def test_an_echo_reduces_the_window_once_a_round_trip() -> None:
    script = agreed()
    script.sock.send(bytes(40 * MSS))
    assert len(script.drain()) == 10
    connection = script.sock.connection
    assert connection is not None
    before = script.heard
    said = []
    for acked in range(1, 11):
        script.sends(ACK | ECE, ack=before - (10 - acked) * MSS)
        said += [bool(heard.flags & CWR) for heard in script.drain()]
    assert said[0]
    assert not any(said[1:])
    assert connection.recovery.cc.cwnd == 7 * MSS
    assert connection.total_retrans == 0


@rule("RFC 3168 6.1.2", "An echo after that is of another congestion, and reduces it again", code="tcp/loss.py")
def test_an_echo_of_the_next_round_trip_reduces_the_window_again() -> None:
    script = agreed()
    connection = script.sock.connection
    assert connection is not None
    script.sock.send(bytes(40 * MSS))
    script.drain()
    sizes = []
    for _ in range(2):
        script.sends(ACK | ECE)
        assert script.drain()[0].flags & CWR
        sizes.append(connection.recovery.cc.ssthresh // MSS)
    assert sizes == [7, 4]


def test_an_echo_without_agreement_changes_nothing() -> None:
    script = asking(0)
    script.expect(SYN)
    script.sends(SYN | ACK, mss=MSS).expect(ACK)
    script.sock.send(bytes(40 * MSS))
    script.drain()
    script.sends(ACK | ECE)
    assert not any(heard.flags & CWR for heard in script.drain())


@rule("RFC 3168 6.1.4", "A pure ACK is not marked", code="tcp/departure.py")
@rule("RFC 3168 6.1.5", "What is sent again is not marked", code="tcp/departure.py")
def test_only_new_data_are_marked() -> None:
    script = agreed()
    script.sock.send(b"data")
    assert marks(script) == [ECT_0]
    script.after(0.5)
    assert set(marks(script)) == {0}
    script.sends(ACK).sends(PSH | ACK, data=b"x").after(0.04)
    assert marks(script) == [0]
    assert script.sock.recv(1) == b"x"
    script.sock.close()
    (said,) = [frame for _, frame in script.nic.sent]
    assert (said[1] & 3, said[33] & FIN) == (0, FIN)
    script.drain()
