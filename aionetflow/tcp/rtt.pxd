import cython
from libc.stdint cimport int64_t

cdef int64_t RTO_MAX
cdef int64_t RTO_MIN

@cython.final
cdef class RttEstimator:
    cdef public int64_t srtt
    cdef public int64_t rttvar
    cdef public int64_t base_rto
    cdef public int backoff
    cpdef sample(self, int64_t rtt)
    @cython.locals(rto=int64_t, _=int)
    cpdef int64_t rto(self) except? -1
