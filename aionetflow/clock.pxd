import cython
from libc.stdint cimport int64_t

cdef int64_t NEVER
cdef Py_ssize_t _SWEEP

cdef class Timer:
    cdef readonly int64_t when
    cdef public object _callback
    cdef Clock _clock
    cdef object __weakref__
    cpdef cancel(self)

cdef class TimeSource:
    cdef int64_t _clock(self) noexcept

cdef class Due:
    cdef public object callback
    cdef public bint posted
    cdef public int64_t posted_at
    cdef public int64_t posted_order
    cdef public Due posted_next
    cdef _fall_due(self)

cdef class Clock:
    cdef public list _heap
    cdef public Due _posted
    cdef public Due _posted_last
    cdef int64_t _order
    cdef Py_ssize_t _cancelled
    cdef public int64_t _running
    cdef object __weakref__
    cpdef int64_t now(self) except? -1
    @cython.locals(timer=Timer, entry=tuple)
    cpdef Timer call_at(self, int64_t when, object callback)
    cpdef Timer call_soon(self, object callback)
    cpdef hold(self)
    cpdef release(self)
    cpdef post(self, Due due)
    @cython.locals(timer=Timer, deadline=int64_t)
    cpdef int64_t next_deadline(self) except? -1
    @cython.locals(timer=Timer, due=Due, heap=list, count=int64_t)
    cpdef int64_t run_timers(self, int64_t now, int64_t limit=*) except? -1
    @cython.locals(entry=tuple)
    cpdef bint _comes_first(self, list heap, Due due) except -1
    cpdef _check_not_running(self)
    cpdef _armed(self, int64_t when)
    cpdef _count_cancelled(self)
