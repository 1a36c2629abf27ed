"""The byte loops in plain Python: specification, test oracle and fallback of `_fast.pyx`.

Offsets into a frame: `l2` Ethernet header (== `l3` where there is none), `l3` IP header, `l4` transport
header, `l5` payload, `stop` end of the IP packet.

* Data is `bytes` or `bytearray`, nothing else (TypeError).
* Offsets come from the caller: outside the data or out of order they raise IndexError.
* Contents come from a peer: a frame whose own length fields are wrong or point outside is a bad frame
  (False, None, a run of 1), never an exception.

The file is better whole: it is one specification.
"""

from collections.abc import Iterator
from typing import TypeAlias

from aionetflow.widths import u16, u32, u64

__all__ = [
    "checksum",
    "equal",
    "forward",
    "gather",
    "get16",
    "get32",
    "part",
    "pseudo_sum",
    "put",
    "put16",
    "put32",
    "put_ipv4_header",
    "put_ipv6_header",
    "put_tcp_header",
    "segment",
    "store",
    "sum16",
    "tcp_run",
    "update_checksum",
    "verify",
]

Octets: TypeAlias = bytes | bytearray

#  IPv4 (RFC 791)                                        IPv6 (RFC 8200)
#   0                   1                   2             0                   1                   2
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 ...         0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 ...
#  +-------+-------+---------------+--------------+      +-------+---------------+----------------------+
#  |   4   |  IHL  |      TOS      | Total Length |      |   6   | Traffic Class |      Flow Label      |
#  +-------+-------+---------------+---+----------+      +-------+---------------+-------+--------------+
#  |        Identification         |Flg| Fragment |      |   Payload Length      | Next  |  Hop Limit   |
#  +---------------+---------------+---+----------+      +-----------------------+-------+--------------+
#  | Time to Live  |   Protocol    |   Checksum   |      |            Source Address (16)               |
#  +---------------+---------------+--------------+      |          Destination Address (16)            |
#  |    Source Address, Destination Address       |      +----------------------------------------------+
#  +----------------------------------------------+
_FIXED_HEADER = {4: 20, 6: 40}  # by version nibble
_ADDRESSES = {4: (12, 8), 6: (8, 32)}  # where both stand, and how many octets they are
_DONT_FRAGMENT = 0x4000
_NOT_FRAGMENTED = 0x3FFF  # more-fragments flag and fragment offset, both zero in a whole packet

#  TCP (RFC 9293)
#  +-------------------------------+-------------------------------+
#  |          Source Port          |       Destination Port        |
#  +-------------------------------+-------------------------------+
#  |                        Sequence Number                        |
#  +---------------------------------------------------------------+
#  |                    Acknowledgment Number                      |
#  +-------+-------+---------------+-------------------------------+
#  | Offset| Rsrvd |C E U A P R S F|            Window             |
#  +-------+-------+---------------+-------------------------------+
#  |           Checksum            |        Urgent Pointer         |
#  +-------------------------------+-------------------------------+
_FIN, _PSH, _ACK, _CWR = 0x01, 0x08, 0x10, 0x80
_TCP_HEADER = 20

_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58
_CHECKSUM_AT = {_ICMP: 2, _TCP: 16, _UDP: 6, _ICMPV6: 2}  # offset in the transport header


def _inside(data: Octets, start: int, length: int) -> None:
    """The one bounds check: data is octets and [start, start + length) lies inside."""
    if type(data) is not bytes and type(data) is not bytearray:
        raise TypeError(f"bytes or bytearray expected, not {type(data).__name__}")
    if start < 0 or length < 0 or start + length > len(data):
        raise IndexError(f"{length} octets at {start} are not inside {len(data)} octets")


def _ordered(a: int, b: int, c: int, d: int) -> None:
    if not 0 <= a <= b <= c <= d:
        raise IndexError(f"offsets out of order: {a}, {b}, {c}, {d}")


def _fits(value: int, bits: int) -> None:
    """What the C types of `_fast.pyx` refuse is refused here too."""
    if value < 0 or value >> bits:
        raise OverflowError(f"{value} is not an unsigned integer of {bits} bits")


def get16(data: Octets, offset: int) -> u32:
    """The 16-bit big-endian integer at offset."""
    _inside(data, offset, 2)
    return int.from_bytes(data[offset : offset + 2], "big")


def get32(data: Octets, offset: int) -> u32:
    """The 32-bit big-endian integer at offset."""
    _inside(data, offset, 4)
    return int.from_bytes(data[offset : offset + 4], "big")


