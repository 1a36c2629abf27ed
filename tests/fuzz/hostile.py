"""Frames that somebody sends who wishes a host no good: noise, lies, echoes of what was said, all from one seed.

Some answer what the host has just sent, with numbers and checksums that are right or nearly so: those reach deep. It
hears what the host sends to it; what passes between the host and its friend it only repeats, cuts short, or damages by
one bit, which every checksum finds.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable
from random import Random

HOST_MAC = bytes.fromhex("020000000001")
FRIEND_MAC = bytes.fromhex("020000000002")
MAC = bytes.fromhex("020000000066")
EVERYBODY = b"\xff" * 6
HOST = bytes((10, 0, 0, 1))
FRIEND = bytes((10, 0, 0, 2))
SOURCES = tuple(bytes((10, 0, 0, number)) for number in range(66, 70))
HOST6 = bytes.fromhex("fd000000000000000000000000000001")
SOURCES6 = (bytes.fromhex("fd000000000000000000000000000066"), bytes.fromhex("fe800000000000000000000000000066"))
HOSTS6 = (
    HOST6, bytes.fromhex("fe80000000000000000000fffe000001"), bytes.fromhex("ff020000000000000000000000000001"),
    bytes.fromhex("ff0200000000000000000001ff000001"),
)  # fmt: skip
M32 = 0xFFFFFFFF
SERVER_PORT, CLOSED_PORT, DATAGRAM_PORT = 80, 81, 53
FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
FLAGS = (
    ACK, ACK, ACK, ACK, PSH | ACK, PSH | ACK, FIN | ACK, SYN | ACK, RST, RST | ACK, SYN, FIN, 0, 0xFF, PSH | URG | ACK,
    SYN | FIN, SYN | RST,
)  # fmt: skip
NEAR = (*(0,) * 14, 1, -1, 2, -2, 100, -100, 1460, 65535, -65536, 1 << 20, 1 << 31, -(1 << 30))
LENGTHS = (0, 0, 0, 1, 2, 8, 100, 536, 1000, 1460)
OPTIONS = (
    b"", b"", b"", bytes((2, 4, 5, 180)), bytes((2, 4, 0, 0)), bytes((3, 3, 7, 0)), bytes((3, 3, 255, 1)),
    bytes((4, 2, 1, 1)), bytes((1, 1, 8, 10)) + bytes(8), bytes((1, 1, 8, 10, 255, 255, 255, 255, 0, 0, 0, 1)),
    bytes((1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2)), bytes((5, 34)) + bytes(32) + bytes(2), bytes((2, 0, 0, 0)),
    bytes((2, 40, 1, 1)), bytes((34, 2, 1, 1)), bytes((34, 10)) + bytes(8) + bytes(2), bytes((253, 4, 0xF9, 0x89)),
    bytes((254, 255, 0, 0)), bytes(40), b"\1" * 40, bytes((19, 18)) + bytes(16) + bytes(2),
)  # fmt: skip


def checksum(data: bytes) -> int:
    """RFC 1071's, of an even or odd number of octets."""
    number = int.from_bytes(data, "big") << (8 * (len(data) & 1))
    return ~(number % 0xFFFF) & 0xFFFF


def ipv4(
    protocol: int, payload: bytes, source: bytes, destination: bytes = HOST, ident: int = 7, part: int = 0
) -> bytes:  # fmt: skip
    """An IPv4 packet; `part` is the field of the flags and the offset."""
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, part, 64, protocol, 0, source, destination)
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:] + payload


def ipv6(following: int, payload: bytes, source: bytes, destination: bytes, hops: int) -> bytes:
    """An IPv6 packet."""
    return struct.pack("!IHBB16s16s", 0x60000000, len(payload), following, hops, source, destination) + payload


def summed(protocol: int, payload: bytes, at: int, source: bytes, destination: bytes) -> bytes:
    """A transport's packet with the checksum that goes at `at`, pseudo-header included."""
    pseudo = source + destination + struct.pack("!II", len(payload), protocol)
    sum_ = checksum(pseudo + payload[:at] + b"\0\0" + payload[at + 2 :])
    return payload[:at] + (sum_ or 0xFFFF).to_bytes(2, "big") + payload[at + 2 :]


