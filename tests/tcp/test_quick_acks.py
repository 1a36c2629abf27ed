"""Quick acknowledgments, ping-pong mode, and what a read has to do with it: Linux's choices within RFC 1122 4.2.3.2."""

import pytest

from support.fixtures import accepted, established, syn_sent
from support.rules import rule
from support.script import ACK, FIN, PSH, SYN, Script

TCP_QUICKACK = 6, 12
TCP_NODELAY = 6, 1


def feed(script: Script, count: int, gap: float = 0.0) -> Script:
    """So many small segments, each acknowledged at once."""
    for _ in range(count):
        script.sends(PSH | ACK, data=b"x").expect(ACK)
        script.after(gap).expect_nothing()
    return script


def test_the_first_sixteen_segments_are_acknowledged_at_once() -> None:
    script = feed(established(quick=True), 16).mark()
    script.sends(PSH | ACK, data=b"x").expect_nothing()
    script.at(0.04).expect(ACK)
    script.after(10).expect_nothing()


def test_of_a_small_buffer_half_a_window_s_worth_of_segments_is_acknowledged_at_once() -> None:
    script = accepted(receive_buffer=10 * 536, quick=True)
    feed(script, 4).sends(PSH | ACK, data=b"x").expect_nothing()


@rule("RFC 1122 4.2.3.2", "An ACK is delayed by less than half a second", code="tcp/delayed_ack.py")
def test_the_delay_follows_the_gaps_and_stays_below_200_ms() -> None:
    script = feed(established(rtt=0.9, quick=True), 16)
    delays = []
    for _ in range(10):
        script.after(0.9).mark()
        script.sends(PSH | ACK, data=b"x").expect_nothing()
        script.after(0.5)
        delays.append(script.drain()[0].time)
    assert delays[0] == 0.04
    assert delays[1] == 0.08
    assert delays[-1] == 0.2
    assert sorted(delays) == delays


def test_reading_what_ended_no_write_lets_the_ack_wait() -> None:
    """Linux tcp_cleanup_rbuf: a full segment without PSH will be followed by more."""
    script = accepted()
    script.sends(ACK, data=bytes(1000))
    assert len(script.sock.recv(2000)) == 1000
    script.expect_nothing()
    script.at(0.04).expect(ACK)


def test_where_answers_are_expected_reading_one_write_lets_the_ack_wait_and_reading_two_does_not() -> None:
    """Linux tcp_cleanup_rbuf, ICSK_ACK_PUSHED and ICSK_ACK_PUSHED2."""
    script = accepted()
    script.sends(PSH | ACK, data=b"x")
    assert script.sock.recv(10) == b"x"
    script.expect_nothing()
    script.sends(PSH | ACK, data=b"y")
    assert script.sock.recv(10) == b"y"
    script.expect(ACK)


def test_the_delay_is_no_longer_than_a_round_trip() -> None:
    script = feed(established(rtt=0.05, quick=True), 16)
    delays = []
    for _ in range(5):
        script.after(0.1).mark()
        script.sends(PSH | ACK, data=b"x").expect_nothing()
        script.after(0.1)
        delays.append(script.drain()[0].time)
    assert delays == [0.04, 0.05, 0.05, 0.05, 0.05]


def test_an_answer_carries_the_ack_from_then_on() -> None:
    """One answer, and acknowledgments wait for the next."""
    script = established(quick=True)
    script.sends(PSH | ACK, data=b"question").expect(ACK)
    script.at(0.02).sock.send(b"answer")
    script.expect(PSH | ACK, data=b"answer")
    script.at(0.05).sends(PSH | ACK, data=b"question").expect_nothing()
    assert script.sock.getsockopt(*TCP_QUICKACK) == 0
    script.sock.send(b"answer")
    script.expect(PSH | ACK, data=b"answer")


def test_data_sent_long_after_what_came_are_no_answer() -> None:
    script = established(quick=True)
    script.sends(PSH | ACK, data=b"question").expect(ACK)
    script.at(0.05).sock.send(b"something else")
    script.expect(PSH | ACK, data=b"something else")
    script.sends(PSH | ACK, data=b"question").expect(ACK)
    assert script.sock.getsockopt(*TCP_QUICKACK) == 1


def test_an_answer_that_does_not_come_ends_ping_pong_mode() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"question").at(0.04).expect(ACK)
    script.sends(PSH | ACK, data=b"question").expect(ACK)


def test_after_a_pause_acks_are_quick_again() -> None:
    script = feed(established(quick=True), 16)
    script.after(0.29).sends(PSH | ACK, data=b"x").expect_nothing()
    script.after(0.04).expect(ACK)
    script.after(0.35).sends(PSH | ACK, data=b"x").expect(ACK)


