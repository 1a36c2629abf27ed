import cython
from libc.stdint cimport int64_t

from aionetflow._fast cimport store
from aionetflow.packet cimport TxPacket

cdef Py_ssize_t _SMALL
cdef Py_ssize_t _LARGE

@cython.final
cdef class Chunk:
    cdef readonly bytes data
    cdef readonly int64_t skip
    cdef readonly int64_t begin
    cdef readonly int64_t end
    cdef readonly Chunk next
    cdef void set(self, bytes data, int64_t skip, int64_t begin, int64_t end) noexcept

@cython.final
cdef class SendQueue:
    cdef readonly int64_t length
    cdef Chunk _head
    cdef Chunk _last
    cdef Chunk _hint
    cdef readonly int64_t released
    cdef int64_t _end
    cdef list _tail
    cpdef append(self, bytes data)
    cpdef append_part(self, bytes data, int64_t start, int64_t stop)
    @cython.locals(chunk=Chunk, following=Chunk)
    cpdef fill(self, TxPacket packet, int64_t position, int64_t length)
    @cython.locals(head=Chunk)
    cpdef release(self, int64_t length)
    cpdef clear(self)
    @cython.locals(chunk=Chunk, last=Chunk)
    cdef _append_chunk(self, bytes data, int64_t start, int64_t stop)
    @cython.locals(data=bytes, tail=list)
    cdef _join_tail(self)
    @cython.locals(chunk=Chunk)
    cdef Chunk _find(self, int64_t position)

@cython.locals(size=int64_t, offset=int64_t, parts=list)
cdef bytes _join(Chunk chunk, int64_t position, int64_t length)

@cython.final
cdef class ReceiveQueue:
    cdef readonly int64_t length
    cdef Chunk _head
    cdef Chunk _last
    @cython.locals(chunk=Chunk)
    cpdef append(self, bytes data)
    @cython.locals(head=Chunk, available=int64_t)
    cpdef bytes read(self, int64_t limit)
    @cython.locals(chunk=Chunk, whole=int64_t, large=bint)
    cpdef bytes read_piece(self, int64_t limit)
    @cython.locals(head=Chunk, room=int64_t, done=int64_t, size=int64_t)
    cpdef int64_t read_into(self, object view) except? -1
    @cython.locals(chunk=Chunk, part=bytes, parts=list)
    cpdef bytes peek(self, int64_t limit)
    cpdef clear(self)
    @cython.locals(head=Chunk, part=bytes, parts=list)
    cdef bytes _read_many(self, int64_t limit)
    @cython.locals(data=bytes)
    cdef bytes _take(self, Chunk head, int64_t size)
    cdef _drop(self, Chunk head, int64_t size)