def tcp(
    ports: tuple[int, int], seq: int, ack: int, flags: int, window: int, options: bytes, data: bytes,
    source: bytes, destination: bytes = HOST,
) -> bytes:  # fmt: skip
    """A TCP segment with a right checksum."""
    offset = (20 + len(options)) << 10
    head = struct.pack("!HHIIHHHH", *ports, seq & M32, ack & M32, offset & 0xF000 | flags, window, 0, 0)
    return summed(6, head + options + data, 16, source, destination)


class Hostile:
    """Who it is that sends them."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.heard: deque[bytes] = deque(maxlen=256)  # what the host has sent to us
        self.said: deque[bytes] = deque(maxlen=256)
        self.overheard: deque[bytes] = deque(maxlen=64)  # between the host and its friend, undamaged
        self.kinds: list[Callable[[], bytes]] = [
            kind
            for weight, kind in (
                (30, self.answer), (12, self.opening), (12, self.bent), (10, self.repeated), (5, self.cut),
                (4, self.noise), (5, self.datagram), (5, self.icmp), (4, self.piece), (4, self.arp), (5, self.ip6),
                (8, self.overheard_again), (2, self.group),
            )
            for _ in range(weight)
        ]  # fmt: skip

    def frames(self, count: int) -> list[bytes]:
        """So many frames."""
        choice, kinds, said = self.random.choice, self.kinds, self.said
        found = []
        for _ in range(count):
            frame = choice(kinds)()
            found.append(frame)
            said.append(frame)
        return found

    # One of each kind -----------------------------------------------------------------------------------------------

    def answer(self) -> bytes:
        """To a segment of the host's, with numbers that fit or nearly do."""
        if not self.heard:
            return self.opening()
        choice = self.random.choice
        frame = choice(self.heard)
        over6 = frame[12:14] == b"\x86\xdd"
        l4 = 54 if over6 else 34
        if len(frame) < l4 + 20 or frame[20 if over6 else 23] != 6:
            return self._advertisement(frame) if over6 else self.icmp()
        to, port, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", frame, l4)
        length = len(frame) - l4 - (offset >> 4) * 4 + bool(flags & SYN) + bool(flags & FIN)
        data = self.random.randbytes(choice(LENGTHS))
        source, destination = (frame[38:54], frame[22:38]) if over6 else (frame[30:34], frame[26:30])
        segment = tcp(
            (port, to), ack + choice(NEAR), seq + length + choice(NEAR), choice(FLAGS),
            choice((0, 1, 1000, 29200, 65535)), choice(OPTIONS), data, source, destination,
        )  # fmt: skip
        if over6:
            return HOST_MAC + MAC + b"\x86\xdd" + ipv6(6, segment, source, destination, 64)
        return self._ethernet(ipv4(6, segment, source))

    def _advertisement(self, question: bytes) -> bytes:
        """The answer to a question of the host's for an IPv6 neighbour."""
        if len(question) < 78 or question[20] != 58 or question[54] != 135:
            return self.ip6()
        source = question[62:78]
        body = bytes((136, 0, 0, 0, 0x60, 0, 0, 0)) + source + b"\2\1" + MAC
        packet = ipv6(58, summed(58, body, 2, source, question[22:38]), source, question[22:38], 255)
        return HOST_MAC + MAC + b"\x86\xdd" + packet

    def opening(self) -> bytes:
        """A SYN, mostly."""
        choice = self.random.choice
        source = choice(SOURCES)
        port = choice((4000, 4001, 4002, 4003, self.random.getrandbits(16)))
        ports = (port, choice((SERVER_PORT, SERVER_PORT, CLOSED_PORT)))
        flags = choice((SYN, SYN, SYN, SYN, SYN | ACK, ACK, RST))
        seq = choice((0, M32, 0x7FFFFFFF, self.random.getrandbits(32)))
        words = (ports, seq, self.random.getrandbits(32), flags, 29200, choice(OPTIONS), b"")
        if not self.random.getrandbits(2):
            source, destination = choice(SOURCES6), choice(HOSTS6[:2])
            return HOST_MAC + MAC + b"\x86\xdd" + ipv6(6, tcp(*words, source, destination), source, destination, 64)
        return self._ethernet(ipv4(6, tcp(*words, source), source))

    def bent(self) -> bytes:
        """Something that was said before, changed here and there; mostly with right lengths and checksums."""
        frame = bytearray(self._earlier())
        for _ in range(self.random.choice((1, 1, 1, 2, 8))):
            at = self.random.randrange(len(frame)) if frame else 0
            match self.random.getrandbits(2):
                case 0:
                    frame[at : at + 1] = self.random.randbytes(1)
                case 1:
                    frame[at:at] = self.random.randbytes(self.random.choice((1, 4, 40)))
                case 2:
                    del frame[at : at + self.random.choice((1, 4, 20))]
                case _:
                    frame[at : at + 2] = self.random.choice((b"\0\0", b"\xff\xff", b"\x7f\xff", b"\x80\0"))
        return mended(bytes(frame)) if self.random.getrandbits(2) else bytes(frame)

    def repeated(self) -> bytes:
        """Something that was said before."""
        return self._earlier()

    def cut(self) -> bytes:
        """The beginning of something."""
        frame = self._earlier()
        return frame[: self.random.randrange(len(frame) + 1)]

    def noise(self) -> bytes:
        """Octets."""
        noise = self.random.randbytes(self.random.choice((0, 1, 13, 14, 20, 60, 1500)))
        match self.random.getrandbits(2):
            case 0:
                return noise
            case 1:
                return HOST_MAC + MAC + self.random.choice((b"\x08\0", b"\x08\x06", b"\x86\xdd")) + noise
            case _:
                protocol = self.random.choice((1, 2, 6, 17, 41, self.random.getrandbits(8)))
                return self._ethernet(ipv4(protocol, noise, self.random.choice(SOURCES)))

    def datagram(self) -> bytes:
        """A UDP datagram."""
        data = self.random.randbytes(self.random.choice(LENGTHS))
        length = self.random.choice((len(data) + 8, len(data) + 8, 0, 7, 65535))
        ports = (self.random.choice((0, 53, 4000)), self.random.choice((DATAGRAM_PORT, DATAGRAM_PORT, 9, 0)))
        source = self.random.choice(SOURCES)
        payload = summed(17, struct.pack("!HHHH", *ports, length, 0) + data, 6, source, HOST)
        return self._ethernet(ipv4(17, payload, source))

    def icmp(self) -> bytes:
        """An echo, or an error about something that the host has sent, or might have."""
        kind = self.random.choice((0, 3, 3, 3, 4, 5, 8, 8, 11, 12, 13, self.random.getrandbits(8)))
        quoted = self.random.choice(self.heard)[14:] if self.heard else b""
        quoted = quoted[: self.random.choice((0, 19, 20, 27, 28, 28, 28, 40, 1000))]
        info = self.random.choice((0, 1, 68, 576, 1280, 1499, 65535))
        body = struct.pack("!BBHHH", kind, self.random.choice((0, 1, 2, 3, 4, 4, 13, 255)), 0, 0, info) + quoted
        body = body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
        return self._ethernet(ipv4(1, body, self.random.choice(SOURCES)))

    def piece(self) -> bytes:
        """A fragment."""
        offset = self.random.choice((0, 0, 1, 2, 60, 100, 8191, self.random.getrandbits(13)))
        part = offset | self.random.choice((0, 0x2000, 0x2000))
        data = self.random.randbytes(8 * self.random.choice((0, 1, 2, 10, 100)) + self.random.choice((0, 0, 0, 3)))
        protocol, ident = self.random.choice((17, 17, 6, 1)), self.random.choice((1, 2, 3))
        return self._ethernet(ipv4(protocol, data, self.random.choice(SOURCES), ident=ident, part=part))

    def arp(self) -> bytes:
        """An ARP packet."""
        anywhere, near = self.random.randbytes(4), HOST[:3] + self.random.randbytes(1)
        addresses = (*SOURCES, HOST, bytes(4), b"\xff" * 4, anywhere, near)
        sender = self.random.choice([address for address in addresses if address != FRIEND])
        macs = (MAC, EVERYBODY, bytes(6), self.random.randbytes(6))
        words = self.random.choice(((1, 0x0800, 6, 4), (1, 0x0800, 6, 4), (1, 0x86DD, 6, 16), (6, 0x0800, 8, 4)))
        body = struct.pack("!HHBBH", *words, self.random.choice((1, 1, 2, 2, 0, 9)))
        body += self.random.choice(macs) + sender + self.random.choice(macs) + self.random.choice(addresses)
        return self.random.choice((HOST_MAC, EVERYBODY)) + MAC + b"\x08\x06" + body + bytes(self.random.choice((0, 18)))

    def ip6(self) -> bytes:
        """An IPv6 packet: neighbour discovery, extension headers, fragments, transports."""
        source, destination = self.random.choice(SOURCES6), self.random.choice(HOSTS6)
        following = self.random.choice((58, 58, 58, 58, 6, 17, 0, 43, 44, 60, 59, self.random.getrandbits(8)))
        body = self.random.randbytes(self.random.choice((0, 4, 8, 16, 24, 32, 100)))
        if following == 58:
            kind = self.random.choice((1, 2, 3, 4, 128, 129, 130, 131, 133, 134, 135, 136, 137, 143))
            links = (b"\1\1" + MAC, b"\2\1" + MAC)
            options = self.random.choice((b"", *links, b"\5\1\0\0\0\0\5\0", b"\1\0", b"\3\4" + bytes(30)))
            target = self.random.choice((HOST6, bytes(16), source, body[:16].ljust(16, b"\0")))
            body = bytes((kind, self.random.choice((0, 0, 1)), 0, 0)) + self.random.randbytes(4) + target + options
            body = summed(58, body, 2, source, destination)
        elif following in (0, 43, 44, 60) and len(body) >= 8:
            body = bytes((self.random.choice((58, 6, 44, 60, 0)), self.random.choice((0, 0, 1, 255)))) + body[2:]
        packet = ipv6(following, body, source, destination, self.random.choice((255, 255, 64, 1, 0)))
        to = b"\x33\x33" + destination[12:] if destination[0] == 0xFF else HOST_MAC
        return to + MAC + b"\x86\xdd" + packet

    def group(self) -> bytes:
        """To many: a broadcast, a multicast, IGMP."""
        to = self.random.choice((b"\xff" * 4, bytes((10, 0, 0, 255)), bytes((224, 0, 0, 1)), bytes((239, 1, 2, 3))))
        kind = self.random.choice((0x11, 0x16, 0x17, 0x22, 0))
        body = bytes((kind, 100, 0, 0)) + to + self.random.randbytes(self.random.choice((0, 0, 4, 12)))
        body = body[:2] + checksum(body).to_bytes(2, "big") + body[4:]
        packet = ipv4(self.random.choice((2, 2, 17, 6, 1)), body, self.random.choice(SOURCES), to)
        mac = EVERYBODY if to[0] in (10, 255) else b"\x01\0\x5e" + bytes((to[1] & 127,)) + to[2:]
        return mac + MAC + b"\x08\0" + packet

    def overheard_again(self) -> bytes:
        """What passed between the host and its friend: again, cut short, or with one bit turned over."""
        if not self.overheard:
            return self.noise()
        frame = self.random.choice(self.overheard)
        match self.random.getrandbits(2):
            case 0:
                return frame[: self.random.randrange(len(frame))]
            case 1:
                return frame
            case _:
                at = self.random.randrange(14, len(frame))
                return frame[:at] + bytes((frame[at] ^ 1 << self.random.getrandbits(3) % 8,)) + frame[at + 1 :]

    # ----------------------------------------------------------------------------------------------------------------

    def _earlier(self) -> bytes:
        """What we have said, or what we have heard, turned round."""
        if self.said and (not self.heard or self.random.getrandbits(2)):
            return self.random.choice(self.said)
        if not self.heard:
            return self.opening()
        frame = self.random.choice(self.heard)
        if frame[12:14] != b"\x08\0" or len(frame) < 34:
            return frame
        return mended(HOST_MAC + MAC + frame[12:26] + frame[30:34] + frame[26:30] + frame[34:])

    def _ethernet(self, packet: bytes) -> bytes:
        return HOST_MAC + MAC + b"\x08\0" + packet


def mended(frame: bytes) -> bytes:
    """An Ethernet frame whose IPv4 length and checksums are made right, if it is long enough to have them."""
    packet = frame[14:]
    if len(packet) < 20 or frame[12:14] != b"\x08\0" or packet[0] >> 4 != 4:
        return frame
    size = (packet[0] & 15) * 4
    if size < 20 or size > len(packet) or FRIEND in (packet[12:16], packet[16:20]):
        return frame
    head = packet[:2] + len(packet).to_bytes(2, "big") + packet[4:10] + b"\0\0" + packet[12:size]
    head = head[:10] + checksum(head).to_bytes(2, "big") + head[12:]
    body = packet[size:]
    at = {1: 2, 6: 16, 17: 6}.get(packet[9], len(body))
    if at + 2 <= len(body):
        if packet[9] == 1:
            body = body[:2] + checksum(body[:2] + b"\0\0" + body[4:]).to_bytes(2, "big") + body[4:]
        else:
            body = summed(packet[9], body, at, head[12:16], head[16:20])
    return frame[:14] + head + body
