"""Which segments are acceptable and what is taken of them: RFC 9293 3.4, 3.10.7.4 first and seventh."""

import pytest

from aionetflow.tcp.states import State
from support.fixtures import accepted, established
from support.rules import rule
from support.script import ACK, ISS, M32, PSH, Script

WINDOW = 4000


def small() -> Script:
    """The stack's receive window is a few thousand octets."""
    script = accepted(receive_buffer=WINDOW)
    assert script.edge is not None
    return script


def offered(script: Script) -> int:
    """What the window still lets the peer send."""
    assert script.edge is not None
    return (script.edge - script.nxt) & M32


def full() -> Script:
    """The peer has filled the window, which is now closed."""
    script = small()
    while room := offered(script):
        script.sends(PSH | ACK, data=bytes(min(room, 1000))).after(0.04).drain()
    script.sends(PSH | ACK, data=b"?").drain()
    script.nxt = (script.nxt - 1) & M32
    script.sends(ACK, seq=script.nxt - 1).expect(ACK, window=0)
    return script.after(1).mark()  # Linux tcp_invalid_ratelimit: half a second between such answers


def received(script: Script) -> bytes:
    """All that can be read now."""
    try:
        return script.sock.recv(1 << 20)
    except BlockingIOError:
        return b""


# The four cases of RFC 9293 3.4, figure 5 of 3.10.7.4 first ----------------------------------------------------


@rule(
    "RFC 9293 3.4", "At a closed window an empty segment is acceptable only if it is the next in order",
    code="tcp/receive.py",
)  # fmt: skip
@pytest.mark.parametrize("offset", [1, -1, 1000, -1000, 1 << 31])
def test_empty_segment_at_a_closed_window_must_be_next(offset: int) -> None:
    script = full()
    script.sends(ACK, seq=script.nxt + offset).expect(ACK)
    script.sends(ACK).expect_nothing()


@rule("RFC 9293 3.4", "An empty segment inside the window is acceptable", code="tcp/receive.py")
@pytest.mark.parametrize("offset", [0, 1, 2000])
def test_empty_segment_in_the_window_is_acceptable(offset: int) -> None:
    script = small()
    script.sock.send(b"x")
    script.expect(PSH | ACK, data=b"x")
    script.sends(ACK, seq=script.nxt + offset).expect_nothing()
    assert script.sock.queued() == (0, 0), "its ACK counts"


@rule(
    "RFC 9293 3.10.7.4", "A segment that is not acceptable is answered with an ACK and dropped",
    code="tcp/arrival.py",
)  # fmt: skip
@pytest.mark.parametrize("offset", [-1, -1000, 100000, (1 << 31) - 1])
def test_empty_segment_outside_of_the_window_is_answered_with_an_ack(offset: int) -> None:
    script = small()
    script.sock.send(b"x")
    script.expect(PSH | ACK, data=b"x")
    script.sends(ACK, seq=script.nxt + offset).expect(ACK)
    script.expect_nothing()


@rule("RFC 9293 3.4", "At a closed window no data are acceptable", code="tcp/receive.py")
@pytest.mark.parametrize("offset", [0, 1])
def test_data_at_a_closed_window_are_answered_with_an_ack_and_not_kept(offset: int) -> None:
    script = full()
    held = script.sock.queued()
    script.sends(PSH | ACK, seq=script.nxt + offset, data=b"x").expect(ACK, window=0)
    assert script.sock.queued() == held


@rule("RFC 9293 3.10.7.4", "With a window of zero, valid ACKs are still processed", code="tcp/receive.py")
def test_the_ack_of_a_probe_counts_at_a_closed_window() -> None:
    """RFC 9293 3.10.7.4 first: with a window of zero, valid ACKs are still to be processed."""
    script = full()
    script.sock.send(b"x")
    script.expect(PSH | ACK, data=b"x")
    script.sends(PSH | ACK, data=b"y").expect(ACK, ack=script.nxt - 1)
    assert script.sock.queued()[1] == 0


