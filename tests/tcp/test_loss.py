"""What is sent again, and how much at once: RFC 6298, RFC 5681, RFC 6582, Karn, Linux's limits on retries.

The peer's MSS is 1000 and the first round trip took 0.1 s: SRTT 0.1, RTTVAR 0.05, RTO 0.1 + 0.2 = 0.3 s.
"""

from itertools import pairwise

import pytest

from aionetflow.socket.options import IPPROTO_TCP, TCP_CONGESTION
from aionetflow.tcp.states import State
from support.fixtures import accepted, established
from support.modern import Peer
from support.rules import rule
from support.script import ACK, IRS, M32, MSS, PSH, Heard, Script

ETIMEDOUT = 110


def text(length: int) -> bytes:
    """Octets that tell where they belong."""
    return bytes(index * 7 % 251 for index in range(length))


def number(heard: Heard) -> int:
    """Which segment of MSS octets it is, from 0."""
    return ((heard.seq - IRS - 1) & M32) // MSS


def numbers(script: Script) -> list[int]:
    """Which segments were emitted, all of them now."""
    taken = script.drain()
    assert all(heard.time == script.now() for heard in taken), taken
    return [number(heard) for heard in taken]


def acknowledges(script: Script, segments: int) -> list[int]:
    """The peer has all before segment number `segments`; which segments does the stack then send?"""
    script.deliver([script.segment(ACK, ack=IRS + 1 + segments * MSS)])
    return numbers(script)


def ten_under_way(more: int = 0) -> Script:
    """The initial window of ten segments is under way, and so many more wait."""
    script = established()
    script.sock.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b"reno")
    script.sock.send(text((10 + more) * MSS))
    assert numbers(script) == list(range(10))
    return script.mark()


# The initial window -----------------------------------------------------------------------------------------------


@rule("RFC 6928 2", "The initial window is ten segments", code="tcp/congestion/base.py")
def test_the_initial_window_is_ten_segments() -> None:
    """RFC 6928."""
    ten_under_way(more=20).expect_nothing()


# Retransmission time-out ------------------------------------------------------------------------------------------


@rule(
    "RFC 6298 5.4", "When the timer expires, the earliest segment not acknowledged is sent again",
    code="tcp/loss.py",
)  # fmt: skip
@rule("RFC 6298 5.5", "Each expiry doubles the RTO", code="tcp/rtt.py")
def test_a_segment_is_sent_again_after_the_rto_with_back_off() -> None:
    """RFC 6298 5.4 to 5.6."""
    script = established()
    script.sock.send(b"lost")
    script.expect(PSH | ACK, data=b"lost")
    for when in (0.3, 0.9, 2.1, 4.5, 9.3):
        script.at(when - 0.000001).expect_nothing()
        script.at(when).expect(PSH | ACK, seq=IRS + 1, data=b"lost")
        script.expect_nothing()
    script.sends(ACK).after(1000).expect_nothing()
    assert script.state == State.ESTABLISHED


@rule("RFC 9293 3.8.3", "After R2 retransmissions the connection is closed, and its user told", code="tcp/departure.py")
@rule("RFC 6298 2.5", "The RTO has a maximum of at least 60 s", code="tcp/rtt.py")
def test_too_many_retries_end_the_connection() -> None:
    """Linux tcp_retries2 = 15; RTO_MAX = 120 s."""
    script = established()
    script.sock.send(b"lost")
    script.expect(PSH | ACK, data=b"lost")
    script.at(993.299999)
    times = [heard.time for heard in script.drain()]
    wanted = [0.3, 0.9, 2.1, 4.5, 9.3, 18.9, 38.1, 76.5, 153.3, *(153.3 + 120 * n for n in range(1, 7))]
    assert times == pytest.approx(wanted, abs=1e-6)
    assert script.state == State.ESTABLISHED
    script.at(993.300001).expect_nothing()
    assert script.state == State.CLOSED
    assert script.sock.events() & 0x18 == 0x18
    with pytest.raises(TimeoutError) as failure:
        script.sock.recv(10)
    assert failure.value.errno == ETIMEDOUT


