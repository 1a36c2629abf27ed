"""The tunnel beside the kernel's own VXLAN: python -m benchmarks.tunnel (as root, with iproute2 and iperf3)

Two namespaces with a veth of MTU 1500 between them. Across it goes one stream, in turns: by the kernel's vxlan devices
with offloads on (iperf3), and between two processes with a host each, joined by our tunnel, plain and with a key. And
on loopback, what a datagram of 1,472 octets costs in each of the ways to hand it to the kernel, there and back. It
writes docs/tunnel-figures.json and docs/tunnel-figures.md; --seconds and --rounds try less or more.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any, get_args

import aionetflow as anf
from aionetflow.tunnel.address import packed
from aionetflow.tunnel.datagrams import Batching, Datagrams
from aionetflow.tunnel.sealing.key import generate_key
from aionetflow.tunnel.vxlan import header
from benchmarks import machine
from benchmarks.measure import ROOT

FIGURES, PAGE = ROOT / "docs" / "tunnel-figures.json", ROOT / "docs" / "tunnel-figures.md"
MTU = 1450
UNDERLAY = ("192.0.2.1", "192.0.2.2")  # of the veth: the sender's, the receiver's
INSIDE = ("10.0.0.1", "10.0.0.2")
PORT, VNI = 4790, 42  # 4789 is that of the kernel's devices
PIECE = 1 << 18  # octets of a write
DATAGRAM, BATCH = 1464, 44  # octets behind the header; so many fill an IP packet
GBIT = 1e9


class Ground:
    """The two namespaces, named after this process, with the veth and the kernel's vxlan devices."""

    def __init__(self) -> None:
        self.names = [f"anf{os.getpid()}{side}" for side in "ab"]

    def make(self) -> None:
        """Makes them; OSError or CalledProcessError where that cannot be."""
        for name in self.names:
            _run("ip", "netns", "add", name)
        a, b = self.names
        _run("ip", "link", "add", "veth0", "mtu", "1500", "netns", a, "type", "veth", "peer", "name", "veth0", "mtu",
             "1500", "netns", b)  # fmt: skip
        for side, name in enumerate(self.names):
            mine, theirs = UNDERLAY[side], UNDERLAY[1 - side]
            _run("ip", "-n", name, "addr", "add", f"{mine}/24", "dev", "veth0")
            for device in ("lo", "veth0"):
                _run("ip", "-n", name, "link", "set", device, "up")
            _run("ip", "-n", name, "link", "add", "vx0", "type", "vxlan", "id", str(VNI), "local", mine, "remote",
                 theirs, "dstport", "4789", "dev", "veth0")  # fmt: skip
            _run("ip", "-n", name, "addr", "add", f"{INSIDE[side]}/24", "dev", "vx0")
            _run("ip", "-n", name, "link", "set", "vx0", "mtu", str(MTU), "up")

    def inside(self, side: int, *command: str) -> list[str]:
        """A command line that runs another one in one of the two."""
        return ["ip", "netns", "exec", self.names[side], *command]

    def remove(self) -> None:
        """Takes them away again."""
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


@contextlib.contextmanager
def ground() -> Iterator[Ground]:
    """A Ground, for as long as it is needed."""
    made = Ground()
    try:
        made.make()
        yield made
    finally:
        made.remove()


# ---- one stream


def kernel_stream(where: Ground, seconds: float) -> dict[str, float]:
    """What iperf3 tells of one stream: Gbit/s, and seconds of CPU for each gigabit, of both ends together."""
    listen = where.inside(1, "iperf3", "-s", "-1", "--forceflush")
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        while "listening" not in server.stdout.readline():
            pass
        done = subprocess.run(
            where.inside(0, "iperf3", "-c", INSIDE[1], "-t", f"{seconds:g}", "-J"), check=True, capture_output=True
        )
        end = json.loads(done.stdout)["end"]
        server.stdout.read()
    used = end["cpu_utilization_percent"]
    rate = end["sum_received"]["bits_per_second"] / GBIT
    return {"rate": rate, "cpu": (used["host_total"] + used["remote_total"]) / 100 / rate}


