"""Who is who on a segment that networks of several processes share.

Each process hands out MACs and addresses by itself, and no two may be the same. So they are made of what tells hosts
apart: their names. Every process has a "localhost", whose MAC and addresses are drawn at random.
"""

from collections.abc import Iterator
from hashlib import blake2s
from ipaddress import IPv4Network, IPv6Network

from aionetflow.ethernet.interface import EthernetInterface
from aionetflow.ip.ndp import link_local
from aionetflow.network.host import Host

_SEGMENTS = IPv4Network("10.64.0.0/10")  # cut into one network for each shared segment that is not the LAN
_SEGMENT_LENGTH = 20
_SEGMENTS6 = IPv6Network("fd61:696f:6e66:8000::/49")  # the same of IPv6, beyond what links are counted up to


class Identity:
    """What an interface is known by: a digest of its host's name and of its number.

    >>> Identity("web", 0).mac.hex(":"), Identity("WEB", 0).mac == Identity("web", 0).mac
    ('b2:d5:f0:f7:4e:92', True)
    """

    def __init__(self, name: str, number: int, secret: bytes = b"") -> None:
        digest = blake2s(f"{name.lower()}/{number}".encode(), key=secret).digest()
        self.mac = bytes((digest[0] & 0xFC | 2,)) + digest[1:6]  # IEEE 802: unicast, locally administered
        self.number = int.from_bytes(digest[8:16], "big")  # that it would like to have in a network


def identity_of(host: Host, nic: EthernetInterface, secret: bytes) -> Identity:
    """That of one of a host's interfaces; of localhost, whose name every process has, by the secret of its own."""
    number = int(nic.name.removeprefix("eth"))
    return Identity(host.name, number, secret if host is host.network.localhost else b"")


def check_unused(host: Host, nic: EthernetInterface) -> None:
    """RuntimeError if somebody knows an interface already: it has sent something, or a socket has its address."""
    own = {entry.address for entry in nic.addresses}
    if nic.tx_packets or any(sock.local in own for sock in host.bare_stack.sockets.values()):
        raise RuntimeError(f"{nic.name} of {host.name!r} is in use: share its segment before that")


def rename(host: Host, nic: EthernetInterface, mac: bytes) -> None:
    """Gives an interface that is not in use yet another MAC, and the link-local address that goes with it."""
    addresses = host.bare_stack.addresses
    if nic.link_local:
        addresses.drop(nic, nic.link_local, 64)
    nic.mac = nic.neighbours.mac = mac
    addresses.take(nic, link_local(mac, nic.index), 64)


def networks_of(vni: int, octets: int) -> Iterator[IPv4Network | IPv6Network]:
    """The networks of a family for the shared segment of that number: its own, and those behind it.

    >>> str(next(networks_of(42, 4))), str(next(networks_of(42, 16)))
    ('10.66.160.0/20', 'fd61:696f:6e66:802a::/64')
    """
    whole, length = (_SEGMENTS, _SEGMENT_LENGTH) if octets == 4 else (_SEGMENTS6, 64)
    count = 1 << (length - whole.prefixlen)
    size = 1 << (whole.max_prefixlen - length)
    for step in range(count):
        first = int(whole.network_address) + (vni + step) % count * size
        yield IPv4Network((first, length)) if octets == 4 else IPv6Network((first, length))
