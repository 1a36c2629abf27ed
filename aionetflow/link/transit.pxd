import cython
from libc.stdint cimport int64_t

from aionetflow.clock cimport Clock, Due, Timer
from aionetflow.fast_paths cimport FastPaths
from aionetflow.gso cimport cut, frames_of, octets_of
from aionetflow.link.base cimport LinkEnd, Station

cdef FastPaths FAST
cdef int64_t _ETHERNET_HEADER
cdef int64_t _UNPACED

cdef class Flight:
    cdef public list frames
    cdef public int64_t arriving
    cdef public int64_t octets
    cdef public int64_t bits
    cdef public int64_t leaves
    cdef public int64_t extra
    cdef public bint held
    cdef public int64_t merged_by
    cdef public int64_t floor
    cdef public int64_t arrives

cdef class Transit(Due):
    cdef public str name
    cdef public LinkEnd source
    cdef public LinkEnd target
    cdef public int64_t tx_frames
    cdef public int64_t tx_bytes
    cdef public int64_t delivered
    cdef public int64_t in_flight
    cdef public int64_t down_dropped
    cdef public Clock _clock
    cdef public bint _clean
    cdef public int64_t _delay_ns
    cdef public int64_t _mtu
    cdef public int64_t _floor
    cdef list _arriving
    cdef int64_t _arriving_at
    cdef int64_t _arriving_octets
    cdef int64_t _arriving_merged_by
    cdef list _flights
    cdef int64_t _serial
    cdef Timer _timer
    cdef int64_t _timer_at
    cdef object __weakref__
    @cython.locals(frame=bytes, size=int64_t, octets=int64_t, longest=int64_t)
    cpdef send(self, list frames)
    @cython.locals(octets=int64_t)
    cpdef send_merged(self, list frames, int64_t merged_by)
    @cython.locals(frames=list, merged_by=int64_t, flight=Flight)
    cdef _fall_due(self)
    cdef bint _may_pass(self, int64_t octets) except -1
    @cython.locals(now=int64_t, flight=Flight, mixed=bint)
    cdef _pass(self, list frames, int64_t count, int64_t octets, int64_t merged_by)
    cpdef _send_each(self, list frames)
    cpdef _launch(self, Flight flight)
    cpdef _schedule(self, Flight flight)
    @cython.locals(when=int64_t)
    cpdef _arm(self)
    @cython.locals(now=int64_t, flight=Flight, batches=list)
    cpdef list _collect(self, list frames, int64_t merged_by)
    @cython.locals(count=int64_t, station=Station)
    cdef _hand_over(self, list frames, int64_t merged_by)

cdef class MemoryEnd(LinkEnd):
    cdef readonly Transit outgoing
    cdef readonly Transit incoming
