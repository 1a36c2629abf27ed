"""The byte loops: compiled and plain alike, value for value, exception for exception; and known answers."""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aionetflow import _slow, fast

_fast: Any = importlib.import_module("aionetflow._fast") if fast.COMPILED else None

compiled_only = pytest.mark.skipif(
    not fast.COMPILED or bool(os.environ.get("AIONETFLOW_PURE")),
    reason="_fast is not built, or AIONETFLOW_PURE asks for plain Python",
)

ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
FIN, SYN, PSH, ACK, URG, CWR = 0x01, 0x02, 0x08, 0x10, 0x20, 0x80
NEAR_WRAP = 0xFFFFFF00
ETHERNET = bytes.fromhex("020000000002020000000001")
HOSTS = {4: bytes.fromhex("0a0000010a0000ff"), 6: bytes.fromhex("20010db8" + 11 * "00" + "01") * 2}
DATA = bytes(index * 7 & 0xFF for index in range(70000))


@dataclass(frozen=True)
class Template:
    """A header as `segment` takes it, behind some headroom; offsets in frames are those less l2."""

    header: bytearray
    l2: int
    l3: int
    l4: int
    l5: int

    def cut(self, payload: bytes, mss: int = 0, ident: int = 0, module: Any = fast) -> list[bytes]:
        frames: list[bytes] = module.segment(
            self.header, self.l2, self.l3, self.l4, self.l5, payload, 0, len(payload), mss, ident
        )
        return frames

    @property
    def at(self) -> tuple[int, int, int]:
        """l3, l4 and l5 in a frame."""
        return self.l3 - self.l2, self.l4 - self.l2, self.l5 - self.l2


