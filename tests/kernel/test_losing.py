"""What is sent again, when and how often: time-outs, duplicate acknowledgments, SACK, tail loss probes, undo."""

from __future__ import annotations

import platform
import re
import socket

from support.beside.cases import both
from support.beside.packets import NOP, SACK_OK, mss, timestamps, wscale
from support.beside.states import accepted
from support.beside.talk import Flow, Sock, Talk

TCP = socket.IPPROTO_TCP
SACK = mss(1000) + SACK_OK
STAMPS = mss(1000) + NOP * 2 + timestamps(100_000, 0)
EVERYTHING = mss(1000) + SACK_OK + timestamps(100_000, 0) + NOP + wscale(7)
NO_PROBE = {"net.ipv4.tcp_early_retrans": 0}
RENO = {"net.ipv4.tcp_recovery": 0, "net.ipv4.tcp_early_retrans": 0}
KERNEL = tuple(map(int, re.findall(r"\d+", platform.release())[:2]))
OLD_RECOVERY = "RFC 6675 is ours where tcp_recovery is 0; Linux 6.17 has dropped it" if KERNEL >= (6, 17) else ""


def ten(t: Talk, opts: bytes | None = None) -> tuple[Sock, Flow]:
    """Ten segments of 1000 octets are on their way, and more wait."""
    sock, flow = accepted(t, opts=opts)
    sock.send(bytes(30_000))
    t.wait(0.02)
    return sock, flow


@both(sysctls=NO_PROBE)
def test_slow_start_goes_on_while_more_than_half_of_the_window_is_used(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(6000))
    t.wait(0.02)
    flow.acks(6001)
    t.wait(0.01)
    sock.send(bytes(24_000))
    t.wait(0.05)


