"""What the story tells of a network, each line from something that is made to happen."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from aionetflow.cli.frames import read_tcp
from aionetflow.cli.main import main
from aionetflow.cli.output import Line
from aionetflow.cli.story import Story
from aionetflow.clock import ManualClock
from aionetflow.network.network import Network
from aionetflow.socket.base import Socket
from aionetflow.socket.stream import StreamSocket
from aionetflow.tcp.segment import ACK, PSH, SYN

RTT = 0.020


class World:
    """A client and a web server on one link of 10 ms, and what is told of them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.net = Network(seed=7, clock=self.clock)
        self.client, self.web = self.net.host("client", "10.0.0.1/24"), self.net.host("web", "10.0.0.2/24")
        self.link = self.net.link(self.client, self.web, delay=RTT / 2)
        self.told: list[Line] = []
        self.frames: list[bytes] = []
        self.story = Story(self.told.append, self.clock, self.client, self.web)
        self.story.watch(self.link, "client", "web")
        self.clock.advance(RTT)  # both have announced their addresses, which nobody needed yet
        self.link.tap(lambda time_ns, channel, frame, fate: self.frames.append(frame))

    def listen(self) -> StreamSocket:
        return self._stream(self.web.socket(), lambda sock: (sock.bind(("", 80)), sock.listen(5)))

    def connect(self) -> StreamSocket:
        sock = self._stream(self.client.socket(), lambda sock: None)
        with pytest.raises(BlockingIOError):
            sock.connect(("10.0.0.2", 80))
        return sock

    def pair(self) -> tuple[StreamSocket, StreamSocket]:
        """Both ends of an open connection."""
        listener, client = self.listen(), self.connect()
        self.clock.advance(4 * RTT)
        server, _ = listener.accept()
        return client, server

    def texts(self, kind: str) -> list[str]:
        """The lines of one kind, what they say only."""
        return [re.split(rf" (?:{kind}|TCP) +", line.text, maxsplit=1)[1] for line in self.told if line.kind == kind]

    @staticmethod
    def _stream(sock: Socket, prepare: object) -> StreamSocket:
        assert isinstance(sock, StreamSocket)
        assert callable(prepare)
        prepare(sock)
        return sock


@pytest.fixture
def world() -> World:
    return World()


# ---- ARP and the handshake


def test_a_question_and_its_answer(world: World) -> None:
    world.connect()
    world.clock.advance(RTT)
    assert world.texts("ARP") == [
        "who has 10.0.0.2? tell 10.0.0.1, 02:00:00:02:00:00  (to all)",
        "10.0.0.2 is at 02:00:00:03:00:00",
    ]


def test_a_question_that_is_lost_and_asked_again(world: World) -> None:
    world.link.loss = 1.0
    world.connect()
    world.link.loss = 0.0
    world.clock.advance(1.0 + RTT)
    first, second, answer = world.texts("ARP")
    assert first == f"{second}  (lost)"
    assert answer == "10.0.0.2 is at 02:00:00:03:00:00"


def test_the_handshake_is_told_in_absolute_numbers(world: World) -> None:
    world.pair()
    syn, syn_ack, ack = world.texts("SYN")
    numbers = r"(SYN|SYN ACK|ACK) +seq (\d+) +(?:ack (\d+) +)?win (\d+)(?: <mss 1460, wscale 7>)?"
    (_, iss, none, _), (_, irs, acked, _), (_, seq, last, _) = (
        found.groups() for line in (syn, syn_ack, ack) if (found := re.fullmatch(numbers, line))
    )
    assert none is None
    assert int(acked) == int(seq) == int(iss) + 1
    assert int(last) == int(irs) + 1
    assert world.texts("AGREED") == [
        f"below, client counts from {iss} = 0, web from {irs} = 0",
        "segments of at most 1460 octets (the lesser MSS), windows in units of 128",
    ]


