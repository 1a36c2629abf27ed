"""A link in memory: when frames arrive, in which order, and what becomes of those that do not."""

import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from aionetflow.clock import ManualClock
from aionetflow.link.base import LinkEnd
from aionetflow.link.channel import Channel
from aionetflow.link.memory import MemoryLink

MS = 1_000_000
S = 1_000_000_000


@dataclass
class Sink:
    """What arrived, batch by batch, and when."""

    clock: ManualClock
    batches: list[tuple[int, list[bytes]]] = field(default_factory=list)

    def receive(self, frames: list[bytes]) -> None:
        self.batches.append((self.clock.now(), frames))

    @property
    def frames(self) -> list[bytes]:
        return [frame for _, frames in self.batches for frame in frames]

    @property
    def times(self) -> list[int]:
        return [when for when, frames in self.batches for _ in frames]


class Pair:
    """A link with a sink at each end."""

    def __init__(self, seed: int = 7, **settings: Any) -> None:
        self.clock = ManualClock()
        self.link = MemoryLink(self.clock, random.Random(seed), **settings)
        self.at_a, self.at_b = Sink(self.clock), Sink(self.clock)
        self.link.a.attach(self.at_a)
        self.link.b.attach(self.at_b)


def numbered(count: int, size: int = 100, first: int = 0) -> list[bytes]:
    return [n.to_bytes(4, "big") + bytes(size - 4) for n in range(first, first + count)]


def numbers(frames: list[bytes]) -> list[int]:
    return [int.from_bytes(frame[:4], "big") for frame in frames]


def accounted(channel: Channel) -> int:
    """All that can have become of the frames handed in; equals tx_frames + duplicated."""
    gone = channel.lost + channel.queue_dropped + channel.oversize + channel.down_dropped
    return channel.delivered + gone + len(channel.flights())


# ---- a clean link


def test_a_clean_link_hands_the_very_batch_over() -> None:
    pair, batch = Pair(), numbered(40)
    pair.link.a.send(batch)
    assert pair.at_b.batches == []  # never recursively
    assert pair.clock.run() == 1
    assert len(pair.at_b.batches) == 1
    assert pair.at_b.batches[0][1] is batch
    assert pair.at_a.batches == []


def test_a_clean_link_with_delay_takes_one_clock_entry_for_a_batch() -> None:
    pair, batch = Pair(delay=0.020), numbered(40)
    pair.link.a.send(batch)
    assert pair.clock.advance(1) == 1
    assert pair.at_b.batches == [(20 * MS, batch)]
    assert pair.at_b.batches[0][1] is batch


def test_what_arrives_at_one_instant_is_one_batch() -> None:
    pair = Pair(delay=0.020)
    pair.link.a.send(numbered(2))
    pair.link.a.send(numbered(2, first=2))
    pair.clock.advance(0.001)
    pair.link.a.send(numbered(1, first=4))
    pair.clock.advance(1)
    assert [(when, numbers(frames)) for when, frames in pair.at_b.batches] == [
        (20 * MS, [0, 1, 2, 3]),
        (21 * MS, [4]),
    ]


def test_both_directions_carry_at_once_and_a_reply_does_not_recurse() -> None:
    pair = Pair()
    depth = deepest = replies = 0

    class Echo:
        def __init__(self, end: LinkEnd) -> None:
            self.end = end

        def receive(self, frames: list[bytes]) -> None:
            nonlocal depth, deepest, replies
            depth += 1
            deepest = max(deepest, depth)
            replies += 1
            if replies < 100:
                self.end.send(frames)
            depth -= 1

    for end in (pair.link.a, pair.link.b):
        end.detach()
        end.attach(Echo(end))
    pair.link.a.send(numbered(1))
    pair.clock.run()
    assert (replies, deepest) == (100, 1)


def test_an_empty_batch_is_nothing() -> None:
    pair = Pair()
    pair.link.a.send([])
    assert pair.clock.run() == 0


def test_an_end_takes_one_receiver() -> None:
    pair = Pair()
    pair.link.a.attach(pair.at_a)
    with pytest.raises(RuntimeError, match=r"link\.a already has something attached"):
        pair.link.a.attach(pair.at_b)


