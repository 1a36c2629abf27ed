import cython
from libc.stdint cimport int64_t

from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.fast_open cimport Destination, FastOpen, FastOpenHost

@cython.locals(room=int64_t, fast=FastOpen)
cpdef int64_t early_room(Connection connection) except? -1
cpdef bint is_deferred(Connection connection) except -1
@cython.locals(fast=FastOpen, known=Destination)
cpdef prepare(FastOpenHost host, Connection connection, bint without_cookie, int64_t now)
