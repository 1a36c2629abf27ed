import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.sequence cimport seq_add, seq_gt, seq_leq, seq_lt, seq_sub

cdef int64_t NEVER
cdef int _SACKED
cdef int _LOST
cdef int _RESENT
cdef int _EVER_RESENT
cdef int64_t _MIN_RTT_WINDOW

@cython.final
cdef class Run:
    cdef public uint32_t start
    cdef public uint32_t end
    cdef public int64_t sent_at
    cdef public int flags
    cdef public Run next
    cpdef bint is_sacked(self) except -1
    cpdef bint is_resent(self) except -1

@cython.final
cdef class Ack:
    cdef public uint32_t prior_una
    cdef public int64_t now
    cdef public bint advanced
    cdef public int64_t delivered
    cdef public int64_t first_sent
    cdef public int64_t last_sent
    cdef public int64_t first_sacked
    cdef public int64_t last_sacked
    cdef public bint resent
    cdef public bint original
    cdef public bint sacked
    cdef public bint dsack
    cdef public bint dsack_probe
    cdef public uint32_t reordered
    cdef public bint any_reordered
    cdef public int duplicates
    cdef public bint ece
    cdef public int64_t echoed
    cpdef note_order(self, uint32_t start)

cdef class Scoreboard:
    cdef public Run head
    cdef public Run tail
    cdef Run _spare
    cdef public int64_t sacked
    cdef public int64_t lost
    cdef public int64_t resent
    cdef public uint32_t high_seq
    cdef public uint32_t fack
    cdef public int64_t rack_sent_at
    cdef public uint32_t rack_end
    cdef public int64_t rack_rtt
    cdef public bint rack_advanced
    cdef public int64_t min_rtt
    cdef public int64_t min_rtt_at
    cpdef bint is_clean(self) except -1
    @cython.locals(tail=Run, run=Run)
    cpdef sent(self, uint32_t start, uint32_t end, int64_t now)
    cpdef sent_again(self, Run run)
    @cython.locals(run=Run, first=int64_t)
    cpdef int64_t acknowledge_plain(self, uint32_t una, int64_t now) except? -1
    @cython.locals(run=Run, partly=bint, length=int64_t)
    cpdef acknowledge(self, uint32_t una, bint selective, Ack ack)
    @cython.locals(rtt=int64_t)
    cpdef rack_advance(self, Run run, int64_t now)
    cpdef note_min_rtt(self, int64_t rtt, int64_t now)
    @cython.locals(length=int64_t)
    cpdef mark_sacked(self, Run run)
    @cython.locals(length=int64_t)
    cpdef int64_t mark_lost(self, Run run) except? -1
    @cython.locals(run=Run)
    cpdef forget_losses(self)
    @cython.locals(rest=Run)
    cpdef split(self, Run run, uint32_t at)
    @cython.locals(run=Run)
    cpdef Run first_to_resend(self)
    cpdef clear(self)
    cpdef int64_t in_flight(self, int64_t outstanding) except? -1
    @cython.locals(following=Run)
    cpdef join_sacked(self, Run run)
    cpdef _drop_head(self, Run run)

cpdef int64_t segments_in(int64_t length, int64_t mss) except? -1
cpdef uint32_t after_segments(uint32_t start, int64_t count, int64_t mss) except? -1
