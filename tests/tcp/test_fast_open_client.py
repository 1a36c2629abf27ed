"""TCP Fast Open (RFC 7413), the client: asking for a cookie, data in a SYN, and what becomes of them."""

from __future__ import annotations

import errno
import os

import pytest

from aionetflow.socket.base import OUT
from aionetflow.socket.options import (
    IPPROTO_TCP,
    MSG_FASTOPEN,
    TCP_FASTOPEN_CONNECT,
    TCP_FASTOPEN_NO_COOKIE,
    TCP_MAXSEG,
)
from aionetflow.socket.stream import StreamSocket
from aionetflow.stats import TcpStats
from aionetflow.tcp.congestion.base import INFINITE
from aionetflow.tcp.states import State
from support.fixtures import REMOTE, accepted, begin_connect, established, listening
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, MSS, PEER_PORT, PSH, RST, SYN, Heard, Script, syn_options

OPTION = 34
COOKIE = b"12345678"
CLIENT, WITHOUT_COOKIE = 1, 4
BLACK_HOLE = "net.ipv4.tcp_fastopen_blackhole_timeout_sec"


def options(cookie: bytes, mss: int = MSS) -> bytes:
    """A SYN-ACK's."""
    return syn_options(mss, None) + bytes((OPTION, 2 + len(cookie))) + cookie


def fails(code: int, sock: StreamSocket, data: bytes = b"hello") -> None:
    """A sendto() with MSG_FASTOPEN has that errno."""
    with pytest.raises(OSError, match=os.strerror(code)):
        sock.sendto(data, REMOTE, MSG_FASTOPEN)


def heard_syn(script: Script) -> Heard:
    """The SYN that was sent now; the peer answers it."""
    script.collect()
    script.heard, script.nxt, script.edge = IRS, ISS, None
    script.ports = (PEER_PORT, script.sock.getsockname()[1])
    heard = script.take()
    assert (heard.flags, heard.seq) == (SYN, IRS)
    return heard


def asks(script: Script, answer: bytes | None = COOKIE, mss: int = MSS) -> Heard:
    """A connection whose SYN asks for a cookie, and is reset when it has it."""
    script.sock = script.stream()
    fails(errno.EINPROGRESS, script.sock)
    heard = heard_syn(script)
    script.sends(SYN | ACK, options=syn_options(mss, None) if answer is None else options(answer, mss)).expect(ACK)
    script.sends(RST).expect_nothing()
    script.sock.close()
    return heard


def knowing(mss: int = MSS) -> Script:
    """The stack has a cookie of the peer's."""
    script = Script()
    asks(script, mss=mss)
    return script.mark()


def sent(data: bytes = b"hello", script: Script | None = None) -> Script:
    """Data have gone with a SYN, as many as it holds."""
    script = script or knowing()
    script.sock = script.stream()
    count = script.sock.sendto(data, REMOTE, MSG_FASTOPEN)
    heard = heard_syn(script)
    assert heard.data == data[:count]
    assert heard.options.get(OPTION) == COOKIE
    return script.mark()


