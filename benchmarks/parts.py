"""The parts that the way of a byte is made of, each to be run and timed alone.

    make bench-parts        by pytest-benchmark, which takes the time of each many times over

A part is made anew for each measurement. What it needs before every run, and what does not belong to it, is `prepare`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import NamedTuple

from aionetflow import EventLoop
from aionetflow.clock import ManualClock
from aionetflow.ethernet.interface import Interface
from aionetflow.fast import checksum
from aionetflow.link.memory import MemoryLink
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack

SEGMENT = bytes(range(256)) * 5 + bytes(168)  # 1,448 octets: a full segment at an MTU of 1500, with timestamps
TURNS = 100


def nothing() -> None:
    """What is called where it does not matter what."""


class Part(NamedTuple):
    """One of them, ready to run."""

    run: Callable[[], object]
    prepare: Callable[[], object] | None = None  # before each run, not timed
    close: Callable[[], object] = nothing


class Pair:
    """A connection between two stacks; frames travel when and as often as one says."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.client, self.server = self._stack(1), self._stack(2)
        listener, client = self.server[0].socket(), self.client[0].socket()
        assert isinstance(listener, StreamSocket)
        assert isinstance(client, StreamSocket)
        listener.bind(("10.0.0.2", 80))
        listener.listen(1)
        try:
            client.connect(("10.0.0.2", 80))
        except BlockingIOError:
            self.settle()
        self.sender, self.receiver = client, listener.accept()[0]

    def settle(self) -> None:
        """Carries all there is to carry, both ways, until there is nothing."""
        while frames := self.frames(self.client[1]):
            self.server[1].receive(frames)
            if frames := self.frames(self.server[1]):
                self.client[1].receive(frames)

    def rest(self) -> None:
        """Until nothing is on its way, nothing is unread and nothing is left to be acknowledged."""
        self.settle()
        while self.receiver.queued()[0]:
            self.receiver.recv(1 << 16)
        self.clock.advance(0.1)  # longer than any acknowledgment is delayed
        self.client[1].receive(self.frames(self.server[1]))

    def frames(self, nic: Interface) -> list[bytes]:
        """Takes what an interface has sent."""
        found = [frame for _, frame in nic.sent]
        nic.sent.clear()
        return found

    def _stack(self, number: int) -> tuple[Stack, Interface]:
        stack = Stack(self.clock, Random(number))
        nic = stack.attach_raw("raw0", 1500)
        stack.add_address(nic, f"10.0.0.{number}/24")
        return stack, nic


def segment_out() -> Part:
    """send() of a full segment, down to the frame; no data is on its way."""
    pair = Pair()

    return Part(partial(pair.sender.send, SEGMENT), pair.rest)


def segment_in() -> Part:
    """A full segment, from the frame up to the socket's buffer."""
    pair = Pair()
    waiting: list[bytes] = []

    def prepare() -> None:
        pair.rest()
        pair.sender.send(SEGMENT)
        waiting[:] = pair.frames(pair.client[1])

    return Part(lambda: pair.server[1].receive(waiting), prepare)


def sum_of(octets: int) -> Part:
    """The Internet checksum of so many octets."""
    return Part(partial(checksum, bytes(range(251)) * (octets // 251 + 1), 0, octets))


def turns() -> Part:
    """A hundred turns of our event loop, with one callback in each."""
    loop = EventLoop(time="virtual", seed=1)
    left = 0

    def callback() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(callback)

    def run() -> None:
        nonlocal left
        left = TURNS
        loop.call_soon(callback)
        loop._run_once()

    return Part(run, close=loop.close)


def frame_over_a_link() -> Part:
    """A frame of 1,514 octets from one end of a link without delay to the other."""
    clock = ManualClock()
    link = MemoryLink(clock, Random(1))

    class Receiver:
        def receive(self, frames: list[bytes]) -> None:
            """Takes them."""

    link.b.attach(Receiver())
    frames = [bytes(1514)]

    def run() -> None:
        link.a.send(frames)
        clock.run()

    return Part(run)


def timer_of_the_core() -> Part:
    """A timer of the core's clock that is armed and cancelled."""
    clock = ManualClock()
    return Part(lambda: clock.call_at(1_000_000_000, nothing).cancel())


def timer_of_the_loop() -> Part:
    """call_later() of our event loop, and cancel()."""
    loop = EventLoop(time="virtual", seed=1)
    return Part(lambda: loop.call_later(1.0, nothing).cancel(), close=loop.close)


PARTS: dict[str, Callable[[], Part]] = {
    "one segment in": segment_in,
    "one segment out": segment_out,
    "checksum of 64 octets": partial(sum_of, 64),
    "checksum of 1460 octets": partial(sum_of, 1460),
    "checksum of 65536 octets": partial(sum_of, 65536),
    "100 turns of the loop with a callback each": turns,
    "a frame over a link": frame_over_a_link,
    "a timer of the core, armed and cancelled": timer_of_the_core,
    "a timer of the loop, armed and cancelled": timer_of_the_loop,
}
