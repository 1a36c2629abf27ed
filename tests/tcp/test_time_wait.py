"""TIME-WAIT as Linux keeps it: what ends it, what prolongs it, and what comes after it."""

from __future__ import annotations

import errno

import pytest

from aionetflow.tcp.states import State
from support.fixtures import REMOTE, begin_connect, established, fin_wait_2, listening, time_wait
from support.lan import Host
from support.modern import stamps_of, timestamps
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, SYN, Script, syn_options


def is_waiting(script: Script) -> bool:
    return script.state == State.TIME_WAIT


@rule("RFC 1337 3", "With tcp_rfc1337 a RST does not end TIME-WAIT", code="tcp/timewait.py")
def test_a_reset_ends_the_wait_unless_tcp_rfc1337_says_not() -> None:
    script = time_wait()
    script.stack.sysctl["net.ipv4.tcp_rfc1337"] = 1
    script.sends(RST).expect_nothing()
    assert is_waiting(script)
    script.stack.sysctl["net.ipv4.tcp_rfc1337"] = 0
    script.sends(RST, seq=script.nxt + 1).expect_nothing()
    assert is_waiting(script)
    script.sends(RST).expect_nothing()
    assert not is_waiting(script)


@pytest.mark.parametrize("flags", [ACK, PSH | ACK, FIN | ACK])
def test_an_old_segment_is_acknowledged_and_the_wait_begins_anew(flags: int) -> None:
    script = time_wait()
    data = b"old" if flags & PSH else b""
    script.at(50).sends(flags, seq=script.nxt - 1 - len(data), data=data).expect(ACK)
    script.at(109.9).expect_nothing()
    assert is_waiting(script)
    script.at(110.1)
    assert not is_waiting(script)


def test_the_very_next_ack_is_not_answered_but_begins_the_wait_anew() -> None:
    # Linux tcp_timewait_state_process: it may be of the peer's keepalive
    script = time_wait()
    script.at(50).sends(ACK).expect_nothing()
    script.at(109.9)
    assert is_waiting(script)


def test_answers_in_time_wait_are_limited() -> None:
    script = time_wait()
    for _ in range(5):
        script.deliver([script.segment(ACK, seq=script.nxt - 1)])
    script.expect(ACK)
    script.expect_nothing()
    assert script.stack.stats.tcp.TCPACKSkippedTimeWait == 4
    script.at(0.5).sends(ACK, seq=script.nxt - 1).expect(ACK)


def server() -> Script:
    """A server that closed first; it still listens."""
    script = listening()
    script.sends(SYN)
    script.heard = IRS
    script.expect(SYN | ACK)
    script.sends(ACK)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.sock.shutdown(1)
    script.expect(FIN | ACK)
    script.sends(FIN | ACK).expect(ACK)
    assert is_waiting(script)
    return script.mark()


@rule("RFC 9293 3.6.1", "A SYN beyond the numbers of a connection in TIME-WAIT opens a new one, whose own number is "
      "larger than any that the old one used", code="tcp/timewait.py")  # fmt: skip
@pytest.mark.parametrize("offset", [1, 2, 100000, (1 << 31) - 1])
def test_a_later_syn_begins_a_connection_beyond_the_old_numbers(offset: int) -> None:
    script = server()
    heard, script.edge = script.heard, None
    script.nxt = (script.nxt + offset) & M32
    script.sends(SYN)
    script.heard = (heard + 65537) & M32
    script.expect(SYN | ACK)
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    assert script.state == State.ESTABLISHED
    assert script.stack.driver.time_wait == 0


@rule("RFC 9293 3.6.1", "An old duplicate of a SYN does not end TIME-WAIT", code="tcp/timewait.py")
@pytest.mark.parametrize("offset", [0, -1, -2, -100000, (1 << 31) + 1])
def test_an_earlier_syn_is_acknowledged_and_the_wait_goes_on(offset: int) -> None:
    script = server()
    script.at(50).sends(SYN, seq=script.nxt + offset).expect(ACK)
    assert is_waiting(script)
    script.at(60.1)  # a SYN without an ACK does not prolong it
    assert not is_waiting(script)


def test_the_peer_that_is_told_the_old_numbers_resets_and_may_come_again() -> None:
    # RFC 9293 3.5.2 figure 10
    script = server()
    script.nxt = (ISS - 5000) & M32
    old = (ISS + 2) & M32
    script.sends(SYN).expect(ACK, ack=old)
    script.sends(RST, seq=old).expect_nothing()
    assert not is_waiting(script)
    script.edge = None
    script.after(3)
    script.nxt = (ISS - 5000) & M32
    script.sends(SYN)
    assert script.take().flags == SYN | ACK


