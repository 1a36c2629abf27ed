"""What ICMP says of a segment: RFC 1122 4.2.3.9, RFC 5927 4, RFC 1191, Linux tcp_v4_err."""

import errno
import struct
from collections.abc import Callable

import pytest

from aionetflow.ip.address import AF_INET6
from aionetflow.socket.base import ERR
from aionetflow.socket.options import IP_MTU_DISCOVER, IP_RECVERR, IPPROTO_IP, MSG_ERRQUEUE, MSG_TRUNC
from aionetflow.tcp.states import State
from support.fixtures import REMOTE, accepted, begin_connect, established, fin_wait_1, syn_received, syn_sent
from support.rules import rule
from support.script import ACK, IRS, M32, PEER, PSH, STACK, SYN, Heard, Script, checksum, ip_packet


def quoted(script: Script, seq: int) -> Heard:
    """What a router quotes of a segment of the stack."""
    return Heard(0, ACK, seq & M32, 0, 0, b"", {}, script.ports[::-1])


@pytest.mark.parametrize(("code", "error"), [(0, errno.ENETUNREACH), (1, errno.EHOSTUNREACH)])
def test_an_attempt_to_connect_ends_with_any_unreachable(code: int, error: int) -> None:
    """Linux tcp_v4_err: in SYN-SENT even what RFC 1122 calls soft ends it at once."""
    script = syn_sent()
    script.sends_icmp(3, code, quoted(script, IRS)).expect_nothing()
    assert script.state == State.CLOSED
    assert script.sock.getsockopt(1, 4) == error


@rule("RFC 5927 5.2", "In a synchronized state an ICMP error does not end a connection", code="tcp/arrival.py")
@pytest.mark.parametrize("code", [0, 1, 2, 3, 13])
def test_an_established_connection_survives_an_icmp_error(code: int) -> None:
    """RFC 5927 5.2, Linux: in a synchronized state all are soft."""
    script = established()
    script.sock.send(b"x")
    script.expect(PSH | ACK, data=b"x")
    script.sends_icmp(3, code, quoted(script, IRS + 1)).expect_nothing()
    assert script.state == State.ESTABLISHED
    script.sends(ACK)
    assert script.sock.getsockopt(1, 4) == 0


def test_a_soft_error_is_what_a_time_out_is_reported_as() -> None:
    """Linux tcp_write_err: sk_err_soft before ETIMEDOUT."""
    script = established()
    script.sock.send(b"x")
    script.expect(PSH | ACK, data=b"x")
    for when in range(0, 1200, 10):
        script.at(when)
        script.sends_icmp(3, 1, quoted(script, IRS + 1)).drain()
    assert script.state == State.CLOSED
    assert script.sock.getsockopt(1, 4) == errno.EHOSTUNREACH


@rule("RFC 5927 4.1", "An ICMP error counts only if the number that it quotes is in flight", code="socket/demux.py")
def test_an_icmp_error_about_another_segment_is_ignored() -> None:
    """RFC 5927 4.1: the quoted number must be under way."""
    script = established()
    for seq in (IRS - 1000, IRS + 5000):
        script.sends_icmp(3, 4, quoted(script, seq), info=600).expect_nothing()
    script.sock.send(bytes(1000))
    script.expect_data(bytes(1000), [1000])


@pytest.mark.parametrize("code", [1, 3])
def test_syn_received_and_fin_wait_1_survive(code: int) -> None:
    for script in (syn_received(), fin_wait_1()):
        script.sends_icmp(3, code, quoted(script, IRS)).drain()
    assert script.state == State.FIN_WAIT_1


@rule("RFC 1191 6.4", "What was too long for the path is sent again at once, smaller", code="tcp/arrival.py")
def test_a_smaller_path_mtu_has_the_segments_cut_anew() -> None:
    """RFC 1191 6.4, Linux tcp_v4_mtu_reduced: what is too long is sent again at once, cut to the next hop's MTU."""
    script = established(mss=1460)
    data = bytes(index % 251 for index in range(2920))
    script.sock.send(data)
    script.expect_data(data, [1460, 1460])
    script.sends_icmp(3, 4, quoted(script, IRS + 1), info=1000)
    script.after(3)
    again = script.drain()
    assert again, "nothing was sent again"
    assert max(len(heard.data) for heard in again) <= 960
    assert again[0].data == data[:960]


