"""Opening a connection: RFC 9293 3.5, 3.7.1 and 3.10.7, RFC 7323 2, RFC 6298 5.7, Linux's retries and backlog."""

import errno

import pytest

from aionetflow.tcp.states import State
from support.fixtures import (
    REMOTE,
    accepted,
    begin_connect,
    closed,
    listening,
    syn_received,
    syn_sent,
)
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PEER_PORT, PSH, RST, SYN, Heard, Script

IN, OUT, ERR, HUP, RDHUP = 0x001, 0x004, 0x008, 0x010, 0x2000
SO_ERROR = (1, 4)


def fails(script: Script, code: int) -> None:
    """The connection has ended with this error, which SO_ERROR tells once."""
    assert script.state == State.CLOSED
    assert script.sock.events() == IN | OUT | ERR | HUP | RDHUP
    assert script.sock.getsockopt(*SO_ERROR) == code
    assert script.sock.getsockopt(*SO_ERROR) == 0


# Active ---------------------------------------------------------------------------------------------------------


@rule("RFC 9293 3.7.1", "A SYN offers the MSS", code="tcp/options.py")
def test_syn_carries_mss_and_window_scale_and_no_ack() -> None:
    script = Script()
    script.sock = script.stream()
    begin_connect(script)
    script.collect()
    (syn,) = script.unread
    assert (syn.flags, syn.seq, syn.ack, syn.data) == (SYN, IRS, 0, b"")
    assert (syn.mss, syn.ports) == (1460, (script.sock.getsockname()[1], PEER_PORT))
    assert list(syn.options) == [2, 4, 8, 3]
    assert 0 < syn.window <= 65535


@rule("RFC 9293 3.7.1", "The MSS that is offered is the MTU less the fixed headers", code="tcp/connection.py")
def test_syn_offers_the_mtu_less_forty_as_mss() -> None:
    script = Script(mtu=576)
    script.sock = script.stream()
    begin_connect(script)
    assert script.drain()[0].mss == 536


@rule(
    "RFC 9293 3.10.7.3", "A SYN that acknowledges ours is acknowledged, and the connection established",
    code="tcp/handshake.py",
)  # fmt: skip
def test_syn_sent_is_acknowledged_at_once_and_becomes_established() -> None:
    script = syn_sent()
    assert script.state == State.SYN_SENT
    assert script.sock.events() == 0
    script.sends(SYN | ACK, mss=1000)
    script.expect(ACK, seq=IRS + 1, ack=ISS + 1)
    script.expect_nothing()
    assert script.state == State.ESTABLISHED
    assert script.sock.events() == OUT


def test_connect_says_how_far_it_is() -> None:
    script = syn_sent()
    with pytest.raises(BlockingIOError) as failure:
        script.sock.connect(REMOTE)
    assert failure.value.errno == errno.EALREADY
    script.sends(SYN | ACK).expect(ACK)
    script.sock.connect(REMOTE)  # Linux: the first time after it succeeded
    with pytest.raises(OSError) as failure_now:
        script.sock.connect(REMOTE)
    assert failure_now.value.errno == errno.EISCONN


@rule(
    "RFC 9293 3.10.7.3", "A RST that acknowledges our SYN ends the attempt: connection refused",
    code="tcp/handshake.py",
)  # fmt: skip
def test_syn_sent_refused_by_a_reset() -> None:
    script = syn_sent()
    script.sends(RST | ACK, seq=0).expect_nothing()
    fails(script, errno.ECONNREFUSED)


def test_connect_tells_that_it_was_refused_and_may_be_tried_again() -> None:
    script = syn_sent()
    script.sends(RST | ACK, seq=0)
    with pytest.raises(ConnectionRefusedError):
        script.sock.connect(REMOTE)
    begin_connect(script)
    script.collect()
    assert script.unread[0].flags == SYN


@rule("RFC 9293 3.10.7.3", "A RST without ACK is dropped in SYN-SENT", code="tcp/handshake.py")
def test_syn_sent_ignores_a_reset_without_ack() -> None:
    script = syn_sent()
    script.sends(RST, seq=0).expect_nothing()
    assert script.state == State.SYN_SENT


