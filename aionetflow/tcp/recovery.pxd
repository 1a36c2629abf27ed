import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.congestion.base cimport CongestionControl
from aionetflow.tcp.rtt cimport RttEstimator
from aionetflow.tcp.scoreboard cimport Run, Scoreboard, segments_in
from aionetflow.tcp.sequence cimport seq_gt, seq_lt

cdef int64_t NEVER
cdef int64_t INFINITE
cdef int _OPEN
cdef int _DISORDER
cdef int _CWR
cdef int _RECOVERY
cdef int _LOSS

@cython.final
cdef class Recovery(Scoreboard):
    cdef public CongestionControl cc
    cdef readonly RttEstimator rtt
    cdef public int state
    cdef public int pending
    cdef public bint selective
    cdef public int reordering
    cdef public bint reord_seen
    cdef public int64_t delivered
    cdef public int64_t prior_cwnd
    cdef public int64_t prior_ssthresh
    cdef public int64_t prr_delivered
    cdef public int64_t prr_out
    cdef public bint undo_possible
    cdef public uint32_t undo_marker
    cdef public int undo_retrans
    cdef public int64_t retrans_stamp
    cdef public bint frto
    cdef public bint resend_held
    cdef public bint head_due
    cdef public bint probing
    cdef public bint probe_resent
    cdef public uint32_t probe_end
    cdef public bint dsack_seen
    cdef public int64_t dsack_count
    cdef public int reo_wnd_steps
    cdef public int reo_wnd_persist
    cdef public int64_t last_delivered
    cdef public bint window_full
    cdef public int64_t max_out
    cdef public uint32_t usage_seq
    cdef public int64_t cwnd_used
    cdef public int64_t cwnd_stamp
    cdef public uint32_t round_end
    cpdef take_over(self, CongestionControl cc)
    cpdef int64_t room(self, int64_t outstanding) except? -1
    cpdef bint wants_to_resend(self) except -1
    cpdef int64_t current_ssthresh(self) except? -1
    cpdef bint is_reducing(self) except -1
    @cython.locals(flight=int64_t, limited=bint, cc=CongestionControl)
    cpdef validate(self, int64_t outstanding, uint32_t snd_nxt, uint32_t snd_una, int64_t now)
    cpdef bint is_limited(self) except -1
    cpdef grow(self, int64_t acked, int64_t rtt, int64_t now)
    @cython.locals(used=int64_t)
    cpdef _wear_off(self, int64_t now)
    cpdef begin_reduction(self, uint32_t snd_nxt, int64_t now)
    @cython.locals(cc=CongestionControl, flight=int64_t, delta=int64_t, share=int64_t, allowed=int64_t)
    cpdef reduce(self, int64_t delivered, int64_t newly_lost, bint advanced, int64_t outstanding)
    cpdef end_reduction(self, int64_t now)
    cpdef enter_cwr(self, uint32_t snd_nxt, int64_t now)
    cpdef enter_recovery(self, uint32_t snd_una, uint32_t snd_nxt, bint ece, int64_t now)
    @cython.locals(state=int)
    cpdef keep_open(self, uint32_t snd_nxt)
    cpdef bint any_resent(self) except -1
    cpdef begin_undo(self, uint32_t snd_una)
    cpdef bint may_undo(self, bint original_answered) except -1
    cpdef undo(self, bint all_arrived, int64_t now)
    cpdef note_round(self, uint32_t snd_una, uint32_t snd_nxt)
    @cython.locals(run=Run)
    cpdef resend(self, uint32_t start, uint32_t end, uint32_t snd_nxt)
