"""A host under fire: it serves and calls whoever asks, while it and a friend exchange octets that must arrive whole.

    battle = Battle(seed=1)
    battle.round(64)        # so many hostile frames, then what the applications do, then a little time
    battle.end()            # all is closed: nothing may be left

AssertionError if a stream is not what was sent, breaks or stands still; whatever the stack raises comes out.
"""

from __future__ import annotations

import errno
import gc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

from aionetflow.clock import ManualClock
from aionetflow.ip.address import AF_INET, AF_INET6
from aionetflow.link.memory import MemoryLink
from aionetflow.socket.base import Socket
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack
from fuzz.hostile import DATAGRAM_PORT, FRIEND, FRIEND_MAC, HOST_MAC, MAC, SERVER_PORT, SOURCES, Hostile

GOOD_PORT = 9000
STREAM = 200_000  # octets each way, then a new connection
VICTIMS = 48  # connections that the host's applications have with the enemy, at most
PAUSES = (0.0, 0.0, 0.001, 0.001, 0.005, 0.05, 0.2)
LONG_PAUSES = (1.0, 3.0, 70.0)
PATIENCE = 600.0  # s of virtual time in which a stream must have moved
BLOCK = Random(0).randbytes(65521)  # a prime: no segment is like another for a long while
TWICE = BLOCK + BLOCK