def test_what_arrives_where_nothing_is_attached_is_counted() -> None:
    pair = Pair(delay=0.1)
    pair.link.a.send(numbered(3))
    pair.link.b.detach()
    pair.clock.advance(1)
    channel = pair.link.a_to_b
    assert (channel.delivered, channel.down_dropped, channel.in_flight) == (0, 3, 0)


# ---- rate and delay


def test_frames_leave_one_after_another_at_the_rate_exactly() -> None:
    pair = Pair(delay=0.020, rate=10e6)
    pair.link.a.send(numbered(3, size=1514))
    pair.clock.advance(1)
    # 1514 * 8 bits at 10 Mbit/s take 1,211,200 ns.
    assert pair.at_b.times == [20 * MS + n * 1_211_200 for n in (1, 2, 3)]


@pytest.mark.parametrize("rate", [3e9, 7, 0.75, 123_456_789, 1e5 / 3])
def test_fractions_of_a_nanosecond_do_not_add_up(rate: float) -> None:
    pair = Pair(rate=rate)
    count, size = 700, 100
    pair.link.a.send(numbered(count, size))
    pair.clock.run_until_idle(1e8)
    top, bottom = rate.as_integer_ratio()
    assert pair.at_b.times == [n * size * 8 * S * bottom // top for n in range(1, count + 1)]


def test_an_idle_sender_starts_at_once() -> None:
    pair = Pair(rate=8e6)  # a byte takes 1 us
    for _ in range(3):
        pair.link.a.send(numbered(1))
        pair.clock.advance(0.010)
    assert pair.at_b.times == [100_000, 10_100_000, 20_100_000]


def test_a_busy_sender_goes_on_where_it_is() -> None:
    pair = Pair(rate=8e6)
    pair.link.a.send(numbered(1))
    pair.clock.advance_to(40_000)
    pair.link.a.send(numbered(1, first=1))
    pair.clock.advance(1)
    assert pair.at_b.times == [100_000, 200_000]


def test_a_long_fat_link_is_full_of_frames_under_one_timer() -> None:
    pair = Pair(delay=0.050, rate=1e9)
    frames = numbered(4096, size=1514)
    pair.link.a.send(frames)
    pair.clock.advance(0.040)
    # Left so far: 40 ms at 1 Gbit/s; none has arrived.
    assert pair.at_b.frames == []
    assert len(pair.link.in_flight()) == 4096
    assert pair.link.a_to_b.in_flight == 4096 * 1514
    pair.clock.advance(1)
    assert pair.at_b.frames == frames
    assert pair.at_b.times[-1] == 50 * MS + 4096 * 12_112
    assert pair.link.a_to_b.in_flight == 0


def test_a_full_pipe_carries_its_rate() -> None:
    pair = Pair(delay=0.050, rate=100e6, queue=15_140)
    for n in range(1000):  # 15,140 bytes every 1.2112 ms are 100 Mbit/s
        pair.link.a.send(numbered(10, size=1514, first=10 * n))
        pair.clock.advance_to((n + 1) * 1_211_200)
    # Half way: what is on its way is the bandwidth-delay product.
    assert pair.link.a_to_b.in_flight == pytest.approx(100e6 / 8 * 0.050, rel=0.01)
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == list(range(10_000))
    assert pair.at_b.times[-1] == 50 * MS + 1000 * 1_211_200


def test_in_flight_tells_what_will_arrive_when() -> None:
    pair = Pair(delay=0.010, rate=8e6)
    pair.link.a.send(numbered(2))
    pair.link.b.send(numbered(1, size=150, first=9))
    seen = [(f.channel.name, f.arrives_ns, numbers([f.frame])) for f in pair.link.in_flight()]
    assert seen == [
        ("link.a_to_b", 10_100_000, [0]),
        ("link.b_to_a", 10_150_000, [9]),
        ("link.a_to_b", 10_200_000, [1]),
    ]


# ---- jitter


@pytest.mark.parametrize("rate", [None, 50e6])
def test_jitter_spreads_arrivals_and_keeps_the_order(rate: float | None) -> None:
    pair = Pair(delay=0.010, jitter=0.005, rate=rate)
    sent: list[int] = []
    for n in range(2000):
        pair.link.a.send(numbered(1, first=n))
        sent.append(pair.clock.now() + (16_000 if rate else 0))
        pair.clock.advance(0.001)
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == list(range(2000))
    late = [came - went for came, went in zip(pair.at_b.times, sent, strict=True)]
    assert min(late) >= 10 * MS
    assert max(late) < 15 * MS
    assert len(set(late)) > 1000


def test_jitter_within_a_batch_keeps_the_order() -> None:
    pair = Pair(jitter=0.005)
    pair.link.a.send(numbered(500))
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == list(range(500))
    assert len(pair.at_b.batches) > 1


# ---- faults


@pytest.mark.parametrize("rate", [None, 1e9])
def test_loss_takes_its_share_and_no_more(rate: float | None) -> None:
    pair = Pair(loss=0.03, rate=rate, queue=1 << 30)
    pair.link.a.send(numbered(20_000))
    pair.clock.advance(10)
    channel = pair.link.a_to_b
    assert 500 < channel.lost < 700
    assert channel.delivered == len(pair.at_b.frames) == 20_000 - channel.lost
    assert numbers(pair.at_b.frames) == sorted(numbers(pair.at_b.frames))
    assert accounted(channel) == channel.tx_frames


def test_a_lost_frame_takes_its_time_at_the_sender() -> None:
    pair = Pair(rate=8e6)
    pair.link.loss = 1
    pair.link.a.send(numbered(1))
    pair.link.loss = 0
    pair.link.a.send(numbered(1, first=1))
    pair.clock.advance(1)
    assert list(zip(pair.at_b.times, numbers(pair.at_b.frames), strict=True)) == [(200_000, 1)]


def test_the_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    def run(seed: int) -> list[tuple[int, list[bytes]]]:
        pair = Pair(seed, delay=0.01, jitter=0.01, loss=0.1, reorder=0.1, duplicate=0.1, corrupt=0.1, rate=1e7)
        for _ in range(20):
            pair.link.a.send(numbered(20))
            pair.clock.advance(0.001)
        pair.clock.advance(1)
        return pair.at_b.batches

    assert run(1) == run(1)
    assert run(1) != run(2)


def test_the_directions_draw_from_streams_of_their_own() -> None:
    one_way, both_ways = Pair(loss=0.5), Pair(loss=0.5)
    for _ in range(50):
        one_way.link.a.send(numbered(10))
        both_ways.link.a.send(numbered(10))
        both_ways.link.b.send(numbered(10))
    one_way.clock.run()
    both_ways.clock.run()
    assert both_ways.at_b.frames == one_way.at_b.frames
    assert both_ways.at_a.frames != both_ways.at_b.frames


def test_a_duplicated_frame_arrives_twice_and_together() -> None:
    pair = Pair(duplicate=1.0, delay=0.01)
    pair.link.a.send(numbered(3))
    assert pair.link.a_to_b.in_flight == 600
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == [0, 0, 1, 1, 2, 2]
    assert pair.link.a_to_b.duplicated == 3
    assert pair.link.a_to_b.delivered == 6


def test_corruption_flips_exactly_one_bit_of_the_frame_anywhere() -> None:
    pair, frames = Pair(corrupt=1.0), numbered(2000)
    pair.link.a.send(frames)
    pair.clock.run()
    places = Counter[int]()
    for sent, came in zip(frames, pair.at_b.frames, strict=True):
        difference = int.from_bytes(sent, "big") ^ int.from_bytes(came, "big")
        assert difference.bit_count() == 1
        places[(difference.bit_length() - 1) // 80] += 1
    assert sorted(places) == list(range(10))
    assert min(places.values()) > 140
    assert frames == numbered(2000)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"delay": 0.02},
        {"delay": 0.02, "jitter": 0.05},
        {"rate": 10e6},
        {"delay": 0.2, "rate": 1e9, "jitter": 0.01},
        {"delay": 0.001, "rate": 64e3},
    ],
)
def test_a_reordered_frame_is_overtaken_and_none_is_stuck(settings: dict[str, Any]) -> None:
    pair = Pair(reorder=0.1, queue=1 << 30, **settings)
    held: list[int] = []
    pair.link.tap(lambda now, channel, frame, fate: held.extend(numbers([frame]) if fate == "reordered" else []))
    pair.link.a.send(numbered(300, size=1000))
    pair.clock.advance(1e4)
    came = numbers(pair.at_b.frames)
    assert sorted(came) == list(range(300))
    assert pair.link.a_to_b.reordered == len(held) > 10
    place = {number: index for index, number in enumerate(came)}
    for number in held:
        after = [n for n in range(number + 1, 300) if n not in held]
        assert not after or place[after[0]] < place[number]
    # The others keep their order.
    others = [number for number in came if number not in held]
    assert others == sorted(others)


