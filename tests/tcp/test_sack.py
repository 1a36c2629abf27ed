"""Selective acknowledgments: what they make the sender do (RFC 2018, RFC 8985), and what the receiver reports."""

from __future__ import annotations

import pytest

from support.fixtures import listening
from support.modern import Peer, at, blocks_of, sack
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, MSS, PSH, SYN, Script, syn_options


def receiving(**settings: int) -> Script:
    """The peer has connected with SACK, and will send."""
    script = listening()
    for name, value in settings.items():
        script.stack.sysctl[f"net.ipv4.{name}"] = value
    script.sends(SYN, options=syn_options(MSS, None) + bytes((1, 1, 4, 2)))
    script.heard = IRS
    assert 4 in script.expect(SYN | ACK).options
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    return script.mark()


def sends(script: Script, first: int, count: int = 1) -> list[tuple[int, int]]:
    """The peer's segments from number `first` on arrive: the blocks of the last ACK, as numbers of segments."""
    base = ISS + 1
    data = bytes(count * MSS)
    script.deliver([script.segment(ACK, seq=base + first * MSS, data=data)])
    taken = script.drain()
    if not taken:
        return []  # a delayed one
    heard = taken[-1]
    return [((start - base & M32) // MSS, (end - base & M32) // MSS) for start, end in blocks_of(heard)]


# The receiver's half ----------------------------------------------------------------------------------------------


@rule(
    "RFC 2018 2",
    "SACK is agreed on in the SYNs; a SYN-ACK does not offer what the SYN did not",
    code="tcp/handshake.py",
)
def test_the_syn_ack_permits_sack_only_in_answer() -> None:
    script = listening()
    script.sends(SYN, mss=MSS)
    script.heard = IRS
    assert 4 not in script.expect(SYN | ACK).options


@rule("RFC 2018 4", "The first block is the one that holds the segment which came last", code="tcp/reassembly.py")
@rule("RFC 2018 3", "What is held out of order is reported, at most four blocks without timestamps", code="tcp/sack.py")
def test_the_newest_block_is_reported_first() -> None:
    script = receiving()
    assert sends(script, 1) == [(1, 2)]
    assert sends(script, 3) == [(3, 4), (1, 2)]
    assert sends(script, 5) == [(5, 6), (3, 4), (1, 2)]
    assert sends(script, 2) == [(1, 4), (5, 6)]
    assert sends(script, 7) == [(7, 8), (1, 4), (5, 6)]
    assert sends(script, 9) == [(9, 10), (7, 8), (1, 4), (5, 6)]
    assert sends(script, 11) == [(11, 12), (9, 10), (7, 8), (1, 4)]


def test_a_filled_hole_is_not_reported_any_more() -> None:
    script = receiving()
    sends(script, 1)
    sends(script, 3)
    assert sends(script, 0) == [(3, 4)]
    assert sends(script, 2) == []


@rule(
    "RFC 2883 4",
    "A segment that came twice is reported by a first block below the acknowledgment",
    code="tcp/sack.py",
)
def test_a_duplicate_below_the_acknowledgment_is_a_dsack() -> None:
    script = receiving()
    sends(script, 0)
    script.sock.recv(10_000)
    script.after(1).drain()
    assert sends(script, 0) == [(0, 1)]
    script.deliver([script.segment(ACK, seq=ISS + 1 + MSS, data=bytes(MSS))])
    script.after(1)
    assert all(not blocks_of(heard) for heard in script.drain())  # it is said once


@rule(
    "RFC 2883 4.1.3",
    "A duplicate of what is held out of order: its block, then the one that contains it",
    code="tcp/sack.py",
)
def test_a_duplicate_above_the_acknowledgment_is_a_dsack() -> None:
    script = receiving()
    sends(script, 2, 3)
    assert sends(script, 3) == [(3, 4), (2, 5)]


def test_dsack_can_be_turned_off() -> None:
    script = receiving(tcp_dsack=0)
    sends(script, 0)
    script.sock.recv(10_000)
    script.after(1).drain()
    assert sends(script, 0) == []


# The sender's half ------------------------------------------------------------------------------------------------


def test_a_fin_behind_a_hole_is_reported_as_an_octet() -> None:
    """As Linux does; the sender would else take it for lost."""
    script = receiving()
    script.sends(FIN | ACK, seq=ISS + 1 + MSS, data=b"end")
    assert blocks_of(script.take()) == [((ISS + 1 + MSS) & M32, (ISS + 5 + MSS) & M32)]
    script.sends(PSH | ACK, seq=ISS + 1, data=bytes(MSS))
    heard = script.take()
    assert (heard.ack, blocks_of(heard)) == ((ISS + 5 + MSS) & M32, [])


def test_a_fin_whose_data_are_missing_is_reported_alone() -> None:
    script = receiving()
    script.sends(FIN | ACK, seq=ISS + 1 + MSS)
    assert blocks_of(script.take()) == [((ISS + 1 + MSS) & M32, (ISS + 2 + MSS) & M32)]
    script.sends(PSH | ACK, seq=ISS + 1, data=bytes(MSS))
    heard = script.take()
    assert (heard.ack, blocks_of(heard)) == ((ISS + 2 + MSS) & M32, [])


@rule(
    "RFC 8985 6.2",
    "What was sent before something that was delivered is lost after a reordering window",
    code="tcp/rack.py",
)
def test_one_loss_is_sent_again_when_dup_thresh_segments_have_arrived() -> None:
    peer = Peer()
    assert peer.sends(10) == list(range(10))
    peer.script.after(0.1)
    assert peer.acks(0, (1, 2)) == []
    assert peer.acks(0, (1, 3)) == []
    assert peer.acks(0, (1, 4)) == [0]
    assert peer.script.stack.stats.tcp.TCPSackRecovery == 1


@rule(
    "RFC 8985 6.2",
    "The reordering window is a quarter of the least round trip, then the loss is certain",
    code="tcp/rack.py",
)
def test_one_segment_that_arrived_behind_shows_a_loss_after_a_quarter_of_a_round_trip() -> None:
    peer = Peer()
    peer.sends(3)
    peer.script.after(0.1)
    assert peer.acks(0, (1, 2)) == []
    peer.script.after(0.025)
    peer.script.expect_nothing()
    peer.script.after(0.003)
    (again,) = peer.script.drain()
    assert again.seq == at(0)
    assert again.time == pytest.approx(0.127, abs=0.0011)


def test_several_holes_are_filled_within_one_round_trip() -> None:
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    again: list[int] = []
    for blocks in (((1, 2),), ((1, 2), (3, 4)), ((1, 2), (3, 4), (5, 6)), ((1, 2), (3, 4), (5, 10))):
        again += peer.acks(0, *blocks)
    assert again == [0, 2, 4]
    assert peer.acks(10) == []
    assert peer.script.state == 1
    assert peer.script.stack.stats.tcp.RetransSegs == 3


def test_what_the_peer_holds_side_by_side_is_one_run() -> None:
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    for number in (1, 3, 5, 2, 4):
        peer.acks(0, (number, number + 1))
    connection = peer.script.sock.connection
    assert connection is not None
    runs = []
    run = connection.recovery.head
    while run is not None:
        runs.append(((run.start - at(0)) & M32, run.is_sacked()))
        run = run.next
    assert runs[:3] == [(0, False), (MSS, True), (6 * MSS, False)]


@rule("RFC 6937 3", "In recovery what is sent follows what was delivered, down to ssthresh", code="tcp/recovery.py")
def test_the_window_is_reduced_proportionally() -> None:
    peer = Peer()
    peer.sends(40)
    peer.script.after(0.1)
    sent: list[int] = []
    for end in range(2, 11):
        sent += peer.acks(0, (1, end))
    connection = peer.script.sock.connection
    assert connection is not None
    assert sent[:3] == [10, 11, 0]  # limited transmit, then the hole
    new = [number for number in sent if number >= 12]
    assert 1 <= len(new) <= 3  # the window goes from ten to five
    peer.acks(10)
    assert connection.recovery.cc.cwnd == 5 * MSS


def test_what_an_overtaken_acknowledgment_reports_counts_too() -> None:
    """What it shows to have arrived lets as much go as any other would, and no more."""
    peer = Peer()
    peer.sends(40)
    peer.script.after(0.1)
    assert peer.acks(1) == [10, 11]
    assert [peer.acks(1, (2, end)) for end in (3, 4, 5)] == [[12], [13], [1]]
    assert peer.acks(0, (5, 9)) == [14, 15]


def test_what_was_lost_and_is_reported_after_all_is_not_lost_any_more() -> None:
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    assert [peer.acks(0, (2, end)) for end in (3, 4, 5)] == [[], [], [0]]
    assert peer.script.sock.tcp_info().lost == 2
    peer.acks(0, (1, 2), (2, 5))
    assert peer.script.sock.tcp_info().lost == 1


@rule("RFC 3042 2", "The first two duplicate ACKs let a new segment out each", code="tcp/departure.py")
def test_limited_transmit() -> None:
    peer = Peer()
    peer.sends(20)
    peer.script.after(0.1)
    assert peer.acks(0, (1, 2)) == [10]
    assert peer.acks(0, (1, 3)) == [11]


def test_what_was_sent_again_and_lost_is_sent_once_more_without_a_time_out() -> None:
    """RFC 8985 1: RACK sees that what was sent again was lost by what was sent after it."""
    peer = Peer()
    peer.sends(30)
    peer.script.after(0.1)
    for end in range(2, 11):
        peer.acks(0, (1, end))
    newest = peer.script.sock.connection
    assert newest is not None
    high = ((newest.snd.snd_nxt - IRS - 1) & M32) // MSS
    peer.script.after(0.1)
    again = peer.acks(0, (1, high))
    peer.script.after(0.05)
    again += [((heard.seq - IRS - 1) & M32) // MSS for heard in peer.script.drain()]
    assert 0 in again
    assert peer.script.stack.stats.tcp.TCPTimeouts == 0
    assert peer.script.stack.stats.tcp.TCPLostRetransmit == 1


@rule("RFC 6675 5", "Without RACK, DupThresh segments above a hole show that it is lost", code="tcp/rack.py")
def test_recovery_without_rack_goes_by_count() -> None:
    peer = Peer(tcp_recovery=0)
    peer.sends(10)
    peer.script.after(0.1)
    assert peer.acks(0, (1, 2)) == []
    assert peer.acks(0, (1, 3)) == []
    assert peer.acks(0, (1, 4)) == [0]
    assert peer.acks(0, (1, 5)) == []
    assert peer.acks(10) == []


@rule(
    "RFC 2018 8",
    "What was reported may be dropped again by the peer: after a time-out all of it goes again",
    code="tcp/loss.py",
)
def test_a_reneging_peer_gets_everything_again() -> None:
    peer = Peer()
    peer.sends(5)
    peer.script.after(0.1)
    peer.acks(0, (1, 5))
    peer.script.drain()
    peer.acks(1)  # and yet it does not acknowledge what it said it has
    seen: set[int] = set()
    for _ in range(40):
        peer.script.after(0.2)
        fresh = [((heard.seq - IRS - 1) & M32) // MSS for heard in peer.script.drain()]
        seen.update(fresh)
        if fresh:
            peer.acks(max(fresh) + 1)
    assert seen >= {1, 2, 3, 4}
    assert peer.script.stack.stats.tcp.TCPSACKReneging == 1


def test_blocks_that_name_what_was_never_sent_count_for_nothing() -> None:
    peer = Peer()
    peer.sends(5)
    peer.script.after(0.1)
    base = at(0)
    lie = sack((base + 50 * MSS, base + 60 * MSS), (base + 3 * MSS, base + 2 * MSS))
    peer.script.deliver([peer.script.segment(ACK, ack=base, options=lie)])
    assert peer.script.drain() == []
    assert peer.script.stack.stats.tcp.TCPSACKDiscard == 2


# Tail loss probes -------------------------------------------------------------------------------------------------


@rule("RFC 8985 7.2", "With nothing heard for two round trips the last segment is sent again", code="tcp/rack.py")
@rule("RFC 8985 7.3", "... or new data, if there are any", code="tcp/departure.py")
def test_a_tail_is_probed() -> None:
    peer = Peer()
    peer.sends(3)
    peer.script.at(0.201).expect_nothing()
    peer.script.at(0.203)
    (probe,) = peer.script.drain()
    assert probe.seq == at(2)
    assert probe.time == pytest.approx(0.202)
    assert peer.script.stack.stats.tcp.TCPLossProbes == 1


def test_a_lost_tail_is_repaired_by_the_probe_and_costs_window() -> None:
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    peer.acks(9)
    peer.script.after(0.31)
    probes = peer.script.drain()
    assert probes[0].seq == at(9)
    peer.acks(10)
    peer.sends(1)
    peer.script.after(0.1)
    peer.acks(11)
    assert peer.script.stack.stats.tcp.TCPLossProbeRecovery == 1


def test_a_needless_probe_costs_nothing() -> None:
    """RFC 8985 7.4.2: the peer says by a D-SACK that the last segment came twice."""
    peer = Peer()
    peer.sends(3)
    peer.script.at(0.203).drain()
    peer.acks(3)
    peer.acks(3, (2, 3))
    connection = peer.script.sock.connection
    assert connection is not None
    assert connection.recovery.cc.cwnd >= 10 * MSS
    assert peer.script.stack.stats.tcp.TCPLossProbeRecovery == 0


@rule("RFC 8985 7.2", "A flight of one segment waits for a delayed acknowledgment as well", code="tcp/rack.py")
def test_the_probe_of_a_single_segment_allows_for_a_delayed_ack() -> None:
    peer = Peer()
    peer.sends(1)
    peer.script.at(0.29).expect_nothing()
    peer.script.at(0.31)
    assert len(peer.script.drain()) == 1
