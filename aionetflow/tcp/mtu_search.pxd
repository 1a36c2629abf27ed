import cython
from libc.stdint cimport int64_t, uint32_t

@cython.final
cdef class MtuSearch:
    cdef public int64_t low
    cdef public int64_t high
    cdef public int64_t since
    cdef public int64_t probe_size
    cdef public uint32_t probe_start
    cdef public uint32_t probe_end
