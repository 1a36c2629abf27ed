"""Somebody on the way between two ends of a tunnel, who passes on what is true and sends what is not beside it."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import aionetflow as anf
from aionetflow import Network
from aionetflow.link.faults import flip_bit
from aionetflow.tunnel.link import TunnelLink
from aionetflow.tunnel.vxlan import header
from support.talk import pattern

VNI = 42
FRAME = bytes.fromhex("ffffffffffff0200000000990800") + b"not asked for" * 4
RECORDED = 500  # true datagrams that are kept for later
BATCH = 50  # hostile datagrams for each end, then
TURNS = 5  # turns of the loop, in which they are read, and true ones too


class Middle:
    """Passes datagrams on between two ends; each takes it for the other, so that what it adds comes from their peer."""

    def __init__(self, random: Random, near: TunnelLink, far: TunnelLink) -> None:
        self._random = random
        self._recorded: list[tuple[int, bytes]] = []  # to which end, what
        self._sides = [bound("127.0.0.1"), bound("127.0.0.1")]
        self._ends = [near.local, far.local]
        for side, end in zip(self._sides, (near, far), strict=True):
            end.add_peer(side.getsockname())
        for number in (0, 1):
            asyncio.get_running_loop().add_reader(self._sides[number], self._pass, number)

    def inject(self, count: int, kinds: Iterator[bytes]) -> None:
        """Sends so much that is not true: nonsense, and recorded datagrams as they are, changed, or cut short."""
        random = self._random
        for _ in range(count):
            end, datagram = random.choice(self._recorded) if self._recorded else (0, b"")
            kind = random.randrange(4)
            if kind == 0 or not datagram:
                datagram = next(kinds)
            elif kind == 1:
                place = random.randrange(len(datagram) * 8)
                datagram = flip_bit(datagram, place / (len(datagram) * 8))
            elif kind == 2:
                datagram = datagram[: random.randrange(len(datagram))]
            send(self._sides[end], self._ends[end], datagram)

    @property
    def recorded(self) -> list[bytes]:
        """The datagrams that were kept: the first, and some of the later ones."""
        return [datagram for _, datagram in self._recorded]

    def close(self) -> None:
        """Passes nothing on any more."""
        for side in self._sides:
            asyncio.get_running_loop().remove_reader(side)
            side.close()

    def _pass(self, number: int) -> None:
        other = 1 - number
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                datagram = self._sides[number].recv(65536)
                send(self._sides[other], self._ends[other], datagram)
                if len(self._recorded) < RECORDED:
                    self._recorded.append((other, datagram))
                elif self._random.random() < 0.01:
                    self._recorded[self._random.randrange(RECORDED)] = (other, datagram)


def bound(host: str) -> socket.socket:
    """A socket of the kernel's."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.bind((host, 0))
    return made


def send(way: socket.socket, target: tuple[str, int], datagram: bytes) -> None:
    """Sends a datagram, or not if there is no room."""
    with contextlib.suppress(BlockingIOError):
        way.sendto(datagram, target)


def nonsense(random: Random, versions: tuple[bytes, ...]) -> Iterator[bytes]:
    """Random octets, the beginnings of what would be true, frames of another network, frames that nobody sealed."""
    while True:
        kind = random.randrange(4)
        if kind == 0:
            yield random.randbytes(random.randrange(200))
        elif kind == 1:
            yield random.choice(versions) + random.randbytes(random.choice((15, 28, 60, 64, 68, 72, 1400)))
        elif kind == 2:
            yield header(random.randrange(1 << 24)) + FRAME
        else:
            yield header(VNI) + FRAME


class Watched:
    """What has gone into one end of a tunnel, and that nothing else has come out of the other."""

    def __init__(self, near: TunnelLink, far: TunnelLink) -> None:
        self.sent: Counter[int] = Counter()
        self.strange = 0
        far.tap(lambda now, channel, frame, fate: self._goes(channel is far.a_to_b, frame))
        near.tap(lambda now, channel, frame, fate: self._comes(channel is near.b_to_a, frame))

    def _goes(self, outwards: bool, frame: bytes) -> None:
        if outwards:
            self.sent[hash(frame)] += 1

    def _comes(self, inwards: bool, frame: bytes) -> None:
        if inwards:
            known = self.sent.pop(hash(frame), 0)
            self.strange += known == 0
            if known > 1:
                self.sent[hash(frame)] = known - 1


def resident() -> int:
    """The memory of this process, in octets."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def carry(server: anf.Host, client: anf.Host, done: asyncio.Event) -> int:
    """Moves the same data again and again, each time over a connection of its own, until told to stop; how often."""
    data, times = pattern(100_000), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        writer.close()

    async with server:
        listening = await asyncio.start_server(serve, server.addresses[0], 80)
    async with client:
        while times == 0 or not done.is_set():
            reader, writer = await asyncio.open_connection(server.addresses[0], 80)
            assert await reader.read() == data
            writer.close()
            await writer.wait_closed()
            times += 1
    listening.close()
    return times


class Siege(NamedTuple):
    """What came of it: transfers, frames that nobody had sent, octets of memory since its middle, counters."""

    carried: int
    strange: int
    grown: int
    stats: dict[str, int]


async def besiege(datagrams: int, seed: int, key: str | None, versions: tuple[bytes, ...] = (b"\x08",)) -> Siege:
    """So many hostile datagrams for two networks that talk through somebody who is on the way.

    With a key everything is tried; without one, where who is on the way can do as he likes, only what strangers can.
    """
    random = Random(seed)
    kinds = nonsense(random, versions)
    async with Network(seed=seed) as here, Network(seed=seed + 1) as there:
        near = here.tunnel(("127.0.0.1", 0), VNI, key=key)
        far = there.tunnel(("127.0.0.1", 0), VNI, key=key)
        middle, stranger = Middle(random, near, far), bound("127.0.0.3")
        watched = Watched(near, far)
        done = asyncio.Event()
        carrying = asyncio.ensure_future(carry(there.host("web"), here.host("client"), done))
        sent = before = 0
        while sent < datagrams:
            if key is not None:
                middle.inject(BATCH, kinds)
            for target in (near.local, far.local):
                for _ in range(BATCH // 2):
                    send(stranger, target, next(kinds))
            sent += BATCH if key is None else 2 * BATCH
            if sent > datagrams // 2 and not before:
                before = resident()
            for _ in range(TURNS):
                await asyncio.sleep(0)
        grown = resident() - before
        done.set()
        carried = await carrying
        stranger.close()
        middle.close()
        return Siege(carried, watched.strange, grown, near.stats)
