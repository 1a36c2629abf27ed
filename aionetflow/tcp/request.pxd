import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.ip.route cimport Route
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.sequence cimport seq_add, seq_gt, seq_lt

cdef int64_t NEVER
cdef int RST
cdef int SYN

@cython.final
cdef class Request:
    cdef readonly object listener
    cdef readonly bytes key
    cdef public Route route
    cdef readonly bytes local
    cdef readonly bytes remote
    cdef readonly int remote_port
    cdef readonly int local_port
    cdef readonly uint32_t iss
    cdef readonly uint32_t irs
    cdef int _flags
    cdef uint32_t _window
    cdef int _mark
    cdef bytes _frame
    cdef Py_ssize_t _options
    cdef Py_ssize_t _options_end
    cdef public int timeouts
    cdef public bint retransmitted
    cdef public bint acknowledged
    cdef readonly int64_t sent_at
    cdef public int64_t answered_at
    cdef public int64_t due
    cdef public Request before
    cdef public Request after
    cpdef fill(self, Segment syn)
    @cython.locals(left=uint32_t, right=uint32_t, end=uint32_t)
    cpdef bint acceptable(self, Segment segment, uint32_t window) except -1
    cpdef bint is_reset_by(self, Segment segment) except -1
    cpdef bint is_repeated_by(self, Segment segment) except -1

@cython.final
cdef class Row:
    cdef public Request first
    cdef public Request last
    cpdef append(self, Request request)
    @cython.locals(before=Request, after=Request)
    cpdef remove(self, Request request)
