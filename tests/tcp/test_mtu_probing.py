"""Finding the MTU of a path whose routers tell none: RFC 4821, as Linux's net.ipv4.tcp_mtu_probing."""

from __future__ import annotations

import pytest

from aionetflow.socket.options import IPPROTO_TCP, TCP_MAXSEG
from aionetflow.tcp import congestion
from aionetflow.tcp.recovery import Recovery
from aionetflow.tcp.rtt import RttEstimator
from support.fixtures import syn_sent
from support.modern import NOP, sack, timestamps
from support.rules import rule
from support.script import ACK, IRS, M32, SYN, Heard, syn_options

HEADERS = 40
DATA = 60_000


class Path:
    """A connection whose peer hears only packets of at most `mtu` octets; nobody says what became of the others."""

    def __init__(self, mtu: int, *, mss: int = 1460, window: int = 400_000, sack: bool = True, stamped: bool = False,
                 **settings: int) -> None:  # fmt: skip
        self.mtu = mtu
        self.sack = sack
        self.stamped = stamped
        self.script = script = syn_sent()
        for name, value in settings.items():
            script.stack.sysctl[f"net.ipv4.{name}"] = value
        script.after(0.05)
        options = syn_options(mss, 7) + (bytes((NOP, NOP, 4, 2)) if sack else b"")
        self.window = window
        script.sends(SYN | ACK, options=options + (timestamps(1, 0) if stamped else b""), wscale=7)
        script.take()
        self.next = script.heard  # all before has arrived ...
        self.islands: list[tuple[int, int]] = []  # ... and of what follows these, as offsets from IRS
        self.lengths: list[int] = []  # of all segments with data, as they left
        script.mark()

    @property
    def mss(self) -> int:
        """TCP_MAXSEG."""
        value = self.script.sock.getsockopt(IPPROTO_TCP, TCP_MAXSEG)
        assert isinstance(value, int)
        return value

    def send(self, octets: int) -> None:
        """The application writes, as much as there is room for."""
        self.script.sock.send(bytes(octets))

    def round_trip(self, seconds: float = 0.05) -> list[int]:
        """What has left arrives, if it is short enough, and is acknowledged after a while: how long each was."""
        heard = [segment for segment in self.script.drain() if segment.data]
        self.lengths += [len(segment.data) for segment in heard]
        self.script.after(seconds)
        for segment in heard:
            self.script.after(0.0001)  # as they come from a wire, one after the other
            if len(segment.data) + HEADERS + (12 if self.stamped else 0) <= self.mtu:
                self._take(segment)
        return [len(segment.data) for segment in heard]

    def rounds(self, count: int, octets: int = DATA) -> None:
        """So many round trips in which the application writes on and on."""
        for _ in range(count):
            sock = self.script.sock
            assert sock.connection is not None
            if sock.connection.snd.room() >= octets:
                self.send(octets)
            self.round_trip()

    def search(self) -> None:
        """As rounds, until it is known to a few octets what the path takes."""
        for _ in range(60):
            self.rounds(1)
            low, high = self.range
            if high - low < 8:
                return
        raise AssertionError(f"the search has not ended at {low} to {high}")

    @property
    def range(self) -> tuple[int, int]:
        """search_low and search_high, octets of a packet."""
        connection = self.script.sock.connection
        assert connection is not None
        assert connection.search is not None
        return connection.search.low, connection.search.high

    def stalled(self, seconds: float) -> list[tuple[float, int]]:
        """Time passes; what leaves meanwhile, as (when, how long), arrives if it may."""
        left = []
        for _ in range(round(seconds / 0.01)):
            for segment in self.script.drain():
                if segment.data:
                    left.append((segment.time, len(segment.data)))
                    if len(segment.data) + HEADERS <= self.mtu:
                        self._take(segment)
            self.script.after(0.01)
        return left

    def _take(self, segment: Heard) -> None:
        start = (segment.seq - IRS) & M32
        self.islands = merged([*self.islands, (start, start + len(segment.data))])
        if self.islands[0][0] <= (self.next - IRS) & M32:
            self.next = max(self.next, IRS + self.islands.pop(0)[1])
        options = timestamps(2, 0) if self.stamped else b""
        if self.islands and self.sack:
            options += sack(*((IRS + first, IRS + last) for first, last in self.islands[:3]))
        script = self.script
        script.deliver([script.segment(ACK, ack=self.next & M32, window=self.window, options=options)])


def merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans in order, those that touch made one."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def counted(path: Path) -> tuple[int, int]:
    stats = path.script.stack.stats.tcp
    return stats.TCPMTUPSuccess, stats.TCPMTUPFail


