"""What a switch reads in frames for groups: who wants which, who asks (Linux ip_mc_check_igmp, ipv6_mc_check_mld).

And what it asks itself, in the versions that Linux's bridge speaks: IGMPv2 and MLDv1, which every host understands.
"""

from typing import NamedTuple

from aionetflow.config import MILLISECOND, SECOND
from aionetflow.fast import checksum, get16, pseudo_sum
from aionetflow.ip import igmp, mld
from aionetflow.ip.multicast import IS_IN, TO_IN
from aionetflow.ip.v6 import PROTOCOL_ICMPV6

NOTHING, QUERY, REPORT, LEAVE, MALFORMED = range(5)
_ALL_HOSTS = bytes((224, 0, 0, 1))
ALL_NODES = b"\xff\2" + bytes(13) + b"\1"
_SOLICITED = b"\xff\2" + bytes(9) + b"\1\xff"
_REPORT_V1 = 0x12
_HOP_BY_HOP = 0
_LEAST = {mld.QUERY: 24, mld.REPORT_V1: 24, mld.DONE_V1: 24, mld.REPORT_V2: 8}  # octets
_DECISECOND = SECOND // 10


class Overheard(NamedTuple):
    """What a packet for a group says of groups, if anything."""

    kind: int = NOTHING
    group: bytes = b""  # that it is for, or asks for; empty: for all groups
    for_all: bool = False  # a group that nobody has to ask for
    for_routers: bool = False  # routers alone need to hear it
    wanted: tuple[bytes, ...] = ()
    left: tuple[bytes, ...] = ()
    source: bytes = b""
    longest: int = 0  # ns; the answer to a query comes within that


_BAD = Overheard(MALFORMED)


def overhear4(frame: bytes, at: int) -> Overheard:
    """Reads the IPv4 packet at a place of a frame. One that breaks a rule is MALFORMED.

    >>> overhear4(bytes(14) + b"too short", 14).kind == MALFORMED
    True
    """
    if len(frame) < at + 20 or frame[at] >> 4 != 4:
        return _BAD
    start, stop = at + (frame[at] & 15) * 4, at + get16(frame, at + 2)
    if not at + 20 <= start <= stop <= len(frame) or checksum(frame, at, start):
        return _BAD
    group = frame[at + 16 : at + 20]
    message = frame[start:stop] if frame[at + 9] == igmp.PROTOCOL_IGMP else b""
    if frame[at + 9] == igmp.PROTOCOL_IGMP:
        if len(message) < 8 or checksum(message, 0, len(message)):
            return _BAD
        heard = _read_igmp(message, frame[at + 12 : at + 16], group)
        if heard is not None:
            return heard
    return Overheard(group=group, for_all=_is_local(group))


def _read_igmp(message: bytes, source: bytes, to: bytes) -> Overheard | None:
    group = message[4:8]
    if message[0] in (_REPORT_V1, igmp.REPORT_V2):
        return Overheard(REPORT, group, for_routers=True, wanted=() if _is_local(group) else (group,))
    if message[0] == igmp.LEAVE_V2:
        return Overheard(LEAVE, group, left=() if _is_local(group) else (group,))
    if message[0] == igmp.REPORT_V3:
        return _read_records(message, 4)
    if message[0] == igmp.QUERY:
        if 8 < len(message) < 12 or (not any(group) and to != _ALL_HOSTS):
            return _BAD
        if len(message) == 8:
            if not message[1]:  # RFC 2236 4: of IGMPv1, which asks for all groups
                return Overheard(QUERY, source=source, longest=10 * SECOND)
            longest = message[1] * _DECISECOND
        else:
            longest = max(igmp.code_value(message[1]), 1) * _DECISECOND
            if get16(message, 10):
                return Overheard(QUERY, group)  # it asks for sources, which are not kept here
        return Overheard(QUERY, group if any(group) else b"", source=source, longest=longest)
    return None


