"""Small programs between two hosts, in virtual time: what each end has received, and the frames if one asks for them.

    outcome = perform(small_programs.bulk_both_ways, "true")
    outcome.heard["server"]             # the octets, and how the stream ended
    perform(..., tapped=True).frames    # (ns, direction, frame)
    outcome.check()                     # the suite's decoder finds every one of them true

A program is a coroutine function of a Stage; what it does depends on nothing but the stage.
"""

from __future__ import annotations

import asyncio
import functools
import socket
from collections import defaultdict
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, NamedTuple

import aionetflow
from aionetflow import Host, Network
from support.decode import ETHERNET, RAW_IP, check_frame
from support.loops import until
from support.talk import pattern, read_all

PORT = 80
KIB = 1 << 10
PATIENCE = 600.0  # s of virtual time; a bad link can take its time
Frame = tuple[int, str, bytes]  # ns, direction, octets
Program = Callable[["Stage"], Coroutine[Any, Any, None]]
# Two hosts and the link between them; "lo" is one host's own loopback.
PLACES: dict[str, dict[str, Any] | None] = {
    "lo": None,
    "link": {},
    "true": {"offload": False, "delay": 0.001, "rate": 100e6},
    "bad": {
        "delay": 0.005, "jitter": 0.001, "rate": 50e6, "loss": 0.02, "reorder": 0.02, "duplicate": 0.02,
        "corrupt": 0.02,
    },
}  # fmt: skip


class Outcome(NamedTuple):
    """What came of a program."""

    heard: dict[str, bytes]
    frames: list[Frame]

    def check(self) -> None:
        """AssertionError if a frame is not true, but for those that the link has damaged."""
        for _, where, frame in self.frames:
            if "corrupted" not in where:
                passed_on = frame[12:14] == b"\x08\0" and frame[22] < 64  # by a router, damaged or not
                check_frame(frame, RAW_IP if where == "lo" else ETHERNET, forwarded=where != "lo" and passed_on)


class Stage:
    """Where a program plays: a server, a client, and what they have heard."""

    def __init__(self, server: Host, client: Host, address: str) -> None:
        self.server, self.client, self.address = server, client, address
        self.join: Callable[[Host, Host], None] = lambda a, b: None  # one more link, like the first
        self.heard: dict[str, bytearray] = defaultdict(bytearray)

    async def serve(self, factory: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
        """A server with that protocol."""
        async with self.server:
            return await asyncio.get_running_loop().create_server(factory, self.address, PORT)

    async def connect(self, factory: Callable[[], Any]) -> Any:
        """A client's protocol, connected."""
        async with self.client:
            _, protocol = await asyncio.get_running_loop().create_connection(factory, self.address, PORT)
        return protocol

    async def has_heard(self, name: str, count: int) -> None:
        """Waits until so many octets have been heard under that name."""
        await until(lambda: len(self.heard[name]) >= count, PATIENCE)


def perform(program: Program, place: str, *, tapped: bool = False) -> Outcome:
    """Runs a program; the same every time, unless the code is not the same."""
    frames: list[Frame] = []

    async def main() -> dict[str, bytearray]:
        async with Network(seed=7) as net:
            settings = PLACES[place]
            if settings is None:
                server = client = net.localhost
                address = "127.0.0.1"
                if tapped:
                    _tap_loopback(net.localhost, frames)
            else:
                server, client = net.host("server"), net.host("client")
                _join(server, client, place, frames if tapped else None)
                address = server.addresses[0]
            stage = Stage(server, client, address)
            stage.join = functools.partial(_join, place=place, frames=frames if tapped else None)
            async with asyncio.timeout(PATIENCE):
                await program(stage)
            return stage.heard

    heard = aionetflow.run(main(), time="virtual", seed=7)
    return Outcome({name: bytes(data) for name, data in heard.items()}, frames)


def _join(a: Host, b: Host, place: str, frames: list[Frame] | None) -> None:
    """A link of that place between two hosts; where its frames are kept, if they are."""
    link = a.network.link(a, b, **(PLACES[place] or {}))
    if frames is not None:
        link.tap(lambda now, channel, frame, fate: frames.append((now, channel.name + fate, frame)))


def _tap_loopback(host: Host, frames: list[Frame]) -> None:
    interface = host.stack.interfaces[0]

    def tap(now: int, frame: bytes, outbound: bool) -> None:
        if outbound:
            frames.append((now, "lo", frame))

    interface.taps.append(tap)


# ---- what ends of a connection do


class End(asyncio.Protocol):
    """Keeps what it hears under its name, and how that ended."""

    transport: asyncio.Transport
    connected = False

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name
        self.may_write = asyncio.Event()
        self.may_write.set()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport, self.connected = transport, True

    def data_received(self, data: bytes) -> None:
        self.stage.heard[self.name] += data

    def eof_received(self) -> bool:
        self.stage.heard[self.name] += b"<eof>"
        return True

    def pause_writing(self) -> None:
        self.may_write.clear()

    def resume_writing(self) -> None:
        self.may_write.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.stage.heard[self.name] += f"<{type(exc).__name__ if exc else 'closed'}>".encode()
        self.lost.set_result(None)

    async def write(self, data: bytes, sizes: Callable[[], int]) -> None:
        """Writes all of it in pieces of these sizes, waiting whenever it is told to."""
        while data:
            await self.may_write.wait()
            size = sizes()
            self.transport.write(data[:size])
            data = data[size:]


class Buffered(asyncio.BufferedProtocol):
    """An end that gives the buffer, of 3,000 octets, to read into."""

    transport: asyncio.Transport

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name
        self.buffer = bytearray(3000)
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.stage.heard[self.name] += self.buffer[:nbytes]
        self.transport.write(self.buffer[: min(nbytes, 10)])

    def eof_received(self) -> None:
        self.stage.heard[self.name] += b"<eof>"

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)


