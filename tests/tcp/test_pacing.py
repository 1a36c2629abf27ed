"""Data that leave at a rate: SO_MAX_PACING_RATE, and a congestion control that asks for it (Linux tcp_pacing_check)."""

from __future__ import annotations

import struct

import pytest

from aionetflow.socket.options import (
    IPPROTO_TCP,
    SO_MAX_PACING_RATE,
    SOL_SOCKET,
    TCP_CONGESTION,
    TCP_MAXSEG,
    TCP_NODELAY,
)
from aionetflow.tcp.congestion import CongestionControl, register
from support.fixtures import established
from support.script import ACK, FIN, MSS, PSH, SYN, Heard, Script

RATE = 100_000  # octets per second: two segments in 20 ms
BURST = 2 * MSS / RATE  # s
UNLIMITED = (1 << 64) - 1


def paced(rate: int = RATE, rtt: float = 0.1) -> Script:
    """Connected, with segments of 1000 octets and room for many; the first ten have left and are acknowledged."""
    script = established(rtt=rtt, wscale=7, window=1_000_000)
    script.sock.setsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, rate)
    script.sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    script.stack.sysctl["net.ipv4.tcp_tso_rtt_log"] = 0  # no way is so short that bursts may be longer
    script.sock.send(bytes(10 * MSS))
    assert len(script.drain()) == 10
    script.after(rtt).sends(ACK)
    return script.after(1).mark()


def times(heard: list[Heard]) -> list[float]:
    """When the bursts left, each once, in seconds."""
    return sorted({round(segment.time, 6) for segment in heard if segment.data})


def step(script: Script, seconds: float) -> list[Heard]:
    """Time passes, and what had been heard before is acknowledged: the segments that leave."""
    heard = script.heard
    script.after(seconds).deliver([script.segment(ACK, ack=heard)])
    return script.drain()


def test_two_segments_leave_at_once_and_the_next_two_when_their_time_has_come() -> None:
    script = paced()
    script.sock.send(bytes(8 * MSS))
    for number in range(4):
        # the first burst was late: the second makes up for half of its own time (Linux: "OS jitter")
        script.at(max(number - 0.5, 0) * BURST)
        assert [len(heard.data) for heard in script.drain()] == [MSS, MSS], number
    script.sends(ACK).after(1).expect_nothing()


def test_the_first_ten_segments_are_not_held_up() -> None:
    """Linux tcp_update_skb_after_send."""
    script = established(wscale=7, window=1_000_000)
    script.sock.setsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, 1000)
    script.sock.send(bytes(10 * MSS))
    assert len(script.drain()) == 10


def test_acknowledgments_let_nothing_go_before_its_time() -> None:
    script = paced()
    script.sock.send(bytes(40 * MSS))
    sent = script.drain()
    for _ in range(60):
        sent += step(script, 0.001)
    assert len(sent) == 2 * 4  # at 0, 10, 30 and 50 ms
    assert times(sent) == pytest.approx([0, 0.5 * BURST, 1.5 * BURST, 2.5 * BURST])


def test_the_rate_is_kept_for_as_long_as_it_takes() -> None:
    script = paced(rate=250_000, rtt=0.02)
    script.sock.send(bytes(200 * MSS))
    sent = script.drain()
    while len(sent) < 200:
        sent += step(script, 0.002)
    assert len(sent) * MSS / (sent[-1].time - sent[0].time) == pytest.approx(250_000, rel=0.02)


def test_what_is_sent_again_waits_too_but_not_what_a_time_out_asks_for() -> None:
    script = paced(rate=4 * MSS)
    script.stack.sysctl["net.ipv4.tcp_early_retrans"] = 0
    script.sock.send(bytes(4 * MSS))
    assert len(script.drain()) == 2
    script.at(0.24)
    assert len(script.drain()) == 0
    script.at(0.26)  # half of the time that two take
    assert len(script.drain()) == 2
    first = script.heard - 4 * MSS
    again: list[Heard] = []
    for number in range(1, 60):
        script.at(0.26 + 0.01 * number)
        again += script.drain()
    assert [(heard.seq - first) & 0xFFFFFFFF for heard in again] == [0]
    assert 0.26 < again[0].time < 0.75  # the next burst was not due before
    assert script.stack.stats.tcp.TCPTimeouts == 1


