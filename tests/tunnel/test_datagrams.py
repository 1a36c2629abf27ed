"""Many datagrams a call: whichever way the kernel is asked, the same ones arrive, in order and whole."""

from __future__ import annotations

import errno
import os
import select
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aionetflow.tunnel.address import packed
from aionetflow.tunnel.datagrams import Batching, Datagrams
from aionetflow.tunnel.vxlan import header

WAYS: list[Batching] = ["segments", "many", "single"]
HEADER = header(42)


@pytest.fixture(params=["127.0.0.1", "::1"])
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=WAYS)
def sender(request: pytest.FixtureRequest, host: str) -> Iterator[Datagrams]:
    made = Datagrams((host, 0), request.param)
    yield made
    made.close()


@pytest.fixture(params=WAYS)
def receiver(request: pytest.FixtureRequest, host: str) -> Iterator[Datagrams]:
    made = Datagrams((host, 0), request.param)
    yield made
    made.close()


def send(sender: Datagrams, to: bytes, payloads: list[bytes]) -> int:
    """Sends payloads behind the header; the last errno there was."""
    codes = [sender.send(to, block, size) for block, size in sender.lay_out(payloads, 0, HEADER)]
    return next(filter(None, reversed(codes)), 0)


def collect(receiver: Datagrams, count: int, sender: bytes) -> list[bytes]:
    """So many datagrams, all from that sender."""
    datagrams: list[bytes] = []
    while len(datagrams) < count:
        assert select.select([receiver.fileno()], [], [], 5)[0], f"{len(datagrams)} of {count} have come"
        for origin, start, length, size, _ in receiver.receive():
            assert origin == sender
            octets = bytes(receiver.buffer[start : start + length])
            datagrams += [octets[at : at + size] for at in range(0, length, size)] if size else [b""]
    return datagrams


@given(
    sizes=st.lists(
        st.one_of(st.integers(0, 60), st.sampled_from([1464, 1464, 1464, 1400, 9000])), min_size=1, max_size=150
    )
)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_sent_arrives(sender: Datagrams, receiver: Datagrams, sizes: list[int]) -> None:
    payloads = [bytes([number & 255]) * size for number, size in enumerate(sizes)]
    before = sender.sent
    assert send(sender, packed(receiver.local), payloads) == 0
    assert collect(receiver, len(payloads), packed(sender.local)) == [HEADER + payload for payload in payloads]
    assert sender.sent - before == len(payloads)
    assert receiver.receive() == []


def test_segments_need_a_fraction_of_the_calls(host: str) -> None:
    with_segments, one_by_one = Datagrams((host, 0)), Datagrams((host, 0), "single")
    target = Datagrams((host, 0))
    payloads = [bytes([number]) * 1464 for number in range(132)]
    for sender in (with_segments, one_by_one):
        send(sender, packed(target.local), payloads)
        assert collect(target, 132, packed(sender.local)) == [HEADER + payload for payload in payloads]
    assert with_segments.calls == 3  # 44 of 1472 octets are what an IP packet has room for
    assert one_by_one.calls == 132
    assert target.calls < 132
    assert target.received == 264
    for sock in (with_segments, one_by_one, target):
        sock.close()


def test_what_the_kernel_refuses_is_counted_and_the_rest_is_sent(sender: Datagrams, receiver: Datagrams) -> None:
    too_long = bytes(65530)
    assert send(sender, packed(receiver.local), [b"before", too_long, b"after"]) == errno.EMSGSIZE
    assert collect(receiver, 2, packed(sender.local)) == [HEADER + b"before", HEADER + b"after"]
    assert (sender.sent, sender.send_dropped) == (2, 1)


def test_a_closed_socket_neither_sends_nor_receives(host: str) -> None:
    sock = Datagrams((host, 0))
    sock.close()
    assert send(sock, packed((host, 9)), [b"x"]) == 0
    assert sock.receive() == []
    sock.close()


def test_what_nobody_reads_is_thrown_away_by_the_kernel_and_counted() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        target = Datagrams(("127.0.0.1", 0))
        with socket.socket(fileno=os.dup(target.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(2000):
            sender.sendto(bytes(1000), target.local)
        while target.receive():
            pass
        sender.sendto(b"told with the next", target.local)
        assert select.select([target.fileno()], [], [], 5)[0]
        target.receive()
        assert target.kernel_dropped == 2001 - target.received > 0
        target.close()


@pytest.mark.parametrize(
    ("address", "code", "text"),
    [
        (("192.0.2.1", 0), errno.EADDRNOTAVAIL, "192.0.2.1:0: this machine has no such address"),
        (("::1", None), errno.EADDRINUSE, ": the address is in use"),
    ],
)
def test_what_cannot_be_bound_is_said_in_a_line(address: tuple[str, int | None], code: int, text: str) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
        other.bind(("::1", 0))
        port = other.getsockname()[1] if address[1] is None else address[1]
        with pytest.raises(OSError, match="Errno") as caught:
            Datagrams((address[0], port))
    assert caught.value.errno == code
    assert str(caught.value).endswith(text)