@rule("RFC 4821 7.2", "A search begins with segments that nearly every path takes", code="tcp/mtu_probing.py")
def test_it_begins_with_1024_octets() -> None:
    path = Path(1500, tcp_mtu_probing=2)
    assert path.mss == 1024
    path.send(5000)
    assert path.round_trip() == [1024] * 4 + [904]


def test_a_peer_that_takes_less_gets_less() -> None:
    assert Path(1500, mss=536, tcp_mtu_probing=2).mss == 536
    assert Path(1500, mss=600, tcp_mtu_probing=2, tcp_base_mss=500).mss == 500


@rule("RFC 4821 7.3", "A probe is halfway to the longest that could be", code="tcp/mtu_probing.py")
def test_a_probe_is_halfway_between() -> None:
    path = Path(1500, tcp_mtu_probing=2)
    path.send(DATA)
    path.round_trip()  # ten segments: Linux probes with eleven
    lengths = path.round_trip()
    assert lengths[0] == (1064 + 1500) // 2 - HEADERS == 1242
    assert set(lengths[1:]) == {1024}


@rule("RFC 4821 7.6.1", "When a probe is acknowledged, segments are as long as it", code="tcp/mtu_probing.py")
def test_segments_are_as_long_as_what_arrived() -> None:
    path = Path(1500, tcp_mtu_probing=2)
    path.send(DATA)
    path.round_trip()
    path.round_trip()
    assert path.mss == 1242
    assert counted(path) == (1, 0)
    path.send(DATA)
    assert path.round_trip()[0] == (1282 + 1500) // 2 - HEADERS


@pytest.mark.parametrize("mtu", [1500, 1400, 1281, 1100])
@pytest.mark.parametrize("selective", [True, False])
def test_the_longest_is_found(mtu: int, selective: bool) -> None:
    path = Path(mtu, sack=selective, tcp_mtu_probing=2)
    path.search()
    assert mtu - 8 < path.mss + HEADERS <= mtu  # net.ipv4.tcp_probe_threshold
    assert path.script.stack.stats.tcp.TCPTimeouts == 0


def test_with_timestamps_they_count_as_headers() -> None:
    path = Path(1400, stamped=True, tcp_mtu_probing=2)
    assert path.mss == 1024
    path.search()
    assert 1400 - 8 < path.mss + HEADERS + 12 <= 1400


@rule("RFC 4821 7.6.2", "A probe that is lost is no sign of congestion", code="tcp/mtu_probing.py")
def test_a_lost_probe_leaves_the_window_as_it_is() -> None:
    path = Path(1100, tcp_mtu_probing=2)
    path.rounds(2)
    connection = path.script.sock.connection
    assert connection is not None
    cwnd = connection.recovery.cc.cwnd
    _, high = path.range
    path.rounds(3)
    assert counted(path)[1] >= 1
    assert path.range[1] < high
    assert connection.recovery.cc.cwnd >= cwnd
    stats = path.script.stack.stats.tcp
    assert (stats.TCPSackRecovery, stats.TCPTimeouts) == (0, 0)


def test_what_was_in_a_lost_probe_goes_again_in_short_segments() -> None:
    path = Path(1100, tcp_mtu_probing=2)
    path.send(DATA)
    path.round_trip()
    assert path.round_trip()[0] == 1242
    first = path.next
    again = [heard for heard in path.script.drain() if heard.seq == first & M32 or heard.seq == (first + 1024) & M32]
    assert [len(heard.data) for heard in again] == [1024, 218]


@rule("RFC 4821 7.4", "A probe waits for enough data to go behind it", code="tcp/mtu_probing.py")
def test_without_enough_data_there_is_no_probe() -> None:
    path = Path(1500, tcp_mtu_probing=2)
    path.rounds(3, 12_000)
    assert counted(path)[0] > 0
    path = Path(1500, tcp_mtu_probing=2)
    for _ in range(30):
        path.send(5 * 1024)
        path.round_trip()
    assert set(path.lengths) == {1024}


def test_a_window_that_is_too_small_for_it_prevents_a_probe() -> None:
    path = Path(1500, window=5000, tcp_mtu_probing=2)
    path.rounds(20, 20_000)
    assert max(path.lengths) == 1024


def test_a_window_that_is_full_is_waited_for() -> None:
    """Linux tcp_mtu_probe: new data wait until the probe and four segments fit."""
    path = Path(1500, window=16_000, tcp_mtu_probing=2)
    path.rounds(8, 40_000)
    assert counted(path)[0] >= 1


