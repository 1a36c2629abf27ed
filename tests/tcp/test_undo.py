"""Losses that were none: F-RTO (RFC 5682), Eifel (RFC 3522, RFC 4015), D-SACK (RFC 3708), and what they give back."""

from __future__ import annotations

from aionetflow.tcp.recovery import DISORDER
from support.modern import Peer
from support.rules import rule
from support.script import MSS


def window(peer: Peer) -> int:
    """The congestion window, in segments."""
    connection = peer.script.sock.connection
    assert connection is not None
    return connection.recovery.cc.cwnd // MSS


@rule(
    "RFC 5682 2.1",
    "After a time-out the first ACK lets new data go, whose answer shows whether all was lost",
    code="tcp/loss.py",
)
def test_frto_sends_new_data_after_the_first_ack() -> None:
    peer = Peer(tcp_early_retrans=0)
    peer.sends(30)
    peer.script.at(0.3)
    assert peer.acks(1) == [0, 10, 11]


@rule(
    "RFC 5682 3.1",
    "What was never sent again arrives after a time-out: the time-out was spurious",
    code="tcp/loss.py",
)
def test_a_spurious_time_out_is_undone_by_frto() -> None:
    peer = Peer(tcp_early_retrans=0)
    peer.sends(30)
    peer.script.at(0.35)
    assert window(peer) == 1
    peer.acks(1)
    peer.acks(2)
    assert peer.script.stack.stats.tcp.TCPSpuriousRTOs == 1
    assert window(peer) >= 10


def test_a_spurious_time_out_that_sack_shows_starts_the_count_of_retries_anew() -> None:
    """RFC 5682 3.1 step 3.b: nothing is acknowledged in order, but what was sent once arrived."""
    peer = Peer(tcp_early_retrans=0)
    peer.sends(30)
    peer.script.at(0.35).drain()
    assert peer.script.sock.tcp_info().retransmits == 1
    peer.acks(0, (3, 4))
    assert peer.script.stack.stats.tcp.TCPSpuriousRTOs == 1
    assert peer.script.sock.tcp_info().retransmits == 0
    assert peer.script.sock.tcp_info().ca_state == DISORDER


def test_a_real_loss_is_repaired_as_usual() -> None:
    """RFC 5682 3.1 step 3.a: the new data arrive, what was lost does not."""
    peer = Peer(tcp_early_retrans=0)
    peer.sends(30)
    peer.script.at(0.35)
    peer.acks(1)
    peer.script.after(0.1)
    again = peer.acks(1, (10, 11)) + peer.acks(1, (10, 12))
    assert again[0] == 1
    assert peer.script.stack.stats.tcp.TCPSpuriousRTOs == 0


@rule("RFC 3522 3.2", "An echo of before the retransmission shows that it was needless", code="tcp/loss.py")
@rule("RFC 4015 3.2", "... and the window is given back", code="tcp/recovery.py")
def test_a_spurious_recovery_is_undone_by_timestamps() -> None:
    peer = Peer(stamped=True)
    peer.sends(10)
    peer.script.after(0.1)
    connection = peer.script.sock.connection
    assert connection is not None
    original = connection.tsval(peer.script.clock.now()) - 100
    for end in (2, 3, 4):
        peer.acks(0, (1, end), tsecr=original)
    assert peer.script.stack.stats.tcp.TCPSackRecovery == 1
    peer.script.after(0.05)
    peer.acks(10, tsecr=original)
    assert peer.script.stack.stats.tcp.TCPFullUndo == 1
    assert window(peer) >= 10


def test_a_hole_filled_by_the_original_undoes_recovery_before_its_end() -> None:
    """RFC 4015 3.2, Linux tcp_try_undo_partial."""
    peer = Peer(stamped=True)
    peer.sends(10)
    peer.script.after(0.1)
    connection = peer.script.sock.connection
    assert connection is not None
    original = connection.tsval(peer.script.clock.now()) - 100
    again = [number for end in (2, 3, 4) for number in peer.acks(0, (1, end), tsecr=original)]
    assert again == [0]
    assert window(peer) < 10
    peer.script.after(0.05)
    peer.acks(5, tsecr=original)
    assert peer.script.stack.stats.tcp.TCPPartialUndo == 1
    assert window(peer) >= 10


@rule("RFC 3708 2", "D-SACKs for everything that was sent again show that nothing was lost", code="tcp/sack.py")
def test_a_spurious_recovery_is_undone_by_dsack() -> None:
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    for end in (2, 3, 4):
        peer.acks(0, (1, end))
    peer.acks(9)
    peer.acks(9, (0, 1))
    assert peer.script.stack.stats.tcp.TCPDSACKRecv == 1
    assert peer.script.stack.stats.tcp.TCPDSACKUndo + peer.script.stack.stats.tcp.TCPFullUndo == 1
    assert window(peer) >= 10


def test_a_d_sack_of_what_was_acknowledged_last_counts() -> None:
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    assert [peer.acks(0, (2, end)) for end in (3, 4, 5)] == [[], [], [0]]
    assert peer.acks(1, (2, 5)) == []
    assert window(peer) == 5
    peer.acks(1, (0, 1), (2, 5))
    assert peer.script.stack.stats.tcp.TCPDSACKUndo == 1


def test_a_d_sack_of_what_is_not_acknowledged_yet_counts() -> None:
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    for end in (2, 3):
        peer.acks(0, (1, end))
    assert peer.acks(0, (1, 3), (4, 6)) == [0]
    peer.script.after(0.01)
    again = peer.acks(0, (1, 3), (4, 8)) + peer.acks(0, (1, 3), (4, 10))
    assert 3 in again
    peer.acks(0, (3, 4), (1, 10))
    connection = peer.script.sock.connection
    assert connection is not None
    assert connection.recovery.undo_retrans == 1


def test_dsacks_for_more_than_was_sent_again_undo_nothing() -> None:
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    for end in (2, 3, 4):
        peer.acks(0, (1, end))
    peer.acks(9)
    peer.acks(9, (0, 5))
    assert peer.script.stack.stats.tcp.TCPDSACKUndo == 0
    assert window(peer) == 5


def test_reordering_that_was_seen_widens_what_is_waited_for() -> None:
    """RFC 8985 6.2 step 4: a segment arrived in its first life behind others, so DupThresh means less."""
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    peer.acks(0, (1, 2))
    peer.acks(0, (1, 3))
    peer.acks(3)
    connection = peer.script.sock.connection
    assert connection is not None
    assert connection.recovery.reord_seen
    assert peer.script.stack.stats.tcp.TCPSACKReorder == 1
    peer.acks(3, (4, 10))
    assert peer.script.stack.stats.tcp.TCPSackRecovery == 0


def test_a_hole_that_fills_by_itself_is_reordering_too() -> None:
    """RFC 8985 6.2: a segment is reported behind those that were sent after it, and was not sent again."""
    peer = Peer()
    peer.sends(10)
    peer.script.after(0.1)
    peer.acks(0, (2, 4))
    peer.acks(0, (1, 4))
    assert peer.script.stack.stats.tcp.TCPSACKReorder == 1
