"""TCP Fast Open (RFC 7413), the server: cookies, and connections that are there before their handshake has ended."""

from __future__ import annotations

import errno

import pytest

from aionetflow.socket.base import ERR, HUP, IN, OUT, RDHUP
from aionetflow.socket.options import (
    IPPROTO_TCP,
    TCP_FASTOPEN,
    TCP_FASTOPEN_CONNECT,
    TCP_FASTOPEN_KEY,
    TCP_FASTOPEN_NO_COOKIE,
    TCP_SYNCNT,
)
from aionetflow.socket.stream import StreamSocket
from aionetflow.stats import TcpStats
from aionetflow.tcp.fast_open import CookieKeys
from aionetflow.tcp.states import State
from support.fixtures import accepted, listening
from support.modern import timestamps
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, MSS, PEER, PSH, RST, STACK, SYN, Heard, Script, syn_options

SERVER = 2  # of net.ipv4.tcp_fastopen
OPTION = 34
KNOWN = "84dc7a7d3b3a4769"  # by the key 00 01 ... 0f, as Linux makes it


def option(cookie: bytes = b"") -> bytes:
    """A SYN's options: the MSS, and a cookie or the request for one."""
    return syn_options(MSS, None) + bytes((OPTION, 2 + len(cookie))) + cookie


def server(limit: int = 5, backlog: int = 8, settings: int = SERVER) -> Script:
    """A listener that takes data in SYNs."""
    script = listening(backlog)
    script.stack.sysctl["net.ipv4.tcp_fastopen"] = settings
    assert script.listener is not None
    script.listener.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, limit)
    return script


def asks(script: Script, cookie: bytes = b"", data: bytes = b"", port: int = 3999) -> Heard:
    """The answer to a SYN of another connection, which is then given up."""
    before = script.ports, script.nxt, script.heard, script.edge
    script.ports, script.nxt, script.edge = (port, 80), ISS, None
    script.sends(SYN, data=data, options=option(cookie))
    heard = script.take()
    script.heard = heard.end
    script.sends(RST, seq=heard.ack).expect_nothing()
    script.ports, script.nxt, script.heard, script.edge = before
    return heard


def cookie_of(script: Script) -> bytes:
    """The cookie that the peer is given."""
    return asks(script).options[OPTION]


def opened(data: bytes = b"hello", limit: int = 5) -> Script:
    """The peer has opened a connection with its cookie and data; nobody has accepted it yet."""
    script = server(limit)
    script.sends(SYN, data=data, options=option(cookie_of(script)))
    script.heard = IRS
    script.expect(SYN | ACK)
    return script.mark()


def take(script: Script) -> StreamSocket:
    """accept()."""
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    return script.sock


def counted(script: Script) -> TcpStats:
    return script.stack.stats.tcp


# ---- cookies


@rule("RFC 7413 4.1.2", "A client that asks is given a cookie in the SYN-ACK", code="tcp/fast_open.py")
def test_a_cookie_is_given_to_who_asks() -> None:
    script = server()
    assert len(cookie_of(script)) == 8
    assert (counted(script).TCPFastOpenCookieReqd, counted(script).TCPFastOpenPassiveFail) == (1, 0)


@rule("RFC 7413 4.1.2", "A cookie depends on the client's address and cannot be guessed", code="tcp/fast_open.py")
def test_a_cookie_is_of_its_addresses_and_its_key_alone() -> None:
    keys = CookieKeys(bytes(range(16)))
    cookies = {
        keys.make(PEER, STACK),
        keys.make(STACK, PEER),
        keys.make(PEER, STACK + bytes(12)),
        CookieKeys(bytes(16)).make(PEER, STACK),
    }
    assert len(cookies) == 4
    assert keys.make(bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))).hex() == KNOWN
    assert keys.make(PEER, STACK) == CookieKeys(bytes(range(16))).make(PEER, STACK)


@rule("RFC 7413 4.1.2", "Keys are changed from time to time, and cookies of the one before are taken for a while",
      code="tcp/fast_open.py")  # fmt: skip