@both(sysctls=NO_PROBE)
def test_a_window_that_is_used_by_less_than_half_does_not_grow(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(bytes(4000))
    t.wait(0.02)
    flow.acks(4001)
    t.wait(0.01)
    sock.send(bytes(26_000))
    t.wait(0.05)


@both(sysctls=NO_PROBE)
def test_a_lost_segment_is_sent_again_after_the_rto(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.wait(0.5)
    flow.acks()
    t.wait(0.5)


@both(sysctls=NO_PROBE)
def test_the_rto_doubles(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.wait(3.6)
    flow.acks()
    t.wait(0.1)


@both(sysctls=NO_PROBE)
def test_the_rto_follows_the_round_trip(t: Talk) -> None:
    sock, _ = accepted(t, rtt=0.3)
    sock.send(b"hello")
    t.wait(2.5)


@both(sysctls=NO_PROBE)
def test_the_rto_after_some_round_trips(t: Talk) -> None:
    sock, flow = accepted(t, rtt=0.1)
    for _ in range(4):
        sock.send(b"hello")
        t.wait(0.1)
        flow.acks()
    sock.send(b"lost")
    t.wait(1.2)


@both(sysctls=NO_PROBE)
def test_backing_off_ends_with_an_acknowledgment_of_new_data(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.wait(0.8)
    flow.acks()
    sock.send(b"again")
    t.wait(1.2)


@both(sysctls={**NO_PROBE, "net.ipv4.tcp_retries2": 3})
def test_tcp_retries2_says_when_to_give_up(t: Talk) -> None:
    sock, flow = accepted(t)
    sock.send(b"hello")
    t.wait(4.5)
    sock.events()
    sock.error()
    flow.acks()
    t.wait(0.02)


@both(sysctls=NO_PROBE)
def test_a_retransmission_takes_small_neighbours_with_it(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.nodelay()
    for word in (b"one", b"two", b"three"):
        sock.send(word)
    t.wait(0.4)


@both()
def test_a_tail_loss_probe_comes_before_the_time_out(t: Talk) -> None:
    sock, flow = accepted(t, opts=SACK)
    sock.send(bytes(3000))
    t.wait(0.6)
    flow.acks()
    t.wait(0.3)


@both()
def test_a_tail_loss_probe_of_one_segment_waits_for_a_late_acknowledgment(t: Talk) -> None:
    sock, _ = accepted(t, opts=SACK)
    sock.send(bytes(500))
    t.wait(0.8)


@both()
def test_a_tail_loss_probe_sends_new_data_if_there_are_some(t: Talk) -> None:
    sock, _ = accepted(t, opts=SACK, win=3000)
    sock.send(bytes(2500))
    t.wait(0.01)
    sock.send(bytes(400))
    t.wait(0.3)


@both()
def test_no_probe_without_sack(t: Talk) -> None:
    sock, _ = accepted(t)
    sock.send(bytes(3000))
    t.wait(0.6)


@both()
def test_after_a_time_out_one_segment_goes(t: Talk) -> None:
    _, flow = ten(t)
    t.wait(0.4)
    flow.acks(1001)
    t.wait(0.02)
    flow.acks(2001)
    t.wait(0.02)
    flow.acks(4001)
    t.wait(0.02)


@both(sysctls=RENO)
def test_the_third_duplicate_acknowledgment_sends_again(t: Talk) -> None:
    _, flow = ten(t)
    for _ in range(5):
        flow.acks(1)
        t.wait(0.01)
    flow.acks(10_001)
    t.wait(0.05)


@both(sysctls=RENO)
def test_the_first_two_duplicate_acknowledgments_send_new_data(t: Talk) -> None:
    _, flow = ten(t)
    flow.acks(1)
    t.wait(0.01)
    flow.acks(1)
    t.wait(0.01)


@both(sysctls=RENO)
def test_a_partial_acknowledgment_sends_the_next_hole(t: Talk) -> None:
    _, flow = ten(t)
    for _ in range(4):
        flow.acks(1)
        t.wait(0.01)
    flow.acks(3001)
    t.wait(0.01)
    flow.acks(5001)
    t.wait(0.01)
    flow.acks(flow.heard)
    t.wait(0.05)


@both()
def test_duplicate_acknowledgments_with_rack_but_without_sack(t: Talk) -> None:
    _, flow = ten(t)
    for _ in range(4):
        flow.acks(1)
        t.wait(0.01)
    flow.acks(10_001)
    t.wait(0.05)


@both()
def test_what_is_no_duplicate_acknowledgment(t: Talk) -> None:
    _, flow = ten(t)
    for window in (60_000, 50_000, 40_000, 30_000):
        flow.acks(1, win=window)
        t.wait(0.01)
    for _ in range(4):
        flow.sends("PA", b"data", ack=1)
        t.wait(0.01)


@both()
def test_sack_of_three_segments_marks_the_first_as_lost(t: Talk) -> None:
    _, flow = ten(t, SACK)
    for right in (2001, 3001, 4001, 5001):
        flow.acks(1, sack=[(1001, right)])
        t.wait(0.01)
    flow.acks(10_001)
    t.wait(0.05)


@both(sysctls=RENO, differs=OLD_RECOVERY)
def test_sack_without_rack_counts_segments(t: Talk) -> None:
    _, flow = ten(t, SACK)
    for right in (2001, 3001, 4001, 5001):
        flow.acks(1, sack=[(1001, right)])
        t.wait(0.01)
    flow.acks(10_001)
    t.wait(0.05)


@both()
def test_two_holes_are_filled(t: Talk) -> None:
    _, flow = ten(t, SACK)
    flow.acks(1, sack=[(1001, 2001)])
    t.wait(0.005)
    flow.acks(1, sack=[(4001, 7001), (1001, 2001)])
    t.wait(0.03)
    flow.acks(7001)
    t.wait(0.03)
    flow.acks(10_001)
    t.wait(0.05)


@both()
def test_rack_waits_a_quarter_of_a_round_trip_for_reordered_segments(t: Talk) -> None:
    sock, flow = accepted(t, opts=EVERYTHING, rtt=0.1)
    sock.send(bytes(9880))
    t.wait(0.1)
    flow.acks(1, sack=[(989, 1977)])
    t.wait(0.2)


@both()
def test_a_hole_that_fills_by_itself_is_reordering(t: Talk) -> None:
    sock, flow = accepted(t, opts=EVERYTHING, rtt=0.1)
    sock.send(bytes(9880))
    t.wait(0.1)
    flow.acks(1, sack=[(989, 1977)])
    t.wait(0.01)
    flow.acks(1977)
    t.wait(0.05)


@both()
def test_prr_paces_the_recovery(t: Talk) -> None:
    _, flow = ten(t, SACK)
    for right in range(2001, 10_002, 1000):
        flow.acks(1, sack=[(1001, right)])
        t.wait(0.002 if right == 3001 else 0.0)  # new data leave before what is sent again
    t.wait(0.03)
    flow.acks(10_001)
    t.wait(0.03)


@both()
def test_a_spurious_time_out_is_undone_by_timestamps(t: Talk) -> None:
    sock, flow = accepted(t, opts=EVERYTHING)
    sock.send(bytes(20_000))
    t.wait(0.01)
    echo = flow.echo
    t.wait(0.35)
    flow.acks(2965, ts=(t.stamp(), echo))
    t.wait(0.02)
    flow.acks(4941, ts=(t.stamp(), echo))
    t.wait(0.02)


@both()
def test_a_spurious_time_out_is_found_by_f_rto(t: Talk) -> None:
    _, flow = ten(t, SACK)
    t.wait(0.4)
    flow.acks(2001)
    t.wait(0.01)
    flow.acks(4001)
    t.wait(0.02)


@both()
def test_a_spurious_retransmission_is_undone_by_d_sack(t: Talk) -> None:
    _, flow = ten(t, SACK)
    for right in (2001, 3001, 4001):
        flow.acks(1, sack=[(1001, right)])
    t.wait(0.01)
    flow.acks(10_001, sack=[(1, 1001)])
    t.wait(0.05)


@both()
def test_reneging_is_noticed_at_the_time_out(t: Talk) -> None:
    _, flow = ten(t, SACK)
    flow.acks(1, sack=[(1001, 5001)])
    t.wait(0.03)
    flow.acks(1001)
    t.wait(0.5)


@both()
def test_nonsense_in_sack_is_ignored(t: Talk) -> None:
    _, flow = ten(t, SACK)
    flow.acks(1, sack=[(50_001, 60_001)])
    t.wait(0.01)
    flow.acks(1, sack=[(5001, 4001)])
    t.wait(0.01)
    flow.acks(1, sack=[(-5000, -4000)])
    t.wait(0.03)


@both()
def test_a_time_out_with_sacked_segments_resends_the_holes(t: Talk) -> None:
    _, flow = ten(t, SACK)
    flow.acks(1, sack=[(2001, 4001), (6001, 8001)])
    t.wait(0.7)
    flow.acks(4001, sack=[(6001, 8001)])
    t.wait(0.05)


@both()
def test_a_lost_retransmission_is_found_by_rack(t: Talk) -> None:
    _, flow = ten(t, EVERYTHING)
    flow.acks(1, sack=[(989, 3953)])
    t.wait(0.02)
    flow.acks(1, sack=[(989, 9881)])
    t.wait(0.025)
    flow.acks(1, sack=[(9881, 11857), (989, 9881)])
    t.wait(0.05)


@both(sysctls={**NO_PROBE, "net.ipv4.tcp_frto": 0})
def test_after_a_time_out_without_f_rto(t: Talk) -> None:
    _, flow = ten(t, SACK)
    t.wait(0.35)
    flow.acks(2001)
    t.wait(0.01)
    flow.acks(4001)
    t.wait(0.02)