@rule("RFC 5961 3.2", "In SYN-SENT a RST counts only if its ACK is acceptable", code="tcp/handshake.py")
@pytest.mark.parametrize("ack", [IRS, IRS - 1, IRS + 2, 0])
def test_syn_sent_ignores_a_reset_that_acknowledges_something_else(ack: int) -> None:
    script = syn_sent()
    script.sends(RST | ACK, seq=ISS, ack=ack).expect_nothing()
    assert script.state == State.SYN_SENT


@rule("RFC 9293 3.10.7.3", "In SYN-SENT an unacceptable ACK is answered with a RST", code="tcp/handshake.py")
@pytest.mark.parametrize("flags", [ACK, SYN | ACK, FIN | ACK])
@pytest.mark.parametrize("ack", [IRS, IRS - 1, IRS + 2, 0])
def test_syn_sent_answers_a_wrong_ack_with_a_reset(flags: int, ack: int) -> None:
    script = syn_sent()
    script.sends(flags, seq=ISS, ack=ack)
    script.expect(RST, seq=ack)
    script.expect_nothing()
    assert script.state == State.SYN_SENT


@pytest.mark.parametrize("flags", [ACK, RST | ACK])
def test_syn_sent_sends_its_syn_again_soon_after_a_wrong_ack(flags: int) -> None:
    """Linux: the peer was in another life, which has ended by now; two ticks of its clock later it may take the SYN."""
    script = syn_sent()
    script.at(0.1).sends(flags, seq=ISS, ack=IRS + 77).drain()
    script.at(0.107999).expect_nothing()
    script.at(0.108).expect(SYN, seq=IRS)
    script.at(0.2).sends(flags, seq=ISS, ack=IRS + 78).drain()
    script.at(1.107999).expect_nothing()  # once only: this may be one who wants it sent without end
    script.at(1.108).expect(SYN, seq=IRS)


@rule("RFC 9293 3.10.7.3", "In SYN-SENT a segment with neither SYN nor RST is dropped", code="tcp/handshake.py")
def test_syn_sent_ignores_an_ack_without_syn() -> None:
    script = syn_sent()
    script.sends(ACK, seq=ISS).expect_nothing()
    assert script.state == State.SYN_SENT


def test_data_in_the_syn_ack_is_delivered_in_the_end() -> None:
    script = syn_sent()
    script.sends(SYN | ACK, data=b"early")
    (answer,) = script.drain()
    assert answer.flags == ACK
    script.sends(PSH | ACK, seq=ISS + 1, data=b"early").after(0.04)
    assert script.drain()[-1].ack == (ISS + 6) & M32
    assert script.sock.recv(100) == b"early"


@rule("RFC 6298 2.1", "Before a round trip was measured the RTO is 1 s", code="tcp/rtt.py")
def test_syn_lost_is_sent_again_with_back_off_and_given_up() -> None:
    script = syn_sent()
    for when in (1, 2, 3, 4, 5, 7, 11, 19, 35, 67):  # net.ipv4.tcp_syn_linear_timeouts: the first four
        script.at(when - 0.000001).expect_nothing()
        script.at(when).expect(SYN, seq=IRS)
        script.expect_nothing()
    script.at(130.999999).expect_nothing()
    assert script.state == State.SYN_SENT
    script.at(131).expect_nothing()
    fails(script, errno.ETIMEDOUT)


def test_syn_answered_after_it_was_lost() -> None:
    script = syn_sent()
    script.at(1).expect(SYN, seq=IRS)
    script.at(1.1).sends(SYN | ACK).expect(ACK)
    script.at(200).expect_nothing()
    assert script.state == State.ESTABLISHED


@pytest.mark.parametrize(
    ("code", "error"), [(2, errno.ENOPROTOOPT), (3, errno.ECONNREFUSED), (13, errno.EHOSTUNREACH)]
)
def test_syn_sent_ends_with_a_hard_icmp_error(code: int, error: int) -> None:
    script = syn_sent()
    script.mark().sends_icmp(3, code, syn_of(script)).expect_nothing()
    fails(script, error)


