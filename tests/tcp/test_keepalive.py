"""SO_KEEPALIVE and its times (RFC 1122 4.2.3.6, tcp(7), Linux tcp_keepalive_timer)."""

from __future__ import annotations

import errno

import pytest

from aionetflow.config import NEVER
from aionetflow.socket.options import SIOCOUTQNSD
from aionetflow.tcp.states import State
from support.fixtures import accepted, close_wait, established, fin_wait_2, is_forgotten, syn_sent
from support.rules import rule
from support.script import ACK, PSH, RST, SYN, Script

SO_KEEPALIVE = 1, 9
SO_ERROR = 1, 4
TCP_KEEPIDLE = 6, 4
TCP_KEEPINTVL = 6, 5
TCP_KEEPCNT = 6, 6
TCP_USER_TIMEOUT = 6, 18


def kept_alive(idle: int = 10, interval: int = 3, count: int = 2) -> Script:
    """An idle connection that is probed after 10 seconds."""
    script = established()
    for option, value in ((TCP_KEEPIDLE, idle), (TCP_KEEPINTVL, interval), (TCP_KEEPCNT, count), (SO_KEEPALIVE, 1)):
        script.sock.setsockopt(*option, value)
    return script.expect_nothing()


def expect_probe(script: Script, when: float) -> None:
    script.at(when - 0.000001).expect_nothing()
    script.at(when).expect(ACK, seq=script.heard - 1)
    script.expect_nothing()


@rule("RFC 1122 4.2.3.6", "Keepalives are off unless the application asks for them", code="tcp/timeouts.py")
def test_an_idle_connection_is_not_probed_by_itself() -> None:
    script = established()
    script.after(1_000_000).expect_nothing()
    assert script.state == State.ESTABLISHED


@rule("RFC 1122 4.2.3.6", "The keepalive interval is two hours unless it is set", code="sysctl.py")
def test_by_default_the_first_probe_comes_after_two_hours_and_nine_are_sent() -> None:
    script = established()
    script.sock.setsockopt(*SO_KEEPALIVE, 1)
    for k in range(9):
        expect_probe(script, 7200 + 75 * k)
    script.at(7200 + 75 * 9).expect(RST | ACK)
    assert script.sock.getsockopt(*SO_ERROR) == errno.ETIMEDOUT
    is_forgotten(script)


@rule("RFC 1122 4.2.3.6", "A keepalive is a segment with SEG.SEQ = SND.NXT - 1, without data", code="tcp/timeouts.py")
def test_a_peer_that_does_not_answer_is_given_up_with_a_reset() -> None:
    script = kept_alive()
    expect_probe(script, 10)
    expect_probe(script, 13)
    script.at(15.999999).expect_nothing()
    assert script.state == State.ESTABLISHED
    script.at(16).expect(RST | ACK)
    with pytest.raises(TimeoutError):
        script.sock.recv(1)
    assert script.stack.stats.tcp.TCPKeepAlive == 2
    assert script.stack.stats.tcp.TCPAbortOnTimeout == 1


@rule("RFC 1122 4.2.3.6", "One probe that is not answered does not end a connection", code="tcp/timeouts.py")
def test_an_answer_begins_the_wait_anew() -> None:
    script = kept_alive()
    expect_probe(script, 10)
    script.at(11).sends(ACK)
    expect_probe(script, 21)
    expect_probe(script, 24)
    script.at(26).sends(ACK)
    expect_probe(script, 36)
    assert script.state == State.ESTABLISHED


def test_data_from_the_peer_put_the_probe_off() -> None:
    script = kept_alive()
    script.at(9).sends(PSH | ACK, data=b"x").at(9.04).expect(ACK)
    expect_probe(script, 19)


def test_data_under_way_are_left_to_retransmission() -> None:
    script = kept_alive(idle=1, interval=1)
    script.at(0.9).sock.send(b"data")
    script.expect(PSH | ACK, data=b"data")
    script.at(60)
    assert {heard.data for heard in script.drain()} == {b"data"}
    assert script.state == State.ESTABLISHED