def test_a_cookie_of_the_key_before_opens_and_is_replaced() -> None:
    script = server()
    old = cookie_of(script)
    assert script.listener is not None
    first = str(script.stack.sysctl["net.ipv4.tcp_fastopen_key"])
    script.stack.sysctl["net.ipv4.tcp_fastopen_key"] = f"1-2-3-4,{first}"
    heard = asks(script, old, b"hello")
    assert (heard.ack, len(heard.options[OPTION])) == (ISS + 6 & M32, 8)
    assert heard.options[OPTION] != old
    assert counted(script).TCPFastOpenPassiveAltKey == 1
    script.stack.sysctl["net.ipv4.tcp_fastopen_key"] = "1-2-3-4"
    assert asks(script, old, b"hello", 3998).ack == ISS + 1
    assert asks(script, heard.options[OPTION], b"hello", 3997).ack == ISS + 6 & M32


def test_the_key_is_drawn_when_it_is_needed() -> None:
    script = server()
    assert script.stack.sysctl["net.ipv4.tcp_fastopen_key"] == ""
    cookie_of(script)
    words = str(script.stack.sysctl["net.ipv4.tcp_fastopen_key"]).split("-")
    assert [len(word) for word in words] == [8, 8, 8, 8]
    assert all(int(word, 16) for word in words)


@pytest.mark.parametrize("text", ["1-2-3", "1-2-3-4-5", "1-2-3-g", "1-2-3-123456789", "1-2-3-4,1-2-3-4,1-2-3-4", "---"])
def test_a_key_that_is_none_is_refused(text: str) -> None:
    script = listening()
    with pytest.raises(ValueError, match="key"):
        script.stack.sysctl["net.ipv4.tcp_fastopen_key"] = text


def test_a_listener_may_have_a_key_of_its_own() -> None:
    script = server()
    assert script.listener is not None
    assert script.listener.getsockopt(IPPROTO_TCP, TCP_FASTOPEN_KEY, 32) == b""
    script.listener.setsockopt(IPPROTO_TCP, TCP_FASTOPEN_KEY, bytes(range(16)))
    assert script.listener.getsockopt(IPPROTO_TCP, TCP_FASTOPEN_KEY, 32) == bytes(range(16))
    assert cookie_of(script) == CookieKeys(bytes(range(16))).make(PEER, STACK)


@rule("RFC 7413 4.1.1", "A cookie has an even number of octets, four to sixteen; anything else is no option",
      code="tcp/fast_open.py")  # fmt: skip
@pytest.mark.parametrize("size", [2, 3, 5, 18])
def test_an_option_of_a_wrong_length_is_skipped(size: int) -> None:
    script = server()
    heard = asks(script, bytes(size), b"hello")
    assert (heard.ack, OPTION in heard.options) == (ISS + 1, False)
    assert (counted(script).TCPFastOpenPassiveFail, counted(script).TCPFastOpenCookieReqd) == (0, 0)


@rule("RFC 7413 4.2.2", "With a wrong cookie the SYN's data are not acknowledged, and the right one is sent",
      code="tcp/fast_open.py")  # fmt: skip
@pytest.mark.parametrize("size", [4, 6, 8, 16])
def test_a_wrong_cookie_makes_it_a_usual_handshake(size: int) -> None:
    script = server()
    script.sends(SYN, data=b"hello", options=option(bytes(size)))
    script.heard = IRS
    heard = script.expect(SYN | ACK, ack=ISS + 1)
    assert counted(script).TCPFastOpenPassiveFail == 1
    assert heard.options[OPTION] == cookie_of(script)
    assert script.listener is not None
    assert script.listener.events() == 0
    script.sends(ACK, seq=ISS + 1, data=b"hello").expect(ACK)
    assert take(script).recv(100) == b"hello"


@rule("RFC 7413 4.1.1", "The option counts in SYNs alone", code="tcp/fast_open.py")
def test_the_option_in_other_segments_means_nothing() -> None:
    script = accepted()
    script.sends(PSH | ACK, data=b"hello", options=bytes((OPTION, 2, 1, 1)))
    script.after(0.04).expect(ACK)
    assert script.sock.recv(100) == b"hello"


# ---- who lets data in


@pytest.mark.parametrize(("settings", "limit"), [(0, 5), (1, 5), (SERVER, 0)])
def test_without_setting_or_option_nothing_is_let_in(settings: int, limit: int) -> None:
    script = server(limit, settings=settings)
    heard = asks(script, b"", b"hello")
    assert (heard.ack, OPTION in heard.options) == (ISS + 1, False)


def test_a_listener_may_think_better_of_it() -> None:
    script = server()
    assert script.listener is not None
    script.listener.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, 0)
    assert OPTION not in asks(script).options
    script.listener.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, 1)
    assert OPTION in asks(script).options


