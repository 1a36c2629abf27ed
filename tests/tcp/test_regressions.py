"""One test for each defect that a long run, a review or an attack has found."""

from __future__ import annotations

import sys
from random import Random

import pytest

from aionetflow.clock import ManualClock
from aionetflow.link.memory import MemoryLink
from aionetflow.socket.base import OUT
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack
from support.fixtures import established, listening, syn_received
from support.rules import rule
from support.script import ACK, FIN, IRS, ISS, PSH, SYN, Script

NODELAY, CORK = 1, 3


class Pair:
    """Two hosts and a link."""

    def __init__(self, mtu: int = 1500, delay: float = 0.01) -> None:
        self.clock = ManualClock()
        self.left, self.right = Stack(self.clock, Random(1)), Stack(self.clock, Random(2))
        self.link = MemoryLink(self.clock, Random(3), delay=delay, mtu=mtu)
        for host, end, number in ((self.left, self.link.a, 1), (self.right, self.link.b, 2)):
            nic = host.attach_raw("tun0", mtu)
            nic.link = end
            end.attach(nic)
            end.on_mtu = nic.set_mtu
            host.add_address(nic, f"10.0.0.{number}/24")

    def connected(self, port: int = 80) -> tuple[StreamSocket, StreamSocket]:
        listener, client = self.right.socket(), self.left.socket()
        assert isinstance(client, StreamSocket)
        listener.bind(("10.0.0.2", port))
        listener.listen(5)
        with pytest.raises(BlockingIOError):
            client.connect(("10.0.0.2", port))
        self.clock.advance(1)
        server = listener.accept()[0]
        listener.close()
        assert isinstance(server, StreamSocket)
        return client, server


def drain(sock: StreamSocket) -> bytes:
    data = b""
    try:
        while piece := sock.recv(1 << 20):
            data += piece
    except BlockingIOError:
        pass
    return data


def test_a_busy_connection_does_not_gather_timers() -> None:
    pair = Pair(delay=0.05)
    client, server = pair.connected()
    for sock in (client, server):
        sock.setsockopt(6, NODELAY, 1)
    for _ in range(1600):
        client.send(b"x")
        server.send(b"y")
        pair.clock.advance(0.05)
        drain(client)
        drain(server)
    assert sys.getrefcount(client.connection) < 30, "each entry of the host's timers holds the connection"


def test_a_syn_that_cannot_be_answered_is_dropped_and_the_rest_of_its_batch_is_not() -> None:
    pair = Pair()
    pair.left.add_address(pair.left.interfaces[1], "192.168.5.5/24")
    client, server = pair.connected()
    listener = pair.right.socket()
    listener.bind(("10.0.0.2", 81))
    listener.listen(1)
    stranger = pair.left.socket()
    assert isinstance(stranger, StreamSocket)
    stranger.bind(("192.168.5.5", 0))
    with pytest.raises(BlockingIOError):
        stranger.connect(("10.0.0.2", 81))  # the right host has no way back
    client.send(b"innocent")
    pair.clock.advance(1)
    assert drain(server) == b"innocent"
    assert pair.right.stats.tcp.ListenDrops == 1


def test_a_path_mtu_while_the_syn_is_unacknowledged_in_fin_wait_1_ends() -> None:
    script = Script()
    script.sock = script.stream()
    with pytest.raises(BlockingIOError):
        script.sock.connect(("10.0.0.2", 80))
    syn = script.take()
    script.ports = (80, syn.ports[0])
    script.sends(SYN, mss=1460)
    script.drain()
    script.sock.shutdown(1)
    script.drain()
    script.sends_icmp(3, 4, syn, 600)
    assert len(script.drain()) < 3


def test_an_exception_in_one_users_callback_leaves_other_connections_alone() -> None:
    pair = Pair()
    (one, first), (two, second) = pair.connected(80), pair.connected(81)

    def boom() -> None:
        raise ValueError("boom")

    first.on_change = boom
    one.send(b"x")
    two.send(b"y")
    with pytest.raises(ValueError, match="boom"):
        pair.clock.advance(1)
    first.on_change = None
    two.send(b"more" * 1000)
    pair.clock.advance(5)
    assert drain(second) == b"y" + b"more" * 1000


@rule("RFC 6582 3.2", "`recover` keeps up when the numbers wrap", code="tcp/recovery.py")
def test_fast_retransmit_works_after_two_gibibytes_without_a_loss() -> None:
    script = established(mss=1000)
    connection = script.sock.connection
    assert connection is not None
    snd = connection.snd
    far = (snd.snd_nxt + (1 << 31) + 5) & 0xFFFFFFFF
    snd.snd_una = snd.snd_nxt = snd.snd_sml = far  # as if all before had been acknowledged
    script.sock.send(b"x" * 5000)
    script.drain()
    for _ in range(3):
        script.deliver([script.segment(ACK, ack=snd.snd_una)])
    assert [(heard.seq, len(heard.data)) for heard in script.drain()] == [(snd.snd_una, 1000)]