class Talker(End):
    """Answers each request of 100 octets by as many of its own."""

    def data_received(self, data: bytes) -> None:
        before = len(self.stage.heard[self.name]) // 100
        super().data_received(data)
        for number in range(before, len(self.stage.heard[self.name]) // 100):
            self.transport.write(pattern(100 + 37 * number, number))


async def _pair(stage: Stage, kind: Callable[[Stage, str], Any] = End) -> tuple[Any, End]:
    """The server's end, of that kind, and the client's."""
    accepted: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def accept() -> Any:
        end = kind(stage, "server")
        asyncio.get_running_loop().call_soon(accepted.set_result, end)
        return end

    server = await stage.serve(accept)
    client = await stage.connect(lambda: End(stage, "client"))
    found = await accepted
    server.close()
    return found, client


async def _close(*ends: Any) -> None:
    for end in ends:
        end.transport.close()
    for end in ends:
        await end.lost


def _random_sizes(seed: int) -> Callable[[], int]:
    draws = Random(seed)
    return lambda: draws.getrandbits(draws.choice((4, 11, 15, 17))) + 1


# ---- programs


async def request_and_response(stage: Stage) -> None:
    """Forty requests, each sent when the answer to the one before is whole."""
    server, client = await _pair(stage, Talker)
    expected = 0
    for number in range(40):
        client.transport.write(pattern(100, 1000 + number))
        expected += 100 + 37 * number
        await stage.has_heard("client", expected)
    await _close(client, server)


async def bulk_both_ways(stage: Stage) -> None:
    """150 KiB each way at once, in pieces of all sizes."""
    server, client = await _pair(stage)
    size = 150 * KIB
    await asyncio.gather(
        server.write(pattern(size, 1), _random_sizes(1)), client.write(pattern(size, 2), _random_sizes(2))
    )
    await stage.has_heard("server", size)
    await stage.has_heard("client", size)
    await _close(client, server)


async def many_small_writes(stage: Stage) -> None:
    """Writes of 1 to 20 octets: many in one turn of the loop, and then one in each."""
    server, client = await _pair(stage)
    draws = Random(3)
    data = pattern(3600, 3)
    for turn in range(60):
        for _ in range(20 if turn % 10 == 0 else 1):
            size = draws.randrange(1, 21)
            client.transport.write(data[:size])
            data = data[size:]
        await asyncio.sleep(0)
    client.transport.write_eof()
    await until(lambda: stage.heard["server"].endswith(b"<eof>"))
    await _close(client, server)


async def half_close(stage: Stage) -> None:
    """A client that has said all there is to say hears the answer to it afterwards."""
    server, client = await _pair(stage)
    await client.write(pattern(50 * KIB, 4), lambda: 4096)
    client.transport.write_eof()
    await until(lambda: stage.heard["server"].endswith(b"<eof>"))
    await server.write(pattern(80 * KIB, 5), lambda: 70 * KIB)
    await _close(server, client)


async def reset(stage: Stage) -> None:
    """One end aborts while the other's data is on its way."""
    server, client = await _pair(stage)
    server.transport.write(b"enough")
    await until(lambda: stage.heard["client"] == b"enough")
    server.transport.pause_reading()
    await client.write(pattern(40 * KIB, 6), lambda: 10 * KIB)
    await asyncio.sleep(0.5)
    server.transport.abort()
    await client.lost
    await server.lost


async def slow_reader(stage: Stage) -> None:
    """A window that is closed for a long time, twice, and opens again."""
    server, client = await _pair(stage)
    server.transport.pause_reading()
    writing = asyncio.create_task(client.write(pattern(700 * KIB, 7), lambda: 60 * KIB))
    await asyncio.sleep(20)
    server.transport.resume_reading()
    await asyncio.sleep(0.001)
    server.transport.pause_reading()
    await asyncio.sleep(3)
    server.transport.resume_reading()
    await writing
    await stage.has_heard("server", 700 * KIB)
    await _close(client, server)


async def own_buffer(stage: Stage) -> None:
    """A protocol that gives the buffer, and answers a little to what it gets."""
    server, client = await _pair(stage, Buffered)
    await client.write(pattern(100 * KIB, 8), _random_sizes(8))
    client.transport.write_eof()
    await server.lost
    # How much is in one buffer is a matter of time: only that the answer is of what was said.
    answer = bytes(stage.heard.pop("client"))
    stage.heard["client has an answer"] += str(bool(answer)).encode()
    await _close(client)


async def streams(stage: Stage) -> None:
    """Lines and blocks by asyncio's streams."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            stage.heard["server"] += line
            writer.write(pattern(int(line), 9))
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        done.set()

    done = asyncio.Event()
    async with stage.server:
        server = await asyncio.start_server(answer, stage.address, PORT)
    async with stage.client:
        reader, writer = await asyncio.open_connection(stage.address, PORT)
    for size in (1, 1460, 1461, 70_000, 5, 200_000):
        writer.write(b"%d\n" % size)
        stage.heard["client"] += await reader.readexactly(size)
    writer.write_eof()
    stage.heard["client"] += await reader.read()
    writer.close()
    await writer.wait_closed()
    await done.wait()
    server.close()


async def coroutines(stage: Stage) -> None:
    """The library's own sockets."""
    async with stage.server:
        listener = await aionetflow.socket()
        await listener.bind((stage.address, PORT))
        await listener.listen(5)
    async with stage.client:
        client = await aionetflow.socket()
        await client.connect((stage.address, PORT))
    server, _ = await listener.accept()

    async def speak(sock: aionetflow.Socket, salt: int) -> None:
        await sock.write(pattern(90 * KIB, salt))
        await sock.shutdown(aionetflow.SHUT_WR)

    async def hear(sock: aionetflow.Socket, name: str) -> None:
        stage.heard[name] += await read_all(sock, 10_000)

    await asyncio.gather(speak(client, 10), speak(server, 11), hear(client, "client"), hear(server, "server"))
    for sock in (client, server, listener):
        await sock.close()


async def socket_calls(stage: Stage) -> None:
    """The loop's own calls for sockets: sock_connect, sock_sendall, sock_recv_into."""
    loop = asyncio.get_running_loop()
    accepted = await _listen(stage)
    async with stage.client:
        with aionetflow.patch():
            client = socket.socket()
    client.setblocking(False)
    await loop.sock_connect(client, (stage.address, PORT))
    server, _ = await loop.sock_accept(accepted)

    async def hear() -> None:
        buffer = bytearray(5000)
        while count := await loop.sock_recv_into(server, buffer):
            stage.heard["server"] += buffer[:count]

    hearing = asyncio.create_task(hear())
    await loop.sock_sendall(client, pattern(150 * KIB, 12))
    client.close()
    await hearing
    server.close()
    accepted.close()


async def _listen(stage: Stage) -> Any:
    async with stage.server:
        with aionetflow.patch():
            listener = socket.socket()
    listener.setblocking(False)
    listener.bind((stage.address, PORT))
    listener.listen(5)
    return listener


async def crowd(stage: Stage) -> None:
    """A dozen connections that speak at once, and close one after the other."""
    accepted: list[End] = []

    def accept() -> End:
        accepted.append(Talker(stage, "server, not connected yet"))
        return accepted[-1]

    server = await stage.serve(accept)
    ends = [await stage.connect(functools.partial(End, stage, f"client {number}")) for number in range(12)]
    await until(lambda: sum(end.connected for end in accepted) == len(ends))
    for end in accepted:
        end.name = f"server of {end.transport.get_extra_info('peername')[1]}"
    for turn in range(3):
        for number, end in enumerate(ends):
            end.transport.write(pattern(100, 100 * turn + number))
        await asyncio.sleep(1)
    await _close(*ends)
    await _close(*accepted)
    server.close()


class Datagrams(asyncio.DatagramProtocol):
    """Keeps what it hears, each datagram with its length; the server's sends it back."""

    transport: asyncio.DatagramTransport

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage, self.name = stage, name

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.stage.heard[self.name] += b"[%d]" % len(data) + data
        if self.name == "server":
            self.transport.sendto(data, addr)


async def datagrams(stage: Stage) -> None:
    """Datagrams of all sizes there and back, alone and many at once."""
    loop = asyncio.get_running_loop()
    async with stage.server:
        server, _ = await loop.create_datagram_endpoint(lambda: Datagrams(stage, "server"), (stage.address, PORT))
    async with stage.client:
        client, _ = await loop.create_datagram_endpoint(
            lambda: Datagrams(stage, "client"), remote_addr=(stage.address, PORT)
        )
    for size in (0, 1, 63, 64, 1471, 1472):
        client.sendto(pattern(size, size))
        await asyncio.sleep(0.1)
    for size in range(40):
        client.sendto(pattern(30 * size, size))
    await asyncio.sleep(1)
    client.close()
    server.close()


async def a_router_that_serves(stage: Stage) -> None:
    """A client talks in turn to a router and, through it, to a host behind it."""
    net = stage.client.network
    router, behind = net.router("router"), net.host("behind", "10.77.0.2/24")
    stage.join(stage.client, router)
    stage.join(router, behind)
    ends, servers = [], []
    for host in (router, behind):
        there = Stage(host, stage.client, host.addresses[-1])
        there.heard = stage.heard
        servers.append(await there.serve(functools.partial(Talker, there, f"server {host.name}")))
        ends.append(await there.connect(functools.partial(End, there, f"client of {host.name}")))
    for turn in range(5):
        for number, end in enumerate(ends):
            end.transport.write(pattern(100, 10 * turn + number))
            await stage.has_heard(end.name, sum(100 + 37 * done for done in range(turn + 1)))
    for end in ends:
        end.transport.abort()
    await asyncio.sleep(1)
    for server in servers:
        server.close()


async def abrupt_ends(stage: Stage) -> None:
    """Nobody listens; connections that are closed at once by either end."""
    try:
        await stage.connect(lambda: End(stage, "refused"))
    except OSError as error:
        stage.heard["refused"] += type(error).__name__.encode()
    for closer in range(4):
        server, client = await _pair(stage)
        first, second = (server, client) if closer % 2 else (client, server)
        if closer < 2:
            first.transport.write(pattern(3000, closer))
        await _close(first)
        await _close(second)


EVERYWHERE = tuple(PLACES)
WHOLE = ("lo", "link", "true")  # for programs that hear what frames there are when a link loses some
PROGRAMS: dict[Program, tuple[str, ...]] = {
    request_and_response: EVERYWHERE,
    bulk_both_ways: EVERYWHERE,
    many_small_writes: EVERYWHERE,
    half_close: EVERYWHERE,
    reset: WHOLE,
    slow_reader: EVERYWHERE,
    own_buffer: EVERYWHERE,
    streams: EVERYWHERE,
    coroutines: EVERYWHERE,
    socket_calls: EVERYWHERE,
    crowd: EVERYWHERE,
    datagrams: WHOLE,
    a_router_that_serves: ("link", "true", "bad"),
    abrupt_ends: WHOLE,
}