def test_every_listener_is_such_a_server_where_the_setting_says_so() -> None:
    script = listening()
    script.stack.sysctl["net.ipv4.tcp_fastopen"] = SERVER | 0x400
    assert script.listener is not None
    script.listener.listen(3)  # which is when it is looked at
    script.listener.setsockopt(1, 2, 1)
    assert len(cookie_of(script)) == 8


@pytest.mark.parametrize("by_host", [True, False])
def test_a_server_may_need_no_cookie(by_host: bool) -> None:
    script = server(settings=SERVER | 0x200 if by_host else SERVER)
    assert script.listener is not None
    if not by_host:
        script.listener.setsockopt(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
        assert script.listener.getsockopt(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE) == 1
    script.sends(SYN, data=b"hello", mss=MSS)
    script.heard = IRS
    script.expect(SYN | ACK)
    assert take(script).recv(100) == b"hello"
    assert counted(script).TCPFastOpenPassive == 1


def test_a_syn_without_option_and_data_is_a_usual_one() -> None:
    script = server(settings=SERVER | 0x200)
    script.sends(SYN, mss=MSS)
    script.heard = IRS
    script.expect(SYN | ACK)
    assert len(script.stack.half_open.requests) == 1


def test_syn_cookies_leave_no_room_for_it() -> None:
    script = server()
    cookie = cookie_of(script)
    script.stack.sysctl["net.ipv4.tcp_syncookies"] = 2
    heard = asks(script, cookie, b"hello", 3998)
    assert (heard.ack, OPTION in heard.options) == (ISS + 1, False)
    assert counted(script).SyncookiesSent == 1


def test_a_full_accept_queue_lets_nothing_in() -> None:
    script = server(backlog=0)
    cookie = cookie_of(script)
    script.sends(SYN, data=b"hello", options=option(cookie))
    script.heard = IRS
    script.expect(SYN | ACK)
    script.ports, script.nxt = (4001, 80), ISS
    script.sends(SYN, data=b"hello", options=option(cookie)).expect_nothing()
    assert counted(script).ListenOverflows == 1


# ---- before the handshake has ended


@rule("RFC 7413 4.2.2", "With a valid cookie the SYN-ACK acknowledges the data, which are delivered at once",
      code="socket/half_open.py")  # fmt: skip
def test_data_of_a_syn_are_read_before_the_handshake_has_ended() -> None:
    script = opened()
    sock = take(script)
    assert (sock.state_name(), sock.getpeername()) == ("SYN-RECV", ("10.0.0.2", 4000))
    assert sock.events() == IN | OUT
    assert sock.recv(100) == b"hello"
    assert (counted(script).TCPFastOpenPassive, counted(script).PassiveOpens) == (1, 1)
    assert not sock.is_connecting()
    script.sends(ACK).expect_nothing()
    assert sock.state_name() == "ESTAB"
    script.sends(PSH | ACK, data=b"more").expect(ACK)
    assert sock.recv(100) == b"more"


@rule("RFC 7413 4.2.2", "The server may send data before the handshake has ended", code="tcp/early_data.py")
def test_an_answer_goes_before_the_handshake_has_ended() -> None:
    script = opened()
    sock = take(script)
    sock.recv(100)
    sock.send(bytes(2500))
    script.expect_data(bytes(2500), [1000, 1000, 500])
    script.after(0.1)
    script.sends(ACK).expect_nothing()
    assert sock.state_name() == "ESTAB"
    assert sock.queued() == (0, 0)
    script.after(100).expect_nothing()


def test_what_may_be_sent_before_is_bounded_by_the_syns_window_and_the_first_one() -> None:
    script = server()
    script.sends(SYN, options=option(cookie_of(script)), window=1500)
    script.heard = IRS
    script.expect(SYN | ACK)
    take(script).send(bytes(30_000))
    script.expect_data(bytes(1500), [750, 750])  # halves of the largest window
    script.sends(ACK, window=65535)
    assert sum(len(heard.data) for heard in script.drain()) == 10_000  # RFC 6928, and one was acknowledged


def test_a_syn_with_a_cookie_alone_is_enough() -> None:
    script = opened(b"")
    sock = take(script)
    with pytest.raises(BlockingIOError):
        sock.recv(100)
    sock.send(b"welcome")
    script.expect(PSH | ACK, data=b"welcome")
    script.sends(ACK).expect_nothing()


def test_tcp_info_tells_of_it() -> None:
    script = opened()
    info = take(script).tcp_info()
    assert (info.state, info.options & 0xA0, info.bytes_received) == (State.SYN_RECEIVED, 0xA0, 5)
    assert (info.segs_in, info.data_segs_in, info.bytes_acked) == (1, 1, 0)
    assert take(opened(b"")).tcp_info().options & 0xA0 == 0x80


def test_timestamps_and_scale_are_agreed_on_as_ever() -> None:
    script = server()
    cookie = cookie_of(script)
    offer = syn_options(MSS, 7) + b"\1\1" + timestamps(1000, 0) + bytes((OPTION, 10)) + cookie
    script.sends(SYN, data=b"hello", options=offer)
    heard = script.take()
    assert (heard.ack, heard.wscale, heard.options[8][4:]) == (ISS + 6 & M32, 7, (1000).to_bytes(4, "big"))


# ---- what may go wrong


@rule("RFC 7413 4.2.2", "The SYN-ACK is sent again until it is acknowledged", code="tcp/departure.py")
def test_a_syn_ack_that_is_lost_goes_again_and_nothing_else() -> None:
    script = opened()
    take(script).send(b"answer")
    script.expect(PSH | ACK, data=b"answer")
    for when in (1.0, 3.0, 7.0):
        script.at(when - 0.001).expect_nothing()
        heard = script.at(when).expect(SYN | ACK, seq=IRS)
        assert OPTION not in heard.options
    script.sends(ACK, ack=IRS + 1).expect_nothing()
    script.after(2.999).expect_nothing()
    script.after(0.001).expect(PSH | ACK, seq=IRS + 1, data=b"answer")  # RFC 6298 5.7: 3 s


def test_nobody_acknowledges_the_syn_ack() -> None:
    script = opened()
    script.stack.sysctl["net.ipv4.tcp_fastopen_blackhole_timeout_sec"] = 60
    sock = take(script)
    sock.setsockopt(IPPROTO_TCP, TCP_SYNCNT, 1)
    script.at(1.0).expect(SYN | ACK, seq=IRS)
    script.at(3.0).expect_nothing()
    assert sock.take_error() == errno.ETIMEDOUT
    assert sock.events() & (HUP | ERR | RDHUP) == HUP | RDHUP
    assert (counted(script).TCPAbortOnTimeout, counted(script).TCPFastOpenBlackhole) == (1, 0)


def test_without_an_option_it_is_once_more_than_a_usual_one() -> None:
    script = opened()
    script.stack.sysctl["net.ipv4.tcp_synack_retries"] = 1
    script.at(1.0).expect(SYN | ACK, seq=IRS)
    script.at(3.0).expect(SYN | ACK, seq=IRS)
    script.at(60.0).expect_nothing()
    assert take(script).state_name() == "UNCONN"


@rule("RFC 7413 2.1", "A SYN that comes twice while its connection lives delivers its data once",
      code="tcp/early_data.py")  # fmt: skip
@pytest.mark.parametrize("data", [b"hello", b""])
def test_the_same_syn_again_is_answered_and_not_read_again(data: bytes) -> None:
    script = opened()
    sock = take(script)
    script.sends(SYN, seq=ISS, data=data, mss=MSS).expect(SYN | ACK, seq=IRS, ack=ISS + 6)
    script.sends(SYN, seq=ISS, data=data, mss=MSS).expect_nothing()  # not twice within half a second
    assert counted(script).TCPACKSkippedSynRecv == 1
    assert sock.recv(100) == b"hello"
    script.sends(ACK)
    script.sends(SYN, seq=ISS, data=data, mss=MSS)
    with pytest.raises(BlockingIOError):
        sock.recv(100)


def test_a_copy_of_a_syn_after_its_connection_opens_another() -> None:
    # RFC 7413 2.1: what the application must be able to live with
    script = opened()
    first = take(script)
    assert first.recv(100) == b"hello"
    script.sends(RST).expect_nothing()
    first.close()
    script.nxt, script.edge = ISS, None
    script.sends(SYN, data=b"hello", options=option(cookie_of(script)))
    script.heard = IRS
    script.expect(SYN | ACK)
    assert take(script).recv(100) == b"hello"


def test_a_wrong_acknowledgment_is_reset() -> None:
    script = opened()
    script.sends(ACK, ack=IRS + 2).expect(RST, seq=IRS + 2)
    script.sends(ACK, ack=IRS).expect(RST, seq=IRS)
    assert take(script).state_name() == "SYN-RECV"


def test_data_that_follow_the_syn_end_the_handshake_with_their_acknowledgment() -> None:
    script = opened()
    sock = take(script)
    script.sends(PSH | ACK, data=b" world").expect(ACK)
    assert (sock.state_name(), sock.recv(100)) == ("ESTAB", b"hello world")


def test_a_reset_ends_it() -> None:
    script = opened()
    sock = take(script)
    script.sends(RST).expect_nothing()
    assert (sock.state_name(), sock.take_error()) == ("UNCONN", errno.ECONNRESET)
    assert counted(script).AttemptFails == 2  # and that of the connection that asked for the cookie


@rule("RFC 5961 4.2", "A SYN in the window is answered by a challenge ACK, before the handshake has ended too",
      code="tcp/early_data.py")  # fmt: skip
def test_another_syn_is_challenged() -> None:
    script = opened()
    script.sends(SYN, seq=ISS + 6, mss=MSS).expect(ACK, ack=ISS + 6)
    assert take(script).state_name() == "SYN-RECV"


def test_a_segment_with_the_number_of_the_syn_is_not_the_syn() -> None:
    script = opened()
    script.sends(ACK, seq=ISS).expect(ACK, ack=ISS + 6)
    assert take(script).state_name() == "SYN-RECV"


def test_a_syn_may_bring_more_than_the_window_that_is_offered() -> None:
    script = listening(receive_buffer=2304)
    script.stack.sysctl["net.ipv4.tcp_fastopen"] = SERVER | 0x200
    assert script.listener is not None
    script.listener.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, 1)
    script.sends(SYN, data=bytes(1300), mss=MSS)
    script.heard = IRS
    script.expect(SYN | ACK)
    sock = take(script)
    script.sends(ACK).expect_nothing()
    assert sock.recv(2000) == bytes(1300)
    script.sends(PSH | ACK, data=b"more").expect(ACK)
    assert sock.recv(2000) == b"more"