@rule("RFC 9293 3.4", "Data none of which lie inside the window are not acceptable", code="tcp/receive.py")
@pytest.mark.parametrize("offset", [-5, -1000, 100000])
def test_data_outside_of_the_window_are_answered_with_an_ack(offset: int) -> None:
    script = small()
    script.sends(PSH | ACK, seq=script.nxt + offset, data=b"stray").expect(ACK)
    script.expect_nothing()
    assert received(script) == b""


@rule("RFC 9293 3.4", "Data are acceptable if their last octet lies inside the window", code="tcp/receive.py")
def test_data_whose_end_alone_lies_in_the_window_are_acceptable() -> None:
    script = small()
    script.sends(PSH | ACK, seq=script.nxt - 3, data=b"oldnew")
    script.nxt = (script.nxt + 3) & M32
    script.after(0.04).expect(ACK)
    assert received(script) == b"new"


# Trimming ---------------------------------------------------------------------------------------------------------


@rule("RFC 5681 4.2", "A segment that was received before is acknowledged at once", code="tcp/arrival.py")
def test_old_duplicate_is_acknowledged_at_once_and_not_delivered_again() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"once").after(0.04).expect(ACK)
    script.sends(PSH | ACK, seq=ISS + 1, data=b"once").expect(ACK)
    script.expect_nothing()
    assert received(script) == b"once"


@rule(
    "RFC 1122 4.2.3.6", "A keep-alive, one below what is expected, with an octet or without, is answered with an ACK",
    code="tcp/arrival.py",
)  # fmt: skip
def test_keepalive_probe_is_answered() -> None:
    """RFC 1122 4.2.3.6: one before what is expected, with or without an octet of garbage."""
    script = established()
    script.sends(ACK, seq=script.nxt - 1).expect(ACK)
    script.at(1).sends(ACK, seq=script.nxt - 1, data=b"\0").expect(ACK)
    assert received(script) == b""


@rule("RFC 9293 3.10.7.4", "Octets below the window are trimmed off a segment", code="tcp/receive.py")
@pytest.mark.parametrize("overlap", [1, 5, 9])
def test_what_was_received_already_is_trimmed_on_the_left(overlap: int) -> None:
    script = established()
    script.sends(PSH | ACK, data=b"0123456789").after(0.04).expect(ACK)
    script.sends(PSH | ACK, seq=ISS + 11 - overlap, data=b"0123456789"[-overlap:] + b"abc")
    script.nxt = (script.nxt + 3) & M32
    script.after(0.04).expect(ACK)
    assert received(script) == b"0123456789abc"


@rule("RFC 9293 3.10.7.4", "Octets beyond the window are trimmed off a segment", code="tcp/receive.py")
def test_what_lies_beyond_the_window_is_trimmed_on_the_right() -> None:
    """RFC 9293 3.10.7.4 first: segments with higher starting numbers, or parts of them, are not kept."""
    script = small()
    room = offered(script)
    assert 2000 < room < 60000
    data = bytes(index % 251 for index in range(room + 100))
    script.sends(PSH | ACK, data=data)
    script.nxt = (script.nxt - 100) & M32
    script.after(0.04).expect(ACK, window=0)
    assert received(script) == data[:room]


@rule("RFC 9293 3.8.6", "What is held out of order stays within the window that was offered", code="tcp/receive.py")
def test_more_than_the_window_ahead_of_its_turn_is_not_kept() -> None:
    script = small()
    room = offered(script)
    script.sends(PSH | ACK, seq=script.nxt + room - 10, data=b"0123456789tail").expect(ACK)
    script.sends(PSH | ACK, data=bytes(room - 10))
    script.nxt = (script.nxt + 10) & M32
    script.expect(ACK, window=0)
    assert received(script) == bytes(room - 10) + b"0123456789"


@rule("RFC 9293 3.4", "Sequence numbers are compared modulo 2**32", code="tcp/sequence.py")
def test_the_wrap_lies_in_the_middle_of_a_segment() -> None:
    script = established()
    script.sends(PSH | ACK, data=bytes(range(100))).after(0.04).expect(ACK, ack=ISS + 101)
    assert received(script) == bytes(range(100))