def part(data: Octets, start: int, stop: int) -> bytes:
    """The octets of [start, stop): a slice, made without an object for it."""
    _inside(data, start, stop - start)
    return bytes(data[start:stop])


def put(buffer: bytearray, offset: int, data: Octets) -> None:
    """Store data at offset."""
    if type(buffer) is not bytearray:
        raise TypeError(f"bytearray expected, not {type(buffer).__name__}")
    _inside(data, 0, 0)
    _inside(buffer, offset, len(data))
    buffer[offset : offset + len(data)] = data


def put16(buffer: bytearray, offset: int, value: u64) -> None:
    """Store the low 16 bits of value at offset, big endian."""
    _put(buffer, offset, value, 2)


def put32(buffer: bytearray, offset: int, value: u64) -> None:
    """Store the low 32 bits of value at offset, big endian."""
    _put(buffer, offset, value, 4)


def equal(a: bytes, start: int, b: bytes, other: int, length: int) -> bool:
    """Whether length octets at start in a and at other in b are the same."""
    _inside(a, start, length)
    _inside(b, other, length)
    return a[start : start + length] == b[other : other + length]


def store(buffer: bytearray | memoryview, offset: int, data: bytes, start: int, stop: int) -> None:
    """Copies [start, stop) of data to offset in any buffer that can be written."""
    _inside(data, start, stop - start)
    view = memoryview(buffer).cast("B")
    if offset < 0 or offset + stop - start > len(view):
        raise IndexError(f"{stop - start} octets at {offset} are not inside {len(view)} octets")
    view[offset : offset + stop - start] = memoryview(data)[start:stop]


def put_tcp_header(
    header: bytearray, l4: int, source_port: u32, destination_port: u32, seq: u32, ack: u32, offset_flags: u32,
    window: u32,
) -> None:  # fmt: skip
    """Stores a TCP header without options; offset_flags is its octets 12 and 13, the checksum is left 0."""
    _inside(header, l4, _TCP_HEADER)
    put16(header, l4, source_port)
    put16(header, l4 + 2, destination_port)
    put32(header, l4 + 4, seq)
    put32(header, l4 + 8, ack)
    put16(header, l4 + 12, offset_flags)
    put16(header, l4 + 14, window)
    put32(header, l4 + 16, 0)


def put_ipv4_header(
    header: bytearray, l3: int, tos: u32, ttl: u32, protocol: u32, source: bytes, destination: bytes
) -> None:
    """Stores an IPv4 header without options, not to be fragmented; length, identification and checksum are left 0."""
    _inside(header, l3, _FIXED_HEADER[4])
    put16(header, l3, 0x4500 | (tos & 0xFF))
    put32(header, l3 + 2, 0)
    put16(header, l3 + 6, _DONT_FRAGMENT)
    put16(header, l3 + 8, (ttl & 0xFF) << 8 | (protocol & 0xFF))
    put16(header, l3 + 10, 0)
    put(header, l3 + 12, part(source, 0, 4))
    put(header, l3 + 16, part(destination, 0, 4))


def put_ipv6_header(
    header: bytearray, l3: int, traffic_class: u32, hop_limit: u32, next_header: u32, source: bytes,
    destination: bytes,
) -> None:  # fmt: skip
    """Stores an IPv6 header; its length and flow label are left 0, and the addresses without their scopes.

    What stands in octets 2 and 3 of an address of one link (fe80::/10, ff01::/16, ff02::/16 and their kin) says which
    link that is, and stays inside the host (ip/address.py).
    """
    _inside(header, l3, _FIXED_HEADER[6])
    put32(header, l3, 0x60 << 24 | (traffic_class & 0xFF) << 20)
    put16(header, l3 + 4, 0)
    put16(header, l3 + 6, (next_header & 0xFF) << 8 | (hop_limit & 0xFF))
    for at, address in ((l3 + 8, source), (l3 + 24, destination)):
        put(header, at, part(address, 0, 16))
        if _has_scope(address):
            put16(header, at + 2, 0)


def _has_scope(address: bytes) -> bool:
    if address[0] == 0xFE:
        return address[1] >> 6 == 2
    return address[0] == 0xFF and 0 < address[1] & 15 < 3


def _put(buffer: bytearray, offset: int, value: u64, octets: int) -> None:
    _fits(value, 64)
    if type(buffer) is not bytearray:
        raise TypeError(f"bytearray expected, not {type(buffer).__name__}")
    _inside(buffer, offset, octets)
    mask = (1 << 8 * octets) - 1
    buffer[offset : offset + octets] = (value & mask).to_bytes(octets, "big")


