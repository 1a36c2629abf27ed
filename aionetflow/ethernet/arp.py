"""ARP: asking for the MAC of an IPv4 address, and answering (RFC 826, RFC 5227 for announcements).

     0       2       4   5   6       8               14          18              24          28
    +-------+-------+---+---+-------+---------------+-----------+---------------+-----------+
    | hw 1  | 0800  | 6 | 4 | oper  |  sender MAC   | sender IP |  target MAC   | target IP |
    +-------+-------+---+---+-------+---------------+-----------+---------------+-----------+
"""

from typing import NamedTuple

from aionetflow.ethernet.frame import BROADCAST, ETHERTYPE_ARP, HEADER_LENGTH, NO_MAC, mac_header

REQUEST = 1
REPLY = 2
_PREFIX = bytes.fromhex("0001080006 04".replace(" ", ""))
_LENGTH = 28


class Arp(NamedTuple):
    """What one ARP packet says."""

    operation: int
    sender_mac: bytes
    sender: bytes
    target_mac: bytes
    target: bytes


def parse(frame: bytes) -> Arp | None:
    """The ARP packet in a frame; None if it is not ARP for IPv4 over Ethernet, or is cut short."""
    packet = frame[HEADER_LENGTH : HEADER_LENGTH + _LENGTH]
    if len(packet) < _LENGTH or not packet.startswith(_PREFIX):
        return None
    operation = int.from_bytes(packet[6:8], "big")
    return Arp(operation, packet[8:14], packet[14:18], packet[18:24], packet[24:28])


def emit(arp: Arp, destination: bytes) -> bytes:
    """The frame that carries an ARP packet to a MAC."""
    body = _PREFIX + arp.operation.to_bytes(2, "big") + arp.sender_mac + arp.sender + arp.target_mac + arp.target
    return mac_header(destination, arp.sender_mac, ETHERTYPE_ARP) + body


def request(mac: bytes, source: bytes, target: bytes, ask: bytes = b"") -> bytes:
    """The question "who has target?", to all, or to one MAC that had it last.

    >>> parse(request(bytes(6), bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]))).operation == REQUEST
    True
    """
    return emit(Arp(REQUEST, mac, source, NO_MAC, target), ask or BROADCAST)


def reply(question: Arp, mac: bytes) -> bytes:
    """The answer to a question for an address that is ours."""
    return emit(Arp(REPLY, mac, question.target, question.sender_mac, question.sender), question.sender_mac)


def announcement(mac: bytes, address: bytes) -> bytes:
    """A gratuitous ARP: tells all neighbours that the address is at this MAC (RFC 5227 2.3)."""
    return request(mac, address, address)
