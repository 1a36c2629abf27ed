"""Fragments: a packet cut to fit a link, and put together again where it ends (RFC 791 3.2; IPv6: fragment6.py).

Both families keep the pieces of a packet under a key of their own making; what is done with them is the same. A piece
that lies wholly within what is there already is a copy, and ignored; one that overlaps it in part has somebody play
tricks, and the whole packet is given up (RFC 5722, Linux inet_frag_queue_insert). How many octets may wait, and for how
long, is limited (RFC 1858 and 3128 say why one does not want to be generous).
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable
from typing import NamedTuple

from aionetflow.alarms import Alarm, Alarms
from aionetflow.fast import checksum, get16, put16

MORE_FRAGMENTS = 0x2000
_OFFSET = 0x1FFF
_LONGEST = 65535
_OVERHEAD = 576  # octets: what a piece counts for beside its own (Linux truesize: a sk_buff and its head)
_ECN = _CE = 3
TAKEN, COPY, OVERLAP, BAD = range(4)
_COPIED = 0x80  # RFC 791 3.1: the option is in every fragment
_END, _NOOP = 0, 1


class Limits(NamedTuple):
    """What one family's reassembly may take (net.ipv4.ipfrag_*, net.ipv6.ip6frag_*)."""

    octets: int  # high_thresh: no new packet is begun beyond it
    time: int  # ns from the first piece to the last
    distance: int = 0  # ipfrag_max_dist: so many pieces of others from the same source; 0: no limit


class Piece(NamedTuple):
    """One fragment: where its octets begin in the packet's payload, and whether others follow."""

    offset: int
    data: bytes
    more: bool
    header: bytes  # of the packet, up to the payload, as this piece had it
    ecn: int = 0


class Pile:
    """The pieces of one packet that have come so far, sorted and without gaps known of."""

    def __init__(self, source: bytes, serial: int) -> None:
        self.source = source
        self.pieces: list[Piece] = []  # by offset
        self.length = -1  # of the whole payload, once the last piece has told it
        self.reached = 0  # the furthest octet of any piece
        self.octets = 0
        self.ecn = 0  # one bit for each value that was seen
        self.serial = serial  # which piece of its source the latest was
        self.alarm: Alarm | None = None

    @property
    def first(self) -> Piece | None:
        """The piece that begins the packet, if it has come."""
        return self.pieces[0] if self.pieces and self.pieces[0].offset == 0 else None

    def add(self, piece: Piece) -> int:
        """Enters a piece: TAKEN, COPY if its octets were there, OVERLAP or BAD if the packet cannot be right."""
        end = piece.offset + len(piece.data)
        if end == piece.offset or not self._fits(end, piece.more):
            return BAD
        at = bisect_left(self.pieces, piece.offset, key=_offset_of)
        if self._meets(at, piece.offset, end):
            return COPY if self._holds(at, piece.offset, end) else OVERLAP
        self.pieces.insert(at, piece)
        self.octets += len(piece.data)
        self.reached = max(self.reached, end)
        self.ecn |= 1 << piece.ecn
        if not piece.more:
            self.length = end
        return TAKEN

    def is_whole(self) -> bool:
        """Whether nothing is missing."""
        return self.octets == self.length

    def _fits(self, end: int, more: bool) -> bool:
        """Whether the end of a piece agrees with what is known of the packet's."""
        if more:
            return self.length < 0 or end <= self.length
        return end >= self.reached and (self.length < 0 or end == self.length)

    def _meets(self, at: int, offset: int, end: int) -> bool:
        """Whether octets from offset to end are there in part, seen from where a piece with them would be put."""
        if at < len(self.pieces) and self.pieces[at].offset < end:
            return True
        return at > 0 and self.pieces[at - 1].offset + len(self.pieces[at - 1].data) > offset

    def _holds(self, at: int, offset: int, end: int) -> bool:
        """Whether all of them are."""
        reached = offset
        for number in range(max(at - 1, 0), len(self.pieces)):
            piece = self.pieces[number]
            if reached >= end or piece.offset > reached:
                break
            reached = max(reached, piece.offset + len(piece.data))
        return reached >= end


