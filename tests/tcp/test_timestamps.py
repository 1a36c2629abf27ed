"""Timestamps: agreement, what is given back, round trips by them, and protection against wrapped numbers (RFC 7323)."""

from __future__ import annotations

from support.fixtures import begin_connect, listening
from support.modern import Peer, stamps_of, timestamps
from support.rules import rule
from support.script import ACK, IRS, ISS, M32, MSS, PSH, RST, SYN, Script, syn_options


def receiving() -> Script:
    """The peer has connected with timestamps, its clock at 5000, and will send."""
    script = listening()
    script.sends(SYN, options=syn_options(MSS, None) + timestamps(5000, 0))
    script.heard = IRS
    heard = script.expect(SYN | ACK)
    assert stamps_of(heard)[1] == 5000
    script.sends(ACK, options=timestamps(5000, stamps_of(heard)[0])).expect_nothing()
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    return script.mark()


@rule("RFC 7323 3.2", "Timestamps are agreed on in the SYNs, and then in every segment", code="tcp/handshake.py")
def test_every_segment_carries_them_once_they_are_agreed_on() -> None:
    peer = Peer(stamped=True)
    peer.script.sock.send(b"x")
    (heard,) = peer.script.drain()
    assert list(heard.options) == [8]
    assert stamps_of(heard)[1] == 1000


def test_segments_are_shorter_by_the_option() -> None:
    peer = Peer(stamped=True)
    peer.script.sock.send(bytes(5000))
    assert [len(heard.data) for heard in peer.script.drain()] == [MSS] * 5


@rule("RFC 7323 5.4", "The clock of timestamps ticks every millisecond", code="tcp/connection.py")
def test_the_clock_ticks_in_milliseconds() -> None:
    script = receiving()
    script.sock.send(b"a")
    first, _ = stamps_of(script.drain()[0])
    script.after(0.250).drain()
    script.sends(ACK, options=timestamps(5001, first))
    script.sock.send(b"b")
    assert (stamps_of(script.drain()[0])[0] - first) & M32 == 250


@rule(
    "RFC 7323 4.3",
    "Given back is the stamp of the segment that made us acknowledge, not of what came early",
    code="tcp/paws.py",
)
def test_a_segment_ahead_of_its_turn_does_not_set_the_stamp_to_give_back() -> None:
    script = receiving()
    script.sends(ACK, seq=ISS + 1 + MSS, data=bytes(MSS), options=timestamps(5100, 0))
    assert stamps_of(script.take())[1] == 5000
    script.sends(ACK, seq=ISS + 1, data=bytes(MSS), options=timestamps(5200, 0))
    assert stamps_of(script.take())[1] == 5200


@rule("RFC 7323 5.3", "A segment whose stamp is older than the last is dropped and answered", code="tcp/paws.py")
def test_an_old_stamp_is_refused() -> None:
    script = receiving()
    script.after(1).sends(PSH | ACK, data=b"now", options=timestamps(6000, 0))
    script.after(0.1).drain()
    script.sends(PSH | ACK, data=b"old", options=timestamps(5500, 0))
    assert script.take().ack == ISS + 1 + 3
    assert script.sock.recv(100) == b"now"
    assert script.stack.stats.tcp.PAWSEstab == 1


@rule("RFC 7323 5.3", "A reset is taken whatever its stamp says", code="tcp/arrival.py")
def test_a_reset_with_an_old_stamp_counts() -> None:
    script = receiving()
    script.sends(RST, options=timestamps(4000, 0))
    assert script.sock.connection is not None
    assert script.sock.connection.error == 104


@rule("RFC 7323 5.5", "A stamp of 24 days ago does not refuse anything", code="tcp/paws.py")
def test_after_24_days_of_silence_any_stamp_is_taken() -> None:
    script = receiving()
    script.after(25 * 24 * 3600)
    script.sends(PSH | ACK, data=b"late", options=timestamps(4000, 0))
    assert script.sock.recv(100) == b"late"


def test_an_acknowledgment_that_was_overtaken_is_no_news_from_another_life() -> None:
    """Linux tcp_disordered_ack: it is taken, as a duplicate; one that is too late for that is answered."""
    script = receiving()
    script.after(1).sends(PSH | ACK, data=b"now", options=timestamps(6000, 0)).after(0.1).drain()
    script.sends(ACK, options=timestamps(6100, 0))
    script.sends(ACK, options=timestamps(6000, 0)).expect_nothing()
    assert script.stack.stats.tcp.PAWSEstab == 0
    script.sends(ACK, options=timestamps(5500, 0)).expect(ACK)
    assert script.stack.stats.tcp.PAWSEstab == 1


def test_old_stamps_without_data_are_not_answered_twice_in_half_a_second() -> None:
    """Linux tcp_oow_rate_limited."""
    script = receiving()
    script.after(1).sends(PSH | ACK, data=b"now", options=timestamps(6000, 0)).after(0.1).drain()
    script.sends(ACK, options=timestamps(5000, 0)).expect(ACK)
    script.after(0.4).sends(ACK, options=timestamps(5000, 0)).expect_nothing()
    script.sends(PSH | ACK, seq=script.nxt, data=b"old", options=timestamps(5000, 0)).take()
    script.after(0.2).sends(ACK, options=timestamps(5000, 0)).expect(ACK)
    stats = script.stack.stats.tcp
    assert (stats.PAWSEstab, stats.TCPACKSkippedPAWS, stats.TCPACKSkippedSeq) == (4, 1, 0)


def test_a_stamp_one_tick_back_is_taken_and_not_given_back_before_24_days_are_over() -> None:
    """Linux TCP_PAWS_WINDOW, tcp_replace_ts_recent."""
    for nanoseconds, given_back in ((0, 5000), (1, 4999)):
        script = receiving()
        script.after(24 * 24 * 3600 + nanoseconds / 1e9)
        script.sends(PSH | ACK, data=b"late", options=timestamps(4999, 0))
        script.after(0.2)
        assert [stamps_of(heard)[1] for heard in script.drain()] == [given_back]


@rule("RFC 7323 4.1", "With timestamps what was sent again tells its round trip too", code="tcp/acknowledgment.py")
def test_a_retransmission_is_measured_by_its_echo() -> None:
    peer = Peer(stamped=True, tcp_early_retrans=0)
    peer.sends(1)
    peer.script.after(0.35)
    assert len(peer.script.drain()) == 1  # sent again after 0.3 s
    peer.script.after(0.15)
    connection = peer.script.sock.connection
    assert connection is not None
    sent_again = connection.tsval(peer.script.clock.now()) - 200
    before = connection.recovery.rtt.srtt
    peer.acks(1, tsecr=sent_again)
    assert connection.recovery.rtt.srtt == before + (200_000_000 - before) // 8
    assert connection.recovery.rtt.backoff == 0


def test_without_sack_and_stamps_the_sysctls_keep_them_out_of_the_syn() -> None:
    script = Script()
    script.stack.sysctl["net.ipv4.tcp_sack"] = 0
    script.stack.sysctl["net.ipv4.tcp_timestamps"] = 0
    script.stack.sysctl["net.ipv4.tcp_window_scaling"] = 0
    script.sock = script.stream()
    begin_connect(script)
    script.collect()
    assert list(script.unread[0].options) == [2]
