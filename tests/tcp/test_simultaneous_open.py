"""Both ends connect at once: RFC 9293 3.5, figure 7, and what can go wrong on the way."""

import errno
import struct

import pytest

from aionetflow.tcp.states import State
from support.fixtures import syn_sent
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, SYN, Script, syn_options

OUT = 0x004
SACK_PERMITTED = b"\x04\x02"
SO_ERROR = (1, 4)


def simultaneous() -> Script:
    """Both SYNs have crossed."""
    script = syn_sent()
    script.sends(SYN, mss=1000)
    script.expect(SYN | ACK, seq=IRS, ack=ISS + 1)
    assert script.state == State.SYN_RECEIVED
    return script


@rule("RFC 9293 3.5", "Two SYNs that cross open one connection", code="tcp/handshake.py")
def test_simultaneous_open_ends_by_an_ack() -> None:
    script = simultaneous()
    script.sends(ACK, ack=IRS + 1).expect_nothing()
    assert script.state == State.ESTABLISHED
    assert script.sock.events() == OUT


@rule("RFC 9293 3.5", "In a simultaneous open a SYN-ACK establishes as an ACK does", code="tcp/arrival.py")
def test_simultaneous_open_ends_by_a_syn_ack() -> None:
    script = simultaneous()
    script.sends(SYN | ACK, seq=ISS, ack=IRS + 1)
    assert all(heard.flags == ACK and heard.ack == (ISS + 1) & M32 for heard in script.drain())
    assert script.state == State.ESTABLISHED


@rule("RFC 2883 4", "A SYN that comes twice is reported like data that do", code="tcp/sack.py")
def test_the_syn_of_the_syn_ack_is_acknowledged_as_a_duplicate() -> None:
    """Linux takes it for data that were here before: an ACK at once, which says so if the peer knows SACK."""
    script = syn_sent()
    script.sends(SYN, options=syn_options(1000, None) + SACK_PERMITTED)
    script.expect(SYN | ACK, seq=IRS, ack=ISS + 1)
    script.sends(SYN | ACK, seq=ISS, ack=IRS + 1)
    assert script.expect(ACK).options[5] == struct.pack("!II", ISS, ISS + 1)
    assert script.state == State.ESTABLISHED


def test_the_syn_ack_of_a_simultaneous_open_offers_all_options() -> None:
    """Linux tcp_send_synack: it is our SYN once more; what only one of them offers does not count."""
    script = syn_sent()
    script.sends(SYN, mss=1000)
    assert sorted(script.expect(SYN | ACK, seq=IRS, ack=ISS + 1).options) == [2, 3, 4, 8]
    script.sends(ACK, ack=IRS + 1).expect_nothing()
    script.sock.send(b"x")
    heard = script.expect(PSH | ACK, seq=IRS + 1, data=b"x")
    assert (heard.options, heard.window) == ({}, 65535)


def test_a_syn_without_ack_is_challenged_in_simultaneous_open() -> None:
    """RFC 9293 3.10.7.4 fourth, for a connection that was actively opened: as in the synchronized states."""
    script = simultaneous()
    script.sends(SYN, seq=ISS, mss=1000).expect(ACK, seq=IRS + 1)
    script.sends(SYN | ACK, seq=ISS, ack=IRS + 7).expect_nothing()  # half a second has not gone by
    script.at(1).expect(SYN | ACK, seq=IRS, ack=ISS + 1)
    assert script.state == State.SYN_RECEIVED


def test_simultaneous_open_repeats_its_syn_ack() -> None:
    script = simultaneous()
    script.at(1).expect(SYN | ACK, seq=IRS, ack=ISS + 1)
    script.at(3).expect(SYN | ACK, seq=IRS, ack=ISS + 1)


@rule("RFC 9293 3.10.7.4", "A RST in SYN-RECEIVED after an active open is told to the user", code="tcp/states.py")
def test_simultaneous_open_refused() -> None:
    """RFC 9293 3.10.7.4 second: it was actively opened, so the user is told; the errno is Linux's (tcp_reset)."""
    script = simultaneous()
    script.sends(RST, seq=ISS + 1).expect_nothing()
    assert script.state == State.CLOSED
    assert script.sock.getsockopt(*SO_ERROR) == errno.ECONNRESET


@rule("RFC 9293 3.10.4", "CLOSE in SYN-RECEIVED sends a FIN and moves to FIN-WAIT-1", code="tcp/states.py")
def test_close_after_simultaneous_syns_sends_a_fin() -> None:
    """RFC 9293 3.10.4: from SYN-RECEIVED to FIN-WAIT-1; both numbers are sent again until acknowledged."""
    script = simultaneous()
    script.sock.close()
    script.drain()
    assert script.state == State.FIN_WAIT_1
    script.after(10)
    assert script.drain(), "nothing was sent again"
    script.sends(ACK, ack=IRS + 1).after(60)
    assert {(heard.flags, heard.seq) for heard in script.drain()} == {(FIN | ACK, (IRS + 1) & M32)}
    script.sends(ACK, ack=IRS + 2).expect_nothing()
    assert script.state == State.FIN_WAIT_2


def test_shutdown_after_simultaneous_syns_and_silence_gives_up() -> None:
    script = simultaneous()
    script.sock.shutdown(1)
    script.after(3600).drain()
    assert script.state == State.CLOSED


def test_connecting_to_oneself_is_a_simultaneous_open() -> None:
    script = Script()
    sock = script.stream()
    sock.bind(("10.0.0.1", 5555))
    with pytest.raises(BlockingIOError):
        sock.connect(("10.0.0.1", 5555))
    assert sock.getpeername() == ("10.0.0.1", 5555)
    assert sock.send(b"to myself") == 9
    script.after(0.1)
    assert sock.recv(100) == b"to myself"
