"""Which messages of a peer have come already (RFC 6479: a ring of blocks of bits, so that nothing is ever shifted)."""

_BLOCK = 64
_BLOCKS = 128
# One block is always half empty, half of a round ago.
WINDOW = (_BLOCKS - 1) * _BLOCK


class ReplayWindow:
    """The counters seen, of the last 8,128 up to the greatest.

    >>> window = ReplayWindow()
    >>> window.mark(0, 9)
    >>> window.next, window.seen(9), window.seen(10)
    (10, True, False)
    >>> window.mark(20_000, 20_000)
    >>> window.late(9), window.late(20_001 - WINDOW), window.seen(19_999)
    (True, False, False)
    """

    __slots__ = ("next", "_blocks")

    def __init__(self) -> None:
        self.next = 0  # one after the greatest counter seen
        self._blocks = [0] * _BLOCKS

    def late(self, counter: int) -> bool:
        """Is it so old that nobody knows whether it came already?"""
        return counter + WINDOW < self.next

    def seen(self, counter: int) -> bool:
        """Has this counter, which is not late, come already?"""
        if counter >= self.next:
            return False
        return self._blocks[counter // _BLOCK % _BLOCKS] >> counter % _BLOCK & 1 == 1

    def mark(self, first: int, last: int) -> None:
        """All counters from `first` to `last` have come; none of them is late, and they all fit into the window."""
        blocks = self._blocks
        newest = last // _BLOCK
        if newest == first // _BLOCK == (self.next - 1) // _BLOCK:  # nearly always: all in the newest block there is
            blocks[newest % _BLOCKS] |= (2 << last % _BLOCK) - (1 << first % _BLOCK)
            self.next = max(self.next, last + 1)
            return
        if last >= self.next:
            old = (self.next - 1) // _BLOCK  # -1 at the beginning: block 0 is emptied too
            for block in range(max(old, newest - _BLOCKS) + 1, newest + 1):
                blocks[block % _BLOCKS] = 0
            self.next = last + 1
        for block in range(first // _BLOCK, newest + 1):
            low = max(first - block * _BLOCK, 0)
            high = min(last - block * _BLOCK, _BLOCK - 1)
            blocks[block % _BLOCKS] |= (2 << high) - (1 << low)
