import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.segment cimport Segment

cdef int64_t DELAYED_ACK_MAX
cdef int64_t DELAYED_ACK_MIN
cdef int DUP_ACK_THRESHOLD
cdef int MAX_QUICK_ACKS
cdef int64_t NEVER
cdef int _PSH
cdef int _MAX_PING_PONG

@cython.final
cdef class Acknowledgments:
    cdef public int64_t ato
    cdef public int64_t received_at
    cdef public bint scheduled
    cdef public int pushed
    cdef public int quick
    cdef public int ping_pong
    cdef public int ahead
    cdef public uint32_t ahead_nxt
    cdef public int compressed
    @cython.locals(gap=int64_t)
    cpdef on_data(self, Segment segment, Receiver rcv, int64_t rto, int64_t now)
    cpdef bint is_due(self, Receiver rcv) except -1
    cpdef bint reports_ahead(self, uint32_t rcv_nxt, int most) except -1
    @cython.locals(wait=int64_t)
    cpdef int64_t wait_until(self, int64_t armed, int64_t srtt, int64_t now) except? -1
    cpdef on_timeout(self, int64_t rto)
    cpdef on_sent(self, bint tight)
    cpdef on_data_sent(self, int64_t now)
    @cython.locals(ended=bint)
    cpdef bint after_read(self, Receiver rcv) except -1
    cpdef be_quick(self, Receiver rcv)
    @cython.locals(count=int64_t)
    cdef _add_quick(self, Receiver rcv)
