import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow._fast cimport get32
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.scoreboard cimport Ack, Run, segments_in
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_add, seq_geq, seq_gt, seq_leq, seq_lt, seq_sub

cdef int64_t NEVER
cdef int EVER_RESENT
cdef int LOSS
cdef int LOST
cdef int RESENT
cdef int SACKED
cdef int _MAX_BLOCKS

@cython.locals(
    recovery=Recovery, snd=Sender, frame=bytes, at=Py_ssize_t, first=int, i=int, start=uint32_t, end=uint32_t)
cpdef take_blocks(Connection connection, Segment segment, Ack ack)
@cython.locals(recovery=Recovery, highest=uint32_t, metric=int64_t)
cpdef check_reordering(Connection connection, uint32_t low, bint by_timestamp)
@cython.locals(frame=bytes, at=Py_ssize_t, start=uint32_t, end=uint32_t)
cpdef bint _is_dsack(Segment segment) except -1
@cython.locals(recovery=Recovery, snd=Sender, length=int64_t, count=int64_t)
cpdef _take_dsack(Connection connection, uint32_t start, uint32_t end, uint32_t ack_number, Ack ack)
@cython.locals(run=Run)
cpdef _mark(Recovery recovery, uint32_t start, uint32_t end, Ack ack)
cpdef _mark_run(Recovery recovery, Run run, Ack ack)
@cython.locals(run=Run)
cpdef _join(Recovery recovery, uint32_t start, uint32_t end)
@cython.locals(run=Run, count=int64_t)
cpdef _clear_resent_twice(Recovery recovery, uint32_t start, uint32_t end)
@cython.locals(rcv=Receiver, count=int)
cpdef int blocks_to_send(Connection connection) except? -1
@cython.locals(rcv=Receiver)
cpdef tuple block(Connection connection, int number)
@cython.locals(rcv=Receiver, end=uint32_t)
cpdef note_duplicate(Connection connection, Segment segment)