def test_the_fin_waits_behind_the_data() -> None:
    script = paced()
    script.sock.send(bytes(2 * MSS))
    script.sock.shutdown(1)
    sent = script.drain()
    assert [heard.flags for heard in sent] == [ACK, ACK | PSH]
    script.at(BURST / 2)
    script.expect(FIN | ACK)


def test_a_closed_window_is_probed_all_the_same() -> None:
    script = paced()
    script.sock.send(bytes(2 * MSS))
    script.drain()
    script.after(0.005).sends(ACK, window=0)
    script.sock.send(b"x")
    script.after(1)
    assert [len(heard.data) for heard in script.drain()][:1] == [0]
    script.sends(ACK, window=60_000)
    script.expect(PSH | ACK, data=b"x")


def test_on_a_short_way_bursts_are_long() -> None:
    """Linux tcp_tso_autosize: 64 KiB, halved for each half millisecond of the least round trip."""
    script = paced(rate=1_000_000, rtt=0.0021)
    script.stack.sysctl["net.ipv4.tcp_tso_rtt_log"] = 9
    script.sock.send(bytes(10 * MSS))
    assert len(script.drain()) == 5  # (64 KiB - headers) / 16, and 976 octets, in whole segments
    script = paced(rate=1_000_000, rtt=0.0021)
    script.stack.sysctl["net.ipv4.tcp_tso_rtt_log"] = 8
    script.stack.sysctl["net.ipv4.tcp_min_tso_segs"] = 3
    script.sock.send(bytes(10 * MSS))
    assert len(script.drain()) == 3


def test_a_fast_connection_has_long_bursts() -> None:
    script = paced(rate=5_000_000, rtt=0.003)
    script.sock.send(bytes(8 * MSS))
    assert len(script.drain()) == 4  # of 4882 octets in 1/1024 s


def test_the_rate_follows_from_the_window_where_none_is_set() -> None:
    """What was paced once stays so (Linux sk_pacing_status): twice the window in a round trip, then 1.2 times."""
    script = paced(rtt=0.1)
    script.sock.setsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack("Q", UNLIMITED))
    connection = script.sock.connection
    assert connection is not None
    info = script.sock.tcp_info()
    assert (info.pacing_rate, info.max_pacing_rate) == (RATE, UNLIMITED)  # until something is acknowledged
    script.sock.send(b"x")
    script.drain()
    script.after(0.1).sends(ACK)
    cc, srtt = connection.recovery.cc, connection.recovery.rtt.srtt
    assert srtt == 100_000_000
    info = script.sock.tcp_info()
    assert (info.pacing_rate, info.max_pacing_rate) == (2 * cc.cwnd * 10, UNLIMITED)
    cc.ssthresh = 2 * cc.cwnd
    assert script.sock.tcp_info().pacing_rate == 12 * cc.cwnd
    script.stack.sysctl["net.ipv4.tcp_pacing_ca_ratio"] = 100
    assert script.sock.tcp_info().pacing_rate == 10 * cc.cwnd
    script.sock.send(bytes(10 * MSS))
    assert len(script.drain()) == 2
    assert len(script.after(0.075).drain()) == 8


def test_tcp_info_tells_the_rate_of_what_is_not_paced() -> None:
    script = established(rtt=0.1)
    info = script.sock.tcp_info()
    assert info.pacing_rate == 2 * 10 * MSS * 10
    assert info.max_pacing_rate == UNLIMITED
    script.sock.setsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, 5000)
    info = script.sock.tcp_info()
    assert (info.pacing_rate, info.max_pacing_rate) == (5000, 5000)


def test_no_limit_paces_nothing() -> None:
    script = established()
    script.sock.setsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, -1)
    assert script.sock.connection is not None
    assert script.sock.connection.pace is None


