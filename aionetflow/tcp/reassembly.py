"""What was received ahead of its turn (RFC 9293 3.10.7.4 seventh, RFC 5681 4.2).

Blocks are kept in order and do not overlap; where two say different things, the one that came first stays.
"""

from aionetflow.tcp.sequence import seq_add, seq_gt, seq_leq, seq_lt, seq_sub
from aionetflow.widths import i64, u32

_MAX_RECENT = 4  # what the options of a segment hold
MAX_BLOCKS = 1024  # against peers that send single octets with holes between them


class Reassembly:
    """The out-of-order store of one connection. Its caller bounds it by the receive window."""

    def __init__(self) -> None:
        self.length: i64 = 0
        self._starts: list[int] = []
        self._blocks: list[bytes] = []
        self._recent: list[tuple[int, int]] = []  # what SACK reports: the blocks that changed last, newest first

    def insert(self, seq: u32, data: bytes) -> bool:
        """Keeps what is not there yet of data at seq; False if there are too many blocks."""
        begin, stop = seq, seq_add(seq, len(data))
        if not self._insert(seq, data):
            return False
        self._note_recent(begin, stop)
        return True

    def note_fin(self, seq: u32) -> None:
        """A FIN came ahead of its turn: SACK reports its number as if it were an octet (Linux tcp_data_queue_ofo)."""
        self._note_recent(seq, seq_add(seq, 1))

    def recent_count(self) -> int:
        """How many blocks there are to report."""
        return len(self._recent)

    def recent(self, number: int) -> tuple[int, int]:
        """The block that changed last but number, as (first sequence number, the one after the last)."""
        return self._recent[number]

    def _note_recent(self, begin: u32, stop: u32) -> None:
        """RFC 2018 4: the block that holds what came last is reported first (Linux tcp_sack_new_ofo_skb)."""
        kept = []
        for start, end in self._recent:
            if seq_leq(start, stop) and seq_leq(begin, end):
                begin = start if seq_lt(start, begin) else begin
                stop = end if seq_gt(end, stop) else stop
            else:
                kept.append((start, end))
        self._recent = [(begin, stop), *kept[: _MAX_RECENT - 1]]

    def _insert(self, seq: u32, data: bytes) -> bool:
        index = len(self._starts)
        while index > 0 and seq_lt(seq, self._starts[index - 1]):
            index -= 1
        if index > 0:
            end = seq_add(self._starts[index - 1], len(self._blocks[index - 1]))
            if seq_gt(end, seq):
                data = data[seq_sub(end, seq) :]  # the block before covers its beginning
                seq = end
        while data and index < len(self._starts) and seq_gt(seq_add(seq, len(data)), self._starts[index]):
            gap = seq_sub(self._starts[index], seq)
            if not self._put(index, seq, data[:gap]):
                return False
            index += 1 if gap else 0
            end = seq_add(self._starts[index], len(self._blocks[index]))
            data = data[seq_sub(end, seq) :] if seq_lt(end, seq_add(seq, len(data))) else b""
            seq = end
            index += 1
        return self._put(index, seq, data)

    def take(self, rcv_nxt: u32) -> list[bytes]:
        """The blocks that follow rcv_nxt without a gap, in order; they leave the store."""
        taken: list[bytes] = []
        count = 0
        while count < len(self._starts) and seq_leq(self._starts[count], rcv_nxt):
            end = seq_add(self._starts[count], len(self._blocks[count]))
            self.length -= len(self._blocks[count])
            if seq_gt(end, rcv_nxt):
                taken.append(self._blocks[count][seq_sub(rcv_nxt, self._starts[count]) :])
                rcv_nxt = end
            count += 1
        del self._starts[:count]
        del self._blocks[:count]
        self._recent = [block for block in self._recent if seq_gt(block[0], rcv_nxt)]
        return taken

    def blocks(self) -> list[tuple[int, int]]:
        """What is held, as (first sequence number, the one after the last), adjacent blocks joined."""
        joined: list[tuple[int, int]] = []
        for start, block in zip(self._starts, self._blocks, strict=True):
            end = seq_add(start, len(block))
            if joined and joined[-1][1] == start:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
        return joined

    def clear(self) -> None:
        """Forgets everything."""
        self._starts.clear()
        self._blocks.clear()
        self._recent.clear()
        self.length = 0

    def _put(self, index: i64, seq: u32, data: bytes) -> bool:
        if not data:
            return True
        if len(self._starts) >= MAX_BLOCKS:
            return False
        self._starts.insert(index, seq)
        self._blocks.insert(index, data)
        self.length += len(data)
        return True
