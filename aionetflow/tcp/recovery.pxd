import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.congestion.base cimport CongestionControl
from aionetflow.tcp.rtt cimport RttEstimator
from aionetflow.tcp.sequence cimport seq_add, seq_geq, seq_gt, seq_lt, seq_sub

cdef int DUP_ACK_THRESHOLD
cdef int _OPEN
cdef int _DISORDER
cdef int _RECOVERY
cdef int _LOSS

@cython.final
cdef class Recovery:
    cdef public CongestionControl cc
    cdef readonly RttEstimator rtt
    cdef public int state
    cdef public int dup_acks
    cdef public uint32_t recover
    cdef public uint32_t rexmit_nxt
    cdef public bint one_by_one
    cdef public bint hole_due
    cdef public bint timing
    cdef public uint32_t timed_seq
    cdef public int64_t timed_at
    cpdef on_sent(self, uint32_t end, int64_t now)
    cpdef on_ack(self, uint32_t snd_una, int64_t acked, int64_t flight, int64_t now)
    cpdef bint on_dup_ack(self, uint32_t snd_una, uint32_t snd_nxt, int64_t flight, int64_t now) except -1
    cpdef on_timeout(self, uint32_t snd_una, uint32_t snd_nxt, int64_t flight, bint again, int64_t now)
    cpdef int64_t window(self) except? -1
    @cython.locals(out=uint32_t)
    cpdef bint retransmit_at(self, uint32_t snd_una) except -1
    cpdef on_resent(self, int64_t length)
    cpdef resend_all(self, uint32_t snd_una, uint32_t snd_nxt)
    @cython.locals(cc=CongestionControl)
    cpdef _on_ack_in_recovery(self, uint32_t snd_una, int64_t acked)
    cpdef _on_ack_in_loss(self, uint32_t snd_una, int64_t acked, int64_t flight, int64_t now)
