"""The out-of-order store against a plain model: a dictionary of octets by their distance from the start."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from aionetflow.tcp.reassembly import Reassembly
from support.rules import rule

M32 = 0xFFFFFFFF
START = 0xFFFFFFF0
SPAN = 120
STREAM = bytes(index % 251 for index in range(2 * SPAN))

# (offset from START, length) of what arrives, or None: what is in order is taken
STEPS = st.lists(st.tuples(st.integers(0, SPAN), st.integers(1, 40)) | st.none(), max_size=40)


class Model:
    """Which octets there are, one by one."""

    def __init__(self) -> None:
        self.held: dict[int, int] = {}
        self.next = 0

    def insert(self, offset: int, data: bytes) -> None:
        for index, octet in enumerate(data, offset):
            self.held.setdefault(index, octet)

    def take(self) -> bytes:
        taken = bytearray()
        while self.next in self.held:
            taken.append(self.held.pop(self.next))
            self.next += 1
        return bytes(taken)

    def blocks(self) -> list[tuple[int, int]]:
        edges: list[tuple[int, int]] = []
        for index in sorted(self.held):
            if edges and edges[-1][1] == index:
                edges[-1] = (edges[-1][0], index + 1)
            else:
                edges.append((index, index + 1))
        return [((START + first) & M32, (START + last) & M32) for first, last in edges]


def agree(store: Reassembly, model: Model) -> None:
    assert store.blocks() == model.blocks()
    assert store.length == len(model.held)


@given(STEPS)
@example([(10, 10), (0, 40), None])
@example([(10, 10), (30, 10), (15, 20), None])
@example([(1, 1), (3, 1), (5, 1), (2, 1), (0, 7), None])
def test_it_holds_what_a_plain_model_holds(steps: list[tuple[int, int] | None]) -> None:
    store, model = Reassembly(), Model()
    for step in steps:
        if step is None:
            taken = b"".join(store.take((START + model.next) & M32))
            assert taken == model.take()
        else:
            offset = max(step[0], model.next)  # the receiver trims what it has delivered
            data = STREAM[offset : offset + step[1]]
            assert store.insert((START + offset) & M32, data)
            model.insert(offset, data)
        agree(store, model)


@rule("RFC 9293 3.10.7.4", "Of two segments that overlap, the octets that came first stay", code="tcp/reassembly.py")
@given(st.lists(st.tuples(st.integers(0, SPAN), st.binary(min_size=1, max_size=30)), max_size=30))
def test_where_two_say_different_things_the_first_stays(pieces: list[tuple[int, bytes]]) -> None:
    store, model = Reassembly(), Model()
    for offset, data in pieces:
        assert store.insert((START + offset) & M32, data)
        model.insert(offset, data)
        agree(store, model)
    assert b"".join(store.take(START)) == model.take()
    agree(store, model)


@given(st.permutations(range(24)))
def test_any_order_of_arrival_gives_the_stream(order: list[int]) -> None:
    store = Reassembly()
    for index in order:
        store.insert((START + 5 * index) & M32, STREAM[5 * index : 5 * index + 5])
    assert b"".join(store.take(START)) == STREAM[:120]
    assert (store.length, store.blocks()) == (0, [])


def test_nothing_is_taken_before_a_gap_is_filled() -> None:
    store = Reassembly()
    store.insert((START + 1) & M32, b"b")
    assert store.take(START) == []
    store.insert(START, b"a")
    assert b"".join(store.take(START)) == b"ab"


def test_the_number_of_blocks_is_bounded() -> None:
    """Every second octet alone: without a bound, one octet costs a block."""
    store = Reassembly()
    kept = sum(store.insert((START + 2 * index) & M32, b"x") for index in range(100_000))
    assert kept < 100_000
    assert store.length == kept == len(store.blocks())


def test_clear_forgets_everything() -> None:
    store = Reassembly()
    store.insert(START, b"abc")
    store.clear()
    assert (store.length, store.blocks(), store.take(START)) == (0, [], [])