def test_turning_it_off_stops_the_timer() -> None:
    script = kept_alive()
    script.at(9).sock.setsockopt(*SO_KEEPALIVE, 0)
    script.after(100_000).expect_nothing()
    connection = script.sock.connection
    assert connection is not None
    assert connection.timers.wait == NEVER


def test_a_shorter_idle_time_counts_from_when_the_peer_was_heard() -> None:
    script = kept_alive()
    script.at(5).sock.setsockopt(*TCP_KEEPIDLE, 7)
    expect_probe(script, 7)
    script = kept_alive()
    script.at(5).sock.setsockopt(*TCP_KEEPIDLE, 2)
    script.at(5).expect(ACK, seq=script.heard - 1)


def test_what_was_set_before_connecting_counts() -> None:
    script = syn_sent()
    script.sock.setsockopt(*SO_KEEPALIVE, 1)
    script.sock.setsockopt(*TCP_KEEPIDLE, 10)
    script.at(0.1).sends(SYN | ACK, mss=1000).expect(ACK)
    expect_probe(script, 10.1)


def test_an_accepted_socket_has_it_from_the_listener() -> None:
    script = accepted()
    assert script.listener is not None
    script.listener.setsockopt(*SO_KEEPALIVE, 1)
    script.listener.setsockopt(*TCP_KEEPIDLE, 10)
    script.ports = (6001, 80)
    script.nxt, script.edge = script.nxt - 1, None
    script.sends(SYN, mss=1000)
    script.heard = script.heard - 1
    script.expect(SYN | ACK)
    script.mark().sends(ACK)
    expect_probe(script, 10)


def test_a_half_closed_connection_is_probed_too() -> None:
    script = close_wait()
    script.sock.setsockopt(*TCP_KEEPIDLE, 10)
    script.sock.setsockopt(*SO_KEEPALIVE, 1)
    expect_probe(script, 10)


def test_a_connection_that_waits_for_the_peer_s_fin_is_probed_too() -> None:
    script = fin_wait_2()
    script.sock.setsockopt(*TCP_KEEPIDLE, 10)
    script.sock.setsockopt(*SO_KEEPALIVE, 1)
    expect_probe(script, 10)
    assert script.sock.tcp_info().notsent_bytes == script.sock.ioctl(SIOCOUTQNSD) == 0


def test_the_user_timeout_takes_the_place_of_the_count() -> None:
    """tcp(7), TCP_USER_TIMEOUT."""
    script = kept_alive(count=1)
    script.sock.setsockopt(*TCP_USER_TIMEOUT, 20_000)
    for when in (10, 13, 16, 19):
        expect_probe(script, when)
    script.at(22).expect(RST | ACK)
    assert script.sock.getsockopt(*SO_ERROR) == errno.ETIMEDOUT


def test_the_settings_of_the_host_count() -> None:
    script = established()
    sysctl = script.stack.sysctl
    sysctl["net.ipv4.tcp_keepalive_time"] = 5
    sysctl["net.ipv4.tcp_keepalive_intvl"] = 1
    sysctl["net.ipv4.tcp_keepalive_probes"] = 1
    assert script.sock.getsockopt(*TCP_KEEPIDLE) == 5
    script.sock.setsockopt(*SO_KEEPALIVE, 1)
    expect_probe(script, 5)
    script.at(6).expect(RST | ACK)


def test_a_user_timeout_shorter_than_the_idle_time_still_lets_one_probe_go() -> None:
    """Linux tcp_keepalive_timer: silence alone ends nothing, an unanswered probe does."""
    script = kept_alive()
    script.sock.setsockopt(*TCP_USER_TIMEOUT, 5_000)
    expect_probe(script, 10)
    script.at(13).expect(RST | ACK)
