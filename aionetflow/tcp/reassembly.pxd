import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.sequence cimport seq_add, seq_gt, seq_leq, seq_lt, seq_sub

cdef list _NO_STARTS
cdef list _NO_BLOCKS

@cython.final
cdef class Reassembly:
    cdef readonly int64_t length
    cdef list _starts
    cdef list _blocks
    @cython.locals(index=Py_ssize_t, end=uint32_t, gap=uint32_t)
    cpdef bint insert(self, uint32_t seq, bytes data) except -1
    @cython.locals(count=Py_ssize_t, end=uint32_t, taken=list)
    cpdef list take(self, uint32_t rcv_nxt)
    cpdef clear(self)
    cpdef bint _put(self, Py_ssize_t index, uint32_t seq, bytes data) except -1
