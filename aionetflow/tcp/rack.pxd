import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.pacing cimport pacing_delay
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.rtt cimport RttEstimator
from aionetflow.tcp.scoreboard cimport Ack, Run, after_segments
from aionetflow.tcp.sequence cimport seq_gt, seq_lt, seq_sub

cdef int64_t RTO_INITIAL
cdef int64_t RTO_MIN
cdef int CWR
cdef int OPEN
cdef int PROBE
cdef int RACK_PATIENCE
cdef int RECOVERY
cdef int REORDER
cdef int SYN_ACK
cdef int TIMEOUT
cdef int LOST
cdef int RESENT
cdef int SACKED
cdef int64_t _LEAST_WAIT
cdef int _LOSS_DETECTION
cdef int _STATIC_REO_WND
cdef int _NO_DUPTHRESH

cpdef bint is_used(Connection connection) except -1
@cython.locals(recovery=Recovery, resent=int64_t, wait=int64_t)
cpdef bint identify_losses(Connection connection, Ack ack) except -1
@cython.locals(lost=int64_t)
cpdef bint look_again(Connection connection, int64_t now) except -1
@cython.locals(recovery=Recovery)
cpdef update_reordering_window(Connection connection)
cpdef int64_t wait_for(Connection connection, Run run, int64_t window, int64_t now) except? -1
@cython.locals(recovery=Recovery, behind=int64_t, enough=int64_t, run=Run)
cpdef update_by_count(Connection connection, bint fast)
@cython.locals(recovery=Recovery, rtt=RttEstimator, wait=int64_t, alone=bint, latest=int64_t)
cpdef bint schedule_probe(Connection connection, bint advancing, int64_t now) except -1
@cython.locals(recovery=Recovery)
cpdef take_probe_ack(Connection connection, Ack ack, uint32_t number, bint pure)
@cython.locals(recovery=Recovery, rto=int64_t)
cpdef arm_timeout(Connection connection, int64_t now)
@cython.locals(recovery=Recovery, window=int64_t, longest=int64_t, run=Run, flags=int, wait=int64_t)
cpdef int64_t _detect(Connection connection, int64_t now) except? -1
@cython.locals(recovery=Recovery)
cpdef bint _was_before(Connection connection, Run run) except -1
@cython.locals(recovery=Recovery, enough=bint)
cpdef int64_t _reordering_window(Connection connection) except? -1
@cython.locals(recovery=Recovery, head=Run, enough=bint)
cpdef _mark_head_of_reno(Connection connection, bint advanced)
@cython.locals(mss=int64_t)
cpdef _trim(Connection connection, Run run)