def _fold(total: int) -> u32:
    """A sum of 16-bit words of any size as one's complement 16 bits."""
    # RFC 1071 1: carries come back in at the bottom. 2**16 = 1 (mod 0xFFFF), so that is a remainder,
    # except that only a sum of nothing but zeros is 0; all other multiples of 0xFFFF are 0xFFFF.
    return total % 0xFFFF or (0xFFFF if total else 0)


def sum16(data: Octets, start: int, stop: int, initial: u32 = 0) -> u32:
    """The one's complement sum of the 16-bit words of data[start:stop] and initial, in 16 bits."""
    _fits(initial, 32)
    _inside(data, start, stop - start)
    padding = b"\0" * (stop - start & 1)  # RFC 1071 1: an odd octet counts as if a zero followed
    return _fold(int.from_bytes(data[start:stop] + padding, "big") + initial)


def checksum(data: Octets, start: int, stop: int, initial: u32 = 0) -> u32:
    """The Internet checksum (RFC 1071) of data[start:stop]; initial is a partial sum to go on from."""
    return ~sum16(data, start, stop, initial) & 0xFFFF


def pseudo_sum(data: Octets, l3: int, protocol: u32, length: u32) -> u32:
    """The partial sum of the pseudo-header of a transport message of length octets in the IP packet at l3."""
    _fits(protocol, 32)
    _fits(length, 32)
    _inside(data, l3, 1)
    version = data[l3] >> 4
    if version not in _FIXED_HEADER:
        raise ValueError("neither IPv4 nor IPv6")
    _inside(data, l3, _FIXED_HEADER[version])
    at, size = _ADDRESSES[version]  # RFC 9293 3.1, RFC 8200 8.1: addresses, protocol, length
    return sum16(data, l3 + at, l3 + at + size, _fold(protocol + length))


def update_checksum(check: u16, old: u16, new: u16) -> u32:
    """The checksum after the 16-bit word old became new."""
    for value in (check, old, new):
        _fits(value, 32)
    # RFC 1624 3, equation 3: HC' = ~(~HC + ~m + m')
    return ~_fold((~check & 0xFFFF) + (~old & 0xFFFF) + (new & 0xFFFF)) & 0xFFFF


def verify(frame: Octets, l3: int, l4: int, stop: int, protocol: u32) -> bool:
    """Whether the transport checksum of frame[l4:stop] is right; True where the protocol has none."""
    _fits(protocol, 32)
    _ordered(l3, l4, stop, stop)
    _inside(frame, l3, stop - l3)
    if protocol not in _CHECKSUM_AT:
        return True
    field = l4 + _CHECKSUM_AT[protocol]
    if stop < field + 2:
        return False
    if protocol == _ICMP:
        return sum16(frame, l4, stop) == 0xFFFF
    version = frame[l3] >> 4
    if version not in _FIXED_HEADER or l4 - l3 < _FIXED_HEADER[version]:
        return False
    if protocol == _UDP and get16(frame, field) == 0:
        return version == 4  # RFC 768: not computed; RFC 8200 8.1: over IPv6 that is an error
    return sum16(frame, l4, stop, pseudo_sum(frame, l3, protocol, stop - l4)) == 0xFFFF


def segment(
    header: Octets,
    l2: int,
    l3: int,
    l4: int,
    l5: int,
    payload: Octets,
    start: int,
    length: int,
    mss: int,
    ident: u32,
    frames: list[bytes] | None = None,
    split: int = 0,
    tail: bytes | None = None,
    tail_start: int = 0,
) -> list[bytes]:
    """Frames that carry payload[start:start+length] under copies of the template header[l2:l5].

    TCP is cut into ceil(length / mss) frames, not at all if mss <= 0; all else is one frame. Lengths,
    identification (from ident up), sequence numbers, flags and checksums are right in each of them.
    They are appended to `frames` if that is given, which is then returned. With a tail, only the first `split` octets
    are in payload, and the others begin at tail_start in tail.
    ValueError if the template is not an IP header and what follows it, or a packet exceeds 65535 octets.
    """
    _fits(ident, 32)
    _ordered(l2, l3, l4, l5)
    _inside(header, l2, l5 - l2)
    if tail is None:
        octets = _cut_out(payload, start, length)
    else:
        octets = _cut_out(payload, start, split) + _cut_out(tail, tail_start, length - split)
    template = header[l2:l5]
    ip, transport, top = l3 - l2, l4 - l2, l5 - l2
    protocol = _template_protocol(template, ip, transport)
    size = mss if protocol == _TCP and 0 < mss < length else length
    if size + top - (ip if template[ip] >> 4 == 4 else transport) > 0xFFFF:
        raise ValueError("packet longer than 65535 octets")
    if frames is None:
        frames = []
    for number, offset in enumerate(range(0, max(length, 1), max(size, 1))):
        end = min(offset + size, length)
        frame = bytearray(template) + octets[offset:end]
        _write_ip(frame, ip, transport, ident + number)
        if protocol == _TCP:
            _write_tcp(frame, transport, offset, end == length)
        _write_checksum(frame, ip, transport, protocol)
        frames.append(bytes(frame))
    return frames


