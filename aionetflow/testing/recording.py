"""A network that remembers what crossed it: its last frames, or as many as a capture may hold."""

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from aionetflow.cli.frames import describe
from aionetflow.ethernet.frame import HEADER_LENGTH
from aionetflow.link.capture import LINKTYPE_ETHERNET, LINKTYPE_RAW, Capture
from aionetflow.link.channel import Channel
from aionetflow.link.memory import MemoryLink
from aionetflow.link.tap import TapLink
from aionetflow.network.host import Host
from aionetflow.network.network import Network, Node

LAST = 30  # frames that are shown
_CAPTURED = 64 << 20  # octets of frames that are kept for a capture; older ones go
_OVERHEAD = 200  # octets of memory for a frame, besides its own


class Place(NamedTuple):
    """Where frames are seen: a link, or the loopback interface of a host."""

    name: str
    linktype: int
    ways: tuple[str, str]  # there and back, in words


class Seen(NamedTuple):
    """A frame on its way."""

    time_ns: int
    place: int
    there: bool
    frame: bytes
    fate: str


class Recorder:
    """Remembers frames: the last ones, or with `capture` all of them, as far as memory is meant for that."""

    def __init__(self, capture: bool) -> None:
        self.count = 0
        self.places: list[Place] = []
        self._frames: deque[Seen] = deque(maxlen=None if capture else LAST)
        self._room = _CAPTURED

    def add(self, place: Place) -> Callable[[int, bool, bytes, str], None]:
        """A new place; returns what is to be called with each frame there."""
        number = len(self.places)
        self.places.append(place)

        def saw(time_ns: int, there: bool, frame: bytes, fate: str) -> None:
            self.count += 1
            self._frames.append(Seen(time_ns, number, there, frame, fate))
            if self._frames.maxlen is None:
                self._make_room(len(frame) + _OVERHEAD)

        return saw

    def lines(self, start_ns: int) -> list[str]:
        """The last frames, a line each: seconds since `start_ns`, where, what, and its fate."""
        last = list(self._frames)[-LAST:]
        ways = [self.places[seen.place].ways[not seen.there] for seen in last]
        width = max(map(len, ways), default=0)
        return [self._line(seen, f"{way:<{width}}", start_ns) for seen, way in zip(last, ways, strict=True)]

    def write(self, path: Path, start_ns: int) -> None:
        """Writes a pcapng file of all that is remembered, its time counted from `start_ns`; OSError if it cannot."""
        with Capture(path) as capture:
            interfaces = [capture.add_interface(place.name, place.linktype) for place in self.places]
            for seen in self._frames:
                when = seen.time_ns - start_ns
                capture.write(interfaces[seen.place], when, seen.frame, seen.fate, seen.there)

    def _line(self, seen: Seen, way: str, start_ns: int) -> str:
        ethernet = self.places[seen.place].linktype == LINKTYPE_ETHERNET
        what = describe(seen.frame, HEADER_LENGTH if ethernet else 0)
        fate = f"  ({seen.fate})" if seen.fate else ""
        return f"{(seen.time_ns - start_ns) / 1e9:11.6f}  {way}  {what}{fate}"

    def _make_room(self, octets: int) -> None:
        self._room -= octets
        while self._room < 0:
            self._room += len(self._frames.popleft().frame) + _OVERHEAD


class RecordedNetwork(Network):
    """A network all of whose links and loopback interfaces a recorder watches, from the moment they are made."""

    def __init__(self, recorder: Recorder, *args: Any, **kwargs: Any) -> None:
        self._recorder = recorder
        super().__init__(*args, **kwargs)

    def _add_host(self, host: Host, addresses: tuple[str, ...]) -> Host:
        super()._add_host(host, addresses)
        way = f"{host.name} lo"
        saw = self._recorder.add(Place(way, LINKTYPE_RAW, (way, way)))

        def tap(time_ns: int, frame: bytes, outbound: bool) -> None:
            if outbound:  # what goes out there comes in again
                saw(time_ns, True, frame, "")

        host.bare_stack.lo.taps.append(tap)
        return host

    def _join(self, a: Node, b: Node, settings: dict[str, Any]) -> MemoryLink:
        link = super()._join(a, b, settings)
        self._watch(link, a.name, b.name)
        return link

    def _join_outside(self, node: Node, *args: Any) -> TapLink:
        link = super()._join_outside(node, *args)
        self._watch(link, node.name, link.device.name)
        return link

    def _watch(self, link: MemoryLink, a: str, b: str) -> None:
        ways = f"{a} → {b}", f"{b} → {a}"
        saw = self._recorder.add(Place(link.name, LINKTYPE_ETHERNET, ways))

        def tap(time_ns: int, channel: Channel, frame: bytes, fate: str) -> None:
            saw(time_ns, channel is link.a_to_b, frame, fate)

        link.tap(tap)
