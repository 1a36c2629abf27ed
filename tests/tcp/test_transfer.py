"""Two stacks over a bad link: what is written is what is read, octet for octet, whatever becomes of the frames."""

from __future__ import annotations

import random

import pytest

from aionetflow.clock import ManualClock
from aionetflow.link.base import Receiver
from aionetflow.link.channel import Channel
from aionetflow.link.memory import MemoryLink
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack
from support.decode import RAW_IP, check_frame
from support.script import NearWrap

SERVER = ("10.0.0.2", 80)


class Sender:
    """Writes `data` in pieces of random size whenever there is room, then closes its direction."""

    def __init__(self, sock: StreamSocket, data: bytes, draws: random.Random) -> None:
        self.sock = sock
        self.data = data
        self.draws = draws
        self.sent = 0
        self.done = False

    def run(self) -> bool:
        """Whether anything could be done."""
        if self.done:
            return False
        if self.sent == len(self.data):
            self.sock.shutdown(1)
            self.done = True
            return True
        size = self.draws.choice((1, 10, 100, 1000, 5000))
        try:
            self.sent += self.sock.send(self.data[self.sent : self.sent + size])
        except BlockingIOError:
            return False
        return True


class Reader:
    """Reads pieces of random size until the end of the stream."""

    def __init__(self, sock: StreamSocket, draws: random.Random) -> None:
        self.sock = sock
        self.draws = draws
        self.data = b""
        self.done = False

    def run(self) -> bool:
        """Whether anything could be done."""
        if self.done:
            return False
        try:
            piece = self.sock.recv(self.draws.choice((1, 100, 3000, 65536)))
        except BlockingIOError:
            return False
        self.data += piece
        self.done = not piece
        return True


def whole(_time: int, _channel: Channel, frame: bytes, fate: str) -> None:
    """A frame is valid unless the link has spoilt it."""
    if "corrupted" not in fate:
        check_frame(frame, RAW_IP)


class Pair:
    """Two stacks, a link, and a connection in which both sides write and read."""

    def __init__(self, seed: int, size: int, *, receive_buffer: int = 0, **faults: float) -> None:
        self.draws = random.Random(seed)
        self.clock = ManualClock()
        self.link = MemoryLink(self.clock, random.Random(seed + 1), delay=0.01, **faults)  # type: ignore[arg-type]
        self.link.tap(whole)
        self.client, self.server = (Stack(self.clock, random.Random(seed + i)) for i in (2, 3))
        self.client.isn = self.server.isn = NearWrap(random.Random(seed))
        for stack, end, address in (
            (self.client, self.link.a, "10.0.0.1/24"), (self.server, self.link.b, "10.0.0.2/24")
        ):  # fmt: skip
            nic = stack.attach_raw("tun0")
            stack.add_address(nic, address)
            nic.link = end
            receiver: Receiver = nic
            end.attach(receiver)
        self.listener = self.stream(self.server)
        self.listener.bind(SERVER)
        self.listener.listen()
        self.texts = self.draws.randbytes(size), self.draws.randbytes(size // 2)
        sock = self.stream(self.client)
        if receive_buffer:
            self.listener.setsockopt(1, 8, receive_buffer)
            sock.setsockopt(1, 8, receive_buffer)
        with pytest.raises(BlockingIOError):
            sock.connect(SERVER)
        self.socks = [sock]
        self.work: list[Sender | Reader] = []

    def stream(self, stack: Stack) -> StreamSocket:
        sock = stack.socket()
        assert isinstance(sock, StreamSocket)
        return sock

    def accept(self) -> None:
        """Both sides begin as soon as the server's has the connection."""
        try:
            sock = self.listener.accept()[0]
        except BlockingIOError:
            return
        self.socks.append(sock)
        for one, text in zip(self.socks, self.texts, strict=True):
            self.work += [Sender(one, text, self.draws), Reader(one, self.draws)]

    def drive(self, limit_seconds: float = 3000) -> None:
        """Runs until both have read to the end."""
        end = self.clock.now() + round(limit_seconds * 1e9)
        while not self.work or not all(job.done for job in self.work):
            if not self.work:
                self.accept()
            busy = [job.run() for job in self.work]
            if not any(busy):
                deadline = self.clock.next_deadline()
                assert deadline <= end, f"at {self.clock.now() / 1e9} s nothing moves: {self.socks}"
                self.clock.advance_to(deadline)
        readers = [job for job in self.work if isinstance(job, Reader)]
        assert readers[1].data == self.texts[0]
        assert readers[0].data == self.texts[1]

    def close(self) -> None:
        """Closes all, and waits for all timers to end."""
        for sock in (*self.socks, self.listener):
            sock.close()
        assert self.clock.run_until_idle(7200)
        assert not self.client.sockets
        assert not self.server.sockets


@pytest.mark.parametrize("seed", range(100))
def test_a_bad_link_changes_nothing(seed: int) -> None:
    pair = Pair(seed, 20_000, loss=0.05, reorder=0.05, duplicate=0.05, corrupt=0.02)
    pair.drive()
    pair.close()


@pytest.mark.parametrize("seed", range(10))
def test_a_very_bad_link_changes_nothing(seed: int) -> None:
    pair = Pair(seed, 5_000, loss=0.25, reorder=0.2, duplicate=0.2, corrupt=0.1)
    pair.drive(20_000)
    pair.close()


@pytest.mark.parametrize("seed", range(10))
def test_a_small_window_changes_nothing(seed: int) -> None:
    pair = Pair(seed, 20_000, receive_buffer=2500, loss=0.05, reorder=0.05, duplicate=0.05, corrupt=0.02)
    pair.drive()
    pair.close()


def test_a_good_link_sends_nothing_twice() -> None:
    pair = Pair(1, 300_000, rate=50e6)
    pair.drive(60)
    assert pair.client.stats.tcp.RetransSegs == pair.server.stats.tcp.RetransSegs == 0


def test_the_same_seed_gives_the_same_run() -> None:
    def run() -> tuple[int, dict[str, dict[str, int]]]:
        pair = Pair(5, 20_000, loss=0.05, reorder=0.05, duplicate=0.05, corrupt=0.02)
        pair.drive()
        pair.close()
        return pair.clock.now(), pair.client.stats.as_dict()

    assert run() == run()


def test_an_interrupted_link_is_survived() -> None:
    pair = Pair(3, 100_000, rate=1e6)
    pair.clock.advance(0.05)
    for _ in range(3):
        pair.accept()
        for job in pair.work:
            job.run()
        pair.link.up = False
        pair.clock.advance(5)
        pair.link.up = True
        pair.clock.advance(1)
    pair.drive()
    pair.close()
