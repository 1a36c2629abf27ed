import cython
from libc.stdint cimport int64_t

from aionetflow._fast cimport gather, get16, segment, tcp_run

cdef Py_ssize_t _ETHERNET

cpdef int64_t transport_at(bytes frame) except -1
@cython.locals(l4=Py_ssize_t)
cpdef int64_t payload_at(bytes frame) except -1
@cython.locals(size=int64_t, start=int64_t, full=int64_t)
cpdef int64_t frames_in(bytes frame, int64_t merged_by) except -1
@cython.locals(count=int64_t, frame=bytes)
cpdef int64_t frames_of(list frames, int64_t merged_by) except -1
@cython.locals(octets=int64_t, frame=bytes)
cpdef int64_t octets_of(list frames, int64_t merged_by) except -1
@cython.locals(frame=bytes, size=Py_ssize_t, l4=Py_ssize_t, start=Py_ssize_t)
cpdef list cut(list frames, int64_t merged_by)
