"""Taking frames out of what the kernel hands over: one reading for both builds, whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gso import MTU, traffic

from aionetflow.gso import cut, merge
from aionetflow.tunnel import kernel, vxlan
from support.sealed import equal_run

HEADER = vxlan.header(42)
octets = st.binary(max_size=80)
datagrams = st.lists(
    st.one_of(octets, octets.map(lambda frame: HEADER + frame), octets.map(lambda frame: vxlan.header(7) + frame))
)


def expected(wanted: list[bytes]) -> tuple[list[bytes], set[bytes], list[bytes] | None]:
    """What `split` says, in the words of vni_of."""
    ours = [datagram for datagram in wanted if vxlan.vni_of(datagram) == 42]
    others = [datagram for datagram in wanted if vxlan.vni_of(datagram) != 42]
    return [datagram[8:] for datagram in ours], {datagram[14:20] for datagram in ours}, others or None


@given(datagrams)
def test_frames_of_a_network_are_taken_out_of_datagrams(wanted: list[bytes]) -> None:
    frames: list[bytes] = []
    macs: set[bytes] = set()
    others: list[bytes] = []
    for datagram in filter(None, wanted):
        others += kernel.split(bytearray(datagram), 0, len(datagram), len(datagram), HEADER, frames, macs) or []
    assert (frames, macs, others or None) == expected([datagram for datagram in wanted if datagram])


@given(before=octets, data=st.binary(max_size=400), size=st.integers(1, 100), after=octets)
def test_frames_are_taken_out_of_a_buffer(before: bytes, data: bytes, size: int, after: bytes) -> None:
    buffer = bytearray(before + data + after)
    cut = kernel.cut(buffer, len(before), len(data), size)
    assert cut == [data[at : at + size] for at in range(0, len(data), size)]
    frames: list[bytes] = []
    macs: set[bytes] = set()
    others = kernel.split(buffer, len(before), len(data), size, HEADER, frames, macs)
    assert (frames, macs, others) == expected(cut)


@given(traffic())
@settings(max_examples=300)
def test_runs_are_merged_as_they_are_taken_out(true: list[bytes]) -> None:
    """What one read of the kernel's gives, again and again: datagrams of one length, the last may be shorter."""
    first = 0
    while first < len(true):
        count = equal_run([len(frame) for frame in true[first:]], 64, 65507)
        run = true[first : first + count]
        buffer = bytearray(b"".join(HEADER + frame for frame in run))
        frames: list[bytes] = []
        macs: set[bytes] = set()
        others = kernel.split(buffer, 0, len(buffer), len(run[0]) + 8, HEADER, frames, macs, MTU)
        assert others is None
        assert frames == merge(run, MTU)
        assert macs == {frame[6:12] for frame in run}
        first += count


@given(
    true=traffic(), before=st.sampled_from([0, 13]), behind=st.sampled_from([0, 16]),
    room=st.one_of(st.just(65507), st.integers(100, 9000)), most=st.sampled_from([64, 1, 7]),
)  # fmt: skip
@settings(max_examples=200)
def test_frames_are_laid_out_for_the_fewest_calls(
    true: list[bytes], before: int, behind: int, room: int, most: int
) -> None:
    """Super-segments become their true frames; a block is what UDP_SEGMENT takes, and none could be longer."""
    expected = [bytes(before) + HEADER + frame + bytes(behind) for frame in true]
    sizes = list(map(len, expected))
    for frames, merged_by in ((true, 0), (merge(true, MTU), MTU)):
        first = 0
        for block, size in kernel.lay_out(frames, merged_by, HEADER, before, behind, room, most):
            datagrams = kernel.cut(block, 0, len(block), size)
            assert len(datagrams) == equal_run(sizes[first:], most, room)
            for laid, wanted in zip(datagrams, expected[first:], strict=False):
                assert laid[before : len(laid) - behind] == wanted[before : len(wanted) - behind]
            first += len(datagrams)
        assert first == len(true)


@pytest.mark.parametrize("header", ["00", "45", "60", "4f", "06", "40" * 30])
def test_what_claims_to_be_merged_and_is_not_is_refused_as_by_cut(header: str) -> None:
    frame = (bytes(14) + bytes.fromhex(header) * MTU)[: MTU + 20]
    try:
        true = cut([frame], MTU)
    except (ValueError, IndexError):
        with pytest.raises((ValueError, IndexError)):
            kernel.lay_out([frame], MTU, HEADER, 0, 0, 65507, 64)
    else:
        blocks = kernel.lay_out([frame], MTU, HEADER, 0, 0, 65507, 64)
        assert b"".join(bytes(block) for block, _ in blocks) == b"".join(HEADER + each for each in true)


def test_nothing_is_laid_out_for_nothing() -> None:
    assert kernel.lay_out([], MTU, HEADER, 0, 0, 65507, 64) == []


@pytest.mark.parametrize(
    ("start", "length", "size"), [(-1, 1, 1), (0, 11, 1), (11, 0, 1), (0, -1, 1), (0, 1, 0), (0, 1, -1)]
)
def test_what_is_not_in_the_buffer_is_not_read(start: int, length: int, size: int) -> None:
    with pytest.raises(ValueError, match="out of the buffer"):
        kernel.cut(bytearray(10), start, length, size)
