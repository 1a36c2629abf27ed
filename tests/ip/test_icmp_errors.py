"""ICMP errors that come in, and what the socket that they concern hears (RFC 1122 3.2.2.1, 4.1.3.3, 4.2.3.9).

The errno of each code, and whether it is fatal, are Linux's icmp_err_convert; RFC 5927 says when TCP may believe it.
"""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import IP, TCP
from scapy.packet import Packet

from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SO_ERROR, SOL_SOCKET
from aionetflow.socket.stream import StreamSocket
from support.lan import ISS, PEER, Host, back, icmp, icmp_error, raw_host
from support.rules import rule

E = errno
UNREACHABLE = [
    (E.ENETUNREACH, False), (E.EHOSTUNREACH, False), (E.ENOPROTOOPT, True), (E.ECONNREFUSED, True),
    (E.EMSGSIZE, False), (E.EOPNOTSUPP, False), (E.ENETUNREACH, True), (E.EHOSTDOWN, True), (E.ENONET, True),
    (E.ENETUNREACH, True), (E.EHOSTUNREACH, True), (E.ENETUNREACH, False), (E.EHOSTUNREACH, False),
    (E.EHOSTUNREACH, True), (E.EHOSTUNREACH, True), (E.EHOSTUNREACH, True),
]  # fmt: skip
EVERY = [
    *((3, code, name, fatal) for code, (name, fatal) in enumerate(UNREACHABLE) if code != 4),
    (11, 0, E.EHOSTUNREACH, False),
    (11, 1, E.EHOSTUNREACH, False),
    (12, 0, E.EPROTO, True),
]
TELLS_NOTHING = [(3, 16), (3, 255), (4, 0), (5, 0), (5, 1)]  # unknown codes, source quench (RFC 6633), redirects


def so_error(sock: StreamSocket | DatagramSocket) -> int:
    value = sock.getsockopt(SOL_SOCKET, SO_ERROR)
    assert isinstance(value, int)
    return value


def sending(host: Host, connect: bool = True) -> tuple[DatagramSocket, Packet]:
    """A datagram socket that has just sent to the peer, and what it sent."""
    sock = host.udp()
    if connect:
        sock.connect((PEER, 9))
    sock.sendto(b"x", (PEER, 9))
    (packet,) = host.wire.says()
    return sock, packet


def in_flight(host: Host) -> tuple[StreamSocket, Packet]:
    """A connection with one segment on its way, and that segment."""
    sock, _ = host.connected()
    sock.send(b"data")
    (packet,) = host.wire.says()
    return sock, packet


# ---- TCP


@rule("RFC 1122 4.2.3.9", "An ICMP error is told to the connection that it is about", code="socket/demux.py")
@pytest.mark.parametrize(("kind", "code", "name", "fatal"), EVERY)
def test_a_connecting_socket_fails_with_what_icmp_says(kind: int, code: int, name: int, fatal: bool) -> None:
    # Linux tcp_v4_err: in SYN-SENT every error ends it; connect() returns it
    host = raw_host()
    sock = host.connecting((PEER, 80))
    (syn,) = host.wire.says()
    assert host.wire.hears(icmp_error(syn, kind, code)) == []
    with pytest.raises(OSError) as caught:
        sock.connect((PEER, 80))
    assert caught.value.errno == name
    assert sock.state_name() == "UNCONN"
    host.clock.advance(200)
    assert host.wire.says() == []  # and the SYN is not sent again


@pytest.mark.parametrize(("kind", "code", "name", "fatal"), EVERY)
def test_an_established_connection_goes_on(kind: int, code: int, name: int, fatal: bool) -> None:
    # RFC 1122 4.2.3.9 says abort on 2 to 4; RFC 5927 5.2 and Linux: hold it against the time-out, and tell who asks
    host = raw_host()
    sock, packet = in_flight(host)
    host.wire.hears(icmp_error(packet, kind, code))
    assert (so_error(sock), sock.state_name()) == (name, "ESTAB")
    host.clock.advance(0.3)
    again = host.wire.says()[-1]
    assert bytes(again[TCP].payload) == b"data"
    host.wire.hears(back(again, TCP(flags="A", seq=(ISS + 1) & 0xFFFFFFFF)))
    assert sock.queued() == (0, 0)


@rule("RFC 1122 4.2.3.9", "A soft error is kept for the user", code="tcp/departure.py")
def test_it_is_what_the_application_hears_if_the_connection_times_out() -> None:
    # Linux tcp_write_err: sk_err_soft before ETIMEDOUT
    host = raw_host()
    sock, packet = in_flight(host)
    host.wire.hears(icmp_error(packet, 3, 1))
    host.clock.advance(2000)
    assert so_error(sock) == errno.EHOSTUNREACH