def test_the_option_has_32_or_64_bits() -> None:
    """Linux sk_setsockopt, sk_getsockopt."""
    sock = Script().stream()
    get, put = sock.getsockopt, sock.setsockopt
    assert get(SOL_SOCKET, SO_MAX_PACING_RATE) == -1
    assert get(SOL_SOCKET, SO_MAX_PACING_RATE, 8) == b"\xff" * 8
    put(SOL_SOCKET, SO_MAX_PACING_RATE, struct.pack("Q", 5 << 32))
    assert get(SOL_SOCKET, SO_MAX_PACING_RATE, 8) == struct.pack("Q", 5 << 32)
    assert get(SOL_SOCKET, SO_MAX_PACING_RATE, 4) == b"\xff" * 4
    put(SOL_SOCKET, SO_MAX_PACING_RATE, 1 << 20)
    assert get(SOL_SOCKET, SO_MAX_PACING_RATE, 16) == struct.pack("Q", 1 << 20)
    assert get(SOL_SOCKET, SO_MAX_PACING_RATE) == 1 << 20
    with pytest.raises(OSError, match="Invalid argument"):
        put(SOL_SOCKET, SO_MAX_PACING_RATE, b"\1\0")


def test_what_a_listening_socket_has_holds_for_its_connections() -> None:
    script = Script()
    script.listener = script.stream()
    script.listener.setsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, RATE)
    script.listener.bind(("10.0.0.1", 80))
    script.listener.listen(3)
    script.sends(SYN, mss=MSS)
    script.heard = script.take().end
    script.sends(ACK).expect_nothing()
    sock = script.listener.accept()[0]
    assert sock.getsockopt(SOL_SOCKET, SO_MAX_PACING_RATE) == RATE
    assert sock.tcp_info().max_pacing_rate == RATE


class Steady(CongestionControl):
    """A window that never changes, and half a segment in a millisecond."""

    name = "steady"

    def __init__(self) -> None:
        CongestionControl.__init__(self)
        self.paces = True

    def start(self, mss: int) -> None:
        CongestionControl.start(self, mss)
        self.cwnd = 100 * mss
        self.pacing_rate = 500 * mss


def test_a_congestion_control_may_ask_for_a_rate() -> None:
    register(Steady)
    script = Script()
    script.stack.sysctl["net.ipv4.tcp_congestion_control"] = "steady"
    script.sock = script.stream()
    with pytest.raises(BlockingIOError):
        script.sock.connect(("10.0.0.2", 80))
    script.heard = script.take().end
    script.ports = (80, script.sock.getsockname()[1])
    script.after(0.1).sends(SYN | ACK, mss=MSS)
    script.take()
    assert script.sock.getsockopt(IPPROTO_TCP, TCP_MAXSEG) == MSS
    script.mark().sock.send(bytes(20 * MSS))
    sent = script.drain()
    assert len(sent) == 10
    for _ in range(25):
        sent += script.after(0.001).drain()
    assert times(sent) == pytest.approx([0, 0.004, 0.008, 0.012, 0.016, 0.02])
    assert script.sock.tcp_info().pacing_rate == 500 * MSS
    script.sock.setsockopt(SOL_SOCKET, SO_MAX_PACING_RATE, RATE)
    assert script.sock.tcp_info().pacing_rate == RATE


def test_a_congestion_control_that_paces_may_take_over() -> None:
    register(Steady)
    script = established()
    script.sock.setsockopt(IPPROTO_TCP, TCP_CONGESTION, b"steady")
    assert script.sock.connection is not None
    assert script.sock.connection.pace is not None


def test_a_time_out_waits_until_the_next_data_might_leave() -> None:
    """Linux tcp_pacing_delay."""
    script = paced(rate=4 * MSS)
    script.sock.send(bytes(2 * MSS))
    assert len(script.drain()) == 2
    script.at(0.25 + 0.29).expect_nothing()  # half of the time of two segments, and the RTO
    script.at(0.25 + 0.31)
    assert [len(heard.data) for heard in script.drain()] == [MSS]
