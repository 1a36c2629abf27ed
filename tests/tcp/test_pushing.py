"""How long segments are to a peer with little windows, and which bear PSH (RFC 9293 3.9.1.2, Linux tcp_sendmsg)."""

import pytest

from support.fixtures import established, listening
from support.rules import rule
from support.script import ACK, IRS, PSH, SYN, Heard, Script

MSG_MORE = 0x8000
TCP_MAXSEG = (6, 2)
SMALL = 5000  # octets: the second thousand that is not acknowledged is less than half of it, the third is more


def shape(segments: list[Heard]) -> list[tuple[int, bool]]:
    """How many octets each carries, and whether it bears PSH."""
    return [(len(heard.data), bool(heard.flags & PSH)) for heard in segments]


def waiting() -> Script:
    """The peer has closed a window that was of 10,000 octets."""
    script = established(window=10_000)
    script.sends(PSH | ACK, data=b"x", window=0).after(0.1).drain()
    return script


# Half of the largest window -------------------------------------------------------------------------------------------


@rule(
    "RFC 9293 3.8.6.2.1", "A segment is no longer than half of the largest window the peer has offered",
    code="tcp/send.py",
)  # fmt: skip
def test_two_segments_fill_a_little_window() -> None:
    """Linux tcp_bound_to_half_wnd."""
    script = established(window=1600)
    script.sock.send(bytes(3000))
    assert shape(script.drain()) == [(800, False), (800, True)]
    script.sends(ACK)
    assert shape(script.drain()) == [(800, False), (600, True)]


def test_a_tiny_window_is_one_segment() -> None:
    """Linux: half of so little would be worth no header."""
    script = established(window=300)
    script.sock.send(bytes(1000))
    assert shape(script.drain()) == [(300, True)]
    script.sends(ACK)
    assert shape(script.drain()) == [(300, True)]


def test_no_window_makes_segments_of_less_than_48_octets() -> None:
    """Linux: a packet of 68 octets passes everywhere (RFC 791 3.2), headers of 20 and 20 included."""
    script = established(window=30)
    script.sock.send(bytes(100))
    script.expect_nothing()
    script.at(0.3)
    assert shape(script.drain()) == [(30, True)]


def test_segments_grow_with_the_window() -> None:
    script = established(window=1600)
    assert script.sock.getsockopt(*TCP_MAXSEG) == 800
    script.sends(ACK, window=5000)
    assert script.sock.getsockopt(*TCP_MAXSEG) == 1000
    script.sock.send(bytes(1800))
    assert shape(script.drain()) == [(1000, False), (800, True)]


def test_the_window_of_the_syn_does_not_count_once_there_is_another() -> None:
    """Linux tcp_create_openreq_child: a SYN's window is not scaled, that of the handshake's last ACK is."""
    script = listening()
    script.sends(SYN, mss=1000, window=65535)
    script.heard = IRS
    script.expect(SYN | ACK)
    script.sends(ACK, window=1200)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.sock.send(bytes(1200))
    assert shape(script.drain()) == [(600, False), (600, True)]


def test_the_congestion_window_is_still_ten_segments() -> None:
    script = established(window=1600)
    script.sends(ACK, window=65535)
    script.sock.send(bytes(30_000))
    assert len(script.drain()) == 10


# PSH ------------------------------------------------------------------------------------------------------------------


@rule(
    "RFC 9293 3.9.1.2", "A long write is pushed each time that half of the peer's largest window has gone by",
    code="tcp/send.py",
)  # fmt: skip
def test_half_of_the_window_is_pushed() -> None:
    """Linux forced_push."""
    script = established(window=SMALL)
    script.sock.send(bytes(9000))
    assert shape(script.drain()) == [(1000, False), (1000, False), (1000, True), (1000, False), (1000, False)]
    script.sends(ACK)
    assert shape(script.drain()) == [(1000, True), (1000, False), (1000, False), (1000, True)]


def test_small_writes_begin_the_count_anew() -> None:
    script = established(window=SMALL)
    script.sends(PSH | ACK, data=b"x", window=0).after(0.1).drain()
    for _ in range(10):
        script.sock.send(bytes(400))  # of which five fill two segments
    script.sends(ACK, window=SMALL)
    assert shape(script.drain()) == [(1000, False), (1000, True), (1000, False), (1000, True)]


def test_what_is_added_to_a_segment_takes_its_push() -> None:
    script = waiting()
    for _ in range(10):
        script.sock.send(bytes(150))
    script.sends(ACK, window=10_000)
    assert shape(script.drain()) == [(1000, False), (500, True)]


def test_segments_that_were_written_whole_keep_theirs() -> None:
    script = waiting()
    script.sock.send(bytes(1000))
    script.sock.send(bytes(2000))
    script.sock.send(bytes(500))
    script.sends(ACK, window=10_000)
    assert shape(script.drain()) == [(1000, True), (1000, False), (1000, True), (500, True)]


@pytest.mark.parametrize("size", [2000, 1000])
def test_more_to_come_is_not_pushed(size: int) -> None:
    script = established()
    script.sock.send(bytes(size), MSG_MORE)
    assert not any(push for _, push in shape(script.drain()))
    script.sock.send(b"the end")
    script.expect(PSH | ACK, data=b"the end")


def test_half_of_the_window_is_pushed_though_more_is_to_come() -> None:
    script = established(window=SMALL)
    for _ in range(3):
        script.sock.send(bytes(1000), MSG_MORE)
    assert shape(script.drain()) == [(1000, False), (1000, False), (1000, True)]


def test_what_is_sent_again_is_pushed_again() -> None:
    script = established(window=3000)
    script.sock.send(bytes(3000))
    assert shape(script.drain()) == [(1000, False), (1000, True), (1000, True)]
    script.sends(ACK, ack=IRS + 1001).after(0.3)
    assert shape(script.drain()[:1]) == [(1000, True)]


def test_large_windows_leave_long_writes_whole() -> None:
    """Beyond two super-segments of window a push is on the last frame of one, and none is cut short for it."""
    script = established(wscale=7)
    script.sends(ACK, window=256_000)
    connection = script.sock.connection
    assert connection is not None
    connection.recovery.cc.cwnd = 1 << 20
    script.sock.send(bytes(256_000))
    segments = shape(script.drain())
    assert all(size == 1000 for size, _ in segments)
    pushed = [number for number, (_, push) in enumerate(segments, 1) if push]
    assert pushed == [130, 256]  # the second super-segment of 65 frames holds the octet behind half of the window