def test_the_search_goes_on_after_ten_minutes() -> None:
    path = Path(1300, tcp_mtu_probing=2)
    path.search()
    assert 1292 < path.mss + HEADERS <= 1300
    path.mtu = 1500
    path.rounds(20)
    assert path.mss + HEADERS <= 1300
    path.script.after(600)
    path.search()
    assert 1492 < path.mss + HEADERS <= 1500


@rule("RFC 4821 7.7", "When all segments vanish, shorter ones are sent", code="tcp/mtu_probing.py")
def test_a_black_hole_is_left_after_three_seconds() -> None:
    """Linux: net.ipv4.tcp_retries1, which stands for a time."""
    path = Path(1200, tcp_mtu_probing=1, tcp_early_retrans=0)
    assert path.mss == 1460
    path.send(1460)
    left = path.stalled(5)
    assert [length for _, length in left] == [1460] * 4 + [1024, 436]
    assert left[4][0] - left[1][0] >= 3
    assert path.mss == 1024
    path.search()
    assert 1192 < path.mss + HEADERS <= 1200


def test_in_a_deep_hole_segments_are_halved_with_each_time_out() -> None:
    path = Path(300, tcp_mtu_probing=1, tcp_early_retrans=0)
    path.send(1460)
    lengths = [length for _, length in path.stalled(40)]
    assert lengths[:8] == [1460] * 4 + [1024, 512, 256, 256]
    assert path.mss == 256


def test_there_is_a_floor() -> None:
    path = Path(40, tcp_mtu_probing=1, tcp_early_retrans=0, tcp_mtu_probe_floor=400)
    path.send(1460)
    assert [length for _, length in path.stalled(40)][-2:] == [400, 400]


def test_the_least_segment_holds_48_octets() -> None:
    """Linux tcp_min_snd_mss; of a peer's offer too."""
    assert Path(1500, mss=20).mss == 48
    assert Path(1500, mss=20, tcp_min_snd_mss=100).mss == 100


def test_without_the_setting_a_black_hole_stays_one() -> None:
    path = Path(1200, tcp_early_retrans=0)
    path.send(1460)
    assert {length for _, length in path.stalled(20)} == {1460}


def test_icmp_ends_what_is_too_long() -> None:
    path = Path(1200, tcp_mtu_probing=2)
    path.send(DATA)
    path.round_trip()
    probe = path.script.drain()[0]
    assert len(probe.data) == 1242
    path.script.sends_icmp(3, 4, probe, info=1200)
    again = [heard for heard in path.script.drain() if heard.data][:2]
    assert [(heard.seq, len(heard.data)) for heard in again] == [(probe.seq, 1024), ((probe.seq + 1024) & M32, 218)]
    assert path.range == (1064, 1200)
    assert path.mss == 1024


def test_icmp_makes_segments_shorter_while_a_search_goes_on() -> None:
    path = Path(1500, tcp_mtu_probing=2)
    path.send(5000)
    first = path.script.drain()[0]
    path.script.sends_icmp(3, 4, first, info=900)
    assert path.mss == 860


@rule("RFC 4821 7.6.4", "A loss beside the probe's makes it tell nothing", code="tcp/emission.py")
def test_a_probe_that_is_not_the_only_loss_is_inconclusive() -> None:
    path = Path(1500, tcp_mtu_probing=2)
    path.send(DATA)
    path.round_trip()
    heard = path.script.drain()
    assert len(heard[0].data) == 1242
    path.script.after(0.05)
    for segment in heard[5:]:
        path.script.after(0.0001)
        path._take(segment)
    assert counted(path) == (0, 1)  # the probe is the first of what is missing, and taken for too long
    path = Path(1500, tcp_mtu_probing=2)
    path.send(DATA)
    first = path.script.drain()
    path.script.after(0.05)
    for segment in first[:-1]:
        path.script.after(0.0001)
        path._take(segment)
    rest = [segment for segment in path.script.drain() if segment.data]
    assert [len(segment.data) for segment in rest].count(1242) == 1
    path.script.after(0.05)
    for segment in rest:  # the probe arrives, but what was sent before it does not
        path.script.after(0.0001)
        path._take(segment)
    assert counted(path) == (0, 0)
    assert path.script.stack.stats.tcp.TCPSackRecovery == 1


def test_of_what_left_at_once_only_what_was_too_long_goes_again() -> None:
    board = Recovery(0, congestion.create("reno"), RttEstimator(), 3)
    board.sent(1, 4001, 0)
    board.resend(1001, 2001, 4001)
    run = board.first_to_resend()
    assert run is not None
    assert (run.start, run.end, board.lost) == (1001, 2001, 1000)