def test_a_guessed_reset_does_not() -> None:
    script = opened()
    script.sends(RST, seq=ISS + 100).expect(ACK, ack=ISS + 6)  # RFC 5961 3.2
    assert take(script).state_name() == "SYN-RECV"


def test_closing_it_sends_the_fin_behind_the_answer() -> None:
    script = opened()
    sock = take(script)
    sock.recv(100)
    sock.send(b"bye")
    script.expect(PSH | ACK, data=b"bye")
    sock.close()
    script.expect(FIN | ACK)
    script.sends(ACK).expect_nothing()
    script.sends(FIN | ACK).expect(ACK)
    assert [connection.state for connection in script.stack.table.connections.values()] == [State.TIME_WAIT]


def test_closing_it_before_the_syn_ack_is_acknowledged_still_sends_that_again() -> None:
    script = opened()
    sock = take(script)
    sock.recv(100)
    sock.close()
    script.expect(FIN | ACK)
    script.at(1.0).expect(SYN | ACK, seq=IRS)
    script.sends(ACK, ack=IRS + 1).expect_nothing()
    script.after(3.0).expect(FIN | ACK, seq=IRS + 1)


def test_a_shutdown_waits_for_the_end_of_the_handshake() -> None:
    script = opened()
    sock = take(script)
    sock.shutdown(1)
    script.expect_nothing()
    assert sock.state_name() == "SYN-RECV"
    with pytest.raises(BrokenPipeError):
        sock.send(b"more")
    script.sends(ACK).expect(FIN | ACK)
    assert sock.state_name() == "FIN-WAIT-1"


