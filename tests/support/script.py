"""Packet scripts: one stack on a manual clock, and opposite to it a peer that says only what a test tells it to.

The peer is a small TCP/IP of its own, made with struct; it shares no code with the stack.

    script = established()
    script.sock.send(b"hello")
    script.expect(PSH | ACK, data=b"hello")     # exactly now, exactly this, next in order, all acknowledged
    script.at(0.3).expect(PSH | ACK, seq=IRS + 1, data=b"hello")
    script.sends(ACK, window=500)

Times are seconds since the fixture was ready. What is expected must have been emitted exactly at the script's time, and
nothing that the stack emits may go unread: `sends`, `expect_nothing` and `finish` fail on what is left over. Every
frame goes through an independent decoder.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from typing import NamedTuple

from aionetflow.clock import ManualClock
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack
from aionetflow.tcp.isn import InitialNumbers
from support.decode import RAW_IP, check_frame

FIN, SYN, RST, PSH, ACK, URG = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
ISS = 0xFFFFFFF0  # the peer's first sequence number: 16 octets before the wrap
IRS = 0xFFFFFFFA  # the stack's
MSS = 1000  # what the peer offers; the stack's own is 1460
M32 = 0xFFFFFFFF
SECOND = 1_000_000_000
PEER = bytes((10, 0, 0, 2))
STACK = bytes((10, 0, 0, 1))
PEER_PORT = 4000
SERVER_PORT = 80


class NearWrap(InitialNumbers):
    """Initial sequence numbers that are all IRS."""

    def initial(self, key: bytes, now: int) -> int:
        """IRS."""
        return IRS


class Heard(NamedTuple):
    """One segment that the stack has emitted."""

    time: float
    flags: int
    seq: int
    ack: int
    window: int  # as in the header
    data: bytes
    options: dict[int, bytes]  # by kind
    ports: tuple[int, int]

    @property
    def end(self) -> int:
        """The sequence number after it."""
        return (self.seq + len(self.data) + bool(self.flags & SYN) + bool(self.flags & FIN)) & M32

    @property
    def mss(self) -> int | None:
        """The MSS option."""
        return int.from_bytes(self.options[2], "big") if 2 in self.options else None

    @property
    def wscale(self) -> int | None:
        """The window scale option."""
        return self.options[3][0] if 3 in self.options else None

    def __repr__(self) -> str:
        return (
            f"[{self.time:.6f} {names(self.flags)} seq={self.seq:#x} ack={self.ack:#x} win={self.window}"
            f" len={len(self.data)} {self.data[:8]!r} {self.options or ''}]"
        )


def names(flags: int) -> str:
    """Flags as letters: "SA" is SYN and ACK."""
    return "".join(letter for bit, letter in enumerate("FSRPAUEC") if flags >> bit & 1) or "-"


def checksum(data: bytes) -> int:
    """RFC 1071."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip_packet(protocol: int, payload: bytes, source: bytes = PEER, destination: bytes = STACK) -> bytes:
    """An IPv4 packet (RFC 791 3.1)."""
    fields = (0x45, 0, 20 + len(payload), 7, 0x4000, 64, protocol)
    head = struct.pack("!BBHHHBBH4s4s", *fields, 0, source, destination)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp_segment(
    ports: tuple[int, int], seq: int, ack: int, flags: int, window: int, data: bytes = b"", options: bytes = b"",
) -> bytes:  # fmt: skip
    """An IPv4 packet with a TCP segment from the peer (RFC 9293 3.1)."""
    options += b"\0" * (-len(options) % 4)
    offset = (5 + len(options) // 4) << 4
    head = struct.pack("!HHIIBBHHH", *ports, seq & M32, ack & M32, offset, flags, window, 0, 0)
    body = head + options + data
    pseudo = PEER + STACK + struct.pack("!HH", 6, len(body))
    return ip_packet(6, body[:16] + struct.pack("!H", checksum(pseudo + body)) + body[18:])


def parse(time: float, packet: bytes) -> Heard:
    """Reads a TCP segment out of an IPv4 packet that check_frame has passed."""
    assert packet[9] == 6, f"protocol {packet[9]}"
    l4 = (packet[0] & 15) * 4
    source, destination, seq, ack, offset, flags, window = struct.unpack_from("!HHIIBBH", packet, l4)
    l5 = l4 + (offset >> 4) * 4
    options: dict[int, bytes] = {}
    position = l4 + 20
    while position < l5 and packet[position]:
        if packet[position] == 1:
            position += 1
            continue
        size = packet[position + 1]
        options[packet[position]] = packet[position + 2 : position + size]
        position += size
    return Heard(time, flags, seq, ack, window, packet[l5:], options, (source, destination))


def syn_options(mss: int | None, wscale: int | None) -> bytes:
    """The options of a SYN (RFC 9293 3.2, RFC 7323 2.2)."""
    options = b"" if mss is None else struct.pack("!BBH", 2, 4, mss)
    return options if wscale is None else options + struct.pack("!BBBB", 1, 3, 3, wscale)


class Script:
    """A stack with the address 10.0.0.1 and a peer with the address 10.0.0.2."""

    def __init__(self, mtu: int = 1500) -> None:
        self.clock = ManualClock()
        self.stack = Stack(self.clock, random.Random(7))
        self.stack.isn = NearWrap(random.Random(7))
        self.nic = self.stack.attach_raw("tun0", mtu)
        self.stack.add_address(self.nic, "10.0.0.1/24")
        self.start = 0  # what `at` counts from, in ns
        self.unread: list[Heard] = []
        self.ports = (PEER_PORT, SERVER_PORT)  # as in what the peer sends
        self.nxt = ISS  # what the peer sends next
        self.heard = 0  # the first sequence number that the peer still waits for
        self.window = 65535  # what the peer offers, in octets
        self.scales: dict[str, int | None] = {"peer": None, "stack": None}  # as in their SYNs
        self.edge: int | None = None  # how far the stack has let the peer send
        self.listener: StreamSocket | None = None
        self._sock: StreamSocket | None = None

    # Sockets --------------------------------------------------------------------------------------------------------

    @property
    def sock(self) -> StreamSocket:
        """The socket under test."""
        assert self._sock is not None
        return self._sock

    @sock.setter
    def sock(self, sock: StreamSocket) -> None:
        self._sock = sock

    def stream(self) -> StreamSocket:
        """A new stream socket."""
        sock = self.stack.socket()
        assert isinstance(sock, StreamSocket)
        return sock

    def datagram(self) -> DatagramSocket:
        """A new datagram socket."""
        sock = self.stack.socket(kind=2)
        assert isinstance(sock, DatagramSocket)
        return sock

    @property
    def state(self) -> int:
        """The state of the connection under test, as in aionetflow.tcp.states.State."""
        assert self.sock.connection is not None
        return self.sock.connection.state

    # Time -----------------------------------------------------------------------------------------------------------

    def mark(self) -> Script:
        """From here on time counts from now."""
        self.start = self.clock.now()
        return self

    def at(self, seconds: float) -> Script:
        """Lets time pass until `seconds` after the mark."""
        self.clock.advance_to(self.start + round(seconds * SECOND))
        return self

    def after(self, seconds: float) -> Script:
        """Lets `seconds` pass."""
        self.clock.advance(seconds)
        return self

    # What the peer sends --------------------------------------------------------------------------------------------

    def segment(
        self, flags: int, *, seq: int | None = None, ack: int | None = None, data: bytes = b"",
        window: int | None = None, mss: int | None = None, wscale: int | None = None, options: bytes = b"",
    ) -> bytes:  # fmt: skip
        """The packet that `sends` would send; the peer goes on from there if no `seq` is given."""
        if window is not None:
            self.window = window
        if flags & SYN:
            self.scales["peer"] = wscale
        raw = self.window >> (0 if flags & SYN else self.scale("peer"))
        options = options or syn_options(mss, wscale)
        first = self.nxt if seq is None else seq
        if seq is None:
            self.nxt = (self.nxt + len(data) + bool(flags & SYN) + bool(flags & FIN)) & M32
        number = self.heard if ack is None else ack
        raw = min(raw, 65535)
        return tcp_segment(self.ports, first, number if flags & ACK else 0, flags, raw, data, options)

    def sends(self, flags: int, **fields: object) -> Script:
        """The peer sends one segment: `seq` is next in order and `ack` all that was heard unless given."""
        self.expect_nothing()
        self.deliver([self.segment(flags, **fields)])  # type: ignore[arg-type]
        return self

    def deliver(self, packets: list[bytes]) -> Script:
        """Packets arrive, as one batch."""
        self.nic.receive(packets)
        return self

    def sends_icmp(self, kind: int, code: int, quoted: Heard, info: int = 0) -> Script:
        """A router says by ICMP what became of a segment of the stack (RFC 792)."""
        tcp = struct.pack("!HHI", *quoted.ports, quoted.seq)
        quote = ip_packet(6, tcp, STACK, PEER)
        body = struct.pack("!BBHHH", kind, code, 0, 0, info) + quote
        body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
        return self.deliver([ip_packet(1, body, bytes((10, 0, 0, 254)))])

    def scale(self, who: str) -> int:
        """The shift of the windows of "peer" or "stack": both must have offered to scale (RFC 7323 2.2, 2.3)."""
        if None in self.scales.values():
            return 0
        return min(self.scales[who] or 0, 14)

    # What the stack has sent ----------------------------------------------------------------------------------------

    def collect(self) -> None:
        """Takes over what the stack has emitted; every frame of it must be whole and right."""
        while self.nic.sent:
            time, frame = self.nic.sent.pop(0)
            check_frame(frame, RAW_IP)
            heard = parse((time - self.start) / SECOND, frame)
            if heard.flags & SYN:
                self.scales["stack"] = heard.wscale
            self._check_edge(heard)
            self.unread.append(heard)

    def _check_edge(self, heard: Heard) -> None:
        """RFC 9293 3.8.6: a window, once offered, is not taken back."""
        if not heard.flags & ACK or heard.flags & RST or heard.ports != self.ports[::-1]:
            return
        edge = heard.ack + self.octets(heard)
        # What is lost to rounding by the scale is not shrinking.
        slack = (1 << self.scale("stack")) - 1
        if self.edge is not None and not heard.flags & SYN:
            assert (edge + slack - self.edge) & M32 < 1 << 31, f"the window shrank: {heard}"
        self.edge = edge & M32

    def octets(self, heard: Heard) -> int:
        """The window of a segment of the stack, in octets; that of a SYN is never scaled."""
        return heard.window << (0 if heard.flags & SYN else self.scale("stack"))

    def drain(self) -> list[Heard]:
        """All that is unread, unchecked but for its form; what is in order counts as heard."""
        self.collect()
        taken, self.unread = self.unread, []
        for heard in taken:
            self._follow(heard)
        return taken

    def take(self) -> Heard:
        """The next segment, which must have been emitted now."""
        self.collect()
        assert self.unread, f"nothing was emitted by {self.now():.6f}"
        heard = self.unread.pop(0)
        assert heard.time == self.now(), f"emitted at another time than {self.now():.6f}: {heard}"
        self._follow(heard)
        return heard

    def expect(
        self, flags: int, *, seq: int | None = None, ack: int | None = None, data: bytes = b"",
        window: int | None = None,
    ) -> Heard:  # fmt: skip
        """The next segment, now, with these flags: by default in order, empty, acknowledging all that was sent."""
        first = (self.heard if seq is None else seq) & M32
        number = (self.nxt if ack is None else ack) & M32 if flags & ACK else 0
        heard = self.take()
        wanted = (names(flags), first, number, data)
        assert (names(heard.flags), heard.seq, heard.ack, heard.data) == wanted, (
            f"{heard} is not {names(flags)} seq={first:#x} ack={number:#x} len={len(data)}"
        )
        assert window is None or self.octets(heard) == window, f"{heard}: window {window}"
        return heard

    def expect_data(self, data: bytes, sizes: Sequence[int] | None = None) -> list[Heard]:
        """The next segments carry just `data`, now and in order, in pieces of these sizes."""
        segments: list[Heard] = []
        rest = data
        while rest:
            heard = self.expect_some()
            assert rest.startswith(heard.data), f"{heard} does not go on with {rest[:8]!r}"
            rest = rest[len(heard.data) :]
            segments.append(heard)
        assert sizes is None or [len(heard.data) for heard in segments] == list(sizes), segments
        return segments

    def expect_some(self) -> Heard:
        """The next segment, now: data in order that acknowledges all that was sent."""
        wanted = self.heard
        heard = self.take()
        assert heard.flags & ~PSH == ACK, heard
        assert heard.data, heard
        assert (heard.seq, heard.ack) == (wanted, self.nxt), f"{heard} wanted seq {wanted:#x} ack {self.nxt:#x}"
        return heard

    def expect_nothing(self) -> Script:
        """Nothing that the stack has emitted is unread."""
        self.collect()
        assert not self.unread, f"unread at {self.now():.6f}: {self.unread}"
        return self

    def now(self) -> float:
        """Seconds since the mark."""
        return (self.clock.now() - self.start) / SECOND

    def _follow(self, heard: Heard) -> None:
        if (self.heard - heard.seq) & M32 < 1 << 31 and (heard.end - self.heard) & M32 < 1 << 31:
            self.heard = heard.end
