"""The part of a link that every batch of frames passes: entering a clean link, being under way, arriving.

What arrives now waits in one list, and the clock is asked to call for it, without a timer being made. What arrives
later is a flight in a heap, and one timer stands at the first. `Channel` adds the settings and what they do to frames.
"""

from heapq import heapify, heappop, heappush
from typing import NamedTuple

from aionetflow.clock import Clock, Due, Timer
from aionetflow.config import DEFAULT_MTU
from aionetflow.fast_paths import FAST
from aionetflow.gso import cut, frames_of, octets_of
from aionetflow.link.base import LinkEnd, Station
from aionetflow.widths import i64

ETHERNET_HEADER = 14
_ETHERNET_HEADER = ETHERNET_HEADER
UNPACED = 1 << 28  # bytes in flight in one direction of a link without a rate, where no queue bounds them
_UNPACED = UNPACED


class InFlight(NamedTuple):
    """A frame on its way: the direction it goes, when it arrives (ns), and what will arrive."""

    channel: "Transit"
    arrives_ns: int
    frame: bytes


class Flight:
    """Frames that leave at one instant and arrive at one."""

    def __init__(self, frames: list[bytes], arriving: i64, octets: i64, leaves: i64, extra: i64, held: bool) -> None:
        self.frames = frames  # what arrives: none if lost, two if duplicated
        self.arriving = arriving  # octets of it
        self.octets = octets  # what leaves
        self.bits = octets * 8  # what had still to leave when the rate was last set
        self.leaves = leaves  # ns; the last bit is gone
        self.extra = extra  # ns on the way beyond the delay
        self.held = held  # it lets others overtake it
        self.merged_by: i64 = 0  # octets: as in gso.py
        self.floor: i64 = 0  # ns; the arrival of the frame before it, which it must not overtake
        self.arrives: i64 = 0


