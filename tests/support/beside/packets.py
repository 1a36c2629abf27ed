"""Packets as a script's peer makes and reads them, with struct alone: it shares no code with the stack."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE = 1, 2, 4, 8, 16, 32, 64, 128, 256
LETTERS = "FSRPAUECX"  # FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, AE
M32 = 0xFFFFFFFF
ICMP, TCP, UDP, FRAGMENT, ICMPV6 = 1, 6, 17, 44, 58
OURS = {4: "10.0.0.1", 6: "fd00::1"}  # the stack under test
PEER = {4: "10.0.0.2", 6: "fd00::2"}
ROUTER = {4: "10.0.0.254", 6: "fd00::fe"}


def packed(address: str) -> bytes:
    """An address as octets."""
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def flags_of(letters: str) -> int:
    """"SA" is SYN and ACK."""
    return sum(1 << LETTERS.index(letter) for letter in letters)


def letters_of(flags: int) -> str:
    """SYN and ACK are "SA"."""
    return "".join(letter for bit, letter in enumerate(LETTERS) if flags >> bit & 1) or "-"


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


# ---- TCP options


def mss(size: int) -> bytes:
    """RFC 9293 3.7.1."""
    return struct.pack("!BBH", 2, 4, size)


def wscale(shift: int) -> bytes:
    """RFC 7323 2.2."""
    return struct.pack("!BBB", 3, 3, shift)


SACK_OK = b"\x04\x02"  # RFC 2018 2
NOP = b"\x01"


def sack(blocks: Iterable[tuple[int, int]]) -> bytes:
    """RFC 2018 3; absolute numbers."""
    body = b"".join(struct.pack("!II", left & M32, right & M32) for left, right in blocks)
    return struct.pack("!BB", 5, 2 + len(body)) + body


def timestamps(value: int, echo: int) -> bytes:
    """RFC 7323 3.2."""
    return struct.pack("!BBII", 8, 10, value & M32, echo & M32)


def fast_open(cookie: bytes = b"") -> bytes:
    """RFC 7413 4.1.1: a cookie, or a request for one."""
    return struct.pack("!BB", 34, 2 + len(cookie)) + cookie


# ---- making


def ip(
    version: int, protocol: int, payload: bytes, source: str = "", destination: str = "", *, ttl: int = 64,
    tos: int = 0, ident: int = 7, fragment: int = 0x4000,
) -> bytes:  # fmt: skip
    """An IPv4 packet (RFC 791 3.1), or one of IPv6 (RFC 8200 3) without extension headers."""
    src, dst = packed(source or PEER[version]), packed(destination or OURS[version])
    if version == 6:
        return struct.pack("!IHBB", 6 << 28 | tos << 20, len(payload), protocol, ttl) + src + dst + payload
    fields = (0x45, tos, 20 + len(payload), ident, fragment, ttl, protocol)
    head = struct.pack("!BBHHHBBH4s4s", *fields, 0, src, dst)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def summed(version: int, protocol: int, body: bytes, at: int, source: str = "", destination: str = "") -> bytes:
    """A TCP, UDP or ICMPv6 message with its checksum put in at that offset."""
    src, dst = packed(source or PEER[version]), packed(destination or OURS[version])
    pseudo = src + dst + (struct.pack("!IHBB", len(body), 0, 0, protocol) if version == 6 else
                          struct.pack("!BBH", 0, protocol, len(body)))  # fmt: skip
    return body[:at] + struct.pack("!H", checksum(pseudo + body) or 0xFFFF) + body[at + 2 :]


def tcp_header(
    ports: tuple[int, int], seq: int, ack: int, flags: int, window: int, options: bytes, urgent: int
) -> bytes:
    """RFC 9293 3.1, without a checksum."""
    options += NOP * (-len(options) % 4)
    offset = (5 + len(options) // 4) << 12 | flags
    return struct.pack("!HHIIHHHH", *ports, seq & M32, ack & M32, offset, window, 0, urgent) + options


# ---- reading


class Packet(NamedTuple):
    """What the stack has emitted, as far as it can be read without knowing what came before."""

    version: int
    protocol: int
    source: str
    destination: str
    ttl: int
    tos: int
    df: bool
    ident: int
    fragment: tuple[int, bool]  # offset in octets, whether more follow
    label: bool  # whether there is a flow label
    body: bytes  # above IP


def read(packet: bytes) -> Packet:
    """Takes an IP packet apart; AssertionError if a length or the header's checksum is wrong."""
    version = packet[0] >> 4
    if version == 4:
        assert packet[0] == 0x45, f"IP options: {packet[0]:#x}"
        tos, length, ident, frag, ttl, protocol = struct.unpack_from("!xBHHHBB", packet)
        assert checksum(packet[:20]) == 0, "IP header checksum"
        assert length == len(packet), f"total length {length} of {len(packet)} octets"
        source, destination = (socket.inet_ntop(socket.AF_INET, packet[at : at + 4]) for at in (12, 16))
        fragment, df = ((frag & 0x1FFF) * 8, bool(frag & 0x2000)), bool(frag & 0x4000)
        return Packet(4, protocol, source, destination, ttl, tos, df, ident, fragment, False, packet[20:])
    first, length, protocol, ttl = struct.unpack_from("!IHBB", packet)
    assert length == len(packet) - 40, f"payload length {length} of {len(packet) - 40} octets"
    source, destination = (socket.inet_ntop(socket.AF_INET6, packet[at : at + 16]) for at in (8, 24))
    body, fragment, ident = packet[40:], (0, False), 0
    if protocol == FRAGMENT:
        protocol, offset, ident = struct.unpack_from("!BxHI", body)
        fragment, body = (offset & 0xFFF8, bool(offset & 1)), body[8:]
    tos = first >> 20 & 0xFF
    label = bool(first & 0xFFFFF)
    return Packet(6, protocol, source, destination, ttl, tos, False, ident, fragment, label, body)


