"""Urgent data on the wire and in the stream (RFC 9293 3.8.5, RFC 6093), as Linux has them."""

from __future__ import annotations

import errno

import pytest

from aionetflow.socket.base import IN, PRI
from aionetflow.socket.options import MSG_OOB, MSG_PEEK, SIOCATMARK, SIOCINQ
from support.fixtures import established
from support.rules import rule
from support.script import ACK, PSH, URG, Script

TCP_CORK = 6, 3
SO_OOBINLINE = 1, 10


def told(script: Script) -> list[tuple[bool, int, bytes]]:
    """What the stack has sent: with URG or not, the pointer, the data."""
    return [(heard.flags & URG != 0, heard.urgent, heard.data) for heard in script.drain()]


# Sending ----------------------------------------------------------------------------------------------------------


@rule("RFC 6093 3", "The urgent pointer is that of the octet behind the urgent data", code="tcp/urgent.py")
def test_the_pointer_is_behind_the_last_urgent_octet() -> None:
    script = established()
    script.sock.send(b"ab!", MSG_OOB)
    assert told(script) == [(True, 3, b"ab!")]


def test_urgent_data_wait_for_nothing() -> None:
    """Neither Nagle nor the cork holds them back (Linux tcp_nagle_test)."""
    script = established()
    script.sock.send(b"a")
    script.sock.send(b"b")
    assert told(script) == [(False, 0, b"a")]
    script.sock.setsockopt(*TCP_CORK, 1)
    script.sock.send(b"!", MSG_OOB)
    assert told(script) == [(True, 2, b"b!")]
    script.sock.send(b"c")
    assert told(script) == [(False, 0, b"c")]


@rule("RFC 9293 3.8.5", "Each segment before the urgent octet tells where that is", code="tcp/urgent.py")
def test_every_segment_up_to_it_has_a_pointer() -> None:
    script = established()
    script.sock.send(bytes(2500), MSG_OOB)
    assert [pointer for _, pointer, _ in told(script)] == [2500, 1500, 500]


@rule("RFC 9293 3.8.5", "A pointer that its field cannot hold is as large as it can be", code="tcp/urgent.py")
def test_a_pointer_beyond_its_field_is_as_large_as_it_can_be() -> None:
    script = established(window=3000)
    script.sock.send(bytes(70_000), MSG_OOB)
    assert [(urgent, pointer) for urgent, pointer, _ in told(script)] == [(True, 0xFFFF)] * 3


def test_what_is_sent_again_has_its_pointer() -> None:
    script = established()
    script.sock.send(b"ab!", MSG_OOB)
    script.at(0.3)
    assert told(script) == [(True, 3, b"ab!"), (True, 3, b"ab!")]


def test_what_is_acknowledged_is_urgent_no_more() -> None:
    script = established()
    script.sock.send(b"!", MSG_OOB)
    script.drain()
    script.sends(ACK).sends(PSH | ACK, data=b"x").at(0.04)
    script.sock.send(b"y")
    assert told(script) == [(False, 0, b""), (False, 0, b"y")]


def test_the_probe_of_a_window_closed_behind_urgent_data_is_a_plain_one() -> None:
    """Linux tcp_urg_mode ends with the acknowledgment, not with what is sent next."""
    script = established()
    script.sock.send(b"!", MSG_OOB)
    script.drain()
    script.sends(ACK, window=0)
    script.sock.send(b"y")
    script.expect_nothing()
    script.after(0.3)
    assert [(heard.seq, heard.urgent) for heard in script.drain()] == [(script.heard - 1, 0)]


@rule("RFC 9293 3.8.5", "A closed window does not hide that there are urgent data", code="tcp/urgent.py")
def test_a_closed_window_is_probed_with_the_pointer() -> None:
    script = established()
    script.sends(ACK, window=0)
    first = script.heard
    script.sock.send(b"!", MSG_OOB)
    script.expect_nothing()
    script.at(0.3).collect()
    assert [(heard.seq, heard.urgent) for heard in script.drain()] == [(first, 1), (first - 1, 2)]
    script.at(0.5).sends(ACK, window=1000)
    assert told(script) == [(True, 1, b"!")]


# Receiving --------------------------------------------------------------------------------------------------------


