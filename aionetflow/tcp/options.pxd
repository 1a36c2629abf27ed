import cython
from libc.stdint cimport uint32_t, uint64_t

from aionetflow._fast cimport get16, get32

cdef class SynOptions:
    cdef public int mss
    cdef public int window_scale
    cdef public bint sack_permitted
    cdef public bint timestamps
    cdef public uint32_t tsval
    cdef public uint32_t tsecr

@cython.locals(options=SynOptions, at=Py_ssize_t, length=Py_ssize_t)
cpdef SynOptions parse(bytes frame, Py_ssize_t start, Py_ssize_t stop)
@cython.locals(at=Py_ssize_t, length=Py_ssize_t)
cpdef Py_ssize_t find(bytes frame, Py_ssize_t start, Py_ssize_t stop, int kind) except? -2
@cython.locals(options=bytes)
cpdef bytes emit_syn(int mss, int window_scale, bint sack, bint timestamps, uint64_t tsval, uint64_t tsecr)
