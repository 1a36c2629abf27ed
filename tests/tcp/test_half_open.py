"""Half-open connections, as on Linux: the SYN queue, SYN-ACKs again, the accept queue, TCP_DEFER_ACCEPT."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP

from aionetflow.socket.options import IPPROTO_TCP, TCP_DEFER_ACCEPT, TCP_MAXSEG
from aionetflow.socket.stream import StreamSocket
from aionetflow.stats import TcpStats
from support.fixtures import listening, syn_received
from support.lan import ISS as PEER_ISS
from support.lan import Host, back, ip, raw_host
from support.parity import IN, OUT, Script, World, collector, differences, server
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, M32, PSH, RST, SYN
from support.script import Script as Packets

SCRIPTS: dict[str, Script] = {}
script = collector(SCRIPTS)


def stats(packets: Packets) -> TcpStats:
    return packets.stack.stats.tcp


def set_sysctl(packets: Packets | Host, **values: int) -> None:
    for name, value in values.items():
        packets.stack.sysctl[f"net.ipv4.tcp_{name}"] = value


def accept(packets: Packets) -> StreamSocket:
    assert packets.listener is not None
    return packets.listener.accept()[0]


def is_empty(packets: Packets) -> bool:
    """Whether nobody has connected."""
    assert packets.listener is not None
    return not packets.listener.events()


def comes_from(packets: Packets, port: int) -> Packets:
    """Another peer's port, whose numbers begin anew."""
    packets.ports = (port, 80)
    packets.nxt, packets.edge, packets.heard = ISS, None, IRS
    return packets


def opens(packets: Packets, port: int) -> None:
    """A peer's whole handshake from a port, as far as it gets."""
    comes_from(packets, port).sends(SYN).expect(SYN | ACK)
    packets.sends(ACK)


# ---- the SYN-ACK, again


@rule("RFC 6298 2.1", "A SYN-ACK is sent again after a second, then after twice as long each time",
      code="socket/half_open.py")  # fmt: skip
def test_a_syn_ack_is_sent_five_times_more() -> None:
    packets = syn_received()
    for seconds in (1, 3, 7, 15, 31):
        packets.at(seconds - 0.001).expect_nothing()
        packets.at(seconds).expect(SYN | ACK, seq=IRS)
    packets.at(62.999).expect_nothing()
    assert len(packets.stack.half_open.requests) == 1
    packets.at(63)
    assert packets.stack.half_open.requests == {}
    packets.at(1000).expect_nothing()
    counted = stats(packets)
    assert (counted.RetransSegs, counted.TCPSynRetrans, counted.TCPTimeouts, counted.OutSegs) == (5, 5, 6, 6)
    assert counted.PassiveOpens == 0


@pytest.mark.parametrize("retries", [0, 1, 2, 7])
def test_tcp_synack_retries_says_how_often(retries: int) -> None:
    packets = listening()
    set_sysctl(packets, synack_retries=retries)
    packets.sends(SYN)
    packets.heard = IRS
    packets.mark().expect(SYN | ACK)
    for round_ in range(retries):
        packets.at((2 << round_) - 1).expect(SYN | ACK, seq=IRS)
    packets.at(1000).expect_nothing()


def test_old_requests_give_up_earlier_when_they_take_the_room_of_young_ones() -> None:
    # Linux reqsk_timer_handler: with half of the backlog taken, and none of it young, two SYN-ACKs more must do
    packets = listening(backlog=8)
    for port in range(4000, 4009):
        comes_from(packets, port).sends(SYN).expect(SYN | ACK)
    packets.mark().at(7).drain()
    # of nine that are old some go at once, until less than half of the backlog is taken
    assert len(packets.stack.half_open.requests) == 4
    packets.at(62).drain()
    assert len(packets.stack.half_open.requests) == 4
    packets.at(64).drain()
    assert packets.stack.half_open.requests == {}


def test_the_same_syn_is_answered_again_but_not_more_than_twice_a_second() -> None:
    packets = syn_received()
    packets.sends(SYN, seq=ISS).expect(SYN | ACK, seq=IRS)
    for _ in range(2):
        packets.sends(SYN, seq=ISS).expect_nothing()
    packets.at(0.499).sends(SYN, seq=ISS).expect_nothing()
    packets.at(0.5).sends(SYN, seq=ISS).expect(SYN | ACK, seq=IRS)
    assert stats(packets).TCPACKSkippedSynRecv == 3
    # the time until it is sent again by itself counts from there
    packets.at(1.499).expect_nothing()
    packets.at(1.5).expect(SYN | ACK, seq=IRS)


