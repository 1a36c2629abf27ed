"""Every short way, taken and not taken, gives the same octets, and the same frames where the table says so.

What `FAST` has is found by looking: a switch that is not in the table fails.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from aionetflow.fast_paths import FAST
from support.build import COMPILED
from support.small_programs import PLACES, PROGRAMS, WHOLE, End, Outcome, Program, Stage, perform

EVERYWHERE = tuple(PLACES)
# Which way is taken is the same on both builds: the pure one, ten times as slow, compares a link that does nothing to
# frames and one that does.
HERE = EVERYWHERE if COMPILED else ("link", "true")


class Comparison(NamedTuple):
    """What must be so with a switch on and off, beyond that every octet is heard by whom and as it was."""

    frames_agree: tuple[str, ...]  # the places where each frame is the same, at the same ns
    why: str


COMPARISONS = {
    "header_prediction": Comparison(EVERYWHERE, "the short way through the same rules"),
    "last_addresses": Comparison(EVERYWHERE, "only how a socket is found"),
    "merging": Comparison(
        ("lo", "true"), "frames that arrive one at a time merge with none; merged, they are acknowledged at once"
    ),
    "clean_link": Comparison(EVERYWHERE, "only how frames cross a link that does nothing to them"),
    "burst": Comparison(
        ("lo", "true", "bad"), "without a delay to wait for, what arrives before a call returns is acknowledged there"
    ),
    "direct_connect": Comparison(EVERYWHERE, "only what asyncio's code would have done around the same calls"),
    "direct_accept": Comparison(EVERYWHERE, "only what asyncio's code would have done around the same calls"),
}


def compared_octets(name: str, program: Program) -> list[str]:
    """Where a program is heard with a switch off: not where its frames are looked at without ending a short way."""
    agree = COMPARISONS[name].frames_agree
    return [place for place in played(program) if not (place in agree and PLACES[place])]


def compared_frames(name: str, program: Program) -> list[str]:
    """Where a program's frames are looked at; that ends the short ways of a link that does nothing to them."""
    places = [place for place in played(program) if place in COMPARISONS[name].frames_agree]
    return places if COMPILED else [place for place in places if PLACES[place]]


def played(program: Program) -> list[str]:
    """Where it plays on this build."""
    return [place for place in PROGRAMS[program] if place in HERE]


@pytest.fixture(autouse=True)
def watched_frames() -> None:
    """Instead of the suite's: a tap on an interface may itself end a short way. Each frame is decoded here."""


def switches(board: object) -> list[str]:
    """The names of all that can be switched."""
    return [name for name in dir(board) if isinstance(getattr(board, name), bool)]


@contextmanager
def off(board: object, name: str) -> Iterator[None]:
    """A switch is off meanwhile."""
    assert getattr(board, name) is True
    setattr(board, name, False)
    try:
        yield
    finally:
        setattr(board, name, True)


@functools.cache
def with_all_on(program: Program, place: str, tapped: bool) -> Outcome:
    """What every switch is compared with; once for all of them."""
    return perform(program, place, tapped=tapped)


def difference(program: Program, place: str, board: object, name: str, *, tapped: bool) -> str:
    """What is not the same with a switch off, in a line; "" if nothing is. Frames are looked at if they are tapped."""
    on = with_all_on(program, place, tapped)
    with off(board, name):
        without = perform(program, place, tapped=tapped)
    for who in sorted(on.heard.keys() | without.heard.keys()):
        ours, theirs = on.heard.get(who, b""), without.heard.get(who, b"")
        if ours != theirs:
            return f"{who} heard {_first_difference(ours, theirs)}"
    if on.frames != without.frames:
        return f"frames: {_first_difference(on.frames, without.frames)}"
    return ""


def _first_difference(ours: Any, theirs: Any) -> str:
    same = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return f"{len(ours)} and {len(theirs)}, the first {same} alike, then {ours[same:][:1]!r} and {theirs[same:][:1]!r}"


# ---- what is compared


def test_every_switch_has_its_line_in_the_table_and_is_on() -> None:
    assert switches(FAST) == sorted(COMPARISONS)
    assert all(getattr(FAST, name) for name in switches(FAST))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("name", switches(FAST))
def test_a_short_way_gives_the_same_octets(name: str, program: Program) -> None:
    for place in compared_octets(name, program):
        assert difference(program, place, FAST, name, tapped=False) == "", place


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
@pytest.mark.parametrize("name", [name for name, one in COMPARISONS.items() if one.frames_agree])
def test_a_short_way_gives_the_same_frames_where_they_must_agree(name: str, program: Program) -> None:
    for place in compared_frames(name, program):
        assert difference(program, place, FAST, name, tapped=True) == "", place


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_all_short_ways_off_at_once_give_the_same_octets(program: Program) -> None:
    names = switches(FAST)
    for place in played(program):
        on = with_all_on(program, place, False)
        for name in names:
            setattr(FAST, name, False)
        try:
            without = perform(program, place)
        finally:
            for name in names:
                setattr(FAST, name, True)
        assert without.heard == on.heard, place


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_a_program_does_the_same_twice_and_hears_what_it_should(program: Program) -> None:
    for place in played(program):
        first = with_all_on(program, place, True)
        assert perform(program, place, tapped=True) == first
        assert first.heard == with_all_on(program, place, False).heard  # whoever looks changes nothing
        assert first.heard
        assert first.frames
        first.check()


# ---- the comparison sees what it should


def greeting(board: Any) -> Program:
    """A program whose short ways are not what they should be."""

    async def program(stage: Stage) -> None:
        done = asyncio.Event()

        class Server(End):
            def eof_received(self) -> bool:
                done.set()
                return False

        server = await stage.serve(lambda: Server(stage, "server"))
        client = await stage.connect(lambda: End(stage, "client"))
        client.transport.write(b"good " if board.truthful else b"bad ")
        if not board.prompt:
            await asyncio.sleep(1)
        client.transport.write(b"morning")
        if not board.brief:
            client.transport.write(b"")
        client.transport.close()
        await done.wait()
        await client.lost
        server.close()

    return program


@pytest.mark.parametrize("place", WHOLE)
def test_a_short_way_that_changes_an_octet_is_found(place: str) -> None:
    board = SimpleNamespace(truthful=True, prompt=True, brief=True)
    found = difference(greeting(board), place, board, "truthful", tapped=False)
    assert found.startswith("server heard 20 and 19, the first 0 alike, then b'g' and b'b'")


@pytest.mark.parametrize("place", WHOLE)
def test_a_short_way_that_changes_only_when_frames_are_sent_is_found_if_they_must_agree(place: str) -> None:
    board = SimpleNamespace(truthful=True, prompt=True, brief=True)
    program = greeting(board)
    assert difference(program, place, board, "prompt", tapped=False) == ""
    assert difference(program, place, board, "prompt", tapped=True).startswith("frames: ")


def test_a_short_way_that_changes_nothing_is_not_reported() -> None:
    board = SimpleNamespace(truthful=True, prompt=True, brief=True)
    assert difference(greeting(board), "link", board, "brief", tapped=True) == ""


def test_a_new_switch_is_found_without_being_told_of() -> None:
    assert switches(SimpleNamespace(number=1, brief=True, text="yes", hasty=False)) == ["brief", "hasty"]
    assert "merging" in switches(FAST)
