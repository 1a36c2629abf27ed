import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.sequence cimport seq_add, seq_gt, seq_leq, seq_lt, seq_sub

@cython.final
cdef class Reassembly:
    cdef readonly int64_t length
    cdef list _starts
    cdef list _blocks
    cdef list _recent
    @cython.locals(begin=uint32_t, stop=uint32_t)
    cpdef bint insert(self, uint32_t seq, bytes data) except -1
    cpdef note_fin(self, uint32_t seq)
    cpdef int recent_count(self) except? -1
    cpdef tuple recent(self, Py_ssize_t number)
    @cython.locals(kept=list, start=uint32_t, end=uint32_t)
    cpdef _note_recent(self, uint32_t begin, uint32_t stop)
    @cython.locals(index=Py_ssize_t, end=uint32_t, gap=uint32_t)
    cpdef bint _insert(self, uint32_t seq, bytes data) except -1
    @cython.locals(count=Py_ssize_t, end=uint32_t, taken=list)
    cpdef list take(self, uint32_t rcv_nxt)
    cpdef clear(self)
    cpdef bint _put(self, Py_ssize_t index, uint32_t seq, bytes data) except -1
