import cython
from libc.stdint cimport int64_t

from aionetflow.packet cimport TxPacket

cdef Py_ssize_t _SMALL
cdef Py_ssize_t _LARGE

cdef class SendQueue:
    cdef readonly int64_t length
    cdef list _chunks
    cdef list _starts
    cdef list _skips
    cdef int64_t _released
    cdef int64_t _end
    cdef list _tail
    cdef int64_t _hint
    cpdef void append(self, bytes data)
    cpdef void append_part(self, bytes data, int64_t start, int64_t stop)
    @cython.locals(index=int64_t)
    cpdef void fill(self, TxPacket packet, int64_t position, int64_t length)
    @cython.locals(done=int64_t)
    cpdef void release(self, int64_t length)
    cpdef void clear(self)
    cpdef void _append_chunk(self, bytes data, int64_t start, int64_t stop)
    cpdef int64_t _end_of(self, int64_t index)
    @cython.locals(data=bytes)
    cpdef void _join_tail(self)
    @cython.locals(index=int64_t)
    cpdef int64_t _find(self, int64_t position)
    @cython.locals(size=int64_t, offset=int64_t, parts=list)
    cpdef bytes _join(self, int64_t index, int64_t position, int64_t length)

cdef class ReceiveQueue:
    cdef readonly int64_t length
    cdef list _chunks
    cdef int64_t _first
    cdef int64_t _offset
    cpdef void append(self, bytes data)
    @cython.locals(chunk=bytes, available=int64_t, data=bytes)
    cpdef bytes read(self, int64_t limit)
    @cython.locals(chunk=bytes)
    cpdef bytes read_piece(self, int64_t limit)
    @cython.locals(chunk=bytes, limit=int64_t, done=int64_t, size=int64_t)
    cpdef int64_t read_into(self, object view)
    @cython.locals(index=int64_t, offset=int64_t, part=bytes, parts=list)
    cpdef bytes peek(self, int64_t limit)
    cpdef void clear(self)
    @cython.locals(chunk=bytes, part=bytes, parts=list)
    cpdef bytes _read_many(self, int64_t limit)
    cpdef void _forget_read(self)