def test_a_listener_that_closes_resets_what_nobody_accepted() -> None:
    script = opened()
    assert script.listener is not None
    script.listener.close()
    script.expect(RST | ACK)
    assert script.stack.table.connections == {}


def test_a_listener_that_closes_leaves_what_was_accepted() -> None:
    script = opened()
    sock = take(script)
    assert script.listener is not None
    script.listener.close()
    script.expect_nothing()
    script.sends(ACK).expect_nothing()
    assert sock.state_name() == "ESTAB"


@pytest.mark.parametrize("taken", [True, False])
def test_icmp_ends_only_what_nobody_has_accepted(taken: bool) -> None:
    script = server()
    script.sends(SYN, data=b"hello", options=option(cookie_of(script)))
    script.heard = IRS
    answer = script.expect(SYN | ACK)
    if taken:
        take(script)
    script.sends_icmp(3, 1, answer)
    sock = script.sock if taken else take(script)
    assert sock.state_name() == ("SYN-RECV" if taken else "UNCONN")
    assert sock.take_error() == (0 if taken else errno.EHOSTUNREACH)


# ---- how many


@rule("RFC 7413 5.1", "Only so many handshakes may be pending; further SYNs are usual ones", code="tcp/fast_open.py")
def test_so_many_may_be_pending() -> None:
    script = server(limit=1)
    cookie = cookie_of(script)
    script.sends(SYN, data=b"hello", options=option(cookie))
    script.heard = IRS
    script.expect(SYN | ACK)
    heard = asks(script, cookie, b"hello")
    assert (heard.ack, OPTION in heard.options) == (ISS + 1, False)
    assert counted(script).TCPFastOpenListenOverflow == 1
    script.sends(ACK).expect_nothing()
    assert asks(script, cookie, b"hello").ack == ISS + 6 & M32


