"""Super-segments on a link: one long TCP frame in the place of those that it would be cut into.

Linux passes such frames between its own interfaces (GSO, GRO on veth) and keeps beside each how long its segments are.
Here that follows from the MTU: a sender merges only full segments, so a frame of TCP that is longer than the MTU stands
for the frames of exactly that MTU, and a last one, into which `cut` takes it apart. Only those who were told that a
batch is merged may read it so, and by which MTU (octets): here that is `merged_by`, 0 for a batch of true frames.
"""

from aionetflow.fast import get16, segment
from aionetflow.widths import i64

_ETHERNET = 14


def transport_at(frame: bytes) -> i64:
    """Where the TCP header of an Ethernet frame begins: in IPv4, or in IPv6 without extension headers."""
    return _ETHERNET + ((frame[_ETHERNET] & 15) * 4 if frame[_ETHERNET] >> 4 == 4 else 40)


def payload_at(frame: bytes) -> i64:
    """Where the payload of such a frame begins."""
    l4 = transport_at(frame)
    return l4 + (frame[l4 + 12] >> 4) * 4


def frames_in(frame: bytes, merged_by: i64) -> i64:
    """How many true frames one of a batch stands for."""
    size = len(frame)
    if merged_by == 0 or size <= merged_by + _ETHERNET:
        return 1
    start = payload_at(frame)
    full = merged_by + _ETHERNET - start
    return (size - start + full - 1) // full


def frames_of(frames: list[bytes], merged_by: i64) -> i64:
    """How many true frames a batch stands for."""
    if merged_by == 0:
        return len(frames)
    count = 0
    for frame in frames:
        count += frames_in(frame, merged_by)
    return count


def octets_of(frames: list[bytes], merged_by: i64) -> i64:
    """How many octets these have in all, each with its headers."""
    octets = 0
    for frame in frames:
        octets += len(frame)
        if merged_by and len(frame) > merged_by + _ETHERNET:
            octets += (frames_in(frame, merged_by) - 1) * payload_at(frame)
    return octets


def cut(frames: list[bytes], merged_by: i64) -> list[bytes]:
    """The true frames that a batch stands for, octet for octet those that would have been sent without merging."""
    if merged_by == 0:
        return frames
    true: list[bytes] = []
    for frame in frames:
        size = len(frame)
        if size <= merged_by + _ETHERNET:
            true.append(frame)
            continue
        l4 = transport_at(frame)
        start = payload_at(frame)
        true += segment(
            frame, 0, _ETHERNET, l4, start, frame, start, size - start, merged_by + _ETHERNET - start,
            get16(frame, _ETHERNET + 4),
        )  # fmt: skip
    return true
