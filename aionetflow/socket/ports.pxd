import cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from aionetflow.siphash cimport SipHash, keyed
from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.timewait cimport may_reuse

cdef bytes _ANY_4
cdef bytes _ANY_6
cdef uint64_t _PERTURB_MASK

@cython.final
cdef class PortHold:
    cdef readonly bytes address
    cdef public PortHold next
    cdef public int port
    cdef public int device
    cdef public bint reuse
    cdef readonly bint reuse_port
    cdef readonly bint v6only
    cdef public bint automatic
    cdef public bint locked
    cdef public bint listening
    cdef public bint released
    cdef public bint accepted
    cdef public int uses
    cpdef bint conflicts(self, PortHold other) except -1
    cpdef bint meets(self, PortHold other) except -1
    cpdef bint takes(self, bytes address) except -1

cdef class PortTable:
    cdef readonly Sysctl sysctl
    cdef readonly dict connections
    cdef dict _holds
    cdef SipHash _offsets
    cdef dict _perturb
    cdef object _reserved
    cdef str _reserved_text
    @cython.locals(hold=PortHold)
    cpdef PortHold share(self, int protocol, bytes address, int port, bint reuse, bint reuse_port)
    cpdef release(self, int protocol, PortHold hold)
    @cython.locals(
        hold=PortHold, low=int, high=int, port=int, count=int, start=int, step=int, digest=uint64_t, drawn=int)
    cpdef PortHold hold_for_connect(
        self, int protocol, bytes local, bytes remote, int remote_port, object random, int64_t now)
    @cython.locals(other=PortHold)
    cpdef bint may_listen(self, int protocol, PortHold hold) except -1
    cpdef uint64_t _digest(self, bytes local, bytes remote, int remote_port, object random) except? 0
    cpdef PortHold _first(self, int protocol, int port)
    cpdef _enter(self, int protocol, PortHold hold)
    @cython.locals(before=PortHold)
    cpdef _leave(self, int protocol, PortHold hold)
    @cython.locals(other=PortHold)
    cpdef bint _taken(self, int protocol, PortHold hold) except -1
    @cython.locals(hold=PortHold, other=PortHold, old=Connection)
    cpdef bint _may_share(
        self, int protocol, int port, bytes local, bytes remote, int remote_port, int64_t now) except -1
    @cython.locals(low=int, high=int, count=int, start=int, port=int)
    cpdef int _free_port(self, int protocol, PortHold hold, object random) except -1
    @cython.locals(other=PortHold)
    cpdef bint _is_free(self, int protocol, int port, PortHold hold, bint share) except -1
    cpdef bint _is_reserved(self, int port) except -1

cpdef bint is_unspecified(bytes address) except -1
cpdef bint takes(bytes own, bint v6only, bytes address) except -1
cpdef bytes connection_key(bytes remote, bytes local, uint32_t remote_port, uint32_t local_port)
cdef int _even(int count) noexcept
@cython.locals(half=int)
cdef int _at(int start, int step, int count) noexcept