def test_syn_sent_remembers_an_icmp_error_that_concerns_another_segment_not() -> None:
    script = syn_sent()
    script.sends_icmp(3, 3, syn_of(script)._replace(seq=IRS - 100)).expect_nothing()
    assert script.state == State.SYN_SENT


def syn_of(script: Script) -> Heard:
    """The SYN that a router quotes."""
    return Heard(0, SYN, IRS, 0, 0, b"", {}, script.ports[::-1])


@rule("RFC 9293 3.10.4", "CLOSE in SYN-SENT deletes the connection", code="tcp/states.py")
def test_close_in_syn_sent_ends_without_a_word() -> None:
    script = syn_sent()
    script.sock.close()
    script.at(200).expect_nothing()
    script.sends(SYN | ACK, seq=ISS, ack=IRS + 1).expect(RST, seq=IRS + 1)


def test_shutdown_in_syn_sent_disconnects() -> None:
    """Linux inet_shutdown: tcp_disconnect, which leaves ECONNRESET."""
    script = syn_sent()
    script.sock.shutdown(1)
    assert script.sock.getsockopt(*SO_ERROR) == errno.ECONNRESET
    script.at(200).expect_nothing()


# Passive --------------------------------------------------------------------------------------------------------


@rule("RFC 9293 3.10.7.2", "LISTEN answers a SYN with a SYN-ACK and moves to SYN-RECEIVED", code="tcp/handshake.py")
def test_listen_answers_a_syn_and_accepts_after_the_ack() -> None:
    script = listening()
    assert script.listener is not None
    script.sends(SYN, mss=1000)
    script.heard = IRS
    answer = script.expect(SYN | ACK, ack=ISS + 1)
    assert (answer.mss, answer.wscale) == (1460, None)
    assert script.listener.events() == 0
    with pytest.raises(BlockingIOError):
        script.listener.accept()
    script.sends(ACK).expect_nothing()
    assert script.listener.events() == IN
    script.sock, address = script.listener.accept()
    assert address == REMOTE == script.sock.getpeername()
    assert script.sock.getsockname() == ("10.0.0.1", 80)
    assert script.state == State.ESTABLISHED
    assert (script.listener.events(), script.sock.events()) == (0, OUT)


@rule("RFC 9293 3.10.7.2", "LISTEN answers an ACK with a RST", code="socket/demux.py")
def test_listen_answers_an_ack_with_a_reset() -> None:
    script = listening()
    script.sends(ACK, ack=IRS + 77).expect(RST, seq=IRS + 77)
    script.sends(SYN | ACK, ack=IRS + 78).expect(RST, seq=IRS + 78)
    script.expect_nothing()


@rule("RFC 9293 3.10.7.2", "LISTEN ignores a RST, and what has neither ACK nor SYN", code="socket/listener.py")
@pytest.mark.parametrize("flags", [RST, RST | ACK, RST | SYN, 0, FIN, PSH])
def test_listen_ignores(flags: int) -> None:
    script = listening()
    script.sends(flags, ack=IRS).expect_nothing()


def test_syn_ack_lost_is_sent_again_with_back_off_and_given_up() -> None:
    script = syn_received()
    for when in (1, 3, 7, 15, 31):
        script.at(when - 0.000001).expect_nothing()
        script.at(when).expect(SYN | ACK, seq=IRS)
        script.expect_nothing()
    script.at(63).expect_nothing()
    script.at(64).sends(ACK).expect(RST, seq=IRS + 1)  # forgotten
    assert script.listener is not None
    assert script.listener.events() == 0


def test_syn_received_answers_the_syn_again() -> None:
    """Linux tcp_check_req: a SYN that comes again has the SYN-ACK sent again."""
    script = syn_received()
    script.at(0.5).sends(SYN, seq=ISS, mss=1000)
    script.expect(SYN | ACK, seq=IRS)
    script.expect_nothing()