def test_a_lost_syn_is_sent_again_for_want_of_an_answer(world: World) -> None:
    world.listen()
    world.connect()
    world.clock.advance(0.75 * RTT)
    world.link.a_to_b.loss = 1.0
    world.clock.advance(0.5 * RTT)
    world.link.a_to_b.loss = 0.0
    world.clock.advance(1.0)
    assert world.texts("LOST") == ["SYN"]
    assert world.texts("AGAIN") == ["SYN  no answer for 1000 ms"]


def test_a_connection_refused(world: World) -> None:
    world.connect()
    world.clock.advance(3 * RTT)
    (reset,) = world.texts("RST")
    assert reset.startswith("RST ACK      ack 1 ")
    assert world.texts("STATE")[-1] == "SYN-SENT → CLOSED  (the control block is gone)"


# ---- data


def test_few_of_many_segments_are_told_with_their_numbers(world: World) -> None:
    _, server = world.pair()
    server.send(bytes(14480))
    numbers = [line.split("#")[1] for line in world.texts("DATA")]
    assert numbers == ["1", "2", "4"]
    assert world.texts("DATA")[0].startswith("ACK          seq 1:1449           len 1448")


def test_one_packet_is_followed_over_its_links(world: World) -> None:
    client, _ = world.pair()
    client.send(b"GET")
    first, hop, last = world.texts("HOP")
    assert "IP id" in first
    assert hop.startswith("02:00:00:02:00:00 → 02:00:00:03:00:00  TTL 64  checksum 0x")
    assert last == "IP 10.0.0.1 → 10.0.0.2 on all of them"
    client.send(b"more")
    assert len(world.texts("HOP")) == 3


def test_a_segment_missed_by_its_followers_is_a_fast_retransmit(world: World) -> None:
    client, server = world.pair()
    client.send(b"x")
    world.clock.advance(RTT)
    world.link.b_to_a.loss = 1.0
    server.send(bytes(1448))
    world.link.b_to_a.loss = 0.0
    server.send(bytes(5 * 1448))
    world.clock.advance(RTT)
    assert world.texts("LOST") == ["seq 1:1449           len 1448"]
    assert world.texts("AGAIN") == ["seq 1:1449           len 1448  3 duplicate ACKs: fast retransmit"]
    assert "half of what is in flight" in world.texts("WINDOW")[-1]


def test_two_holes_are_filled_one_by_one(world: World) -> None:
    _, server = world.pair()
    for lost, octets in ((1.0, 1448), (0.0, 1448), (1.0, 1448), (0.0, 5 * 1448)):
        world.link.b_to_a.loss = lost
        server.send(bytes(octets))
    world.clock.advance(3 * RTT)
    assert [line.split("  ")[-1] for line in world.texts("AGAIN")] == [
        "3 duplicate ACKs: fast retransmit",
        "partial ACK: the next hole",
    ]


def test_silence_is_a_time_out(world: World) -> None:
    _, server = world.pair()
    world.link.b_to_a.loss = 1.0
    server.send(bytes(1448))
    world.clock.advance(1.0)
    assert [line.split("  ")[-1] for line in world.texts("AGAIN")] == [
        "no ACK for two round trips: the last segment once more (loss probe)",
        "time-out: no ACK for 220 ms",
        "time-out: no ACK for 440 ms",
    ]
    assert len(world.texts("LOST")) == 4


def test_why_a_frame_did_not_get_through_is_told_if_it_was_not_simply_lost(world: World) -> None:
    client, _ = world.pair()
    world.link.up = False
    client.send(b"x")
    assert world.texts("LOST") == ["seq 1:2              len 1  (link down)"]


def test_a_window_that_closes_and_opens_again(world: World) -> None:
    client, server = world.pair()
    server.send(bytes(400000))
    world.clock.advance(1.0)
    closing = world.texts("WINDOW")[-1]
    assert closing.endswith(" → 0 octets, closed")
    client.recv(300000)
    opening = next(line for line in reversed(world.texts("WINDOW")) if "receive window" in line)
    assert re.fullmatch(r"receive window of client 0 → \d+ octets", opening)


# ---- the end


