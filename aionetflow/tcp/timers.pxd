import cython
from libc.stdint cimport int64_t

cdef int64_t NEVER

@cython.final
cdef class Timers:
    cdef public int64_t retransmit
    cdef public int64_t persist
    cdef public int64_t delayed_ack
    cdef public int64_t pacing
    cdef public int64_t wait
    @cython.locals(earliest=int64_t)
    cpdef int64_t deadline(self) except? -1
    cpdef stop(self)
