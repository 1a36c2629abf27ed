"""The state machine: the table against RFC 9293 figure 5, and every state under random segments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aionetflow.config import NEVER
from aionetflow.tcp.states import TRANSITIONS, Event, State, next_state
from support.build import PURE
from support.fixtures import EVERY, established, listening
from support.rules import rule
from support.script import ACK, FIN, ISS, M32, PSH, RST, SYN, Script

# RFC 9293 figure 5; not there, because sockets have no such call: SEND in LISTEN. The arrow from SYN-RECEIVED back
# to LISTEN is here one to CLOSED: the listener is a socket of its own and has never left LISTEN.
FIGURE_5 = [
    (State.CLOSED, Event.PASSIVE_OPEN, State.LISTEN),
    (State.CLOSED, Event.ACTIVE_OPEN, State.SYN_SENT),
    (State.LISTEN, Event.RCV_SYN, State.SYN_RECEIVED),
    (State.LISTEN, Event.CLOSE, State.CLOSED),
    (State.SYN_SENT, Event.CLOSE, State.CLOSED),
    (State.SYN_SENT, Event.RCV_SYN, State.SYN_RECEIVED),
    (State.SYN_SENT, Event.RCV_SYN_ACK, State.ESTABLISHED),
    (State.SYN_RECEIVED, Event.RCV_RST, State.CLOSED),
    (State.SYN_RECEIVED, Event.RCV_ACK_OF_SYN, State.ESTABLISHED),
    (State.SYN_RECEIVED, Event.CLOSE, State.FIN_WAIT_1),
    (State.ESTABLISHED, Event.CLOSE, State.FIN_WAIT_1),
    (State.ESTABLISHED, Event.RCV_FIN, State.CLOSE_WAIT),
    (State.FIN_WAIT_1, Event.RCV_FIN, State.CLOSING),
    (State.FIN_WAIT_1, Event.RCV_ACK_OF_FIN, State.FIN_WAIT_2),
    (State.FIN_WAIT_2, Event.RCV_FIN, State.TIME_WAIT),
    (State.CLOSING, Event.RCV_ACK_OF_FIN, State.TIME_WAIT),
    (State.CLOSE_WAIT, Event.CLOSE, State.LAST_ACK),
    (State.LAST_ACK, Event.RCV_ACK_OF_FIN, State.CLOSED),
    (State.TIME_WAIT, Event.TIMEOUT, State.CLOSED),
]
# RFC 9293 3.10.7.4 eighth: a FIN in SYN-RECEIVED; Linux: an orphan's FIN-WAIT-2 ends.
BESIDE_FIGURE_5 = [
    (State.SYN_RECEIVED, Event.RCV_FIN, State.CLOSE_WAIT),
    (State.FIN_WAIT_2, Event.TIMEOUT, State.CLOSED),
]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_the_table_is_total(state: State, event: Event) -> None:
    after = State(next_state(state, event))
    assert after is TRANSITIONS.get((state, event), state)


@rule("RFC 9293 3.3.2", "Each arrow of figure 5 is there", code="tcp/states.py")
@pytest.mark.parametrize(("state", "event", "after"), FIGURE_5 + BESIDE_FIGURE_5)
def test_each_arrow_of_figure_5_is_there(state: State, event: Event, after: State) -> None:
    assert next_state(state, event) == after


@rule("RFC 9293 3.3.2", "No arrow is there that is not in figure 5", code="tcp/states.py")
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_no_other_arrow_is_there(state: State, event: Event) -> None:
    """Besides those above, only a reset or an abort moves a connection, and only to CLOSED."""
    drawn = {(before, cause): after for before, cause, after in FIGURE_5 + BESIDE_FIGURE_5}
    if event is Event.ABORT or (event is Event.RCV_RST and state is not State.LISTEN):
        assert next_state(state, event) == State.CLOSED
    else:
        assert next_state(state, event) == drawn.get((state, event), state)


def test_only_opening_leads_out_of_closed() -> None:
    ways = {event for event in Event if next_state(State.CLOSED, event) != State.CLOSED}
    assert ways == {Event.PASSIVE_OPEN, Event.ACTIVE_OPEN}


def test_every_state_is_reached_and_left() -> None:
    reached = {State.CLOSED}
    for _ in State:
        reached |= {State(next_state(state, event)) for state in reached for event in Event}
    assert reached == set(State)
    for state in set(State) - {State.CLOSED}:
        assert any(next_state(state, event) != state for event in Event)


# Random segments --------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """A segment, where it lies beside what is expected, and how long after the one before it comes."""

    flags: int
    seq: int
    ack: int
    window: int
    data: bytes
    options: bytes
    delay: float


NEAR = st.integers(-3, 3) | st.integers(-70000, 70000) | st.integers(-(1 << 31), 1 << 31)
FLAGS = st.sampled_from((ACK, FIN | ACK, PSH | ACK, SYN, RST, SYN | ACK, RST | ACK)) | st.integers(0, 255)
STEP = st.builds(
    Step,
    FLAGS,
    NEAR | st.just(0),
    NEAR | st.just(0),
    st.integers(0, 65535),
    st.binary(max_size=8) | st.integers(0, 3000).map(bytes),
    st.just(b"") | st.binary(max_size=40),
    st.sampled_from((0, 0, 0.04, 0.3, 70)),
)


@pytest.mark.parametrize("state", EVERY, ids=lambda state: state.name)
@settings(max_examples=20 if PURE else 40, deadline=None)
@given(steps=st.lists(STEP, max_size=12))
def test_random_segments_do_no_harm(state: State, steps: list[Step]) -> None:
    """Nothing is raised, every frame is whole, no RST answers a RST, and nothing grows."""
    script = EVERY[state]()
    for step in steps:
        script.after(step.delay)
        script.drain()
        script.deliver([arbitrary(script, step)])
        answers = script.drain()
        assert len(answers) <= 2, "nothing was written, so there is little to say"
        assert not (step.flags & RST and any(heard.flags & RST for heard in answers))
    comes_to_rest(script)


@pytest.mark.parametrize("state", [State.ESTABLISHED, State.CLOSE_WAIT], ids=lambda state: state.name)
@settings(max_examples=20 if PURE else 40, deadline=None)
@given(steps=st.lists(STEP | st.integers(1, 5000).map(bytes) | st.sampled_from(("read", "shut")), max_size=20))
def test_random_segments_and_calls_do_no_harm(state: State, steps: list[Step | bytes | str]) -> None:
    script = EVERY[state]()
    for step in steps:
        if isinstance(step, Step):
            script.after(step.delay).deliver([arbitrary(script, step)])
        else:
            call(script, step)
        script.drain()
        assert all(size <= 1 << 20 for size in script.sock.queued())
    comes_to_rest(script)


def arbitrary(script: Script, step: Step) -> bytes:
    """The segment of a step."""
    return script.segment(
        step.flags, seq=(script.nxt + step.seq) & M32, ack=(script.heard + step.ack) & M32,
        data=step.data, window=step.window, options=step.options[: len(step.options) // 4 * 4],
    )  # fmt: skip


def call(script: Script, step: bytes | str) -> None:
    """What an application may do; an OSError is an answer, anything else is not."""
    try:
        if isinstance(step, bytes):
            script.sock.send(step)
        elif step == "read":
            script.sock.recv(1000)
        else:
            script.sock.shutdown(1)
    except OSError:
        pass


def comes_to_rest(script: Script) -> None:
    """When the application has closed and nobody answers, all timers end: nothing is kept for ever."""
    for sock in list(script.stack.sockets.values()):
        sock.close()
    assert script.clock.run_until_idle(7200)
    script.drain()
    assert script.clock.next_deadline() == NEVER
    assert script.stack.deadline() == NEVER


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=20))
def test_random_octets_do_no_harm(packets: list[bytes]) -> None:
    script = established()
    for packet in packets:
        script.deliver([packet])
    script.deliver([b"E" + packet for packet in packets])
    template = script.segment(ACK, seq=script.nxt)
    script.deliver([template[:20] + packet for packet in packets])
    script.drain()
    assert script.state == State.ESTABLISHED


def test_a_flood_of_syns_is_bounded_by_the_backlog() -> None:
    script = listening(backlog=16)
    script.stack.sysctl["net.ipv4.tcp_syncookies"] = 0
    for port in range(1024, 4096):
        script.ports = (port, 80)
        script.deliver([script.segment(SYN, seq=ISS)])
    assert len(script.drain()) <= 17
    script.after(200).drain()
    script.ports = (5000, 80)
    script.nxt = ISS
    script.sends(SYN)
    assert script.take().flags == SYN | ACK, "the half-open ones have gone"


def test_a_flood_of_single_octets_out_of_order_is_bounded() -> None:
    """What is held ahead of its turn never exceeds the window, however many pieces it comes in."""
    script = established()
    assert script.edge is not None
    for index in range(1000):
        script.deliver([script.segment(PSH | ACK, seq=(ISS + 3 + 2 * index) & M32, data=b"x")])
    answers = script.drain()
    assert {heard.ack for heard in answers} == {(ISS + 1) & M32}
    script.sends(PSH | ACK, data=b"ab")
    assert script.drain()[-1].ack in {(ISS + 3 + n) & M32 for n in (0, 1)}


def test_the_picture_in_the_documentation_is_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "states.md").read_text(encoding="utf-8")
    drawn = set(re.findall(r"^    (\w+) --> (\w+): (\w+)$", page, re.MULTILINE))
    ends = (Event.ABORT, Event.RCV_RST)
    table = {(state.name, after.name, event.name) for (state, event), after in TRANSITIONS.items() if event not in ends}
    assert drawn == table