def test_retries_are_counted_anew_after_progress() -> None:
    script = established()
    script.sock.send(b"lost")
    script.at(500).drain()
    script.sends(ACK, ack=IRS + 5)
    script.mark().sock.send(b"again")
    script.at(800)
    assert script.state == State.ESTABLISHED


@rule("RFC 6298 5.3", "An ACK of new data starts the timer anew", code="tcp/acknowledgment.py")
def test_the_timer_starts_anew_when_new_data_are_acknowledged() -> None:
    """RFC 6298 5.3."""
    script = ten_under_way()
    script.at(0.2).deliver([script.segment(ACK, ack=IRS + 1 + MSS)])
    script.at(0.4).expect_nothing()
    script.at(0.7)
    assert numbers_so_far(script)[0] == 1


def numbers_so_far(script: Script) -> list[int]:
    """Which segments were emitted since the last look, whenever."""
    return [number(heard) for heard in script.drain()]


@rule("RFC 6298 5.2", "The timer stops when all is acknowledged", code="tcp/acknowledgment.py")
def test_the_timer_stops_when_all_is_acknowledged() -> None:
    """RFC 6298 5.2."""
    script = ten_under_way()
    script.at(0.29).sends(ACK).after(1000).expect_nothing()


@rule("RFC 5681 3.1", "After a time-out cwnd is one segment", code="tcp/loss.py")
def test_a_time_out_sends_one_segment_and_starts_slowly() -> None:
    """RFC 5681 3.1: the loss window is one segment."""
    script = ten_under_way()
    script.at(0.3)
    assert numbers(script) == [0]
    assert acknowledges(script, 1) == [1, 2]
    assert acknowledges(script, 2) == [3, 4]


def test_what_was_sent_less_than_a_round_trip_ago_is_not_lost_by_a_time_out() -> None:
    """Linux tcp_timeout_mark_lost: it may yet arrive."""
    peer = Peer(tcp_early_retrans=0)
    peer.sends(1)
    peer.script.at(0.1)
    peer.acks(1)
    peer.sends(2)
    peer.script.at(0.38)
    peer.sends(1)
    peer.script.at(0.4).drain()
    info = peer.script.sock.tcp_info()
    assert (info.unacked, info.lost) == (3, 2)


def test_what_arrived_though_it_timed_out_is_not_sent_again() -> None:
    script = ten_under_way(more=4)
    script.at(0.3)
    assert numbers(script) == [0]
    assert acknowledges(script, 10)[:2] == [10, 11]
    assert script.stack.stats.tcp.RetransSegs == 1


def test_a_segment_sent_again_may_be_joined_with_what_follows_but_not_beyond_the_mss() -> None:
    script = established()
    script.sock.setsockopt(6, 1, 1)  # TCP_NODELAY
    for piece in (b"a", b"b", b"c"):
        script.sock.send(piece)
        script.expect(PSH | ACK, data=piece)
    script.at(0.3)
    again = script.take()
    assert again.seq == IRS + 1
    assert b"abc".startswith(again.data)


# Karn, RTT --------------------------------------------------------------------------------------------------------


def lose_one(script: Script, rto: float) -> None:
    """Writes, loses, and finds the retransmission after `rto` seconds."""
    script.mark().sock.send(b"next")
    script.expect(PSH | ACK, data=b"next")
    script.at(rto - 0.001).expect_nothing()
    script.at(rto + 0.000001)
    (again,) = script.drain()
    assert again.data == b"next"
    assert again.time == pytest.approx(rto, abs=1e-6)


@rule("RFC 6298 3", "Karn: no round trip is measured of what was sent twice", code="tcp/acknowledgment.py")
def test_no_round_trip_is_measured_of_what_was_sent_twice() -> None:
    """Karn; RFC 6298 3 and 5.5: the RTO stays backed off until there is a new measurement."""
    script = established()
    script.sock.send(b"lost")
    script.expect(PSH | ACK, data=b"lost")
    script.at(0.3).expect(PSH | ACK, seq=IRS + 1, data=b"lost")
    script.at(0.35).sends(ACK)
    lose_one(script, 0.6)


