import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.mtu_probing cimport take_ack_of_probe
from aionetflow.tcp.loss cimport on_ack
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.scoreboard cimport Ack
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_gt, seq_lt, seq_sub
from aionetflow.tcp.rack cimport arm_timeout, schedule_probe, take_probe_ack, update_reordering_window
from aionetflow.tcp.sack cimport check_reordering, take_blocks

cdef int64_t NEVER
cdef int OPEN
cdef int TIMEOUT
cdef int ECE
cdef int SYN
cdef int CLOSED
cdef int _RCV_ACK_OF_FIN

@cython.locals(snd=Sender, recovery=Recovery, advanced=bint, ece=bint)
cpdef bint receive_ack(Connection connection, Segment segment, int64_t now) except -1
@cython.locals(snd=Sender, recovery=Recovery, advanced=bint, acked=int64_t, sent_at=int64_t, rtt=int64_t)
cpdef take_plain(Connection connection, Segment segment, int64_t now)
@cython.locals(
    snd=Sender, recovery=Recovery, ack=Ack, updated=bint, lost=int64_t, acked=int64_t, rtt=int64_t, fresh=bint)
cpdef _take(Connection connection, Segment segment, bint advanced, bint ece, int64_t now)
@cython.locals(snd=Sender, recovery=Recovery, highest=uint32_t, any_sacked=bint, mss=int64_t)
cpdef _take_off(Connection connection, int64_t acked, Ack ack)
cpdef _take_idle(Connection connection, Segment segment)
@cython.locals(snd=Sender, recovery=Recovery, ack=Ack, lost=int64_t)
cpdef _take_old(Connection connection, Segment segment, int64_t now)
@cython.locals(recovery=Recovery, rtt=int64_t, newest=int64_t)
cpdef int64_t _measure(Connection connection, Ack ack) except? -1
cpdef _free(Connection connection, int64_t acked, int64_t now)
@cython.locals(snd=Sender, recovery=Recovery)
cpdef _control(Connection connection, Ack ack, int64_t rtt, int64_t newly_lost)
