"""IPv6 extension headers: what stands between the IPv6 header and the transport's (RFC 8200 4).

     0               1               2               3
    +---------------+---------------+-------------------------------+
    |  next header  | length / 8 - 1|  options (hop-by-hop, destination), or routing type, segments left, ...
    +---------------+---------------+-------------------------------+

Options say by their first two bits what becomes of a packet whose receiver does not know them (RFC 8200 4.2). Of those
that there are this stack knows the padding and router alert (RFC 2711), which changes nothing.
"""

from typing import NamedTuple

HOP_BY_HOP = 0
ROUTING = 43
FRAGMENT = 44
DESTINATION = 60
NO_NEXT_HEADER = 59
_AUTHENTICATION = 51
FRAGMENT_LENGTH = 8
# RFC 4443 3.4: codes of a parameter problem
ERRONEOUS_FIELD, UNRECOGNIZED_NEXT_HEADER, UNRECOGNIZED_OPTION = range(3)
SILENT = -1  # no code: nothing is said
_PAD1, _PADN, _ROUTER_ALERT = 0, 1, 5
_MOST_OPTIONS = 8  # net.ipv6.max_hbh_opts_number, max_dst_opts_number
_MOST_PADDING = 7  # Linux ip6_parse_tlv: more than it takes to align is somebody's covert channel


class Place(NamedTuple):
    """Where in a packet the chain of headers has come to."""

    protocol: int  # what begins there: a transport, or a header that is not to be passed
    at: int
    named_at: int  # where the octet stands that says so


class Refusal(NamedTuple):
    """Why a packet goes no further: the code of the parameter problem to report, or SILENT, and where it points."""

    code: int
    pointer: int


def length_of(frame: bytes, at: int, stop: int) -> int:
    """How many octets an extension header has by its own word; 0 if they are not all there."""
    if at + 8 > stop:
        return 0
    length = 8 * (frame[at + 1] + 1)
    return length if at + length <= stop else 0


def check_options(frame: bytes, at: int, length: int, group: bool) -> Refusal | None:
    """Looks at the options of a hop-by-hop or destination options header; None if nothing is wrong with them.

    group says that the packet was sent to one, so that of an option whose bits are 11 nothing is said.
    """
    i, stop, padding, count = at + 2, at + length, 0, 0
    while i < stop:
        kind = frame[i]
        if kind == _PAD1:
            i, padding = i + 1, padding + 1
        else:
            if i + 2 > stop or i + 2 + frame[i + 1] > stop:
                return Refusal(SILENT, 0)
            body = frame[i + 2 : i + 2 + frame[i + 1]]
            if kind == _PADN:
                padding += 2 + len(body)
                if any(body):
                    return Refusal(SILENT, 0)
            else:
                padding, count = 0, count + 1
                refusal = _judge(kind, body, i, count, group)
                if refusal is not None:
                    return refusal
            i += 2 + len(body)
        if padding > _MOST_PADDING:
            return Refusal(SILENT, 0)
    return None


def _judge(kind: int, body: bytes, at: int, count: int, group: bool) -> Refusal | None:
    """RFC 8200 4.2: what the option's first two bits want, where it is not known."""
    if count > _MOST_OPTIONS or (kind == _ROUTER_ALERT and len(body) != 2):
        return Refusal(SILENT, 0)
    action = kind >> 6
    if kind == _ROUTER_ALERT or action == 0:
        return None
    if action == 1 or (action == 3 and group):
        return Refusal(SILENT, 0)
    return Refusal(UNRECOGNIZED_OPTION, at)


def check_routing(frame: bytes, at: int) -> Refusal | None:
    """RFC 8200 4.4, RFC 5095 3: a routing header of no known type is passed if it has led here, else refused."""
    return Refusal(ERRONEOUS_FIELD, at + 2) if frame[at + 3] else None


def transport_of(packet: bytes, l3: int, stop: int) -> Place:
    """Where the transport header of a packet is that was sent, as far as its octets are there: for quoted packets."""
    protocol, at, named_at = packet[l3 + 6], l3 + 40, l3 + 6
    while protocol in (HOP_BY_HOP, ROUTING, DESTINATION, FRAGMENT, _AUTHENTICATION) and at + 8 <= stop:
        if protocol == FRAGMENT:
            if packet[at + 2] or packet[at + 3] & 0xF8:
                break  # not the first: it does not say whose it is
            length = FRAGMENT_LENGTH
        else:
            length = 4 * (packet[at + 1] + 2) if protocol == _AUTHENTICATION else 8 * (packet[at + 1] + 1)
        protocol, named_at, at = packet[at], at, at + length
    return Place(protocol, at, named_at)
