"""An IPv6 host under test on an Ethernet, and frames of its neighbours': what `lan` has for IPv4."""

from __future__ import annotations

from typing import Any

from scapy.layers.inet import UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from aionetflow.clock import ManualClock
from aionetflow.ip.address import AF_INET6, pack, unpack
from aionetflow.ip.ndp import link_local, solicited_node
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SOCK_DGRAM, SOCK_STREAM
from aionetflow.socket.stream import StreamSocket
from support.lan import Host, Wire, mac, mac_octets

OURS6, PEER6 = "2001:db8::1", "2001:db8::2"
ALL_NODES_MAC = "33:33:00:00:00:01"


def own_link_local(number: int) -> str:
    """The link-local address of the host whose MAC has that number."""
    return unpack(link_local(mac_octets(number), 0))


def group_of(address: str) -> str:
    """The solicited-node group of an address."""
    return unpack(solicited_node(pack(address)))


def group_mac(group: str) -> str:
    """The MAC of a group."""
    return (b"\x33\x33" + pack(group)[12:]).hex(":")


def host6(*addresses: str, mtu: int = 1500, clock: ManualClock | None = None) -> Host:
    """A host with one Ethernet interface of MAC 1, 2001:db8::1/64 unless told."""
    host = Host(clock)
    host.ethernet(*(addresses or (OURS6 + "/64",)), mtu=mtu)
    return host


def knowing(*addresses: str, mtu: int = 1500) -> Host:
    """The same, which knows the MAC of its peer, 2."""
    host = host6(*addresses, mtu=mtu)
    meet(host.wire, 2, PEER6)
    return host


def meet(wire: Wire, number: int, address: str, own: int = 1) -> None:
    """Lets the host hear a neighbour's question, so that it knows its MAC; its answer is not kept."""
    target = own_link_local(own)
    wire.hears(frame6(number, own, src=address, dst=target, hlim=255) / solicitation(target, number))


def udp6(host: Host, *address: tuple[Any, ...]) -> DatagramSocket:
    """A datagram socket of AF_INET6, bound if an address is given."""
    sock = host.stack.socket(AF_INET6, SOCK_DGRAM)
    assert isinstance(sock, DatagramSocket)
    for each in address:
        sock.bind(each)
    return sock


def tcp6(host: Host) -> StreamSocket:
    """A stream socket of AF_INET6."""
    sock = host.stack.socket(AF_INET6, SOCK_STREAM)
    assert isinstance(sock, StreamSocket)
    return sock


def frame6(source: int = 2, destination: int = 1, **fields: Any) -> Packet:
    """Ethernet and IPv6 headers from a neighbour to the host, from the peer's address to the host's unless told."""
    ethernet = Ether(src=mac(source), dst=fields.pop("to", mac(destination)))
    return ethernet / IPv6(**{"src": PEER6, "dst": OURS6, **fields})


def data6(data: bytes = b"data", sport: int = 4000, dport: int = 5000) -> Packet:
    """A UDP datagram, without what carries it."""
    return UDP(sport=sport, dport=dport) / Raw(data)


def solicitation(target: str, sender: int = 0) -> Packet:
    """A neighbor solicitation; sender's MAC is named unless 0."""
    message = ICMPv6ND_NS(tgt=target)
    return message / ICMPv6NDOptSrcLLAddr(lladdr=mac(sender)) if sender else message


def ask6(target: str = OURS6, sender: int = 2, source: str = PEER6, **fields: Any) -> Packet:
    """A whole solicitation, to the target's group unless told."""
    group = group_of(target)
    named = fields.pop("named", sender)
    frame = {"src": source, "dst": group, "hlim": 255, "to": group_mac(fields.get("dst", group)), **fields}
    return frame6(sender, **frame) / solicitation(target, named)


def answer6(target: str = PEER6, sender: int = 2, flags: str = "SO", named: int = -1, **fields: Any) -> Packet:
    """A whole advertisement, to the host unless told: flags R, S and O; the MAC of `named`, none if 0."""
    message = ICMPv6ND_NA(tgt=target, R=int("R" in flags), S=int("S" in flags), O=int("O" in flags))
    named = sender if named < 0 else named
    if named:
        message = message / ICMPv6NDOptDstLLAddr(lladdr=mac(named))
    return frame6(sender, **{"src": target, "hlim": 255, **fields}) / message
