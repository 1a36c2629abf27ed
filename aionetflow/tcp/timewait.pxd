from libc.stdint cimport int64_t, uint32_t

from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.sequence cimport seq_add, seq_gt

cdef int64_t MILLISECOND
cdef int64_t TIME_WAIT_TIME
cdef int ACK
cdef int RST
cdef int SYN
cdef int _RCV_RST

cpdef receive(Connection connection, Segment segment, int64_t now)
cpdef bint is_succeeded_by(Connection connection, Segment segment) except -1
cpdef uint32_t next_iss(Connection connection) except? 0
cpdef bint may_reuse(Connection connection, int64_t now) except -1
