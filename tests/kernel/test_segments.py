"""Segments that do not belong: in every state, what is dropped, acknowledged, or reset (RFC 9293, 5961)."""

from __future__ import annotations

from support.beside.cases import both
from support.beside.packets import NOP, mss, timestamps
from support.beside.states import accepted, close_wait, closing, connected, fin_wait_1, fin_wait_2, last_ack, time_wait
from support.beside.talk import Flow, Talk

MEMORY = "Linux counts the memory that a segment takes of a receive buffer, we count its octets"
PLAIN = {"net.ipv4.tcp_timestamps": 0, "net.ipv4.tcp_sack": 0}
APART = 0.6  # s; challenges to one connection are half a second apart (tcp_invalid_ratelimit)


def outside(t: Talk, flow: Flow) -> None:
    """What no state takes: before the window, behind it, acknowledging too much or nothing."""
    here = flow.nxt
    flow.sends("A", seq=here - 1)
    t.wait(APART)
    flow.sends("A", seq=here + 100_000)
    t.wait(APART)
    flow.sends("A", seq=here, ack=flow.heard + 1000)
    t.wait(APART)
    flow.sends("PA", b"x", seq=here - 1)
    t.wait(APART)
    flow.sends("P", b"x", seq=here)
    t.wait(APART)


@both()
def test_outside_of_established(t: Talk) -> None:
    _, flow = accepted(t)
    outside(t, flow)


@both()
def test_outside_of_close_wait(t: Talk) -> None:
    _, flow = close_wait(t)
    outside(t, flow)


@both()
def test_outside_of_fin_wait_1(t: Talk) -> None:
    _, flow = fin_wait_1(t)
    here = flow.nxt
    flow.sends("A", seq=here - 1, ack=1)
    t.wait(0.05)
    flow.sends("A", seq=here, ack=1000)
    t.wait(0.05)


@both()
def test_outside_of_fin_wait_2(t: Talk) -> None:
    _, flow = fin_wait_2(t)
    outside(t, flow)


@both()
def test_outside_of_closing(t: Talk) -> None:
    _, flow = closing(t)
    here = flow.nxt
    flow.sends("A", seq=here - 1, ack=1)
    t.wait(0.05)
    flow.sends("A", seq=here, ack=1000)
    t.wait(0.05)


@both()
def test_outside_of_last_ack(t: Talk) -> None:
    _, flow = last_ack(t)
    here = flow.nxt
    flow.sends("A", seq=here - 1, ack=1)
    t.wait(0.05)
    flow.sends("A", seq=here, ack=1000)
    t.wait(0.05)


@both()
def test_outside_of_time_wait(t: Talk) -> None:
    _, flow = time_wait(t)
    outside(t, flow)


