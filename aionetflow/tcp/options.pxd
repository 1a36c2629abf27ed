import cython

from aionetflow._fast cimport get16

cdef class SynOptions:
    cdef public int mss
    cdef public int window_scale

@cython.locals(options=SynOptions, at=Py_ssize_t, length=Py_ssize_t)
cpdef SynOptions parse(bytes frame, Py_ssize_t start, Py_ssize_t stop)
@cython.locals(options=bytes)
cpdef bytes emit_syn(int mss, int window_scale)