@rule("RFC 6298 5.7", "A new measurement ends the back-off", code="tcp/rtt.py")
def test_a_measurement_ends_the_back_off() -> None:
    """RFC 6298 5.7's note: a new measurement collapses the RTO. R' = 0.1: RTTVAR 0.0375, SRTT 0.1."""
    script = established()
    script.sock.send(b"lost")
    script.expect(PSH | ACK, data=b"lost")
    script.at(0.3).expect(PSH | ACK, seq=IRS + 1, data=b"lost")
    script.at(0.35).sends(ACK)
    script.sock.send(b"measured")
    script.expect(PSH | ACK, data=b"measured")
    script.at(0.45).sends(ACK)
    lose_one(script, 0.3)


@rule(
    "RFC 6298 2.3", "Each measurement moves RTTVAR by a quarter, and then SRTT by an eighth",
    code="tcp/rtt.py",
)  # fmt: skip
def test_the_rto_follows_the_round_trip() -> None:
    """RFC 6298 2.3 with R' = 0.2: RTTVAR = 0.0375 + 0.025, SRTT = 0.0875 + 0.025; RTO = SRTT + 4 RTTVAR."""
    script = established()
    script.sock.send(b"timed")
    script.expect(PSH | ACK, data=b"timed")
    script.at(0.2).sends(ACK)
    lose_one(script, 0.1125 + 4 * 0.0625)


@rule("RFC 6298 2.2", "The first measurement is SRTT, and half of it RTTVAR", code="tcp/rtt.py")
def test_the_first_measurement_rules_the_first_rto() -> None:
    """RFC 6298 2.2: SRTT = R, RTTVAR = R / 2."""
    script = established(rtt=0.4)
    lose_one(script, 0.4 + 4 * 0.2)


def test_the_rto_has_a_floor_of_200_ms_over_srtt() -> None:
    """Linux tcp_rto_min."""
    lose_one(established(rtt=0.01), 0.21)


def test_a_passive_connection_measures_its_syn_ack() -> None:
    lose_one(accepted(), 0.3)


# Fast retransmit --------------------------------------------------------------------------------------------------


@rule("RFC 5681 3.2", "The third duplicate ACK has the missing segment sent again", code="tcp/rack.py")
def test_the_third_duplicate_ack_sends_the_missing_segment() -> None:
    """RFC 5681 3.2."""
    script = ten_under_way()
    assert acknowledges(script, 0) == []
    assert acknowledges(script, 0) == []
    assert acknowledges(script, 0) == [0]
    assert script.stack.stats.tcp.RetransSegs == 1
    for _ in range(6):
        assert acknowledges(script, 0) == []


@rule("RFC 3042 2", "Each of the first two duplicate ACKs lets a new segment go", code="tcp/scoreboard.py")
def test_limited_transmit_sends_new_data_on_the_first_two() -> None:
    """RFC 3042 (RFC 5681 3.2 step 1: SHOULD)."""
    script = ten_under_way(more=5)
    assert acknowledges(script, 0) == [10]
    assert acknowledges(script, 0) == [11]
    assert acknowledges(script, 0) == [0]


@rule("RFC 5681 2", "An ACK with data, or with another window, is no duplicate", code="tcp/acknowledgment.py")
def test_duplicates_with_data_or_another_window_do_not_count() -> None:
    """RFC 5681 2 (b) and (e)."""
    script = ten_under_way()
    for index in range(4):
        script.deliver([script.segment(PSH | ACK, ack=IRS + 1, data=b"x")])
        script.deliver([script.segment(ACK, ack=IRS + 1, window=60000 - index)])
    script.after(0.04)
    assert not [heard for heard in script.drain() if heard.data]