def test_a_reordered_frame_is_held_no_longer_than_documented() -> None:
    pair = Pair(reorder=1.0, delay=0.2, jitter=0.01)
    pair.link.a.send(numbered(1000))
    pair.clock.advance(1)
    assert len(pair.at_b.times) == 1000
    assert 210 * MS < min(pair.at_b.times) < 212 * MS
    assert 258 * MS < max(pair.at_b.times) <= 260 * MS  # jitter and a quarter of the delay later


# ---- what is refused


def test_a_full_queue_drops_what_does_not_fit() -> None:
    pair = Pair(rate=8e6, queue=1000)
    pair.link.a.send(numbered(50))
    # One is being sent, ten wait.
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == list(range(11))
    channel = pair.link.a_to_b
    assert channel.queue_dropped == 39
    assert (channel.tx_frames, channel.tx_bytes) == (50, 5000)
    assert accounted(channel) == 50


def test_the_queue_has_room_again_as_frames_leave() -> None:
    pair = Pair(rate=8e6, queue=1000)
    pair.link.a.send(numbered(50))
    pair.clock.advance_to(350_000)  # three have left, the fourth is half way
    pair.link.a.send(numbered(50, first=100))
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == [*range(11), 100, 101, 102]


def test_a_queue_of_nothing_still_sends_when_idle() -> None:
    pair = Pair(rate=8e6, queue=0)
    pair.link.a.send(numbered(2))
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == [0]


