"""Super-segments on a link: one long TCP frame in the place of those that it would be cut into.

Linux passes such frames between its own interfaces (GSO, GRO on veth) and keeps beside each how long its segments are.
Here that follows from the MTU: a sender merges only full segments, so a frame of TCP that is longer than the MTU stands
for the frames of exactly that MTU, and a last one, into which `cut` takes it apart. Only those who were told that a
batch is merged may read it so, and by which MTU (octets): here that is `merged_by`, 0 for a batch of true frames.
"""

from aionetflow.fast import gather, get16, segment, tcp_run
from aionetflow.widths import i64

_ETHERNET = 14
_LEAST = _ETHERNET + 40  # octets of a frame with TCP in it


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


def merge(frames: list[bytes], merged_by: i64) -> list[bytes]:
    """The other way round: a batch that `cut` takes apart into these frames.

    Runs of TCP segments of one flow that fill the MTU, but for the last, become one frame each as far as their
    checksums are right. What does not fit stays as it is. None may be longer than the MTU takes.
    """
    merged: list[bytes] = []
    first = 0
    while first < len(frames):
        count = _run(frames, first, merged_by)
        merged.append(frames[first] if count == 1 else _joined(frames, first, count))
        first += count
    return merged


def _run(frames: list[bytes], first: int, merged_by: i64) -> int:
    """How many frames from `first` on can be one."""
    head = frames[first]
    size = len(head)
    if size != merged_by + _ETHERNET or size < _LEAST or not _fills(head) or (size - payload_at(head)) & 1:
        return 1
    l4, l5 = transport_at(head), payload_at(head)
    longest = tcp_run(frames, first, 0, _ETHERNET, l4, 0xFFFF - (l5 - _ETHERNET))
    ident = get16(head, _ETHERNET + 4)
    for number in range(longest):
        frame = frames[first + number]
        follows = head[_ETHERNET] >> 4 == 6 or get16(frame, _ETHERNET + 4) == (ident + number) & 0xFFFF
        if not follows or not _fills(frame) or gather(frames, first + number, 1, _ETHERNET, l4, l5) is None:
            return max(number, 1)
    return longest


def _fills(frame: bytes) -> bool:
    """Whether an Ethernet frame with TCP, or what looks so, ends where its packet does."""
    at = _ETHERNET + 2 if frame[_ETHERNET] >> 4 == 4 else _ETHERNET + 4
    packet = get16(frame, at) + (0 if frame[_ETHERNET] >> 4 == 4 else 40)
    return len(frame) == _ETHERNET + packet and len(frame) >= transport_at(frame) + 20


def _joined(frames: list[bytes], first: int, count: int) -> bytes:
    head = frames[first]
    l4, l5 = transport_at(head), payload_at(head)
    payload = gather(frames, first, count, _ETHERNET, l4, l5)
    assert payload is not None
    header = bytearray(head[:l5])
    header[l4 + 13] = frames[first + count - 1][l4 + 13]  # PSH is the last one's
    return segment(
        header, 0, _ETHERNET, l4, l5, payload, 0, len(payload), 0, get16(head, _ETHERNET + 4)
    )[0]  # fmt: skip


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
