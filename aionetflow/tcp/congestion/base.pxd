import cython
from libc.stdint cimport int64_t

cdef int64_t INITIAL_WINDOW
cdef dict _kinds

cdef class CongestionControl:
    cdef public int64_t mss
    cdef public int64_t cwnd
    cdef public int64_t ssthresh
    cdef public int64_t rounds
    cdef public bint limited
    cdef public bint paces
    cdef public int64_t pacing_rate
    cdef public bint keeps_window
    cpdef start(self, int64_t mss)
    cpdef on_ack(self, int64_t acked, int64_t rtt, int64_t now)
    cpdef int64_t on_loss(self, int64_t now) except? -1
    cpdef on_timeout(self, int64_t now)
    cpdef int64_t undo(self, int64_t prior_cwnd) except? -1
    cpdef on_restart(self, int64_t idle, int64_t now)
    cpdef on_mss(self, int64_t mss)
    cpdef int64_t initial_window(self) except? -1
    @cython.locals(grown=int64_t, rest=int64_t)
    cpdef int64_t slow_start(self, int64_t acked) except? -1

cpdef CongestionControl create(str name)
