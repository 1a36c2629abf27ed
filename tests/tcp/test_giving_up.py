"""How long a connection goes on trying: tcp_retries2, TCP_USER_TIMEOUT (RFC 5482), TCP_SYNCNT, TCP_LINGER2, orphans."""

from __future__ import annotations

import errno

import pytest

from aionetflow.config import RTO_MAX, SECOND
from aionetflow.tcp.states import State
from aionetflow.tcp.timeouts import model_timeout
from support.fixtures import begin_connect, established, fin_wait_1, fin_wait_2, is_forgotten
from support.rules import rule
from support.script import ACK, FIN, IRS, PSH, RST, Script

SO_ERROR = 1, 4
SO_LINGER = 1, 13
TCP_SYNCNT = 6, 7
TCP_LINGER2 = 6, 8
TCP_USER_TIMEOUT = 6, 18


def times(script: Script) -> list[float]:
    """When the stack has sent something since."""
    return [heard.time for heard in script.drain()]


def gave_up(script: Script, code: int = errno.ETIMEDOUT) -> None:
    assert script.state == State.CLOSED
    assert script.sock.getsockopt(*SO_ERROR) == code
    script.expect_nothing()


def test_the_time_of_so_many_retransmissions_doubles_up_to_two_minutes() -> None:
    assert [model_timeout(k, SECOND // 5) / SECOND for k in (0, 1, 2, 8, 9, 10, 15)] == [
        pytest.approx(value) for value in (0.2, 0.6, 1.4, 102.2, 204.6, 324.6, 924.6)
    ]
    assert model_timeout(1, RTO_MAX) == 2 * RTO_MAX


@rule("RFC 1122 4.2.3.5", "After R2 the connection is closed and the application told", code="tcp/timeouts.py")
def test_data_are_sent_again_for_924_seconds() -> None:
    """tcp_retries2 is 15: as long as so many take that begin at 200 ms, counted from the first."""
    script = established()
    script.sock.send(b"x")
    script.at(2000)
    sent = times(script)
    assert sent[:5] == [pytest.approx(when) for when in (0, 0.3, 0.9, 2.1, 4.5)]
    gave_up(script)
    assert sent[-1] < 0.3 + 924.6 <= sent[-1] + 120


def test_a_long_round_trip_does_not_get_more_time() -> None:
    script = established(rtt=0.9)
    script.stack.sysctl["net.ipv4.tcp_retries2"] = 5  # 12.6 s
    script.sock.send(b"x")
    script.at(200)
    sent = times(script)
    assert sent == [pytest.approx(when) for when in (0, 2.7, 8.1)]
    gave_up(script)


@rule("RFC 5482 2", "The application sets how long data may go unacknowledged", code="tcp/timeouts.py")
def test_the_user_timeout_bounds_retransmission() -> None:
    script = established()
    script.sock.setsockopt(*TCP_USER_TIMEOUT, 1500)
    script.sock.send(b"x")
    script.at(1.799999)
    assert times(script) == [pytest.approx(when) for when in (0, 0.3, 0.9)]
    assert script.state == State.ESTABLISHED
    script.at(1.8)  # 1.5 s after the first retransmission, which does not wait for the next
    gave_up(script)


def test_an_acknowledgment_begins_the_user_timeout_anew() -> None:
    script = established()
    script.sock.setsockopt(*TCP_USER_TIMEOUT, 1500)
    script.sock.send(b"x")
    script.at(1).drain()
    script.sends(ACK)
    script.at(5).sock.send(b"y")
    script.at(6.5)
    assert script.state == State.ESTABLISHED
    script.at(9).drain()
    gave_up(script)


def test_the_user_timeout_ends_a_handshake() -> None:
    script = Script()
    script.sock = script.stream()
    script.sock.setsockopt(*TCP_USER_TIMEOUT, 2500)
    begin_connect(script)
    script.at(2.499999)
    assert times(script) == [0, 1, 2]
    script.at(2.5)
    gave_up(script)


def test_the_user_timeout_ends_the_probes_of_a_closed_window() -> None:
    """RFC 1122 4.2.2.17 lets a connection go on while the peer answers; the application may say how long."""
    script = established()
    script.sock.setsockopt(*TCP_USER_TIMEOUT, 5000)
    script.sends(ACK, window=0)
    script.sock.send(b"x")
    while script.state == State.ESTABLISHED and script.now() < 60:
        script.after(0.1)
        if script.drain():
            script.sends(ACK)
    assert script.now() == pytest.approx(5.3, abs=0.2)
    gave_up(script)


def test_syncnt_says_how_often_a_syn_is_sent_again() -> None:
    script = Script()
    script.stack.sysctl["net.ipv4.tcp_syn_linear_timeouts"] = 0
    script.sock = script.stream()
    script.sock.setsockopt(*TCP_SYNCNT, 2)
    begin_connect(script)
    script.at(6.999999)
    assert times(script) == [0, 1, 3]
    script.at(7)
    gave_up(script)


@pytest.mark.parametrize(("retries", "sent", "over"), [(1, [0, 1, 2], 3), (2, [0, 1, 2, 3, 4, 5], 7)])
def test_syns_that_are_sent_again_without_longer_waits_get_no_more_time(
    retries: int, sent: list[float], over: float
) -> None:
    """Linux tcp_syn_linear_timeouts: more of them in the same time, which is that of waits that double."""
    script = Script()
    script.stack.sysctl["net.ipv4.tcp_syn_retries"] = retries
    script.sock = script.stream()
    begin_connect(script)
    script.at(over - 0.000001)
    assert times(script) == sent
    script.at(over)
    gave_up(script)


def test_what_a_router_said_is_the_error_of_the_time_out() -> None:
    script = established()
    script.stack.sysctl["net.ipv4.tcp_retries2"] = 2
    script.sock.send(b"x")
    heard = script.expect(PSH | ACK, data=b"x")
    script.sends_icmp(3, 1, heard)
    script.at(5).drain()
    gave_up(script, errno.EHOSTUNREACH)


def test_what_a_router_said_is_forgotten_when_anything_is_heard() -> None:
    script = established()
    script.stack.sysctl["net.ipv4.tcp_retries2"] = 2
    script.sock.send(b"x")
    heard = script.expect(PSH | ACK, data=b"x")
    script.sends_icmp(3, 1, heard)
    script.sends(ACK, ack=heard.seq, window=60000)
    script.at(5).drain()
    gave_up(script, errno.ETIMEDOUT)


# Orphans: nobody holds them any more --------------------------------------------------------------------------------


def test_an_orphan_s_data_are_sent_again_for_102_seconds() -> None:
    """tcp_orphan_retries is 0, which means eight."""
    script = established()
    script.sock.send(b"x")
    script.sock.close()
    script.at(300)
    sent = times(script)
    assert script.state == State.CLOSED
    assert sent[-1] < 0.3 + 102.2 <= sent[-1] + 77


def test_orphan_retries_may_be_set() -> None:
    script = established()
    script.stack.sysctl["net.ipv4.tcp_orphan_retries"] = 2  # 1.4 s
    script.sock.close()
    script.at(30)
    assert times(script) == [pytest.approx(when) for when in (0, 0.3, 0.9)]
    assert script.state == State.CLOSED


def test_fin_wait_2_of_an_orphan_lasts_as_long_as_fin_timeout_says() -> None:
    script = fin_wait_1(lambda script: script.sock.close())
    script.stack.sysctl["net.ipv4.tcp_fin_timeout"] = 20
    script.sends(ACK).at(19.999999)
    assert script.state == State.FIN_WAIT_2
    script.at(20)
    is_forgotten(script)


def test_fin_wait_2_is_no_shorter_than_three_and_a_half_retransmission_time_outs() -> None:
    script = fin_wait_2()
    script.stack.sysctl["net.ipv4.tcp_fin_timeout"] = 0
    lasts = 3.5 * script.sock.tcp_info().rto / 1_000_000
    assert lasts > 0.7
    script.sock.close()
    script.at(lasts - 0.00001)
    assert script.state == State.FIN_WAIT_2
    script.at(lasts + 0.00001)
    is_forgotten(script)


@pytest.mark.parametrize(("seconds", "lasts"), [(5, 5.0), (100, 100.0), (500, 120.0), (0, 60.0)])
def test_linger2_says_how_long_for_one_socket(seconds: int, lasts: float) -> None:
    script = fin_wait_2()
    script.sock.setsockopt(*TCP_LINGER2, seconds)
    script.sock.close()
    script.at(lasts - 0.000001)
    assert script.state == State.FIN_WAIT_2
    script.at(lasts)
    is_forgotten(script)


def test_linger2_below_zero_resets_what_is_closed_in_fin_wait_2() -> None:
    script = fin_wait_2()
    script.sock.setsockopt(*TCP_LINGER2, -1)
    script.sock.close()
    script.expect(RST | ACK)
    assert script.stack.stats.tcp.TCPAbortOnLinger == 1
    is_forgotten(script)


def test_linger2_below_zero_resets_what_gets_into_fin_wait_2() -> None:
    script = established()
    script.sock.setsockopt(*TCP_LINGER2, -1)
    script.sock.close()
    fin = script.expect(FIN | ACK)
    assert fin.seq == (IRS + 1) & 0xFFFFFFFF
    script.sends(ACK).expect(RST, seq=script.heard)
    is_forgotten(script)
