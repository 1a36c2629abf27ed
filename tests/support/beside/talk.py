"""One script of socket calls and packets, and the log of what a stack said to it.

A script is a function of a Talk. The stack under test is 10.0.0.1 (fd00::1), the peer is 10.0.0.2 (fd00::2) and says
only what the script tells it to. Numbers are relative: the SYN of either side is 0, the first octet of data is 1.

    def test_data_is_acknowledged_after_a_while(t: Talk) -> None:
        sock, flow = accepted(t)
        flow.sends("PA", b"hello")
        t.wait(0.1)                     # whatever comes out is in the log, with the time since the last action
        sock.recv(100)                  # and so is each call with its outcome
"""

from __future__ import annotations

import errno
import socket
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from support.beside import packets as p
from support.beside.packets import ACK, FIN, ICMP, ICMPV6, M32, RST, SYN, TCP, UDP, letters_of

ISS = 0xFFFFFFF0  # the peer's first sequence number: 16 octets before the wrap
INSTANT = 1e-8  # s; less is rounding
PATIENCE = 5.0  # s; what is expected comes earlier, or not
NEIGHBOURS = range(130, 138)  # ICMPv6 types: multicast listeners, routers, neighbours; none of a script's business
MLD2 = 143
EVENTS = {0x001: "IN", 0x002: "PRI", 0x004: "OUT", 0x008: "ERR", 0x010: "HUP", 0x2000: "RDHUP"}


class Deviation(Exception):
    """Something else came out than what the script goes on from."""


@dataclass
class Entry:
    """One line of a log: something emitted, or the outcome of a call."""

    what: str  # "out", "call" or "end"
    name: str
    fields: dict[str, Any]
    after: float  # s since the script last did something

    def __str__(self) -> str:
        rest = " ".join(f"{key}={value!r}" for key, value in self.fields.items() if value not in ("", None, [], False))
        return f"{self.after * 1000:9.1f} ms  {self.what:4} {self.name} {rest}"


class Side:
    """A stack that a script is driven against; times are in seconds."""

    name = ""

    def now(self) -> float:
        """Its time."""
        raise NotImplementedError

    def put(self, packet: bytes) -> None:
        """Has an IP packet arrive."""
        raise NotImplementedError

    def take(self) -> list[tuple[float, bytes]]:
        """What it has emitted since the last call, with the time."""
        raise NotImplementedError

    def pass_time(self, until: float) -> None:
        """Lets time pass up to that moment, or up to the next packet that it emits."""
        raise NotImplementedError

    def make(self, version: int, kind: int) -> Any:
        """A socket that does not block."""
        raise NotImplementedError

    def events(self, sock: Any) -> int:
        """What poll(2) says of a socket."""
        raise NotImplementedError

    def state(self, sock: Any) -> str:
        """The state of a stream socket, as ss names it."""
        raise NotImplementedError

    def adopt(self, sock: Any) -> Any:
        """An accepted socket, which must not block."""
        return sock


