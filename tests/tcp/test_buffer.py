"""The send and the receive queue against one long bytes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aionetflow.packet import TxPacket
from aionetflow.tcp.buffer import ReceiveQueue, SendQueue

PIECE = st.binary(min_size=1, max_size=60)
SHARES = st.tuples(st.floats(0, 1), st.floats(0, 1))
# bytes: appended; a float: that share is released or read; two: that stretch is looked at
STEPS = st.lists(PIECE | st.floats(0, 1) | SHARES, max_size=60)


def filled(queue: SendQueue, position: int, length: int) -> bytes:
    """The payload that fill() points a packet at."""
    packet = TxPacket()
    queue.fill(packet, position, length)
    assert packet.length == length
    assert isinstance(packet.payload, bytes)
    if packet.tail is None:
        return packet.payload[packet.start : packet.start + packet.length]
    head = packet.payload[packet.start : packet.start + packet.split]
    return head + packet.tail[packet.tail_start : packet.tail_start + length - packet.split]


@given(STEPS)
def test_send_queue_is_one_long_bytes(steps: list[bytes | float | tuple[float, float]]) -> None:
    queue, model = SendQueue(), b""
    for step in steps:
        if isinstance(step, bytes):
            queue.append(step)
            model += step
        elif isinstance(step, float):
            queue.release(round(step * len(model)))
            model = model[round(step * len(model)) :]
        elif model:
            position = round(step[0] * (len(model) - 1))
            length = 1 + round(step[1] * (len(model) - position - 1))
            assert filled(queue, position, length) == model[position : position + length]
        assert queue.length == len(model)
    assert not model or filled(queue, 0, len(model)) == model


@given(st.lists(PIECE, min_size=1, max_size=40), st.integers(1, 90))
def test_send_queue_is_walked_segment_by_segment_and_again(pieces: list[bytes], mss: int) -> None:
    queue, model = SendQueue(), b"".join(pieces)
    for piece in pieces:
        queue.append(piece)
    for _ in range(2):
        walked = b"".join(
            filled(queue, position, min(mss, len(model) - position)) for position in range(0, len(model), mss)
        )
        assert walked == model


@given(st.lists(PIECE, min_size=1, max_size=40), st.lists(st.integers(0, 2400), max_size=20))
def test_send_queue_is_found_at_any_position(pieces: list[bytes], positions: list[int]) -> None:
    queue, model = SendQueue(), b"".join(pieces)
    for piece in pieces:
        queue.append(piece)
    for position in positions:
        position %= len(model)
        assert filled(queue, position, 1) == model[position : position + 1]


@given(st.lists(st.tuples(PIECE, SHARES), min_size=1, max_size=40), st.integers(1, 90))
def test_parts_of_writes_follow_one_another(pieces: list[tuple[bytes, tuple[float, float]]], mss: int) -> None:
    queue, model = SendQueue(), b""
    for number, (piece, shares) in enumerate(pieces):
        start = round(shares[0] * (len(piece) - 1))
        stop = start + max(1, round(shares[1] * (len(piece) - start)))
        if number % 3:
            queue.append_part(piece, start, stop)
        else:
            queue.append(piece[start:stop])
        model += piece[start:stop]
    assert queue.length == len(model)
    while model:
        length = min(mss, len(model))
        assert filled(queue, 0, length) == model[:length]
        queue.release(length)
        model = model[length:]
    assert queue.length == 0


def test_a_part_of_a_write_is_not_copied() -> None:
    queue, packet, data = SendQueue(), TxPacket(), bytes(100_000)
    queue.append_part(data, 30_000, 95_000)
    queue.fill(packet, 1000, 60_000)
    assert packet.payload is data
    assert packet.start == 31_000


def test_parts_of_one_write_become_one_piece_again() -> None:
    queue, packet, data = SendQueue(), TxPacket(), bytes(100_000)
    for start in range(0, 100_000, 20_000):
        queue.append_part(data, start, start + 20_000)
    queue.fill(packet, 10_000, 60_000)
    assert packet.payload is data
    assert packet.tail is None
    queue.release(90_000)
    queue.append_part(data, 0, 10)
    assert filled(queue, 9_995, 10) == bytes(10)


def test_a_segment_over_two_writes_is_not_joined() -> None:
    queue, packet, first, second = SendQueue(), TxPacket(), b"a" * 50_000, b"b" * 50_000
    queue.append(first)
    queue.append_part(second, 7, 50_000)
    queue.fill(packet, 40_000, 30_000)
    assert (packet.payload is first, packet.start, packet.split) == (True, 40_000, 10_000)
    assert (packet.tail is second, packet.tail_start) == (True, 7)


LONG_CHAIN = """
import threading
from aionetflow.tcp.buffer import ReceiveQueue, SendQueue

