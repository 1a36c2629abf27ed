import cython
from libc.stdint cimport int64_t

cdef int64_t INITIAL_WINDOW

cdef class CongestionControl:
    cdef public int64_t mss
    cdef public int64_t cwnd
    cdef public int64_t ssthresh
    cpdef start(self, int64_t mss)
    cpdef on_ack(self, int64_t acked, int64_t flight, int64_t now)
    cpdef on_congestion(self, int64_t flight, int64_t now)
    cpdef on_timeout(self, int64_t flight, int64_t now)
    @cython.locals(restart=int64_t)
    cpdef on_idle(self, int64_t idle, int64_t rto)
    cpdef on_mss(self, int64_t mss)
