"""Ten thousand connections talk for an hour of virtual time: memory stays flat, and no turn of the loop is long.

A few connections are busy and most are quiet, as of a server in real life; who speaks when is drawn from a seed.
Python's collector of cycles is off meanwhile: what it takes grows with the program's objects and not with what the
loop does (see docs/performance.md), and nothing here may need it. What it would take is printed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from aionetflow import EventLoop, Network
from support.talk import pattern

PORT = 80
MINUTE = 60.0  # s
SETTLING = 5 * MINUTE  # until every connection has spoken and all that grows has grown
BUSY = 20  # one connection in so many is busy
BUSY_PAUSE, QUIET_PAUSE = 5.0, 120.0  # s between two messages of one connection, on average
DELAY = 0.01  # s, of the link
GARBAGE = 1000  # objects in cycles, of an hour: what setting up leaves, and nothing for each message
LONGEST_TURN = 0.010  # s of CPU time
CONNECTIONS = int(os.environ.get("AIONETFLOW_SOAK_CONNECTIONS", "10000"))
OCTETS = pattern(1 << 15, 13)


class Loop(EventLoop):
    """A loop that knows how long its turns were: those of one instant of virtual time together, so none was longer."""

    def __init__(self) -> None:
        super().__init__(time="virtual", seed=13)
        self.longest = 0.0  # s of CPU time
        self.instants = 0
        self.unmeasured = False  # the turn that goes on now is the test's own

    def _run_once(self) -> None:
        begin = time.process_time()
        super()._run_once()
        if not self.unmeasured:
            self.longest = max(self.longest, time.process_time() - begin)
        self.unmeasured = False
        self.instants += 1


class Echo(asyncio.Protocol):
    """The server's end."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Talker(asyncio.Protocol):
    """A client's end: says something now and then, and hears the same."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.said = self.heard = 0
        self.as_it_was = True

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        begin = self.heard % len(OCTETS)
        self.as_it_was = self.as_it_was and (OCTETS + OCTETS).startswith(data, begin)
        self.heard += len(data)

    def speak(self, size: int) -> None:
        """Says so much more of the octets, which begin anew at their end."""
        begin = self.said % len(OCTETS)
        data = OCTETS[begin : begin + size]
        self.transport.write(data)
        self.said += len(data)


class Sample(NamedTuple):
    """What there was at one time."""

    resident: int  # octets
    objects: int
    longest: float  # s of CPU time, of the turns so far


def sample(loop: Loop) -> Sample:
    """What there is now; the turn that looks is not counted."""
    loop.unmeasured = True
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return Sample(resident, len(gc.get_objects()), loop.longest)


class Crowd:
    """The connections, and who of them speaks when."""

    def __init__(self, talkers: list[Talker]) -> None:
        self.talkers = talkers
        self.draws = Random(13)
        self.messages = 0
        self.over = False
        self.loop = asyncio.get_running_loop()
        for talker in talkers:
            self.loop.call_later(self.draws.random() * self.pause(talker), self.speak, talker)

    def pause(self, talker: Talker) -> float:
        """Seconds between two messages of that connection, on average."""
        return BUSY_PAUSE if talker.number % BUSY == 0 else QUIET_PAUSE

    def speak(self, talker: Talker) -> None:
        """A message, and when the next one is due."""
        if self.over:
            return
        # most messages are short, a few as long as a page
        talker.speak(self.draws.randrange(4096, 16384) if self.draws.random() < 0.02 else self.draws.randrange(1, 129))
        self.messages += 1
        self.loop.call_later(self.draws.uniform(0.5, 1.5) * self.pause(talker), self.speak, talker)


async def connected(net: Network, count: int) -> tuple[asyncio.Server, list[Talker]]:
    """A server, and so many connections to it over one link."""
    loop = asyncio.get_running_loop()
    host, client = net.host("server"), net.host("client")
    net.link(host, client, delay=DELAY)
    async with host:
        server = await loop.create_server(Echo, host.addresses[0], PORT, backlog=4096)
    async with client:
        factories = [partial(Talker, number) for number in range(count)]
        return server, [(await loop.create_connection(one, host.addresses[0], PORT))[1] for one in factories]


async def talk(count: int, duration: float) -> tuple[Sample, Sample, Crowd]:
    """Lets them talk; what there was when all had settled, what there was at the end, and all that was said."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    async with Network(seed=13) as net:
        server, talkers = await connected(net, count)
        crowd = Crowd(talkers)
        gc.collect()
        gc.disable()
        loop.longest, loop.unmeasured = 0.0, True
        await asyncio.sleep(SETTLING)
        settled = sample(loop)
        await asyncio.sleep(duration - SETTLING)
        end = sample(loop)
        begin = time.process_time()
        garbage = gc.collect()
        print(f"\na collection with all that: {(time.process_time() - begin) * 1e3:.0f} ms, {garbage} objects found")
        assert garbage < GARBAGE
        crowd.over = True
        await asyncio.sleep(MINUTE)  # the last answers
        for host in net.hosts:
            assert host.stats.tcp.RetransSegs == host.stats.tcp.InErrs == 0
        for talker in talkers:
            talker.transport.close()
        server.close()
        await asyncio.sleep(MINUTE)
    return settled, end, crowd


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/statm")
@pytest.mark.skipif("AIONETFLOW_LINES" in os.environ, reason="what counts lines leaves objects of its own")
@pytest.mark.parametrize(
    ("count", "duration"),
    [(200, 10 * MINUTE), pytest.param(CONNECTIONS, 60 * MINUTE, marks=pytest.mark.soak)],
)
def test_many_connections_talk_for_a_long_time(count: int, duration: float, request: pytest.FixtureRequest) -> None:
    soaking = request.node.get_closest_marker("soak") is not None
    try:
        with asyncio.Runner(loop_factory=Loop) as runner:
            settled, end, crowd = runner.run(talk(count, duration))
            loop = runner.get_loop()
            assert isinstance(loop, Loop)
    finally:
        gc.enable()
    print(
        f"{count} connections, {crowd.messages} messages there and back in {loop.instants} instants;"
        f" the longest {end.longest * 1e3:.2f} ms; {settled.resident >> 20} MiB, {end.resident >> 20} MiB at the end;"
        f" {settled.objects} objects, {end.objects} at the end"
    )
    assert crowd.messages > count
    assert all(talker.as_it_was and talker.heard == talker.said for talker in crowd.talkers)
    assert end.objects < settled.objects * 1.01 + 500
    if soaking:  # a small run says nothing of the process's memory, and runs beside others
        assert end.resident < settled.resident * 1.03
        assert end.longest < LONGEST_TURN