def _cut_out(data: Octets, start: int, length: int) -> Octets:
    _inside(data, start, length)
    return data[start : start + length]


def _template_protocol(template: Octets, l3: int, l4: int) -> u32:
    """What the template carries, once its headers have the sizes that they claim."""
    first = template[l3] if l3 < l4 else 0
    size = {4: (first & 15) * 4, 6: 40}.get(first >> 4, 0)
    if size < 20 or size != l4 - l3:
        raise ValueError("the template holds no IP header")
    protocol = template[l3 + 9] if first >> 4 == 4 else template[l3 + 6]
    above = len(template) - l4
    if protocol in _CHECKSUM_AT and (above < _CHECKSUM_AT[protocol] + 2 or above & 1):
        raise ValueError("the template holds no transport header")  # an odd one would turn the words over
    return protocol


def _write_ip(frame: bytearray, l3: int, l4: int, ident: u32) -> None:
    if frame[l3] >> 4 == 6:
        put16(frame, l3 + 4, len(frame) - l4)
        return
    put16(frame, l3 + 2, len(frame) - l3)
    put16(frame, l3 + 4, ident)
    put16(frame, l3 + 10, 0)
    put16(frame, l3 + 10, checksum(frame, l3, l4))


def _write_tcp(frame: bytearray, l4: int, offset: int, last: bool) -> None:
    """Sequence number and flags of the piece at offset of a super-segment."""
    put32(frame, l4 + 4, get32(frame, l4 + 4) + offset)
    if not last:
        frame[l4 + 13] &= ~(_FIN | _PSH)  # both mean the end of the data
    if offset:
        frame[l4 + 13] &= ~_CWR  # RFC 3168 6.1.2: set on the first new packet only


def _write_checksum(frame: bytearray, l3: int, l4: int, protocol: u32) -> None:
    if protocol not in _CHECKSUM_AT:
        return
    field, length = l4 + _CHECKSUM_AT[protocol], len(frame) - l4
    if protocol == _UDP:
        put16(frame, l4 + 4, length)
    put16(frame, field, 0)
    initial = 0 if protocol == _ICMP else pseudo_sum(frame, l3, protocol, length)
    check = checksum(frame, l4, len(frame), initial)
    if protocol == _UDP and check == 0:
        check = 0xFFFF  # RFC 768: zero means that there is none
    put16(frame, field, check)


def _packet_end(frame: Octets, l3: int) -> int:
    """Where the IP packet at l3 ends by its own word; -1 if it is no IP packet or not all there."""
    if l3 + 20 > len(frame):
        return -1
    version = frame[l3] >> 4
    if version == 4:
        stop = l3 + get16(frame, l3 + 2)
    elif version == 6:
        stop = l3 + 40 + get16(frame, l3 + 4)
    else:
        return -1
    return stop if l3 + _FIXED_HEADER[version] <= stop <= len(frame) else -1


def tcp_run(frames: list[bytes], first: int, l2: int, l3: int, l4: int, limit: int) -> int:
    """How many frames from first on are one in-order run of one TCP flow, fit to be gathered; at least 1.

    They differ in nothing but length, identification, sequence number and checksums; all but the last are
    equally long, none is longer; only the last may have PSH; together they carry at most limit octets.
    """
    if type(frames) is not list:
        raise TypeError(f"list expected, not {type(frames).__name__}")
    _ordered(l2, l3, l4, l4)
    if not 0 <= first < len(frames):
        raise IndexError(f"no frame {first} in {len(frames)} frames")
    head = frames[first]
    size = total = _plain_payload(head, l3, l4)
    if size == 0 or head[l4 + 13] & _PSH:
        return 1
    head_fields = _flow_fields(head, l2, l3, l4)
    for count, frame in enumerate(frames[first + 1 :], 1):
        length = _plain_payload(frame, l3, l4)
        if not 0 < length <= size or total + length > limit:
            return count
        if get32(frame, l4 + 4) != (get32(head, l4 + 4) + total) & 0xFFFFFFFF:
            return count
        if _flow_fields(frame, l2, l3, l4) != head_fields:
            return count
        total += length
        if length < size or frame[l4 + 13] & _PSH:
            return count + 1
    return len(frames) - first


