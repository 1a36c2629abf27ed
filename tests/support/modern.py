"""Scripts whose peer knows SACK and timestamps: options to send, and what the stack's segments carry."""

from __future__ import annotations

import struct

from aionetflow.socket.options import IPPROTO_TCP, TCP_CONGESTION
from support.fixtures import syn_sent
from support.script import ACK, IRS, M32, MSS, SYN, Heard, Script, syn_options

NOP = 1
Blocks = tuple[tuple[int, int], ...]


def timestamps(tsval: int, tsecr: int) -> bytes:
    """RFC 7323 3.2, with two NOPs in front."""
    return struct.pack("!BBBBII", NOP, NOP, 8, 10, tsval & M32, tsecr & M32)


def sack(*blocks: tuple[int, int]) -> bytes:
    """RFC 2018 3: (first, one after the last) of each block."""
    head = struct.pack("!BBBB", NOP, NOP, 5, 2 + 8 * len(blocks))
    return head + b"".join(struct.pack("!II", start & M32, end & M32) for start, end in blocks)


def blocks_of(heard: Heard) -> list[tuple[int, int]]:
    """The SACK blocks of a segment of the stack."""
    data = heard.options.get(5, b"")
    return [struct.unpack_from("!II", data, 8 * i) for i in range(len(data) // 8)]


def stamps_of(heard: Heard) -> tuple[int, int]:
    """TSval and TSecr of a segment of the stack."""
    tsval, tsecr = struct.unpack("!II", heard.options[8])
    return tsval, tsecr


def at(segment: int) -> int:
    """The sequence number of segment number `segment`, from 0."""
    return (IRS + 1 + segment * MSS) & M32


def numbers(script: Script) -> list[int]:
    """Which segments of MSS octets the stack has sent now."""
    return [((heard.seq - IRS - 1) & M32) // MSS for heard in script.drain() if heard.data]


class Peer:
    """The other end of an established connection that has agreed on SACK, or on timestamps as well."""

    def __init__(self, *, sack: bool = True, stamped: bool = False, congestion: str = "reno", **settings: int) -> None:
        self.stamped = stamped
        self.tsval = 1000
        self.tsecr = 0
        self.script = script = syn_sent()
        for name, value in settings.items():
            script.stack.sysctl[f"net.ipv4.{name}"] = value
        script.after(0.1)
        script.scales["peer"] = None
        options = syn_options(MSS + (12 if stamped else 0), None) + (bytes((NOP, NOP, 4, 2)) if sack else b"")
        script.sends(SYN | ACK, options=options + (self.stamp() if stamped else b""))
        script.take()
        script.mark()
        script.sock.setsockopt(IPPROTO_TCP, TCP_CONGESTION, congestion.encode())

    def stamp(self, tsecr: int | None = None) -> bytes:
        """The timestamps option of the peer's next segment: it gives back the last that came, or tsecr."""
        connection = self.script.sock.connection
        assert connection is not None
        newest = connection.tsval(self.script.clock.now())
        return timestamps(self.tsval, newest if tsecr is None else tsecr)

    def acks(self, segment: int, *blocks: tuple[int, int], tsecr: int | None = None) -> list[int]:
        """It acknowledges all before segment number `segment`, and these (first, one after the last) selectively.

        Returns the numbers of the segments that the stack then sends, at once.
        """
        options = self.stamp(tsecr) if self.stamped else b""
        if blocks:
            options += sack(*((at(first), at(last)) for first, last in blocks))
        self.script.deliver([self.script.segment(ACK, ack=at(segment), options=options)])
        return numbers(self.script)

    def sends(self, count: int) -> list[int]:
        """The application writes so many segments: the numbers of those that leave at once."""
        self.script.sock.send(bytes(range(250)) * (4 * count))
        return numbers(self.script)
