"""ping: echo requests to a host, and what comes back (ping(8))."""

from collections.abc import Callable
from math import sqrt
from typing import NamedTuple

from aionetflow.inspect.probing import ECHO, IPPROTO_ICMP, IPPROTO_ICMPV6, REASONS, Heard, Prober, find
from aionetflow.ip.address import AF_INET
from aionetflow.network.host import Host

_HEADER = 8
_SECOND = 1_000_000_000


class Reply(NamedTuple):
    """What came back for one request: a reply, or what is wrong."""

    sequence: int
    source: str  # whose word it is
    rtt: float  # s
    ttl: int  # of the packet that came
    size: int  # octets of the ICMP message
    error: str = ""  # empty: the echo
    duplicate: bool = False

    def __str__(self) -> str:
        """The line that ping(8) prints.

        >>> print(Reply(1, "10.0.0.2", 0.0203, 64, 64))
        64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=20.3 ms
        """
        if self.error:
            return f"From {self.source} icmp_seq={self.sequence} {self.error}"
        again = " (DUP!)" if self.duplicate else ""
        return (
            f"{self.size} bytes from {self.source}: icmp_seq={self.sequence} ttl={self.ttl} "
            f"time={milliseconds(self.rtt)} ms{again}"
        )


class Ping:
    """What came of pinging a host."""

    def __init__(self, name: str, address: str, size: int) -> None:
        self.name = name
        self.address = address
        self.size = size  # octets of data in each request
        self.sent = 0
        self.replies: list[Reply] = []  # in the order in which they came, errors and duplicates too
        self.time = 0.0  # s, from the first request to the end

    @property
    def rtts(self) -> list[float]:
        """The round trip times of the echoes, in s."""
        return [reply.rtt for reply in self.replies if not reply.error and not reply.duplicate]

    @property
    def received(self) -> int:
        """How many requests were echoed."""
        return len(self.rtts)

    @property
    def lost(self) -> float:
        """The share of requests that were not."""
        return 1 - self.received / self.sent if self.sent else 0.0

    def summary(self) -> str:
        """What ping(8) prints at the end."""
        errors = sum(1 for reply in self.replies if reply.error)
        duplicates = sum(1 for reply in self.replies if reply.duplicate)
        text = f"{self.sent} packets transmitted, {self.received} received"
        text += f", +{duplicates} duplicates" if duplicates else ""
        text += f", +{errors} errors" if errors else ""
        text += f", {100 * self.lost:.6g}% packet loss, time {round(1000 * self.time)}ms"
        if self.rtts:
            mean = sum(self.rtts) / len(self.rtts)
            spread = sqrt(max(0.0, sum(rtt * rtt for rtt in self.rtts) / len(self.rtts) - mean * mean))
            figures = "/".join(f"{1000 * value:.3f}" for value in (min(self.rtts), mean, max(self.rtts), spread))
            text += f"\nrtt min/avg/max/mdev = {figures} ms"
        return text

    def __str__(self) -> str:
        """All of it, as ping(8) prints it."""
        overhead = _HEADER + (40 if ":" in self.address else 20)
        lines = [f"PING {self.name} ({self.address}) {self.size}({self.size + overhead}) bytes of data."]
        return "\n".join([*lines, *map(str, self.replies), "", f"--- {self.name} ping statistics ---", self.summary()])


async def ping(
    name: str, *, count: int = 4, interval: float = 1.0, size: int = 56, ttl: int = 64, timeout: float = 10.0,
    family: int = 0, host: Host | None = None, tell: Callable[[Ping, Reply], object] | None = None,
) -> Ping:  # fmt: skip
    """Sends echo requests to a host by name or address, and waits for the replies.

    count requests of size octets of data go out, one every interval seconds, with that TTL; timeout is how many seconds
    the last is waited for. family is AF_INET or AF_INET6, or 0 for that of the name's first address; host is where they
    are sent from, the current host unless told. tell is called with each reply as it comes. Raises OSError if the name
    has no address or there is no route.

    >>> import aionetflow, asyncio
    >>> async def main() -> None:
    ...     async with aionetflow.Network(seed=1) as net:
    ...         a, b = net.host("a"), net.host("b")
    ...         net.link(a, b, delay=0.010)
    ...         result = await aionetflow.ping("b", count=2, interval=0.1, host=a)
    ...         print(result.received, result.lost, round(min(result.rtts), 3))
    >>> aionetflow.run(main(), time="virtual")
    2 0.0 0.02
    """
    source, family, address = await find(name, family, host)
    result = Ping(name, address, size)
    data = bytes(index & 255 for index in range(size))
    with Prober(source, family, IPPROTO_ICMP if family == AF_INET else IPPROTO_ICMPV6) as prober:
        began = prober.now()
        sent: dict[int, int] = {}
        for sequence in range(1, count + 1):
            message = bytes((ECHO[family], 0, 0, 0, 0, 0)) + (sequence & 0xFFFF).to_bytes(2, "big") + data
            sent[sequence & 0xFFFF] = prober.now()
            prober.send(message, address, 0, ttl)
            result.sent += 1
            last = sequence == count
            end = prober.now() + round((timeout if last else interval) * _SECOND)
            await _listen(prober, result, sent, end, last, tell)
        result.time = (prober.now() - began) / _SECOND
    return result


async def _listen(
    prober: Prober, result: Ping, sent: dict[int, int], end: int, last: bool,
    tell: Callable[[Ping, Reply], object] | None,
) -> None:  # fmt: skip
    """Takes what comes until a time, or, behind the last request, until there is an answer to each."""
    answered = {reply.sequence for reply in result.replies}
    while True:
        for heard in prober.heard():
            reply = _reply(prober, sent, heard, answered)
            if reply is None:
                continue
            answered.add(reply.sequence)
            result.replies.append(reply)
            if tell is not None:
                tell(result, reply)
        if prober.now() >= end or (last and len(answered) >= result.sent):
            return
        await prober.until(end)


def _reply(prober: Prober, sent: dict[int, int], heard: Heard, answered: set[int]) -> Reply | None:
    if len(heard.data) < _HEADER:
        return None
    sequence = int.from_bytes(heard.data[6:8], "big")
    if sequence not in sent:
        return None
    rtt = (heard.when - sent[sequence]) / _SECOND
    if heard.error is None:
        return Reply(sequence, heard.address, rtt, heard.ttl, len(heard.data), "", sequence in answered)
    reason = REASONS[prober.family].get(heard.error, "type {} code {}".format(*heard.error))
    if heard.info:
        reason += f" (mtu = {heard.info})"
    return Reply(sequence, heard.address or "local", rtt, heard.ttl, len(heard.data), reason)


def milliseconds(seconds: float) -> str:
    """A time as ping(8) has it: three digits that count.

    >>> milliseconds(0.0000512), milliseconds(0.02031), milliseconds(1.5)
    ('0.051', '20.3', '1500')
    """
    value = 1000 * seconds
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{digits}f}"