def _plain_payload(frame: Octets, l3: int, l4: int) -> int:
    """How many octets a whole TCP segment with no flags but ACK and PSH carries; 0 for any other frame."""
    _inside(frame, 0, 0)
    stop = _packet_end(frame, l3)
    if stop < l4 + _TCP_HEADER:
        return 0
    if frame[l3] >> 4 == 4:
        whole = get16(frame, l3 + 6) & _NOT_FRAGMENTED == 0
        if (frame[l3] & 15) * 4 != l4 - l3 or l4 - l3 < 20 or frame[l3 + 9] != _TCP or not whole:
            return 0
        if sum16(frame, l3, l4) != 0xFFFF:
            return 0
    elif l4 - l3 != 40 or frame[l3 + 6] != _TCP:
        return 0
    size = (frame[l4 + 12] >> 4) * 4
    if frame[l4 + 12] & 15 or frame[l4 + 13] | _PSH != _ACK | _PSH or size < _TCP_HEADER:
        return 0
    return max(0, stop - l4 - size)


def _flow_fields(frame: Octets, l2: int, l3: int, l4: int) -> list[Octets]:
    """All header octets that are the same in every segment of a run."""
    l5 = l4 + (frame[l4 + 12] >> 4) * 4
    length, rest = (2, 12) if frame[l3] >> 4 == 4 else (4, 6)
    return [
        frame[l2 : l3 + length],
        frame[l3 + 6 : l3 + 10],  # in IPv4 after the identification, before the header checksum
        frame[l3 + rest : l4 + 4],
        frame[l4 + 8 : l4 + 13],  # after the sequence number, before the flags
        frame[l4 + 14 : l4 + 16],
        frame[l4 + 18 : l5],  # after the checksum
    ]


def gather(frames: list[bytes], first: int, count: int, l3: int, l4: int, l5: int) -> bytes | None:
    """The payloads of count TCP frames joined; None if a checksum is wrong or a frame is not all there."""
    if type(frames) is not list:
        raise TypeError(f"list expected, not {type(frames).__name__}")
    _ordered(l3, l4, l5, l5)
    if first < 0 or count < 1 or first + count > len(frames):
        raise IndexError(f"no frames {first} to {first + count} in {len(frames)} frames")
    if l5 - l4 & 1:
        raise ValueError("a TCP header has no odd length")
    run = frames[first : first + count]
    for frame in run:
        _inside(frame, 0, 0)
    payloads = list(_payloads(run, l3, l4, l5))
    return b"".join(payloads) if len(payloads) == count else None


def _payloads(run: list[bytes], l3: int, l4: int, l5: int) -> Iterator[Octets]:
    """The payloads up to the first frame that is not right."""
    for frame in run:
        stop = _packet_end(frame, l3)
        if stop < l5 or not verify(frame, l3, l4, stop, _TCP):
            return
        yield frame[l5:stop]


def forward(frame: Octets, l3: int, stop: int, mac_header: Octets) -> bytes:
    """mac_header + frame[l3:stop], one hop further: TTL or hop limit less one, IPv4 checksum updated.

    ValueError if the packet is neither IPv4 nor IPv6 or has no hop left.
    """
    _inside(frame, l3, stop - l3)
    _inside(mac_header, 0, 0)
    packet = bytearray(frame[l3:stop])
    _inside(packet, 0, 1)
    version = packet[0] >> 4
    if version not in _FIXED_HEADER:
        raise ValueError("neither IPv4 nor IPv6")
    _inside(packet, 0, _FIXED_HEADER[version])
    hops = 8 if version == 4 else 7
    if packet[hops] == 0:
        raise ValueError("no hop left")
    old = get16(packet, 8)
    packet[hops] -= 1
    if version == 4:
        put16(packet, 10, update_checksum(get16(packet, 10), old, get16(packet, 8)))
    return bytes(mac_header + packet)
