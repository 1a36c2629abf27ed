"""A link in memory: two ends, and a channel in each direction."""

from collections.abc import Callable
from os import PathLike
from typing import Any, BinaryIO, cast

from aionetflow.clock import Clock
from aionetflow.config import DEFAULT_MTU
from aionetflow.link.capture import LINKTYPE_ETHERNET, LinkCapture
from aionetflow.link.channel import Channel, InFlight, Tap
from aionetflow.link.transit import MemoryEnd
from aionetflow.rng import Random


class _Both:
    """A setting of both channels: one value sets both, a tuple sets (a_to_b, b_to_a)."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, link: "MemoryLink | None", owner: type) -> Any:
        if link is None:
            return self
        there, back = getattr(link.a_to_b, self.name), getattr(link.b_to_a, self.name)
        return there if there == back else (there, back)

    def __set__(self, link: "MemoryLink", value: object) -> None:
        there, back = value if isinstance(value, tuple) and len(value) == 2 else (value, value)
        getattr(Channel, self.name).check(self.name, back)  # before anything is changed
        setattr(link.a_to_b, self.name, there)
        setattr(link.b_to_a, self.name, back)


class TapHandle:
    """What MemoryLink.tap() returns: closes the tap."""

    def __init__(self, channels: tuple[Channel, ...], tap: Tap) -> None:
        self._channels = channels
        self._tap = tap

    def close(self) -> None:
        """Ends the calls. Harmless when it is closed already."""
        for channel in self._channels:
            channel.remove_tap(self._tap)


class MemoryLink:
    """A point-to-point link between `a` and `b`, both ways at once.

    `clock` gives the time; `random` (a random.Random) seeds the faults, and nothing else does. Each setting
    can be changed while the link runs and applies from then on, to both directions (`link.loss = 0.1`) or to
    one (`link.a_to_b.loss = 0.1`); reading gives the value, or a tuple (a_to_b, b_to_a) if they differ:

    - `delay`: seconds a frame travels. Frames sent after it was lowered may overtake those sent before.
    - `jitter`: seconds; each frame travels up to so much longer, but no frame overtakes another.
    - `rate`: bits per second at which frames leave, one after another; None for no limit. Frames that wait
      when it changes leave at the new rate.
    - `loss`, `reorder`, `duplicate`, `corrupt`: probability per frame. A lost frame takes its time at the
      sender. A reordered one is held back for the jitter, two full frames at the rate, and up to (uniform)
      the longest of 1 ms, a quarter of the delay and eight full frames; it arrives then, overtaken or not.
      A duplicated one arrives twice, one directly after the other. A corrupted one has one bit turned over.
    - `queue`: bytes that may wait to leave, in each direction; a frame that finds no room is dropped. None
      for 1 MiB, or twice the product of rate and round trip (2 * delay) where that is more. Without a rate
      nothing waits, and 256 MiB may be on the way.
    - `mtu`: octets of the longest IP packet; frames longer than that and an Ethernet header are dropped.
    - `up`: while False all frames are lost, also those under way when it is set.

    - `offload`: whether the stacks at its ends may leave undone what only a wire needs. A long write then crosses the
      link as one frame, as between two of Linux's veth, while nothing on the way asks for the true ones: neither a tap
      or capture, nor faults or a rate, nor another MTU. All counters are of true frames, and checksums are computed
      and verified in any case.

    Raises ValueError for a setting that makes no sense.

    >>> import random
    >>> from aionetflow.clock import ManualClock
    >>> class Printer:
    ...     def receive(self, frames: list[bytes]) -> None:
    ...         print(clock.now(), frames)
    >>> clock = ManualClock()
    >>> link = MemoryLink(clock, random.Random(7), delay=0.020, rate=1e6)
    >>> link.b.attach(Printer())
    >>> link.a.send([b"x" * 14, b"y" * 14])
    >>> clock.run_until_idle()
    20112000 [b'xxxxxxxxxxxxxx']
    20224000 [b'yyyyyyyyyyyyyy']
    True
    """

    delay = _Both()
    jitter = _Both()
    rate = _Both()
    loss = _Both()
    reorder = _Both()
    duplicate = _Both()
    corrupt = _Both()
    queue = _Both()
    mtu = _Both()
    up = _Both()
    offload = _Both()

    def __init__(
        self,
        clock: Clock,
        random: Random,
        name: str = "link",
        *,
        delay: float = 0.0,
        jitter: float = 0.0,
        rate: float | None = None,
        loss: float = 0.0,
        reorder: float = 0.0,
        duplicate: float = 0.0,
        corrupt: float = 0.0,
        queue: int | None = None,
        mtu: int = DEFAULT_MTU,
        offload: bool = True,
    ) -> None:
        self.name = name
        # A stream of draws for each direction: what one carries does not change what happens in the other.
        child = cast(Callable[[int], Random], type(random))
        self.a_to_b = Channel(f"{name}.a_to_b", clock, child(random.getrandbits(64)))
        self.b_to_a = Channel(f"{name}.b_to_a", clock, child(random.getrandbits(64)))
        self.a = MemoryEnd(f"{name}.a", self.a_to_b, self.b_to_a)
        self.b = MemoryEnd(f"{name}.b", self.b_to_a, self.a_to_b)
        self.delay, self.jitter, self.rate, self.queue, self.mtu = delay, jitter, rate, queue, mtu
        self.offload = offload
        self.loss, self.reorder, self.duplicate, self.corrupt = loss, reorder, duplicate, corrupt

    def __repr__(self) -> str:
        return f"<MemoryLink {self.name}>"

    def in_flight(self) -> list[InFlight]:
        """What is on its way in both directions, in the order in which it will arrive."""
        return sorted(self.a_to_b.flights() + self.b_to_a.flights(), key=lambda flight: flight.arrives_ns)

    def tap(self, callback: Tap) -> TapHandle:
        """Has `callback(time_ns, channel, frame, fate)` called for each frame that enters, until close().

        `frame` is what comes out at the other end (damaged if it is corrupted). `fate` is "" or "lost",
        "queue full", "too long", "link down", or what applies of "duplicated", "corrupted" and "reordered",
        joined by ", ".
        """
        channels = (self.a_to_b, self.b_to_a)
        for channel in channels:
            channel.add_tap(callback)
        return TapHandle(channels, callback)

    def capture(self, path: str | PathLike[str] | BinaryIO, linktype: int = LINKTYPE_ETHERNET) -> LinkCapture:
        """Writes what enters the link to a pcapng file from now on, both directions, until close().

        The fate of each frame is its packet comment. `path` may be an open binary file; `linktype` is 1 for
        Ethernet or 101 for raw IP. Raises OSError when the file cannot be made.
        """
        return LinkCapture(self, path, linktype)