@rule(
    "RFC 9293 3.10.7.4", "Segments with a higher number may be kept, and are delivered in order",
    code="tcp/reassembly.py",
)  # fmt: skip
def test_segments_out_of_order_are_put_in_order() -> None:
    script = established()
    for index in (3, 1, 4, 2):
        script.deliver([script.segment(PSH | ACK, seq=ISS + 1 + 10 * index, data=b"%d" % index * 10)])
    assert {heard.ack for heard in script.drain()} == {ISS + 1}
    script.sends(PSH | ACK, seq=ISS + 1, data=b"0" * 10)
    script.nxt = (ISS + 51) & M32
    script.expect(ACK)
    assert received(script) == b"".join(b"%d" % index * 10 for index in range(5))


@rule("RFC 9293 3.10.7.4", "Overlapping segments contribute each octet once", code="tcp/reassembly.py")
def test_overlapping_segments_out_of_order_are_put_together() -> None:
    script = established()
    script.sends(PSH | ACK, seq=ISS + 4, data=b"defgh").expect(ACK)
    script.sends(PSH | ACK, seq=ISS + 3, data=b"cdefghij").expect(ACK)
    script.sends(PSH | ACK, seq=ISS + 6, data=b"fg").expect(ACK)
    script.sends(PSH | ACK, seq=ISS + 1, data=b"abcd")
    script.nxt = (ISS + 11) & M32
    script.expect(ACK)
    assert received(script) == b"abcdefghij"


@rule("RFC 9293 3.1", "The receiver must check the checksum", code="tcp/segment.py")
def test_a_segment_with_a_wrong_checksum_is_counted_and_dropped() -> None:
    script = established()
    packet = bytearray(script.segment(PSH | ACK, seq=script.nxt, data=b"spoilt"))
    packet[-2] ^= 4
    script.deliver([bytes(packet)]).after(1).expect_nothing()
    assert script.stack.stats.tcp.InCsumErrors == 1
    assert received(script) == b""


@pytest.mark.parametrize("length", [0, 1, 19, 20, 39])
def test_a_truncated_segment_is_dropped(length: int) -> None:
    script = established()
    packet = script.segment(PSH | ACK, seq=script.nxt, data=b"spoilt")
    script.deliver([packet[:length]]).after(1).expect_nothing()
    assert script.state == State.ESTABLISHED


@rule(
    "RFC 9293 3.1", "A data offset below five words, or beyond the segment, makes it malformed",
    code="tcp/segment.py",
)  # fmt: skip
@pytest.mark.parametrize("offset", [0, 1, 4, 15])
def test_a_data_offset_that_is_wrong_is_dropped(offset: int) -> None:
    """RFC 9293 3.1: less than five words, or more than there are."""
    script = established()
    packet = bytearray(script.segment(PSH | ACK, seq=script.nxt, data=b"x"))
    old, packet[32] = packet[32], offset << 4
    sum_ = int.from_bytes(packet[36:38], "big") + (old << 8) - (packet[32] << 8)
    packet[36:38] = (sum_ % 0xFFFF).to_bytes(2, "big")
    script.deliver([bytes(packet)]).after(1).expect_nothing()
    assert received(script) == b""


def test_a_batch_of_segments_is_taken_in_order() -> None:
    script = established()
    batch = [script.segment(ACK, data=bytes([65 + index]) * 1000) for index in range(5)]
    script.deliver(batch).after(0.04)
    assert script.drain()[-1].ack == script.nxt
    assert received(script) == b"".join(bytes([65 + index]) * 1000 for index in range(5))


def test_a_spoilt_segment_in_a_batch_does_not_take_the_others_with_it() -> None:
    script = established()
    batch = [script.segment(ACK, data=bytes([65 + index]) * 1000) for index in range(5)]
    batch[2] = batch[2][:-1] + b"\xff"
    script.deliver(batch)
    assert script.drain()[-1].ack == (ISS + 2001) & M32
    script.sends(ACK, seq=ISS + 2001, data=b"C" * 1000).expect(ACK)
    assert received(script) == b"".join(bytes([65 + index]) * 1000 for index in range(5))
