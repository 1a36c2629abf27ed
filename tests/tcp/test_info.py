"""TCP_INFO: the fields of an object, and the octets of Linux's struct tcp_info."""

from __future__ import annotations

import socket as kernel
import struct

import pytest

from aionetflow.socket.options import IPPROTO_TCP, TCP_INFO
from aionetflow.tcp.info import TcpInfo
from aionetflow.tcp.states import State
from support.fixtures import established, listening, syn_received
from support.parity import StackWorld, World, differences, pair
from support.script import ACK, PSH, Script

# Where Linux has its fields (offset, format); ours are the same up to 248 octets
OFFSETS = {
    "state": (0, "B"), "options": (5, "B"), "wscale": (6, "B"), "rto": (8, "I"), "snd_mss": (16, "I"),
    "rcv_mss": (20, "I"), "unacked": (24, "I"), "sacked": (28, "I"), "pmtu": (60, "I"), "rtt": (68, "I"),
    "snd_ssthresh": (76, "I"), "snd_cwnd": (80, "I"), "advmss": (84, "I"), "reordering": (88, "I"),
    "total_retrans": (100, "I"), "pacing_rate": (104, "Q"), "max_pacing_rate": (112, "Q"), "bytes_acked": (120, "Q"),
    "bytes_received": (128, "Q"), "segs_out": (136, "I"), "segs_in": (140, "I"), "notsent_bytes": (144, "I"),
    "min_rtt": (148, "I"), "data_segs_in": (152, "I"), "data_segs_out": (156, "I"), "delivered": (192, "I"),
    "bytes_sent": (200, "Q"), "bytes_retrans": (208, "Q"), "snd_wnd": (228, "I"), "rcv_wnd": (232, "I"),
}  # fmt: skip
# What is the same on both loopbacks when nothing is lost
ALIKE = (
    "state", "unacked", "sacked", "total_retrans", "max_pacing_rate", "bytes_acked", "bytes_received", "notsent_bytes",
    "data_segs_in", "data_segs_out", "bytes_sent", "bytes_retrans", "pmtu",
)  # fmt: skip


def field(data: bytes, name: str) -> int:
    offset, code = OFFSETS[name]
    value: int = struct.unpack_from("=" + code, data, offset)[0]
    return value


def test_the_octets_are_where_linux_has_them() -> None:
    for k, name in enumerate(OFFSETS):
        data = TcpInfo(**{name: k + 1}).pack()
        assert field(data, name) == k + 1, name
    assert len(TcpInfo().pack()) == 248


@pytest.mark.kernel
def test_the_kernel_s_structure_is_no_shorter() -> None:
    with kernel.socket() as sock:
        data = sock.getsockopt(IPPROTO_TCP, TCP_INFO, 512)
    ours = StackWorld().tcp().sock.getsockopt(IPPROTO_TCP, TCP_INFO, 512)
    assert len(data) >= len(ours) == 248
    for name in ("state", "rto", "snd_mss", "snd_ssthresh", "snd_cwnd", "reordering", "pacing_rate", "unacked"):
        assert field(ours, name) == field(data, name), name


@pytest.mark.kernel
def test_counts_are_the_kernel_s() -> None:
    def script(world: World) -> None:
        client, server = pair(world)

        def tell() -> None:
            for end in (client, server):
                data = end.sock.getsockopt(IPPROTO_TCP, TCP_INFO, 248)
                world.log.extend((f"{end.name} {name}", field(data, name)) for name in ALIKE)

        tell()
        client.send(bytes(100))
        server.wait(1).recv(1000)
        tell()
        server.send(bytes(50))
        client.wait(1).recv(20)
        tell()
        client.setsockopt(IPPROTO_TCP, TCP_INFO, 1)
        client.getsockopt(IPPROTO_TCP, TCP_INFO, 1)
        world.udp().getsockopt(IPPROTO_TCP, TCP_INFO, 8)

    found = differences(script)
    assert not found, "\n".join(found)


def info(script: Script) -> TcpInfo:
    return script.sock.tcp_info()


def test_a_connection_tells_what_it_has_measured() -> None:
    script = established(quick=True)
    assert info(script).state == State.ESTABLISHED
    assert (info(script).rtt, info(script).rttvar, info(script).rto) == (100_000, 50_000, 300_000)
    assert (info(script).snd_mss, info(script).advmss, info(script).pmtu) == (1000, 1460, 1500)
    assert (info(script).snd_cwnd, info(script).snd_ssthresh) == (10, 0x7FFFFFFF)
    script.sends(PSH | ACK, data=bytes(700)).expect(ACK)
    assert (info(script).ato, info(script).rcv_mss) == (40_000, 700)
    script.at(1).sock.send(bytes(2500))
    script.drain()
    script.at(1.25)
    assert (info(script).unacked, info(script).bytes_sent, info(script).data_segs_out) == (3, 2500, 3)
    assert (info(script).segs_in, info(script).segs_out) == (2, 6)
    ages = info(script).last_data_sent, info(script).last_data_recv, info(script).last_ack_recv
    assert ages == (250, 1250, 1250)


def test_what_is_sent_again_is_told() -> None:
    script = established()
    script.sock.send(bytes(600))
    script.at(0.3).drain()
    told = info(script)
    assert (told.retransmits, told.backoff, told.total_retrans, told.total_rto) == (1, 1, 1, 1)
    assert (told.bytes_retrans, told.bytes_sent) == (600, 1200)
    assert told.ca_state == 4


def test_probes_of_a_closed_window_are_told() -> None:
    script = established()
    script.sends(ACK, window=0)
    script.sock.send(bytes(600))
    script.at(0.3).drain()
    assert (info(script).probes, info(script).retransmits, info(script).notsent_bytes) == (1, 0, 600)
    assert info(script).snd_wnd == 0


def test_a_listener_tells_its_backlog() -> None:
    script = syn_received(backlog=7)
    script.sends(ACK)
    assert script.listener is not None
    told = script.listener.tcp_info()
    assert (told.state, told.unacked, told.sacked) == (State.LISTEN, 1, 7)
    script = listening()
    assert script.listener is not None
    assert script.listener.tcp_info().unacked == 0
