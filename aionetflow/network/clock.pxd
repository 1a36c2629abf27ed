from libc.stdint cimport int64_t

from aionetflow.clock cimport Clock, TimeSource

cdef int64_t NEVER
cdef int64_t _BURST

cdef class LoopClock(Clock):
    cdef object _context
    cdef object _loop
    cdef TimeSource _source
    cdef object _soon
    cdef object _later
    cdef int64_t _later_at
    cdef int _held
    cdef int64_t _held_at
    cdef bint _left
    cdef int64_t _reached
    cdef bint _closed
    cdef double _slack
    cdef object _time_ns
    cdef object _call_at_ns
    cdef object _turn_ns
    cpdef int64_t now(self) except? -1
    cpdef hold(self)
    cpdef release(self)
    cpdef int64_t run_timers(self, int64_t now, int64_t limit=*) except? -1
    cpdef _armed(self, int64_t when)
    cpdef _arm(self, int64_t when)
    cpdef _run(self, int64_t now)
