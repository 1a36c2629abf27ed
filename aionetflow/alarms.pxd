from libc.stdint cimport int64_t

cdef int64_t NEVER

cdef class Alarm:
    cdef readonly object when
    cdef public object ring

cdef class Alarms:
    cdef readonly int64_t deadline
    cdef list _heap
    cdef object _order
    cdef Py_ssize_t _cancelled
    cpdef expire(self, int64_t now)