def test_the_close_with_its_states_to_the_end_of_time_wait(world: World) -> None:
    client, server = world.pair()
    server.close()
    world.clock.advance(RTT)
    client.close()
    world.clock.advance(RTT)
    assert [line.split("  ")[0] for line in world.texts("STATE")] == [
        "CLOSED → SYN-SENT", "CLOSED → SYN-RECEIVED", "SYN-SENT → ESTABLISHED", "SYN-RECEIVED → ESTABLISHED",
        "ESTABLISHED → FIN-WAIT-1", "ESTABLISHED → CLOSE-WAIT", "FIN-WAIT-1 → FIN-WAIT-2", "CLOSE-WAIT → LAST-ACK",
        "FIN-WAIT-2 → TIME-WAIT", "LAST-ACK → CLOSED",
    ]  # fmt: skip
    world.clock.advance(60.0)
    world.story.look()
    assert world.texts("STATE")[-1] == "TIME-WAIT → CLOSED  (the control block is gone)"
    titles = [line.text for line in world.told if line.kind == "title"]
    assert sum("the close" in title for title in titles) == 1


def test_a_close_behind_unsent_data_says_that_the_fin_has_to_wait(world: World) -> None:
    _, server = world.pair()
    server.send(bytes(100000))
    server.close()
    world.clock.advance(0)
    assert world.texts("STATE")[-1] == "ESTABLISHED → FIN-WAIT-1  (closed; the FIN goes after 85520 octets)"


# ---- the whole story


@pytest.fixture
def story(capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main(["demo"]) == 0
    return capsys.readouterr().out.splitlines()


def test_every_arp_question_of_the_demo_is_answered(story: list[str]) -> None:
    asked = [line.split("who has ")[1].split("?")[0] for line in story if "who has" in line]
    assert asked == ["10.0.1.1", "10.0.2.2", "10.0.3.80"]
    for address in asked:
        assert any(f"{address} is at" in line for line in story)


def test_the_packet_loses_one_ttl_at_each_router_and_meets_new_macs(story: list[str]) -> None:
    hops = [line.split() for line in story if " TTL 6" in line]
    assert [hop[hop.index("TTL") + 1] for hop in hops] == ["64", "63", "62"]
    macs = [mac for hop in hops for mac in hop if mac.count(":") == 5]
    assert len(set(macs)) == 6
    sums = [int(hop[-1], 16) for hop in hops]
    assert [later - earlier for earlier, later in pairwise(sums)] == [0x100, 0x100]


def test_whatever_part_of_the_page_was_lost_is_sent_again_later(story: list[str]) -> None:
    for number, line in enumerate(story):
        if " LOST " in line and (found := re.search(r"seq \d+:\d+", line)):
            assert any(" AGAIN " in later and found[0] in later for later in story[number:])


def test_time_goes_forward(story: list[str]) -> None:
    times = [float(line[:10]) for line in story if re.match(r" *\d+\.\d{3}  ", line) and " TTL 6" not in line]
    assert times == sorted(times)
    assert len(times) > 50


# ---- frames


def test_a_segment_is_read_from_a_frame(world: World) -> None:
    client, _ = world.pair()
    syn, *_ = (seen for frame in world.frames if (seen := read_tcp(frame)))
    client.send(b"hello")
    data = read_tcp(world.frames[-1])
    assert data is not None
    assert (syn.flags, syn.mss, syn.window_scale, syn.occupies, syn.names) == (SYN, 1460, 7, True, "SYN")
    assert (data.flags, data.length, data.ttl, data.destination_port) == (PSH | ACK, 5, 64, 80)
    assert data.end == (syn.seq + 6) % 2**32


def test_what_is_no_whole_segment_is_not_read(world: World) -> None:
    client, _ = world.pair()
    client.send(b"hello")
    frame = world.frames[-1]
    assert all(read_tcp(frame[:length]) is None for length in range(len(frame)))
    assert read_tcp(world.frames[0]) is None  # ARP
    for offset in (0x00, 0x40, 0xF0):
        assert read_tcp(frame[:46] + bytes([offset]) + frame[47:]) is None