def test_a_reset_of_the_successor_does_not_bring_the_wait_back() -> None:
    script = server()
    script.edge = None
    script.nxt = (script.nxt + 10) & M32
    script.sends(SYN)
    assert script.take().flags == SYN | ACK
    script.sends(RST).expect_nothing()
    assert script.stack.table.connections == {}
    assert script.stack.half_open.requests == {}


def test_those_that_wait_are_counted() -> None:
    script = time_wait()
    assert (script.stack.stats.tcp.TW, script.stack.driver.time_wait) == (1, 1)
    script.at(61)
    assert (script.stack.stats.tcp.TW, script.stack.driver.time_wait) == (1, 0)
    assert script.stack.stats.tcp.CurrEstab == 0


def test_tcp_max_tw_buckets_0_keeps_none() -> None:
    script = server()
    script.stack.sysctl["net.ipv4.tcp_max_tw_buckets"] = 0
    script.edge = None
    script.ports, script.nxt = (4001, 80), ISS
    script.sends(SYN)
    script.heard = script.take().end
    script.sends(ACK)
    assert script.listener is not None
    sock = script.listener.accept()[0]
    sock.shutdown(1)
    script.expect(FIN | ACK)
    script.sends(FIN | ACK).expect(ACK)
    assert script.stack.stats.tcp.TCPTimeWaitOverflow == 1


@pytest.mark.parametrize("seconds", [2, 30, 200])
def test_tcp_fin_timeout_says_how_long_fin_wait_2_lasts_without_an_application(seconds: int) -> None:
    script = established()
    script.stack.sysctl["net.ipv4.tcp_fin_timeout"] = seconds
    script.sock.close()
    script.expect(FIN | ACK)
    script.sends(ACK).expect_nothing()
    assert script.state == State.FIN_WAIT_2
    script.at(seconds - 0.01)
    assert script.state == State.FIN_WAIT_2
    script.at(seconds + 0.01).expect_nothing()
    assert script.state == State.CLOSED


# ---- with timestamps


def stamped_server() -> Script:
    """As server, and both have timestamps: the peer's are at 1000."""
    script = listening()
    script.sends(SYN, options=timestamps(1000, 0))
    heard = script.take()
    script.heard = heard.end
    echo = stamps_of(heard)[0]
    script.sends(ACK, options=timestamps(1000, echo))
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.sock.shutdown(1)
    script.expect(FIN | ACK)
    script.sends(FIN | ACK, options=timestamps(1000, echo)).expect(ACK)
    assert is_waiting(script)
    return script.mark()


@rule("RFC 6191 2", "A SYN with a later timestamp may follow a connection in TIME-WAIT whatever its number",
      code="tcp/timewait.py")  # fmt: skip
@pytest.mark.parametrize("offset", [-1000, 0, 1000, -(1 << 30)])
def test_a_syn_with_a_later_timestamp_succeeds_whatever_its_number(offset: int) -> None:
    script = stamped_server()
    script.edge = None
    script.deliver([script.segment(SYN, seq=script.nxt + offset, options=timestamps(1001, 0))])
    heard = script.take()
    assert heard.flags == SYN | ACK
    assert heard.seq == (IRS + 2 + 65537) & M32


@rule("RFC 6191 2", "A SYN with an earlier timestamp is an old duplicate", code="tcp/timewait.py")
@pytest.mark.parametrize("offset", [-1000, 0, 1000])
def test_a_syn_with_an_earlier_timestamp_is_acknowledged(offset: int) -> None:
    script = stamped_server()
    script.deliver([script.segment(SYN, seq=script.nxt + offset, options=timestamps(900, 0))])
    script.expect(ACK)
    assert is_waiting(script)
    assert script.stack.stats.tcp.PAWSTimewait == 1


def test_an_old_reset_does_not_end_the_wait() -> None:
    script = stamped_server()
    script.sends(RST, options=timestamps(900, 0)).expect_nothing()
    assert is_waiting(script)
    script.sends(RST, options=timestamps(1000, 0)).expect_nothing()
    assert not is_waiting(script)


# ---- connect() again


