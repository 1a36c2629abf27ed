"""Where two rules meet: losses in the handshake, FINs behind windows, ACKs inside segments, buffers that change."""

import pytest

from aionetflow.tcp.states import State
from support.fixtures import accepted, established, listening, syn_sent, time_wait
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, SYN, Script


def text(length: int) -> bytes:
    """Octets that tell where they belong."""
    return bytes(index * 7 % 251 for index in range(length))


def sizes(script: Script) -> list[int]:
    """How long the segments are that were emitted now."""
    return [len(heard.data) for heard in script.drain()]


# Losses in the handshake --------------------------------------------------------------------------------------------


@rule("RFC 6298 5.7", "After a lost SYN, data begin with an RTO of 3 s", code="tcp/handshake.py")
def test_after_a_lost_syn_the_rto_is_three_seconds() -> None:
    """RFC 6298 5.7; nothing was measured (Karn)."""
    script = syn_sent()
    script.at(1).expect(SYN, seq=IRS)
    script.at(1.1).sends(SYN | ACK, mss=1000).expect(ACK)
    script.mark().sock.send(b"lost")
    script.expect(PSH | ACK, data=b"lost")
    script.at(2.999999).expect_nothing()
    script.at(3).expect(PSH | ACK, seq=IRS + 1, data=b"lost")


@rule("RFC 5681 3.1", "After a lost SYN the initial window is one segment", code="tcp/handshake.py")
def test_after_two_lost_syns_the_initial_window_is_one_segment() -> None:
    """RFC 5681 3.1, RFC 6928 2; Linux: when more than one was sent again."""
    script = syn_sent()
    script.at(3).drain()
    script.heard = (IRS + 1) & M32
    script.sends(SYN | ACK, mss=1000).expect(ACK)
    script.sock.send(text(10000))
    assert sizes(script) == [1000]


def test_after_a_lost_syn_ack_the_rto_is_three_seconds() -> None:
    script = listening()
    script.sends(SYN, mss=1000)
    script.heard = IRS
    script.expect(SYN | ACK)
    script.after(1).expect(SYN | ACK, seq=IRS)
    script.sends(ACK)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.mark().sock.send(b"lost")
    script.expect(PSH | ACK, data=b"lost")
    script.at(2.999999).expect_nothing()
    script.at(3).expect(PSH | ACK, seq=IRS + 1, data=b"lost")


def test_an_ack_that_finds_the_accept_queue_full_is_dropped() -> None:
    """Linux with tcp_abort_on_overflow = 0: the connection stays half open and goes on when there is room."""
    script = listening(backlog=1)
    for port in (5000, 5001, 5002):
        script.ports, script.nxt, script.edge = (port, 80), ISS, None
        script.sends(SYN, mss=1000)
        script.heard = IRS
        script.expect(SYN | ACK)
        if port == 5000:
            script.sends(ACK).expect_nothing()
    for port in (5001, 5002):
        script.ports = (port, 80)
        script.sends(ACK).expect_nothing()
    assert script.listener is not None
    assert [script.listener.accept()[1][1] for _ in range(2)] == [5000, 5001]
    with pytest.raises(BlockingIOError):
        script.listener.accept()
    script.sends(PSH | ACK, data=b"comes again")
    assert script.listener.accept()[0].recv(100) == b"comes again"
    script.after(0.04).drain()


# FIN ----------------------------------------------------------------------------------------------------------------


def test_data_and_fin_lost_are_sent_again() -> None:
    script = established()
    script.sock.send(text(1500))
    script.sock.close()
    script.expect_data(text(1500), [1000, 500])
    script.expect(FIN | ACK)
    script.at(0.3)
    again = script.take()
    assert (again.seq, again.data) == ((IRS + 1) & M32, text(1000))
    script.deliver([script.segment(ACK, ack=IRS + 1001)])
    again_data = b"".join(heard.data for heard in script.drain())
    assert again_data == text(1500)[1000:]
    script.deliver([script.segment(ACK, ack=IRS + 1501)]).after(5)
    assert any(heard.flags & FIN and heard.seq == (IRS + 1501) & M32 for heard in script.drain())
    script.deliver([script.segment(ACK, ack=IRS + 1502)]).drain()
    assert script.state == State.FIN_WAIT_2


def test_a_fin_behind_data_waits_for_the_window_and_then_goes_with_them() -> None:
    script = established()
    script.sends(ACK, window=0)
    script.sock.send(b"held")
    script.sock.close()
    script.expect_nothing()
    script.at(0.1).sends(ACK, window=1000).expect(FIN | PSH | ACK, data=b"held")


def test_fast_retransmit_of_the_segment_before_the_fin() -> None:
    script = established()
    script.sock.send(text(5000))
    script.sock.close()
    script.expect_data(text(5000))
    script.expect(FIN | ACK)
    for _ in range(3):
        script.deliver([script.segment(ACK, ack=IRS + 1)])
    assert [heard.seq for heard in script.drain()] == [(IRS + 1) & M32]
    script.sends(ACK).expect_nothing()
    assert script.state == State.FIN_WAIT_2


def test_a_delayed_ack_goes_with_the_fin() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"x")
    script.sock.recv(10)
    script.sock.close()
    script.expect(FIN | ACK)
    script.after(0.1).expect_nothing()


