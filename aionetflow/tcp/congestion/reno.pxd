import cython
from libc.stdint cimport int64_t

from aionetflow.tcp.congestion.base cimport CongestionControl

cdef class Reno(CongestionControl):
    cdef public int64_t acked
