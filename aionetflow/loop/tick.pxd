import cython
from libc.stdint cimport int64_t

from aionetflow.clock cimport TimeSource
from aionetflow.loop._native cimport call_in, current_context, drop, monotonic

cdef int64_t NEVER
cdef int64_t _LOOK_EVERY
cdef int _SWEEP
cdef double _ENDLESS

cdef int64_t nanoseconds(double seconds) except? -1

cdef class Handle:
    cdef object __weakref__
    cdef public object _callback
    cdef public tuple _args
    cdef public object _context
    cdef public object _source_traceback
    cdef public object _repr
    cdef public bint _cancelled
    cdef readonly Tick _loop
    cdef void _set(self, Tick loop, object callback, tuple args, object context) except *

cdef class TimerHandle(Handle):
    cdef double _when
    cdef bint _scheduled
    cdef void _at(self, double when) noexcept

cdef class Tick(TimeSource):
    cdef public object _ready
    cdef public object _selector
    cdef public object _thread_id
    cdef public object _current_handle
    cdef public int _timer_cancelled_count
    cdef public bint _closed
    cdef public bint _stopping
    cdef public bint _debug
    cdef public bint _sleeping
    cdef public bint _virtual
    cdef public int64_t _now
    cdef public int64_t _looked
    cdef int64_t _turned
    cdef readonly list _heap
    cdef int64_t _order
    cdef int64_t _next
    cdef int64_t _clock(self) noexcept
    @cython.locals(handle=Handle)
    cdef Handle _schedule(self, object callback, tuple args, object context)
    @cython.locals(handle=TimerHandle)
    cdef TimerHandle _schedule_at(self, int64_t when_ns, double when, object callback, tuple args, object context)
    cdef void _count_cancelled(self) except *
    @cython.locals(entry=tuple, handle=TimerHandle)
    cdef int64_t _first(self) except? -1
    @cython.locals(now=int64_t)
    cdef void _take_in(self) except *
    @cython.locals(batch=list, done=Py_ssize_t, count=Py_ssize_t)
    cdef void _run_ready(self) except *
    cdef void _call(self, Handle handle) except *
    @cython.locals(handle=TimerHandle)
    cdef void _collect(self, int64_t now) except *
