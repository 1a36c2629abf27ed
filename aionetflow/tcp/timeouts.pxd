import cython
from libc.stdint cimport int64_t

from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.patience cimport Patience
from aionetflow.tcp.timers cimport Timers

cdef int64_t MILLISECOND
cdef int64_t NEVER
cdef int ORPHAN_RETRIES
cdef int64_t RTO_INITIAL
cdef int64_t RTO_MAX
cdef int64_t RTO_MIN
cdef int64_t SECOND
cdef int CLOSED
cdef int FIN_WAIT_2
cdef int LISTEN
cdef int SYN_RECEIVED
cdef int SYN_SENT
cdef int TIME_WAIT
cdef int _ABORT
cdef int64_t _TICK
cdef int ETIMEDOUT

@cython.locals(total=int64_t, wait=int64_t)
cpdef int64_t model_timeout(int retries, int64_t first) except? -1
@cython.locals(patience=Patience, sysctl=Sysctl, limit=int, first=int64_t, timeout=int64_t)
cpdef bint has_retransmitted_enough(Connection connection, int64_t now) except -1
@cython.locals(patience=Patience, timeout=int64_t, limit=int, alive=bint)
cpdef bint has_probed_enough(Connection connection, int64_t now) except -1
@cython.locals(retries=int)
cpdef int orphan_retries(Connection connection, bint alive) except? -1
@cython.locals(patience=Patience)
cpdef int64_t within_user_timeout(Connection connection, int64_t wait, int64_t now) except? -1
cpdef give_up(Connection connection)
@cython.locals(patience=Patience)
cpdef arm_keepalive(Connection connection, int64_t now)
@cython.locals(patience=Patience)
cpdef bint on_wait(Connection connection, int64_t now) except -1
@cython.locals(patience=Patience, timers=Timers, heard_at=int64_t, idle=int64_t, elapsed=int64_t, over=bint)
cpdef _on_keepalive(Connection connection, int64_t now)
cpdef int64_t _heard_at(Connection connection) except? -1
@cython.locals(patience=Patience)
cpdef int64_t _idle_time(Connection connection) except? -1
cpdef bint _is_leaving(Connection connection) except -1
@cython.locals(patience=Patience, asked=int, limit=int)
cpdef int _handshake_retries(Connection connection) except? -1
