"""IPv4's identification numbers, where a packet needs one that no other from the same source has (RFC 6864 4.2).

Numbers count up, by one counter for each of many groups of (source, destination, protocol): whoever is sent to by this
host learns nothing of how much it sends to others (RFC 7739 5, Linux __ip_select_ident).
"""

from hashlib import blake2s

_GROUPS = 2048  # Linux IP_IDENTS_SZ's minimum
_M32 = 0xFFFFFFFF
_REMEMBERED = 4096


class Identifications:
    """The counters of one host; `secret` decides who shares one and where they begin.

    >>> idents = Identifications(7)
    >>> first = idents.next(b"aaaa", b"bbbb", 17)
    >>> idents.next(b"aaaa", b"bbbb", 17) == (first + 1) & 0xFFFF
    True
    """

    def __init__(self, secret: int = 0) -> None:
        self.secret = secret
        self._counters: dict[int, int] = {}
        self._groups: dict[bytes, int] = {}
        # of the last packet: to many go many
        self._source = self._destination = b""
        self._protocol = self._group = -1

    def next(self, source: bytes, destination: bytes, protocol: int) -> int:
        """The number for the next packet from there to there."""
        if destination is not self._destination or source is not self._source or protocol != self._protocol:
            self._source, self._destination, self._protocol = source, destination, protocol
            self._group = self._group_of(source + destination + bytes((protocol,)))
        number = self._counters[self._group]
        self._counters[self._group] = (number + 1) & 0xFFFF
        return number

    def _group_of(self, key: bytes) -> int:
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= _REMEMBERED:
                self._groups.clear()
            secret = (self.secret & _M32).to_bytes(4, "big")
            digest = int.from_bytes(blake2s(key, key=secret, digest_size=4).digest(), "big")
            group = self._groups[key] = digest % _GROUPS
            self._counters.setdefault(group, digest >> 16)
        return group
