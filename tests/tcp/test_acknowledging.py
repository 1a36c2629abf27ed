"""When what was received is acknowledged: RFC 5681 4.2, RFC 1122 4.2.3.2 and 4.2.3.3, Linux's 40 ms.

The scripts begin in what Linux calls ping-pong mode, in which an ACK waits for an answer; test_quick_acks.py has the
rest.
"""

import pytest

from aionetflow.socket.base import IN
from support.fixtures import accepted, established
from support.rules import rule
from support.script import ACK, FIN, ISS, M32, PSH, Script

FULL = 1460  # the stack's MSS
TCP_WINDOW_CLAMP = 6, 10
SO_RCVLOWAT = 1, 18


@rule("RFC 9293 3.8.6.3", "A delayed ACK is sent within half a second", code="tcp/delayed_ack.py")
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
    script.at(0.02).sends(PSH | ACK, data=b"y")
    script.at(0.04).expect(ACK)
    script.after(10).expect_nothing()


def test_an_ack_that_is_almost_due_goes_with_the_next_segment() -> None:
    """Linux tcp_send_delayed_ack: a quarter of the time is left."""
    script = established()
    script.sends(PSH | ACK, data=b"x")
    script.at(0.027).sends(PSH | ACK, data=b"y").expect_nothing()
    script = established()
    script.sends(PSH | ACK, data=b"x")
    script.at(0.029).sends(PSH | ACK, data=b"y").expect(ACK)
    script.after(10).expect_nothing()


@rule("RFC 5681 4.2", "At least every second full-sized segment is acknowledged at once", code="tcp/delayed_ack.py")
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
def test_the_ack_of_a_fin_waits_for_ours() -> None:
    """Linux tcp_fin: the application will close soon; what was owed before is not put off."""
    script = established()
    script.sends(PSH | ACK, data=b"x").expect_nothing()
    script.at(0.02).sends(FIN | ACK).expect_nothing()
    script.at(0.04).expect(ACK)
    script.after(1).expect_nothing()
    script = established()
    script.sends(PSH | FIN | ACK, data=b"x").expect_nothing()
    script.sock.recv(10)
    script.sock.close()
    script.expect(FIN | ACK)
    script.expect_nothing()


def test_data_that_fill_the_gap_before_a_fin_are_acknowledged_at_once() -> None:
    script = established()
    script.sends(FIN | ACK, seq=script.nxt + 5).expect(ACK)
    script.sends(PSH | ACK, data=b"hello")
    script.nxt += 1
    script.expect(ACK)
    assert (script.sock.recv(10), script.sock.recv(10)) == (b"hello", b"")


def test_a_fin_without_data_before_it_is_acknowledged_at_once() -> None:
    script = established()
    script.sends(FIN | ACK).expect(ACK)
    script.after(1).expect_nothing()


@rule("RFC 9293 3.4", "A segment that takes no sequence number is not acknowledged", code="tcp/arrival.py")
def test_an_ack_is_never_acknowledged() -> None:
    script = established()
    script.sends(ACK).sends(ACK).after(1).expect_nothing()


@rule("RFC 9293 3.8.6", "Data not yet read take their part of the window", code="tcp/receive.py")
def test_the_window_says_what_is_free() -> None:
    script = accepted(receive_buffer=20_000)
    script.sends(PSH | ACK, data=bytes(1000)).sends(PSH | ACK, data=bytes(1000)).after(0.1).drain()
    edge = script.edge
    assert edge is not None
    script.sock.recv(2000)
    script.drain()
    script.sends(PSH | ACK, data=bytes(10)).after(0.1).drain()
    assert script.edge is not None
    assert script.edge > edge


@pytest.mark.parametrize(("size", "taken"), [(88, 88), (87, 536)])
def test_two_alike_are_taken_for_full_segments_unless_they_are_tiny(size: int, taken: int) -> None:
    """Linux tcp_measure_rcv_mss, TCP_MIN_MSS."""
    script = accepted()
    for _ in range(2):
        script.sends(ACK, data=bytes(size)).after(1).drain()
    assert script.sock.tcp_info().rcv_mss == taken


# The window (RFC 9293 3.8.6.2.2, Linux __tcp_select_window) ---------------------------------------------------------

ROOM = 8000  # of the receive buffer ...
OFFERED = 6000  # ... and in whole segments, so that there is room for one of 1460 octets more


def filled(mss: int = 1000, buffer: int = ROOM) -> Script:
    """The peer has filled the window with segments of that size; nobody has read."""
    script = accepted(receive_buffer=buffer)
    assert script.edge is not None
    while room := (script.edge - script.nxt) & M32:
        script.sends(PSH | ACK, data=bytes(min(room, mss))).after(0.5).drain()
    script.sends(ACK, seq=script.nxt - 1).expect(ACK, window=0)
    return script.after(1).mark()  # Linux tcp_invalid_ratelimit: half a second between such answers


