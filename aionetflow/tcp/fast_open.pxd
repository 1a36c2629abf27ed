import cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from aionetflow._fast cimport part
from aionetflow.siphash cimport SipHash
from aionetflow.stats cimport TcpStats
from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.options cimport find
from aionetflow.tcp.segment cimport Segment

cdef int64_t NEVER
cdef int64_t SECOND
cdef int FAST_OPEN
cdef int _LEAST_COOKIE
cdef int _MOST_COOKIE
cdef int64_t _RESET_TIME
cdef int _MOST_PAUSES

@cython.locals(frame=bytes, at=Py_ssize_t, length=Py_ssize_t)
cpdef bytes cookie_in(Segment segment)

cdef class CookieKeys:
    cdef readonly bytes octets
    cdef list _hashes
    @cython.locals(keyed=SipHash)
    cpdef bytes make(self, bytes client, bytes server, int which=*)
    cpdef int check(self, bytes cookie, bytes client, bytes server) except -1

cdef class Destination:
    cdef public bytes cookie
    cdef public int mss

cdef class FastOpenHost:
    cdef readonly Sysctl sysctl
    cdef readonly TcpStats stats
    cdef object _random
    cdef CookieKeys _keys
    cdef dict _destinations
    cdef int64_t _paused_at
    cdef int _pauses
    cpdef CookieKeys keys(self)
    cpdef Destination known(self, bytes local, bytes remote)
    cpdef learn(self, bytes local, bytes remote, bytes cookie, int mss)
    cpdef pause(self, int64_t now)
    @cython.locals(seconds=int64_t)
    cpdef bint is_paused(self, int64_t now) except -1
    cpdef bint is_trying(self) except -1
    cpdef trust(self)

cdef class FastOpen:
    cdef readonly FastOpenHost host
    cdef public bytes option
    cdef public bint asked
    cdef public bint deferred
    cdef public int64_t most
    cdef public int64_t length
    cdef public int client_fail
    cdef public bint trying
    cdef public FastOpenQueue queue
    cdef public bint pending
    cdef public bint accepted
    cdef public bint acknowledged
    @cython.locals(option=bytes)
    cpdef bytes take_option(self)
    cpdef bint is_suspicious(self, int timeouts, bint final) except -1
    cpdef end(self)
    cpdef over(self, bint any_data)
    cpdef reset(self, int64_t now)

cdef class FastOpenQueue:
    cdef public int limit
    cdef public bint without_cookie
    cdef public CookieKeys own_keys
    cdef public int length
    cdef public object resets
    cdef public bint closed
    cdef readonly FastOpen answer
    cdef FastOpenHost _host
    cpdef bint admits(self, Segment segment, bytes client, bytes server, int64_t now) except -1
    cpdef FastOpen child(self)
    cpdef bint _has_room(self, int64_t now) except -1

cpdef bytes option_of(bytes cookie)