def test_a_new_syn_in_time_wait_without_a_listener_is_acknowledged() -> None:
    """Linux TCP_TW_SYN: nobody listens, so it is answered as any other segment."""
    script = time_wait()
    script.sends(SYN, seq=script.nxt + 5000).expect(ACK)
    assert script.state == State.TIME_WAIT


# ACKs in odd places -------------------------------------------------------------------------------------------------


@rule(
    "RFC 9293 3.4", "An ACK may fall inside of a segment: what lies behind it stays to be sent again",
    code="tcp/send.py",
)  # fmt: skip
def test_an_ack_inside_of_a_segment_leaves_the_rest() -> None:
    script = established()
    script.sock.send(text(2000))
    script.expect_data(text(2000), [1000, 1000])
    script.at(0.1).deliver([script.segment(ACK, ack=IRS + 501)])
    script.expect_nothing()
    script.after(0.5)
    again = script.drain()[0]
    assert again.seq == (IRS + 501) & M32
    assert again.data == text(2000)[500 : 500 + len(again.data)]
    assert 500 <= len(again.data) <= 1000


def test_an_ack_of_everything_during_back_off_sends_the_next_at_once() -> None:
    script = established(window=2000)
    script.sock.send(text(4000))
    script.expect_data(text(2000), [1000, 1000])
    script.at(0.9).drain()
    script.at(1).sends(ACK, window=2000)
    assert sizes(script) == [1000, 1000]


@rule(
    "RFC 9293 3.8.6", "What was sent may be sent again though the window has closed; nothing new goes",
    code="tcp/departure.py",
)  # fmt: skip
def test_retransmissions_stay_within_a_window_that_closed() -> None:
    """RFC 9293 3.8.6: what was sent may be sent again; nothing new goes."""
    script = established()
    script.sock.send(text(2000))
    script.expect_data(text(2000))
    script.at(0.1).sends(ACK, ack=IRS + 1001, window=0).expect_nothing()
    script.sock.send(text(500))
    script.at(5)
    end = max((heard.end - IRS) & M32 for heard in script.drain())
    assert end <= 2001


def test_small_writes_are_joined_when_the_window_opens() -> None:
    script = established()
    script.sends(ACK, window=0)
    script.sock.setsockopt(6, 1, 1)  # TCP_NODELAY
    for index in range(30):
        script.sock.send(b"%03d" % index * 25)
    script.at(0.1).sends(ACK, window=65535)
    data = b"".join(b"%03d" % index * 25 for index in range(30))
    script.expect_data(data, [1000, 1000, 250])


# Buffers and windows ------------------------------------------------------------------------------------------------


def test_send_takes_what_fits() -> None:
    script = established(window=0)
    script.sock.setsockopt(1, 7, 8192)
    taken = script.sock.send(text(100_000))
    assert 4096 <= taken <= 16384
    with pytest.raises(BlockingIOError):
        script.sock.send(b"x")
    script.sends(ACK, window=65535)
    script.expect_data(text(taken)[:10000])


@rule("RFC 9293 3.8.6", "A receiver does not shrink its window", code="tcp/receive.py")
@pytest.mark.parametrize("size", [1, 2000, 60000])
def test_a_smaller_receive_buffer_does_not_take_the_window_back(size: int) -> None:
    """RFC 9293 3.8.6: SHOULD NOT shrink; the script checks each frame."""
    script = established()
    script.sock.setsockopt(1, 8, size)
    for _ in range(20):
        script.sends(PSH | ACK, data=bytes(1000)).after(0.04).drain()
        script.sock.recv(100)
        script.drain()


@rule("RFC 7323 2.3", "The window that is sent is shifted right by our scale", code="tcp/emission.py")
def test_a_scaled_window_is_offered_beyond_64_kib() -> None:
    script = listening()
    script.sends(SYN, mss=1000, wscale=7)
    script.heard = IRS
    answer = script.expect(SYN | ACK)
    assert answer.wscale is not None
    script.sends(ACK)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.sends(PSH | ACK, data=bytes(1000))
    assert script.octets(script.expect(ACK)) > 65535


@rule("RFC 7323 2.3", "A window that arrives is shifted left by the peer's scale", code="tcp/send.py")
def test_a_scaled_window_is_used_beyond_64_kib() -> None:
    script = established(wscale=7, window=65535)
    script.sends(ACK, window=1 << 20)
    script.sock.send(text(250_000))
    acked = 0
    flight = 0
    for _ in range(200):
        for heard in script.drain():
            acked = (heard.end - IRS - 1) & M32
            flight += len(heard.data)
        if flight > 70_000 or acked >= 250_000:
            break
        before, flight = flight, 0
        assert before
        for end in range(acked - before + 1000, acked + 1, 1000):
            script.deliver([script.segment(ACK, ack=IRS + 1 + end)])
    assert flight > 70_000, "the window in octets is not what limits it"


def test_the_mss_option_of_the_socket_tells_the_mss_in_use() -> None:
    script = established(mss=1000)
    assert script.sock.getsockopt(6, 2) == 1000  # TCP_MAXSEG
    assert accepted(mss=700).sock.getsockopt(6, 2) == 700


def test_peek_leaves_window_and_data() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"hello").after(0.04).expect(ACK)
    assert script.sock.recv(3, 2) == b"hel"
    assert script.sock.recv(10, 2) == b"hello"
    script.expect_nothing()
    assert script.sock.recv(10) == b"hello"