def test_duplicate_acks_and_the_full_ack_in_one_batch_send_nothing_again() -> None:
    script = established()
    connection = script.sock.connection
    assert connection is not None
    script.sock.send(b"x" * 10000)
    script.drain()
    una = connection.snd.snd_una
    script.deliver([script.segment(ACK, ack=una)] * 3 + [script.segment(ACK, ack=una + 10000)])
    assert [heard for heard in script.drain() if heard.data or heard.flags & PSH] == []
    script.after(5)
    assert script.stack.stats.tcp.TCPTimeouts == 0


def test_an_orphan_behind_a_closed_window_is_given_up() -> None:
    pair = Pair()
    _, server = pair.connected()
    while server.events() & OUT:
        server.send(bytes(100_000))
        pair.clock.advance(0.2)
    server.close()
    pair.clock.advance(3600)
    assert not pair.right.table.connections


def test_a_late_syn_and_the_ack_in_one_batch_open_with_the_whole_initial_window() -> None:
    script = syn_received()
    assert script.listener is not None
    script.nxt = ISS
    script.deliver([script.segment(SYN, mss=1460), script.segment(ACK)])
    assert [heard.flags for heard in script.drain()] == [SYN | ACK]
    connection = script.listener.accept()[0].connection
    assert connection is not None
    script.after(10)
    assert connection.recovery.cc.cwnd == 10 * connection.snd.mss


def test_a_link_whose_mtu_shrinks_goes_on_carrying_a_connection() -> None:
    pair = Pair()
    client, server = pair.connected()
    client.send(b"before")
    pair.link.mtu = 600
    client.send(bytes(20_000))
    pair.clock.advance(30)
    assert len(drain(server)) == 20_006


@pytest.mark.parametrize("options", [[(NODELAY, 1), (CORK, 1)], [(CORK, 1), (CORK, 0), (CORK, 1)]])
def test_a_push_with_nothing_to_push_does_not_open_the_cork(options: list[tuple[int, int]]) -> None:
    script = established()
    for option, value in options:
        script.sock.setsockopt(6, option, value)
    script.sock.send(b"abc")
    script.expect_nothing()


def test_shutdown_in_a_callback_ends() -> None:
    script = established()
    script.sock.on_change = lambda: script.sock.shutdown(0)
    script.sends(PSH | ACK, data=b"x")
    script.after(0.04).drain()
    assert script.sock.recv(10) == b"x"


def test_ports_are_free_when_their_connections_are_gone() -> None:
    pair = Pair()
    client, server = pair.connected()
    client.setsockopt(1, 13, bytes((1, 0, 0, 0, 0, 0, 0, 0)))
    client.close()  # a reset, before the server's end is closed
    pair.clock.advance(1)
    server.close()
    again = pair.right.socket()
    again.bind(("10.0.0.2", 80))
    assert again.getsockname() == ("10.0.0.2", 80)


def test_half_open_connections_that_fail_free_their_port() -> None:
    script = syn_received()
    assert script.listener is not None
    script.after(200).drain()
    script.listener.close()
    sock = script.stream()
    sock.bind(("10.0.0.1", 80))
    assert sock.getsockname()[1] == 80


def test_time_wait_outlives_close_with_unread_data() -> None:
    pair = Pair()
    client, server = pair.connected()
    server.shutdown(1)
    client.send(b"unread")
    client.close()
    pair.clock.advance(1)
    server.close()
    pair.clock.advance(1)
    assert pair.right.stats.tcp.OutRsts == 0
    assert len(pair.right.table.connections) == 1


def test_only_so_many_connections_are_kept_in_time_wait() -> None:
    pair = Pair()
    pair.left.sysctl["net.ipv4.tcp_max_tw_buckets"] = 3
    for port in range(80, 85):
        client, server = pair.connected(port)
        client.close()
        pair.clock.advance(0.1)
        server.close()
        pair.clock.advance(0.1)
    assert len(pair.left.table.connections) == pair.left.driver.time_wait == 3
    assert pair.left.stats.tcp.TCPTimeWaitOverflow == 2
    pair.clock.advance(61)
    assert (len(pair.left.table.connections), pair.left.driver.time_wait) == (0, 0)


def test_nothing_is_delivered_from_behind_a_fin() -> None:
    script = established()
    script.deliver([script.segment(FIN | ACK, seq=script.nxt + 5)])
    script.deliver([script.segment(PSH | ACK, data=b"0123456789")])
    script.drain()
    assert (script.sock.recv(100), script.sock.recv(100)) == (b"01234", b"")


def test_acks_in_one_batch_do_not_overfill_the_accept_queue() -> None:
    script = listening(backlog=1)
    acks = []
    for port in (5000, 5001, 5002):
        script.ports, script.nxt, script.edge = (port, 80), ISS, None
        script.sends(SYN, mss=1000)
        script.heard = IRS
        script.expect(SYN | ACK)
        acks.append(script.segment(ACK))
        if port == 5000:
            script.deliver([acks.pop()])
    script.deliver(acks)
    assert script.listener is not None
    assert [script.listener.accept()[1][1] for _ in range(2)] == [5000, 5001]
    with pytest.raises(BlockingIOError):
        script.listener.accept()


def test_a_syn_ack_that_is_asked_for_again_is_a_retransmission() -> None:
    script = syn_received()
    script.nxt = ISS
    script.sends(SYN, mss=1460)
    script.drain()
    assert script.stack.stats.tcp.RetransSegs == 1
