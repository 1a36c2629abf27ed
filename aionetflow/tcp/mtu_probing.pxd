import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.mtu_search cimport MtuSearch
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_add, seq_lt
from aionetflow.tcp.timeouts cimport model_timeout

cdef int64_t RTO_MIN
cdef int64_t SECOND
cdef int TIMESTAMPS_LENGTH
cdef int CWR
cdef int OPEN
cdef int64_t _LEAST_WINDOW

cpdef begin_with_search(Connection connection, int64_t now)
@cython.locals(sysctl=Sysctl, search=MtuSearch, half=int64_t, least=int64_t)
cpdef look_for_black_hole(Connection connection, int64_t now)
@cython.locals(
    search=MtuSearch, snd=Sender, recovery=Recovery, cwnd=int64_t, overhead=int64_t, length=int64_t, needed=int64_t,
    flight=int64_t)
cpdef int64_t probe_length(Connection connection, int64_t now) except? -2
@cython.locals(search=MtuSearch, snd=Sender)
cpdef note_probe(Connection connection, int64_t length)
@cython.locals(search=MtuSearch, recovery=Recovery)
cpdef take_ack_of_probe(Connection connection, int64_t now)
@cython.locals(search=MtuSearch, recovery=Recovery)
cpdef bint probe_failed(Connection connection) except -1
@cython.locals(search=MtuSearch)
cpdef limit_search(Connection connection)
@cython.locals(low=int64_t)
cpdef _begin(Connection connection, int64_t now)
cpdef _search_anew(Connection connection, MtuSearch search, int64_t now)
cpdef int64_t _highest(Connection connection) except? -1
cpdef int64_t _overhead(Connection connection) except? -1
cpdef _resend_probe(Connection connection, MtuSearch search)
