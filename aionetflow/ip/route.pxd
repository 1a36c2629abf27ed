from libc.stdint cimport int64_t

from aionetflow.ethernet.interface cimport Interface

cdef class Route:
    cdef readonly bytes prefix
    cdef readonly int prefix_length
    cdef readonly Interface interface
    cdef readonly int kind
    cdef readonly bytes via
    cdef readonly bytes source
    cdef readonly int metric
    cdef int _bits
    cdef object _network
    cpdef bint matches(self, bytes destination) except -1

cdef class RoutingTable:
    cdef dict _routes
    cdef dict _cache
    cdef readonly int64_t version
    cpdef Route lookup(self, bytes destination)
    cpdef Route lookup_by(self, bytes destination, int index)