@rule("RFC 1191 3", "A path MTU below the least that can be is not followed", code="tcp/arrival.py")
def test_a_path_mtu_that_cannot_be_is_ignored() -> None:
    """RFC 1191 3: never below 68; Linux: net.ipv4.route.min_pmtu."""
    script = established(mss=1460)
    script.sock.send(bytes(1460))
    script.expect_data(bytes(1460))
    for info in (1, 40, 20):
        script.sends_icmp(3, 4, quoted(script, IRS + 1), info=info)
    script.after(5)
    assert {len(heard.data) for heard in script.drain()} <= {1460, 512, 1460 % 512}


@rule(
    "RFC 792 Destination Unreachable", "An error quotes the IP header and 64 bits: less cannot be told apart",
    code="ip/icmp.py",
)  # fmt: skip
@pytest.mark.parametrize("length", [*range(28), 10_000])
def test_a_quote_that_is_too_short_is_ignored(length: int) -> None:
    """RFC 792: the IP header and eight octets; what is less cannot be told apart. The last one is whole."""
    script = syn_sent()
    tcp = struct.pack("!HHI", *script.ports[::-1], IRS)
    quote = ip_packet(6, tcp, STACK, PEER)[:length]
    body = b"\x03\x03\0\0\0\0\0\0" + quote
    body = body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
    script.deliver([ip_packet(1, body)]).expect_nothing()
    assert script.state == (State.CLOSED if length > 28 else State.SYN_SENT)


def test_a_syn_is_not_quoted_into_an_established_connection() -> None:
    """An error about the SYN that comes late changes nothing."""
    script = syn_sent()
    script.sends(SYN | ACK, mss=1000).expect(ACK)
    script.sends_icmp(3, 3, quoted(script, IRS)).expect_nothing()
    assert script.state == State.ESTABLISHED


# Told at once, or by and by ------------------------------------------------------------------------------------------


def sent(script: Script) -> Heard:
    """A segment that is not acknowledged."""
    script.sock.send(b"x")
    return script.expect(PSH | ACK, data=b"x")


def asking() -> Script:
    """Connected, with IP_RECVERR."""
    script = established()
    script.sock.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
    return script


@rule("RFC 1122 4.2.3.9", "A soft error is told to an application that asks", code="socket/stream.py")
def test_so_error_tells_of_what_may_keep_a_segment_from_arriving() -> None:
    """Linux sk_err_soft: no call fails for it, and no poll says so."""
    script = established()
    script.sends_icmp(3, 1, sent(script)).expect_nothing()
    assert not script.sock.events() & ERR
    with pytest.raises(BlockingIOError):
        script.sock.recv(10)
    assert [script.sock.getsockopt(1, 4) for _ in range(2)] == [errno.EHOSTUNREACH, 0]


@pytest.mark.parametrize(
    "call", [lambda sock: sock.send(b"y"), lambda sock: sock.recv(1), lambda sock: sock.recv_into(bytearray(1))],
    ids=["send", "recv", "recv_into"],
)  # fmt: skip
def test_with_ip_recverr_the_next_call_fails_once(call: Callable[[object], object]) -> None:
    script = asking()
    heard: list[int] = []
    script.sock.on_change = lambda: heard.append(script.sock.events())
    script.sends_icmp(3, 1, sent(script)).expect_nothing()
    assert [events & ERR for events in heard] == [ERR]
    with pytest.raises(OSError, match="No route to host"):
        call(script.sock)
    assert script.state == State.ESTABLISHED
    assert not script.sock.events() & ERR
    assert script.sock.send(b"z") == 1


def test_what_an_open_connection_hears_is_not_queued() -> None:
    """Linux tcp_v4_err."""
    script = asking()
    script.sends_icmp(3, 1, sent(script)).expect_nothing()
    with pytest.raises(BlockingIOError):
        script.sock.recv(100, MSG_ERRQUEUE)


def test_the_error_queue_quotes_the_segment_that_did_not_get_through() -> None:
    """... but what ends an attempt to connect is, for everybody."""
    script = syn_sent()
    syn = quoted(script, IRS)
    script.sends_icmp(3, 1, syn).expect_nothing()
    assert script.sock.events() & ERR
    data, ancillary, flags, address = script.sock.recvmsg(100, 100, MSG_ERRQUEUE)
    assert data == struct.pack("!HHI", *syn.ports, IRS)
    assert (flags, address) == (MSG_ERRQUEUE, REMOTE)
    ((level, kind, report),) = ancillary
    assert (level, kind) == (IPPROTO_IP, IP_RECVERR)
    assert struct.unpack_from("=I4BII", report) == (errno.EHOSTUNREACH, 2, 3, 1, 0, 0, 0)
    assert report[20:24] == bytes((10, 0, 0, 254))
    assert not script.sock.events() & ERR
    assert script.sock.getsockopt(1, 4) == 0