@rule("RFC 5681 4.2", "What was received already is acknowledged at once", code="tcp/arrival.py")
def test_a_segment_that_comes_again_makes_acks_quick() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"12345").expect_nothing()
    script.sends(PSH | ACK, seq=script.nxt - 5, data=b"12345").expect(ACK)
    assert script.stack.stats.tcp.DelayedACKLost == 1
    script.sends(PSH | ACK, data=b"6").expect(ACK)


# Reading ----------------------------------------------------------------------------------------------------------


def slow() -> Script:
    """No ACK is quick any more, and none has an answer to wait for."""
    return feed(established(quick=True), 16).mark()


def drained(script: Script) -> Script:
    """Everything was read."""
    while script.sock.queued()[0]:
        script.sock.recv(1 << 20)
    return script.expect_nothing()


def test_reading_everything_acknowledges_the_end_of_a_write() -> None:
    """So that a peer with Nagle's algorithm does not wait for 40 ms (Linux tcp_cleanup_rbuf)."""
    script = drained(slow())
    script.sends(PSH | ACK, data=b"write").expect_nothing()
    script.sock.recv(3)
    script.expect_nothing()
    script.sock.recv(3)
    script.expect(ACK)
    script.after(10).expect_nothing()


def test_reading_does_not_acknowledge_what_has_an_answer_coming() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"question")
    script.sock.recv(100)
    script.expect_nothing()
    script.sock.send(b"answer")
    script.expect(PSH | ACK, data=b"answer")
    script.after(10)


def test_reading_acknowledges_two_writes_whatever_is_coming() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"one").sends(PSH | ACK, data=b"two")
    script.sock.recv(100)
    script.expect(ACK)


def test_reading_a_full_segment_that_ends_no_write_acknowledges_nothing() -> None:
    script = drained(slow())
    script.sends(ACK, data=bytes(1460))
    drained(script)
    script.sends(PSH | ACK, data=bytes(1460)).expect(ACK)  # more than one
    drained(script)
    script.sends(PSH | ACK, data=bytes(1460)).expect_nothing()
    script.sock.recv(2000)
    script.expect(ACK)


def test_a_window_that_cannot_move_lets_the_ack_wait_for_the_reader() -> None:
    """Linux __tcp_ack_snd_check: "tcp_recvmsg() will send ACK otherwise"."""
    script = accepted(receive_buffer=20_000)
    for _ in range(16):
        script.sends(ACK, data=bytes(1000)).after(0.1).drain()
    script.sends(ACK, data=bytes(1000)).sends(ACK, data=bytes(1000)).expect_nothing()
    script.sock.recv(14_000)
    script.expect(ACK)


# TCP_QUICKACK (tcp(7)) --------------------------------------------------------------------------------------------


def test_setting_quickack_acknowledges_what_is_owed() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"question")
    script.sock.recv(100)
    script.expect_nothing()
    script.sock.setsockopt(*TCP_QUICKACK, 1)
    script.expect(ACK)
    script.sends(PSH | ACK, data=b"question").expect(ACK)


def test_quickack_of_an_even_number_is_for_once() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"question")
    script.sock.recv(100)
    script.sock.setsockopt(*TCP_QUICKACK, 2)
    script.expect(ACK)
    assert script.sock.getsockopt(*TCP_QUICKACK) == 0
    script.sends(PSH | ACK, data=b"question").expect_nothing()
    script.after(1).drain()


def test_quickack_off_waits_for_an_answer() -> None:
    script = established(quick=True)
    script.sock.setsockopt(*TCP_QUICKACK, 0)
    script.sends(PSH | ACK, data=b"question").expect_nothing()
    script.at(0.04).expect(ACK)


@pytest.mark.parametrize("written", [False, True])
def test_quickack_turned_off_before_connecting_lets_the_handshake_end_with_data(written: bool) -> None:
    """tcp(7); Linux tcp_rcv_synsent_state_process: for 200 ms."""
    script = syn_sent()
    script.sock.setsockopt(*TCP_QUICKACK, 0)
    script.sends(SYN | ACK, mss=1000).expect_nothing()
    if written:
        script.at(0.1).sock.send(b"GET")
        script.expect(PSH | ACK, data=b"GET")
    else:
        script.at(0.199999).expect_nothing()
        script.at(0.2).expect(ACK)
    script.sends(PSH | ACK, data=b"x").expect(ACK)


def test_a_fin_in_quick_mode_waits_for_ours_all_the_same() -> None:
    script = established(quick=True)
    script.sends(PSH | ACK, data=b"x").expect(ACK)
    script.after(0.1).mark().sends(FIN | ACK).expect_nothing()
    script.at(0.04).expect(ACK)
