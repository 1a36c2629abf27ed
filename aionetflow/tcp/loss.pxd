import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.stats cimport TcpStats
from aionetflow.tcp.congestion.base cimport CongestionControl
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.mtu_probing cimport probe_failed
from aionetflow.tcp.rack cimport (
    arm_timeout, identify_losses, is_used, look_again, update_by_count, wait_for,
)
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.sack cimport check_reordering
from aionetflow.tcp.scoreboard cimport Ack, Run, segments_in
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_gt, seq_lt

cdef int64_t NEVER
cdef int CWR
cdef int DISORDER
cdef int LOSS
cdef int OPEN
cdef int RACK_PATIENCE
cdef int RECOVERY
cdef int TIMEOUT
cdef int SACKED
cdef int64_t _PATIENCE

@cython.locals(recovery=Recovery, snd=Sender, lost_again=bint)
cpdef on_ack(Connection connection, Ack ack)
@cython.locals(recovery=Recovery, snd=Sender, cc=CongestionControl, new=bint)
cpdef on_timeout(Connection connection, int64_t now)
@cython.locals(recovery=Recovery, snd=Sender, lost=int64_t)
cpdef on_reorder_timeout(Connection connection, int64_t now)
@cython.locals(recovery=Recovery, snd=Sender)
cpdef bint _leave(Connection connection, Ack ack) except -1
@cython.locals(recovery=Recovery, snd=Sender)
cpdef bint _undo_recovery(Connection connection, Ack ack) except -1
@cython.locals(recovery=Recovery)
cpdef bint _undo_partial(Connection connection, Ack ack) except -1
@cython.locals(recovery=Recovery)
cpdef bint _undo_by_dsack(Connection connection, Ack ack) except -1
@cython.locals(recovery=Recovery)
cpdef bint _undo_loss(Connection connection, bint by_frto, Ack ack) except -1
@cython.locals(recovery=Recovery)
cpdef bint _original_answered(Connection connection) except -1
@cython.locals(recovery=Recovery)
cpdef _take_in_recovery(Connection connection, Ack ack)
@cython.locals(recovery=Recovery, snd=Sender, recovered=bint)
cpdef _take_in_loss(Connection connection, Ack ack)
cpdef _look_for_loss(Connection connection, Ack ack)
@cython.locals(recovery=Recovery, enough=bint)
cpdef bint _is_time_to_recover(Connection connection) except -1
@cython.locals(recovery=Recovery, snd=Sender)
cpdef _enter_recovery(Connection connection, bint ece, int64_t now)
@cython.locals(recovery=Recovery, snd=Sender)
cpdef _try_to_open(Connection connection, Ack ack)
cpdef _update_by_count(Connection connection, Ack ack, bint fast)
cpdef _count_duplicates(Connection connection, Ack ack)
@cython.locals(recovery=Recovery, mss=int64_t, before=int64_t, out=int64_t, holes=int64_t, wider=int64_t)
cpdef _add_duplicates(Connection connection, Ack ack)
@cython.locals(recovery=Recovery, head=Run)
cpdef bint _is_reneging(Connection connection, Ack ack) except -1
@cython.locals(recovery=Recovery, head=Run, run=Run, reneged=bint, young=bint)
cpdef _mark_all_lost(Connection connection, int64_t now)
@cython.locals(recovery=Recovery, stats=TcpStats)
cpdef _count_failure(Connection connection)
