"""The two queues of a connection: octets waiting to be acknowledged, octets waiting to be read.

Both are chains of the application's or the link's own `bytes` and hand out slices; nothing is copied on the way in.
"""

from aionetflow.fast import store
from aionetflow.packet import TxPacket
from aionetflow.widths import i64

_LARGE = 16384  # a chunk as long as this is worth a call of the application's
_SMALL = 4096  # writes shorter than this are joined, so that one segment seldom spans many


class Chunk:
    """A link of the chain: what lies at [begin, end) of the connection's stream is at [skip, ...) of data."""

    def set(self, data: bytes, skip: i64, begin: i64, end: i64) -> None:
        """Says what it holds."""
        self.data = data
        self.skip = skip
        self.begin = begin
        self.end = end
        self.next: Chunk | None = None


class SendQueue:
    """What was written and is not yet acknowledged: position 0 is the oldest such octet."""

    def __init__(self) -> None:
        self.length: i64 = 0
        self._head: Chunk | None = None
        self._last: Chunk | None = None
        self._hint: Chunk | None = None  # in which the last look-up ended
        self.released: i64 = 0  # how much was acknowledged in all
        self._end: i64 = 0  # where the last chunk ends
        self._tail: list[bytes] | None = None  # small writes behind the last chunk, not yet joined

    def append(self, data: bytes) -> None:
        """Takes data at the end."""
        if not data:
            return
        if len(data) >= _SMALL or self._head is None:
            self.append_part(data, 0, len(data))
            return
        self.length += len(data)
        if self._tail is None:
            self._tail = [data]
        else:
            self._tail.append(data)

    def append_part(self, data: bytes, start: i64, stop: i64) -> None:
        """Takes [start, stop) of data at the end; that is not copied, however much of it is left out."""
        if self._tail is not None:
            self._join_tail()
        self.length += stop - start
        self._append_chunk(data, start, stop)

    def fill(self, packet: TxPacket, position: i64, length: i64) -> None:
        """Points a packet's payload at length octets from position on; copies only what is in three pieces or more."""
        position += self.released
        if position + length > self._end:
            self._join_tail()
        chunk = self._find(position)
        packet.length = length
        packet.payload = chunk.data
        packet.start = chunk.skip + position - chunk.begin
        packet.tail = None
        if position + length <= chunk.end:
            return
        following = chunk.next
        if following is not None and position + length <= following.end:
            packet.split = chunk.end - position
            packet.tail = following.data
            packet.tail_start = following.skip
        else:
            packet.payload = _join(chunk, position, length)
            packet.start = 0

    def release(self, length: i64) -> None:
        """Forgets the oldest octets: they were acknowledged."""
        self.released += length
        self.length -= length
        if self.released > self._end:
            self._join_tail()
        head = self._head
        while head is not None and head.end <= self.released:
            if head is self._hint:
                self._hint = None
            head = head.next
        self._head = head
        if head is None:
            self._last = None

    def __dealloc__(self) -> None:
        self.clear()  # compiled: see there

    def clear(self) -> None:
        """Forgets everything."""
        self.length = 0
        self.released = self._end
        self._hint = self._last = None
        self._tail = None
        while self._head is not None:  # one by one: a long chain that goes at once goes deep
            self._head = self._head.next

    def _append_chunk(self, data: bytes, start: i64, stop: i64) -> None:
        last = self._last
        if last is not None and last.data is data and last.skip + last.end - last.begin == start:
            self._end += stop - start  # more of a write that came in parts
            last.end = self._end
            return
        chunk = Chunk.__new__(Chunk)
        chunk.set(data, start, self._end, self._end + stop - start)
        if last is None:
            self._head = chunk
        else:
            last.next = chunk
        self._last = chunk
        self._end = chunk.end

    def _join_tail(self) -> None:
        tail = self._tail
        if tail is not None:
            data = tail[0] if len(tail) == 1 else b"".join(tail)
            self._tail = None
            self._append_chunk(data, 0, len(data))

    def _find(self, position: i64) -> Chunk:
        """The chunk that holds an octet: mostly the one that was asked for last, or the next."""
        chunk = self._hint
        if chunk is None or chunk.begin > position:
            chunk = self._head
        assert chunk is not None
        while chunk.end <= position and chunk.next is not None:
            chunk = chunk.next
        self._hint = chunk
        return chunk