@pytest.mark.parametrize(("delay", "room"), [(0.0, 1 << 20), (0.1, 5_000_000)])
def test_the_default_queue_is_a_mebibyte_or_two_round_trips_of_the_rate(delay: float, room: int) -> None:
    pair = Pair(rate=100e6, delay=delay)
    assert pair.link.queue is None
    pair.link.a.send(numbered(8000, size=1000))
    assert len(pair.link.in_flight()) == 1 + room // 1000


def test_a_link_without_a_rate_is_bounded_too() -> None:
    pair, big = Pair(delay=1.0, mtu=65535), bytes(65000)
    for _ in range(5):
        pair.link.a.send([big] * 1000)
    channel = pair.link.a_to_b
    assert (1 << 28) - 65000 < channel.in_flight <= 1 << 28
    assert channel.queue_dropped == 5000 - channel.in_flight // 65000


@pytest.mark.parametrize("rate", [None, 1e9])
def test_frames_longer_than_the_mtu_and_a_header_are_dropped(rate: float | None) -> None:
    pair = Pair(mtu=576, rate=rate)
    pair.link.a.send([bytes(590), bytes(591), bytes(60)])
    pair.clock.advance(1)
    assert [len(frame) for frame in pair.at_b.frames] == [590, 60]
    assert pair.link.a_to_b.oversize == 1
    assert pair.link.a.mtu == 576


# ---- changes while it runs


def test_a_lower_delay_lets_new_frames_overtake() -> None:
    pair = Pair(delay=1.0)
    pair.link.a.send(numbered(1))
    pair.link.delay = 0.1
    pair.link.a.send(numbered(1, first=1))
    pair.clock.advance(2)
    assert list(zip(pair.at_b.times, numbers(pair.at_b.frames), strict=True)) == [(100 * MS, 1), (S, 0)]


def test_frames_that_wait_take_the_new_delay() -> None:
    pair = Pair(delay=1.0, rate=8e6)
    pair.link.a.send(numbered(3))
    pair.clock.advance_to(150_000)  # the first has left, the second is half way
    pair.link.delay = 2.0
    pair.clock.advance(5)
    assert pair.at_b.times == [S + 100_000, 2 * S + 200_000, 2 * S + 300_000]


