"""When what was received is acknowledged: RFC 5681 4.2, RFC 1122 4.2.3.2 and 4.2.3.3, Linux's 40 ms."""

import pytest

from support.fixtures import accepted, established
from support.rules import rule
from support.script import ACK, FIN, ISS, M32, PSH, Script

FULL = 1460  # the stack's MSS


@rule("RFC 9293 3.8.6.3", "A delayed ACK is sent within half a second", code="tcp/arrival.py")
def test_one_segment_is_acknowledged_after_40_ms() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"x" * 100)
    script.at(0.039999).expect_nothing()
    script.at(0.04).expect(ACK)
    script.after(10).expect_nothing()


@rule("RFC 5681 4.2", "The delay counts from the first segment that was not acknowledged", code="tcp/arrival.py")
def test_the_delay_counts_from_the_first_segment() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"x")
    script.at(0.03).sends(PSH | ACK, data=b"y")
    script.at(0.04).expect(ACK)
    script.after(10).expect_nothing()


@rule("RFC 5681 4.2", "At least every second full-sized segment is acknowledged at once", code="tcp/arrival.py")
def test_every_second_full_segment_is_acknowledged_at_once() -> None:
    script = established()
    for _ in range(3):
        script.sends(ACK, data=bytes(FULL)).expect_nothing()
        script.sends(ACK, data=bytes(FULL)).expect(ACK)
    script.after(10).expect_nothing()


def test_two_segments_in_one_batch_are_acknowledged_at_once() -> None:
    script = established()
    script.deliver([script.segment(ACK, data=bytes(FULL)) for _ in range(2)]).expect(ACK)
    script.expect_nothing()


@rule("RFC 5681 4.2", "A segment out of order calls for a duplicate ACK at once", code="tcp/arrival.py")
def test_a_hole_is_acknowledged_at_once_and_each_segment_behind_it() -> None:
    script = established()
    for index in (1, 2, 3):
        script.sends(PSH | ACK, seq=ISS + 1 + 100 * index, data=bytes(100)).expect(ACK, ack=ISS + 1)
        script.expect_nothing()


@rule("RFC 5681 4.2", "A segment that fills a gap is acknowledged at once", code="tcp/arrival.py")
def test_filling_a_hole_is_acknowledged_at_once() -> None:
    script = established()
    script.sends(PSH | ACK, seq=ISS + 101, data=bytes(100)).expect(ACK, ack=ISS + 1)
    script.sends(PSH | ACK, seq=ISS + 1, data=bytes(100)).expect(ACK, ack=ISS + 201)
    script.after(1).expect_nothing()


@rule("RFC 5681 4.2", "A segment that fills a part of a gap is acknowledged at once", code="tcp/arrival.py")
def test_filling_part_of_a_hole_is_acknowledged_at_once() -> None:
    """RFC 5681 4.2: "fills in all or part of a gap"."""
    script = established()
    script.sends(PSH | ACK, seq=ISS + 201, data=bytes(100)).expect(ACK, ack=ISS + 1)
    script.sends(PSH | ACK, seq=ISS + 1, data=bytes(100)).expect(ACK, ack=ISS + 101)


def test_filling_one_of_two_holes_is_acknowledged_at_once() -> None:
    script = established()
    script.sends(PSH | ACK, seq=ISS + 101, data=bytes(100)).expect(ACK, ack=ISS + 1)
    script.sends(PSH | ACK, seq=ISS + 301, data=bytes(100)).expect(ACK, ack=ISS + 1)
    script.sends(PSH | ACK, seq=ISS + 1, data=bytes(100)).expect(ACK, ack=ISS + 201)
    script.sends(PSH | ACK, seq=ISS + 201, data=bytes(100)).expect(ACK, ack=ISS + 401)


