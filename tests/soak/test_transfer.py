"""64 MiB over a link that loses, reorders, duplicates and corrupts, both ways at once, octet for octet.

Sizes of writes and reads are random. Half of what is sent in one direction comes back in the other while it goes on, so
that both directions carry data and acknowledgments.
"""

from __future__ import annotations

import hashlib
import os
from random import Random

import pytest

from aionetflow.clock import ManualClock
from aionetflow.link.memory import MemoryLink
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack

MIB = 1 << 20
SIZE = int(os.environ.get("AIONETFLOW_SOAK_MIB", "64")) * MIB
PATTERN = Random(0).randbytes(MIB + 9973)  # not a divisor of anything: a shifted octet is seen


class Stream:
    """One direction: what is still to be written, and a digest of each end."""

    def __init__(self, source: StreamSocket, sink: StreamSocket, size: int, draws: Random) -> None:
        self.source, self.sink, self.size = source, sink, size
        self.draws = draws
        self.written = self.read = 0
        self.sent, self.received = hashlib.sha256(), hashlib.sha256()

    def write(self) -> None:
        while self.written < self.size:
            offset = self.written % len(PATTERN)
            length = min(self.draws.getrandbits(self.draws.choice((3, 11, 17))) + 1, self.size - self.written)
            data = PATTERN[offset : offset + length]
            try:
                count = self.source.send(data)
            except BlockingIOError:
                return
            self.sent.update(data[:count])
            self.written += count

    def take(self) -> None:
        while True:
            try:
                data = self.sink.recv(self.draws.getrandbits(17) + 1)
            except BlockingIOError:
                return
            if not data:
                return
            self.received.update(data)
            self.read += len(data)

    def is_done(self) -> bool:
        return self.read >= self.size


def connected(clock: ManualClock, seed: int) -> tuple[StreamSocket, StreamSocket]:
    """Two sockets on two hosts, joined by a bad link."""
    left, right = Stack(clock, Random(2 * seed)), Stack(clock, Random(2 * seed + 1))
    link = MemoryLink(clock, Random(seed), delay=0.002, loss=0.03, reorder=0.01, duplicate=0.01, corrupt=0.005)
    for stack, end, number in ((left, link.a, 1), (right, link.b, 2)):
        nic = stack.attach_ethernet("eth0", bytes((2, 0, 0, 0, 0, number)))
        nic.link = end
        end.attach(nic)
        stack.add_address(nic, f"10.0.0.{number}/24")
    listener, client = right.socket(), left.socket()
    assert isinstance(listener, StreamSocket)
    assert isinstance(client, StreamSocket)
    listener.bind(("10.0.0.2", 80))
    listener.listen(1)
    with pytest.raises(BlockingIOError):
        client.connect(("10.0.0.2", 80))
    while not listener.events():
        clock.advance(0.5)
    return client, listener.accept()[0]


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(50))
def test_64_mib_arrive_octet_for_octet(seed: int) -> None:
    clock = ManualClock()
    client, server = connected(clock, seed)
    there = Stream(client, server, SIZE, Random(seed + 1000))
    back = Stream(server, client, SIZE, Random(seed + 2000))
    while not (there.is_done() and back.is_done()):
        there.write()
        back.write()
        clock.advance_to(min(clock.next_deadline(), clock.now() + 10**9))
        there.take()
        back.take()
        assert clock.now() < 10**9 * 36_000, "no end in ten hours of virtual time"
    assert (there.read, back.read) == (SIZE, SIZE)
    assert there.received.digest() == there.sent.digest()
    assert back.received.digest() == back.sent.digest()