def resident() -> int:
    """The memory that this process has, in octets."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class Stream:
    """One direction of a good connection."""

    def __init__(self, sender: StreamSocket, receiver: StreamSocket) -> None:
        self.sender, self.receiver = sender, receiver
        self.sent = self.received = 0
        self.ended = False

    def move(self) -> bool:
        """Sends and receives what can be; True if anything was."""
        before = (self.sent, self.received, self.ended)
        with suppress(BlockingIOError):
            while self.sent < STREAM:
                at = self.sent % len(BLOCK)
                self.sent += self.sender.send(TWICE[at : at + min(8000, STREAM - self.sent)])
                if self.sent == STREAM:
                    self.sender.shutdown(1)
        with suppress(BlockingIOError):
            while not self.ended:
                data = self.receiver.recv(30000)
                at = self.received % len(BLOCK)
                assert data == TWICE[at : at + len(data)], f"octets {self.received} and on are not what was sent"
                self.received += len(data)
                self.ended = not data
        assert not self.ended or self.received == STREAM, f"the stream has ended after {self.received} octets"
        return before != (self.sent, self.received, self.ended)


class Battle:
    """The host, its friend and its enemy."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.clock = ManualClock()
        self.host, self.friend = Stack(self.clock, Random(seed + 1)), Stack(self.clock, Random(seed + 2))
        self.hostile = Hostile(Random(seed + 3))
        self.nic = self.host.attach_ethernet("eth0", HOST_MAC)
        other = self.friend.attach_ethernet("eth0", FRIEND_MAC)
        link = MemoryLink(self.clock, Random(seed + 4), delay=0.0002, offload=False)
        for nic, end in ((self.nic, link.a), (other, link.b)):
            nic.link = end
            end.attach(nic)
        self.host.add_address(self.nic, "10.0.0.1/24")
        self.host.add_address(self.nic, "fd00::1/64")
        self.friend.add_address(other, "10.0.0.2/24")
        # against whoever answers first in another's name ARP has no remedy
        self.nic.neighbours.add_permanent(FRIEND, FRIEND_MAC)
        for address in SOURCES:
            self.nic.neighbours.add_permanent(address, MAC)
        self.nic.taps.append(self._overhear)
        other.taps.append(self._overhear)
        self.server = self._listening(SERVER_PORT, 16)
        self.server6 = self._listening(SERVER_PORT, 16, AF_INET6)
        self.good = self._listening(GOOD_PORT, 4)
        datagrams = self.host.socket(kind=2)
        assert isinstance(datagrams, DatagramSocket)
        datagrams.bind(("", DATAGRAM_PORT))
        self.datagrams = datagrams
        self.victims: list[StreamSocket] = []
        self.frames = self.octets = self.streams = 0
        self.moved_at = 0
        self.pairs = self._good_connections()
        self.connection: tuple[Stream, Stream] | None = None

    def round(self, count: int) -> None:
        """So many hostile frames at once, what the applications do about it, and a little time."""
        self.nic.receive(self.hostile.frames(count))
        self.frames += count
        self._serve()
        if not self.random.getrandbits(2):
            self._exchange()
        pauses = PAUSES if self.random.getrandbits(8) else LONG_PAUSES
        self.clock.advance(self.random.choice(pauses))

    def end(self) -> None:
        """Everything is closed; after the longest time-outs nothing is left of any connection."""
        for sock in (*self.victims, self.server, self.server6, self.good, self.datagrams):
            sock.close()
        if self.connection is not None:
            for stream in self.connection:
                stream.sender.close()
        self.clock.advance(4000)
        assert not self.host.table.connections, self.host.table.connections
        assert not self.host.sockets
        gc.collect()

    # What the host's applications do --------------------------------------------------------------------------------

    def _serve(self) -> None:
        for server in (self.server, self.server6):
            with suppress(OSError):
                self.victims.append(server.accept()[0])
        with suppress(OSError):
            while True:
                data, address = self.datagrams.recvfrom(2000)
                if self.random.getrandbits(1):
                    self.datagrams.sendto(data[:500], address)
        if not self.random.getrandbits(3):
            self._call()
        for _ in range(3):
            if self.victims:
                self._use(self.victims[self.random.randrange(len(self.victims))])
        while len(self.victims) > VICTIMS:
            self.victims.pop(self.random.randrange(len(self.victims))).close()

    def _call(self) -> None:
        """Connects to the enemy."""
        sock = self.host.socket()
        assert isinstance(sock, StreamSocket)
        self.victims.append(sock)
        address = ".".join(map(str, self.random.choice(SOURCES)))
        with suppress(OSError):
            sock.connect((address, self.random.choice((4000, 4001, 4002, 4003))))

    def _use(self, sock: StreamSocket) -> None:
        """Does one thing of those that one can do with a connection."""
        with suppress(OSError):
            match self.random.randrange(12):
                case 0 | 1 | 2 | 3:
                    sock.send(BLOCK[: self.random.choice((1, 100, 2000, 20000))])
                case 4 | 5 | 6 | 7:
                    sock.recv(self.random.choice((1, 1000, 100000)))
                case 8:
                    sock.shutdown(self.random.randrange(3))
                case 9:
                    sock.setsockopt(*self.random.choice(((6, 1, 1), (6, 3, 1), (6, 3, 0), (1, 8, 4000))))
                case 10:
                    sock.setsockopt(1, 13, (1).to_bytes(4, "little") + bytes(4))  # SO_LINGER: close() resets
                case _:
                    self.victims.remove(sock)
                    sock.close()

    # What the friend does -------------------------------------------------------------------------------------------

    def _exchange(self) -> None:
        now = self.clock.now()
        if self.connection is None:
            self.connection = next(self.pairs)
            if self.connection is None:
                assert now - self.moved_at < PATIENCE * 1e9, "the friend does not get through"
                return
        moved = False
        for stream in self.connection:
            before = stream.received
            moved = stream.move() or moved
            self.octets += stream.received - before
        if moved:
            self.moved_at = now
        assert now - self.moved_at < PATIENCE * 1e9, "the good connection stands still"
        if all(stream.ended for stream in self.connection):
            for stream in self.connection:
                stream.sender.close()
            self.connection = None
            self.streams += 1

    def _good_connections(self) -> Iterator[tuple[Stream, Stream] | None]:
        """Connections between friend and host, one at a time; None while it is being made."""
        while True:
            near = self.friend.socket()
            assert isinstance(near, StreamSocket)
            while not self._is_through(near):
                yield None
            far: StreamSocket | None = None
            while far is None:
                far = self._accepted(near)
                if far is None:
                    yield None
            yield Stream(near, far), Stream(far, near)

    def _is_through(self, sock: StreamSocket) -> bool:
        try:
            sock.connect(("10.0.0.1", GOOD_PORT))
        except BlockingIOError:
            return False
        except TimeoutError:
            return False  # tried again
        except OSError as error:
            if error.errno == errno.EISCONN:
                return True
            raise
        return True

    def _accepted(self, near: StreamSocket) -> StreamSocket | None:
        """The host's end of a connection of the friend's; whoever else has found the port is sent away."""
        with suppress(BlockingIOError):
            while True:
                sock, address = self.good.accept()
                if address == near.getsockname():
                    return sock
                sock.close()
        return None

    def _listening(self, port: int, backlog: int, family: int = AF_INET) -> StreamSocket:
        sock: Socket = self.host.socket(family)
        assert isinstance(sock, StreamSocket)
        if family == AF_INET6:
            sock.setsockopt(41, 26, 1)  # IPV6_V6ONLY
        sock.bind(("", port))
        sock.listen(backlog)
        return sock

    def _overhear(self, now: int, frame: bytes, outbound: bool) -> None:
        if outbound:  # what comes in may be the enemy's own
            friendly = frame[:6] == FRIEND_MAC or frame[6:12] == FRIEND_MAC
            (self.hostile.overheard if friendly else self.hostile.heard).append(frame)
