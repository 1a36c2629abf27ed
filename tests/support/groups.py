"""Packets about groups, written by scapy, and switches of both kinds to send them through: ours and a Linux bridge."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from random import Random
from typing import Any, Protocol, Self

from scapy.layers.inet import IP, UDP, IPOption_Router_Alert
from scapy.layers.inet6 import (
    ICMPv6MLDMultAddrRec,
    ICMPv6MLDone,
    ICMPv6MLQuery,
    ICMPv6MLReport,
    ICMPv6MLReport2,
    IPv6,
    IPv6ExtHdrHopByHop,
    RouterAlert,
)
from scapy.layers.l2 import Ether
from scapy.utils import checksum

from aionetflow import Network, Switch
from aionetflow.clock import ManualClock
from aionetflow.ethernet.frame import group_mac
from aionetflow.link.memory import MemoryLink
from support.namespace import Namespace

PORTS = (1, 2, 3, 4)
G4, G6 = "239.1.1.1", "ff15::1"


def mac(port: int) -> str:
    """That of the host behind a port."""
    return f"02:00:00:00:00:{port:02x}"


def address(port: int, group: str) -> str:
    """That of the host behind a port, of the family of a group."""
    return f"fe80::{port}" if ":" in group else f"10.0.0.{port}"


def _igmp(kind: int, code: int, group: str, more: bytes = b"") -> bytes:
    message = bytes((kind, code, 0, 0)) + (socket.inet_aton(group) if group else b"") + more
    return message[:2] + checksum(message).to_bytes(2, "big") + message[4:]


def _frame(port: int, to: str, payload: Any, source: str = "") -> bytes:
    source = source or address(port, to)
    if ":" in to:
        packet = IPv6(src=source, dst=to, hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / payload
        group = socket.inet_pton(socket.AF_INET6, to)
    else:
        packet = IP(src=source, dst=to, ttl=1, proto=2, options=[IPOption_Router_Alert()]) / payload
        group = socket.inet_aton(to)
    return bytes(Ether(src=mac(port), dst=group_mac(group).hex(":")) / packet)


def data(port: int, group: str = G4) -> bytes:
    """A datagram to a group."""
    source, to = address(port, group), socket.inet_pton(socket.AF_INET6 if ":" in group else socket.AF_INET, group)
    ip = IPv6(src=source, dst=group) if ":" in group else IP(src=source, dst=group, ttl=8)
    return bytes(Ether(src=mac(port), dst=group_mac(to).hex(":")) / ip / UDP(sport=9, dport=9) / b"data")


def report(port: int, group: str = G4) -> bytes:
    """IGMPv2, MLDv1: I want it."""
    return _frame(port, group, ICMPv6MLReport(mladdr=group) if ":" in group else _igmp(0x16, 0, group))


def leave(port: int, group: str = G4) -> bytes:
    """IGMPv2, MLDv1: I want it no more."""
    if ":" in group:
        return _frame(port, "ff02::2", ICMPv6MLDone(mladdr=group))
    return _frame(port, "224.0.0.2", _igmp(0x17, 0, group))


def record(port: int, kind: int, *sources: str, group: str = G4) -> bytes:
    """IGMPv3, MLDv2: a report with one record."""
    if ":" in group:
        each = ICMPv6MLDMultAddrRec(rtype=kind, dst=group, sources=list(sources))
        return _frame(port, "ff02::16", ICMPv6MLReport2(records=[each]))
    one = struct.pack(">BBH4s", kind, 0, len(sources), socket.inet_aton(group))
    one += b"".join(map(socket.inet_aton, sources))
    return _frame(port, "224.0.0.22", _igmp(0x22, 0, "0.0.0.1", one))


def query(port: int, group: str = "", seconds: float = 0.1, source: str = "", family: str = G4) -> bytes:
    """IGMPv2, MLDv1: who wants this group, or any?"""
    if ":" in (group or family):
        message = ICMPv6MLQuery(mladdr=group or "::", mrd=round(seconds * 1000))
        return _frame(port, group or "ff02::1", message, source)
    return _frame(port, group or "224.0.0.1", _igmp(0x11, round(seconds * 10), group or "0.0.0.0"), source)


class Bridge(Protocol):
    """A switch with the ports 1 to 4."""

    def heard(self, port: int, frame: bytes) -> list[int]:
        """Sends a frame into a port; returns by which ports it comes out."""

    def pause(self, seconds: float) -> None:
        """Lets that long go by."""


class Ours:
    """Ours, with a manual clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.switch: Switch = Network(1, clock=self.clock).switch("office")
        self.out: dict[int, list[bytes]] = {}
        self.links = [MemoryLink(self.clock, Random(1), f"port{port}") for port in PORTS]
        for port, link in zip(PORTS, self.links, strict=True):
            self.switch.plug(link.a)
            link.b.attach(_Far(self.out.setdefault(port, [])))

    def heard(self, port: int, frame: bytes) -> list[int]:
        self.came_out()
        self.links[port - 1].b.send([frame])
        return [port for port, frames in self.came_out().items() if frames == [frame]]

    def came_out(self) -> dict[int, list[bytes]]:
        """What has come out of the ports since that was last asked."""
        self.clock.run()
        came = {port: list(frames) for port, frames in self.out.items()}
        for frames in self.out.values():
            frames.clear()
        return came

    def pause(self, seconds: float) -> None:
        self.clock.advance(seconds)


