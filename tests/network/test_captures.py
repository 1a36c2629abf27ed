"""Captures put on links and interfaces while traffic flows, read back by dpkt and scapy."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import dpkt
import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether
from scapy.utils import PcapNgReader

from aionetflow import Network
from aionetflow.link.capture import capture_interface
from support.decode import check_frame
from support.loops import everywhere, in_virtual_time, turns
from support.talk import connected, pattern, read_all, read_exactly

Seen = list[tuple[float, bytes]]


def frames_of(path: Path) -> Seen:
    """What dpkt finds in a capture file."""
    with path.open("rb") as file:
        return [(when, bytes(frame)) for when, frame in dpkt.pcapng.Reader(file)]


@in_virtual_time
async def test_a_link_capture_has_every_frame_with_its_time(tmp_path: Path) -> None:
    path = tmp_path / "link.pcapng"
    seen: Seen = []
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        link = net.link(a, b, delay=0.01, rate=1e7)
        link.tap(lambda now, channel, frame, fate: seen.append((now / 1e9, frame)))
        with link.capture(path):
            client, server = await connected(a, b)
            await client.write(pattern(20_000))
            await client.close()
            assert await read_all(server) == pattern(20_000)
            await server.close()
            await asyncio.sleep(1)
        count = len(seen)
    found = frames_of(path)
    assert [frame for _, frame in found] == [frame for _, frame in seen][:count]
    assert [when for when, _ in found] == pytest.approx([when for when, _ in seen][:count], abs=1e-6)
    for _, frame in found:
        check_frame(frame)
    with PcapNgReader(str(path)) as reader:
        packets = list(reader)
    assert {type(packet) for packet in packets} == {Ether}
    sent = [packet for packet in packets if TCP in packet and packet[IP].src == "10.128.0.1"]
    assert sum(len(packet[TCP].payload) for packet in sent) == 20_000
    assert packets[0].haslayer(ARP)


@everywhere
async def test_a_capture_begins_and_ends_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "middle.pcapng"
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        link = net.link(a, b)
        client, server = await connected(a, b)
        marks = []
        for mark in b"123":
            capture = link.capture(path) if mark == ord("2") else None
            await client.write(bytes([mark]) * 100)
            assert await read_exactly(server, 100) == bytes([mark]) * 100
            marks.append(mark)
            if capture is not None:
                capture.close()
        await client.close()
        await server.close()
    payloads = b"".join(dpkt.ethernet.Ethernet(frame).data.data.data for _, frame in frames_of(path))
    assert payloads == b"2" * 100


@everywhere
async def test_an_interface_capture_sees_one_side_of_a_router(tmp_path: Path) -> None:
    paths = [tmp_path / f"eth{i}.pcapng" for i in range(2)]
    async with Network(seed=1) as net:
        a, b, r = net.host("a"), net.host("b"), net.router("r")
        net.link(a, r)
        net.link(r, b)
        client, server = await connected(a, b)
        captures = [capture_interface(nic, path) for nic, path in zip(r.interfaces, paths, strict=True)]
        await client.write(b"through the router")
        assert await read_exactly(server, 18) == b"through the router"
        await turns(20)
        for capture in captures:
            capture.close()
        macs = [nic.mac for nic in (a.interfaces[0], *r.interfaces, b.interfaces[0])]
        await client.close()
        await server.close()
    before, after = [
        next(frame for _, frame in frames_of(path) if frame.endswith(b"through the router")) for path in paths
    ]
    assert (before[6:12], before[:6]) == (macs[0], macs[1])
    assert (after[6:12], after[:6]) == (macs[2], macs[3])
    assert (before[22], after[22]) == (64, 63)
    assert before[26:] == after[26:]


@in_virtual_time
async def test_the_fate_of_a_frame_is_its_comment(tmp_path: Path) -> None:
    path = tmp_path / "fate.pcapng"
    fates: list[str] = []
    async with Network(seed=3) as net:
        a, b = net.host("a"), net.host("b")
        link = net.link(a, b, delay=0.001, loss=0.2, duplicate=0.2)
        link.tap(lambda now, channel, frame, fate: fates.append(fate))
        with link.capture(path):
            client, server = await connected(a, b)
            await client.write(pattern(50_000))
            await client.close()
            assert await read_all(server) == pattern(50_000)
            await server.close()
            written = list(fates)
    assert {"lost", "duplicated", ""} <= set(written)
    comments = []
    with PcapNgReader(str(path)) as reader:
        for packet in reader:
            comments.append((packet.comment or b"").decode())
    assert comments == written


@everywhere
async def test_a_capture_goes_to_an_open_file_and_survives_the_end_of_the_network() -> None:
    file = io.BytesIO()
    async with Network(seed=1) as net:
        a, b = net.host("a"), net.host("b")
        capture = net.link(a, b).capture(file)
        client, server = await connected(a, b)
        await client.close()
        await server.close()
    capture.close()
    capture.close()
    file.seek(0)
    assert len(list(dpkt.pcapng.Reader(file))) >= 6


def test_a_file_that_cannot_be_made_is_an_oserror_and_nothing_is_tapped(tmp_path: Path) -> None:
    from aionetflow.clock import ManualClock

    net = Network(1, clock=ManualClock())
    a, b = net.host("a"), net.host("b")
    link = net.link(a, b)
    with pytest.raises(OSError):
        link.capture(tmp_path / "missing" / "x.pcapng")
    with pytest.raises(OSError):
        capture_interface(a.interfaces[0], tmp_path)
    assert link.a_to_b.taps == ()
