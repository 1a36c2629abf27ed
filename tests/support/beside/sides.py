"""The two stacks that a script is driven against: the kernel's behind a TUN device, and ours, bare."""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from aionetflow.clock import ManualClock
from aionetflow.link.tap import IFF_TUN, open_device
from aionetflow.network.device import Device
from aionetflow.stack import Stack
from support.beside.packets import OURS
from support.beside.talk import Side
from support.namespace import unshare, write_sysctl

PREFIX = {4: 24, 6: 64}
IFLA_GSO_MAX_SEGS = 40  # linux/if_link.h
STATES = (
    "", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK",
    "LISTEN", "CLOSING", "SYN-RECV",
)  # fmt: skip
RMEM = 4096, 131072, 6291456  # Linux's defaults of old: the largest is 32 MiB since 6.18; ours begin with more
# Not Linux's defaults everywhere, or chatter of its own accord.
PLAIN_KERNEL = {
    "net.ipv4.tcp_rmem": " ".join(map(str, RMEM)),
    "net.ipv4.tcp_wmem": "4096 16384 4194304",
    "net.ipv6.conf.default.addr_gen_mode": 1,  # no link-local address, and nothing that is said about it
    "net.ipv6.conf.default.accept_ra": 0,
    "net.ipv6.conf.default.router_solicitations": 0,
}


def addresses(mtu: int) -> list[str]:
    """What the stack is given: IPv6 needs an MTU of 1280 (RFC 8200 5)."""
    return [f"{address}/{PREFIX[version]}" for version, address in OURS.items() if version == 4 or mtu >= 1280]


class KernelSide(Side):
    """The kernel, in a network namespace that this thread is put into; packets go through a TUN device."""

    name = "kernel"

    def __init__(self, sysctls: Mapping[str, object], mtu: int) -> None:
        unshare()
        for name, value in (PLAIN_KERNEL | dict(sysctls)).items():
            write_sysctl(name, value)
        self.sockets: list[Any] = []
        self.tun, _ = open_device("tun0", IFF_TUN)
        self.poll = select.poll()
        self.poll.register(self.tun, select.POLLIN)
        with Device("tun0") as device:
            device.set_up(mtu)
            # or each pair of segments would end with PSH, as one that a card is to cut
            device.set_number(IFLA_GSO_MAX_SEGS, 1)
            for address in addresses(mtu):
                device.add_address(address)
        self.pass_time(self.now() + 0.01)
        self.take()

    def now(self) -> float:
        """The machine's time."""
        return time.monotonic()

    def put(self, packet: bytes) -> None:
        """Has an IP packet arrive: it has been dealt with when this returns."""
        with contextlib.suppress(OSError):  # the device itself refuses what is no IP packet
            os.write(self.tun, packet)

    def take(self) -> list[tuple[float, bytes]]:
        """What has been emitted."""
        taken = []
        try:
            while True:
                packet = os.read(self.tun, 65536)
                taken.append((time.monotonic(), packet))
        except BlockingIOError:
            return taken

    def pass_time(self, until: float) -> None:
        """Waits for a packet."""
        self.poll.poll(max(0.0, until - time.monotonic()) * 1000)

    def make(self, version: int, kind: int) -> socket.socket:
        """A socket of the namespace."""
        sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind | socket.SOCK_NONBLOCK)
        if kind == socket.SOCK_STREAM:
            # Linux's default, whatever this machine's is; a namespace may not choose every algorithm for itself
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        self.sockets.append(sock)
        return sock

    def adopt(self, sock: socket.socket) -> socket.socket:
        """As `make`, of one that was accepted."""
        sock.setblocking(False)
        self.sockets.append(sock)
        return sock

    def events(self, sock: socket.socket) -> int:
        """poll(2)."""
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLPRI | select.POLLOUT | select.POLLRDHUP)
        found = poll.poll(0)
        return found[0][1] if found else 0

    def state(self, sock: socket.socket) -> str:
        """The first octet of TCP_INFO."""
        return STATES[sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]]

    def close(self) -> None:
        """Leaves nothing behind: sockets are reset, the device goes."""
        for sock in self.sockets:
            if sock.fileno() >= 0:
                if sock.type == socket.SOCK_STREAM:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
        os.close(self.tun)


class OurSide(Side):
    """Our stack on a manual clock."""

    name = "ours"

    def __init__(self, sysctls: Mapping[str, object], mtu: int) -> None:
        self.clock = ManualClock()
        self.clock.advance(1000.0)
        self.stack = Stack(self.clock, random.Random(7))
        for name, value in {"net.ipv4.tcp_rmem": RMEM, **sysctls}.items():
            self.set(name, value)
        self.nic = self.stack.attach_raw("tun0", mtu)
        for address in addresses(mtu):
            self.stack.add_address(self.nic, address)
        self.clock.advance(0.01)
        self.take()

    def set(self, name: str, value: object) -> None:
        """Sets what there is of settings; one that it has not cannot be switched off either."""
        with contextlib.suppress(KeyError):
            self.stack.sysctl[name] = value  # type: ignore[assignment]

    def now(self) -> float:
        """Its time."""
        return self.clock.now() / 1e9

    def put(self, packet: bytes) -> None:
        """Has an IP packet arrive."""
        self.nic.receive([packet])

    def take(self) -> list[tuple[float, bytes]]:
        """What has been emitted."""
        taken = [(when / 1e9, packet) for when, packet in self.nic.sent]
        self.nic.sent.clear()
        return taken

    def pass_time(self, until: float) -> None:
        """Goes from deadline to deadline until something is emitted."""
        end = round(until * 1e9)
        while not self.nic.sent and self.clock.now() < end:
            self.clock.advance_to(min(end, max(self.clock.next_deadline(), self.clock.now())))

    def make(self, version: int, kind: int) -> Any:
        """A socket of the stack."""
        return self.stack.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind)

    def events(self, sock: Any) -> int:
        """As poll(2)."""
        return int(sock.events())

    def state(self, sock: Any) -> str:
        """As ss."""
        return str(sock.state_name())
