"""Buffers grow with what is on the way (Linux tcp_rcv_space_adjust, tcp_sndbuf_expand)."""

from __future__ import annotations

import functools
from random import Random

import pytest

from aionetflow.clock import ManualClock
from aionetflow.link.memory import MemoryLink
from aionetflow.socket.options import SO_RCVBUF, SO_SNDBUF, SOL_SOCKET
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack

RATE = 25e6  # bits per second
SIZE = 2_500_000
DEFAULT = 524_288


class Pair:
    """A sender and a reader on a link, and how long the last two thirds of a transfer took."""

    def __init__(self, delay: float, buffers: int = 0, reading: bool = True) -> None:
        self.clock = clock = ManualClock()
        random = Random(7)
        link = MemoryLink(clock, random, rate=RATE, delay=delay)
        stacks = [Stack(clock, Random(number)) for number in (1, 2)]
        for number, (stack, end) in enumerate(zip(stacks, (link.a, link.b), strict=True)):
            interface = stack.attach_ethernet("eth0", bytes((2, 0, 0, 0, 0, number)))
            stack.add_address(interface, f"10.0.0.{number + 1}/24")
            interface.link = end
            end.attach(interface)
        listening = stacks[1].socket()
        sender = stacks[0].socket()
        assert isinstance(listening, StreamSocket)
        assert isinstance(sender, StreamSocket)
        self.sender = sender
        for sock in (listening, sender) if buffers else ():
            sock.setsockopt(SOL_SOCKET, SO_RCVBUF, buffers)
            sock.setsockopt(SOL_SOCKET, SO_SNDBUF, buffers)
        listening.bind(("10.0.0.2", 80))
        listening.listen()
        with pytest.raises(BlockingIOError):
            self.sender.connect(("10.0.0.2", 80))
        clock.advance(1.0)
        self.reader, _ = listening.accept()
        self.left, self.got, self.marks = SIZE, 0, dict[int, int]()
        self.sender.on_change = self._write
        if reading:
            self.reader.on_change = self._read
        self._write()

    def _write(self) -> None:
        try:
            while self.left:
                self.left -= self.sender.send(bytes(min(self.left, 65_536)))
        except BlockingIOError:
            pass

    def _read(self) -> None:
        try:
            while data := self.reader.recv(1 << 20):
                self.got += len(data)
        except BlockingIOError:
            pass
        for third in (SIZE // 3, SIZE):
            if self.got >= third:
                self.marks.setdefault(third, self.clock.now())

    def goodput(self) -> float:
        """Bits per second, after the first third."""
        return (SIZE - SIZE // 3) * 8e9 / (self.marks[SIZE] - self.marks[SIZE // 3])


@functools.cache
def carried(delay: float) -> Pair:
    """A transfer that is over."""
    pair = Pair(delay)
    assert pair.sender.getsockopt(SOL_SOCKET, SO_SNDBUF) == DEFAULT
    pair.clock.advance(60)
    return pair


@pytest.mark.parametrize("delay", [0.020, 0.050])
def test_a_link_with_delay_carries_its_rate(delay: float) -> None:
    pair = carried(delay)
    assert pair.got == SIZE
    assert pair.goodput() > 0.94 * RATE  # the rest is headers: 1460 of 1514 octets


def test_what_the_options_say_grows_too() -> None:
    pair = carried(0.050)
    for sock, option in ((pair.sender, SO_SNDBUF), (pair.reader, SO_RCVBUF)):
        size = sock.getsockopt(SOL_SOCKET, option)
        assert isinstance(size, int)
        assert size > 2 * RATE / 8 * 0.1  # twice the bandwidth-delay product: half is for bookkeeping


def test_the_window_is_as_large_as_the_buffer_has_become() -> None:
    """A peer that has filled a round trip need not show once more that it makes use of the window."""
    connection = carried(0.050).reader.connection
    assert connection is not None
    assert connection.rcv.limit > DEFAULT // 2
    assert connection.rcv.select_window() >= connection.rcv.limit


def test_a_buffer_whose_size_was_set_keeps_it() -> None:
    pair = Pair(0.050, buffers=65_536)
    pair.clock.advance(3)
    for sock, option in ((pair.sender, SO_SNDBUF), (pair.reader, SO_RCVBUF)):
        assert sock.getsockopt(SOL_SOCKET, option) == 131_072
    assert 0 < pair.got < SIZE


def test_a_reader_that_does_not_read_is_sent_no_more_than_at_the_beginning() -> None:
    pair = Pair(0.050, reading=False)
    pair.clock.advance(60)
    assert pair.reader.getsockopt(SOL_SOCKET, SO_RCVBUF) == DEFAULT
    # a window is told in units of 128, and what that rounds up is not taken back
    assert pair.reader.queued()[0] < DEFAULT // 2 * 1.01


def test_without_delay_the_receive_buffer_stays_as_it_is() -> None:
    pair = Pair(0.0001)
    pair.clock.advance(60)
    assert pair.got == SIZE
    assert pair.reader.getsockopt(SOL_SOCKET, SO_RCVBUF) == DEFAULT