def check_sum(packet: Packet) -> None:
    """AssertionError if the checksum above IP is wrong; that of a fragment is not looked at."""
    if packet.fragment != (0, False):
        return
    src, dst = packed(packet.source), packed(packet.destination)
    pseudo = src + dst + struct.pack("!II", len(packet.body), packet.protocol)
    if packet.protocol == UDP and packet.body[6:8] == b"\0\0" and packet.version == 4:
        return
    whole = packet.body if packet.protocol == ICMP else pseudo + packet.body
    assert checksum(whole) == 0, f"checksum of protocol {packet.protocol}"


class Segment(NamedTuple):
    """A TCP segment as in its header, numbers absolute."""

    ports: tuple[int, int]
    seq: int
    ack: int
    flags: int
    window: int
    urgent: int
    options: list[tuple[int, bytes]]  # (kind, body) in their order; end of list and padding too
    data: bytes


def read_tcp(body: bytes) -> Segment:
    """Takes a TCP segment apart."""
    source, destination, seq, ack, offset, window, _, urgent = struct.unpack_from("!HHIIHHHH", body)
    end = (offset >> 12) * 4
    options: list[tuple[int, bytes]] = []
    at = 20
    while at < end:
        kind = body[at]
        size = 1 if kind <= 1 else body[at + 1]
        assert size >= 1, "an option without length"
        assert at + size <= end, "an option beyond the header"
        options.append((kind, body[at + 2 : at + size]))
        at += size
    return Segment((source, destination), seq, ack, offset & 0x1FF, window, urgent, options, body[end:])


def plain_option(kind: int, body: bytes) -> Any:
    """An option as a script names it."""
    names = {0: "eol", 1: "nop", 4: "sackOK"}
    if kind in names:
        return names[kind]
    if kind == 2:
        return "mss", struct.unpack("!H", body)[0]
    if kind == 3:
        return "ws", body[0]
    if kind == 34:
        return "tfo", len(body)  # a cookie is each side's own
    return {69: "mptcp"}.get(kind, f"option {kind}"), body.hex()