def test_frames_that_wait_leave_at_the_new_rate() -> None:
    pair = Pair(rate=8e6)  # 100 us a frame
    pair.link.a.send(numbered(4))
    pair.clock.advance_to(150_000)  # the second is half way
    pair.link.rate = 80e6  # 10 us a frame
    pair.clock.advance_to(157_000)  # the third has 8 us of its 10 us to go
    pair.link.rate = 4e6  # 200 us a frame
    pair.clock.advance(1)
    assert pair.at_b.times == [100_000, 155_000, 157_000 + 160_000, 157_000 + 360_000]


def test_a_new_rate_takes_over_nothing_of_the_old_one() -> None:
    pair = Pair(rate=3e9)  # 266.67 ns a frame, of which 266 count: 798 bits
    pair.link.a.send(numbered(2))
    pair.link.rate = 7
    pair.clock.run_until_idle()
    assert pair.at_b.times == [bits * S // 7 for bits in (798, 1598)]


def test_without_a_rate_all_that_waits_leaves_at_once() -> None:
    pair = Pair(rate=8, delay=0.010)
    pair.link.a.send(numbered(3))
    pair.clock.advance(1)
    pair.link.rate = None
    pair.link.a.send(numbered(1, first=3))
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == [0, 1, 2, 3]
    assert pair.at_b.times == [S + 10 * MS] * 4


@pytest.mark.parametrize("seed", range(10))
def test_a_new_rate_keeps_the_order_under_jitter(seed: int) -> None:
    pair = Pair(seed, rate=8e6, jitter=0.010, delay=0.001)
    pair.link.a.send(numbered(200))
    for rate in (4e6, 16e6, 8e6, 80e6, None):
        pair.clock.advance(0.002)
        pair.link.rate = rate
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == list(range(200))
    assert all(before <= after for before, after in pairwise(pair.at_b.times))


def test_a_rate_applies_to_what_follows() -> None:
    pair = Pair(delay=0.001)
    pair.link.a.send(numbered(2))
    pair.link.rate = 8e6
    pair.link.a.send(numbered(2))
    pair.clock.advance(1)
    assert pair.at_b.times == [MS, MS, MS + 100_000, MS + 200_000]


def test_loss_applies_to_what_follows_only() -> None:
    pair = Pair(delay=0.1)
    pair.link.a.send(numbered(5))
    pair.link.loss = 1.0
    pair.link.a.send(numbered(5, first=5))
    pair.link.loss = 0.0
    pair.link.a.send(numbered(5, first=10))
    pair.clock.advance(1)
    assert numbers(pair.at_b.frames) == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]


@pytest.mark.parametrize("settings", [{}, {"rate": 8e6}])
def test_down_loses_what_is_under_way_and_all_that_follows(settings: dict[str, Any]) -> None:
    pair = Pair(delay=0.1, **settings)
    pair.link.a.send(numbered(5))
    pair.clock.advance(0.05)
    pair.link.up = False
    assert pair.link.in_flight() == []
    assert pair.clock.run_until_idle()
    assert pair.clock.now() == 50 * MS  # no timer is left behind
    pair.link.a.send(numbered(3))
    pair.clock.advance(1)
    assert pair.at_b.frames == []
    channel = pair.link.a_to_b
    assert (channel.down_dropped, channel.in_flight, channel.delivered) == (8, 0, 0)
    pair.link.up = True
    pair.link.a.send(numbered(1))
    pair.clock.advance(1)
    assert pair.at_b.times == [1_150 * MS + (100_000 if settings else 0)]
    assert accounted(channel) == channel.tx_frames == 9


def test_one_direction_can_be_down_alone() -> None:
    pair = Pair()
    pair.link.a_to_b.up = False
    pair.link.a.send(numbered(1))
    pair.link.b.send(numbered(1))
    pair.clock.run()
    assert (len(pair.at_b.frames), len(pair.at_a.frames)) == (0, 1)
    assert pair.link.up == (False, True)


def test_settings_are_of_both_directions_or_of_one() -> None:
    link = Pair(delay=0.02, loss=0.1).link
    assert (link.delay, link.a_to_b.delay, link.b_to_a.delay) == (0.02, 0.02, 0.02)
    link.a_to_b.loss = 0.5
    assert link.loss == (0.5, 0.1)
    link.loss = (0.2, 0.3)
    assert (link.a_to_b.loss, link.b_to_a.loss) == (0.2, 0.3)
    link.rate = 1e6
    assert link.rate == 1e6
    assert link.queue is None