@both()
def test_a_syn_in_established_is_challenged(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("S", seq=1)
    t.wait(0.05)
    sock.state()


@both()
def test_a_syn_outside_the_window_is_challenged(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("S", seq=500_000)
    t.wait(0.05)
    sock.state()


@both()
def test_a_syn_in_close_wait_is_challenged(t: Talk) -> None:
    sock, flow = close_wait(t)
    flow.sends("S", seq=2)
    t.wait(0.05)
    sock.state()


@both()
def test_a_syn_in_fin_wait_2_is_challenged(t: Talk) -> None:
    sock, flow = fin_wait_2(t)
    flow.sends("S", seq=1)
    t.wait(0.05)
    sock.state()


@both()
def test_a_reset_in_the_window_is_challenged(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("R", seq=2)
    t.wait(0.05)
    sock.state()


@both()
def test_a_reset_outside_the_window_is_ignored(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("R", seq=0)
    t.wait(0.05)
    flow.sends("R", seq=100_000)
    t.wait(0.05)
    sock.state()


@both()
def test_challenges_to_one_connection_are_half_a_second_apart(t: Talk) -> None:
    _, flow = accepted(t)
    for _ in range(3):
        flow.sends("R", seq=2)
        t.wait(0.1)
    t.wait(0.4)
    flow.sends("R", seq=2)
    t.wait(0.05)


@both()
def test_syns_are_challenged_as_often_as_resets(t: Talk) -> None:
    _, flow = accepted(t)
    for _ in range(3):
        flow.sends("S", seq=2)
        t.wait(0.1)


@both()
def test_old_data_are_acknowledged_at_once(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("PA", b"hello")
    t.wait(0.06)
    flow.sends("PA", b"hello", seq=1)
    t.wait(0.06)
    sock.recv(100)


@both()
def test_data_that_overlap_old_ones_bring_what_is_new(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("PA", b"hello")
    t.wait(0.06)
    flow.sends("PA", b"hello world", seq=1)
    t.wait(0.06)
    sock.recv(100)


@both()
def test_an_acknowledgment_of_what_was_not_sent(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.expect("PA")
    flow.acks(1000)
    t.wait(0.05)
    flow.acks(6)
    t.wait(0.5)


@both()
def test_acknowledgments_of_what_was_not_sent_are_challenged_rarely(t: Talk) -> None:
    _, flow = accepted(t)
    for _ in range(3):
        flow.acks(1000)
        t.wait(0.2)
    flow.sends("PA", b"x", ack=1000)
    t.wait(0.2)


@both()
def test_data_outside_of_the_window_are_always_answered(t: Talk) -> None:
    _, flow = accepted(t)
    for _ in range(3):
        flow.sends("PA", b"x", seq=200_000)
        t.wait(0.1)
    for _ in range(3):
        flow.sends("FA", seq=200_000)
        t.wait(0.1)


@both()
def test_an_acknowledgment_far_behind(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.expect("PA")
    flow.acks()
    flow.sends("PA", b"data", ack=-200_000)
    t.wait(0.05)
    sock.recv(10)


@both()
def test_a_little_old_acknowledgment_may_carry_data(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.expect("PA")
    flow.acks()
    flow.sends("PA", b"data", ack=1)
    t.wait(0.06)
    sock.recv(10)


@both()
def test_all_flags_at_once(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("FSRPAU", seq=1)
    t.wait(0.05)
    sock.state()


@both()
def test_no_flags_at_all(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("", b"data", seq=1)
    t.wait(0.06)
    sock.recv(10)
    sock.state()


@both()
def test_a_bad_checksum_is_nothing(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("PA", b"data", seq=1, bad_sum=True)
    t.wait(0.06)
    sock.recv(10)


@both()
def test_urgent_data_are_taken_out_of_line(t: Talk) -> None:
    sock, flow = accepted(t)
    flow.sends("PAU", b"abc!", urg=4)
    t.wait(0.06)
    sock.events()
    sock.recv(10)
    sock.recv(1, 1)
    sock.recv(10)


@both()
def test_urgent_data_are_sent(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"abc", 1)
    t.wait(0.02)
    flow.acks()


@both()
def test_a_window_field_of_an_old_segment_does_not_count(t: Talk) -> None:
    sock, flow = accepted(t, win=2000)
    sock.send(bytes(5000))
    t.wait(0.01)
    flow.sends("A", seq=flow.nxt - 1, win=60000)
    t.wait(0.05)
    flow.sends("A", win=10000)
    t.wait(0.05)


@both(differs=MEMORY)
def test_a_segment_longer_than_the_window_is_cut(t: Talk) -> None:
    sock, flow = accepted(t, before=lambda sock: sock.set(1, 8, 2304))  # SO_RCVBUF
    for _ in range(4):
        flow.sends("PA", bytes(1000))
        t.wait(0.06)
    sock.recv(100_000)
    t.wait(0.1)


@both()
def test_unknown_options_are_skipped(t: Talk) -> None:
    sock, flow = accepted(t, opts=b"\xfd\x06\x12\x34\x56\x78" + mss(900))
    flow.sends("PA", b"hello", opts=b"\xfe\x04ab")
    t.wait(0.06)
    sock.recv(10)
    sock.send(bytes(1500))
    t.wait(0.02)


@both()
def test_broken_options_end_the_list(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(900) + b"\x03\x00\x07\x01")
    sock.send(bytes(1500))
    t.wait(0.02)
    flow.acks()


@both()
def test_an_old_timestamp_is_refused(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1000) + NOP * 2 + timestamps(100_000, 0))
    flow.sends("PA", b"old", ts=(50_000, flow.echo))
    t.wait(0.06)
    sock.recv(10)
    flow.sends("PA", b"new", seq=1)
    t.wait(0.06)
    sock.recv(10)


@both()
def test_a_segment_without_the_timestamp_that_was_agreed_on(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1000) + NOP * 2 + timestamps(100_000, 0))
    flow.sends("PA", b"bare", ts=False)
    t.wait(0.06)
    sock.recv(10)


@both()
def test_the_timestamp_echoed_is_that_of_the_segment_that_moved_the_left_edge(t: Talk) -> None:
    sock, flow = accepted(t, opts=mss(1000) + NOP * 2 + timestamps(100_000, 0))
    flow.sends("PA", b"world", seq=6, ts=(100_500, flow.echo))
    t.wait(0.06)
    flow.sends("PA", b"hello", seq=1, ts=(100_400, flow.echo))
    t.wait(0.06)
    sock.recv(10)


@both(sysctls=PLAIN)
def test_outside_of_a_connection_that_was_made(t: Talk) -> None:
    _, flow = connected(t)
    outside(t, flow)