def test_a_connection_opens_whose_syn_ack_came_late() -> None:
    packets = syn_received()
    packets.at(1).expect(SYN | ACK, seq=IRS)
    packets.at(3).expect(SYN | ACK, seq=IRS)
    packets.at(3.5).sends(ACK).expect_nothing()
    connection = accept(packets).connection
    assert connection is not None
    # RFC 5681 3.1: a SYN-ACK that was lost means an initial window of one segment
    assert connection.recovery.cc.cwnd == connection.snd.mss
    packets.at(100).expect_nothing()


def test_data_and_fin_may_come_with_the_last_ack() -> None:
    packets = syn_received()
    packets.sends(PSH | FIN | ACK, data=b"all at once")
    packets.after(0.04).expect(ACK)
    sock = accept(packets)
    assert (sock.recv(100), sock.recv(100)) == (b"all at once", b"")


# ---- what else may come


@rule("RFC 9293 3.10.7.4", "In SYN-RECEIVED an ACK of what was not sent is answered with a RST",
      code="socket/half_open.py")  # fmt: skip
@pytest.mark.parametrize("ack", [IRS, IRS + 2, IRS + 100000])
def test_an_ack_of_another_number_is_reset_and_the_request_stays(ack: int) -> None:
    packets = syn_received()
    packets.sends(ACK, ack=ack).expect(RST, seq=ack)
    packets.sends(ACK).expect_nothing()
    accept(packets)


@pytest.mark.parametrize("offset", [65536, -1000, 1 << 30])
def test_an_ack_out_of_the_window_is_answered_with_an_ack(offset: int) -> None:
    packets = syn_received()
    packets.sends(ACK, seq=ISS + 1 + offset).expect(ACK, seq=IRS + 1, ack=ISS + 1)
    packets.sends(ACK, seq=ISS + 1 + offset).expect_nothing()
    packets.after(0.5).sends(ACK, seq=ISS + 1 + offset).expect(ACK, seq=IRS + 1, ack=ISS + 1)
    assert is_empty(packets)


def test_data_out_of_the_window_are_answered_each_time() -> None:
    """Linux tcp_oow_rate_limited: nobody answers an ACK with data for ever."""
    packets = syn_received()
    for _ in range(2):
        packets.sends(PSH | ACK, seq=ISS + 100_000, data=b"x").expect(ACK, seq=IRS + 1, ack=ISS + 1)
    assert is_empty(packets)


@rule("RFC 5961 3.2", "In SYN-RECEIVED only a RST with exactly the next number ends the connection",
      code="tcp/request.py")  # fmt: skip
def test_a_reset_with_the_next_number_ends_it_and_one_beside_it_does_not() -> None:
    packets = syn_received()
    packets.sends(RST, seq=ISS + 2).expect(ACK, seq=IRS + 1, ack=ISS + 1)
    packets.sends(RST, seq=ISS).expect_nothing()
    packets.sends(RST, seq=ISS + 70000).expect_nothing()
    assert len(packets.stack.half_open.requests) == 1
    packets.sends(RST, seq=ISS + 1).expect_nothing()
    assert packets.stack.half_open.requests == {}
    assert (stats(packets).AttemptFails, stats(packets).EmbryonicRsts) == (1, 1)
    packets.sends(ACK, seq=ISS + 1).expect(RST, seq=IRS + 1)


@rule("RFC 5961 4.2", "A SYN in the window of a half-open connection is answered with a challenge ACK",
      code="socket/half_open.py")  # fmt: skip
def test_another_syn_in_the_window_is_answered_with_an_ack() -> None:
    packets = syn_received()
    packets.sends(SYN, seq=ISS + 500).expect(ACK, seq=IRS + 1, ack=ISS + 1)
    packets.nxt = (ISS + 1) & M32
    packets.sends(ACK).expect_nothing()
    accept(packets)


def test_a_segment_without_ack_is_dropped() -> None:
    packets = syn_received()
    packets.sends(PSH, data=b"x", seq=ISS + 1).expect_nothing()
    packets.sends(FIN, seq=ISS + 1).expect_nothing()
    packets.sends(ACK).expect_nothing()
    accept(packets)


def test_a_syn_with_a_fin_begins_nothing() -> None:
    # Linux tcp_rcv_state_process
    packets = listening()
    packets.sends(SYN | FIN).expect_nothing()
    assert packets.stack.half_open.requests == {}


