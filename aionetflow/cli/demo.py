"""The demo: a page moves over HTTP/1.1 between two hosts with two routers and a lossy link between them."""

import asyncio
import base64
import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, BinaryIO

import h11

import aionetflow as anf
from aionetflow.cli.output import RESULT, GuardedOutput, Line
from aionetflow.cli.story import Story, heading
from aionetflow.ethernet.frame import mac_text
from aionetflow.ip.address import unpack
from aionetflow.link.memory import MemoryLink
from aionetflow.stack import Stack

PORT = 80
CHUNK = 65536
LAN_DELAY = 0.0001  # s
PATIENCE = 3600.0  # s of virtual time, beyond many times what the page takes at the rate


@dataclass(frozen=True)
class Settings:
    """What can be chosen about the lossy link and the page: seconds, bits per second, octets."""

    seed: int
    loss: float
    delay: float
    rate: float
    mtu: int
    size: int

    @property
    def time_limit(self) -> float:
        """After how many seconds of virtual time the run is given up."""
        return PATIENCE + 100 * self.size * 8 / self.rate


@dataclass
class Result:
    """What has come of it."""

    received: int = 0
    digest: str = ""
    whole: bool = False
    problem: str = ""  # why it is not whole
    began_ns: int = 0
    ended_ns: int = 0


class Demo:
    """Two hosts, two routers, and the three links between them; the page goes from web to client."""

    def __init__(self, net: anf.Network, settings: Settings) -> None:
        self.net = net
        self.settings = settings
        self.client = net.host("client", "10.0.1.5/24")
        self.west = net.router("west", "10.0.1.1/24", "10.0.2.1/24")
        self.east = net.router("east", "10.0.2.2/24", "10.0.3.1/24")
        self.web = net.host("web", "10.0.3.80/24")
        mtu = settings.mtu
        self.near = net.link(self.client, self.west, delay=LAN_DELAY, mtu=mtu)
        self.lossy = net.link(
            self.west, self.east, delay=settings.delay, rate=settings.rate, loss=settings.loss, mtu=mtu
        )  # fmt: skip
        self.far = net.link(self.east, self.web, delay=LAN_DELAY, mtu=mtu)
        self.page = make_page(settings.seed, settings.size)

    @property
    def links(self) -> list[tuple[MemoryLink, str, str]]:
        """Each link with the names of the nodes at its ends."""
        return [(self.near, "client", "west"), (self.lossy, "west", "east"), (self.far, "east", "web")]


def make_page(seed: int, size: int) -> bytes:
    """A page whose content follows from the seed."""
    source = random.Random(f"page/{seed}")
    return b"".join(source.randbytes(min(CHUNK, size - start)) for start in range(0, size, CHUNK))


# The applications -------------------------------------------------------------------------------------------------


async def serve(page: bytes, ready: asyncio.Event, story: Story | None) -> None:
    """An HTTP/1.1 server that answers one request, with the page."""
    async with await anf.socket() as listener:
        await listener.bind(("", PORT))
        await listener.listen()
        if story:
            story.socket_made(listener)
        ready.set()
        conn, _ = await listener.accept()
        async with conn:
            http = h11.Connection(h11.SERVER)
            while not isinstance(event := http.next_event(), h11.EndOfMessage):
                if event is h11.NEED_DATA:
                    http.receive_data(await conn.read(CHUNK))
                elif isinstance(event, h11.ConnectionClosed):
                    return
            if story:
                story.heading(f"web: HTTP/1.1 200 OK, and await write(conn, ...) of {len(page)} octets")
            for piece in answer(http, page):
                await conn.write(piece)


def answer(http: h11.Connection, page: bytes) -> Iterator[bytes]:
    """The octets of a response that carries the page, and its digest (RFC 9530)."""
    headers = [
        ("content-type", "application/octet-stream"),
        ("content-length", str(len(page))),
        ("repr-digest", digest_field(hashlib.sha256(page).digest())),
        ("connection", "close"),
    ]
    yield http.send(h11.Response(status_code=200, reason="OK", headers=headers)) or b""
    for start in range(0, len(page), CHUNK):
        yield http.send(h11.Data(data=page[start : start + CHUNK])) or b""
    yield http.send(h11.EndOfMessage()) or b""


