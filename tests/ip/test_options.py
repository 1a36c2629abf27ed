"""IPv4 options: skipped where they are right, reported where they are wrong (RFC 791 3.1, Linux ip_options_compile)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import TCP
from scapy.packet import Packet, Raw

from aionetflow.ip.options import FINE, SOURCE_ROUTED, check
from support.lan import OURS, PEER, Host, back, datagram, ip, raw_host
from support.rules import rule

END, NOP = b"\0", b"\1"
RECORD = b"\7\7\4" + bytes(4)
STAMP = bytes((68, 8, 5, 0)) + bytes(4)
ROUTE = bytes((131, 7, 4)) + bytes((10, 0, 0, 9))


def with_options(options: bytes, protocol: int = 17, transport: Packet | None = None) -> bytes:
    """A datagram, or another packet, whose header has these options."""
    options += bytes(-len(options) % 4)
    packet = bytearray(bytes(ip(proto=protocol) / (transport or datagram())))
    length = 20 + len(options)
    packet[20:20] = options
    packet[0] = 0x40 | length // 4
    packet[2:4] = len(packet).to_bytes(2, "big")
    packet[10:12] = b"\0\0"
    total = sum(int.from_bytes(packet[i : i + 2], "big") for i in range(0, length, 2))
    total = (total & 0xFFFF) + (total >> 16)
    packet[10:12] = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    return bytes(packet)


def listening() -> Host:
    host = raw_host()
    host.udp(("", 5000))
    return host


@rule("RFC 1122 3.2.1.8", "Options that are not understood are skipped", code="ip/options.py")
@pytest.mark.parametrize(
    "options",
    [
        NOP * 4, NOP * 3 + END, END, RECORD + NOP, STAMP, b"\x94\4\0\0", b"\x99\6abcd" + NOP * 2, RECORD + STAMP,
        NOP * 40,
    ],
)
def test_a_datagram_with_options_is_delivered(options: bytes) -> None:
    host = listening()
    assert host.wire.hears(with_options(options)) == []
    assert host.stack.stats.udp.InDatagrams == 1


def test_a_connection_takes_segments_with_options() -> None:
    host = raw_host()
    sock, syn = host.connected()
    segment = back(syn, TCP(flags="PA", seq=0xFFFFFFF1) / Raw(b"data"))
    host.wire.hears(with_options(NOP * 8, 6, segment[TCP]))
    assert sock.recv(9) == b"data"


@rule("RFC 1122 3.2.1.8", "A packet that chooses its own route is not taken: Linux accept_source_route=0",
      code="ip/options.py")
@pytest.mark.parametrize("kind", [131, 137])
def test_a_source_routed_packet_is_dropped_in_silence(kind: int) -> None:
    host = listening()
    assert host.wire.hears(with_options(bytes((kind,)) + ROUTE[1:] + NOP)) == []
    assert host.stack.stats.udp.InDatagrams == 0


WRONG = {
    "no length": (NOP * 3 + b"\7", 23),
    "length of nothing": (b"\7\0" + NOP * 2, 20),
    "length of one": (b"\7\1" + NOP * 2, 20),
    "beyond the header": (NOP + b"\7\7\4", 21),
    "two record routes": (RECORD + RECORD + NOP * 2, 27),
    "two timestamps": (STAMP + STAMP, 28),
    "loose and strict": (ROUTE + bytes((137,)) + ROUTE[1:] + NOP * 2, 27),
    "record route too short": (b"\7\2" + NOP * 2, 21),
    "record route points at itself": (b"\7\7\3" + bytes(4) + NOP, 22),
    "record route with half an address left": (b"\7\6\4" + bytes(3) + NOP * 2, 22),
    "timestamp too short": (bytes((68, 3, 5)) + NOP, 21),
    "timestamp points at itself": (bytes((68, 8, 4, 0)) + bytes(4), 22),
    "timestamp with half a stamp left": (bytes((68, 7, 5, 0)) + bytes(3) + NOP, 22),
    "timestamp with no room for an address": (bytes((68, 8, 5, 1)) + bytes(4), 22),
    "timestamp counts too many": (bytes((68, 8, 9, 0xF0)) + bytes(4), 23),
    "router alert too short": (b"\x94\3\0" + NOP, 21),
}


@rule("RFC 1122 3.2.2.5", "A wrong option is reported, with the octet that is wrong", code="ip/options.py")
@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_option_is_reported(name: str) -> None:
    options, pointer = WRONG[name]
    host = listening()
    (said,) = host.wire.hears(with_options(options))
    assert (said["ICMP"].type, said["ICMP"].code, said["ICMP"].ptr, said.dst) == (12, 0, pointer, PEER)
    stats = host.stack.stats
    assert (stats.ip.InHdrErrors, stats.icmp.OutParmProbs, stats.udp.InDatagrams) == (1, 1, 0)


def test_what_fits_exactly_is_fine() -> None:
    for options in (RECORD, STAMP, b"\7\3\4", bytes((68, 4, 5, 0)), bytes((68, 12, 5, 1)) + bytes(8)):
        packet = with_options(options)
        assert check(packet, 0, (packet[0] & 15) * 4) == FINE
    assert check(with_options(ROUTE), 0, 28) == SOURCE_ROUTED


def test_a_router_looks_at_options_too() -> None:
    host = Host()
    host.raw(OURS + "/24")
    host.raw("10.9.0.1/24")
    host.stack.ip.forwarding = True
    good, bad = (bytearray(with_options(options)) for options in (RECORD + NOP, ROUTE + NOP))
    for packet in (good, bad):
        packet[16:20] = bytes((10, 9, 0, 2))
        packet[10:12] = b"\0\0"
        total = sum(int.from_bytes(packet[i : i + 2], "big") for i in range(0, 28, 2))
        packet[10:12] = (~((total & 0xFFFF) + (total >> 16)) & 0xFFFF).to_bytes(2, "big")
    host.wires[0].hears(bytes(good), bytes(bad))
    assert len(host.wires[1].says()) == 1
