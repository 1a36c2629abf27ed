"""Two stacks that open their connections by Fast Open (RFC 7413), over a link that loses, doubles and reorders."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from aionetflow.clock import ManualClock
from aionetflow.link.base import Receiver
from aionetflow.link.memory import MemoryLink
from aionetflow.socket.options import IPPROTO_TCP, MSG_FASTOPEN, TCP_FASTOPEN
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack
from support.script import NearWrap

SERVERS = {4: ("10.0.0.2", 80), 6: ("fd00::2", 80)}
RTT = 0.02
CLEAN: Mapping[str, float] = {}
FAULTS = {"loss": 0.15, "duplicate": 0.15, "reorder": 0.2, "jitter": 0.01}


class Exchange:
    """A request of the client's, which begins with its length, and the answer: the request backwards."""

    def __init__(self, pair: Pair, request: bytes) -> None:
        self.pair = pair
        self.request = len(request).to_bytes(4, "big") + request
        self.answer = b""
        self.began = pair.clock.now()
        self.sock = pair.stream(pair.client)
        try:
            self.sent = self.sock.sendto(self.request, pair.address, MSG_FASTOPEN)
        except BlockingIOError:
            self.sent = 0
        self.early = self.sent  # octets that went with the SYN

    def run(self) -> bool:
        """Goes on; whether it is done."""
        try:
            while self.sent < len(self.request):
                self.sent += self.sock.send(self.request[self.sent :])
            while piece := self.sock.recv(65536):
                self.answer += piece
        except BlockingIOError:
            return False
        self.took = (self.pair.clock.now() - self.began) / 1e9
        self.sock.close()
        return True


class Pair:
    """A client, a server, and a link between them."""

    def __init__(
        self, seed: int, version: int = 4, limit: int = 16, faults: Mapping[str, float] = CLEAN
    ) -> None:
        self.clock = ManualClock()
        self.link = MemoryLink(self.clock, random.Random(seed), delay=RTT / 2, **faults)  # type: ignore[arg-type]
        self.client, self.server = (Stack(self.clock, random.Random(seed + i)) for i in (1, 2))
        self.client.isn = self.server.isn = NearWrap(random.Random(seed))
        self.address = SERVERS[version]
        for stack, end, number in ((self.client, self.link.a, 1), (self.server, self.link.b, 2)):
            nic = stack.attach_raw("tun0")
            stack.add_address(nic, f"10.0.0.{number}/24")
            stack.add_address(nic, f"fd00::{number}/64")
            nic.link = end
            receiver: Receiver = nic
            end.attach(receiver)
            stack.sysctl["net.ipv4.tcp_fastopen"] = 3
        self.listener = self.stream(self.server)
        self.listener.bind(self.address)
        self.listener.setsockopt(IPPROTO_TCP, TCP_FASTOPEN, limit)
        self.listener.listen()
        self.requests: dict[StreamSocket, bytes] = {}  # what each connection of the server's has read
        self.read: list[bytes] = []  # ... that was whole

    def stream(self, stack: Stack) -> StreamSocket:
        sock = stack.socket(2 if ":" not in self.address[0] else 10)
        assert isinstance(sock, StreamSocket)
        return sock

    def serve(self) -> None:
        """The server does what it can."""
        while self.listener.events():
            self.requests[self.listener.accept()[0]] = b""
        for sock in list(self.requests):
            try:
                self.requests[sock] += sock.recv(65536)
            except BlockingIOError:
                continue
            length, request = self.requests[sock][:4], self.requests[sock][4:]
            if len(length) == 4 and len(request) == int.from_bytes(length, "big"):
                self.read.append(request)
                sock.send(request[::-1])
                sock.close()
                del self.requests[sock]

    def exchange(self, request: bytes, limit: float = 600) -> Exchange:
        """Makes one, however long it takes."""
        exchange, end = Exchange(self, request), self.clock.now() + round(limit * 1e9)
        while True:
            self.serve()
            if exchange.run():
                assert exchange.answer == request[::-1]
                return exchange
            assert self.clock.next_deadline() <= end, f"nothing moves: {exchange.sock}"
            self.clock.advance_to(self.clock.next_deadline())


@pytest.mark.parametrize("version", [4, 6])
def test_a_round_trip_is_saved(version: int) -> None:
    pair = Pair(1, version)
    first, second = pair.exchange(b"who is there?"), pair.exchange(b"who is there?")
    assert (first.early, first.took) == (0, 2 * RTT)
    assert (second.early, second.took) == (17, RTT)
    assert (pair.client.stats.tcp.TCPFastOpenActive, pair.server.stats.tcp.TCPFastOpenPassive) == (1, 1)
    assert pair.client.stats.tcp.RetransSegs == pair.server.stats.tcp.RetransSegs == 0


@pytest.mark.parametrize(("version", "early"), [(4, 1420), (6, 1400)])
def test_more_than_a_syn_holds_goes_with_the_handshakes_end(version: int, early: int) -> None:
    pair = Pair(1, version)
    pair.exchange(b"cookie, please")
    request = random.Random(1).randbytes(10_000)
    exchange = pair.exchange(request)
    assert (exchange.early, round(exchange.took, 9)) == (early, 2 * RTT)
    assert pair.client.stats.tcp.RetransSegs == pair.server.stats.tcp.RetransSegs == 0


@pytest.mark.parametrize("seed", range(40))
def test_a_bad_link_changes_nothing(seed: int) -> None:
    draws = random.Random(seed)
    pair = Pair(seed, draws.choice((4, 6)), draws.choice((1, 16)), FAULTS)
    requests = [draws.randbytes(draws.choice((1, 100, 1420, 1421, 5000))) for _ in range(8)]
    for request in requests:
        pair.exchange(request)
    # RFC 7413 2.1: a late copy of a SYN may be read again, but nothing else is ever read
    assert set(pair.read) == set(requests)
    assert pair.server.stats.tcp.TCPFastOpenPassive > 0


def test_the_bad_links_lead_through_all_corners() -> None:
    taken = failed = again = 0
    for seed in range(15):
        pair = Pair(seed, faults=FAULTS)
        for number in range(10):
            pair.exchange(bytes((number,)) * 300)
        client, server = pair.client.stats.tcp, pair.server.stats.tcp
        taken += client.TCPFastOpenActive
        failed += client.TCPFastOpenActiveFail
        again += server.RetransSegs
    assert taken > 50
    assert failed > 3
    assert again > 10


def test_the_same_seed_gives_the_same_run() -> None:
    def run() -> tuple[float, dict[str, int], dict[str, int]]:
        pair = Pair(3, faults=FAULTS)
        took = sum(pair.exchange(bytes(2000)).took for _ in range(5))
        return took, pair.client.stats.nstat(), pair.server.stats.nstat()

    assert run() == run()
