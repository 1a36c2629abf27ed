import cython
from libc.stdint cimport int64_t

cdef int64_t NEVER
cdef Py_ssize_t _SWEEP

cdef class Timer:
    cdef readonly int64_t when
    cdef public object _callback
    cdef Clock _clock
    cdef object __weakref__
    cpdef void cancel(self)

cdef class Clock:
    cdef public list _heap
    cdef int64_t _order
    cdef Py_ssize_t _cancelled
    cdef public object _running
    cdef object __weakref__
    cpdef int64_t now(self) except? -1
    @cython.locals(timer=Timer, entry=tuple)
    cpdef Timer call_at(self, int64_t when, object callback)
    cpdef Timer call_soon(self, object callback)
    @cython.locals(timer=Timer)
    cpdef int64_t next_deadline(self) except? -1
    @cython.locals(timer=Timer, heap=list, count=int64_t, entry=tuple)
    cpdef int64_t run_timers(self, int64_t now, int64_t limit=*) except? -1
    cpdef void _check_not_running(self)
    cpdef void _armed(self, int64_t when)
    cpdef void _count_cancelled(self)
