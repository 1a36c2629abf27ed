"""The frames of the throughput benchmark at MTU 1500: a decoder that is not ours finds every one of them true.

It is the benchmark's own program in its own place, only shorter. What a capture costs and might change is told by
the link's counters, which must be those of a run without one.
"""

from __future__ import annotations

import asyncio
import io
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dpkt
import pytest

pytest.importorskip("benchmarks.report", reason="the benchmarks are not in an installed package")

import aionetflow
from aionetflow.link.channel import Channel
from aionetflow.link.memory import MemoryLink
from aionetflow.stack import Stack
from benchmarks.places import PLACES, Ends
from benchmarks.workloads import BLOCK, WORKLOADS
from benchmarks.workloads.protocols import Sink, Source, connect, listening
from support.decode import check_frame

BLOCKS = 4  # of 256 KiB: over seven hundred full segments
MSS = 1460  # what an MTU of 1500 leaves
SYN, FIN = 0x02, 0x01
M32 = 0xFFFFFFFF
THROUGHPUT = next(workload for workload in WORKLOADS if workload.name == "throughput")


@pytest.fixture(autouse=True)
def watched_frames() -> None:
    """Instead of the suite's: no tap on the interfaces, which the benchmark has not either."""


class Run(NamedTuple):
    """What is left of one run."""

    server: dict[str, int]  # TCP's counters
    before: list[tuple[int, int, int]]  # what each direction had carried before: the hosts announce themselves
    carried: list[tuple[int, int, int]]
    link: MemoryLink
    capture: bytes


def carried(link: MemoryLink) -> list[tuple[int, int, int]]:
    """Of each direction: frames and octets that it took, frames that it delivered."""
    return [(one.tx_frames, one.tx_bytes, one.delivered) for one in (link.a_to_b, link.b_to_a)]


@asynccontextmanager
async def captured(link: MemoryLink, file: io.BytesIO | None) -> AsyncIterator[None]:
    """A capture on the link meanwhile, if there is a file for it."""
    if file is None:
        yield
        return
    with link.capture(file):
        yield


def run(*, capture: bool = True) -> Run:
    """The benchmark's workload, in virtual time, so that every run is the same."""
    file = io.BytesIO() if capture else None

    async def main() -> Run:
        async with PLACES["link-1500"]() as ends:
            network = ends.server.network  # type: ignore[attr-defined]
            link = network.links[0]
            before = carried(link)
            async with captured(link, file):
                async with THROUGHPUT.open("protocols", ends) as work:
                    await work(BLOCKS)
                server = ends.server.stats.tcp.as_dict()  # type: ignore[attr-defined]
                return Run(server, before, carried(link), link, file.getvalue() if file else b"")

    return aionetflow.run(main(), time="virtual", seed=1)


def frames_of(capture: bytes) -> list[bytes]:
    return [bytes(frame) for _, frame in dpkt.pcapng.Reader(io.BytesIO(capture))]


def segments(frames: list[bytes]) -> list[tuple[bytes, dpkt.tcp.TCP]]:
    """Source address and TCP header of each frame that has one."""
    packets = [dpkt.ethernet.Ethernet(frame).data for frame in frames]
    return [(ip.src, ip.data) for ip in packets if isinstance(ip, dpkt.ip.IP) and isinstance(ip.data, dpkt.tcp.TCP)]


def stream(frames: list[bytes]) -> bytes:
    """What the client has sent, put together from its segments as a stranger would; nothing may be missing."""
    found = segments(frames)
    (first,) = [(source, tcp) for source, tcp in found if tcp.flags & 0x12 == SYN]
    client, begin = first[0], first[1].seq + 1
    data = bytearray()
    for source, tcp in found:
        if source == client and tcp.data:
            offset = (tcp.seq - begin) & M32
            assert offset <= len(data), f"octets {len(data)} to {offset} are missing"
            data[offset : offset + len(tcp.data)] = tcp.data
    return bytes(data)


def test_the_benchmark_runs_in_this_place_on_true_frames() -> None:
    link = run(capture=False).link
    assert (link.mtu, link.offload) == (1500, False)


def test_an_independent_decoder_finds_every_frame_true() -> None:
    frames = frames_of(run().capture)
    assert len(frames) > BLOCKS * len(BLOCK) // MSS
    for frame in frames:
        check_frame(frame)  # lengths and checksums of Ethernet, IP and TCP; options; nothing after the end
        assert len(frame) <= 14 + 1500


