import cython
from libc.stdint cimport int64_t

from aionetflow.clock cimport Clock
from aionetflow.gso cimport cut
from aionetflow.link.base cimport LinkEnd, Station

cdef int64_t _AGEING_TIME

cdef class Port(Station):
    cdef readonly Switch switch
    cdef readonly int number
    cdef readonly LinkEnd end
    cdef object __weakref__

cdef class Place:
    cdef public Port port
    cdef public int64_t heard

cdef class Switch:
    cdef readonly str name
    cdef readonly list ports
    cdef readonly int64_t flooded
    cdef public object snooping
    cdef Clock _clock
    cdef dict _learned
    cdef object __weakref__
    @cython.locals(now=int64_t, leaving=dict, addresses=bytes, frame=bytes, target=Port, port=Port, few=list, end=LinkEnd)
    cpdef forward(self, Port source, list frames, int64_t merged_by=*)
    cpdef dict groups(self)
    cpdef _send(self, bytes frame, Port port)
    @cython.locals(place=Place)
    cdef _learn(self, bytes mac, Port port, int64_t now)
    @cython.locals(place=Place)
    cdef Port _port_of(self, bytes mac, int64_t now)