@pytest.mark.parametrize("value", [3, (0.5, 3), (3, 0.5)])
def test_a_bad_setting_is_an_error_and_changes_nothing(value: object) -> None:
    link = Pair(loss=0.1).link
    with pytest.raises(ValueError, match=r"^loss must be between 0 and 1, not 3$"):
        link.loss = value
    assert link.loss == 0.1
    with pytest.raises(ValueError, match=r"^delay must be seconds, 0 or more, not -1$"):
        Pair(delay=-1)


def test_nothing_is_lost_track_of_under_all_faults_and_changes() -> None:
    source = random.Random(3)
    pair = Pair(delay=0.01, rate=20e6, queue=20_000, jitter=0.002, loss=0.1, reorder=0.1, duplicate=0.1, corrupt=0.1)
    channel = pair.link.a_to_b
    choices: dict[str, list[Any]] = {
        "delay": [0, 0.001, 0.05], "rate": [None, 1e6, 1e9], "jitter": [0, 0.01], "loss": [0, 0.5],
        "reorder": [0, 0.5], "queue": [None, 0, 5000], "mtu": [576, 1500], "up": [True, True, False],
    }  # fmt: skip
    for _ in range(500):
        pair.link.a.send(numbered(source.randrange(1, 20), size=source.randrange(60, 1514)))
        name = source.choice(list(choices))
        setattr(pair.link, name, source.choice(choices[name]))
        assert accounted(channel) == channel.tx_frames + channel.duplicated
        assert channel.in_flight == sum(len(flight.frame) for flight in pair.link.in_flight())
        pair.clock.advance(source.random() / 500)
    pair.link.rate = None
    pair.clock.run_until_idle()
    assert pair.link.in_flight() == []
    assert accounted(channel) == channel.tx_frames + channel.duplicated
    assert channel.delivered == len(pair.at_b.frames)


# ---- taps


def test_a_tap_sees_each_frame_once_as_it_enters_with_its_fate() -> None:
    pair = Pair(delay=0.5, mtu=576)
    seen: list[tuple[int, str, int, str]] = []
    tap = pair.link.tap(lambda now, channel, frame, fate: seen.append((now, channel.name, len(frame), fate)))
    pair.link.a.send([bytes(60), bytes(1000)])
    pair.clock.advance(0.1)
    pair.link.b.send([bytes(61)])
    pair.link.loss = 1
    pair.link.a.send([bytes(62)])
    pair.link.loss, pair.link.duplicate, pair.link.corrupt, pair.link.reorder = 0, 1, 1, 1
    pair.link.a.send([bytes(63)])
    pair.link.rate, pair.link.queue = 1e3, 0
    pair.link.a.send([bytes(64), bytes(65)])
    pair.link.up = False
    pair.link.a.send([bytes(66)])
    everything = "duplicated, corrupted, reordered"
    assert seen == [
        (0, "link.a_to_b", 60, ""),
        (0, "link.a_to_b", 1000, "too long"),
        (100 * MS, "link.b_to_a", 61, ""),
        (100 * MS, "link.a_to_b", 62, "lost"),
        (100 * MS, "link.a_to_b", 63, everything),
        (100 * MS, "link.a_to_b", 64, everything),
        (100 * MS, "link.a_to_b", 65, "queue full"),
        (100 * MS, "link.a_to_b", 66, "link down"),
    ]
    tap.close()
    tap.close()
    pair.link.a.send([bytes(67)])
    assert len(seen) == 8


def test_a_tap_sees_what_comes_out() -> None:
    pair = Pair(corrupt=1.0)
    seen: list[bytes] = []
    pair.link.tap(lambda now, channel, frame, fate: seen.append(frame))
    pair.link.a.send(numbered(10))
    pair.clock.run()
    assert seen == pair.at_b.frames != numbered(10)


def test_a_tap_changes_nothing_but_may_change_the_link() -> None:
    pair = Pair()

    def lower(now: int, channel: Channel, frame: bytes, fate: str) -> None:
        if numbers([frame]) == [2]:
            channel.delay = 0.1

    pair.link.tap(lower)
    pair.link.a.send(numbered(5))
    pair.clock.advance(1)
    assert [(when, numbers(frames)) for when, frames in pair.at_b.batches] == [
        (0, [0, 1, 2]),
        (100 * MS, [3, 4]),
    ]
