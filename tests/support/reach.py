"""Asks, on a network with a manual clock, whether a datagram gets from one host to another and an answer back."""

from __future__ import annotations

from aionetflow import Host
from aionetflow.clock import ManualClock
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SOCK_DGRAM

PORT = 7


def udp(host: Host) -> DatagramSocket:
    """A non-blocking datagram socket."""
    sock = host.socket(kind=SOCK_DGRAM)
    assert isinstance(sock, DatagramSocket)
    return sock


def owner_of(host: Host, address: str) -> Host | None:
    """The host on the same network that has an address."""
    return next((other for other in host.network.hosts if address in other.addresses), None)


def path(host: Host, address: str, patience: float = 5.0) -> tuple[str, int] | None:
    """How a datagram from a host arrives at an address: (from which address, with what TTL); None if it does not.

    The answer must come back to the sender's own address.
    """
    clock = host.network.clock
    assert isinstance(clock, ManualClock)
    target = owner_of(host, address)
    assert target is not None, f"nobody has {address}"
    there, here = udp(target), udp(host)
    ttls: list[int] = []

    def tap(now: int, frame: bytes, outbound: bool) -> None:
        if not outbound and frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[36:38] == bytes((0, PORT)):
            ttls.append(frame[22])

    for nic in target.interfaces:
        nic.taps.append(tap)
    try:
        there.bind(("", PORT))
        here.sendto(b"there", (address, PORT))
        clock.advance(patience)
        data, sender = there.recvfrom(100)
        assert data == b"there"
        there.sendto(b"back", sender)
        clock.advance(patience)
        data = here.recv(100)
        return (sender[0], ttls[-1] if ttls else 64) if data == b"back" else None
    except (BlockingIOError, OSError):
        return None
    finally:
        for nic in target.interfaces:
            nic.taps.remove(tap)
        there.close()
        here.close()


def reaches(host: Host, address: str) -> bool:
    """Whether a datagram gets there and an answer back."""
    return path(host, address) is not None


def hops(host: Host, address: str) -> int:
    """How many routers are on the way."""
    found = path(host, address)
    assert found is not None, f"{host.name} does not reach {address}"
    return 64 - found[1]