@rule("RFC 5681 2", "An ACK is no duplicate when nothing is outstanding", code="tcp/acknowledgment.py")
def test_duplicates_without_anything_under_way_do_not_count() -> None:
    """RFC 5681 2 (a)."""
    script = established()
    for _ in range(5):
        script.sends(ACK).expect_nothing()
    assert script.stack.stats.tcp.RetransSegs == 0


@rule("RFC 5681 3.2", "Fast recovery ends with the halved window", code="tcp/recovery.py")
def test_a_full_ack_ends_recovery_with_the_halved_window() -> None:
    """RFC 5681 3.2 steps 2 and 6; RFC 6582 3.2 step 3: half of what was under way, or a cautious two."""
    script = ten_under_way()
    for _ in range(9):
        acknowledges(script, 0)
    assert acknowledges(script, 10) == []
    script.sock.send(text(20 * MSS))
    count = len(numbers(script))
    assert count in (2, 5)


@rule(
    "RFC 5681 3.2", "In fast recovery, each further duplicate ACK makes room as a segment has left",
    code="tcp/recovery.py",
)  # fmt: skip
def test_recovery_lets_new_data_go_as_segments_leave() -> None:
    """RFC 5681 3.2 steps 3 and 4, or Linux's proportional rate: about half as much as the duplicates tell."""
    script = ten_under_way(more=10)
    new: list[int] = []
    for _ in range(9):
        new += [segment for segment in acknowledges(script, 0) if segment >= 10]
    assert new == list(range(10, 10 + len(new)))
    assert 2 <= len(new) <= 6


@rule("RFC 6582 3.2", "A partial ACK has the next hole sent again at once", code="tcp/rack.py")
def test_a_partial_ack_sends_the_next_hole_at_once() -> None:
    """RFC 6582 3.2 step 3: segments 0, 4 and 7 were lost."""
    script = ten_under_way()
    for _ in range(7):
        acknowledges(script, 0)
    assert acknowledges(script, 4) == [4]
    assert acknowledges(script, 7) == [7]
    assert acknowledges(script, 10) == []
    script.after(100).expect_nothing()
    assert script.stack.stats.tcp.RetransSegs == 3


@rule("RFC 6582 3.2", "Duplicate ACKs that do not cover more than `recover` begin no recovery", code="tcp/loss.py")
def test_recovery_is_not_begun_again_by_late_duplicates() -> None:
    """RFC 6582 3.2 step 2: only if the ACK covers more than `recover`."""
    script = ten_under_way()
    for _ in range(9):
        acknowledges(script, 0)
    assert acknowledges(script, 10) == []
    before = script.stack.stats.tcp.RetransSegs
    for _ in range(4):
        acknowledges(script, 10)
    assert script.stack.stats.tcp.RetransSegs == before


def test_a_lost_retransmission_waits_for_the_rto() -> None:
    script = ten_under_way()
    for _ in range(9):
        acknowledges(script, 0)
    script.at(0.31)
    assert numbers_so_far(script)[:1] == [0]


@rule("RFC 6582 4", "Duplicate ACKs after a time-out do not begin fast retransmit", code="tcp/loss.py")
def test_after_a_time_out_old_duplicates_do_not_start_fast_recovery() -> None:
    """RFC 6582 4.1, RFC 5681 4.3: what was sent before the time-out causes duplicates when it arrives."""
    script = ten_under_way()
    script.at(0.3)
    assert numbers(script) == [0]
    again: list[int] = []
    for _ in range(9):
        again += acknowledges(script, 0)
    assert again.count(0) == 0


def test_data_are_acknowledged_while_they_are_sent_again() -> None:
    script = ten_under_way()
    script.deliver([script.segment(PSH | ACK, ack=IRS + 1, data=b"question")])
    script.at(0.3)
    assert all(heard.ack == script.nxt for heard in script.drain())


# The congestion window ---------------------------------------------------------------------------------------------