def our_stream(where: Ground, seconds: float, key: str) -> dict[str, float]:
    """The same of a stream between two processes of ours."""
    receiver, sender = (
        subprocess.Popen(
            where.inside(side, sys.executable, "-m", "benchmarks.tunnel", "--end", role, "--seconds", str(seconds),
                         "--key", key), stdout=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for side, role in ((1, "receive"), (0, "send"))
    )  # fmt: skip
    with receiver, sender:
        told = [json.loads(process.communicate(timeout=seconds + 60)[0]) for process in (receiver, sender)]
    rate = told[0]["octets"] * 8 / told[0]["seconds"] / GBIT
    return {"rate": rate, "cpu": sum(each["cpu"] / each["seconds"] for each in told) / rate}


async def _end(role: str, seconds: float, key: str) -> dict[str, float]:
    side = role == "receive"
    async with anf.Network() as net:
        net.tunnel((UNDERLAY[side], PORT), VNI, [(UNDERLAY[1 - side], PORT)], mtu=MTU, key=key or None)
        host = net.host(role, f"{INSIDE[side]}/24")
        async with host, await anf.socket() as sock:
            return await (_receive(sock) if side else _send(sock, seconds))


async def _receive(listener: anf.Socket) -> dict[str, float]:
    await listener.bind(("", 80))
    await listener.listen()
    sock, _ = await listener.accept()
    begun, cpu, octets = time.perf_counter(), time.process_time(), 0
    while data := await sock.read(PIECE):
        octets += len(data)
    await sock.close()
    return {"octets": octets, "seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}


async def _send(sock: anf.Socket, seconds: float) -> dict[str, float]:
    async with asyncio.timeout(20):
        while True:
            try:
                await sock.connect((INSIDE[1], 80))
                break
            except OSError:  # the other end is not there yet
                await sock.close()
                sock = await anf.socket()
    begun, cpu, block = time.perf_counter(), time.process_time(), bytes(PIECE)
    while time.perf_counter() - begun < seconds:
        await sock.write(block)
    await sock.shutdown(anf.SHUT_WR)
    await sock.read(1)
    return {"octets": 0, "seconds": time.perf_counter() - begun, "cpu": time.process_time() - cpu}


# ---- datagrams


def datagrams(batching: Batching, seconds: float) -> float:
    """Datagrams that one second of CPU time sends, and receives, on loopback."""
    sender, receiver = Datagrams(("127.0.0.1", 0), batching), Datagrams(("127.0.0.1", 0), batching)
    payloads, prefix, to = [bytes(DATAGRAM)] * BATCH, header(VNI), packed(receiver.local)
    begun = time.process_time()
    while time.process_time() - begun < seconds:
        for block, size in sender.lay_out(payloads, 0, prefix):
            sender.send(to, block, size)
        while receiver.receive():
            pass
    used = time.process_time() - begun
    sender.close()
    receiver.close()
    return receiver.received / used


# ---- all of it


def measure(seconds: float, rounds: int) -> dict[str, Any]:
    """All figures, those of each round one after another."""
    key = generate_key()
    told: dict[str, list[dict[str, float]]] = {"kernel": [], "plain": [], "key": []}
    counted: dict[str, list[float]] = {batching: [] for batching in get_args(Batching)}
    with ground() as where:
        ways: dict[str, Callable[[], dict[str, float]]] = {
            "kernel": lambda: kernel_stream(where, seconds),
            "plain": lambda: our_stream(where, seconds, ""),
            "key": lambda: our_stream(where, seconds, key),
        }
        for number in range(rounds):
            for name, way in ways.items():
                told[name].append(way())
                print(f"round {number + 1}, {name}: {told[name][-1]['rate']:.2f} Gbit/s", file=sys.stderr, flush=True)
            for batching in get_args(Batching):
                counted[batching].append(datagrams(batching, seconds / 4))
    return {"machine": machine.describe(), "seconds": seconds, "streams": told, "datagrams": counted}


NAMES = {"kernel": "kernel's vxlan, offloads on (iperf3)", "plain": "tunnel", "key": "tunnel with a key"}
WAYS = {"segments": "UDP_SEGMENT and UDP_GRO", "many": "sendmmsg and recvmmsg", "single": "one a call"}


def page(figures: dict[str, Any]) -> str:
    """The page with the tables."""
    about, streams, counted = figures["machine"], figures["streams"], figures["datagrams"]
    rates = {name: median(each["rate"] for each in rounds) for name, rounds in streams.items()}
    rows = "".join(
        f"| {NAMES[name]} | {rates[name]:.2f} | {rates[name] / rates['kernel']:.2f} "
        f"| {median(each['cpu'] for each in rounds):.2f} |\n"
        for name, rounds in streams.items()
    )
    single = median(counted["single"])
    lines = "".join(
        f"| {WAYS[way]} | {median(rounds):,.0f} | {median(rounds) / single:.1f} |\n" for way, rounds in counted.items()
    )
    return (
        "# What the tunnel costs\n\nMade by `make bench-tunnel`, as root. One stream at an inner MTU of 1,450 octets "
        "between two network namespaces, over a veth\nof MTU 1,500: medians of "
        f"{len(streams['kernel'])} rounds of {figures['seconds']:g} s, one way after another in each. CPU is that of "
        "both ends together; the\nkernel's is what iperf3 counts.\n\n"
        "| one stream | Gbit/s | to the kernel's | CPU s a gigabit |\n|---|---:|---:|---:|\n"
        f"{rows}\nWith a key it is {rates['key'] / rates['plain']:.2f} of what it is without.\n\n"
        "Datagrams of 1,472 octets on loopback, sent and received by one process:\n\n"
        "| how the kernel gets them | a second of CPU | to one a call |\n|---|---:|---:|\n"
        f"{lines}\n{about['cpu']}, {about['cores']} cores, {about['system']}, {about['python']}, "
        f"{about['build']} build.\n"
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each stream (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--end", choices=("send", "receive"), help=argparse.SUPPRESS)
    parser.add_argument("--key", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.end:
        print(json.dumps(anf.run(_end(arguments.end, arguments.seconds, arguments.key))))
        return
    figures = measure(arguments.seconds, arguments.rounds)
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    PAGE.write_text(page(figures), encoding="utf-8")
    print(page(figures))


if __name__ == "__main__":
    main()