def test_the_segments_keep_to_the_mss_and_are_full() -> None:
    found = segments(frames_of(run().capture))
    for _, tcp in found:
        if tcp.flags & SYN:
            assert (2, MSS.to_bytes(2, "big")) in dpkt.tcp.parse_opts(tcp.opts)
    sizes = [len(tcp.data) for _, tcp in found if tcp.data]
    assert max(sizes) == MSS - 12  # timestamps in each
    assert sizes.count(MSS - 12) > 0.9 * len(sizes)


def test_the_stream_that_the_frames_carry_is_what_was_written() -> None:
    assert stream(frames_of(run().capture)) == BLOCK * BLOCKS


def test_a_capture_changes_nothing_that_the_link_carries() -> None:
    alone, watched = run(capture=False), run()
    assert alone.carried == watched.carried
    assert alone.server == watched.server
    sent = [now[0] - before[0] for before, now in zip(watched.before, watched.carried, strict=True)]
    assert len(frames_of(watched.capture)) == sum(sent)


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_finds_no_bad_length_and_no_bad_checksum(tmp_path: Path) -> None:
    path = tmp_path / "benchmark.pcapng"
    path.write_bytes(run().capture)
    checks = [f"{name}.check_checksum:TRUE" for name in ("ip", "tcp")]
    command = ["tshark", "-n", "-r", str(path), *(word for check in checks for word in ("-o", check))]

    def count(condition: str) -> int:
        done = subprocess.run([*command, "-Y", condition], capture_output=True, text=True, timeout=120, check=True)
        return len(done.stdout.splitlines())

    whole = "tcp.checksum.status == 1 and ip.checksum.status == 1"
    assert count("tcp") == count(whole) == len(segments(frames_of(path.read_bytes())))
    assert count("_ws.malformed or _ws.expert.severity >= 8388608") == 0  # 0x800000: errors
    assert count("tcp.analysis.retransmission or tcp.analysis.lost_segment") == 0


# ---- and the receiver looks at what it gets


class Recorder(Sink):
    """Keeps what the benchmark's receiver only counts."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.data = bytearray()

    def data_received(self, data: bytes) -> None:
        self.data += data
        super().data_received(data)


async def send(ends: Ends, blocks: int) -> bytes:
    """The benchmark's program, what arrives kept."""
    accepted: asyncio.Queue[Any] = asyncio.Queue()
    async with listening(ends, lambda: Recorder(accepted)) as port:
        source = await connect(ends, port, Source)
        sink: Recorder = await accepted.get()
        received = sink.start(blocks * len(BLOCK))
        await source.start(blocks)
        await received
        await source.close()
    return bytes(sink.data)


def damage(channel: Channel, number: int) -> Callable[[int, Channel, bytes, str], None]:
    """A tap that has the link turn over one bit of the frame of that number, and of no other."""

    def tap(now: int, where: Channel, frame: bytes, fate: str) -> None:
        if where is channel:
            channel.corrupt = 1.0 if channel.tx_frames == number - 1 else 0.0

    return tap


@pytest.mark.parametrize("number", [50, 333, 600])
def test_the_receiver_finds_the_one_frame_that_is_not_true_and_the_stream_stays_whole(number: int) -> None:
    async def main() -> tuple[bytes, Stack, MemoryLink, bytes]:
        async with PLACES["link-1500"]() as ends:
            network: Any = ends.server.network  # type: ignore[attr-defined]
            link, file = network.links[0], io.BytesIO()
            outgoing = link.b_to_a  # the server is the link's first end
            link.tap(damage(outgoing, number))
            with link.capture(file):
                data = await send(ends, BLOCKS)
            return data, ends.server.stack, link, file.getvalue()  # type: ignore[attr-defined]

    data, server, link, capture = aionetflow.run(main(), time="virtual", seed=1)
    assert link.b_to_a.corrupted == 1
    assert server.stats.tcp.InCsumErrors == 1
    assert data == BLOCK * BLOCKS
    untrue = []
    for frame in frames_of(capture):
        try:
            check_frame(frame)
        except AssertionError as error:
            untrue.append(str(error).partition("\n")[0])
    assert len(untrue) == 1  # the decoder agrees with the receiver: one, and it is the checksum
    assert untrue[0].startswith("protocol 6: checksum")
