"""The two queues of a connection: octets waiting to be acknowledged, octets waiting to be read.

Both hold the application's or the link's own `bytes` and hand out slices; nothing is copied on the way in.
"""

from aionetflow.packet import TxPacket
from aionetflow.widths import i64

_LARGE = 16384  # a chunk as long as this is worth a call of the application's
_SMALL = 4096  # writes shorter than this are joined, so that one segment seldom spans many


class SendQueue:
    """What was written and is not yet acknowledged: position 0 is the oldest such octet."""

    def __init__(self) -> None:
        self.length: i64 = 0
        self._chunks: list[bytes] = []
        self._starts: list[int] = []  # where each chunk begins, counted from the connection's first octet
        self._skips: list[int] = []  # and how many octets of its object lie before that
        self._released: i64 = 0  # how much was acknowledged in all
        self._end: i64 = 0  # where the last chunk ends
        self._tail: list[bytes] = []  # small writes behind the last chunk, not yet joined
        self._hint: i64 = 0  # the chunk in which the last look-up ended

    def append(self, data: bytes) -> None:
        """Takes data at the end."""
        if not data:
            return
        self.length += len(data)
        if len(data) < _SMALL and self._chunks:
            self._tail.append(data)
            return
        self._join_tail()
        self._append_chunk(data, 0, len(data))

    def append_part(self, data: bytes, start: i64, stop: i64) -> None:
        """Takes [start, stop) of data at the end; that is not copied, however much of it is left out."""
        self._join_tail()
        self.length += stop - start
        self._append_chunk(data, start, stop)

    def fill(self, packet: TxPacket, position: i64, length: i64) -> None:
        """Points a packet's payload at length octets from position on; copies only what lies in pieces."""
        position += self._released
        if position + length > self._end:
            self._join_tail()
        index = self._find(position)
        if position + length > self._end_of(index):
            packet.payload = self._join(index, position, length)
            packet.start = 0
        else:
            packet.payload = self._chunks[index]
            packet.start = self._skips[index] + position - self._starts[index]
        packet.length = length

    def release(self, length: i64) -> None:
        """Forgets the oldest octets: they were acknowledged."""
        self._released += length
        self.length -= length
        if self._released > self._end:
            self._join_tail()
        done = 0
        while done < len(self._chunks) and self._end_of(done) <= self._released:
            self._chunks[done] = b""  # the octets go now, their place in the list later
            done += 1
        # chunks go in groups, so that taking from the front of the list costs little
        if done == len(self._chunks):
            self._chunks.clear()
            self._starts.clear()
            self._skips.clear()
            self._hint = 0
        elif done >= 32:
            del self._chunks[:done]
            del self._starts[:done]
            del self._skips[:done]
            self._hint = self._hint - done if self._hint > done else 0

    def clear(self) -> None:
        """Forgets everything."""
        self.length = 0
        self._released = self._end
        self._chunks.clear()
        self._starts.clear()
        self._skips.clear()
        self._tail.clear()
        self._hint = 0

    def _append_chunk(self, data: bytes, start: i64, stop: i64) -> None:
        self._chunks.append(data)
        self._starts.append(self._end)
        self._skips.append(start)
        self._end += stop - start

    def _end_of(self, index: i64) -> i64:
        """Where a chunk ends: at the beginning of the next."""
        return self._starts[index + 1] if index + 1 < len(self._starts) else self._end

    def _join_tail(self) -> None:
        if self._tail:
            data = self._tail[0] if len(self._tail) == 1 else b"".join(self._tail)
            self._append_chunk(data, 0, len(data))
            self._tail.clear()

    def _find(self, position: i64) -> i64:
        """The chunk that holds an octet: mostly the one that was asked for last, or the next."""
        index = self._hint
        if index >= len(self._chunks) or self._starts[index] > position:
            index = 0
        while index + 1 < len(self._chunks) and self._starts[index + 1] <= position:
            index += 1
        self._hint = index
        return index

    def _join(self, index: i64, position: i64, length: i64) -> bytes:
        parts = []
        while length > 0:
            size = min(length, self._end_of(index) - position)
            offset: i64 = self._skips[index] + position - self._starts[index]
            parts.append(self._chunks[index][offset : offset + size])
            position += size
            length -= size
            index += 1
        return b"".join(parts)


class ReceiveQueue:
    """What was received in order and is not yet read."""

    def __init__(self) -> None:
        self.length: i64 = 0
        self._chunks: list[bytes] = []
        self._first: i64 = 0  # the chunk to read next
        self._offset: i64 = 0  # how much of it has been read

    def append(self, data: bytes) -> None:
        """Takes data at the end."""
        self._chunks.append(data)
        self.length += len(data)

    def read(self, limit: i64) -> bytes:
        """The oldest octets, at most limit of them; a chunk that is wanted whole is handed over as it is."""
        if self.length == 0 or limit <= 0:
            return b""
        chunk = self._chunks[self._first]
        available = len(chunk) - self._offset
        if available <= limit and available == self.length:
            data = chunk[self._offset :] if self._offset else chunk
            self.clear()
            return data
        if limit == available and self._offset == 0:
            self._chunks[self._first] = b""  # the octets are the reader's now
            self._first += 1
            self.length -= limit
            self._forget_read()
            return chunk
        if limit < available:
            data = chunk[self._offset : self._offset + limit]
            self._offset += limit
            self.length -= limit
            return data
        return self._read_many(limit)

    def read_into(self, view: memoryview) -> i64:
        """Moves the oldest octets into a writable view of octets, as many as it holds: how many."""
        limit = len(view)
        done = 0
        while done < limit and self._first < len(self._chunks):
            chunk = self._chunks[self._first]
            size = min(limit - done, len(chunk) - self._offset)
            view[done : done + size] = memoryview(chunk)[self._offset : self._offset + size]
            done += size
            self._offset += size
            if self._offset == len(chunk):
                self._chunks[self._first] = b""
                self._first += 1
                self._offset = 0
        self.length -= done
        if self.length == 0:
            self.clear()
        self._forget_read()
        return done

    def peek(self, limit: i64) -> bytes:
        """What read would give, left where it is."""
        parts = []
        index, offset = self._first, self._offset
        while limit > 0 and index < len(self._chunks):
            part = self._chunks[index][offset : offset + limit]
            parts.append(part)
            limit -= len(part)
            index += 1
            offset = 0
        return b"".join(parts)

    def clear(self) -> None:
        """Forgets everything."""
        self._chunks.clear()
        self._first = 0
        self._offset = 0
        self.length = 0

    def read_piece(self, limit: i64) -> bytes:
        """As read, but maybe less than there is: a large chunk is handed over as it lies, without a copy."""
        if self.length > 0:
            chunk = self._chunks[self._first]
            if self._offset == 0 and _LARGE <= len(chunk) <= limit:
                limit = len(chunk)
        return self.read(limit)

    def _read_many(self, limit: i64) -> bytes:
        parts = []
        while limit > 0 and self._first < len(self._chunks):
            chunk = self._chunks[self._first]
            part = chunk[self._offset : self._offset + limit] if self._offset or limit < len(chunk) else chunk
            parts.append(part)
            limit -= len(part)
            self.length -= len(part)
            self._offset += len(part)
            if self._offset == len(chunk):
                self._chunks[self._first] = b""  # the octets are the reader's now
                self._first += 1
                self._offset = 0
        self._forget_read()
        return b"".join(parts) if len(parts) > 1 else parts[0]

    def _forget_read(self) -> None:
        """Chunks go in groups, so that taking from the front of the list costs little."""
        if self._first >= 32:
            del self._chunks[: self._first]
            self._first = 0
