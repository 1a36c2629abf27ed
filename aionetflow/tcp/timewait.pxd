from libc.stdint cimport int64_t

from aionetflow.tcp.connection cimport Connection

cpdef bint may_reuse(Connection connection, int64_t now) except -1
