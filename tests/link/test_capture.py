"""A capture is a pcapng file that others read: dpkt, scapy, and tshark where it is installed."""

import io
import json
import random
import shutil
import struct
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import dpkt
import pytest
from scapy.utils import PcapNgReader

from aionetflow.clock import ManualClock
from aionetflow.link.capture import LINKTYPE_RAW, Capture, capture_interface
from aionetflow.link.memory import MemoryLink

HEADER = bytes(6) + b"\x02\x00\x00\x00\x00\x01" + b"\x88\xb5"  # local experimental EtherType 1


def frame(size: int) -> bytes:
    return HEADER + bytes(range(256))[: size - 14]


def packets(data: bytes) -> list[tuple[float, bytes]]:
    return [(when, bytes(body)) for when, body in dpkt.pcapng.Reader(io.BytesIO(data))]


def test_what_is_written_is_read_back() -> None:
    file = io.BytesIO()
    with Capture(file) as capture:
        eth0 = capture.add_interface("eth0")
        for size in (60, 61, 62, 63):  # every padding
            capture.write(eth0, size * 1_000_000_000, frame(size), "x" * size, outbound=bool(size % 2))
    assert packets(file.getvalue()) == [(float(size), frame(size)) for size in (60, 61, 62, 63)]


def test_scapy_reads_nanoseconds_comments_direction_and_interfaces(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    with Capture(path) as capture:
        eth0, tun0 = capture.add_interface("eth0"), capture.add_interface("tun0", LINKTYPE_RAW, snaplen=20)
        capture.write(eth0, 1_234_567_890, frame(60), "lost", outbound=True)
        capture.write(eth0, (1 << 40) + 1, frame(99), outbound=False)
        capture.write(tun0, 5, b"\x45" + bytes(39), "naïve – ok")
    with PcapNgReader(str(path)) as reader:
        first, second, third = reader.read_all()
    assert (first.time, first.comments, first.direction, first.sniffed_on) == (
        seconds(1_234_567_890), [b"lost"], 2, "eth0",
    )  # fmt: skip
    assert (second.time, second.comments, second.direction) == (seconds((1 << 40) + 1), None, 1)
    assert (third.time, third.sniffed_on, third.wirelen) == (seconds(5), "tun0", 40)
    assert third.comments == ["naïve – ok".encode()]
    assert third.direction is None
    assert bytes(second) == frame(99)
    assert len(bytes(third)) == 20


def seconds(nanoseconds: int) -> Decimal:
    return Decimal(nanoseconds) / 1_000_000_000


def test_blocks_are_whole_and_chained() -> None:
    file = io.BytesIO()
    with Capture(file) as capture:
        capture.write(capture.add_interface("lo"), 0, frame(61), "c", True)
    data, kinds = file.getvalue(), []
    while data:
        kind, length = struct.unpack_from("<II", data)
        assert length % 4 == 0
        assert struct.unpack_from("<I", data, length - 4) == (length,)
        kinds.append(kind)
        data = data[length:]
    assert kinds == [0x0A0D0D0A, 1, 6]


def test_a_file_that_was_handed_in_stays_open() -> None:
    file = io.BytesIO()
    Capture(file).close()
    assert not file.closed


def test_a_closed_capture_says_so() -> None:
    capture = Capture(io.BytesIO())
    capture.add_interface("eth0")
    capture.close()
    capture.close()
    with pytest.raises(ValueError, match="the capture is closed"):
        capture.write(0, 0, frame(60))
    with pytest.raises(ValueError, match="the capture is closed"):
        capture.add_interface("eth1")


def test_an_interface_must_be_added_before_it_is_written_to() -> None:
    with Capture(io.BytesIO()) as capture, pytest.raises(IndexError):
        capture.write(0, 0, frame(60))


def test_an_overlong_comment_is_cut() -> None:
    file = io.BytesIO()
    with Capture(file) as capture:
        capture.write(capture.add_interface("eth0"), 0, frame(60), "x" * 70_000)
    assert packets(file.getvalue()) == [(0.0, frame(60))]


def captured_link(path: Path) -> None:
    """A link on which frame after frame meets another fate, captured."""
    clock = ManualClock()
    link = MemoryLink(clock, random.Random(7), "wan", delay=0.010)
    with link.capture(path):
        link.a.send([frame(60), frame(61)])
        clock.advance(0.000000123)
        link.loss = 1.0
        link.b.send([frame(62)])
        link.loss, link.duplicate = 0.0, 1.0
        link.a.send([frame(63)])
        link.up = False
        link.a.send([frame(64)])
    link.a.send([frame(65)])


def test_a_link_is_captured_both_ways_with_fates(tmp_path: Path) -> None:
    captured_link(tmp_path / "x.pcapng")
    with PcapNgReader(str(tmp_path / "x.pcapng")) as reader:
        seen = [(int(p.time * 10**9), len(p), p.direction, p.comments, p.sniffed_on) for p in reader]
    assert seen == [
        (0, 60, 2, None, "wan"),
        (0, 61, 2, None, "wan"),
        (123, 62, 1, [b"lost"], "wan"),
        (123, 63, 2, [b"duplicated"], "wan"),
        (123, 64, 2, [b"link down"], "wan"),
    ]


def test_two_captures_run_at_once_and_end_apart() -> None:
    clock = ManualClock()
    link = MemoryLink(clock, random.Random(7))
    one, other = io.BytesIO(), io.BytesIO()
    first = link.capture(one)
    with link.capture(other):
        link.a.send([frame(60)])
        first.close()
        first.close()
        link.a.send([frame(61)])
    assert [len(body) for _, body in packets(one.getvalue())] == [60]
    assert [len(body) for _, body in packets(other.getvalue())] == [60, 61]


def test_a_file_that_cannot_be_made_is_an_error_and_leaves_the_link_alone(tmp_path: Path) -> None:
    link = MemoryLink(ManualClock(), random.Random(7))
    with pytest.raises(FileNotFoundError):
        link.capture(tmp_path / "missing" / "x.pcapng")
    assert link.a_to_b.taps == ()


def test_an_interface_is_captured_until_close(tmp_path: Path) -> None:
    taps: list[Callable[[int, bytes, bool], None]] = []
    interface = SimpleNamespace(name="eth0", linktype=1, taps=taps)
    capture = capture_interface(interface, tmp_path / "x.pcapng")
    taps[0](1, frame(60), True)
    taps[0](2, frame(61), False)
    capture.close()
    capture.close()
    assert taps == []
    with PcapNgReader(str(tmp_path / "x.pcapng")) as reader:
        assert [(len(p), p.direction, p.sniffed_on) for p in reader] == [(60, 2, "eth0"), (61, 1, "eth0")]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_it(tmp_path: Path) -> None:
    captured_link(tmp_path / "x.pcapng")
    fields = [
        "frame.time_epoch",
        "frame.len",
        "frame.packet_flags_direction",
        "frame.comment",
        "frame.interface_name",
    ]
    command = ["tshark", "-r", str(tmp_path / "x.pcapng"), "-T", "json"]
    command += [part for name in fields for part in ("-e", name)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    rows = [row["_source"]["layers"] for row in json.loads(done.stdout)]
    outbound, inbound = "0x00000002", "0x00000001"
    assert [[row.get(name, [""])[0] for name in fields] for row in rows] == [
        ["0.000000000", "60", outbound, "", "wan"],
        ["0.000000000", "61", outbound, "", "wan"],
        ["0.000000123", "62", inbound, "lost", "wan"],
        ["0.000000123", "63", outbound, "duplicated", "wan"],
        ["0.000000123", "64", outbound, "link down", "wan"],
    ]
