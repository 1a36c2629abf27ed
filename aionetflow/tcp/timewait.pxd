import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.paws cimport paws_rejects
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.sequence cimport seq_add, seq_gt, seq_lt

cdef int64_t MILLISECOND
cdef int64_t TIME_WAIT_TIME
cdef int ACK
cdef int RST
cdef int SYN
cdef int TIME_WAIT
cdef int _RCV_RST
cdef int _ON_LOOPBACK

@cython.locals(timestamped=bint, old=bint, rcv=Receiver)
cpdef receive(Connection connection, Segment segment, int64_t now)
cpdef bint is_succeeded_by(Connection connection, Segment segment, int64_t now) except -1
cpdef uint32_t next_iss(Connection connection) except? 0
@cython.locals(reuse=int, since=int64_t)
cpdef bint may_reuse(Connection connection, int64_t now) except -1
cdef bint _is_loopback(bytes address) except -1
