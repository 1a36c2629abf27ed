import cython
from libc.stdint cimport int64_t

from aionetflow.tcp.congestion.base cimport CongestionControl

cdef class Reno(CongestionControl):
    cdef public int64_t acked
    @cython.locals(grown=int64_t)
    cpdef on_ack(self, int64_t acked, int64_t flight, int64_t now)
