import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.congestion.base cimport CongestionControl
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.pace cimport Pace
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.scoreboard cimport segments_in
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_sub

cdef int64_t MAX_SEGMENT_RUN
cdef int64_t SECOND
cdef int64_t _UNLIMITED
cdef int64_t _MICROSECOND
cdef int64_t _HUNDREDTHS
cdef int _BURST_SHIFT
cdef int64_t _FREE_SEGMENTS

cpdef Pace pace_of(Connection connection)
@cython.locals(pace=Pace)
cpdef limit(Connection connection, int64_t rate)
@cython.locals(
    recovery=Recovery, sysctl=Sysctl, pace=Pace, cc=CongestionControl, most=int64_t, ratio=int64_t, flight=int64_t)
cpdef int64_t pacing_rate(Connection connection) except? -1
@cython.locals(pace=Pace, snd=Sender, recovery=Recovery)
cpdef bint is_held(Connection connection, int64_t now) except -1
@cython.locals(pace=Pace)
cpdef int64_t pacing_delay(Connection connection, int64_t now) except? -1
@cython.locals(snd=Sender, sent=int64_t, segments=int64_t, late=int64_t, rate=int64_t, wait=int64_t)
cpdef _count(Connection connection, Pace pace, int uncounted, int64_t now)
@cython.locals(sysctl=Sysctl, mss=int64_t, octets=int64_t, shift=int64_t, segments=int64_t)
cpdef int64_t _burst(Connection connection) except? -1