def _join(chunk: Chunk, position: i64, length: i64) -> bytes:
    parts = []
    while length > 0:
        size = min(length, chunk.end - position)
        offset: i64 = chunk.skip + position - chunk.begin
        parts.append(chunk.data[offset : offset + size])
        position += size
        length -= size
        if length > 0:
            assert chunk.next is not None
            chunk = chunk.next
    return b"".join(parts)


class ReceiveQueue:
    """What was received in order and is not yet read."""

    def __init__(self) -> None:
        self.length: i64 = 0
        self._head: Chunk | None = None  # to read next; its `skip` octets have been read
        self._last: Chunk | None = None

    def append(self, data: bytes) -> None:
        """Takes data at the end."""
        if not data:
            return
        chunk = Chunk.__new__(Chunk)
        chunk.set(data, 0, 0, len(data))
        if self._last is None:
            self._head = chunk
        else:
            self._last.next = chunk
        self._last = chunk
        self.length += chunk.end

    def read(self, limit: i64) -> bytes:
        """The oldest octets, at most limit of them; a chunk that is wanted whole is handed over as it is."""
        head = self._head
        if head is None or limit <= 0:
            return b""
        available = head.end - head.skip
        if limit > available and head.next is not None:
            return self._read_many(limit)
        return self._take(head, min(limit, available))

    def read_into(self, view: memoryview) -> i64:
        """Moves the oldest octets into a writable view of octets, as many as it holds: how many."""
        room, done = len(view), 0
        head = self._head
        while done < room and head is not None:
            size = min(room - done, head.end - head.skip)
            store(view, done, head.data, head.skip, head.skip + size)
            done += size
            self._drop(head, size)
            head = self._head
        return done

    def peek(self, limit: i64) -> bytes:
        """What read would give, left where it is."""
        parts = []
        chunk = self._head
        while limit > 0 and chunk is not None:
            part = chunk.data[chunk.skip : chunk.skip + limit]
            parts.append(part)
            limit -= len(part)
            chunk = chunk.next
        return b"".join(parts)

    def __dealloc__(self) -> None:
        self.clear()  # compiled: see there

    def clear(self) -> None:
        """Forgets everything."""
        self._last = None
        while self._head is not None:  # one by one: a long chain that goes at once goes deep
            self._head = self._head.next
        self.length = 0

    def read_piece(self, limit: i64) -> bytes:
        """As read, but maybe less than there is: a large chunk is handed over as it lies, small ones are joined."""
        chunk = self._head
        whole: i64 = 0
        while chunk is not None and whole + chunk.end - chunk.skip <= limit:
            large = chunk.end - chunk.skip >= _LARGE
            if whole == 0 or not large:
                whole += chunk.end - chunk.skip
            if large:
                break
            chunk = chunk.next
        return self.read(whole if whole > 0 else limit)

    def _read_many(self, limit: i64) -> bytes:
        parts = []
        head = self._head
        while limit > 0 and head is not None:
            part = self._take(head, min(limit, head.end - head.skip))
            parts.append(part)
            limit -= len(part)
            head = self._head
        return b"".join(parts)

    def _take(self, head: Chunk, size: i64) -> bytes:
        """The next octets of the first chunk, which has so many."""
        data = head.data
        if size < head.end:
            data = data[head.skip : head.skip + size]
        self._drop(head, size)
        return data

    def _drop(self, head: Chunk, size: i64) -> None:
        """So many octets of the first chunk have been read."""
        self.length -= size
        head.skip += size
        if head.skip == head.end:
            self._head = head.next
            if self._head is None:
                self._last = None