def deferred() -> Script:
    """connect() has returned before anything was sent."""
    script = knowing()
    script.sock = script.stream()
    script.sock.setsockopt(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    script.sock.connect(REMOTE)
    return script.expect_nothing()


def counted(script: Script) -> TcpStats:
    return script.stack.stats.tcp


# ---- cookies


@rule("RFC 7413 4.2.1", "Without a cookie the SYN asks for one and has no data", code="socket/fast_open.py")
def test_the_first_syn_asks_for_a_cookie() -> None:
    heard = asks(Script())
    assert (heard.data, heard.options[OPTION]) == (b"", b"")


@rule("RFC 7413 4.1.3", "The client keeps the cookie with the server's address, and sends it with the next SYN",
      code="tcp/fast_open.py")  # fmt: skip
def test_the_second_syn_brings_cookie_and_data() -> None:
    script = sent()
    script.sends(SYN | ACK, mss=MSS).expect(ACK)
    assert (script.state, script.sock.queued()) == (State.ESTABLISHED, (0, 0))
    assert (counted(script).TCPFastOpenActive, counted(script).TCPFastOpenActiveFail) == (1, 0)
    script.sock.send(b"more")
    script.expect(PSH | ACK, data=b"more")


def test_another_server_has_another_cookie() -> None:
    script = knowing()
    script.sock = script.stream()
    with pytest.raises(BlockingIOError):
        script.sock.sendto(b"hello", ("10.0.0.3", 80), MSG_FASTOPEN)
    (heard,) = script.drain()
    assert (heard.data, heard.options[OPTION]) == (b"", b"")


def test_a_cookie_that_was_not_asked_for_is_not_kept() -> None:
    script = Script()
    script.sock = script.stream()
    begin_connect(script)
    heard_syn(script)
    script.sends(SYN | ACK, options=options(COOKIE)).expect(ACK)
    script.sock.close()
    script.drain()
    assert asks(script).options[OPTION] == b""


def test_neither_is_one_that_needs_none() -> None:
    script = Script()
    script.stack.sysctl["net.ipv4.tcp_fastopen"] = CLIENT | WITHOUT_COOKIE
    script.sock = script.stream()
    script.sock.sendto(b"hello", REMOTE, MSG_FASTOPEN)
    heard_syn(script)
    script.sends(SYN | ACK, options=options(COOKIE)).expect(ACK)
    script.sock.close()
    script.drain()
    script.stack.sysctl["net.ipv4.tcp_fastopen"] = CLIENT
    assert asks(script).options[OPTION] == b""


def test_a_server_that_gives_none_is_asked_again() -> None:
    script = Script()
    asks(script, None)
    assert asks(script).options[OPTION] == b""


@rule("RFC 7413 4.1.3", "A newer cookie takes the place of the one before", code="tcp/fast_open.py")
def test_a_newer_cookie_takes_the_place() -> None:
    script = sent()
    script.sends(SYN | ACK, ack=IRS + 1, options=options(b"87654321"))
    script.expect(PSH | ACK, seq=IRS + 1, data=b"hello")
    script.sock = script.stream()
    script.sock.sendto(b"hello", REMOTE, MSG_FASTOPEN)
    assert heard_syn(script).options[OPTION] == b"87654321"


# ---- how much


@rule("RFC 7413 4.1.3", "The MSS that goes with the cookie bounds the data of a SYN; 40 octets are for options",
      code="tcp/early_data.py")  # fmt: skip
@pytest.mark.parametrize(("announced", "asked", "held"), [(1000, 0, 960), (1460, 0, 1420), (9000, 0, 1420),
                                                          (500, 300, 260), (10, 0, 8)])  # fmt: skip
def test_the_data_of_a_syn_are_bounded(announced: int, asked: int, held: int) -> None:
    script = knowing(announced)
    script.sock = script.stream()
    script.sock.setsockopt(IPPROTO_TCP, TCP_MAXSEG, asked)
    assert script.sock.sendto(bytes(5000), REMOTE, MSG_FASTOPEN) == held
    assert len(heard_syn(script).data) == held
    with pytest.raises(BlockingIOError):
        script.sock.send(b"more")
    script.sends(SYN | ACK, mss=announced).expect(ACK)
    assert script.sock.events() == OUT


def test_a_server_that_says_no_mss_is_sent_536_less_the_room() -> None:
    script = Script()
    script.sock = script.stream()
    fails(errno.EINPROGRESS, script.sock)
    heard_syn(script)
    script.sends(SYN | ACK, options=bytes((OPTION, 10)) + COOKIE).expect(ACK)
    script.sock = script.stream()
    assert script.sock.sendto(bytes(5000), REMOTE, MSG_FASTOPEN) == 496


def test_buffers_of_a_message_are_joined() -> None:
    script = knowing()
    script.sock = script.stream()
    assert script.sock.sendmsg([b"one", b"two", bytes(2000)], (), MSG_FASTOPEN, REMOTE) == 960
    assert heard_syn(script).data == b"onetwo" + bytes(954)


# ---- when the data are not taken


@rule("RFC 7413 4.2.2", "Data that the SYN-ACK does not acknowledge go again, with the ACK, and the window stays",
      code="tcp/early_data.py")  # fmt: skip
@pytest.mark.parametrize("taken", [0, 2])
def test_data_that_were_not_taken_go_again_at_once(taken: int) -> None:
    script = sent()
    script.after(0.1)
    script.sends(SYN | ACK, ack=IRS + 1 + taken, mss=MSS)
    script.expect(PSH | ACK, seq=IRS + 1 + taken, data=b"hello"[taken:])
    script.expect_nothing()
    info = script.sock.tcp_info()
    assert (info.flags >> 1, info.options & 32, info.snd_ssthresh) == (2, 0, INFINITE)
    assert (counted(script).TCPFastOpenActive, counted(script).TCPFastOpenActiveFail) == (0, 1)
    script.sends(ACK).expect_nothing()
    script.sock.send(bytes(12_000))
    script.expect_data(bytes(10_000), [1000] * 10)


def test_the_data_and_the_ack_are_lost_too() -> None:
    script = sent()
    script.after(0.1)
    script.sends(SYN | ACK, ack=IRS + 1, mss=MSS)
    script.expect(PSH | ACK, data=b"hello", seq=IRS + 1)
    script.after(0.3).expect(PSH | ACK, seq=IRS + 1, data=b"hello")  # the time-out of a round trip of 100 ms


@rule("RFC 7413 4.1.3.1", "A SYN that is not answered goes again without data and without the option",
      code="tcp/early_data.py")  # fmt: skip
def test_a_syn_that_goes_again_is_bare() -> None:
    script = sent()
    for when in (1.0, 2.0, 3.0, 4.0, 5.0, 7.0):
        heard = script.at(when).expect(SYN, seq=IRS)
        assert (heard.data, OPTION in heard.options) == (b"", False)
    script.sends(SYN | ACK, ack=IRS + 1, mss=MSS)
    script.expect(PSH | ACK, seq=IRS + 1, data=b"hello")
    assert script.sock.tcp_info().flags >> 1 == 3
    assert counted(script).TCPFastOpenActiveFail == 1


def test_only_the_syn_ack_was_lost() -> None:
    script = sent()
    script.at(1.0).expect(SYN, seq=IRS)
    script.sends(SYN | ACK, ack=IRS + 6, mss=MSS).expect(ACK, seq=IRS + 6)
    assert counted(script).TCPFastOpenActive == 1
    script.after(100).expect_nothing()


def test_a_refused_syn_is_an_error_as_ever() -> None:
    script = sent()
    script.sends(RST | ACK, ack=IRS + 6).expect_nothing()
    with pytest.raises(ConnectionRefusedError):
        script.sock.send(b"more")


def test_an_acknowledgment_of_more_than_was_sent_is_reset() -> None:
    script = sent()
    script.sends(SYN | ACK, ack=IRS + 7, mss=MSS).expect(RST, seq=IRS + 7)
    assert script.state == State.SYN_SENT


def test_a_syn_that_is_too_long_for_the_way_goes_again_at_once() -> None:
    script = knowing()
    script.sock = script.stream()
    script.sock.sendto(bytes(900), REMOTE, MSG_FASTOPEN)
    script.sends_icmp(3, 4, heard_syn(script), 600)
    assert script.expect(SYN, seq=IRS).data == b""
    script.sends(SYN | ACK, ack=IRS + 1, mss=MSS)
    assert [len(heard.data) for heard in script.drain()] == [560, 340]


def test_nobody_answers_at_all() -> None:
    script = sent()
    script.at(300.0).drain()
    assert (script.state, script.sock.take_error()) == (State.CLOSED, errno.ETIMEDOUT)


def test_both_open_at_once() -> None:
    # RFC 9293 3.5 figure 8
    script = sent()
    script.sends(SYN, mss=MSS)
    script.expect(SYN | ACK, seq=IRS)
    script.after(0.1)
    script.sends(ACK, seq=ISS + 1, ack=IRS + 1)
    script.expect(PSH | ACK, seq=IRS + 1, data=b"hello")
    assert script.state == State.ESTABLISHED


def test_both_open_at_once_and_the_answer_comes_with_the_acknowledgment() -> None:
    script = sent()
    script.sends(SYN, mss=MSS)
    script.expect(SYN | ACK, seq=IRS)
    script.sends(ACK, seq=ISS + 1, ack=IRS + 6, data=b"answer")
    assert script.sock.recv(100) == b"answer"
    script.expect(ACK, seq=IRS + 6, ack=ISS + 7)
    script.sock.close()
    script.expect(FIN | ACK, seq=IRS + 6, ack=ISS + 7)
    script.sock = script.stream()
    script.sock.sendto(bytes(5000), REMOTE, MSG_FASTOPEN)
    assert len(heard_syn(script).data) == MSS - 40  # what is known of the server is what its SYN-ACK said


# ---- what comes back


@rule("RFC 7413 4.2.2", "Data and a FIN in a SYN-ACK are received", code="tcp/early_data.py")
@pytest.mark.parametrize("data", [b"welcome", b""])
def test_a_syn_ack_may_end_the_stream(data: bytes) -> None:
    script = sent()
    script.sends(SYN | FIN | ACK, data=data, mss=MSS).expect(ACK)
    assert script.sock.recv(100) == data
    assert (script.sock.recv(100), script.state) == (b"", State.CLOSE_WAIT)


def test_a_fin_in_a_usual_syn_ack_is_not() -> None:
    script = Script()
    script.sock = script.stream()
    begin_connect(script)
    heard_syn(script)
    script.sends(SYN | FIN | ACK, mss=MSS).expect(ACK, ack=ISS + 1)
    assert script.state == State.ESTABLISHED


def test_a_syn_ack_may_bring_data() -> None:
    script = sent()
    script.sends(SYN | ACK, data=b"welcome", mss=MSS).expect(ACK, ack=ISS + 8)
    assert script.sock.recv(100) == b"welcome"


def test_an_answer_right_behind_the_syn_ack_fits_the_window_of_the_syn() -> None:
    script = sent()
    answer = [script.segment(SYN | ACK, ack=IRS + 6, mss=MSS), script.segment(ACK, ack=IRS + 6, data=bytes(1000)),
              script.segment(FIN | ACK, ack=IRS + 6, data=bytes(500))]  # fmt: skip
    script.deliver(answer)
    assert script.sock.recv(2000) == bytes(1500)
    assert script.sock.recv(2000) == b""
    assert script.drain()[-1].ack == ISS + 1502 & M32


def test_an_answer_before_the_syn_ack_is_reset() -> None:
    # Linux tcp_rcv_synsent_state_process: reordered, it is sent again
    script = sent()
    script.sends(ACK, seq=ISS + 1, ack=IRS + 6, data=b"answer")
    script.sends(SYN | ACK, seq=ISS, ack=IRS + 6, mss=MSS).expect(ACK, ack=ISS + 1, seq=IRS + 6)
    script.sends(ACK, seq=ISS + 1, ack=IRS + 6, data=b"answer")
    assert script.sock.recv(100) == b"answer"


def test_tcp_info_tells_of_data_that_were_taken() -> None:
    script = sent()
    script.sends(SYN | ACK, mss=MSS).expect(ACK)
    info = script.sock.tcp_info()
    assert (info.options & 0xA0, info.flags, info.bytes_acked) == (32, 0, 6)
    assert established().sock.tcp_info().options & 0xA0 == 0


# ---- connect() that returns at once


@rule("RFC 7413 4.2.2", "With a cookie the SYN waits for what is written first", code="socket/fast_open.py")
def test_connect_returns_and_the_first_write_sends_the_syn() -> None:
    script = deferred()
    assert (script.sock.events(), script.sock.is_connecting(), script.sock.state_name()) == (OUT, False, "SYN-SENT")
    script.after(100).expect_nothing()
    assert script.sock.send(b"hello") == 5
    assert heard_syn(script).data == b"hello"
    assert script.sock.is_connecting()
    script.sends(SYN | ACK, mss=MSS).expect(ACK)
    script.sock.connect(REMOTE)  # nothing the first time, as after any that succeeded
    with pytest.raises(OSError, match="connected") as failure:
        script.sock.connect(REMOTE)
    assert failure.value.errno == errno.EISCONN
    assert counted(script).ActiveOpens == 2


def test_connect_again_before_the_first_write() -> None:
    script = deferred()
    with pytest.raises(OSError, match="connected") as failure:
        script.sock.connect(REMOTE)
    assert failure.value.errno == errno.EISCONN
    assert counted(script).ActiveOpens == 1


def test_msg_fastopen_is_the_first_write_as_well() -> None:
    script = deferred()
    assert script.sock.sendto(b"hello", REMOTE, MSG_FASTOPEN) == 5
    assert heard_syn(script).data == b"hello"


def test_a_write_of_nothing_sends_the_syn() -> None:
    script = deferred()
    assert script.sock.send(b"") == 0
    heard = heard_syn(script)
    assert (heard.data, heard.options[OPTION]) == (b"", COOKIE)
    script.sends(SYN | ACK, mss=MSS).expect(ACK)
    assert script.sock.tcp_info().options & 32 == 0


def test_without_a_cookie_connect_is_as_ever() -> None:
    script = Script()
    script.sock = script.stream()
    script.sock.setsockopt(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    assert script.sock.getsockopt(IPPROTO_TCP, TCP_FASTOPEN_CONNECT) == 1
    begin_connect(script)
    assert heard_syn(script).options[OPTION] == b""


def test_closing_before_the_first_write_sends_nothing() -> None:
    script = deferred()
    script.sock.close()
    script.after(10).expect_nothing()
    assert script.stack.table.connections == {}


# ---- who may


def test_a_host_may_let_no_client() -> None:
    script = Script()
    script.stack.sysctl["net.ipv4.tcp_fastopen"] = 2
    fails(errno.EOPNOTSUPP, script.stream())
    with pytest.raises(OSError, match="supported"):
        script.stream().setsockopt(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)


@pytest.mark.parametrize("by_host", [True, False])
def test_a_client_may_need_no_cookie(by_host: bool) -> None:
    script = Script()
    script.sock = script.stream()
    if by_host:
        script.stack.sysctl["net.ipv4.tcp_fastopen"] = CLIENT | WITHOUT_COOKIE
    else:
        script.sock.setsockopt(IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
    assert script.sock.sendto(bytes(2000), REMOTE, MSG_FASTOPEN) == 1420
    heard = heard_syn(script)
    assert (len(heard.data), OPTION in heard.options) == (1420, False)
    script.sends(SYN | ACK, ack=IRS + 1, mss=MSS)
    assert [len(heard.data) for heard in script.drain()] == [1000, 420]  # cut to what the peer takes


def test_msg_fastopen_where_it_has_no_place() -> None:
    script = sent()
    fails(errno.EALREADY, script.sock)
    script.sends(SYN | ACK, mss=MSS).expect(ACK)
    assert script.sock.sendto(b"more", REMOTE, MSG_FASTOPEN) == 4  # that it is connected is told by this
    fails(errno.EISCONN, script.sock)
    fails(errno.EISCONN, accepted().sock)
    server = listening().listener
    assert server is not None
    fails(errno.EISCONN, server)
    with pytest.raises(OSError, match="Invalid"):
        script.stream().send(b"x", MSG_FASTOPEN)
    with pytest.raises(OSError, match="Invalid"):
        script.stream().sendmsg([b"x"], (), MSG_FASTOPEN)


def test_the_error_of_a_failed_connect_is_told_by_msg_fastopen() -> None:
    script = Script()
    script.sock = script.stream()
    fails(errno.EINPROGRESS, script.sock)
    heard_syn(script)
    script.sends(RST | ACK).expect_nothing()
    fails(errno.ECONNREFUSED, script.sock)
    fails(errno.EINPROGRESS, script.sock)  # and the next begins anew


# ---- a network that swallows them


@rule("RFC 7413 4.1.3.1", "A client that hears nothing stops trying for a while", code="tcp/fast_open.py")
def test_three_time_outs_pause_fast_open() -> None:
    script = knowing()
    script.stack.sysctl[BLACK_HOLE] = 60
    sent(script=script)
    script.at(2.0)
    assert counted(script).TCPFastOpenBlackhole == 0
    script.at(3.0)
    assert counted(script).TCPFastOpenBlackhole == 1
    script.sock.close()
    script.drain()
    script.sock = script.stream()
    fails(errno.EINPROGRESS, script.sock)
    assert OPTION not in heard_syn(script).options
    script.sock.close()
    script.after(59.999)
    script.drain()
    script.sock = script.stream()
    fails(errno.EINPROGRESS, script.sock)
    script.sock.close()
    script.drain()
    script.after(0.001)
    sent(script=script)


def test_a_request_that_nobody_answers_pauses_too_and_what_follows_does_not() -> None:
    script = Script()
    script.stack.sysctl[BLACK_HOLE] = 3600
    for _ in range(2):
        script.sock = script.stream()
        fails(errno.EINPROGRESS, script.sock)
        script.after(5)
        script.drain()
        script.sock.close()
        assert counted(script).TCPFastOpenBlackhole == 1


@pytest.mark.parametrize(("tries", "counts"), [(1, 1), (2, 1), (3, 1)])
def test_giving_up_early_looks_like_it_as_well(tries: int, counts: int) -> None:
    script = knowing()
    script.stack.sysctl[BLACK_HOLE] = 60
    script.stack.sysctl["net.ipv4.tcp_syn_linear_timeouts"] = 0
    script.stack.sysctl["net.ipv4.tcp_syn_retries"] = tries
    sent(script=script)
    script.after(60)
    script.drain()
    assert (script.state, counted(script).TCPFastOpenBlackhole) == (State.CLOSED, counts)


def test_both_open_at_once_and_data_come_ahead_of_their_turn() -> None:
    script = sent()
    script.sends(SYN, mss=MSS)
    script.expect(SYN | ACK, seq=IRS)
    script.sends(ACK, seq=ISS + 3, ack=IRS + 6, data=b"swer")
    script.expect(ACK, seq=IRS + 6, ack=ISS + 1)
    script.sends(ACK, seq=ISS + 1, ack=IRS + 6, data=b"an").expect(ACK, seq=IRS + 6, ack=ISS + 7)
    assert script.sock.recv(100) == b"answer"


def test_the_next_pause_is_twice_as_long_unless_data_came() -> None:
    for comes in (False, True):
        script = knowing()
        script.stack.sysctl[BLACK_HOLE] = 60
        host = script.stack.fast_open
        host.pause(script.clock.now())
        script.at(60.0)
        sent(script=script)
        script.sends(SYN | ACK, mss=MSS).expect(ACK)
        if comes:
            script.sends(PSH | ACK, data=b"answer").expect(ACK)
            assert script.sock.recv(100) == b"answer"
        script.sends(RST).expect_nothing()
        script.sock.close()
        host.pause(script.clock.now())
        script.after(60.0)
        assert host.is_paused(script.clock.now()) is not comes
        script.after(60.0)
        assert not host.is_paused(script.clock.now())


def test_data_on_a_connection_of_before_the_pause_mean_nothing() -> None:
    script = knowing()
    script.stack.sysctl[BLACK_HOLE] = 60
    sent(script=script)
    script.sends(SYN | ACK, mss=MSS).expect(ACK)
    script.sends(PSH | ACK, data=b"answer").expect(ACK)
    script.stack.fast_open.pause(script.clock.now())
    script.sends(RST).expect_nothing()
    assert script.stack.fast_open.is_paused(script.clock.now())


def test_neither_do_data_on_one_of_the_pause_itself() -> None:
    script = Script()
    script.stack.sysctl[BLACK_HOLE] = 60
    script.stack.fast_open.pause(script.clock.now())
    script.sock = script.stream()
    fails(errno.EINPROGRESS, script.sock)
    heard_syn(script)
    script.sends(SYN | ACK, mss=MSS).expect(ACK)
    script.sends(PSH | ACK, data=b"answer").expect(ACK)
    script.sends(RST).expect_nothing()
    assert script.stack.fast_open.is_paused(script.clock.now())


def test_without_the_setting_there_is_no_pause() -> None:
    script = sent()
    script.at(10.0).drain()
    assert counted(script).TCPFastOpenBlackhole == 0
    script.sock.close()
    sent(script=script)


def test_time_outs_of_a_usual_connection_mean_nothing() -> None:
    script = Script()
    script.stack.sysctl[BLACK_HOLE] = 60
    script.sock = script.stream()
    begin_connect(script)
    script.after(100)
    script.drain()
    assert counted(script).TCPFastOpenBlackhole == 0


def test_a_host_remembers_so_many_servers() -> None:
    script = Script()
    host = script.stack.fast_open
    for number in range(4097):
        host.learn(b"self", number.to_bytes(4, "big"), COOKIE, MSS)
    assert host.known(b"self", bytes(4)).cookie == b""
    assert host.known(b"self", bytes((0, 0, 0, 1))).cookie == COOKIE
