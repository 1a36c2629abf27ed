import cython
from libc.stdint cimport int64_t

from aionetflow.tcp.congestion.base cimport CongestionControl

cdef int64_t INFINITE
cdef int64_t NEVER
cdef int64_t SECOND
cdef int64_t _BETA
cdef int64_t _SCALE
cdef int64_t _CUBE_FACTOR
cdef int64_t _FRIENDLY
cdef int64_t _LONGEST
cdef int64_t _UPDATE_TIME
cdef int64_t _MIN_RTT_THRESH
cdef int64_t _MAX_RTT_THRESH
cdef int64_t _RTT_DIVISOR
cdef int _SAMPLES
cdef int64_t _CSS_GROWTH_DIVISOR
cdef int64_t _CSS_ROUNDS

cdef class Cubic(CongestionControl):
    cdef public int64_t epoch
    cdef public int64_t w_max
    cdef public int64_t origin
    cdef public int64_t k
    cdef public int64_t w_est
    cdef public int64_t acked
    cdef public int64_t toward
    cdef public int64_t count
    cdef public int64_t looked_at
    cdef public int64_t looked_cwnd
    cdef public int64_t delay_min
    cdef public int64_t round
    cdef public int64_t last_round_rtt
    cdef public int64_t round_rtt
    cdef public int64_t css_baseline
    cdef public int64_t css_round
    cdef public int samples
    @cython.locals(threshold=int64_t)
    cpdef _watch_delay(self, int64_t rtt)
    @cython.locals(cwnd=int64_t)
    cpdef int64_t on_loss(self, int64_t now) except? -1
    @cython.locals(cwnd=int64_t)
    cpdef _update(self, int64_t acked, int64_t now)
    cpdef _begin_epoch(self, int64_t cwnd, int64_t acked, int64_t now)
    @cython.locals(time=int64_t, offset=int64_t, delta=int64_t, target=int64_t)
    cpdef _aim(self, int64_t cwnd, int64_t now)
    @cython.locals(per_segment=int64_t)
    cpdef _be_friendly(self, int64_t cwnd)
    @cython.locals(needed=int64_t)
    cpdef _grow(self, int64_t acked)

@cython.locals(root=int64_t, trial=int64_t, bit=int)
cpdef int64_t cube_root(int64_t value) except? -1
