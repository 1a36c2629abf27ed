"""IPv6's fragments: cut at the source alone, put together by the one that they are for (RFC 8200 4.5).

     0               1               2               3
    +---------------+---------------+-------------------------+---+-+
    |  next header  |   reserved    |     fragment offset     | 0 |M|
    +---------------+---------------+-------------------------+---+-+
    |                        identification                         |
    +---------------------------------------------------------------+
"""

from typing import NamedTuple

from aionetflow.fast import get16, put16
from aionetflow.ip.fragment import Piece, Pile, joined_ecn

PROTOCOL_FRAGMENT = 44
HEADER_LENGTH = 8
_FIXED = 40
_LONGEST = 65535
_MORE = 1
_PARAMETER, _INCOMPLETE = 0, 3  # codes of ICMPv6 parameter problem
# Where what is counted by the header's own length ends, and what follows must be all in the first fragment.
_OPTIONS = (0, 43, 60, 135)  # hop-by-hop, routing, destination options, mobility: 8 octets times (length + 1)
_UPPER = {6: 20, 17: 8, 58: 8}


class Fault(NamedTuple):
    """Why a fragment is refused: the code of the parameter problem, and which octet of the packet it is about."""

    code: int
    pointer: int


def cut_ipv6(packet: bytes, mtu: int, ident: int) -> list[bytes]:
    """The fragments of a packet without extension headers, none longer than mtu octets; empty if that cannot be.

    ident is a number that no other packet between the two has had for long (RFC 7739).
    """
    room = (mtu - _FIXED - HEADER_LENGTH) & ~7
    if room < 8:
        return []
    pieces: list[bytes] = []
    header = bytearray(packet[:_FIXED])
    protocol, header[6] = header[6], PROTOCOL_FRAGMENT
    for offset in range(_FIXED, len(packet), room):
        data = packet[offset : offset + room]
        more = offset + room < len(packet)
        put16(header, 4, HEADER_LENGTH + len(data))
        where = (offset - _FIXED) | more
        fragment = bytes((protocol, 0)) + where.to_bytes(2, "big") + ident.to_bytes(4, "big")
        pieces.append(bytes(header) + fragment + data)
    return pieces


def is_atomic(packet: bytes, at: int) -> bool:
    """Whether the fragment header at `at` is that of a whole packet (RFC 6946): it does without the others."""
    return get16(packet, at + 2) & 0xFFF9 == 0


def without_fragment_header(packet: bytes, at: int, chain: int) -> bytes:
    """Such a packet without the header at `at`; chain is which octet names that header."""
    whole = bytearray(packet[:at] + packet[at + HEADER_LENGTH :])
    whole[chain] = packet[at]
    put16(whole, 4, len(whole) - _FIXED)
    return bytes(whole)


def ipv6_piece(packet: bytes, at: int) -> Piece | Fault:
    """A fragment, from its IP header to its end, as a piece; or what is wrong with it.

    The fragment header is at `at`. What is before it goes with the piece, its fragment header too.
    """
    where = get16(packet, at + 2)
    offset, more = where & 0xFFF8, bool(where & _MORE)
    data = packet[at + HEADER_LENGTH :]
    if offset + len(data) > _LONGEST:
        return Fault(_PARAMETER, at + 2)
    if more and len(data) & 7:
        return Fault(_PARAMETER, 4)
    if offset == 0 and not _holds_headers(packet[at], data):
        return Fault(_INCOMPLETE, 0)  # RFC 7112 5: a filter must see by the first what it is all about
    return Piece(offset, data, more, packet[: at + HEADER_LENGTH], get16(packet, 0) >> 4 & 3)


def ipv6_joined(pile: Pile, chain: int) -> bytes:
    """The packet that a finished pile was cut from; empty if there is no such packet.

    chain is which octet of the first fragment names the fragment header.
    """
    first = pile.first
    assert first is not None
    ecn = joined_ecn(first.ecn, pile.ecn)
    at = len(first.header) - HEADER_LENGTH
    if ecn < 0 or at - _FIXED + pile.length > _LONGEST:
        return b""
    header = bytearray(first.header[:at])
    header[1] = header[1] & ~0x30 | ecn << 4
    header[chain] = first.header[at]
    put16(header, 4, at - _FIXED + pile.length)
    return bytes(header) + b"".join(piece.data for piece in pile.pieces)


def _holds_headers(protocol: int, data: bytes) -> bool:
    """Whether all headers of a packet are in the first of its fragments, that of the transport too."""
    at = 0
    while protocol in _OPTIONS:
        if at + 2 > len(data):
            return False
        protocol, at = data[at], at + 8 * (data[at + 1] + 1)
    return at + _UPPER.get(protocol, 0) <= len(data)