def test_so_error_leaves_the_error_queue_alone() -> None:
    script = syn_sent()
    script.sends_icmp(11, 0, quoted(script, IRS)).expect_nothing()
    assert script.sock.getsockopt(1, 4) == errno.EHOSTUNREACH
    assert script.sock.events() & ERR
    data, _, flags, _ = script.sock.recvmsg(3, 0, MSG_ERRQUEUE)
    assert (len(data), flags & MSG_TRUNC) == (3, MSG_TRUNC)
    assert not script.sock.events() & ERR


def test_errors_of_several_attempts_are_queued_one_by_one() -> None:
    script = syn_sent()
    script.sends_icmp(3, 1, quoted(script, IRS)).expect_nothing()
    with pytest.raises(OSError, match="No route to host"):
        script.sock.connect(REMOTE)
    begin_connect(script)
    second = script.take()
    script.sends_icmp(3, 0, second).expect_nothing()
    assert script.sock.recvmsg(100, 100, MSG_ERRQUEUE)[1][0][2][5:7] == b"\x03\x01"
    assert script.sock.getsockopt(1, 4) == errno.ENETUNREACH  # of the one that follows
    assert script.sock.recvmsg(100, 100, MSG_ERRQUEUE)[1][0][2][5:7] == b"\x03\x00"
    assert not script.sock.events() & ERR


def test_an_ipv6_socket_that_speaks_ipv4_asks_by_ip_recverr() -> None:
    script = Script()
    listener = script.stack.make_stream(script.stream().owner, AF_INET6)
    listener.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
    listener.bind(("::", 80))
    listener.listen(3)
    script.sends(SYN, mss=1000)
    script.heard = script.take().end
    script.sends(ACK).expect_nothing()
    script.sock = listener.accept()[0]
    script.sends_icmp(3, 1, sent(script)).expect_nothing()
    assert script.sock.events() & ERR


def test_a_connection_without_a_holder_survives_it() -> None:
    script = asking()
    segment = sent(script)
    script.sock.close()
    script.drain()
    script.sends_icmp(3, 1, segment).expect_nothing()
    assert script.state == State.FIN_WAIT_1


# What is known of the path -------------------------------------------------------------------------------------------


def test_the_next_syn_offers_no_more_than_the_path_takes() -> None:
    """Linux ipv4_default_advmss: the way back is taken to be the same."""
    script = established(mss=1460)
    script.sock.send(bytes(1460))
    script.sends_icmp(3, 4, script.expect_some(), info=1000)
    script.drain()
    script.sock = script.stream()
    begin_connect(script)
    assert script.take().mss == 960


def test_where_packets_may_be_cut_nothing_is_sent_again() -> None:
    """Linux tcp_v4_mtu_reduced: without path MTU discovery."""
    script = accepted(mss=1460)
    script.sock.setsockopt(IPPROTO_IP, IP_MTU_DISCOVER, 0)
    script.sock.send(bytes(1460))
    script.sends_icmp(3, 4, script.expect_some(), info=1000).expect_nothing()
    script.sends(ACK)
    script.sock.send(bytes(2000))
    assert [len(heard.data) for heard in script.drain()] == [960, 960, 80]


@rule("RFC 1191 6.3", "What was learned of a path is forgotten, and segments are longer again", code="tcp/departure.py")
def test_segments_are_longer_when_the_path_mtu_is_forgotten() -> None:
    script = accepted(mss=1460)
    script.stack.sysctl["net.ipv4.route.mtu_expires"] = 10
    script.sock.send(bytes(1460))
    script.sends_icmp(3, 4, script.expect_some(), info=1000)
    script.drain()
    script.sends(ACK)
    script.after(9)
    script.sock.send(bytes(960))
    script.expect_data(bytes(960), [960])
    script.sends(ACK)
    script.after(2)
    script.sock.send(bytes(2920))
    script.expect_data(bytes(2920), [1460, 1460])
