"""The short ways over a link: with each and without it, programs get the same octets, and hosts the same frames."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import aionetflow as anf
from aionetflow import Host, Network
from aionetflow.fast_paths import FAST
from aionetflow.link.base import LinkEnd, Station
from support.decode import check_frame
from support.loops import LOOPS, in_virtual_time, run
from support.talk import connected, datagram, pattern, read_all, read_exactly

LONG = 400_000  # octets; more than a window
Frame = tuple[str, int, bool, bytes]  # interface, time in ns, whether it went out, octets


def linked(net: Network, **settings: Any) -> tuple[Host, Host]:
    a, b = net.host("a"), net.host("b")
    net.link(a, b, **settings)
    return a, b


def on_the_lan(net: Network, **settings: Any) -> tuple[Host, Host]:
    net.lan_settings = settings
    return net.host("a"), net.host("b")


def routed(net: Network, **settings: Any) -> tuple[Host, Host]:
    a, b, router = net.host("a"), net.host("b"), net.router("r")
    net.link(a, router, **settings)
    net.link(router, b, **settings)
    return a, b


SHAPES: dict[str, Callable[..., tuple[Host, Host]]] = {"link": linked, "lan": on_the_lan, "router": routed}
each_shape = pytest.mark.parametrize("shape", SHAPES)
each_delay = pytest.mark.parametrize("delay", [0.0, 0.003])


class Story:
    """A long stream, short questions and datagrams, and what there was to see of them."""

    def __init__(self, shape: str, **settings: Any) -> None:
        self.octets: list[bytes] = []  # what programs got
        self.frames: list[Frame] = []
        self.counters: list[dict[str, int]] = []
        self._shape, self._settings = shape, settings

    def tell(self, kind: str = "virtual") -> Story:
        """Runs it on a loop of that kind."""
        run(kind, self._main)
        return self

    async def _main(self) -> None:
        async with Network(seed=7) as net:
            a, b = SHAPES[self._shape](net, **self._settings)
            for nic in (*a.interfaces, *b.interfaces):
                nic.taps.append(partial(self._see, nic.mac.hex()))
            await self._stream(a, b)
            await self._questions(a, b)
            await self._datagrams(a, b)
            self.counters = [nic.counters() for nic in (*a.interfaces, *b.interfaces)]
            for link in net.links:
                for way in (link.a_to_b, link.b_to_a):
                    self.counters.append({"frames": way.tx_frames, "bytes": way.tx_bytes, "delivered": way.delivered})
                    assert way.in_flight == len(way.flights()) == 0
            for host in (a, b):
                self.counters.append({"in": host.stats.tcp.InSegs, "out": host.stats.tcp.OutSegs})

    def _see(self, interface: str, now: int, frame: bytes, outbound: bool) -> None:
        self.frames.append((interface, now, outbound, frame))

    async def _stream(self, a: Host, b: Host) -> None:
        near, far = await connected(a, b)
        writing = asyncio.create_task(near.write(pattern(LONG)))
        self.octets.append(await read_exactly(far, LONG))
        await writing
        await near.close()
        self.octets.append(await read_all(far))
        await far.close()

    async def _questions(self, a: Host, b: Host) -> None:
        near, far = await connected(a, b, 81)
        for size in (1, 64, 1460, 1461, 20_000):
            await near.write(pattern(size, size))
            question = await read_exactly(far, size)
            await far.write(question[::-1])
            self.octets.append(await read_exactly(near, size))
        await far.close()
        self.octets.append(await read_all(near))
        await near.close()

    async def _datagrams(self, a: Host, b: Host) -> None:
        near, far = await datagram(a), await datagram(b)
        await far.bind(("", 53))
        for size in (0, 1, 548):
            await near.sendto(pattern(size), (b.addresses[0], 53))
            self.octets.append((await far.recvfrom(2000))[0])
        await near.close()
        await far.close()


@each_shape
@each_delay
def test_frames_that_go_the_short_way_over_a_link_are_those_of_the_long_way(
    shape: str, delay: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Story(shape, delay=delay, offload=False).tell()
    monkeypatch.setattr(FAST, "clean_link", False)
    long = Story(shape, delay=delay, offload=False).tell()
    assert short.octets == long.octets
    assert short.frames == long.frames
    assert short.counters == long.counters


@each_shape
@pytest.mark.parametrize("kind", LOOPS)
def test_programs_get_the_same_octets_when_a_call_delivers_what_it_sends(
    shape: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = Story(shape).tell(kind)
    monkeypatch.setattr(FAST, "burst", False)
    in_turns = Story(shape).tell(kind)
    assert at_once.octets == in_turns.octets


@each_shape
@each_delay
@pytest.mark.parametrize("mtu", [576, 1500, 9000])
def test_hosts_send_hear_and_count_the_same_frames_with_and_without_offload(
    shape: str, delay: float, mtu: int
) -> None:
    merged = Story(shape, delay=delay, mtu=mtu).tell()
    true = Story(shape, delay=delay, mtu=mtu, offload=False).tell()
    assert merged.octets == true.octets
    assert merged.frames == true.frames
    assert merged.counters == true.counters
    for _, _, _, frame in merged.frames:
        check_frame(frame)
    assert max(len(frame) for _, _, _, frame in merged.frames) == mtu + 14


class Watch(Station):
    """Between a link and an interface: the longest frame that came, in batches of true frames and in merged ones."""

    def __init__(self, end: LinkEnd) -> None:
        self.true = self.merged = 0
        self._nic: Any = end.receiver
        end.detach()
        end.attach(self)

    def takes_merged(self) -> bool:
        return True

    def receive(self, frames: list[bytes]) -> None:
        self.true = max(self.true, *map(len, frames))
        self._nic.receive(frames)

    def receive_merged(self, frames: list[bytes], merged_by: int) -> None:
        assert merged_by == 1500
        self.merged = max(self.merged, *map(len, frames))
        self._nic.receive_merged(frames, merged_by)


@in_virtual_time
@pytest.mark.parametrize("shape", ["link", "lan"])
async def test_a_long_write_crosses_clean_links_uncut(shape: str) -> None:
    async with Network(seed=1) as net:
        a, b = SHAPES[shape](net)
        near, far = await connected(a, b)
        last = next(link for link in net.links if link.name == ("a-b" if shape == "link" else "b-lan"))
        watch = Watch(last.b if shape == "link" else last.a)
        reading = asyncio.create_task(read_exactly(far, LONG))
        await near.write(pattern(LONG))
        assert await reading == pattern(LONG)
        assert watch.merged > 14_600
        assert watch.true <= 1514


@in_virtual_time
async def test_what_is_looked_at_in_flight_is_true_frames() -> None:
    async with Network(seed=1) as net:
        a, b = linked(net, delay=0.01)
        near, far = await connected(a, b)
        core: Any = near.core
        core.send(pattern(14_600))
        flights = net.links[0].in_flight()
        assert [len(flight.frame) for flight in flights] == [1514] * 10
        assert net.links[0].a_to_b.in_flight == 15140
        for flight in flights:
            check_frame(flight.frame)
        assert await read_exactly(far, 14_600) == pattern(14_600)


@in_virtual_time
async def test_a_tap_that_comes_in_the_middle_sees_true_frames_and_all_that_follow_it() -> None:
    async with Network(seed=1) as net:
        a, b = linked(net)
        near, far = await connected(a, b)
        first, second = pattern(200_000), pattern(200_000, 1)
        reading = asyncio.create_task(read_exactly(far, 400_000))
        await near.write(first)
        seen: list[bytes] = []
        with net.links[0].capture(file := io.BytesIO()):
            handle = net.links[0].tap(lambda now, way, frame, fate: seen.append(frame))
            await near.write(second)
            await asyncio.sleep(1)
            handle.close()
        assert await reading == first + second
        carried = sum(len(frame) - 54 for frame in seen if len(frame) > 54)
        assert carried >= 200_000 - near.core.send_buffer
        for frame in seen:
            check_frame(frame)
        assert max(map(len, seen)) == 1514
        assert len(file.getvalue()) > 200_000


@in_virtual_time
async def test_every_setting_that_asks_for_true_frames_gets_them_and_gives_them_up_again() -> None:
    async with Network(seed=1) as net:
        linked(net)
        link = net.links[0]
        assert link.a.offload_mtu == link.b.offload_mtu == 1500
        usual = {"loss": 0.0, "reorder": 0.0, "duplicate": 0.0, "corrupt": 0.0, "jitter": 0.0, "rate": None, "up": True}
        unusual = {"loss": 0.1, "reorder": 0.1, "duplicate": 0.1, "corrupt": 0.1, "jitter": 0.1, "rate": 1e9}
        for name, value in {**unusual, "up": False, "offload": False}.items():
            setattr(link, name, value)
            assert link.a.offload_mtu == link.b.offload_mtu == 0, name
            setattr(link, name, usual.get(name, True))
            assert link.a.offload_mtu == link.b.offload_mtu == 1500, name
        link.a_to_b.mtu = 576
        assert (link.a.offload_mtu, link.b.offload_mtu) == (576, 1500)


@in_virtual_time
async def test_a_switch_cuts_for_a_link_that_wants_true_frames() -> None:
    async with Network(seed=1) as net:
        a, b = on_the_lan(net)
        near, far = await connected(a, b)
        seen: list[bytes] = []
        to_b = next(link for link in net.links if link.name.startswith("b-"))
        to_b.tap(lambda now, way, frame, fate: seen.append(frame))
        data = pattern(200_000)
        reading = asyncio.create_task(read_exactly(far, len(data)))
        await near.write(data)
        assert await reading == data
        assert max(map(len, seen)) == 1514
        for frame in seen:
            check_frame(frame)


@in_virtual_time
@pytest.mark.parametrize("change", [("mtu", 600), ("up", False), ("loss", 1.0)])
async def test_what_is_on_its_way_merged_survives_a_change_of_the_link(change: tuple[str, Any]) -> None:
    async with Network(seed=1) as net:
        a, b = linked(net, delay=0.01)
        near, far = await connected(a, b)
        data = pattern(100_000)
        reading = asyncio.create_task(read_exactly(far, len(data)))
        writing = asyncio.create_task(near.write(data))
        await asyncio.sleep(0.025)
        link = net.links[0]
        setattr(link, *change)
        way = link.a_to_b
        assert way.tx_frames == way.delivered + way.lost + way.down_dropped + len(way.flights())
        await asyncio.sleep(0.025)
        link.up, link.loss = True, 0.0
        await writing
        assert await reading == data
        assert way.tx_frames == way.delivered + way.lost + way.down_dropped + way.oversize + len(way.flights())


@in_virtual_time
async def test_segments_shorter_than_the_mtu_are_cut_by_their_sender() -> None:
    async with Network(seed=1) as net:
        a, b = linked(net)
        near, far = await connected(a, b, options=[(anf.IPPROTO_TCP, anf.TCP_MAXSEG, 1000)])
        before = a.interfaces[0].tx_packets
        data = pattern(100_000)
        reading = asyncio.create_task(read_exactly(far, len(data)))
        await near.write(data)
        assert await reading == data
        assert a.interfaces[0].tx_packets - before >= 100
