"""UDP on the wire and at the socket: what is sent, what is taken, what is refused (RFC 768, RFC 1122 4.1)."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.packet import Packet, Raw

from aionetflow.socket.base import ERR, IN, OUT
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import IP_MTU_DISCOVER, IPPROTO_IP, MSG_PEEK, SO_RCVBUF, SOL_SOCKET
from support.lan import OURS, PEER, Host, checksum, datagram, icmp_error, ip, raw_host
from support.rules import rule


def bound(host: Host) -> DatagramSocket:
    return host.udp((OURS, 5000))


def nothing_to_read(sock: DatagramSocket) -> bool:
    with pytest.raises(BlockingIOError):
        sock.recv(9)
    return True


# ---- sending


@rule("RFC 768 Fields", "Ports, length of header and data, checksum, data", code="udp/datagram.py")
@given(st.binary(max_size=1472))
def test_a_datagram_on_the_wire_is_header_and_data(data: bytes) -> None:
    host = raw_host()
    assert bound(host).sendto(data, (PEER, 53)) == len(data)
    (said,) = host.wire.says()
    assert (said.src, said.dst, said[UDP].sport, said[UDP].dport) == (OURS, PEER, 5000, 53)
    assert (said[UDP].len, bytes(said)[28:]) == (8 + len(data), data)


@rule("RFC 768 Fields", "A checksum that comes out as zero is sent as all ones", code="_slow.py")
def test_a_checksum_that_comes_out_as_zero_is_sent_as_all_ones() -> None:
    # RFC 768: zero means that none was computed
    host = raw_host()
    sock = bound(host)
    sock.sendto(b"\0\0", (PEER, 53))
    (said,) = host.wire.says()
    sock.sendto(said[UDP].chksum.to_bytes(2, "big"), (PEER, 53))
    (said,) = host.wire.says()
    assert said[UDP].chksum == 0xFFFF


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_any_bytes_like_object_can_be_sent(data: bytes | bytearray | memoryview) -> None:
    host = raw_host()
    assert host.udp().sendto(data, (PEER, 9)) == 3
    assert bytes(host.wire.says()[0][UDP].payload) == b"abc"


def test_what_is_sent_is_what_it_was_when_it_was_sent() -> None:
    host = raw_host()
    data = bytearray(b"before")
    host.udp().sendto(data, (PEER, 9))
    data[:] = b"after!"
    assert bytes(host.wire.says()[0][UDP].payload) == b"before"


def test_sending_binds_the_socket_to_a_port_of_the_hosts() -> None:
    host = raw_host()
    sock = host.udp()
    assert sock.getsockname() == ("0.0.0.0", 0)
    sock.sendto(b"x", (PEER, 9))
    address, port = sock.getsockname()
    assert address == "0.0.0.0"
    assert 32768 <= port <= 60999  # net.ipv4.ip_local_port_range
    host.wire.hears(ip() / datagram(b"answer", sport=9, dport=port))
    assert sock.recv(9) == b"answer"


@pytest.mark.parametrize("mode", [2, 3, 4])
@pytest.mark.parametrize(("mtu", "size", "fits"), [(1500, 1472, True), (1500, 1473, False), (576, 549, False)])
def test_what_may_not_be_cut_and_does_not_fit_is_refused(mtu: int, size: int, fits: bool, mode: int) -> None:
    host = raw_host(mtu=mtu)
    sock = host.udp()
    sock.setsockopt(IPPROTO_IP, IP_MTU_DISCOVER, mode)
    if fits:
        assert sock.sendto(bytes(size), (PEER, 9)) == size
        return
    with pytest.raises(OSError) as caught:
        sock.sendto(bytes(size), (PEER, 9))
    assert caught.value.errno == errno.EMSGSIZE
    assert host.wire.says() == []


def test_nothing_is_longer_than_an_ip_packet() -> None:
    host = Host()
    with pytest.raises(OSError) as caught:
        host.udp().sendto(bytes(65508), ("127.0.0.1", 9))
    assert caught.value.errno == errno.EMSGSIZE


def test_port_zero_cannot_be_sent_to() -> None:
    with pytest.raises(OSError) as caught:
        raw_host().udp().sendto(b"x", (PEER, 0))
    assert caught.value.errno == errno.EINVAL


def test_send_without_a_connection_wants_an_address() -> None:
    with pytest.raises(OSError) as caught:
        raw_host().udp().send(b"x")
    assert caught.value.errno == errno.EDESTADDRREQ


# ---- receiving


def test_datagrams_keep_their_bounds_and_their_order() -> None:
    host = raw_host()
    sock = bound(host)
    host.wire.hears(*[ip() / datagram(bytes(n), sport=4000 + n) for n in range(5)])
    assert [sock.recvfrom(99) for _ in range(5)] == [(bytes(n), (PEER, 4000 + n)) for n in range(5)]
    assert nothing_to_read(sock)


def test_what_does_not_fit_the_callers_buffer_is_lost() -> None:
    host = raw_host()
    sock = bound(host)
    host.wire.hears(ip() / datagram(b"0123456789"), ip() / datagram(b"next"))
    assert [sock.recv(4), sock.recv(4)] == [b"0123", b"next"]


def test_an_empty_datagram_is_a_datagram() -> None:
    host = raw_host()
    sock = bound(host)
    host.wire.hears(ip() / datagram(b""))
    assert sock.events() & IN
    assert sock.recvfrom(9) == (b"", (PEER, 4000))
    assert not sock.events() & IN


@rule("RFC 768 Fields", "A source port of zero means that there is none", code="udp/datagram.py")
def test_a_source_port_of_zero_means_that_no_answer_is_expected() -> None:
    # RFC 768: an optional field
    host = raw_host()
    sock = bound(host)
    host.wire.hears(ip() / datagram(b"no reply", sport=0))
    assert sock.recvfrom(99) == (b"no reply", (PEER, 0))


def test_peeking_leaves_the_datagram_where_it_is() -> None:
    host = raw_host()
    sock = bound(host)
    host.wire.hears(ip() / datagram(b"first"), ip() / datagram(b"second"))
    assert [sock.recv(3, MSG_PEEK), sock.recvfrom(9, MSG_PEEK)[0], sock.recv(9)] == [b"fir", b"first", b"first"]
    assert sock.recv(9) == b"second"


def test_readiness_is_told_when_it_comes() -> None:
    host = raw_host()
    sock = bound(host)
    heard: list[int] = []
    sock.on_change = lambda: heard.append(sock.events())
    assert sock.events() == OUT
    host.wire.hears(ip() / datagram())
    assert heard == [IN | OUT]


def test_an_answer_to_a_datagram_is_what_the_echo_of_an_application_makes_of_it() -> None:
    host = raw_host()
    sock = host.udp(("", 5000))
    host.wire.hears(ip() / datagram(b"echo"))
    data, source = sock.recvfrom(99)
    sock.sendto(data, source)
    (said,) = host.wire.says()
    assert (said.src, said.dst, said[UDP].sport, said[UDP].dport) == (OURS, PEER, 5000, 4000)


# ---- checks


@rule("RFC 768 Fields", "A checksum of zero was not computed, and the datagram is taken", code="udp/datagram.py")
def test_a_checksum_of_zero_was_not_computed_and_is_taken() -> None:
    host = raw_host()
    sock = bound(host)
    host.wire.hears(ip() / datagram(b"unchecked", chksum=0))
    assert sock.recv(99) == b"unchecked"


@rule("RFC 1122 4.1.3.4", "A datagram with a wrong checksum is silently discarded", code="udp/datagram.py")
@pytest.mark.parametrize("chksum", [1, 0x8000, 0xFFFF])
def test_a_wrong_checksum_is_counted_and_dropped(chksum: int) -> None:
    host = raw_host()
    sock = bound(host)
    assert host.wire.hears(ip() / datagram(b"damaged", chksum=chksum)) == []
    assert nothing_to_read(sock)
    assert (host.stack.stats.udp.InCsumErrors, host.stack.stats.udp.InErrors) == (1, 1)


def udp_of(length: int, carried: int) -> Packet:
    """A datagram that says it has length octets, in a packet that carries so many, its checksum right for length."""
    octets = bytearray(bytes(UDP(sport=4000, dport=5000, len=length, chksum=0) / Raw(b"d" * max(carried - 8, 0))))
    covered = bytes(octets[: max(length, 8)])
    pseudo = bytes((10, 0, 0, 2, 10, 0, 0, 1, 0, 17)) + length.to_bytes(2, "big")
    octets[6:8] = checksum(pseudo + covered)
    return ip(proto=17) / Raw(bytes(octets[:carried]))


@rule("RFC 768 Fields", "The length is at least eight, and at most what the packet carries", code="udp/datagram.py")
@pytest.mark.parametrize(("length", "carried"), [(0, 8), (7, 8), (9, 8), (20, 19), (0xFFFF, 20), (8, 7), (8, 0)])
def test_a_wrong_length_is_counted_and_dropped(length: int, carried: int) -> None:
    host = raw_host()
    sock = bound(host)
    assert host.wire.hears(udp_of(length, carried)) == []
    assert nothing_to_read(sock)
    assert host.stack.stats.udp.InErrors == 1


@pytest.mark.parametrize(("length", "carried"), [(8, 8), (8, 12), (10, 30)])
def test_what_follows_the_datagram_in_the_packet_is_not_data(length: int, carried: int) -> None:
    # Linux __udp4_lib_rcv trims to the UDP length
    host = raw_host()
    sock = bound(host)
    host.wire.hears(udp_of(length, carried))
    assert sock.recv(99) == b"d" * (length - 8)


# ---- the receive buffer


def test_the_receive_buffer_is_bounded_and_the_latest_are_dropped() -> None:
    host = raw_host()
    sock = bound(host)
    sock.setsockopt(SOL_SOCKET, SO_RCVBUF, 8192)
    host.wire.hears(*[ip() / datagram(n.to_bytes(2, "big") + bytes(498)) for n in range(100)])
    stats = host.stack.stats.udp
    assert stats.InDatagrams + stats.RcvbufErrors == 100
    assert stats.InErrors == stats.RcvbufErrors
    assert 0 < stats.InDatagrams * 500 <= 16384
    got = [int.from_bytes(sock.recv(2), "big") for _ in range(stats.InDatagrams)]
    assert got == list(range(stats.InDatagrams))
    assert nothing_to_read(sock)


def test_a_flood_of_empty_datagrams_is_bounded_too() -> None:
    host = raw_host()
    sock = bound(host)
    host.wire.interface.receive([bytes(ip() / datagram(b""))] * 5000)
    assert host.stack.stats.udp.RcvbufErrors > 0
    assert sock.recv(9) == b""


def test_reading_makes_room_again() -> None:
    host = raw_host()
    sock = bound(host)
    sock.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    packet = bytes(ip() / datagram(bytes(1000)))
    taken = []
    for _ in range(50):
        before = host.stack.stats.udp.InDatagrams
        host.wire.interface.receive([packet] * 20)
        taken.append(host.stack.stats.udp.InDatagrams - before)
        for _ in range(taken[-1]):
            sock.recv(9)
        assert nothing_to_read(sock)
    assert 0 < taken[0] < 20
    assert set(taken) == {taken[0]}  # the same room each time: nothing leaks


# ---- connected sockets


def connected(host: Host) -> DatagramSocket:
    sock = bound(host)
    sock.connect((PEER, 4000))
    return sock


def test_a_connected_socket_hears_only_its_peer() -> None:
    host = raw_host()
    sock = connected(host)
    said = host.wire.hears(
        ip() / datagram(b"right"), ip() / datagram(b"port", sport=4001), ip("10.0.0.3") / datagram(b"host")
    )
    assert sock.recv(9) == b"right"
    assert nothing_to_read(sock)
    assert len(said) == 2  # Linux: for the others there is nobody at that port


def test_a_connected_socket_sends_to_its_peer_and_may_send_elsewhere() -> None:
    host = raw_host()
    sock = connected(host)
    sock.send(b"a")
    sock.sendto(b"b", ("10.0.0.3", 9))
    assert [(p.dst, p[UDP].dport) for p in host.wire.says()] == [(PEER, 4000), ("10.0.0.3", 9)]


def test_connecting_sends_nothing_and_tells_the_own_address() -> None:
    host = raw_host()
    sock = host.udp()
    sock.connect((PEER, 9))
    assert host.wire.says() == []
    assert sock.getsockname()[0] == OURS
    assert sock.getpeername() == (PEER, 9)


def test_a_connection_can_be_moved_to_another_peer() -> None:
    host = raw_host()
    sock = connected(host)
    sock.connect(("10.0.0.3", 4000))
    host.wire.hears(ip() / datagram(b"old"), ip("10.0.0.3") / datagram(b"new"))
    assert sock.recv(9) == b"new"
    assert nothing_to_read(sock)


# ---- port unreachable


def test_port_unreachable_is_connection_refused_at_the_connected_socket() -> None:
    host = raw_host()
    sock = connected(host)
    sock.send(b"anyone")
    (packet,) = host.wire.says()
    host.wire.hears(icmp_error(packet, 3, 3))
    assert sock.events() & ERR
    with pytest.raises(ConnectionRefusedError):
        sock.recv(9)
    assert not sock.events() & ERR
    assert nothing_to_read(sock)


def test_the_next_send_raises_it_once_and_sends_nothing() -> None:
    host = raw_host()
    sock = connected(host)
    sock.send(b"anyone")
    (packet,) = host.wire.says()
    host.wire.hears(icmp_error(packet, 3, 3))
    with pytest.raises(ConnectionRefusedError):
        sock.send(b"again")
    assert host.wire.says() == []
    assert sock.send(b"again") == 5


def test_an_error_is_raised_before_what_waits_to_be_read() -> None:
    # Linux __skb_recv_udp looks at sk_err first
    host = raw_host()
    sock = connected(host)
    sock.send(b"anyone")
    (packet,) = host.wire.says()
    host.wire.hears(ip() / datagram(b"data"), icmp_error(packet, 3, 3))
    with pytest.raises(ConnectionRefusedError):
        sock.recv(9)
    assert sock.recv(9) == b"data"


@rule(
    "RFC 1122 4.1.3.1", "A datagram for a port that nobody has is answered with port unreachable",
    code="socket/demux.py",
)  # fmt: skip
def test_a_datagram_for_a_closed_port_is_answered_by_port_unreachable() -> None:
    host = raw_host()
    sock = bound(host)
    sock.close()
    (said,) = host.wire.hears(ip() / datagram())
    assert (said["ICMP"].type, said["ICMP"].code, said[IP].dst) == (3, 3, PEER)
    assert host.stack.stats.udp.NoPorts == 1
