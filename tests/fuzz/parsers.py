"""Each reader of what a stranger may have written, behind one function of octets.

    python -m fuzz.parsers -max_total_time=60       # guided by coverage (atheris), until something is raised

The first octet says which reader gets the rest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from random import Random

from aionetflow.clock import ManualClock
from aionetflow.ethernet import arp
from aionetflow.ip.address import pack, pack_interface
from aionetflow.link.memory import MemoryLink
from aionetflow.network.mdns import PORT, MulticastDns
from aionetflow.network.snooping import Snooping
from aionetflow.network.switch import Port, Switch
from aionetflow.stack import Stack
from aionetflow.tcp import options
from fuzz.hostile import HOST_MAC, MAC, mended

ETHERTYPES = (b"\x08\0", b"\x08\x06", b"\x86\xdd")
GROUP_MAC = bytes.fromhex("01005e010101")
PLUG = Switch("lan", ManualClock()).plug(MemoryLink(ManualClock(), Random(1)).a)


def host() -> Stack:
    """A host with an Ethernet interface, a raw one, and sockets that listen."""
    stack = Stack(ManualClock(), Random(1))
    stack.add_address(stack.attach_ethernet("eth0", HOST_MAC), "10.0.0.1/24")
    stack.add_address(stack.attach_raw("tun0"), "10.0.1.1/24")
    for port in (80, 0x5050):
        server = stack.socket()
        server.bind(("", port))
        getattr(server, "listen")(4)  # noqa: B009
        stack.socket(kind=2).bind(("", port))
    return stack


def read_options(data: bytes) -> None:
    """The options of a SYN."""
    found = options.parse(b"before" + data + b"behind", 6, 6 + len(data))
    assert 0 <= found.mss <= 0xFFFF
    assert -1 <= found.window_scale <= 14


def read_arp(data: bytes) -> None:
    """An ARP packet."""
    found = arp.parse(bytes(14) + data)
    assert found is None or len(found.sender) == len(found.target) == 4


def read_packet(data: bytes) -> None:
    """A bare IP packet, as it is."""
    stack = host()
    stack.interfaces[2].receive([data])
    stack.clock.advance(100)  # type: ignore[attr-defined]


def read_frame(data: bytes) -> None:
    """An Ethernet frame; the checksums of what looks like IPv4 are made right."""
    stack = host()
    kind = ETHERTYPES[data[0] % 3] if data else b""
    frame = HOST_MAC + MAC + kind + data[1:]
    stack.interfaces[1].receive([mended(frame), frame])
    stack.clock.advance(100)  # type: ignore[attr-defined]


def read_loopback(data: bytes) -> None:
    """What comes by lo, where IPv6 is taken too."""
    stack = host()
    stack.arrived(stack.lo, [data])


def read_address(data: bytes) -> None:
    """An address that somebody has typed."""
    text = data.decode("latin-1")
    for read in (pack, pack_interface):
        with suppress(ValueError, OSError):
            read(text)


def read_name(data: bytes) -> None:
    """A message of multicast DNS, by a host that has a name and asks for another."""
    clock = ManualClock()
    names: MulticastDns[None] = MulticastDns(lambda message, whom: None, lambda: 1232, clock, Random(1))
    names.announce("web.local", lambda: [bytes(4)])
    names.ask("you.local", lambda: None)
    names.received(data, None, PORT)
    clock.advance(100)


def read_group(data: bytes) -> None:
    """A frame for a group, by a switch that asks who wants it."""
    clock = ManualClock()
    snooping: Snooping[Port] = Snooping("lan", clock, lambda frame, port: None)
    snooping.querier = True
    clock.advance(11)
    for kind in ETHERTYPES:
        snooping.ports(PLUG, GROUP_MAC + MAC + kind + data, clock.now())
    snooping.groups()


READERS: tuple[Callable[[bytes], None], ...] = (
    read_options, read_arp, read_packet, read_frame, read_loopback, read_address, read_name,
    read_group,
)  # fmt: skip


def read(data: bytes) -> None:
    """Gives the octets to one of them."""
    if data:
        READERS[data[0] % len(READERS)](data[1:])


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, read)
    atheris.Fuzz()
