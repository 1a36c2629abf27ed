import cython
from libc.stdint cimport int64_t

@cython.final
cdef class Patience:
    cdef public int64_t user_timeout
    cdef public int64_t idle
    cdef public int64_t interval
    cdef public int64_t probed_at
    cdef public int syn_retries
    cdef public int orphan_seconds
    cdef public int count
    cdef public int probes
    cdef public bint keep_alive