def fill():
    sent, received = SendQueue(), ReceiveQueue()
    for number in range(30_000):
        sent.append_part(b"%d" % number, 0, 1)
        received.append(b"x")

threading.stack_size(1 << 18)
thread = threading.Thread(target=fill)
thread.start()
thread.join()
"""


def test_a_long_chain_goes_without_going_deep() -> None:
    # in a process of its own: if it goes deep, that is the end of the process
    subprocess.run([sys.executable, "-c", LONG_CHAIN], check=True, timeout=120)


def test_a_large_chunk_is_read_as_it_lies_even_if_more_is_there() -> None:
    queue, data = ReceiveQueue(), bytes(20_000)
    queue.append(data)
    queue.append(b"more")
    assert queue.read_piece(65_536) is data
    assert queue.read_piece(65_536) == b"more"
    assert queue.read_piece(65_536) == b""


def test_small_chunks_are_read_as_one_piece() -> None:
    queue = ReceiveQueue()
    for chunk in (b"a" * 1000, b"b" * 10_000, b"c"):
        queue.append(chunk)
    assert queue.read_piece(65_536) == b"a" * 1000 + b"b" * 10_000 + b"c"


def test_a_stretch_within_one_write_is_not_copied() -> None:
    queue, packet, data = SendQueue(), TxPacket(), bytes(100_000)
    queue.append(data)
    queue.fill(packet, 1000, 60_000)
    assert packet.payload is data


def test_send_queue_forgets_everything_on_clear() -> None:
    queue = SendQueue()
    queue.append(b"abc")
    queue.clear()
    assert queue.length == 0
    queue.append(b"d")
    assert filled(queue, 0, 1) == b"d"


def read_into(queue: ReceiveQueue, limit: int) -> bytes:
    """What read_into puts at the start of a buffer of that size."""
    buffer = bytearray(limit)
    count = queue.read_into(memoryview(buffer))
    assert not any(buffer[count:])
    return bytes(buffer[:count])


@pytest.mark.parametrize("read", [ReceiveQueue.read, read_into])
@given(st.lists(PIECE | st.integers(1, 150), max_size=60))
def test_receive_queue_is_one_long_bytes(
    read: Callable[[ReceiveQueue, int], bytes], steps: list[bytes | int]
) -> None:
    queue, model = ReceiveQueue(), b""
    for step in steps:
        if isinstance(step, bytes):
            queue.append(step)
            model += step
        else:
            assert queue.peek(step) == model[:step]
            assert read(queue, step) == model[:step]
            model = model[step:]
        assert queue.length == len(model)
    assert queue.peek(1 << 20) == model


def test_reading_into_a_buffer_many_small_pieces_at_once() -> None:
    queue = ReceiveQueue()
    for index in range(1000):
        queue.append(b"%04d" % index)
    assert read_into(queue, 4 * 999 + 2) == b"".join(b"%04d" % index for index in range(1000))[:-2]
    assert queue.read(1) == b"9"
    assert read_into(queue, 100) == b"9"
    assert (read_into(queue, 1), queue.length) == (b"", 0)


def test_reading_many_small_pieces_at_once() -> None:
    queue = ReceiveQueue()
    for index in range(1000):
        queue.append(b"%04d" % index)
    assert queue.read(4 * 999 + 2) == b"".join(b"%04d" % index for index in range(1000))[:-2]
    assert queue.read(100) == b"99"
    assert (queue.read(1), queue.length) == (b"", 0)


def test_receive_queue_forgets_everything_on_clear() -> None:
    queue = ReceiveQueue()
    queue.append(b"abc")
    queue.clear()
    assert (queue.length, queue.read(10)) == (0, b"")
