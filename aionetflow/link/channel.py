"""One direction of a link in memory: delay, rate, queue, faults, counters, and what is on its way.

The way of a frame: it is refused (link down, too long, queue full), or it waits its turn, leaves at `rate`,
travels for `delay`, and arrives. What it will meet is drawn when it enters. One clock timer per direction
stands at the next arrival, and all that arrives at one instant is handed over as one batch.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from aionetflow.clock import Clock
from aionetflow.config import DEFAULT_MTU, MILLISECOND, SECOND
from aionetflow.link.faults import (
    UNHARMED,
    Fate,
    Odds,
    bit_rate,
    draw,
    flip_bit,
    mtu_octets,
    probability,
    queue_octets,
    seconds,
    truth,
)
from aionetflow.link.transit import ETHERNET_HEADER, UNPACED, Flight, InFlight, Transit
from aionetflow.rng import Random

__all__ = ["Channel", "InFlight", "Tap"]

_QUEUE = 1 << 20  # bytes; the default, or twice the bandwidth-delay product where that is more

# Called as tap(time in ns, channel, frame, fate).
Tap = Callable[[int, "Channel", bytes, str], None]


class _Setting:
    """An attribute of a Channel that is checked when it is set, and applies from then on."""

    def __init__(self, check: Callable[[str, object], Any]) -> None:
        self.check = check

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, channel: "Channel | None", owner: type) -> Any:
        return self if channel is None else channel._settings[self.name]

    def __set__(self, channel: "Channel", value: object) -> None:
        channel._change(self.name, self.check(self.name, value))


class Channel(Transit):
    """One direction of a link: its settings, its counters, and what is on its way.

    Settings, as of MemoryLink: `delay`, `jitter`, `rate`, `loss`, `reorder`, `duplicate`, `corrupt`, `queue`,
    `mtu`, `up`, `offload`. A value that makes no sense raises ValueError and changes nothing.

    Counters, in frames if nothing else is said: `tx_frames` and `tx_bytes` handed in by the sender,
    `delivered`, `lost`, `duplicated`, `reordered`, `corrupted`, `queue_dropped`, `oversize`, `down_dropped`
    (the link was down or went down under way, or nothing was attached where they arrived), and `in_flight`
    (bytes that will arrive). Always,
    tx_frames + duplicated = delivered + lost + queue_dropped + oversize + down_dropped + frames in flight.
    """

    delay = _Setting(seconds)
    jitter = _Setting(seconds)
    rate = _Setting(bit_rate)
    loss = _Setting(probability)
    reorder = _Setting(probability)
    duplicate = _Setting(probability)
    corrupt = _Setting(probability)
    queue = _Setting(queue_octets)
    mtu = _Setting(mtu_octets)
    up = _Setting(truth)
    offload = _Setting(truth)

    def __init__(self, name: str, clock: Clock, random: Random) -> None:
        super().__init__(name, clock)
        self.taps: tuple[Tap, ...] = ()
        self.lost = self.duplicated = self.reordered = self.corrupted = 0
        self.queue_dropped = self.oversize = 0
        self._random = random
        self._leaving: deque[Flight] = deque()  # behind a rate: being sent (the first), waiting (the others)
        self._backlog = 0  # octets in _leaving
        self._free = 0  # ns; when the sender has sent all it has
        self._rest = 0  # the part of 1 ns beyond _free, in units of 1 / _rate[0]
        self._settings: dict[str, Any] = {
            "delay": 0.0, "jitter": 0.0, "rate": None, "loss": 0.0, "reorder": 0.0, "duplicate": 0.0,
            "corrupt": 0.0, "queue": None, "mtu": DEFAULT_MTU, "up": True, "offload": False,
        }  # fmt: skip
        self._derive()

    def add_tap(self, tap: Tap) -> None:
        """Has `tap` called for each frame that enters from now on."""
        self.taps = (*self.taps, tap)
        self._derive()

    def remove_tap(self, tap: Tap) -> None:
        """Ends what add_tap() began; harmless if it has ended."""
        self.taps = tuple(other for other in self.taps if other != tap)
        self._derive()

    # ---- entering

    def _tell(self, now: int, frame: bytes, fate: str) -> None:
        for tap in self.taps:
            try:
                tap(now, self, frame, fate)
            except Exception as error:
                self._clock.call_exception_handler(f"exception in a tap of {self!r}", error)

    def _send_each(self, frames: list[bytes]) -> None:
        now = self._clock.now()
        self._settle(now)
        batch: Flight | None = None  # what can be joined by frames that leave and arrive together with it
        for frame in frames:
            self.tx_frames += 1
            self.tx_bytes += len(frame)
            refusal = self._refusal(len(frame))
            if not refusal:
                fate = draw(self._random, self._odds) if self._faulty else UNHARMED
                if fate.corrupted:
                    frame = flip_bit(frame, fate.spot)
                batch = self._enter(frame, fate, now, batch)
            if self.taps:
                self._tell(now, frame, refusal or str(fate))
                batch = None  # a tap may change any setting
        self._arm()

    def _refusal(self, octets: int) -> str:
        """Why a frame cannot enter, counted; "" if it can."""
        if not self._up:
            self.down_dropped += 1
            return "link down"
        if octets > self._longest:
            self.oversize += 1
            return "too long"
        if self._rate is None:
            full: bool = self.in_flight + octets > UNPACED
        else:
            # What is being sent has left the queue, and a frame that finds the sender free never enters it.
            leaving = self._leaving
            full = bool(leaving) and self._backlog - leaving[0].octets + octets > self._room
        if full:
            self.queue_dropped += 1
            return "queue full"
        return ""

    def _enter(self, frame: bytes, fate: Fate, now: int, batch: Flight | None) -> Flight | None:
        """Puts a frame on its way; returns the flight that the next frame may join."""
        self.lost += fate.lost
        self.duplicated += fate.duplicated
        self.corrupted += fate.corrupted
        self.reordered += fate.reordered
        frames = [] if fate.lost else [frame, frame] if fate.duplicated else [frame]
        extra = int(fate.late * self._jitter_ns) if not fate.reordered else self._hold(fate.hold)
        arriving = len(frame) * len(frames)
        if self._rate is None:
            if fate.lost:
                return batch
            if batch is not None and not extra and not self._jitter_ns:
                batch.frames += frames
                batch.arriving += arriving
                self.in_flight += arriving
                return batch
        leaves = self._transmit(len(frame) * 8, now)
        flight = Flight(frames, arriving, len(frame), leaves, extra, fate.reordered)
        if self._rate is not None:
            self._leaving.append(flight)
            self._backlog += len(frame)
        self._launch(flight)
        return batch if flight.held or self._rate is not None else flight

    def _hold(self, fraction: float) -> int:
        """How long, in ns, a reordered frame is held back.

        Longer than the jitter and two full frames, so that the next frame of a busy sender overtakes it, and
        at most the longest of 1 ms, a quarter of the delay and eight full frames more.
        """
        full = 0
        if self._rate is not None:
            numerator, scale = self._rate
            full = self._longest * 8 * scale // numerator
        span: int = max(MILLISECOND, self._delay_ns // 4, 8 * full)
        return self._jitter_ns + 2 * full + 1 + int(fraction * span)

    def _transmit(self, bits: int, now: int) -> int:
        """When the last of these bits has left, all before them sent; exact, however many frames follow."""
        if self._rate is None:
            return now
        if self._free < now:
            self._free, self._rest = now, 0
        numerator, scale = self._rate
        step: int
        step, self._rest = divmod(bits * scale + self._rest, numerator)
        self._free += step
        return self._free

    # ---- settings

    def _change(self, name: str, value: Any) -> None:
        now = self._clock.now()
        self._settle(now)
        if name == "rate" and self._leaving:
            self._count_bits_left(now)
        self._settings[name] = value
        self._derive()
        if name == "up" and not value:
            self._lose_all()
        elif name == "rate":
            self._floor = self._leaving[0].floor if self._leaving else self._floor
            self._free, self._rest = now, 0
            for flight in self._leaving:
                flight.leaves = self._transmit(flight.bits, now)
            self._reschedule(list(self._leaving))
            self._settle(now)
        elif name == "mtu" and self.source is not None and self.source.on_mtu is not None:
            self.source.on_mtu(value)
        elif name in ("delay", "jitter"):
            # From now on: what follows may overtake what is on its way already.
            self._floor = 0
            self._reschedule(list(self._leaving))

    def _derive(self) -> None:
        """What each frame needs of the settings, in the form it needs it."""
        setting = self._settings
        self._odds = Odds(setting["loss"], setting["reorder"], setting["duplicate"], setting["corrupt"])
        self._delay_ns: int = round(setting["delay"] * SECOND)
        self._jitter_ns: int = round(setting["jitter"] * SECOND)
        self._mtu: int = setting["mtu"]
        self._longest: int = setting["mtu"] + ETHERNET_HEADER
        self._rate: tuple[int, int] | None = None
        self._room: int = setting["queue"] if setting["queue"] is not None else _QUEUE
        if setting["rate"] is not None:
            # n bits take n * scale / numerator ns
            numerator, denominator = setting["rate"].as_integer_ratio()
            self._rate = (numerator, denominator * SECOND)
            if setting["queue"] is None:
                self._room = max(_QUEUE, int(2 * setting["rate"] * 2 * setting["delay"] / 8))
        self._up = setting["up"]
        self._faulty = any(self._odds) or self._jitter_ns > 0
        self._clean = self._up and self._rate is None and not self._faulty and not self.taps
        if self.source is not None:
            self.source.offload_mtu = self._mtu if setting["offload"] and self._clean else 0

    def _settle(self, now: int) -> None:
        """What has left by now no longer waits."""
        leaving = self._leaving
        while leaving and leaving[0].leaves <= now:
            self._backlog -= leaving.popleft().octets

    def _count_bits_left(self, now: int) -> None:
        """Before the rate changes: how much of the frame that is being sent has still to leave."""
        assert self._rate is not None
        first, (numerator, scale) = self._leaving[0], self._rate
        first.bits = min(first.bits, -(-(first.leaves - now) * numerator // scale))

    def _lose_all(self) -> None:
        super()._lose_all()
        self._leaving.clear()
        self._backlog = self._free = self._rest = 0