@pytest.mark.parametrize(("code", "ends"), [(0, True), (1, True), (3, False), (13, False)])
def test_icmp_about_the_syn_ack_ends_it_if_nothing_gets_there(code: int, ends: bool) -> None:
    # Linux tcp_v4_err, tcp_req_err: net and host unreachable
    packets = listening()
    packets.sends(SYN)
    packets.heard = IRS
    syn_ack = packets.expect(SYN | ACK)
    packets.sends_icmp(3, code, syn_ack._replace(seq=(syn_ack.seq + 1) & M32))
    assert len(packets.stack.half_open.requests) == 1
    assert stats(packets).OutOfWindowIcmps == 1
    packets.sends_icmp(3, code, syn_ack)
    assert len(packets.stack.half_open.requests) == (0 if ends else 1)
    assert stats(packets).ListenDrops == int(ends)


def test_when_the_listener_closes_nothing_is_sent_and_the_ack_finds_nobody() -> None:
    packets = syn_received()
    assert packets.listener is not None
    packets.listener.close()
    packets.expect_nothing()
    packets.at(0.5).sends(ACK).expect(RST, seq=IRS + 1)
    assert packets.stack.half_open.requests == {}


def test_of_a_closed_listener_no_request_stays() -> None:
    packets = syn_received()
    assert packets.listener is not None
    packets.listener.close()
    packets.at(1).expect_nothing()
    assert packets.stack.half_open.requests == {}


# ---- the queues


def test_without_cookies_a_syn_is_dropped_when_the_queue_is_full() -> None:
    packets = listening(backlog=4)
    set_sysctl(packets, syncookies=0)
    for port in range(4000, 4005):
        comes_from(packets, port).sends(SYN).expect(SYN | ACK)
    comes_from(packets, 5000).sends(SYN).expect_nothing()
    assert (stats(packets).TCPReqQFullDrop, stats(packets).ListenDrops, stats(packets).ListenOverflows) == (1, 1, 0)


def test_without_cookies_the_last_quarter_of_tcp_max_syn_backlog_is_for_peers_that_are_known() -> None:
    packets = listening(backlog=100)
    set_sysctl(packets, syncookies=0, max_syn_backlog=16)
    for port in range(4000, 4013):
        comes_from(packets, port).sends(SYN).expect(SYN | ACK)
    comes_from(packets, 5000).sends(SYN).expect_nothing()
    assert (stats(packets).TCPReqQFullDrop, stats(packets).ListenDrops) == (0, 1)
    set_sysctl(packets, syncookies=1)
    comes_from(packets, 5000).sends(SYN).expect(SYN | ACK)


def test_a_syn_that_finds_the_accept_queue_full_is_dropped() -> None:
    packets = listening(backlog=1)
    for port in (4000, 4001):
        opens(packets, port)
    comes_from(packets, 4002).sends(SYN).expect_nothing()
    assert (stats(packets).ListenOverflows, stats(packets).ListenDrops) == (1, 1)
    accept(packets)
    packets.nxt = ISS
    packets.sends(SYN).expect(SYN | ACK)


def overflowing() -> Packets:
    """A SYN was answered when there was room; two others have taken the last places since."""
    packets = listening(backlog=1)
    comes_from(packets, 4001).sends(SYN).expect(SYN | ACK)
    packets.mark()
    opens(packets, 4000)
    opens(packets, 3999)
    comes_from(packets, 4001).nxt = (ISS + 1) & M32
    packets.heard = (IRS + 1) & M32
    return packets


def test_an_ack_that_finds_the_accept_queue_full_is_dropped_and_the_syn_ack_comes_again() -> None:
    packets = overflowing()
    packets.sends(ACK).expect_nothing()
    assert (stats(packets).ListenOverflows, stats(packets).ListenDrops) == (1, 1)
    packets.at(1).expect(SYN | ACK, seq=IRS)
    accept(packets)
    packets.sends(ACK).expect_nothing()
    accept(packets)
    assert accept(packets).getpeername() == ("10.0.0.2", 4001)
    assert stats(packets).PassiveOpens == 3


def test_with_tcp_abort_on_overflow_it_is_reset() -> None:
    packets = overflowing()
    set_sysctl(packets, abort_on_overflow=1)
    packets.sends(ACK).expect(RST, seq=IRS + 1)
    assert packets.stack.half_open.requests == {}
    assert (stats(packets).ListenOverflows, stats(packets).EmbryonicRsts) == (1, 1)


def test_the_backlog_is_no_larger_than_somaxconn() -> None:
    packets = listening(backlog=1000)
    assert packets.listener is not None
    assert packets.listener.queued() == (0, 1000)
    packets.stack.sysctl["net.core.somaxconn"] = 7
    packets.listener.listen(1000)
    assert packets.listener.queued() == (0, 7)


