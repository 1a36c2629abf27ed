"""Merged batches: how many frames they stand for, and which."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aionetflow.fast import segment
from aionetflow.gso import cut, frames_in, frames_of, merge, octets_of
from aionetflow.link.faults import flip_bit
from support.decode import check_frame

MAC6 = bytes.fromhex("02000000000202000000000186dd")
IP6 = bytes.fromhex("6000000000000640" + "fd" + "00" * 14 + "01" + "fd" + "00" * 14 + "02")
MAC = bytes.fromhex("0200000000020200000000010800")
IP = bytes.fromhex("4500000000004000400600000a0000010a000002")
FIN, PSH, ACK, CWR = 0x01, 0x08, 0x10, 0x80
DATA = bytes(index * 7 & 0xFF for index in range(65000))
ARP = bytes(12) + b"\x08\x06" + bytes(28)


def frames(
    length: int, mss: int, *, flags: int = ACK | PSH, options: bytes = b"", version: int = 4
) -> list[bytes]:
    """TCP frames as an interface makes them: of at most mss octets, or with mss=0 one."""
    tcp = bytes.fromhex("c0010050") + bytes.fromhex("fffff000") + bytes(4) + bytes([(20 + len(options)) << 2, flags])
    network = MAC + IP if version == 4 else MAC6 + IP6
    header = network + tcp + bytes.fromhex("1000 0000 0000") + options
    return segment(header, 0, 14, len(network), len(header), DATA, 0, length, mss, 0xFFFE)


@pytest.mark.parametrize("length", [1, 1439, 1440, 1459, 1460, 1461, 2920, 64_000])
@pytest.mark.parametrize("version", [4, 6])
def test_a_merged_frame_is_cut_into_those_that_would_have_been_sent(length: int, version: int) -> None:
    all_flags = ACK, ACK | PSH, ACK | PSH | FIN, ACK | CWR
    all_options = b"", bytes.fromhex("0101080a0000000100000002")
    for mtu, options, flags in itertools.product((68, 576, 1500, 9000), all_options, all_flags):
        check_cut(mtu, options, flags, length, version)


def check_cut(mtu: int, options: bytes, flags: int, length: int, version: int) -> None:
    mtu += 20 if version == 6 else 0
    room = mtu - (40 if version == 4 else 60) - len(options)
    true = frames(length, room, flags=flags, options=options, version=version)
    merged = frames(length, 0, flags=flags, options=options, version=version)
    assert len(merged) == 1
    assert cut(merged, mtu) == true
    assert frames_in(merged[0], mtu) == frames_of(merged, mtu) == len(true)
    assert octets_of(merged, mtu) == sum(map(len, true))
    if mtu > 100:
        for frame in true:
            check_frame(frame)


def test_a_batch_keeps_its_order_and_what_is_no_super_segment() -> None:
    batch = [ARP, *frames(3000, 0), *frames(100, 0)]
    true = [ARP, *frames(3000, 1460), *frames(100, 1460)]
    assert cut(batch, 1500) == true
    assert frames_of(batch, 1500) == len(true)
    assert octets_of(batch, 1500) == sum(map(len, true))


def test_a_batch_of_true_frames_is_what_it_is_however_long_they_are() -> None:
    batch = [bytes(9000), ARP]
    assert cut(batch, 0) is batch
    assert frames_of(batch, 0) == 2
    assert frames_in(batch[0], 0) == 1
    assert octets_of(batch, 0) == 9000 + len(ARP)


# ---- merging


MTU = 100


@st.composite
def traffic(draw: st.DrawFn) -> list[bytes]:
    """Runs of segments of two flows and other frames, some of them changed, doubled or lost."""
    true: list[bytes] = []
    for _ in range(draw(st.integers(1, 4))):
        version = draw(st.sampled_from([4, 6]))
        flags = draw(st.sampled_from([ACK, ACK | PSH, ACK | PSH | FIN]))
        options = draw(st.sampled_from([b"", bytes.fromhex("0101080a0000000100000002")]))
        room = MTU - (40 if version == 4 else 60) - len(options)
        true += frames(draw(st.integers(1, 600)), room - draw(st.sampled_from([0, 0, 0, 1, 2])), flags=flags,
                       options=options, version=version)  # fmt: skip
        true += draw(st.sampled_from([[], [ARP], [bytes(MTU + 14)], [b"\x45" * (MTU + 14)], [bytes(14)]]))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(true) - 1))
        what = draw(st.sampled_from(["flip", "lose", "double", "swap"]))
        if what == "flip":
            true[place] = flip_bit(true[place], draw(st.floats(0, 0.999)))
        elif what == "lose":
            del true[place]
        elif what == "double":
            true.insert(place, true[place])
        else:
            true[place], true[-1] = true[-1], true[place]
        if not true:
            return [ARP]
    return true


@given(traffic())
@settings(max_examples=300)
def test_what_is_merged_is_cut_into_the_same_frames(true: list[bytes]) -> None:
    merged = merge(true, MTU)
    assert cut(merged, MTU) == true
    assert frames_of(merged, MTU) == len(true)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("length", [61, 120, 121, 2400, 60_000])
def test_a_run_becomes_the_frame_that_it_was_cut_from(length: int, version: int) -> None:
    room = 1440 - (20 if version == 6 else 0)
    assert merge(frames(length, room, version=version), 1480) == frames(length, 0, version=version)


def test_a_run_ends_where_a_checksum_is_wrong() -> None:
    true = frames(6000, 1460)
    true[3] = flip_bit(true[3], 0.9)
    merged = merge(true, 1500)
    assert [len(frame) for frame in merged] == [54 + 3 * 1460, 1514, 54 + 6000 - 4 * 1460]
    assert merged[1] == true[3]
    check_frame(merged[0])


def test_a_run_is_no_longer_than_a_packet_can_be() -> None:
    true = frames(64_000, 1460)
    again = [*true[:-1], *frames(64_000, 1460)]
    assert all(len(frame) <= 65535 + 14 for frame in merge(again, 1500))
    assert cut(merge(again, 1500), 1500) == again