class Transit(Due):
    """One direction of a link, as far as its frames meet nothing but a delay.

    Calls of its own methods name the class: none looks whether `Channel`, which is not compiled, has another.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        Due.__init__(self, None)
        self.name = name
        self.source: LinkEnd | None = None  # where frames enter
        self.target: LinkEnd | None = None  # the end where frames arrive
        self.tx_frames: i64 = 0
        self.tx_bytes: i64 = 0
        self.delivered: i64 = 0
        self.in_flight: i64 = 0
        self.down_dropped: i64 = 0
        self._clock = clock
        self._clean = True  # nothing but a delay, and nobody looks at the frames
        self._delay_ns: i64 = 0
        self._mtu: i64 = DEFAULT_MTU
        self._floor: i64 = 0  # ns; the last arrival that a frame entering now must not overtake
        self._arriving: list[bytes] = []  # what arrives now; nothing in the heap arrives before it
        self._arriving_at: i64 = 0  # ns
        self._arriving_octets: i64 = 0
        self._arriving_merged_by: i64 = 0
        self._flights: list[tuple[int, int, Flight]] = []  # a heap by (arrival, order of entry)
        self._serial: i64 = 0
        self._timer: Timer | None = None  # at the first arrival of _flights
        self._timer_at: i64 = 0  # ns

    def __repr__(self) -> str:
        return f"<Channel {self.name}>"

    def send(self, frames: list[bytes]) -> None:
        """Takes a batch of frames from the sending end, as `LinkEnd.send`."""
        if not frames:
            return
        octets: i64 = 0
        longest: i64 = 0
        for frame in frames:
            size = len(frame)
            octets += size
            if size > longest:
                longest = size
        if self._may_pass(octets) and longest <= self._mtu + _ETHERNET_HEADER:
            self._pass(frames, len(frames), octets, 0)
        else:
            self._send_each(frames)

    def send_merged(self, frames: list[bytes], merged_by: i64) -> None:
        """Takes a merged batch, as `LinkEnd.send_merged`; cuts it where true frames are called for."""
        octets = octets_of(frames, merged_by)
        if merged_by == self._mtu and self._may_pass(octets):
            self._pass(frames, frames_of(frames, merged_by), octets, merged_by)
        else:
            Transit.send(self, cut(frames, merged_by))

    def flights(self) -> list[InFlight]:
        """The frames on their way, in the order in which they will arrive."""
        here = cut(self._arriving, self._arriving_merged_by)
        listed = [InFlight(self, self._arriving_at, frame) for frame in here]
        for arrives, _, flight in sorted(self._flights):
            listed += [InFlight(self, arrives, frame) for frame in cut(flight.frames, flight.merged_by)]
        return listed

    def _fall_due(self) -> None:
        """Hands over what arrives now, as one batch."""
        frames, merged_by = self._arriving, self._arriving_merged_by
        if frames:
            self.in_flight -= self._arriving_octets
            self._arriving = []
            self._arriving_octets = 0
        if self._flights:
            if not frames:
                flight = self._flights[0][2]
                merged_by = flight.merged_by
            frames = Transit._collect(self, frames, merged_by)
            Transit._arm(self)
        if frames:
            self._hand_over(frames, merged_by)

    # ---- the short way

    def _may_pass(self, octets: i64) -> bool:
        """Whether nothing happens to a batch but that it arrives."""
        return self._clean and FAST.clean_link and self.in_flight + octets <= _UNPACED

    def _pass(self, frames: list[bytes], count: i64, octets: i64, merged_by: i64) -> None:
        self.tx_frames += count
        self.tx_bytes += octets
        now = self._clock.now()
        mixed = len(self._arriving) > 0 and self._arriving_merged_by != merged_by
        if self._delay_ns or self._flights or self._floor > now or mixed:
            flight = Flight(frames, octets, octets, now, 0, False)
            flight.merged_by = merged_by
            Transit._launch(self, flight)
            Transit._arm(self)
            return
        self.in_flight += octets
        self._arriving = self._arriving + frames if self._arriving else frames
        self._arriving_at = now
        self._arriving_octets += octets
        self._arriving_merged_by = merged_by
        self._clock.post(self)

    def _send_each(self, frames: list[bytes]) -> None:
        """The long way: each frame for itself."""
        raise NotImplementedError

    # ---- under way

    def _launch(self, flight: Flight) -> None:
        self._serial += 1
        self.in_flight += flight.arriving
        Transit._schedule(self, flight)
        heappush(self._flights, (flight.arrives, self._serial, flight))

    def _schedule(self, flight: Flight) -> None:
        flight.arrives = flight.leaves + self._delay_ns + flight.extra
        if not flight.held:
            flight.floor = self._floor
            flight.arrives = self._floor = max(flight.arrives, self._floor)

    def _arm(self) -> None:
        """Has one timer stand at the first arrival."""
        if not self._flights:
            return
        when: i64 = self._flights[0][0]
        if self._timer is not None:
            if self._timer_at <= when:
                return
            self._timer.cancel()
            self._timer = None
        if when <= self._clock.now():
            self._clock.post(self)
        else:
            self._timer_at = when
            self._timer = self._clock.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._fall_due()

    def _collect(self, frames: list[bytes], merged_by: i64) -> list[bytes]:
        """These frames, and behind them what has arrived of the flights, as far as that is merged alike."""
        now = self._clock.now()
        batches = [frames] if frames else []
        while self._flights and self._flights[0][0] <= now:
            flight = self._flights[0][2]
            if flight.merged_by != merged_by:
                break
            heappop(self._flights)
            self.in_flight -= flight.arriving
            if flight.frames:
                batches.append(flight.frames)
        if len(batches) == 1:
            return batches[0]
        return [frame for batch in batches for frame in batch]

    def _hand_over(self, frames: list[bytes], merged_by: i64) -> None:
        receiver = self.target.receiver if self.target is not None else None
        count = frames_of(frames, merged_by)
        if receiver is None:
            self.down_dropped += count
            return
        self.delivered += count
        if isinstance(receiver, Station):
            station: Station = receiver
            if merged_by and station.takes_merged():
                station.receive_merged(frames, merged_by)
            else:
                station.receive(cut(frames, merged_by))
        else:
            receiver.receive(cut(frames, merged_by))

    # ---- what changes of settings do to it

    def _reschedule(self, leaving: list[Flight]) -> None:
        """After a change of rate or delay: what has not left yet arrives by the new settings."""
        for flight in leaving:
            Transit._schedule(self, flight)
        self._flights[:] = [(flight.arrives, serial, flight) for _, serial, flight in self._flights]
        heapify(self._flights)
        Transit._arm(self)

    def _lose_all(self) -> None:
        """The link goes down under what is on its way."""
        self.down_dropped += len(self.flights())
        self._flights.clear()
        self._arriving = []
        self._arriving_octets = 0
        self.in_flight = self._floor = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class MemoryEnd(LinkEnd):
    """One end of a MemoryLink."""

    def __init__(self, name: str, outgoing: Transit, incoming: Transit) -> None:
        LinkEnd.__init__(self, name)
        self.outgoing = outgoing
        self.incoming = incoming
        outgoing.source = self
        incoming.target = self

    @property
    def mtu(self) -> int:
        """The longest IP packet, in octets, that may be sent from here."""
        return self.outgoing._mtu

    def send(self, frames: list[bytes]) -> None:
        """Sends a batch of frames, in order, as `LinkEnd.send`."""
        Transit.send(self.outgoing, frames)

    def send_merged(self, frames: list[bytes], merged_by: i64) -> None:
        """Sends a merged batch, as `LinkEnd.send_merged`."""
        Transit.send_merged(self.outgoing, frames, merged_by)

    def __repr__(self) -> str:
        return f"<MemoryEnd {self.name}>"