@rule("RFC 9293 3.10.7.4", "In SYN-RECEIVED an unacceptable ACK is answered with a RST", code="tcp/handshake.py")
@pytest.mark.parametrize("ack", [IRS, IRS + 2, IRS - 5])
def test_syn_received_answers_a_wrong_ack_with_a_reset(ack: int) -> None:
    """RFC 9293 3.10.7.4 fifth."""
    script = syn_received()
    script.sends(ACK, ack=ack).expect(RST, seq=ack)
    script.expect_nothing()
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    assert script.listener.events() == IN


@rule("RFC 9293 3.10.7.4", "A RST in SYN-RECEIVED after a passive open returns to LISTEN", code="tcp/states.py")
def test_syn_received_returns_to_listen_on_a_reset() -> None:
    script = syn_received()
    script.sends(RST).expect_nothing()
    script.at(100).expect_nothing()
    script.nxt = ISS
    script.sends(SYN, mss=1000).expect(SYN | ACK, seq=IRS)


@rule("RFC 9293 3.5.3", "A RST is valid only if its number lies in the window", code="tcp/arrival.py")
def test_syn_received_ignores_a_reset_outside_of_the_window() -> None:
    script = syn_received()
    script.sends(RST, seq=ISS - 9).expect_nothing()
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    assert script.listener.events() == IN


@rule("RFC 9293 3.10.7.4", "A segment without ACK is dropped", code="tcp/arrival.py")
def test_syn_received_ignores_a_segment_without_ack() -> None:
    script = syn_received()
    script.sends(PSH, seq=ISS + 1, data=b"x").expect_nothing()


@rule("RFC 9293 3.10.7.4", "The ACK of our SYN may bring data and a FIN", code="tcp/arrival.py")
def test_syn_received_takes_data_and_fin_with_the_ack() -> None:
    script = syn_received()
    script.sends(FIN | PSH | ACK, data=b"all of it").at(0.04).expect(ACK)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    assert script.state == State.CLOSE_WAIT
    assert (script.sock.recv(100), script.sock.recv(100)) == (b"all of it", b"")


def test_data_in_the_syn_is_delivered_in_the_end() -> None:
    script = listening()
    script.sends(SYN, data=b"early")
    script.heard = IRS
    (answer,) = script.drain()
    assert answer.flags == SYN | ACK
    script.sends(PSH | ACK, seq=ISS + 1, data=b"early").after(0.04).drain()
    assert script.listener is not None
    assert script.listener.accept()[0].recv(100) == b"early"


def test_a_full_backlog_drops_syns_without_a_word() -> None:
    script = listening(backlog=1)
    for number in range(2):  # Linux: one more than the backlog
        connect_from(script, 5000 + number)
    script.ports, script.nxt = (6000, 80), ISS
    script.sends(SYN, mss=1000).expect_nothing()
    assert script.stack.stats.tcp.ListenOverflows == 1
    assert script.listener is not None
    script.listener.accept()
    script.sends(SYN, seq=ISS, mss=1000)
    script.heard = IRS
    script.expect(SYN | ACK)


def connect_from(script: Script, port: int) -> None:
    """A handshake from another port of the peer."""
    script.ports, script.nxt, script.edge = (port, 80), ISS, None
    script.sends(SYN, mss=1000)
    script.heard = IRS
    script.expect(SYN | ACK)
    script.sends(ACK).expect_nothing()


def test_listen_zero_lets_one_wait() -> None:
    script = listening(backlog=0)
    connect_from(script, 5000)
    script.ports, script.nxt = (5001, 80), ISS
    script.sends(SYN).expect_nothing()


def test_closing_a_listener_resets_those_not_accepted() -> None:
    script = listening()
    connect_from(script, 5000)
    assert script.listener is not None
    script.listener.close()
    script.expect(RST | ACK)
    script.sends(ACK).expect(RST, seq=IRS + 1)


def test_a_listener_goes_on_after_one_of_its_connections_closed() -> None:
    script = accepted()
    script.sends(RST).expect_nothing()
    connect_from(script, 5002)


@rule("RFC 9293 3.10.7.1", "A SYN to a closed port is answered with a RST that acknowledges it", code="tcp/reset.py")
def test_a_syn_to_a_port_nobody_listens_on_is_refused() -> None:
    script = closed()
    script.sends(SYN, mss=1000).expect(RST | ACK, seq=0, ack=ISS + 1)