def ip_header(version: int, protocol: int, options: int = 0) -> bytes:
    if version == 6:
        return b"\x60\x01\x23\x45\0\0" + bytes([protocol, 64]) + HOSTS[6]
    start = bytes([0x45 + options // 4, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0xAB, 0xCD])
    return start + HOSTS[4] + b"\1" * options


def transport_header(protocol: int, options: int = 0, flags: int = ACK, seq: int = NEAR_WRAP) -> bytes:
    if protocol == TCP:
        start = b"\x13\x88\x00\x50" + seq.to_bytes(4, "big") + b"\0\0\0\7"
        return start + bytes([(5 + options // 4) << 4, flags]) + b"\xff\xff\xaa\xaa\0\0" + b"\1" * options
    if protocol == UDP:
        return b"\x13\x88\x00\x50\0\0\xaa\xaa"
    return {ICMP: b"\x08", ICMPV6: b"\x80"}.get(protocol, b"\0") + b"\0\xaa\xaa\x12\x34\0\1"


def template(
    version: int = 4,
    protocol: int = TCP,
    *,
    flags: int = ACK,
    seq: int = NEAR_WRAP,
    ip_options: int = 0,
    options: int = 0,
    mac: bool = True,
    headroom: int = 3,
) -> Template:
    ip = ip_header(version, protocol, ip_options)
    above = transport_header(protocol, options, flags, seq)
    below = ETHERNET + (b"\x08\x00" if version == 4 else b"\x86\xdd") if mac else b""
    l3 = headroom + len(below)
    header = bytearray(b"\xee" * headroom + below + ip + above)
    return Template(header, headroom, l3, l3 + len(ip), len(header))


# ---- compiled and plain alike

OCTETS = st.binary(max_size=90) | st.binary(max_size=90).map(bytearray)
OFFSETS = st.integers(-3, 95) | st.sampled_from([2**62, 2**63 - 1, -(2**63), 65535, 65536])
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF) | st.sampled_from([-1, 2**32, 2**32 - 1])
U64 = st.integers(0, 2**64 - 1) | st.sampled_from([-1, 2**64])
PROTOCOLS = st.sampled_from([ICMP, TCP, UDP, ICMPV6, 0, 132])


class Subclass(bytes):
    pass


WRONG: list[Any] = [None, 1, "text", memoryview(b"memory" * 20), Subclass(60), [1, 2], (b"",)]
TEMPLATES = st.builds(
    template,
    st.sampled_from([4, 6]),
    PROTOCOLS,
    flags=st.integers(0, 255),
    seq=st.integers(0, 0xFFFFFFFF),
    ip_options=st.sampled_from([0, 4, 40]),
    options=st.sampled_from([0, 4, 12, 40]),
    mac=st.booleans(),
    headroom=st.integers(0, 5),
)


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """What a call gives or raises, and what became of the data it was given."""
    mine = [bytearray(arg) if type(arg) is bytearray else arg for arg in args]
    try:
        result = function(*mine)
    except (IndexError, OverflowError, TypeError, ValueError) as error:
        result = type(error)
    return type(result), result, mine


def alike(name: str, *args: Any) -> None:
    assert outcome(getattr(_fast, name), *args) == outcome(getattr(_slow, name), *args)


@st.composite
def hostile(draw: st.DrawFn) -> tuple[list[bytes], tuple[int, int, int, int]]:
    """Frames of one super-segment, some of them damaged, and l2, l3, l4, l5."""
    flow = draw(TEMPLATES)
    frames = list(flow.cut(draw(st.binary(max_size=120)), draw(st.integers(7, 60))))
    for _ in range(draw(st.integers(0, 2))):
        which = draw(st.integers(0, len(frames) - 1))
        frame = bytearray(frames[which])
        if frame:
            at = draw(st.integers(0, min(len(frame), 90) - 1))
            frame[at] = draw(st.integers(0, 255))
        padding = draw(st.binary(max_size=3))
        frames[which] = bytes(frame[: draw(st.integers(0, 160))] + padding)
    return frames, (0, *flow.at)


@compiled_only
@given(OCTETS, OFFSETS, U64)
def test_access_is_alike(data: bytes | bytearray, offset: int, value: int) -> None:
    alike("get16", data, offset)
    alike("get32", data, offset)
    alike("put16", data, offset, value)
    alike("put32", data, offset, value)


@compiled_only
@given(OCTETS, OFFSETS, OFFSETS, OCTETS)
def test_slices_are_alike(data: bytes | bytearray, start: int, stop: int, other: bytes | bytearray) -> None:
    alike("part", data, start, stop)
    alike("put", data, start, other)
    for wrong in WRONG:
        alike("part", wrong, 0, 0)
        alike("put", bytearray(9), 0, wrong)


@compiled_only
@given(OCTETS, OFFSETS, OFFSETS, U32)
def test_sums_are_alike(data: bytes | bytearray, start: int, stop: int, initial: int) -> None:
    for name in ("sum16", "checksum"):
        alike(name, data, start, stop, initial)
        alike(name, data, 0, len(data))


@compiled_only
@given(st.integers(0, 40), st.integers(0, 33000), st.sampled_from([DATA, bytes(70000), b"\xff" * 70000]))
def test_long_sums_are_alike(start: int, length: int, data: bytes) -> None:
    alike("sum16", data, start, start + length)


@compiled_only
@given(U32, U32, U32)
@example(0xFFFF, 0, 0)
@example(0, 0xFFFF, 0xFFFF)
def test_updates_are_alike(check: int, old: int, new: int) -> None:
    alike("update_checksum", check, old, new)


@compiled_only
@given(OCTETS, OFFSETS, U32, U32)
def test_pseudo_sums_are_alike(data: bytes | bytearray, l3: int, protocol: int, length: int) -> None:
    alike("pseudo_sum", data, l3, protocol, length)
    for version in (4, 6):
        alike("pseudo_sum", ip_header(version, TCP), 0, protocol, length)


@compiled_only
@given(hostile(), OFFSETS, OFFSETS, OFFSETS, PROTOCOLS)
def test_verify_is_alike(
    frames: tuple[list[bytes], tuple[int, int, int, int]], l3: int, l4: int, stop: int, protocol: int
) -> None:
    good = frames[1]
    for frame in frames[0]:
        alike("verify", frame, l3, l4, stop, protocol)
        alike("verify", frame, good[1], good[2], stop, protocol)
        alike("verify", frame, good[1], good[2], len(frame), protocol)


@compiled_only
@given(TEMPLATES, st.binary(max_size=200), st.integers(-1, 220), st.integers(0, 255), U32)
def test_segment_is_alike(flow: Template, payload: bytes, mss: int, octet: int, ident: int) -> None:
    assert flow.cut(payload, mss, module=_fast) == flow.cut(payload, mss, module=_slow)
    for at in (flow.l3, flow.l3 + 6, flow.l3 + 9, flow.l5 - 1):
        damaged = bytearray(flow.header)
        damaged[at] = octet
        offsets = (flow.l2, flow.l3, flow.l4, flow.l5)
        alike("segment", damaged, *offsets, bytearray(payload), 0, len(payload), mss, ident)


@compiled_only
@given(TEMPLATES, st.binary(max_size=200), st.integers(1, 220), st.integers(-1, 201), st.integers(0, 5))
def test_segment_of_two_pieces_is_alike(flow: Template, payload: bytes, mss: int, split: int, skip: int) -> None:
    offsets = (flow.l2, flow.l3, flow.l4, flow.l5)
    head, tail = payload[: max(split, 0)], bytes(skip) + payload[max(split, 0) :]
    alike("segment", flow.header, *offsets, head, 0, len(payload), mss, 0, None, split, tail, skip)


@pytest.mark.parametrize("split", range(13))
def test_two_pieces_make_the_frames_that_one_makes(split: int) -> None:
    flow, payload, frames = template(4), DATA[1:13], [b"before"]
    offsets = (flow.l2, flow.l3, flow.l4, flow.l5)
    tail = b"??" + payload[split:]
    fast.segment(flow.header, *offsets, b"?" + payload[:split], 1, 12, 5, 9, frames, split, tail, 2)
    assert frames == [b"before", *flow.cut(payload, 5, 9)]


@compiled_only
@given(st.binary(max_size=60), st.binary(max_size=30), OFFSETS, OFFSETS, OFFSETS)
def test_headers_and_copies_are_alike(room: bytes, data: bytes, at: int, start: int, stop: int) -> None:
    for name, values in (
        ("put_tcp_header", (1, 65536, 1 << 31, 7, 0x50FF, 65535)),
        ("put_ipv4_header", (0x1FF, 64, 6, data, data[::-1])),
        ("put_ipv6_header", (0x1FF, 64, 58, data, b"\xfe\x80" + data)),
        ("put_ipv6_header", (0x1FF, 64, 58, b"\xff\x02" + data, data[::-1])),
        ("store", (data, start, stop)),
    ):
        alike(name, bytearray(room), at, *values)
    alike("equal", room, at, data, start, stop)


@compiled_only
@given(TEMPLATES, OFFSETS, st.integers(0, 9), OFFSETS, OFFSETS, OFFSETS)
def test_segment_with_odd_offsets_is_alike(
    flow: Template, wild: int, which: int, start: int, length: int, mss: int
) -> None:
    offsets = [flow.l2, flow.l3, flow.l4, flow.l5]
    alike("segment", flow.header, *offsets, DATA, start, length, max(mss, 1000), 0)
    offsets[which % 4] = wild
    alike("segment", flow.header, *offsets, DATA[:90], start, length, mss, 0)


@compiled_only
@given(hostile(), st.integers(-1, 4), OFFSETS, st.sampled_from([0, 1, 2, 3]), OFFSETS)
def test_runs_are_alike(
    frames: tuple[list[bytes], tuple[int, int, int, int]], first: int, limit: int, which: int, wild: int
) -> None:
    offsets = list(frames[1])
    alike("tcp_run", frames[0], first, *offsets[:3], limit)
    alike("tcp_run", frames[0], 0, *offsets[:3], 1 << 20)
    for count in (first, len(frames[0]) - first):
        alike("gather", frames[0], first, count, *offsets[1:])
    offsets[which] = wild
    alike("tcp_run", frames[0], 0, *offsets[:3], limit)
    alike("gather", frames[0], 0, len(frames[0]), *offsets[1:])


@compiled_only
@given(hostile(), OFFSETS, OFFSETS, OCTETS)
def test_forward_is_alike(
    frames: tuple[list[bytes], tuple[int, int, int, int]], l3: int, stop: int, mac: bytes | bytearray
) -> None:
    for frame in frames[0]:
        alike("forward", frame, l3, stop, mac)
        alike("forward", frame, frames[1][1], stop, mac)
        alike("forward", frame, frames[1][1], len(frame), mac)


@compiled_only
@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: type(wrong).__name__)
def test_wrong_types_are_alike(wrong: Any) -> None:
    flow = template()
    offsets = (flow.l2, flow.l3, flow.l4, flow.l5)
    good = flow.cut(DATA[:40], 20)
    for name, args in [
        ("get16", (wrong, 0)),
        ("get32", (wrong, 0)),
        ("put16", (wrong, 0, 1)),
        ("put32", (wrong, 0, 1)),
        ("sum16", (wrong, 0, 2)),
        ("checksum", (wrong, 0, 2)),
        ("pseudo_sum", (wrong, 0, 6, 1)),
        ("verify", (wrong, 0, 20, 40, 6)),
        ("segment", (wrong, *offsets, b"payload", 0, 7, 0, 0)),
        ("segment", (flow.header, *offsets, wrong, 0, 1, 0, 0)),
        ("tcp_run", (wrong, 0, 0, 14, 34, 1000)),
        ("tcp_run", ([wrong], 0, 0, 14, 34, 1000)),
        ("tcp_run", ([good[0], wrong], 0, 0, 14, 34, 1000)),
        ("gather", (wrong, 0, 1, 14, 34, 54)),
        ("gather", ([b"", good[0], wrong], 0, 3, 14, 34, 54)),
        ("forward", (wrong, 0, 20, b"")),
        ("forward", (good[0], 14, 60, wrong)),
    ]:
        alike(name, *args)


# ---- known answers


def test_the_door_says_what_it_opens_to() -> None:
    assert fast.checksum is (_fast if fast.COMPILED else _slow).checksum


def test_the_example_of_rfc_1071() -> None:
    data = bytes.fromhex("0001f203f4f5f6f7")
    assert fast.sum16(data, 0, 8) == 0xDDF2
    assert fast.checksum(data, 0, 8) == 0x220D
    assert fast.sum16(data, 4, 8, fast.sum16(data, 0, 4)) == 0xDDF2


def test_an_odd_octet_counts_as_if_a_zero_followed() -> None:
    assert fast.sum16(b"\x01\x02\x03", 0, 3) == 0x0402


def test_sums_of_zeros_are_zero_and_only_those() -> None:
    assert fast.sum16(bytes(64), 0, 64) == 0
    assert fast.sum16(b"\xff\xff" * 32, 0, 64) == 0xFFFF
    assert fast.sum16(b"\xff\xfe\x00\x01", 0, 4) == 0xFFFF
    assert fast.sum16(b"", 0, 0, 0xFFFFFFFF) == 0xFFFF


def test_the_corner_case_of_rfc_1624() -> None:
    assert fast.update_checksum(0xDD2F, 0x5555, 0x3285) == 0x0000  # equation 2 would say 0xFFFF
    assert fast.update_checksum(0x1234, 0xABCD, 0xABCD) == 0x1234
    assert fast.update_checksum(0xFFFF, 0x0000, 0x0000) in (0x0000, 0xFFFF)


@given(st.binary(min_size=20, max_size=20), U16, st.sampled_from(range(0, 18, 2)))
def test_an_updated_checksum_verifies(data: bytes, new: int, at: int) -> None:
    header = bytearray(b"\x45\0" + data[2:18] + b"\0\0")
    fast.put16(header, 18, fast.checksum(header, 0, 20))
    old = fast.get16(header, at)
    fast.put16(header, at, new)
    fast.put16(header, 18, fast.update_checksum(fast.get16(header, 18), old, new))
    assert fast.sum16(header, 0, 20) in ((0, 0xFFFF) if not any(header[:18]) else (0xFFFF,))


def test_stored_values_are_masked_to_their_width() -> None:
    buffer = bytearray(8)
    fast.put16(buffer, 1, 0x12345)
    fast.put32(buffer, 4, 0x1FFFFFFFE)
    assert buffer.hex() == "00234500fffffffe"
    assert (fast.get16(buffer, 1), fast.get32(buffer, 4)) == (0x2345, 0xFFFFFFFE)


@pytest.mark.parametrize("offset", [-1, 7, 8, 2**62])
def test_nothing_outside_is_read(offset: int) -> None:
    for data in (bytes(8), bytearray(8)):
        with pytest.raises(IndexError):
            fast.get16(data, offset)
    with pytest.raises(IndexError):
        fast.put16(bytearray(8), offset, 1)


def by_scapy(frame: bytes) -> bytes:
    """The frame with all lengths and checksums made anew by scapy."""
    inet6, l2 = pytest.importorskip("scapy.layers.inet6"), pytest.importorskip("scapy.layers.l2")
    packet = l2.Ether(frame)
    layer = packet.payload
    assert isinstance(layer, inet6.IPv6 | inet6.IP)
    while layer:
        for field in ("len", "plen", "chksum", "cksum"):
            if field in layer.fields:
                delattr(layer, field)
        layer = layer.payload
    return bytes(packet)


@pytest.mark.parametrize("size", [0, 1, 64, 1459, 1460, 1461, 5001])
@pytest.mark.parametrize(
    ("version", "protocol"), [(4, TCP), (6, TCP), (4, UDP), (6, UDP), (4, ICMP), (6, ICMPV6)]
)
def test_what_is_segmented_is_right_to_scapy(version: int, protocol: int, size: int) -> None:
    flow = template(version, protocol)
    before = bytes(flow.header)
    frames = flow.cut(DATA[:size], 1460, ident=0xFFFF)
    assert len(frames) == (max(1, -(-size // 1460)) if protocol == TCP else 1)
    l3, l4, l5 = flow.at
    for number, frame in enumerate(frames):
        assert by_scapy(frame) == frame
        assert fast.verify(frame, l3, l4, len(frame), protocol)
        assert version == 6 or fast.get16(frame, l3 + 4) == (0xFFFF + number) & 0xFFFF
        assert frame[:l3] == before[flow.l2 : flow.l3]
    assert b"".join(frame[l5:] for frame in frames) == DATA[:size]
    assert flow.header == before


def test_flags_and_sequence_numbers_of_a_cut_super_segment() -> None:
    flow = template(flags=CWR | ACK | PSH | FIN)
    frames = flow.cut(DATA[:250], 100)
    assert [frame[47] for frame in frames] == [CWR | ACK, ACK, ACK | PSH | FIN]
    assert [fast.get32(frame, 38) for frame in frames] == [NEAR_WRAP, NEAR_WRAP + 100, NEAR_WRAP + 200]
    assert [frame[47] for frame in flow.cut(DATA[:250])] == [CWR | ACK | PSH | FIN]


@pytest.mark.parametrize("version", [4, 6])
def test_a_udp_checksum_of_zero_is_sent_as_ones(version: int) -> None:
    flow = template(version, UDP)
    _, l4, l5 = flow.at
    check = fast.get16(flow.cut(b"\0\0")[0], l4 + 6)
    frame = flow.cut(check.to_bytes(2, "big"))[0]
    assert fast.get16(frame, l4 + 6) == 0xFFFF
    assert fast.verify(frame, flow.at[0], l4, len(frame), UDP)
    without = frame[: l4 + 6] + b"\0\0" + frame[l5:]
    assert fast.verify(without, flow.at[0], l4, len(frame), UDP) == (version == 4)


def test_a_template_that_is_none_and_a_packet_too_long_are_refused() -> None:
    flow = template()
    for size in (65535 - 40 + 1, 70000):
        with pytest.raises(ValueError, match="65535"):
            flow.cut(DATA[:size])
    assert len(flow.cut(DATA[: 65535 - 40])) == 1
    for damage in (0x55, 0x44, 0x46, 0x00):
        flow.header[flow.l3] = damage
        with pytest.raises(ValueError, match="IP header"):
            flow.cut(b"")


@given(st.sampled_from([4, 6]), st.integers(0, 3000), st.integers(1, 700), st.booleans())
def test_gather_undoes_segment(version: int, size: int, mss: int, mac: bool) -> None:
    flow = template(version, options=12, mac=mac)
    frames = flow.cut(DATA[:size], mss)
    l3, l4, l5 = flow.at
    assert fast.tcp_run(frames, 0, 0, l3, l4, 1 << 16) == len(frames)
    assert fast.gather(frames, 0, len(frames), l3, l4, l5) == DATA[:size]
    padded = [frame + b"padding" for frame in frames]
    assert fast.gather(padded, 0, len(frames), l3, l4, l5) == DATA[:size]


@given(st.sampled_from([4, 6]), st.integers(0, 400), st.integers(0, 7))
def test_gather_sees_every_flipped_bit(version: int, at: int, bit: int) -> None:
    flow = template(version)
    frames = flow.cut(DATA[:1000], 400)
    frame = bytearray(frames[1])
    at += flow.at[1]
    frame[at] ^= 1 << bit
    frames[1] = bytes(frame)
    assert fast.gather(frames, 0, 3, *flow.at) is None
    assert not fast.verify(frames[1], flow.at[0], flow.at[1], len(frame), TCP)


def cut_run(version: int = 4, **changes: Any) -> list[bytes]:
    return template(version, options=12, **changes).cut(DATA[:500], 100, ident=7)


@pytest.mark.parametrize("version", [4, 6])
def test_a_run_crosses_the_wrap_and_ends_with_its_limit(version: int) -> None:
    frames = cut_run(version, flags=ACK | PSH)
    _, l3, l4 = 0, *template(version).at[:2]
    assert fast.tcp_run(frames, 0, 0, l3, l4, 500) == 5
    assert fast.tcp_run(frames, 3, 0, l3, l4, 500) == 2
    assert fast.tcp_run(frames, 0, 0, l3, l4, 499) == 4
    assert fast.tcp_run(frames, 0, 0, l3, l4, 1) == 1
    assert fast.tcp_run(frames * 2, 0, 0, l3, l4, 5000) == 5  # PSH, and the sequence starts anew
    assert fast.tcp_run([frames[0], frames[2]], 0, 0, l3, l4, 5000) == 1


def test_the_last_of_a_run_may_be_short_but_not_long() -> None:
    flow = template()
    short, rest = flow.cut(DATA[:150], 100), template(seq=NEAR_WRAP + 150).cut(DATA[:100])
    assert fast.tcp_run(short + rest, 0, 0, 14, 34, 5000) == 2
    assert fast.tcp_run([*flow.cut(DATA[:150]), *rest], 0, 0, 14, 34, 5000) == 2
    long = template(seq=NEAR_WRAP + 150).cut(DATA[:151])
    assert fast.tcp_run([*flow.cut(DATA[:150]), *long], 0, 0, 14, 34, 5000) == 1


@pytest.mark.parametrize("version", [4, 6])
def test_any_other_octet_in_a_header_ends_the_run(version: int) -> None:
    flow = template(version, options=12)
    l3, l4, l5 = flow.at
    # The TCP checksum is gather's; ident, length and checksum of IPv4 are covered by its header checksum.
    for at in set(range(l5)) - {l4 + 16, l4 + 17}:
        frames = cut_run(version)
        frame = bytearray(frames[1])
        frame[at] ^= 0x20
        frames[1] = bytes(frame)
        assert fast.tcp_run(frames, 0, 0, l3, l4, 5000) == 1, at


@pytest.mark.parametrize("flags", [0, FIN | ACK, SYN | ACK, URG | ACK, CWR | ACK, PSH])
def test_other_flags_make_no_run(flags: int) -> None:
    frames = cut_run()
    other = template(seq=NEAR_WRAP + 100, options=12, flags=flags).cut(DATA[:100])
    assert fast.tcp_run(frames[:1] + other, 0, 0, 14, 34, 5000) == 1
    assert fast.tcp_run(other + frames[2:], 0, 0, 14, 34, 5000) == 1


def test_a_truncated_frame_ends_the_run_and_is_not_gathered() -> None:
    frames = cut_run()
    for size in range(len(frames[1])):
        cut = [frames[0], frames[1][:size], frames[2]]
        assert fast.tcp_run(cut, 0, 0, 14, 34, 5000) == 1
        assert fast.tcp_run(cut, 1, 0, 14, 34, 5000) == 1
        assert fast.gather(cut, 0, 3, 14, 34, 66) is None


@pytest.mark.parametrize("version", [4, 6])
def test_a_forwarded_packet_has_one_hop_less_and_is_right_to_scapy(version: int) -> None:
    flow = template(version, UDP)
    l3 = flow.at[0]
    frame = flow.cut(b"payload")[0]
    hops = l3 + (8 if version == 4 else 7)
    mac = frame[6:12] + frame[:6] + frame[12:14]
    for left in range(63, -1, -1):
        frame = fast.forward(frame + b"padding", l3, len(frame), mac)
        assert frame[:14] == mac
        assert frame[hops] == left
        assert by_scapy(frame) == frame
    with pytest.raises(ValueError, match="no hop left"):
        fast.forward(frame, l3, len(frame), mac)
