import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.buffer cimport ReceiveQueue
from aionetflow.tcp.reassembly cimport Reassembly
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.sequence cimport seq_add, seq_geq, seq_gt, seq_leq, seq_lt, seq_sub

cdef int64_t DEFAULT_MSS
cdef int64_t MIN_MSS
cdef int64_t TCP_TUNED_RTT
cdef int _REMNANT
cdef int64_t _LARGEST_FIELD
cdef int64_t _WORTH_MORE
cdef int _OLD
cdef int _IN_ORDER
cdef int _OUT_OF_ORDER
cdef int _REFUSED
cdef Reassembly _EMPTY

@cython.final
cdef class Receiver:
    cdef readonly ReceiveQueue queue
    cdef readonly Reassembly reassembly
    cdef public int64_t mss
    cdef public int64_t last_size
    cdef public int64_t low_water
    cdef public int64_t clamp
    cdef public int64_t limit
    cdef public int64_t most
    cdef readonly int64_t trusted
    cdef readonly int64_t full
    cdef readonly int64_t reserved
    cdef public int64_t tuned_at
    cdef readonly int64_t received
    cdef public uint32_t tuned_nxt
    cdef public int64_t ts_recent_at
    cdef public uint32_t ts_recent
    cdef public uint32_t dsack_start
    cdef public uint32_t dsack_end
    cdef public bint dsack_due
    cdef public uint32_t irs
    cdef public uint32_t rcv_nxt
    cdef public uint32_t rcv_wup
    cdef public uint32_t rcv_adv
    cdef public int rcv_wscale
    cdef public bint fin_received
    cdef public uint32_t fin_seq
    cdef public bint ended
    cdef public bint told_closed
    cpdef start(self, uint32_t irs)
    @cython.locals(end=uint32_t)
    cpdef bint acceptable(self, Segment segment) except -1
    @cython.locals(
        seq=uint32_t, data=bytes, behind=uint32_t, edge=uint32_t, room=uint32_t, held=int64_t, block=bytes)
    cpdef int take(self, Segment segment) except? -1
    cpdef take_next(self, Segment segment)
    @cython.locals(length=int64_t, count=int64_t, last=int64_t)
    cpdef bint measure(self, Segment segment) except -1
    @cython.locals(fin_seq=uint32_t)
    cpdef note_fin(self, Segment segment)
    cpdef bint reaches_fin(self) except -1
    @cython.locals(offered=int64_t, unit=int64_t)
    cpdef int64_t window(self) except? -1
    cpdef int64_t first_window(self, int64_t mss) except? -1
    cpdef offer_first(self, int64_t mss)
    @cython.locals(most=int64_t)
    cpdef reserve(self, int64_t full)
    @cython.locals(full=int64_t, free=int64_t, mss=int64_t, unit=int64_t, window=int64_t)
    cpdef int64_t select_window(self) except? -1
    @cython.locals(offered=int64_t, window=int64_t)
    cpdef bint window_opened(self) except -1
    cpdef bint keeps_window(self) except -1
    cpdef uint32_t offered(self) except? -1
    cpdef int64_t open(self) except? -1
    cpdef int64_t free(self) except? -1
    cpdef bint is_tight(self) except -1
    @cython.locals(length=int64_t)
    cpdef bint is_readable(self) except -1
    cpdef uint32_t unacknowledged(self) except? -1
    @cython.locals(done=uint32_t, wanted=int64_t)
    cpdef grow(self, int64_t rtt, int64_t now)
    @cython.locals(most=int64_t)
    cpdef int64_t _most_offered(self) except? -1
    @cython.locals(space=int64_t)
    cpdef int64_t _first_space(self, int64_t mss) except? -1
    @cython.locals(room=int64_t)
    cpdef _widen(self, int64_t length)
    cpdef _deliver(self, bytes data)