class Reassembly:
    """The unfinished packets of one host and one family.

    limits tells what may be kept, now; gave_up is called with a pile whose time has run out, and the time, so that the
    sender can be told.
    """

    def __init__(self, alarms: Alarms, limits: Callable[[], Limits], gave_up: Callable[[Pile, int], None]) -> None:
        self.octets = 0  # in all piles, with what they cost beside
        self.piles: dict[Hashable, Pile] = {}
        self.overlaps = 0
        self._limits = limits
        self._alarms = alarms
        self._gave_up = gave_up
        self._sources: dict[bytes, _Source] = {}

    def add(self, key: Hashable, source: bytes, piece: Piece, now: int) -> tuple[Pile | None, bool]:
        """Takes a piece: the pile if it has completed that, and whether a packet was lost by it.

        A pile that is returned is no longer kept.
        """
        limits, pile = self._limits(), self.piles.get(key)
        if pile is None:
            if self.octets > limits.octets or limits.octets == 0:
                return None, True
            pile = self._begin(key, source, now + limits.time)
        lost = self._is_too_far(pile, limits.distance)
        if lost:  # Linux ip_frag_reinit: the number is in use again; what is there belongs to another packet
            self._drop(key)
            pile = self._begin(key, source, now + limits.time)
        verdict = pile.add(piece)
        if verdict in (OVERLAP, BAD):
            self.overlaps += verdict == OVERLAP
            self._drop(key)
            return None, True
        if verdict == TAKEN:
            self.octets += len(piece.data) + _OVERHEAD
        if pile.is_whole():
            self._drop(key)
            return pile, lost
        return None, lost

    def _begin(self, key: Hashable, source: bytes, deadline: int) -> Pile:
        sender = self._sources.setdefault(source, _Source())
        sender.piles += 1
        pile = self.piles[key] = Pile(source, sender.pieces)
        pile.alarm = self._alarms.set(deadline, lambda then: self._expire(key, then))
        return pile

    def _is_too_far(self, pile: Pile, distance: int) -> bool:
        """Linux ip_frag_too_far: too many pieces of other packets from this source lie between."""
        sender = self._sources[pile.source]
        sender.pieces += 1
        before, pile.serial = pile.serial, sender.pieces
        return bool(pile.pieces and distance and pile.serial - before > distance)

    def _drop(self, key: Hashable) -> Pile:
        pile = self.piles.pop(key)
        self.octets -= pile.octets + len(pile.pieces) * _OVERHEAD
        if pile.alarm is not None:
            self._alarms.cancel(pile.alarm)
        sender = self._sources[pile.source]
        sender.piles -= 1
        if not sender.piles:
            del self._sources[pile.source]
        return pile

    def _expire(self, key: Hashable, now: int) -> None:
        self._gave_up(self._drop(key), now)


class _Source:
    """Who has unfinished packets here: how many, and how many pieces have come from there since the first."""

    def __init__(self) -> None:
        self.piles = 0
        self.pieces = 0


def _offset_of(piece: Piece) -> int:
    return piece.offset


def joined_ecn(first: int, seen: int) -> int:
    """What the joined packet's ECN field is; -1 if those of its pieces do not go together.

    first is the first piece's, seen has a bit for each value of any. RFC 3168 5.3: congestion that one piece met, the
    packet has met; but one that is not to be marked beside one that is, is no honest packet's (ip_frag_ecn_table).

    >>> joined_ecn(2, 0b1100), joined_ecn(2, 0b0100), joined_ecn(0, 0b1001)
    (3, 2, -1)
    """
    if seen & 1 and seen != 1:
        return -1
    return _CE if seen >> _CE else first


def ipv4_piece(packet: bytes) -> Piece:
    """A fragment, from its IP header to its end, as a piece."""
    length = (packet[0] & 15) * 4
    where = get16(packet, 6)
    data = packet[length:]
    more = (where & MORE_FRAGMENTS) != 0
    if more:
        data = data[: len(data) & ~7]  # Linux ip_frag_queue: what is no whole unit is cut off
    return Piece((where & _OFFSET) * 8, data, more, packet[:length], packet[1] & _ECN)


def ipv4_joined(pile: Pile) -> bytes:
    """The packet that a finished pile was cut from; empty if there is no such packet."""
    first = pile.first
    assert first is not None
    ecn = joined_ecn(first.ecn, pile.ecn)
    if ecn < 0 or len(first.header) + pile.length > _LONGEST:
        return b""
    header = bytearray(first.header)
    header[1] = header[1] & ~_ECN | ecn
    put16(header, 2, len(header) + pile.length)
    put16(header, 6, 0)
    _write_checksum(header)
    return bytes(header) + b"".join(piece.data for piece in pile.pieces)


def cut_ipv4(packet: bytes, mtu: int) -> list[bytes]:
    """The fragments of a whole IPv4 packet, or of one itself, none longer than mtu octets; empty if that cannot be.

    RFC 791 3.2: each but the last has a multiple of eight octets; options go into all of them only if they say so.
    """
    top = (packet[0] & 15) * 4
    room = (mtu - top) & ~7
    if room < 8:
        return []
    where = get16(packet, 6)
    start, goes_on = where & _OFFSET, where & MORE_FRAGMENTS
    pieces: list[bytes] = []
    header = bytearray(packet[:top])
    for offset in range(top, len(packet), room):
        data = packet[offset : offset + room]
        last = offset + room >= len(packet)
        put16(header, 2, top + len(data))
        put16(header, 6, start + (offset - top) // 8 | (goes_on if last else MORE_FRAGMENTS))
        _write_checksum(header)
        pieces.append(bytes(header) + data)
        if offset == top and top > 20:
            _blank_options(header)
    return pieces


def _blank_options(header: bytearray) -> None:
    """Takes out of a header the options that only the first fragment has (Linux ip_options_fragment)."""
    at = 20
    while at < len(header) and header[at] != _END:
        if header[at] == _NOOP:
            at += 1
            continue
        length = header[at + 1] if at + 1 < len(header) else 0
        if length < 2 or at + length > len(header):
            return
        if not header[at] & _COPIED:
            header[at : at + length] = bytes((_NOOP,)) * length
        at += length


def _write_checksum(header: bytearray) -> None:
    put16(header, 10, 0)
    put16(header, 10, checksum(header, 0, len(header)))
