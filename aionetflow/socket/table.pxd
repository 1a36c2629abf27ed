import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow._fast cimport equal, get32, part
from aionetflow.packet cimport RxPacket
from aionetflow.tcp.connection cimport Connection

cdef bytes _ANY_4
cdef bytes _ANY_6
cdef Py_ssize_t _MOST_SLOTS
cdef uint32_t _M32
cdef uint32_t _GOLDEN
cdef uint32_t _MIXED

@cython.final
cdef class PortHold:
    cdef readonly bytes address
    cdef public PortHold next
    cdef public int port
    cdef public bint reuse
    cdef readonly bint reuse_port
    cdef readonly bint v6only
    cdef public bint automatic
    cdef public bint locked
    cdef public bint listening
    cdef public bint released
    cdef public bint accepted
    cdef public int uses
    cpdef bint takes(self, bytes address) except -1
    cpdef bint conflicts(self, PortHold other) except -1

@cython.final
cdef class SocketTable:
    cdef readonly dict connections
    cdef readonly dict listeners
    cdef readonly dict datagrams
    cdef dict _holds
    cdef int _next_port
    cdef list _slots
    cdef uint32_t _slot_mask
    @cython.locals(frame=bytes, l3=Py_ssize_t, l4=Py_ssize_t)
    cpdef Connection connection_of(self, RxPacket packet)
    @cython.locals(slot=uint32_t, connection=Connection)
    cdef Connection _connection_at(self, bytes frame, int64_t at, int64_t size)
    cdef uint32_t _slot(self, uint32_t address, uint32_t ports) noexcept
    @cython.locals(hold=PortHold)
    cpdef PortHold share(self, int protocol, bytes address, int port, bint reuse, bint reuse_port)
    cpdef release(self, int protocol, PortHold hold)
    @cython.locals(hold=PortHold, port=int, count=int)
    cpdef PortHold hold_for_connect(self, int protocol, bytes local, bytes remote, int remote_port, object random)
    @cython.locals(other=PortHold)
    cpdef bint may_listen(self, int protocol, PortHold hold) except -1
    @cython.locals(key=bytes)
    cpdef add(self, Connection connection, PortHold hold)
    @cython.locals(hold=PortHold, slot=uint32_t, ports_at=Py_ssize_t)
    cpdef PortHold remove(self, Connection connection)
    cpdef PortHold _first(self, int protocol, int port)
    cpdef _enter(self, int protocol, PortHold hold)
    @cython.locals(before=PortHold)
    cpdef _leave(self, int protocol, PortHold hold)
    @cython.locals(other=PortHold)
    cpdef bint _taken(self, int protocol, PortHold hold) except -1
    @cython.locals(hold=PortHold, other=PortHold)
    cpdef bint _may_share(self, int protocol, int port, bytes local, bytes remote, int remote_port) except -1

cpdef bint is_unspecified(bytes address) except -1
cpdef bint takes(bytes own, bint v6only, bytes address) except -1
cdef bint _is_key(bytes key, bytes frame, int64_t at, int64_t length) except -1
cpdef bytes connection_key(bytes remote, bytes local, uint32_t remote_port, uint32_t local_port)
cpdef bytes key_of(Connection connection)
