import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_gt, seq_lt, seq_sub

cdef int64_t MILLISECOND
cdef int64_t SECOND
cdef int ACK
cdef int FIN
cdef int SYN
cdef int64_t _VALID_FOR
cdef int _SLACK

@cython.locals(rcv=Receiver, behind=int64_t)
cpdef bint paws_rejects(Connection connection, Segment segment, int64_t now) except -1
@cython.locals(rcv=Receiver)
cpdef keep_timestamp(Connection connection, Segment segment, int64_t now)
@cython.locals(snd=Sender, window=int64_t)
cpdef bint _is_late_ack(Connection connection, Segment segment, int64_t behind) except -1