def stamped_client(**settings: int) -> Script:
    """A client that closed first; both have timestamps. There is one port to connect from."""
    script = Script()
    script.stack.sysctl["net.ipv4.ip_local_port_range"] = 40000, 40000
    for name, value in settings.items():
        script.stack.sysctl[f"net.ipv4.{name}"] = value
    script.sock = script.stream()
    begin_connect(script)
    heard = script.take()
    script.heard, script.ports = heard.end, (4000, 40000)
    echo = stamps_of(heard)[0] if 8 in heard.options else None
    stamp = timestamps(1000, echo) if echo is not None else syn_options(1460, None)
    script.sends(SYN | ACK, options=stamp).expect(ACK)
    script.sock.close()
    script.expect(FIN | ACK)
    script.sends(FIN | ACK, options=stamp if echo is not None else b"").expect(ACK)
    assert is_waiting(script)
    return script.mark()


def connects(script: Script) -> bool:
    """Whether there is a port to connect from."""
    sock = script.stream()
    try:
        sock.connect(REMOTE)
    except BlockingIOError:
        script.sock = sock
        return True
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    raise AssertionError("connect() waits")


@rule("RFC 6191 2", "connect() may take the ends of a connection in TIME-WAIT once its timestamps have gone on",
      code="tcp/timewait.py")  # fmt: skip
def test_connect_takes_a_port_in_time_wait_after_tcp_tw_reuse_delay() -> None:
    script = stamped_client(tcp_tw_reuse=1)
    assert not connects(script)
    script.at(1)
    assert not connects(script)
    script.at(1.001)
    assert connects(script)
    heard = script.take()
    assert (heard.flags, heard.seq) == (SYN, (IRS + 2 + 65537) & M32)
    counted = script.stack.stats.tcp
    assert (counted.TWRecycled, script.stack.driver.time_wait) == (1, 0)


def test_connect_takes_none_by_default_but_on_loopback() -> None:
    script = stamped_client()
    script.at(30)
    assert not connects(script)
    script.stack.sysctl["net.ipv4.tcp_tw_reuse"] = 0
    assert not connects(script)


def test_connect_takes_none_without_timestamps() -> None:
    script = stamped_client(tcp_tw_reuse=1, tcp_timestamps=0)
    script.at(30)
    assert not connects(script)


def test_tcp_tw_reuse_delay_says_after_how_long() -> None:
    script = stamped_client(tcp_tw_reuse=1, tcp_tw_reuse_delay=50)
    script.at(0.05)
    assert not connects(script)
    script.at(0.051)
    assert connects(script)
    script.drain()


def test_on_loopback_ports_are_taken_again_by_default() -> None:
    host = Host()
    host.stack.sysctl["net.ipv4.ip_local_port_range"] = 40000, 40000
    server = host.listening(("127.0.0.1", 80))
    for _ in range(5):
        client = host.connecting(("127.0.0.1", 80))
        assert client.getpeername() == ("127.0.0.1", 80)
        accepted = server.accept()[0]
        client.close()
        accepted.close()
        assert host.stack.driver.time_wait == 1
        host.clock.advance(1.5)
    assert host.stack.stats.tcp.TWRecycled == 4


# Identifications ----------------------------------------------------------------------------------------------------


def idents(script: Script, segments: list[bytes]) -> list[int]:
    """IPv4's identification of what answers these."""
    script.drain()
    for segment in segments:
        script.deliver([segment])
    found = [int.from_bytes(frame[4:6], "big") for _, frame in script.nic.sent]
    script.drain()
    return found


@rule("RFC 6864 4.1", "What may not be cut needs no number: in TIME-WAIT it has none", code="socket/driver.py")
def test_time_wait_numbers_no_packets() -> None:
    """Linux: the socket's last packet is the first acknowledgment of the FIN."""
    script = fin_wait_2()
    fin = script.segment(FIN | ACK)
    first, *rest = idents(script, [fin, fin, script.segment(ACK, seq=script.nxt + 100_000)])
    assert first > 0
    assert rest == [0, 0]


def test_what_nobody_holds_numbers_no_packets() -> None:
    """Linux tcp_time_wait: an orphan in FIN-WAIT-2 is no socket any more."""
    script = fin_wait_2(lambda script: script.sock.close())
    assert idents(script, [script.segment(FIN | ACK)]) == [0]


def test_resets_of_what_belongs_to_nothing_are_not_numbered() -> None:
    script = established()
    script.sends(FIN | ACK, ack=IRS + 7).drain()
    script.ports = (4001, 9)
    assert idents(script, [script.segment(SYN), script.segment(ACK)]) == [0, 0]
