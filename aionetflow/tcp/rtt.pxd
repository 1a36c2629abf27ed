import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.sequence cimport seq_gt

cdef int64_t RTO_MAX
cdef int64_t RTO_MIN

@cython.final
cdef class RttEstimator:
    cdef public int64_t srtt
    cdef public int64_t mdev
    cdef public int64_t mdev_max
    cdef public int64_t rttvar
    cdef public int64_t base_rto
    cdef public uint32_t rtt_seq
    cdef public int backoff
    cpdef sample(self, int64_t rtt, uint32_t snd_una, uint32_t snd_nxt)
    @cython.locals(error=int64_t)
    cpdef _update(self, int64_t rtt)
    @cython.locals(rto=int64_t, _=int)
    cpdef int64_t rto(self) except? -1