def digest_field(digest: bytes) -> str:
    """A SHA-256 digest as a Repr-Digest field says it (RFC 9530 3)."""
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


async def fetch(result: Result, progress: Callable[[int, int], None], story: Story | None) -> None:
    """An HTTP/1.1 client that gets the page and checks its digest; what it finds goes into result."""
    http = h11.Connection(h11.CLIENT)
    headers = [("host", "web"), ("user-agent", f"aionetflow/{anf.__version__}"), ("connection", "close")]
    request = http.send(h11.Request(method="GET", target="/page", headers=headers)) or b""
    request += http.send(h11.EndOfMessage()) or b""
    async with await anf.socket() as sock:
        if story:
            story.socket_made(sock)
            story.heading(f'client: await connect(sock, ("web", {PORT}))')
        await sock.connect(("web", PORT))
        if story:
            story.heading(f"client: await write(sock, request), GET /page HTTP/1.1, {len(request)} octets")
        await sock.write(request)
        await receive_page(sock, http, result, progress)


async def receive_page(
    sock: anf.Socket, http: h11.Connection, result: Result, progress: Callable[[int, int], None]
) -> None:
    """Reads the response to its end."""
    seen, said, total = hashlib.sha256(), "", 0
    while not isinstance(event := http.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            http.receive_data(await sock.read(CHUNK))
        elif isinstance(event, h11.Response):
            fields = dict(event.headers)
            said, total = fields[b"repr-digest"].decode(), int(fields[b"content-length"])
        elif isinstance(event, h11.Data):
            seen.update(event.data)
            result.received += len(event.data)
            progress(result.received, total)
    result.digest = seen.hexdigest()
    result.whole = digest_field(seen.digest()) == said
    result.problem = "" if result.whole else "the digest is not the one that the server told"


# The run ----------------------------------------------------------------------------------------------------------


async def run(settings: Settings, output: GuardedOutput, *, quiet: bool, pcap: BinaryIO | None) -> bool:
    """Moves the page and tells how; True if it has arrived whole. The running loop should keep virtual time.

    Raises what makes going on pointless: OSError when the output or the capture cannot be written.
    """
    stopper = Stopper()
    output.on_error = lambda: stopper.stop(output.error)
    result = Result()
    try:
        async with anf.Network(settings.seed) as net:
            demo = Demo(net, settings)
            with demo.lossy.capture(pcap) if pcap is not None else nullcontext():
                await try_moving(demo, result, output, None if quiet else begin_story(demo, output))
            output.close()
            summarize(demo, result, output)
    except asyncio.CancelledError:
        if stopper.error is None:
            raise
    if stopper.error is not None:
        raise stopper.error
    return result.whole


class Stopper:
    """Ends the task that made it when an error turns up where nobody can catch it, and remembers the error."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._task = asyncio.current_task()
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)

    def stop(self, error: BaseException | None) -> None:
        """Cancels the task."""
        self.error = self.error or error
        if self._task is not None:
            self._task.cancel()

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "exception" in context:
            self.stop(context["exception"])
        else:
            loop.default_exception_handler(context)


def begin_story(demo: Demo, output: GuardedOutput) -> Story:
    """Has the network and all that happens on it told."""
    story = Story(output.line, demo.net.clock, demo.client, demo.web)
    settings = demo.settings
    story.heading(f"the network, seed {settings.seed}, every MTU {settings.mtu}")
    for link, a, b in demo.links:
        output.line(Line("LINK", f"{link_text(demo, link, a, b)}"))
        story.watch(link, a, b)
    return story


def link_text(demo: Demo, link: MemoryLink, a: str, b: str) -> str:
    """A link, the addresses of its ends, and what it does to frames."""
    drawn = f"{a:<6} {'≈≈≈' if link is demo.lossy else '───'} {b:<4}"
    ends = [nic for host in demo.net.hosts for nic in host.interfaces if nic.link in (link.a, link.b)]
    sides = [f"{unpack(nic.addresses[0].address):<9} {mac_text(nic.mac)}" for nic in ends]
    text = f"{drawn}  {sides[0]}  {sides[1]}  {link.delay * 1e3:g} ms"
    if link is demo.lossy:
        text += f", {link.rate / 1e6:g} Mbit/s, {link.loss * 100:g} % lost"
    return text


async def try_moving(demo: Demo, result: Result, output: GuardedOutput, story: Story | None) -> None:
    """Moves the page; why that failed, if it did, is the result's problem."""
    try:
        async with asyncio.timeout(demo.settings.time_limit):
            await move_page(demo, result, output.progress, story)
    except TimeoutError:
        problem = f"not there after {demo.settings.time_limit:.0f} s of virtual time"
        result.problem = result.problem or problem
    except (OSError, h11.RemoteProtocolError) as error:
        result.problem = str(error)


async def move_page(
    demo: Demo, result: Result, progress: Callable[[int, int], None], story: Story | None
) -> None:
    """Runs server and client, until the last control block is gone if all goes well."""
    ready = asyncio.Event()
    clock = demo.net.clock
    server = demo.web.spawn(serve(demo.page, ready, story), name="serve")
    await ready.wait()
    result.began_ns = clock.now()
    client = demo.client.spawn(fetch(result, progress, story), name="fetch")
    try:
        await client
    except BaseException:
        server.cancel()
        await asyncio.gather(client, server, return_exceptions=True)
        raise
    finally:
        result.ended_ns = result.ended_ns or clock.now()
    await server
    await until_closed([demo.client.stack, demo.web.stack])
    if story:
        story.look()


async def until_closed(stacks: list[Stack]) -> None:
    """Waits until no connection is left, not even in TIME-WAIT."""
    while any(stack.table.connections for stack in stacks):
        left = min(stack.deadline() - stack.clock.now() for stack in stacks)
        await asyncio.sleep(min(max(left / 1e9, 0.001), 1.0))


def summarize(demo: Demo, result: Result, output: GuardedOutput) -> None:
    """The last lines: what moved, how long it took, what it cost."""
    web, client, lossy = demo.web.stats.tcp, demo.client.stats.tcp, demo.lossy
    there, back = lossy.a_to_b, lossy.b_to_a
    seconds = (result.ended_ns - result.began_ns) / 1e9
    size = demo.settings.size
    verdict = "byte-exact" if result.whole else f"NOT WHOLE, {result.received} octets came: {result.problem}"
    again = web.RetransSegs + client.RetransSegs
    fast, timeouts = web.TCPFastRetrans + client.TCPFastRetrans, web.TCPTimeouts + client.TCPTimeouts
    frames, lost = there.tx_frames + back.tx_frames, there.lost + back.lost
    goodput = result.received * 8 / seconds / 1e6 if seconds else 0.0
    rows = {
        "page": f"{size_text(size)} ({size} octets), {verdict}",
        "SHA-256": result.digest or "-",
        "virtual time": f"{seconds:.6f} s from connect() to {'the last octet' if result.whole else 'the end'}",
        "segments": f"{web.OutSegs} by web, {client.OutSegs} by client",
        "retransmissions": f"{again} ({fast} fast retransmits, {timeouts} time-outs)",
        "lost frames": f"{lost} of {frames} ({back.lost} to client, {there.lost} to web)",
        "goodput": f"{goodput:.3f} Mbit/s, over a link of {demo.settings.rate / 1e6:g} Mbit/s",
    }
    for line in [*heading("summary"), *(Line(RESULT, f"  {name:<17} {value}") for name, value in rows.items())]:
        output.line(line)


def size_text(octets: int) -> str:
    """A size in the largest binary unit that divides it.

    >>> size_text(1 << 20), size_text(3000)
    ('1 MiB', '3000 B')
    """
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if octets and octets % (1 << power) == 0:
            return f"{octets >> power} {unit}"
    return f"{octets} B"
