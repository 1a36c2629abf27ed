import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.buffer cimport SendQueue
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.sequence cimport seq_add, seq_gt, seq_leq, seq_lt, seq_sub

cdef int64_t MAX_SEGMENT_RUN
cdef int64_t MIN_IP_MTU
cdef int64_t DEFAULT_MSS
cdef int64_t _LARGE_WINDOW

@cython.final
cdef class Sender:
    cdef readonly SendQueue queue
    cdef public int64_t snd_wnd
    cdef public int64_t max_wnd
    cdef public int64_t mss
    cdef public int64_t path_mss
    cdef public int64_t pushed
    cdef public object marks
    cdef public bint is_bounded
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
    @cython.locals(mss=int64_t, goal=int64_t, waiting=int64_t)
    cpdef int64_t unsent_room(self, int64_t going) except? -1
    @cython.locals(unsent=int64_t, usable=int64_t, length=int64_t, short=int64_t)
    cpdef int64_t next_length(self, int64_t room, int64_t mss) except? -1
    cpdef bint fin_due(self, int64_t room) except -1
    cpdef bint ends_here(self, int64_t length) except -1
    @cython.locals(end=int64_t, waiting=int64_t)
    cpdef wrote(self, int64_t length, bint more)
    cpdef mark_short(self, int64_t length)
    @cython.locals(start=int64_t, stop=int64_t)
    cpdef bint pushes(self, int64_t offset, int64_t length) except -1
    cpdef bint is_writable(self) except -1
    cpdef sent(self, int64_t length, bint fin)
    @cython.locals(acked=int64_t, data=int64_t)
    cpdef int64_t acknowledge(self, uint32_t ack) except? -1
    cpdef bint fin_acknowledged(self) except -1
    @cython.locals(window=int64_t, newer=bint)
    cpdef bint update_window(self, Segment segment, bint advanced) except -1
    cpdef set_window(self, int64_t window)
    @cython.locals(most=int64_t)
    cpdef int64_t fitting_mss(self, int64_t header) except? -1
    cpdef bint _short_may_go(self) except -1
    cpdef bint _is_filled_by(self, int64_t length) except -1
    @cython.locals(half=int64_t, first=int64_t, push=int64_t)
    cpdef _mark_within(self, int64_t start, int64_t end)
    cpdef _mark(self, int64_t position)
    @cython.locals(here=int64_t, mark=int64_t)
    cpdef int64_t _until_mark(self, int64_t mss) except? -1
    @cython.locals(mark=int64_t)
    cpdef bint _has_mark(self, int64_t start, int64_t stop) except -1