def overhear6(frame: bytes, at: int) -> Overheard:
    """As `overhear4`, of an IPv6 packet."""
    if len(frame) < at + 40 or frame[at] >> 4 != 6:
        return _BAD
    group, start, stop = frame[at + 24 : at + 40], at + 40, at + 40 + get16(frame, at + 4)
    if stop > len(frame):
        return _BAD
    if frame[at + 6] == _HOP_BY_HOP and stop - start >= 8 and frame[start] == PROTOCOL_ICMPV6:
        start += 8 + 8 * frame[start + 1]
        message = frame[start:stop]
        if message and message[0] in _LEAST and len(message) >= _LEAST[message[0]]:
            total = pseudo_sum(frame, at, PROTOCOL_ICMPV6, len(message))
            if checksum(frame, start, stop, total):
                return _BAD
            return _read_mld(message, frame[at + 8 : at + 24], group)
    # Linux lets those of solicited nodes be pruned too. Hosts here get addresses without a word, and are in their
    # groups before they are asked: Neighbor Discovery does not wait for that.
    return Overheard(group=group, for_all=group == ALL_NODES or group.startswith(_SOLICITED))


def _read_mld(message: bytes, source: bytes, to: bytes) -> Overheard:
    group = message[8:24]
    if message[0] == mld.REPORT_V1:
        return Overheard(REPORT, group, for_routers=True, wanted=() if group == ALL_NODES else (group,))
    if message[0] == mld.DONE_V1:
        return Overheard(LEAVE, group, left=() if group == ALL_NODES else (group,))
    if message[0] == mld.REPORT_V2:
        return _read_records(message, 16)
    if 24 < len(message) < 28 or source[0] != 0xFE or (not any(group) and to != ALL_NODES):
        return _BAD  # RFC 3810 5.1.14: it comes from a link-local address
    if len(message) == 24:
        longest = get16(message, 4) * MILLISECOND
    else:
        longest = max(mld.code_value(get16(message, 4)), 1) * MILLISECOND
        if get16(message, 26):
            return Overheard(QUERY, group)
    return Overheard(QUERY, group if any(group) else b"", source=source, longest=longest)


def _read_records(message: bytes, width: int) -> Overheard:
    """A report with records (RFC 3376 4.2, RFC 3810 5.2); sources are not told apart."""
    wanted, left, at = [], [], 8
    for _ in range(get16(message, 6)):
        if len(message) < at + 4 + width:
            return _BAD
        kind, auxiliary, count = message[at], message[at + 1], get16(message, at + 2)
        group = message[at + 4 : at + 4 + width]
        at += 4 + width * (1 + count) + 4 * auxiliary
        if at > len(message):
            return _BAD
        if (_is_local(group) if width == 4 else group == ALL_NODES) or not IS_IN <= kind <= 6:
            continue
        if kind in (IS_IN, TO_IN) and not count:
            left.append(group)
        else:
            wanted.append(group)
    return Overheard(REPORT, wanted=tuple(wanted), left=tuple(left))


def _is_local(group: bytes) -> bool:
    """RFC 4541 2.1.2: what does not leave the link goes everywhere, whether or not it was asked for."""
    return group.startswith(b"\xe0\0\0")


def group_query4(source: bytes, group: bytes, longest: int) -> tuple[bytes, bytes]:
    """Whom a query for a group, or for all, goes to, and its packet; it is answered within `longest` ns."""
    message = bytes((igmp.QUERY, longest // _DECISECOND, 0, 0)) + (group or bytes(4))
    to = group or _ALL_HOSTS
    return to, igmp.packet_of(source, to, message)


def group_query6(source: bytes, group: bytes, longest: int) -> tuple[bytes, bytes]:
    """As `group_query4`, of IPv6."""
    message = bytes((mld.QUERY, 0, 0, 0)) + (longest // MILLISECOND).to_bytes(2, "big") + bytes(2)
    to = group or ALL_NODES
    return to, mld.packet_of(source, to, message + (group or bytes(16)))
