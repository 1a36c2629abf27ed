"""Random programs of two ends of a connection: on a virtual network they hear and are told what they are on the kernel.

A program is a list of bursts. What is in a burst is done in one go, to either end; between two bursts everything comes
to rest. Beyond that the protocols react to what they are told: by calls of their own, and by exceptions. What there is
to compare is, for each burst and each end, the order in which the protocol was called, with what, and what calls on the
transport returned or raised; and, for each burst, what came to the loop's exception handler.
"""

from __future__ import annotations

import asyncio
import functools
import random
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from support.build import PURE
from support.loops import LOOPS, until
from support.sides import Program, Trial, on_kernel, on_network

PROGRAMS = range(15 if PURE else 40)
QUIET = 3  # rounds in which nothing happens
SIZES = (0, 1, 10, 999, 1000, 1001, 5000)  # octets: below what is buffered anywhere
LIMITS: tuple[dict[str, int], ...] = (
    {}, {"high": 0}, {"high": 10}, {"low": 5}, {"high": 1, "low": 5}, {"high": 100_000, "low": 1}, {"low": 0},
)  # fmt: skip
PATTERN = bytes(range(251))
KINDS: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes, "bytearray": bytearray, "view": memoryview, "str": lambda _: "text", "None": lambda _: None,
}  # fmt: skip
LINGER = struct.pack("ii", 1, 0)
Call = tuple[Any, ...]  # a name, and arguments


class Boom(Exception):
    """What a protocol raises."""