def test_the_octet_is_taken_out_of_the_stream() -> None:
    script = established()
    script.sends(PSH | URG | ACK, data=b"ab!cd", urgent=3)
    assert script.sock.events() & (IN | PRI) == IN | PRI
    assert script.sock.recv(1, MSG_OOB | MSG_PEEK) == b"!"
    assert script.sock.recv(1, MSG_OOB) == b"!"
    assert script.sock.events() & (IN | PRI) == IN
    assert script.sock.ioctl(SIOCINQ) == 2
    assert script.sock.recv(10) == b"ab"
    assert script.sock.ioctl(SIOCATMARK) == 1
    assert script.sock.recv(10) == b"cd"
    assert script.sock.ioctl(SIOCATMARK) == 0


def test_the_octet_stays_in_the_stream_with_oobinline() -> None:
    script = established()
    script.sock.setsockopt(*SO_OOBINLINE, 1)
    script.sends(PSH | URG | ACK, data=b"ab!cd", urgent=3)
    assert [script.sock.recv(10), script.sock.recv(10)] == [b"ab", b"!cd"]
    with pytest.raises(OSError, match="Invalid") as failure:
        script.sock.recv(1, MSG_OOB)
    assert failure.value.errno == errno.EINVAL


@rule("RFC 9293 3.8.5", "The user is told of urgent data before they have come", code="tcp/urgent.py")
def test_a_pointer_ahead_of_its_octet_is_waited_for() -> None:
    script = established()
    script.sends(PSH | URG | ACK, data=b"ab", urgent=3)
    with pytest.raises(BlockingIOError):
        script.sock.recv(1, MSG_OOB)
    assert script.sock.recv(10) == b"ab"
    assert script.sock.ioctl(SIOCATMARK) == 1
    script.sends(PSH | ACK, data=b"!c")
    assert script.sock.recv(1, MSG_OOB) == b"!"
    assert script.sock.recv(10) == b"c"


@rule("RFC 9293 3.8.5", "A pointer without data is heeded", code="tcp/urgent.py")
def test_a_pointer_in_a_segment_without_data() -> None:
    script = established()
    script.sends(URG | ACK, urgent=2)
    script.sends(PSH | ACK, data=b"a!b")
    assert script.sock.recv(1, MSG_OOB) == b"!"


def test_a_later_pointer_takes_the_place_of_an_earlier_one() -> None:
    script = established()
    script.sends(PSH | URG | ACK, data=b"a!b", urgent=2)
    script.sends(PSH | URG | ACK, data=b"c?d", urgent=2)
    assert script.sock.recv(1, MSG_OOB) == b"?"
    assert script.sock.recv(10) == b"a!bc"


def test_a_pointer_to_what_was_received_is_not_heeded() -> None:
    script = established()
    script.sends(PSH | ACK, data=b"abcd")
    script.sends(PSH | URG | ACK, seq=script.nxt - 2, data=b"cd", urgent=1)
    script.drain()
    with pytest.raises(OSError, match="Invalid"):
        script.sock.recv(1, MSG_OOB)
    assert script.sock.recv(10) == b"abcd"


def test_with_stdurg_the_pointer_is_of_the_octet_itself() -> None:
    """net.ipv4.tcp_stdurg, RFC 1122 4.2.2.4."""
    script = established()
    script.stack.sysctl["net.ipv4.tcp_stdurg"] = 1
    script.sends(PSH | URG | ACK, data=b"ab!cd", urgent=2)
    assert script.sock.recv(1, MSG_OOB) == b"!"


def test_reading_beside_urgent_data_opens_the_window() -> None:
    script = established(receive_buffer=8000)
    script.sends(PSH | URG | ACK, data=b"!" + bytes(999), urgent=1).after(0.5).drain()
    while script.sock.queued()[0] < 7000:
        script.sends(PSH | ACK, data=bytes(1000)).after(0.5).drain()
    assert script.sock.recv(10_000) == bytes(6999)
    assert script.drain()


def test_peeking_at_the_mark_shows_what_is_behind_the_octet() -> None:
    script = established()
    script.sends(PSH | URG | ACK, data=b"!cdef", urgent=1)
    assert script.sock.recv(3, MSG_PEEK) == b"cde"
    assert script.sock.recv(10, MSG_PEEK) == b"cdef"
    assert script.sock.recv(10) == b"cdef"
