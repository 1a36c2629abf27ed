import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.buffer cimport SendQueue
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.sequence cimport seq_add, seq_gt, seq_leq, seq_lt, seq_sub

cdef int64_t MAX_SEGMENT_RUN

@cython.final
cdef class Sender:
    cdef readonly SendQueue queue
    cdef public int64_t snd_wnd
    cdef public int64_t max_wnd
    cdef public int64_t mss
    cdef public int64_t limit
    cdef public int64_t most
    cdef public int64_t unsent_limit
    cdef public uint32_t iss
    cdef public uint32_t snd_una
    cdef public uint32_t snd_nxt
    cdef public uint32_t snd_wl1
    cdef public int snd_wscale
    cdef public bint syn_acked
    cdef public bint fin_queued
    cdef public bint fin_sent
    cdef public bint nodelay
    cdef public bint corked
    cdef public bint push_once
    cdef public bint more
    cdef public int64_t burst
    cdef public uint32_t snd_sml
    cpdef uint32_t in_flight(self) except? -1
    @cython.locals(flight=int64_t)
    cpdef int64_t unacknowledged(self) except? -1
    cpdef int64_t unsent(self) except? -1
    cpdef bint is_done(self) except -1
    cpdef grow(self, int64_t cwnd)
    cpdef int64_t room(self) except? -1
    @cython.locals(unsent=int64_t, usable=int64_t, length=int64_t, short=int64_t)
    cpdef int64_t next_length(self, int64_t room, int64_t mss) except? -1
    @cython.locals(flight=int64_t)
    cpdef bint fin_due(self, int64_t room) except -1
    cpdef bint is_writable(self) except -1
    cpdef sent(self, int64_t length, bint fin)
    @cython.locals(acked=int64_t, data=int64_t)
    cpdef int64_t acknowledge(self, uint32_t ack) except? -1
    cpdef bint fin_acknowledged(self) except -1
    @cython.locals(window=int64_t, newer=bint)
    cpdef bint update_window(self, Segment segment, bint advanced) except -1
    cpdef set_window(self, int64_t window)
    cpdef bint _short_may_go(self) except -1
