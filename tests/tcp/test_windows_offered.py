"""Which windows are offered: the first one, what is kept back, and how they widen (Linux tcp_select_initial_window,
tcp_init_buffer_space, tcp_grow_window).
"""

from __future__ import annotations

from itertools import pairwise

import pytest

from support.fixtures import accepted, close, established, fin_wait_2, listening, syn_received, syn_sent
from support.modern import timestamps
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, SYN, Script, syn_options

SO_RCVBUF = 1, 8
BUFFER = 65_536  # octets of data; Linux's default
FULL = 1460  # octets of a segment
FIRST = BUFFER // FULL * FULL


def after_a_handshake() -> Script:
    """A listener with Linux's default buffer has accepted; each segment is acknowledged after 40 ms at most."""
    return accepted(receive_buffer=BUFFER)


@rule("RFC 9293 3.8.6.2.2", "The first window is of whole segments", code="tcp/receive.py")
def test_a_syn_offers_whole_segments() -> None:
    script = Script()
    script.sock = script.stream()
    script.sock.setsockopt(*SO_RCVBUF, BUFFER)
    script.sock.bind(("10.0.0.1", 0))
    with pytest.raises(BlockingIOError):
        script.sock.connect(("10.0.0.2", 4000))
    (syn,) = script.drain()
    assert (syn.flags, syn.window) == (SYN, FIRST)


def test_a_syn_ack_leaves_out_what_timestamps_take_of_a_segment() -> None:
    script = listening(receive_buffer=BUFFER)
    script.sends(SYN, mss=1000)
    assert script.take().window == FIRST
    script.ports = (4001, 80)
    script.deliver([script.segment(SYN, seq=ISS, options=syn_options(1000, None) + timestamps(5, 0))])
    assert script.take().window == BUFFER // (FULL - 12) * (FULL - 12)


def test_an_answer_in_syn_received_offers_what_the_syn_ack_did() -> None:
    script = syn_received()
    script.sends(PSH | ACK, seq=ISS + 200_000, data=b"x")
    assert script.take().window == 65535


@rule("RFC 9293 3.8.6", "A window is not taken back", code="tcp/receive.py")
def test_the_window_of_the_syn_holds_until_as_much_has_come_as_is_kept_back() -> None:
    """From the handshake's end on one full segment's room is kept back: the right edge waits until that is so."""
    script = after_a_handshake()
    script.sends(PSH | ACK, data=bytes(400)).after(0.04)
    script.expect(ACK, window=FIRST - 400)
    script.sock.recv(1000)
    script.sends(PSH | ACK, data=bytes(100)).after(0.04)
    assert script.drain()[-1].window == FIRST - 400  # no more than that is left, so that moves along


def test_a_client_does_not_take_back_its_syns_window_either() -> None:
    script = syn_sent(receive_buffer=BUFFER)
    script.sends(SYN | ACK, mss=1000).expect(ACK, window=FIRST)


def widened(size: int) -> list[int]:
    """The windows when ten segments of that size have come and been read, and the buffer has become larger before."""
    script = established(wscale=7, receive_buffer=BUFFER)
    script.sock.setsockopt(*SO_RCVBUF, 2 * BUFFER)
    windows = []
    for _ in range(10):
        script.sends(PSH | ACK, data=bytes(size))
        script.sock.recv(size)
        windows.append(script.octets(script.after(0.2).drain()[-1]))
    return windows


def test_a_window_widens_by_two_segments_for_each_that_comes() -> None:
    """Linux: there may be room for more than the peer has shown to make use of."""
    windows = widened(1000)
    steps = {second - first for first, second in pairwise(windows)}
    assert steps <= {2816, 2944}  # 2920, as the window scale has it


def test_little_segments_do_not_widen_it() -> None:
    assert set(widened(127)) == {FIRST + 127 & -128}  # as far as the window scale lets that be said


def test_a_large_buffer_is_offered_at_once() -> None:
    script = established(wscale=7)
    connection = script.sock.connection
    assert connection is not None
    limit = connection.rcv.limit
    script.sends(PSH | ACK, data=b"x").after(0.04)
    assert limit - FULL <= script.octets(script.expect(ACK)) <= limit


def test_what_has_no_socket_offers_the_same_window_always() -> None:
    """Linux tw_rcv_wnd: an orphan in FIN-WAIT-2 is no more than its numbers and its window."""
    script = fin_wait_2(close)
    window = script.edge
    assert window is not None
    script.sends(FIN | ACK)
    heard = script.expect(ACK, seq=IRS + 2)
    assert heard.ack + script.octets(heard) & M32 == window + 1 & M32
