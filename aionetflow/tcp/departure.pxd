import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.packet cimport TxPacket
from aionetflow.tcp.congestion.base cimport CongestionControl
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.emission cimport blocks_due, emit_reset, emit_run, emit_segment, mss_in, send_syn
from aionetflow.tcp.fast_open cimport FastOpen
from aionetflow.tcp.loss cimport on_reorder_timeout, on_timeout
from aionetflow.tcp.mtu_probing cimport limit_search, look_for_black_hole, note_probe, probe_length
from aionetflow.tcp.pacing cimport is_held, pacing_delay
from aionetflow.tcp.rack cimport arm_timeout, schedule_probe
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.rtt cimport RttEstimator
from aionetflow.tcp.scoreboard cimport Run, after_segments, segments_in
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_gt, seq_sub
from aionetflow.tcp.states cimport may_send
from aionetflow.tcp.timeouts cimport (
    give_up, has_probed_enough, has_retransmitted_enough, on_wait, within_user_timeout)
from aionetflow.tcp.timers cimport Timers
from aionetflow.tcp.urgent cimport is_sending, probes_urgent

cdef int64_t NEVER
cdef int64_t RTO_MIN
cdef int ECT_0
cdef int IP_PMTUDISC_DONT
cdef int LOSS
cdef int PROBE
cdef int REORDER
cdef int SYN_ACK
cdef int TIMEOUT
cdef int CWR
cdef int ACK
cdef int FIN
cdef int PSH
cdef int CLOSED
cdef int SYN_SENT
cdef int _TIMEOUT

@cython.locals(snd=Sender, back=int)
cpdef bint output(Connection connection, TxPacket packet, int64_t now) except -1
@cython.locals(snd=Sender, recovery=Recovery)
cpdef bint _emit_data(Connection connection, TxPacket packet, int64_t now) except -1
@cython.locals(snd=Sender, known=int64_t)
cpdef follow_mtu(Connection connection, int64_t now)
@cython.locals(timers=Timers)
cpdef expire(Connection connection, int64_t now)
@cython.locals(
    snd=Sender, recovery=Recovery, room=int64_t, run=Run, count=int64_t, forced=bint, wait=int64_t)
cpdef bint _emit_again(Connection connection, TxPacket packet, int64_t now) except -1
@cython.locals(snd=Sender, recovery=Recovery, tail=Run, wnd=int64_t, length=int64_t)
cpdef bint _emit_tail(Connection connection, TxPacket packet, int64_t now) except -1
@cython.locals(snd=Sender, recovery=Recovery, room=int64_t, blocks=int, mss=int64_t, length=int64_t)
cpdef bint _emit_new(Connection connection, TxPacket packet, int64_t now) except -1
cpdef bint _emit_probe(Connection connection, TxPacket packet, int64_t length, int64_t now) except -1
@cython.locals(snd=Sender, offset=int64_t, last=bint, fin=bint, flags=int)
cpdef _emit_length(Connection connection, TxPacket packet, int64_t length, int64_t now)
@cython.locals(snd=Sender, recovery=Recovery, start=uint32_t, first=bint)
cpdef _note_sent(Connection connection, int64_t length, bint fin, int64_t now)
@cython.locals(recovery=Recovery, cc=CongestionControl, rto=int64_t, idle=int64_t, least=int64_t)
cpdef _restart(Connection connection, int64_t now)
@cython.locals(snd=Sender, timers=Timers, wait=int64_t)
cpdef _arm_holding_timers(Connection connection, int64_t now)
@cython.locals(recovery=Recovery)
cpdef _on_retransmission_timer(Connection connection, int64_t now)
@cython.locals(snd=Sender, recovery=Recovery, over=bint, fast=FastOpen)
cpdef _on_retransmission_timeout(Connection connection, int64_t now)
@cython.locals(snd=Sender, rtt=RttEstimator)
cpdef _on_persist_timeout(Connection connection, int64_t now)