def test_an_acknowledgment_in_between_makes_it_forgotten() -> None:
    host = raw_host()
    sock, packet = in_flight(host)
    host.wire.hears(icmp_error(packet, 3, 1))
    host.wire.hears(back(packet, TCP(flags="A", seq=(ISS + 1) & 0xFFFFFFFF)))
    sock.send(b"more")
    host.clock.advance(2000)
    assert so_error(sock) == errno.ETIMEDOUT


@rule("RFC 6633 3", "TCP ignores source quench", code="ip/icmp.py")
@pytest.mark.parametrize(("kind", "code"), TELLS_NOTHING)
def test_what_means_nothing_changes_nothing_for_a_connection(kind: int, code: int) -> None:
    host = raw_host()
    sock = host.connecting((PEER, 80))
    (syn,) = host.wire.says()
    host.wire.hears(icmp_error(syn, kind, code))
    assert (so_error(sock), sock.state_name()) == (0, "SYN-SENT")


def requoted(packet: Packet, **fields: int) -> Packet:
    """The same error, with something about the quoted segment's header changed."""
    quoted = packet[IP].copy()
    for name, value in fields.items():
        setattr(quoted[TCP], name, value)
    return icmp_error(quoted, 3, 1)


@rule("RFC 5927 4.1", "While connecting, an error must quote the number of the SYN", code="socket/demux.py")
@pytest.mark.parametrize("distance", [-1, -1000, 2, 1000, 1 << 31])
def test_a_quoted_sequence_number_that_is_not_in_flight_is_not_believed_while_connecting(distance: int) -> None:
    # RFC 5927 4.1: SND.UNA =< SEG.SEQ < SND.NXT (Linux lets SND.NXT itself pass)
    host = raw_host()
    sock = host.connecting((PEER, 80))
    (syn,) = host.wire.says()
    host.wire.hears(requoted(syn, seq=(syn[TCP].seq + distance) & 0xFFFFFFFF))
    assert sock.state_name() == "SYN-SENT"
    host.wire.hears(requoted(syn))
    assert sock.state_name() == "UNCONN"


@rule("RFC 5927 7.2", "Fragmentation needed is believed only of what is in flight", code="socket/demux.py")
@pytest.mark.parametrize(("first", "believed"), [(-1, False), (0, True), (3, True), (5, False)])
def test_fragmentation_needed_is_believed_only_of_what_is_in_flight(first: int, believed: bool) -> None:
    host = raw_host()
    sock, packet = in_flight(host)
    quoted = packet[IP].copy()
    quoted[TCP].seq = (quoted[TCP].seq + first) & 0xFFFFFFFF
    host.wire.hears(icmp_error(quoted, 3, 4, 1000))
    assert sock.max_segment() == (960 if believed else 1460)


@pytest.mark.parametrize("field", ["sport", "dport"])
def test_an_error_about_another_connection_changes_nothing(field: str) -> None:
    host = raw_host()
    sock = host.connecting((PEER, 80))
    (syn,) = host.wire.says()
    host.wire.hears(requoted(syn, **{field: getattr(syn[TCP], field) ^ 1}))
    assert sock.state_name() == "SYN-SENT"


@pytest.mark.parametrize("length", range(28))
def test_a_quote_cut_short_is_counted_and_not_believed(length: int) -> None:
    host = raw_host()
    sock = host.connecting((PEER, 80))
    (syn,) = host.wire.says()
    host.wire.hears(IP(src=PEER, dst=syn.src, proto=1) / icmp(3, 1, 0, bytes(syn)[:length]))
    assert sock.state_name() == "SYN-SENT"
    assert host.stack.stats.icmp.InErrors == 1


def test_a_wrong_checksum_is_not_believed() -> None:
    host = raw_host()
    sock = host.connecting((PEER, 80))
    (syn,) = host.wire.says()
    error = bytearray(bytes(icmp_error(syn, 3, 1)))
    error[22] ^= 1
    host.wire.hears(bytes(error))
    assert sock.state_name() == "SYN-SENT"
    assert host.stack.stats.icmp.InCsumErrors == 1


def test_an_error_about_what_another_host_sent_is_not_believed() -> None:
    # the quoted source is not the address of the connection, though all else fits
    host = raw_host("10.0.0.1/24", "10.0.0.9/32")
    sock = host.connecting((PEER, 80))
    (syn,) = host.wire.says()
    quoted = syn.copy()
    quoted.src = "10.0.0.9"
    host.wire.hears(icmp_error(quoted, 3, 1))
    assert sock.state_name() == "SYN-SENT"


