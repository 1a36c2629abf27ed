from libc.stdint cimport int64_t

from aionetflow.ethernet.interface cimport Interface

cdef class LoopbackInterface(Interface):
    cdef readonly list returning
    cpdef bint take_back(self, int64_t now) except -1