class End:
    """One end: what its protocols, of which there may be several one after the other, do and are told."""

    def __init__(self, reactions: dict[str, list[Call]]) -> None:
        self.transport: Any = None
        self.notes: list[tuple[Any, ...]] = []
        self.lost = False
        self.happened = 0
        self._reactions = reactions
        self._told: Counter[str] = Counter()
        self._written = 0

    def told(self, call: str, value: Any = None) -> Any:
        """Notes a call of the protocol, reacts to it and returns what it shall return."""
        self.happened += 1
        if call == "data" and self.notes and self.notes[-1][0] == "data":
            value = self.notes.pop()[1] + value
        if call != "get_buffer":
            self.notes.append((call, value))
        self.lost |= call == "lost"
        number, self._told[call] = self._told[call], self._told[call] + 1
        for reaction in self._reactions.get(call, [])[number : number + 1]:
            if reaction[0] == "raise":
                raise Boom(call)
            if reaction[0] == "return":
                return reaction[1]
            self.do(reaction)
        return None

    def do(self, call: Call) -> None:
        """Makes a call on the transport, and notes what comes of it, unless it is None."""
        name, *arguments = call
        try:
            result = getattr(self, f"_{name}")(*arguments)
        except Boom:
            raise
        except Exception as error:
            result = error_of(error)
        if result is not None:
            self.notes.append((name, result))

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(self.transport, name)(*arguments)

    def _write(self, kind: str, size: int) -> None:
        self.transport.write(KINDS[kind](self._next(size)))

    def _writelines(self, sizes: list[int]) -> None:
        pieces = [self._next(size) for size in sizes]
        if sys.version_info < (3, 12):
            self.transport.writelines(pieces)
        else:  # asyncio's own raises TypeError there once it is closing, and forgets to pause the protocol
            self.transport.write(b"".join(pieces))

    def _next(self, size: int) -> bytes:
        start = self._written % len(PATTERN)
        self._written += size
        return (PATTERN * (size // len(PATTERN) + 2))[start : start + size]

    def _set_protocol(self, size: int) -> None:
        self.transport.set_protocol(protocol(self, size))

    def _limit(self, limits: dict[str, int]) -> Any:
        self.transport.set_write_buffer_limits(**limits)
        return self.transport.get_write_buffer_limits()

    def _linger(self) -> None:
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)

    def _look(self) -> Any:
        transport = self.transport
        return (
            transport.is_closing(), transport.is_reading(), transport.get_write_buffer_size(),
            transport.get_extra_info("nothing", 5), transport.get_extra_info("peername")[0],
            type(transport.get_protocol()).__name__,
        )  # fmt: skip


class Common(asyncio.BaseProtocol):
    """What both kinds of protocol are told."""

    def __init__(self, end: End, size: int) -> None:
        self.end = end
        self.buffer = bytearray(size)

    def connection_made(self, transport: Any) -> None:
        self.end.transport = transport
        self.end.told("made", type(self).__name__)

    def eof_received(self) -> Any:
        return self.end.told("eof")

    def pause_writing(self) -> None:
        self.end.told("pause")

    def resume_writing(self) -> None:
        self.end.told("resume")

    def connection_lost(self, error: Exception | None) -> None:
        self.end.told("lost", error_of(error))


class Plain(Common, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        self.end.told("data", data)


class Buffered(Common, asyncio.BufferedProtocol):
    def get_buffer(self, _: int) -> bytearray:
        buffer: bytearray | None = self.end.told("get_buffer")
        return self.buffer if buffer is None else buffer

    def buffer_updated(self, count: int) -> None:
        self.end.told("data", bytes(self.buffer[:count]))


def protocol(end: End, size: int) -> Common:
    """A protocol with a buffer of so many octets, or without one."""
    return Buffered(end, size) if size else Plain(end, 0)


def error_of(error: BaseException | None) -> str:
    """What is to be the same about an error."""
    text = error.errno if isinstance(error, OSError) else error
    return f"{type(error).__name__} {text}"


# ---- programs


def draw_call(rng: random.Random) -> Call:
    """A call on a transport."""
    calls: list[tuple[int, Callable[[], Call]]] = [
        (42, lambda: ("write", rng.choice(("bytes", "bytearray", "view")), rng.choice(SIZES))),
        (2, lambda: ("write", rng.choice(("str", "None")), 0)),
        (6, lambda: ("writelines", rng.choices(SIZES, k=rng.randrange(4)))),
        (6, lambda: ("call", "write_eof")),
        (10, lambda: ("call", "pause_reading")),
        (10, lambda: ("call", "resume_reading")),
        (4, lambda: ("call", "close")),
        (3, lambda: ("call", "abort")),
        (4, lambda: ("limit", rng.choice(LIMITS))),
        (4, lambda: ("set_protocol", rng.choice((0, 0, 1, 100, 5000)))),
        (5, lambda: ("look",)),
        (1, lambda: ("linger",)),
    ]
    weights, draws = zip(*calls, strict=True)
    draw: Callable[[], Call] = rng.choices(draws, weights)[0]
    return draw()


def draw_reaction(rng: random.Random, call: str) -> Call:
    """What a protocol does when it is called; `look` is little enough to stand for nothing at all."""
    if call == "get_buffer":
        return rng.choice((("look",), ("look",), ("look",), ("raise",), ("return", bytearray())))
    if call == "eof" and rng.random() < 0.6:
        return ("return", True)
    return ("raise",) if rng.random() < 0.2 else draw_call(rng)


def draw_reactions(rng: random.Random) -> dict[str, list[Call]]:
    """By the name of a call: the reactions to the first of them, the second ..."""
    calls = ("made", "data", "eof", "pause", "resume", "lost", "get_buffer")
    return {
        call: [draw_reaction(rng, call) for _ in range(rng.randrange(1, 3))]
        for call in calls
        if rng.random() < (0.5 if call == "eof" else 0.25)
    }


def program(seed: int) -> Program:
    """The program of that number."""
    rng = random.Random(seed)
    sizes = [rng.choice((0, 0, 1000)) for _ in range(2)]
    reactions = [draw_reactions(rng) for _ in range(2)]
    bursts = [
        [(rng.randrange(2), draw_call(rng)) for _ in range(rng.choice((1, 1, 1, 2, 3, 5)))]
        for _ in range(rng.randrange(1, 12))
    ]

    async def run(trial: Trial) -> None:
        trial.listen_to_handler()
        ends = [End(of_end) for of_end in reactions]
        await connect(trial, ends, sizes)
        for burst in bursts:
            for number, call in burst:
                ends[number].do(call)
            await rest(trial, ends)
        for end in ends:
            if not end.transport.is_closing():
                end.transport.abort()
        await rest(trial, ends)
        for end in ends:
            assert end.lost or end.transport.is_closing()

    return run


async def connect(trial: Trial, ends: list[End], sizes: list[int]) -> None:
    """Makes a connection, and waits until both ends have it."""
    loop = asyncio.get_running_loop()
    near, far = (functools.partial(protocol, end, size) for end, size in zip(ends, sizes, strict=True))
    address = await trial.server(far)
    await loop.create_connection(near, *address)
    await until(lambda: all(end.transport for end in ends))
    await rest(trial, ends)


async def rest(trial: Trial, ends: list[End]) -> None:
    """Waits until nothing happens any more, and says what has happened."""
    quiet = 0
    while quiet < QUIET:
        before = [end.happened for end in ends]
        for _ in range(4):
            await asyncio.sleep(0)
        await asyncio.sleep(0.0005)
        quiet = quiet + 1 if before == [end.happened for end in ends] else 0
    for number, end in enumerate(ends):
        trial.say(f"end {number}", end.notes)
        end.notes = []
    trial.say("handler", sorted(f"{error_of(context['exception'])}" for context in trial.told))
    trial.told.clear()


@pytest.mark.kernel
@pytest.mark.parametrize("kind", LOOPS)
def test_a_random_program_goes_as_on_the_kernel(kind: str) -> None:
    for seed in PROGRAMS:
        assert on_network(program(seed), kind) == as_on_the_kernel(seed), f"program {seed}"


@functools.cache
def as_on_the_kernel(seed: int) -> Any:
    """What a program is told there, where the time is real."""
    return on_kernel(program(seed))