class Sock:
    """A socket of the stack under test: whatever is called on it is logged with its outcome."""

    def __init__(self, talk: Talk, sock: Any, name: str) -> None:
        self.talk = talk
        self.sock = sock
        self.name = name

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.sock, name, None)
        return lambda *args: self.talk.call(f"{self.name}.{name}", method, args)

    def set(self, level: int, option: int, value: int | bytes) -> Sock:
        """setsockopt(), for chains."""
        self.setsockopt(level, option, value)
        return self

    def nodelay(self) -> Sock:
        """TCP_NODELAY."""
        return self.set(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def error(self) -> None:
        """Logs SO_ERROR by its name."""
        read = self.sock.getsockopt
        self.talk.call(
            f"{self.name}.error", lambda: errno.errorcode.get(read(socket.SOL_SOCKET, socket.SO_ERROR), "none"), ()
        )

    def events(self) -> None:
        """Logs what poll(2) says."""
        bits = self.talk.side.events(self.sock)
        self.talk.note(f"{self.name}.events", [name for bit, name in EVENTS.items() if bits & bit])

    def state(self) -> None:
        """Logs the state of the connection."""
        self.talk.note(f"{self.name}.state", self.talk.side.state(self.sock))

    def fill(self, piece: int = 65536) -> None:
        """Sends until there is no room; how much that is is not logged."""
        try:
            while True:
                self.sock.send(bytes(piece))
        except OSError:
            self.talk.acted()

    def tell_port(self) -> int:
        """Its own port; not logged."""
        return int(self.sock.getsockname()[1])


@dataclass
class Heard:
    """A packet that the stack has emitted, numbers relative."""

    flow: Flow | None
    fields: dict[str, Any]
    raw: bytes

    def __getattr__(self, name: str) -> Any:
        try:
            return self.fields[name]
        except KeyError:
            raise Deviation(f"{self.fields} has no {name}") from None


@dataclass
class Flow:
    """The peer's end of one connection (or of one pair of UDP ports)."""

    talk: Talk
    peer: int
    port: int | None  # the stack's; None until it is heard
    version: int
    nxt: int = 0  # what the peer sends next
    heard: int = 0  # up to here the peer has everything
    win: int = 65535  # as in the header
    irs: int | None = None  # the stack's first number, absolute
    offered: bool = False  # the peer's SYN had timestamps
    stamps: bool = False  # both SYNs had
    echo: int = 0  # the last TSval heard
    first_stamp: tuple[int, float] | None = None
    last_id: int | None = None
    tos: int = 0
    raw: list[bytes] = field(default_factory=list)  # all that was heard, as it came

    @property
    def ports(self) -> tuple[int, int]:
        """As in what the peer sends."""
        return self.peer, self.port or 0

    def segment(
        self, letters: str, data: bytes = b"", *, seq: int | None = None, ack: int | None = None,
        win: int | None = None, opts: bytes = b"", ts: tuple[int, int] | bool | None = None,
        sack: list[tuple[int, int]] | None = None, urg: int = 0, tos: int | None = None, ttl: int = 64,
        bad_sum: bool = False,
    ) -> bytes:  # fmt: skip
        """The packet that `sends` would send; the peer goes on from there if no `seq` is given."""
        flags = p.flags_of(letters)
        if win is not None:
            self.win = win
        first = self.nxt if seq is None else seq
        if seq is None:
            self.nxt += len(data) + bool(flags & SYN) + bool(flags & FIN)
        options = opts
        if ts is not False and (ts is not None or self.stamps):
            options += p.NOP * 2 + p.timestamps(*(ts if isinstance(ts, tuple) else (self.talk.stamp(), self.echo)))
        if sack:
            base = self.irs or 0
            options += p.NOP * 2 + p.sack((base + left, base + right) for left, right in sack)
        if flags & SYN:
            self.offered = b"\x08\x0a" in options
        number = ((self.irs or 0) + (self.heard if ack is None else ack)) if flags & ACK else 0
        head = p.tcp_header(self.ports, ISS + first, number, flags, self.win, options, urg)
        body = p.summed(self.version, TCP, head + data, 16)
        if bad_sum:
            body = body[:17] + bytes((body[17] ^ 1,)) + body[18:]
        return p.ip(self.version, TCP, body, tos=self.tos if tos is None else tos, ttl=ttl)

    def sends(self, letters: str, data: bytes = b"", **fields: Any) -> Flow:
        """The peer sends one segment: `seq` is next in order and `ack` all that was heard unless given."""
        self.talk.put(self.segment(letters, data, **fields))
        return self

    def acks(self, ack: int | None = None, **fields: Any) -> Flow:
        """The peer acknowledges."""
        return self.sends("A", ack=ack, **fields)

    def sends_datagram(self, data: bytes, **fields: Any) -> Flow:
        """The peer sends a UDP datagram."""
        body = struct.pack("!HHHH", *self.ports, 8 + len(data), 0) + data
        self.talk.put(p.ip(self.version, UDP, p.summed(self.version, UDP, body, 6), **fields))
        return self

    def sends_icmp(
        self, kind: int, code: int, info: int = 0, *, quoted: bytes | None = None, quote: int = 28, source: str = "",
    ) -> Flow:  # fmt: skip
        """A router says by ICMP what became of a packet of the stack: the last one that was heard, if none is given."""
        packet = (self.raw[-1] if quoted is None else quoted)[: quote if self.version == 4 else 1200]
        body = struct.pack("!BBHI", kind, code, 0, info) + packet
        source = source or p.ROUTER[self.version]
        if self.version == 4:
            body = body[:2] + struct.pack("!H", p.checksum(body)) + body[4:]
            self.talk.put(p.ip(4, ICMP, body, source))
        else:
            self.talk.put(p.ip(6, ICMPV6, p.summed(6, ICMPV6, body, 2, source), source))
        return self


class Talk:
    """A script's conversation with one side."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self.log: list[Entry] = []
        self.flows: list[Flow] = []
        self.unread: list[Heard] = []
        self.mark = side.now()
        self.waited = 0.0  # what the script has waited for; the peer's clock
        self.names = 0

    # Calls ----------------------------------------------------------------------------------------------------------

    def tcp(self, version: int = 4) -> Sock:
        """A new stream socket."""
        return self._sock(self.side.make(version, socket.SOCK_STREAM))

    def udp(self, version: int = 4) -> Sock:
        """A new datagram socket."""
        return self._sock(self.side.make(version, socket.SOCK_DGRAM))

    def call(self, name: str, method: Callable[..., Any] | None, args: tuple[Any, ...]) -> Any:
        """Makes a call and logs the outcome; returns it, or None if it was an error."""
        self.begin()
        try:
            if method is None:
                raise NotImplementedError(name)
            result = method(*args)
        except OSError as error:
            outcome: Any = errno.errorcode.get(error.errno or 0, str(error.errno))
            result = None
        else:
            if isinstance(result, tuple) and hasattr(result[0], "getpeername"):
                result = self._sock(self.side.adopt(result[0])), result[1]
            outcome = plain(result)
        self.log.append(Entry("call", name, {"gives": outcome}, 0.0))
        self.collect(self.mark)
        return result

    def note(self, name: str, value: Any) -> None:
        """Logs something that is to be the same on both sides."""
        self.log.append(Entry("call", name, {"gives": value}, 0.0))

    def acted(self) -> None:
        """The script has done something that is not logged."""
        self.begin()
        self.collect(self.mark)

    # Packets --------------------------------------------------------------------------------------------------------

    def flow(self, peer: int = 4000, port: int | None = 80, version: int = 4) -> Flow:
        """The peer's end of a connection between its port and the stack's (None: whichever is heard first)."""
        flow = Flow(self, peer, port, version)
        self.flows.append(flow)
        return flow

    def put(self, *packets: bytes) -> None:
        """Has packets arrive."""
        self.begin()
        for packet in packets:
            self.side.put(packet)
        self.collect(self.mark)

    def begin(self) -> None:
        """The script does something: from here on time counts anew."""
        self.collect()
        self.unread.clear()
        self.mark = self.side.now()

    def stamp(self) -> int:
        """The peer's timestamp clock, in ms."""
        return 100_000 + round(self.waited * 1000)

    # Time -----------------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Lets time pass; what comes meanwhile is only logged."""
        until = self.side.now() + seconds
        self.waited += seconds
        while until - self.side.now() > INSTANT:
            self.side.pass_time(until)
            self.collect()
        self.unread.clear()

    def expect(self, letters: str | None = None, within: float = PATIENCE, **fields: Any) -> Heard:
        """The next packet since the script last did something; Deviation if it has other flags or fields."""
        until = self.side.now() + within
        self.collect()
        while not self.unread:
            if until - self.side.now() <= INSTANT:
                raise Deviation(f"nothing within {within} s, not {letters} {fields or ''}")
            self.side.pass_time(until)
            self.collect()
        heard = self.unread.pop(0)
        wanted = fields if letters is None else {"flags": letters, **fields}
        found = {key: heard.fields.get(key) for key in wanted}
        if found != wanted:
            raise Deviation(f"not {wanted} but {found}")
        return heard

    def collect(self, at: float | None = None) -> None:
        """Logs what has been emitted: at that time, because an action has just called for it, or when it was read."""
        for when, packet in self.side.take():
            if at is not None:
                when = at
            heard = self._understand(when, packet)
            if heard is not None:
                self.log.append(Entry("out", heard.fields["proto"], heard.fields, when - self.mark))
                self.unread.append(heard)

    # Inside ---------------------------------------------------------------------------------------------------------

    def _sock(self, sock: Any) -> Sock:
        self.names += 1
        return Sock(self, sock, f"sock{self.names}")

    def _understand(self, when: float, raw: bytes) -> Heard | None:
        packet = p.read(raw)
        p.check_sum(packet)
        if packet.protocol == ICMPV6 and (packet.body[0] in NEIGHBOURS or packet.body[0] == MLD2):
            return None
        if packet.version == 6 and packet.protocol == 0:
            return None  # hop-by-hop: multicast listener reports
        fields: dict[str, Any] = {"proto": {TCP: "tcp", UDP: "udp", ICMP: "icmp", ICMPV6: "icmp6"}[packet.protocol]}
        flow = None
        if packet.fragment != (0, False):
            fields |= {"fragment": packet.fragment, "len": len(packet.body)}
        elif packet.protocol == TCP:
            flow = self._tcp(when, packet, fields)
        elif packet.protocol == UDP:
            flow = self._udp(packet, fields)
        else:
            _icmp(packet, fields)
        fields |= {"ttl": packet.ttl, "tos": packet.tos, "to": packet.destination}
        if packet.version == 4:
            fields |= {"df": packet.df, "id": _id_rule(packet, flow)}
        else:
            fields |= {"label": packet.label}
        if flow is not None:
            flow.raw.append(raw)
        return Heard(flow, fields, raw)

    def _flow_of(self, version: int, source: int, destination: int) -> Flow | None:
        for flow in self.flows:
            if (flow.version, flow.peer) == (version, destination) and flow.port in (None, source):
                flow.port = source
                return flow
        return None

    def _tcp(self, when: float, packet: p.Packet, fields: dict[str, Any]) -> Flow | None:
        segment = p.read_tcp(packet.body)
        flow = self._flow_of(packet.version, *segment.ports)
        fields["flags"] = letters_of(segment.flags)
        if flow is None:
            fields |= {"ports": segment.ports[1], "len": len(segment.data)}
            return None
        if segment.flags & SYN:
            flow.irs = segment.seq
        base = flow.irs or 0
        seq = relative(segment.seq, base)
        fields |= {"flow": flow.peer, "seq": seq, "ack": None, "win": segment.window, "len": len(segment.data)}
        if segment.flags & ACK:
            fields["ack"] = relative(segment.ack, ISS)
        if segment.data:
            fields["data"] = digest(segment.data)
        if segment.flags & p.URG or segment.urgent:
            fields["urg"] = segment.urgent
        fields["opts"] = [self._option(kind, body, flow, when) for kind, body in segment.options]
        if segment.flags & SYN and any(kind == 8 for kind, _ in segment.options):
            flow.stamps = flow.offered or not segment.flags & ACK
        end = seq + len(segment.data) + bool(segment.flags & SYN) + bool(segment.flags & FIN)
        if seq <= flow.heard < end and not segment.flags & RST:
            flow.heard = end
        return flow

    def _option(self, kind: int, body: bytes, flow: Flow, when: float) -> Any:
        if kind == 5:
            numbers = [relative(n, ISS) for n in struct.unpack(f"!{len(body) // 4}I", body)]
            return "sack", list(zip(numbers[::2], numbers[1::2], strict=True))
        if kind != 8:
            return p.plain_option(kind, body)
        value, echo = struct.unpack("!II", body)
        flow.echo = value
        if flow.first_stamp is None:
            flow.first_stamp = value, when
        first, then = flow.first_stamp
        passed = (when - then) * 1000
        told = (value - first) & M32
        # the clock runs in ms, and a segment may be read a little after it was made
        return "ts", "clock" if abs(told - passed) <= 10 + passed / 10 else f"{told} after {passed:.0f} ms", echo

    def _udp(self, packet: p.Packet, fields: dict[str, Any]) -> Flow | None:
        source, destination = struct.unpack_from("!HH", packet.body)
        data = packet.body[8:]
        fields |= {"len": len(data), "data": digest(data), "sum": packet.body[6:8] != b"\0\0"}
        return self._flow_of(packet.version, source, destination)


def relative(number: int, base: int) -> int:
    """A sequence number as the distance from the first one, which may be behind it."""
    distance = (number - base) & M32
    return distance - (1 << 32) if distance >= 1 << 31 else distance


def digest(data: bytes) -> Any:
    """Octets in a form that can be read, or at least compared."""
    return data if len(data) <= 16 else f"{len(data)} octets, {zlib.crc32(data):08x}"


def plain(result: Any) -> Any:
    """The outcome of a call with nothing in it that is one side's own."""
    if isinstance(result, bytes):
        return digest(result)
    if isinstance(result, tuple):
        return tuple(item.name if isinstance(item, Sock) else plain(item) for item in result)
    return result


def _id_rule(packet: p.Packet, flow: Flow | None) -> str:
    """What can be said of an IPv4 identification without knowing what it was drawn from.

    A TCP socket counts its packets. What Linux counts for a destination moves on with time as well.
    """
    last = flow.last_id if flow is not None and packet.protocol == TCP else None
    if flow is not None:
        flow.last_id = packet.ident
    if packet.ident == 0:
        return "0"
    return "+1" if last is not None and packet.ident == (last + 1) & 0xFFFF else "some"


def _icmp(packet: p.Packet, fields: dict[str, Any]) -> None:
    kind, code = packet.body[0], packet.body[1]
    fields |= {"type": kind, "code": code}
    if kind in (0, 129):
        fields |= {"echo": packet.body[4:].hex() if len(packet.body) < 40 else digest(packet.body[4:])}
    else:
        fields |= {"info": int.from_bytes(packet.body[4:8], "big"), "quoted": len(packet.body) - 8}