@rule("RFC 9293 3.8.6.3", "An acknowledgment goes with data that are sent before it is due", code="tcp/emission.py")
def test_the_ack_goes_with_data() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"question")
    script.at(0.01).sock.send(b"answer")
    script.expect(PSH | ACK, data=b"answer")
    script.sends(ACK).after(1).expect_nothing()


@rule("RFC 9293 3.10.7.4", "A FIN is acknowledged, and moves RCV.NXT over itself", code="tcp/arrival.py")
def test_a_fin_is_acknowledged_at_once() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"x").expect_nothing()
    script.sends(FIN | ACK).expect(ACK)
    script.after(1).expect_nothing()


@rule("RFC 9293 3.4", "A segment that takes no sequence number is not acknowledged", code="tcp/arrival.py")
def test_an_ack_is_never_acknowledged() -> None:
    script = established()
    script.sends(ACK).sends(ACK).after(1).expect_nothing()


@rule("RFC 9293 3.8.6", "Data not yet read take their part of the window", code="tcp/receive.py")
def test_the_window_says_what_is_free() -> None:
    script = accepted(receive_buffer=4000)
    assert script.edge is not None
    edge = script.edge
    script.sends(PSH | ACK, data=bytes(1000)).at(0.04).expect(ACK)
    assert script.edge == edge, "what was received and not read narrows the window"
    script.sock.recv(1000)
    script.drain()
    script.sends(PSH | ACK, data=bytes(10)).after(0.04).expect(ACK)
    assert script.edge > edge


# Silly window avoidance of the receiver (RFC 9293 3.8.6.2.2) ------------------------------------------------------


def filled() -> Script:
    """The peer has filled the window; nobody has read."""
    script = accepted(receive_buffer=4000)
    while True:
        assert script.edge is not None
        room = (script.edge - script.nxt) & M32
        if not room:
            break
        script.sends(PSH | ACK, data=bytes(min(room, FULL))).after(0.04).drain()
    script.sends(ACK, seq=script.nxt - 1).expect(ACK, window=0)
    return script.after(1).mark()  # Linux tcp_invalid_ratelimit: half a second between such answers


@rule(
    "RFC 9293 3.8.6.2.2", "The right edge does not move by less than a segment or half of the buffer",
    code="tcp/receive.py",
)  # fmt: skip
def test_a_few_octets_read_do_not_open_the_window() -> None:
    script = filled()
    script.sock.recv(10)
    script.at(1).expect_nothing()
    script.sends(ACK, seq=script.nxt - 1).expect(ACK, window=0)


@rule("RFC 1122 4.2.3.3", "A window that reading opens by a segment is told at once", code="tcp/receive.py")
def test_a_segment_s_worth_read_opens_the_window_at_once() -> None:
    script = filled()
    taken = 0
    while taken < 2 * FULL and not script.nic.sent:
        taken += len(script.sock.recv(100))
    update = script.expect(ACK)
    assert script.octets(update) >= min(FULL, 2000)
    assert taken <= FULL + 100
    script.after(1).expect_nothing()


def test_reading_all_opens_the_whole_window_at_once() -> None:
    script = filled()
    length = len(script.sock.recv(1 << 20))
    assert script.octets(script.expect(ACK)) == length
    script.expect_nothing()


@rule("RFC 9293 3.8.6.2.2", "Small reads add up before the window opens", code="tcp/receive.py")
@pytest.mark.parametrize("piece", [1, 100, 700])
def test_the_window_never_opens_by_a_sliver(piece: int) -> None:
    """Each advance of the right edge is a segment or half of the buffer, whoever reads how little at a time."""
    script = filled()
    edges: list[int] = []
    while script.sock.queued()[0]:
        script.sock.recv(piece)
        edges += [script.octets(heard) for heard in script.drain()]
    script.sends(ACK, seq=script.nxt - 1)
    edges += [script.octets(heard) for heard in script.drain()]
    steps = [after - before for before, after in zip([0, *edges], edges, strict=False) if after != before]
    assert steps
    assert min(steps[:-1], default=FULL) >= FULL
