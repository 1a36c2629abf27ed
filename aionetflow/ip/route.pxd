import cython
from libc.stdint cimport int64_t

from aionetflow.ethernet.interface cimport Interface

@cython.final
cdef class Route:
    cdef readonly bytes prefix
    cdef readonly int prefix_length
    cdef readonly Interface interface
    cdef readonly int kind
    cdef readonly bytes via
    cdef readonly bytes source
    cdef readonly int metric
    cdef readonly int64_t learned_mtu
    cdef readonly bint locked
    cdef readonly int64_t expires
    cdef int _bits
    cdef object _network
    cpdef bint matches(self, bytes destination) except -1
    cpdef int64_t path_mtu(self, int64_t now) except? -1
    cpdef bint is_locked(self, int64_t now) except -1
    cpdef Route learned(self, bytes destination)

cdef class RoutingTable:
    cdef dict _routes
    cdef dict _cache
    cdef dict _learned
    cdef readonly int64_t version
    cpdef Route lookup(self, bytes destination)
    cpdef Route lookup_by(self, bytes destination, int index)
    @cython.locals(route=Route)
    cpdef Route learn_mtu(self, bytes destination, int64_t mtu, int64_t minimum, int64_t expires, int64_t now)
    @cython.locals(route=Route, better=Route)
    cpdef Route redirect(self, bytes destination, bytes via)
    cpdef Route _exception(self, bytes destination, Route route)
