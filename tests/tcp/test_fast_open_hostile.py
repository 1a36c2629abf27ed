"""Segments and calls at random around Fast Open (RFC 7413): nothing is raised, nothing is left behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from aionetflow.socket.options import IPPROTO_TCP, MSG_FASTOPEN, TCP_FASTOPEN, TCP_FASTOPEN_CONNECT
from aionetflow.socket.stream import StreamSocket
from support.fixtures import REMOTE
from support.modern import timestamps
from support.script import ACK, FIN, M32, PSH, RST, SYN, URG, Heard, Script, parse, syn_options, tcp_segment

FLAGS = (SYN, SYN, SYN | ACK, ACK, ACK, PSH | ACK, RST, RST | ACK, FIN | ACK, URG | ACK, SYN | FIN, FIN, 0)
DISTANCES = (0, 0, 0, 0, -1, 1, -6, 5, 100, -100, 70_000)
SIZES = (0, 0, 1, 5, 1000)


class Storm:
    """A server and clients with Fast Open, and a peer that says anything at all."""

    def __init__(self, seed: int) -> None:
        self.draws = random.Random(seed)
        self.script = Script()
        self.script.stack.sysctl["net.ipv4.tcp_fastopen"] = self.draws.choice((3, 7, 0x203, 0x403))
        self.listener = self.script.stream()
        self.listener.bind(("10.0.0.1", 80))
        self.listener.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, self.draws.choice((1, 3, 20)))
        self.listener.listen(self.draws.choice((0, 2, 8)))
        self.socks: list[StreamSocket] = []
        self.heard: dict[tuple[int, int], Heard] = {}  # the last segment of each connection
        self.cookie = bytes(8)
        self.script.deliver([tcp_segment((3999, 80), 1000, 0, SYN, 500, b"", b"\x22\2\1\1")])

    def listen(self) -> None:
        """Reads what the stack has said, and remembers its cookie."""
        for _, frame in self.script.nic.sent:
            heard = parse(0, frame)
            self.heard[heard.ports] = heard
            self.cookie = heard.options.get(34) or self.cookie
        self.script.nic.sent.clear()

    def speak(self) -> None:
        """A segment, perhaps twice, near to what is expected."""
        draws = self.draws
        ports = (draws.choice((4000, 4001, 4002)), 80)
        if self.heard and draws.random() < 0.4:
            ports = draws.choice(list(self.heard))[::-1]
        heard = self.heard.get(ports[::-1])
        flags = draws.choice(FLAGS)
        seq = (heard.ack if heard else 1000) + draws.choice(DISTANCES)
        ack = (heard.end if heard else 0) + draws.choice(DISTANCES)
        options = b""
        if flags & SYN:
            options = syn_options(draws.choice((None, 100, 1000)), draws.choice((None, 7)))
            options += draws.choice((b"", b"\1\1" + timestamps(1000, 0)))
            right, wrong = b"\x22\x0a" + self.cookie, b"\x22\x0a" + bytes(8)
            options += draws.choice((b"", b"\x22\2", right, right, right, wrong, b"\x22\5abc"))
        segment = tcp_segment(ports, seq & M32, ack & M32, flags, draws.choice((0, 1, 500, 65535)),
                              bytes(draws.choice(SIZES)), options)  # fmt: skip
        self.script.deliver([segment] * draws.choice((1, 1, 2)))

    def open(self) -> None:
        """A client begins, one way or the other."""
        sock = self.script.stream()
        self.socks.append(sock)
        server = "10.0.0.2", self.draws.choice((90, 91))
        if self.draws.random() < 0.5:
            sock.setsockopt(IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
            sock.connect(server)
        sock.sendto(bytes(self.draws.choice(SIZES)), server, MSG_FASTOPEN)

    def accept(self) -> None:
        self.socks.append(self.listener.accept()[0])

    def call(self) -> None:
        """Something is done with a socket."""
        sock, size = self.draws.choice(self.socks), self.draws.choice(SIZES)
        calls: list[Callable[[], object]] = [
            lambda: sock.send(bytes(size)), lambda: sock.sendto(bytes(size), REMOTE, MSG_FASTOPEN),
            lambda: sock.recv(1000), lambda: sock.shutdown(self.draws.choice((0, 1, 2))), sock.close,
            lambda: sock.connect(REMOTE), sock.tcp_info, sock.events,
        ]  # fmt: skip
        self.draws.choice(calls)()

    def wait(self) -> None:
        self.script.after(self.draws.choice((0.01, 0.3, 1.0, 3.0, 30.0)))

    def run(self, steps: int) -> None:
        """So many things happen."""
        for _ in range(steps):
            self.listen()
            (act,) = self.draws.choices((self.speak, self.accept, self.open, self.call, self.wait), (55, 10, 7, 18, 10))
            with suppress(OSError, IndexError):  # IndexError: there is no socket yet
                act()

    def end(self) -> None:
        """All is closed, and all time-outs are waited for."""
        for sock in self.socks:
            sock.close()
        self.script.after(4000)
        while self.listener.events():
            self.listener.accept()[0].close()
        self.script.after(4000)


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_left_behind(seed: int) -> None:
    storm = Storm(seed)
    storm.run(100)
    listener = storm.listener.listener
    assert listener is not None
    queue = listener.fast_open
    assert queue is not None
    storm.end()
    assert storm.script.stack.table.connections == {}
    assert storm.script.stack.half_open.requests == {}
    assert queue.length == len(queue.resets)
    assert queue.length <= queue.limit


def test_the_storms_open_connections() -> None:
    opened = 0
    for seed in range(30):
        storm = Storm(seed)
        storm.run(100)
        opened += storm.script.stack.stats.tcp.TCPFastOpenPassive
    assert opened > 25
