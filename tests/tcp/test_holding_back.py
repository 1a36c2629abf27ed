"""What is held back of what was written (the cork, MSG_MORE, Nagle), and how much of it waits (TCP_NOTSENT_LOWAT)."""

from __future__ import annotations

import pytest

from aionetflow.socket.base import OUT
from aionetflow.socket.options import MSG_MORE
from support.fixtures import established, listening
from support.rules import rule
from support.script import ACK, IRS, PSH, SYN, Script

TCP_NODELAY = 6, 1
TCP_CORK = 6, 3
TCP_NOTSENT_LOWAT = 6, 25


def test_more_is_waited_for() -> None:
    script = established()
    script.sock.send(b"head", MSG_MORE)
    script.expect_nothing()
    script.sock.send(b"body")
    script.expect(PSH | ACK, data=b"headbody")


def test_more_holds_back_with_nodelay_too() -> None:
    script = established()
    script.sock.setsockopt(*TCP_NODELAY, 1)
    script.sock.send(b"head", MSG_MORE)
    script.expect_nothing()
    script.sock.sendmsg([b"b", b"ody"], [], MSG_MORE)
    script.expect_nothing()
    script.sock.sendmsg([b"!"])
    script.expect(PSH | ACK, data=b"headbody!")


def test_more_lets_full_segments_go() -> None:
    script = established()
    script.sock.send(bytes(2500), MSG_MORE)
    script.expect_data(bytes(2000), [1000, 1000])
    script.expect_nothing()


def test_more_that_does_not_come_is_waited_for_for_a_retransmission_time_out() -> None:
    script = established()
    script.sock.send(b"head", MSG_MORE)
    script.at(0.299999).expect_nothing()
    script.at(0.3).expect(PSH | ACK, data=b"head")


def test_an_acknowledgment_that_comes_ends_the_wait_for_more() -> None:
    """Linux tcp_data_snd_check: only the cork counts then. Nobody has said that this is the end of what is written."""
    script = established()
    script.sock.send(b"head", MSG_MORE)
    script.at(0.1).sends(ACK)
    script.expect(ACK, data=b"head")


def test_data_that_come_do_not_end_the_wait_for_more() -> None:
    """Linux tcp_rcv_established: data that acknowledge nothing are no reason to look at what waits."""
    script = established()
    script.sock.send(b"head", MSG_MORE)
    script.at(0.1).sends(PSH | ACK, data=b"question").expect_nothing()
    script.sock.send(b"body")
    script.expect(PSH | ACK, data=b"headbody")


def test_clearing_the_cork_leaves_nagle() -> None:
    script = established()
    script.sock.send(b"first")
    script.expect(PSH | ACK, data=b"first")
    script.sock.setsockopt(*TCP_CORK, 1)
    script.sock.send(b"second")
    script.sock.setsockopt(*TCP_CORK, 0)
    script.expect_nothing()
    script.at(0.1).sends(ACK)
    script.expect(PSH | ACK, data=b"second")


def test_clearing_the_cork_sends_with_nodelay() -> None:
    script = established()
    script.sock.setsockopt(*TCP_NODELAY, 1)
    script.sock.send(b"first")
    script.expect(PSH | ACK, data=b"first")
    script.sock.setsockopt(*TCP_CORK, 1)
    script.sock.send(b"second")
    script.expect_nothing()
    script.sock.setsockopt(*TCP_CORK, 0)
    script.expect(PSH | ACK, data=b"second")


def test_what_the_cork_s_time_lets_go_counts_as_no_probe() -> None:
    script = established()
    script.sock.setsockopt(*TCP_CORK, 1)
    script.sock.send(b"a")
    script.at(0.3).expect(PSH | ACK, data=b"a")
    told = script.sock.tcp_info()
    assert (told.probes, told.backoff) == (0, 0)
    assert script.stack.stats.tcp.TCPWinProbe == 0


# TCP_NOTSENT_LOWAT (tcp(7)) -----------------------------------------------------------------------------------------


def choked() -> Script:
    """The peer takes 2000 octets; the application wants at most 1500 to wait."""
    script = established(window=2000)
    script.sock.setsockopt(*TCP_NOTSENT_LOWAT, 1500)
    return script


def test_no_more_is_taken_while_enough_is_unsent() -> None:
    """Linux looks at the limit before each buffer of a segment's size, not before each octet."""
    script = choked()
    assert script.sock.send(bytes(2500)) == 2500
    script.drain()
    assert script.sock.events() & OUT
    assert script.sock.send(bytes(9000)) == 1500
    assert not script.sock.events() & OUT
    with pytest.raises(BlockingIOError):
        script.sock.send(b"x")
    assert script.sock.tcp_info().notsent_bytes == 2000


def test_what_is_sent_at_once_does_not_count_as_unsent() -> None:
    script = choked()
    assert script.sock.send(bytes(9000)) == 4000
    assert sum(len(heard.data) for heard in script.drain()) == 2000


def test_poll_wants_half_of_the_limit_to_be_free() -> None:
    """Linux tcp_stream_memory_free(wake=1)."""
    script = choked()
    script.sock.send(bytes(2749))
    script.drain()
    assert script.sock.events() & OUT
    script.sock.send(b"x")
    assert not script.sock.events() & OUT
    assert script.sock.send(b"y") == 1


def test_what_is_sent_makes_room() -> None:
    script = choked()
    script.sock.send(bytes(4000))
    script.drain()
    woken: list[int] = []
    script.sock.on_change = lambda: woken.append(script.sock.events() & OUT)
    script.sends(ACK, window=2000)
    assert OUT in woken or script.sock.events() & OUT
    script.drain()
    assert script.sock.send(b"x") == 1


def test_the_host_s_setting_counts_where_the_socket_has_none() -> None:
    script = listening()
    script.stack.sysctl["net.ipv4.tcp_notsent_lowat"] = 2000
    script.sends(SYN, mss=1000, window=2000)
    script.heard = IRS
    script.expect(SYN | ACK)
    script.sends(ACK)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.sock.send(bytes(3000))
    script.drain()
    assert not script.sock.events() & OUT
    script.sock.setsockopt(*TCP_NOTSENT_LOWAT, 2001)
    assert script.sock.events() & OUT


@rule("RFC 1122 4.2.3.4", "An application can turn the Nagle algorithm off", code="tcp/send.py")
def test_nodelay_sends_each_write() -> None:
    script = established()
    script.sock.setsockopt(*TCP_NODELAY, 1)
    for k in range(3):
        script.sock.send(bytes([k]))
        script.expect(PSH | ACK, data=bytes([k]))