def test_a_half_open_connection_is_no_connection_yet() -> None:
    packets = listening(backlog=1000)
    for port in range(4000, 4100):
        comes_from(packets, port).sends(SYN).expect(SYN | ACK)
    assert packets.stack.table.connections == {}
    assert len(packets.stack.half_open.requests) == 100
    packets.after(64).drain()
    assert packets.stack.half_open.requests == {}
    assert packets.stack.deadline() > packets.clock.now()


def test_options_that_are_set_later_count_for_the_next_syn() -> None:
    packets = listening()
    comes_from(packets, 4000).sends(SYN)
    assert packets.take().mss == 1460
    assert packets.listener is not None
    packets.listener.setsockopt(IPPROTO_TCP, TCP_MAXSEG, 900)
    comes_from(packets, 4001).sends(SYN)
    assert packets.take().mss == 900


def test_one_peers_offers_are_not_anothers() -> None:
    packets = listening()
    comes_from(packets, 4000).sends(SYN, mss=1000, wscale=7)
    assert packets.take().wscale is not None
    comes_from(packets, 4001).sends(SYN, mss=500)
    assert packets.take().wscale is None


# ---- TCP_DEFER_ACCEPT


def deferring(seconds: int) -> Packets:
    """A SYN has been answered by a listener that waits for data."""
    packets = listening()
    assert packets.listener is not None
    packets.listener.setsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds)
    packets.sends(SYN)
    packets.heard = IRS
    packets.expect(SYN | ACK)
    return packets.mark()


def test_with_tcp_defer_accept_a_connection_begins_with_its_first_data() -> None:
    packets = deferring(1)
    packets.at(0.1).sends(ACK).expect_nothing()
    assert is_empty(packets)
    assert stats(packets).TCPDeferAcceptDrop == 1
    packets.at(0.2).sends(PSH | ACK, data=b"GET").expect(ACK)
    assert accept(packets).recv(10) == b"GET"


def test_tcp_defer_accept_ends_and_an_ack_suffices_again() -> None:
    packets = deferring(3)  # two SYN-ACKs: one second, two more
    packets.at(0.1).sends(ACK).expect_nothing()
    packets.at(1).expect_nothing()  # it was acknowledged, and there is time yet
    packets.at(3).expect(SYN | ACK, seq=IRS)  # the last chance
    packets.at(3.1).sends(ACK).expect_nothing()
    accept(packets)


@pytest.mark.parametrize(("seconds", "told"), [(0, 0), (1, 1), (2, 3), (3, 3), (4, 7), (100, 127), (200, 247)])
def test_tcp_defer_accept_is_kept_in_rounds(seconds: int, told: int) -> None:
    sock = Packets().stream()
    sock.setsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT, seconds)
    assert sock.getsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT) == told


# ---- beside the kernel


@script
def a_full_accept_queue(world: World) -> None:
    listener = server(world)
    listener.listen(0)
    clients = [world.tcp() for _ in range(2)]
    for client in clients[:1]:
        client.connect(listener.address)
        client.wait(OUT).events()
    clients[1].connect(listener.address)
    clients[1].events()
    listener.wait(IN).accept()
    listener.accept()


@script
def defer_accept(world: World) -> None:
    listener, client = server(world), world.tcp()
    listener.setsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT, 5)
    listener.getsockopt(IPPROTO_TCP, TCP_DEFER_ACCEPT)
    client.connect(listener.address)
    client.wait(OUT).events()
    listener.events()
    listener.accept()
    client.send(b"data")
    accepted, _ = listener.wait(IN).accept()
    accepted.recv(10)


@pytest.mark.kernel
@pytest.mark.parametrize("name", SCRIPTS)
def test_calls_say_the_same_as_the_kernels(name: str) -> None:
    found = differences(SCRIPTS[name])
    assert not found, "\n".join(found)


# ---- SO_REUSEPORT


def test_the_ack_finds_the_request_whichever_listener_it_would_have_come_to() -> None:
    host = raw_host()
    listeners = []
    for _ in range(4):
        sock = host.tcp()
        sock.setsockopt(1, 15, 1)  # SO_REUSEPORT
        sock.bind(("10.0.0.1", 80))
        sock.listen(100)
        listeners.append(sock)
    answers = [host.wire.hears(ip() / TCP(sport=p, dport=80, flags="S", seq=PEER_ISS))[0] for p in range(4000, 4100)]
    for answer in answers:
        host.wire.hears(back(answer, TCP(flags="A", seq=(PEER_ISS + 1) & M32)))
    queued = [sock.queued()[0] for sock in listeners]
    assert sum(queued) == 100
    assert min(queued) > 10
