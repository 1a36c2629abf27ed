import cython
from libc.stdint cimport int64_t, uint32_t

@cython.final
cdef class Pace:
    cdef public int64_t asked
    cdef public int64_t most
    cdef public uint32_t until
    cdef public int64_t next_at
    cdef public uint32_t counted
    cdef public int64_t counted_again
