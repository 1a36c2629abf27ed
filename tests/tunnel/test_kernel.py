"""Taking frames out of what the kernel hands over: one reading for both builds, whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gso import MTU, traffic

from aionetflow.gso import merge
from aionetflow.tunnel import kernel, vxlan

HEADER = vxlan.header(42)
octets = st.binary(max_size=80)
datagrams = st.lists(
    st.one_of(octets, octets.map(lambda frame: HEADER + frame), octets.map(lambda frame: vxlan.header(7) + frame))
)


def expected(wanted: list[bytes]) -> tuple[list[bytes], set[bytes], list[bytes] | None]:
    """What `unwrap` says, in the words of vni_of."""
    ours = [datagram for datagram in wanted if vxlan.vni_of(datagram) == 42]
    others = [datagram for datagram in wanted if vxlan.vni_of(datagram) != 42]
    return [datagram[8:] for datagram in ours], {datagram[14:20] for datagram in ours}, others or None


@given(datagrams)
def test_frames_of_a_network_are_taken_out_of_datagrams(wanted: list[bytes]) -> None:
    frames: list[bytes] = []
    macs: set[bytes] = set()
    others = kernel.unwrap(wanted, HEADER, frames, macs)
    assert (frames, macs, others) == expected(wanted)


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
        count = kernel.equal_run(true, first, 64, 8, 65507)
        run = true[first : first + count]
        buffer = bytearray(b"".join(HEADER + frame for frame in run))
        frames: list[bytes] = []
        macs: set[bytes] = set()
        others = kernel.split(buffer, 0, len(buffer), len(run[0]) + 8, HEADER, frames, macs, MTU)
        assert others is None
        assert frames == merge(run, MTU)
        assert macs == {frame[6:12] for frame in run}
        first += count


@pytest.mark.parametrize(
    ("start", "length", "size"), [(-1, 1, 1), (0, 11, 1), (11, 0, 1), (0, -1, 1), (0, 1, 0), (0, 1, -1)]
)
def test_what_is_not_in_the_buffer_is_not_read(start: int, length: int, size: int) -> None:
    with pytest.raises(ValueError, match="out of the buffer"):
        kernel.cut(bytearray(10), start, length, size)