class _Far:
    def __init__(self, frames: list[bytes]) -> None:
        self._frames = frames

    def receive(self, frames: list[bytes]) -> None:
        self._frames += frames


class Linux:
    """A bridge of the kernel's, in a namespace of its own."""

    def __init__(self) -> None:
        self._closing = contextlib.ExitStack()
        self._sent = 0

    def __enter__(self) -> Self:
        namespace = self._closing.enter_context(Namespace())
        for name in ("all", "default"):
            namespace.set_sysctl(f"net.ipv6.conf.{name}.disable_ipv6", 1)
        lines = ["link add br0 type bridge", "link set br0 up"]
        for port in PORTS:
            lines += [f"link add v{port} type veth peer name p{port}", f"link set v{port} master br0",
                      f"link set v{port} up", f"link set p{port} up"]  # fmt: skip
        namespace.run("ip", "-batch", "-", input="\n".join(lines))
        self._ports = {port: self._closing.enter_context(namespace.call(lambda p=port: _opened(p))) for port in PORTS}  # type: ignore[misc]
        while not all(self._reaches_all(port) for port in PORTS):
            pass  # until all carry
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def heard(self, port: int, frame: bytes) -> list[int]:
        return [other for other, frames in self._pass(port, frame).items() if frame in frames]

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def _reaches_all(self, port: int) -> bool:
        try:
            self._pass(port, _marker(port, 0), timeout=0.05)
        except TimeoutError:
            return False
        return True

    def _pass(self, port: int, frame: bytes, timeout: float = 10) -> dict[int, list[bytes]]:
        """Sends a frame into a port, and behind it one for all: who has heard that has heard what there is to hear."""
        self._sent += 1
        marker = _marker(port, self._sent)
        for each in (frame, marker):
            self._ports[port].send(each)
        came: dict[int, list[bytes]] = {}
        for other, sock in self._ports.items():
            if other != port:
                sock.settimeout(timeout)
                came[other] = list(iter(lambda sock=sock: sock.recv(2000), marker))  # type: ignore[misc]
        return came


def _marker(port: int, number: int) -> bytes:
    return b"\xff" * 6 + bytes((2, 0, 0, 0, 0, port)) + b"\x12\x34" + number.to_bytes(50, "big")


def _opened(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sock.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
    sock.bind((f"p{port}", 3))
    return sock