def test_an_end_of_the_handshake_makes_room_for_another() -> None:
    script = opened(limit=1)
    take(script)
    script.sends(ACK).expect_nothing()
    assert OPTION in asks(script).options
    assert counted(script).TCPFastOpenListenOverflow == 0


@rule("RFC 7413 5.1", "One that was reset counts for a while, as those with the addresses of others are",
      code="tcp/fast_open.py")  # fmt: skip
def test_what_was_reset_counts_for_a_minute() -> None:
    script = server(limit=1)
    cookie = cookie_of(script)
    script.sends(SYN, data=b"hello", options=option(cookie))
    script.heard = IRS
    script.expect(SYN | ACK)
    take(script)
    script.sends(RST).expect_nothing()
    assert OPTION not in asks(script).options
    script.after(59.999)
    assert OPTION not in asks(script).options
    script.after(0.001)
    assert OPTION in asks(script).options
    assert counted(script).TCPFastOpenListenOverflow == 2
    for port in (4001, 4002):  # and there is room for one, not for two
        script.ports, script.nxt, script.edge = (port, 80), ISS, None
        script.sends(SYN, data=b"hello", options=option(cookie))
        script.heard = IRS
        script.expect(SYN | ACK)
        assert OPTION not in asks(script).options
        script.sends(ACK).expect_nothing()


def test_what_was_reset_counts_as_one() -> None:
    script = opened(limit=2)
    take(script)
    script.sends(RST).expect_nothing()
    assert OPTION in asks(script).options


def test_one_that_has_come_and_gone_makes_room_for_one() -> None:
    script = server(limit=1)
    cookie = cookie_of(script)
    for port in (4000, 4001):
        script.ports, script.nxt, script.edge = (port, 80), ISS, None
        script.sends(SYN, data=b"hello", options=option(cookie))
        script.heard = IRS
        script.expect(SYN | ACK)
        if port == 4000:
            script.sends(ACK).expect_nothing()
            script.sends(RST).expect_nothing()
    assert OPTION not in asks(script).options


def test_what_was_reset_before_it_was_accepted_counts_no_longer() -> None:
    script = opened(limit=1)
    script.sends(RST).expect_nothing()
    assert OPTION in asks(script).options


def test_what_gives_up_counts_no_longer() -> None:
    script = opened(limit=1)
    script.at(200.0).drain()
    assert OPTION in asks(script).options


# ---- options


def test_the_limit_is_somaxconn_at_most() -> None:
    script = server(limit=100_000)
    assert script.listener is not None
    assert script.listener.getsockopt(IPPROTO_TCP, TCP_FASTOPEN) == 4096


@pytest.mark.parametrize("name", [TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE])
def test_a_connected_socket_has_no_use_for_them(name: int) -> None:
    with pytest.raises(OSError, match="Invalid") as failure:
        accepted().sock.setsockopt(IPPROTO_TCP, name, 1)
    assert failure.value.errno == errno.EINVAL


@pytest.mark.parametrize(("name", "value"), [(TCP_FASTOPEN, -1), (TCP_FASTOPEN_CONNECT, 2), (TCP_FASTOPEN_KEY, b""),
                                             (TCP_FASTOPEN_KEY, bytes(15)), (TCP_FASTOPEN_NO_COOKIE, -1)])  # fmt: skip
def test_values_that_are_refused(name: int, value: int | bytes) -> None:
    with pytest.raises(OSError, match="Invalid"):
        listening().stream().setsockopt(IPPROTO_TCP, name, value)