@rule("RFC 5681 3.1", "In slow start an ACK adds a segment to cwnd", code="tcp/congestion/base.py")
def test_slow_start_sends_two_for_each_segment_acknowledged() -> None:
    """RFC 5681 3.1."""
    script = ten_under_way(more=90)
    sent = 10
    for segment in range(1, 11):
        assert acknowledges(script, segment) == [sent, sent + 1]
        sent += 2
    script.expect_nothing()


@rule(
    "RFC 5681 3.1", "In congestion avoidance cwnd grows by one segment in a round trip",
    code="tcp/congestion/reno.py",
)  # fmt: skip
def test_congestion_avoidance_adds_one_segment_a_round_trip() -> None:
    """RFC 5681 3.1, after a loss has halved ten to five."""
    script = ten_under_way()
    for _ in range(9):
        acknowledges(script, 0)
    acknowledges(script, 10)
    script.sock.send(text(200 * MSS))
    sent = 10 + len(numbers(script))
    acked = 10
    flights: list[int] = []
    for _ in range(9):
        top = sent
        while acked < top:
            acked += 1
            sent += len(acknowledges(script, acked))
        flights.append(sent - acked)
    assert 5 in flights or flights[0] == 6
    grown = [later - earlier for earlier, later in pairwise(flights[3:])]
    assert all(step in (0, 1) for step in grown), flights
    assert sum(grown) >= 4, flights


@rule(
    "RFC 5681 3.1", "A time-out sets ssthresh to half of what was in flight, where slow start ends",
    code="tcp/congestion/reno.py",
)  # fmt: skip
def test_slow_start_ends_at_ssthresh_after_a_time_out() -> None:
    """RFC 5681 3.1 equation 4: half of the ten that were under way; from there on a fraction for each ACK."""
    script = ten_under_way(more=90)
    script.stack.sysctl["net.ipv4.tcp_frto"] = 0
    script.at(0.3)
    assert numbers(script) == [0]
    assert [acknowledges(script, segment) for segment in (1, 2, 3, 4)] == [[1, 2], [3, 4], [5, 6], [7, 8]]
    counts = [len(acknowledges(script, segment)) for segment in range(5, 10)]
    assert sum(counts) <= 7, counts


@rule("RFC 3465 2.3", "After a time-out an ACK for many adds at most one segment", code="tcp/recovery.py")
def test_one_ack_for_many_does_not_carry_slow_start_beyond_ssthresh() -> None:
    """RFC 5681 3.1: cwnd grows by at most one segment for an ACK; Linux tcp_slow_start: at most to ssthresh, 5."""
    script = ten_under_way(more=90)
    script.stack.sysctl["net.ipv4.tcp_frto"] = 0
    script.at(0.3)
    assert numbers(script) == [0]
    assert acknowledges(script, 1) == [1, 2]
    assert acknowledges(script, 3)[:3] == [3, 4, 5]
    assert len(acknowledges(script, 10)) <= 6


@rule(
    "RFC 5681 4.1", "After idleness for longer than the RTO, cwnd is at most the restart window",
    code="tcp/departure.py",
)  # fmt: skip
def test_idleness_takes_the_window_back() -> None:
    """RFC 5681 4.1: after more than an RTO of silence, no more than the restart window at once."""
    script = ten_under_way(more=40)
    acked, sent = 0, 10
    while acked < 50:
        acked += 1
        sent += len(acknowledges(script, acked))
    script.after(30).sock.send(text(50 * MSS))
    assert len(numbers(script)) == 10


@rule("RFC 7661 4.3", "cwnd does not grow while the application does not use it", code="tcp/recovery.py")
def test_cwnd_does_not_grow_while_the_application_is_slower() -> None:
    """RFC 7661's concern, Linux tcp_is_cwnd_limited: a window that was not used says nothing."""
    script = established()
    for index in range(60):
        script.sock.send(text(MSS))
        assert len(numbers(script)) == 1
        assert acknowledges(script, index + 1) == []
        script.after(0.01)
    script.sock.send(text(60 * MSS))
    assert len(numbers(script)) <= 20