@rule("RFC 9293 3.8.6.2.2", "The receiver offers no window that is smaller than a segment", code="tcp/receive.py")
def test_a_few_octets_read_do_not_open_the_window() -> None:
    script = filled()
    script.sock.recv(10)
    script.at(1).expect_nothing()
    script.sends(ACK, seq=script.nxt - 1).expect(ACK, window=0)


@rule("RFC 1122 4.2.3.3", "A window that reading opens by a segment is told at once", code="tcp/receive.py")
def test_a_segment_s_worth_read_opens_the_window_at_once() -> None:
    script = filled()
    taken = 0
    while not script.nic.sent:
        taken += len(script.sock.recv(100))
    assert script.octets(script.expect(ACK)) == 1000
    assert taken <= 1000
    script.after(1).expect_nothing()


def test_the_window_s_opening_is_told_when_it_has_doubled() -> None:
    """Linux tcp_cleanup_rbuf."""
    script = filled()
    told = []
    while script.sock.queued()[0]:
        script.sock.recv(500)
        told += [script.octets(heard) for heard in script.drain()]
    assert told == [1000, 2000, 4000]  # which is more than half of the largest


def test_reading_all_opens_the_whole_window_at_once() -> None:
    script = filled()
    stats = script.stack.stats.tcp
    assert (stats.TCPToZeroWindowAdv, stats.TCPFromZeroWindowAdv) == (1, 0)
    script.sock.recv(1 << 20)
    script.expect(ACK, window=OFFERED)
    script.expect_nothing()
    assert (stats.TCPToZeroWindowAdv, stats.TCPFromZeroWindowAdv) == (1, 1)


@rule("RFC 9293 3.8.6.2.2", "Small reads add up before the window opens", code="tcp/receive.py")
@pytest.mark.parametrize("piece", [1, 100, 700])
def test_the_window_never_opens_by_a_sliver(piece: int) -> None:
    """Without scaling each advance of the right edge is in whole segments, whoever reads how little at a time."""
    script = filled()
    while script.sock.queued()[0]:
        script.sock.recv(piece)
        told = script.drain()
        script.sends(ACK, seq=script.nxt - 1)
        assert {script.octets(heard) % 1000 for heard in (*told, *script.drain())} <= {0}


def test_the_window_of_a_buffer_smaller_than_a_segment_opens_by_half_of_it() -> None:
    """Linux __tcp_select_window, where no window could hold a segment."""
    script = filled(mss=1152, buffer=1152)
    script.sock.recv(570)
    script.sends(ACK, seq=script.nxt - 1).expect(ACK, window=0)
    script.sock.recv(10)
    script.drain()
    script.after(1).sends(ACK, seq=script.nxt - 1).expect(ACK, window=580)
    script.sock.recv(20)
    script.after(1).sends(ACK, seq=script.nxt - 1).expect(ACK, window=580)


@rule("RFC 9293 3.8.6", "A window that was offered is not taken back", code="tcp/receive.py")
def test_a_smaller_buffer_takes_nothing_back() -> None:
    script = accepted(receive_buffer=ROOM)
    script.sends(PSH | ACK, data=bytes(1000)).sends(PSH | ACK, data=bytes(1000)).drain()
    edge = script.edge
    script.sock.setsockopt(1, 8, 1152)  # SO_RCVBUF
    script.sends(PSH | ACK, data=bytes(1000)).sends(PSH | ACK, data=bytes(1000)).after(0.5).drain()
    assert script.edge == edge


def test_the_last_sixteenth_of_a_buffer_is_not_offered() -> None:
    script = filled(100, 60_000)
    script.sock.recv(60_000 // 16 - 200)
    script.expect_nothing()
    script.sock.recv(300)
    assert script.octets(script.expect(ACK)) > 3000


def test_the_clamp_bounds_the_window() -> None:
    script = accepted(receive_buffer=ROOM)
    script.sock.setsockopt(*TCP_WINDOW_CLAMP, 2000)
    for _ in range(8):
        script.sends(PSH | ACK, data=bytes(1000)).after(0.5).drain()
        script.sock.recv(1000)
    script.drain()
    assert script.edge == script.nxt + 2000


# What the application waits for -----------------------------------------------------------------------------------


def test_poll_waits_for_the_low_water_mark() -> None:
    script = accepted()
    script.sock.setsockopt(*SO_RCVLOWAT, 10)
    script.sends(PSH | ACK, data=bytes(9))
    assert not script.sock.events() & IN
    script.sends(PSH | ACK, data=bytes(1))
    assert script.sock.events() & IN
    script.sock.recv(1)
    assert not script.sock.events() & IN


def test_a_full_buffer_is_readable_whatever_the_low_water_mark() -> None:
    script = accepted(receive_buffer=ROOM)
    script.sock.setsockopt(*SO_RCVLOWAT, 100_000)
    while (script.edge or 0) != script.nxt:
        script.sends(PSH | ACK, data=bytes(min(1000, ((script.edge or 0) - script.nxt) & M32))).after(0.5).drain()
    assert script.sock.events() & IN