def test_a_connection_being_accepted_is_given_up_in_silence() -> None:
    # Linux tcp_v4_err, TCP_NEW_SYN_RECV: the request is dropped, the listener goes on
    host = raw_host()
    server = host.listening(("", 80))
    (syn_ack,) = host.wire.hears(IP(src=PEER, dst="10.0.0.1") / TCP(sport=4000, dport=80, flags="S", seq=ISS))
    host.wire.hears(icmp_error(syn_ack, 3, 1))
    assert server.queued()[0] == 0
    assert so_error(server) == 0
    host.clock.advance(100)
    assert host.wire.says() == []


# ---- path MTU (RFC 1191)


def test_fragmentation_needed_makes_segments_smaller_and_sends_them_again_at_once() -> None:
    host = raw_host()
    sock, _ = host.connected()
    sock.send(bytes(3000))
    first = host.wire.says()[0]
    assert len(first[TCP].payload) == 1460
    again = host.wire.hears(icmp_error(first, 3, 4, 1000))
    assert [packet[TCP].seq for packet in again][:1] == [first[TCP].seq]
    assert max(packet.len for packet in again) == 1000
    assert sock.max_segment() == 960


@rule("RFC 1191 3", "A path MTU is never raised by an ICMP message", code="tcp/arrival.py")
@pytest.mark.parametrize("mtu", [1500, 1501, 9000, 65535])
def test_a_larger_mtu_than_is_used_changes_nothing(mtu: int) -> None:
    # RFC 1191 3: never increased in response
    host = raw_host()
    sock, packet = in_flight(host)
    assert host.wire.hears(icmp_error(packet, 3, 4, mtu)) == []
    assert sock.max_segment() == 1460


@rule("RFC 1191 3", "A path MTU that is too small to be true is not gone by: Linux route.min_pmtu, 552 octets",
      code="ip/route.py")
@pytest.mark.parametrize("mtu", [0, 1, 20, 40, 68, 551])
def test_an_absurdly_small_mtu_is_not_followed_all_the_way_and_packets_may_be_cut(mtu: int) -> None:
    host = raw_host()
    sock, packet = in_flight(host)
    said = host.wire.hears(icmp_error(packet, 3, 4, mtu))
    assert sock.max_segment() == 552 - 40
    assert {str(segment.flags) for segment in said} == {""}  # no DF: Linux ip_dont_fragment


def test_a_connecting_socket_does_not_fail_by_fragmentation_needed() -> None:
    host = raw_host()
    sock = host.connecting((PEER, 80))
    (syn,) = host.wire.says()
    host.wire.hears(icmp_error(syn, 3, 4, 1000))
    assert (so_error(sock), sock.state_name()) == (0, "SYN-SENT")


# ---- UDP


@rule("RFC 1122 4.1.3.3", "UDP passes to the application the errors that ICMP reports", code="socket/demux.py")
@pytest.mark.parametrize(("kind", "code", "name", "fatal"), [*EVERY, (3, 4, E.EMSGSIZE, True)])
def test_a_connected_datagram_socket_hears_what_is_fatal(kind: int, code: int, name: int, fatal: bool) -> None:
    # Linux __udp4_lib_err without IP_RECVERR; fragmentation needed counts as fatal there while DF is set
    host = raw_host()
    sock, packet = sending(host)
    host.wire.hears(icmp_error(packet, kind, code, 1000 if (kind, code) == (3, 4) else 0))
    assert so_error(sock) == (name if fatal else 0)
    assert so_error(sock) == 0  # once


@pytest.mark.parametrize(("kind", "code", "name", "fatal"), EVERY)
def test_an_unconnected_datagram_socket_hears_nothing(kind: int, code: int, name: int, fatal: bool) -> None:
    host = raw_host()
    sock, packet = sending(host, connect=False)
    host.wire.hears(icmp_error(packet, kind, code))
    assert so_error(sock) == 0
    assert sock.sendto(b"y", (PEER, 9)) == 1


@rule("RFC 6633 5", "UDP ignores source quench", code="ip/icmp.py")
@pytest.mark.parametrize(("kind", "code"), TELLS_NOTHING)
def test_what_means_nothing_changes_nothing_for_a_datagram_socket(kind: int, code: int) -> None:
    host = raw_host()
    sock, packet = sending(host)
    host.wire.hears(icmp_error(packet, kind, code))
    assert so_error(sock) == 0


def test_only_the_socket_that_sent_it_is_told() -> None:
    host = raw_host()
    sock, packet = sending(host)
    other, _ = sending(host)
    host.wire.hears(icmp_error(packet, 3, 3))
    assert (so_error(other), so_error(sock)) == (0, errno.ECONNREFUSED)


def test_an_error_about_a_datagram_to_someone_else_is_not_for_the_connected_socket() -> None:
    host = raw_host()
    sock, _ = sending(host)
    sock.sendto(b"x", ("10.0.0.3", 9))
    (packet,) = host.wire.says()
    host.wire.hears(icmp_error(packet, 3, 3))
    assert so_error(sock) == 0
