import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow._fast cimport equal, get32, part
from aionetflow.packet cimport RxPacket
from aionetflow.socket.ports cimport PortHold, PortTable, connection_key
from aionetflow.tcp.connection cimport Connection

cdef Py_ssize_t _MOST_SLOTS
cdef uint32_t _M32
cdef uint32_t _GOLDEN
cdef uint32_t _MIXED

@cython.final
cdef class SocketTable(PortTable):
    cdef readonly dict listeners
    cdef readonly dict datagrams
    cdef list _slots
    cdef uint32_t _slot_mask
    @cython.locals(frame=bytes, l3=Py_ssize_t, l4=Py_ssize_t)
    cpdef Connection connection_of(self, RxPacket packet)
    @cython.locals(frame=bytes, l3=Py_ssize_t, l4=Py_ssize_t)
    cpdef bytes key_of_packet(self, RxPacket packet)
    @cython.locals(slot=uint32_t, connection=Connection)
    cdef Connection _connection_at(self, bytes frame, int64_t at, int64_t size)
    cdef uint32_t _slot(self, uint32_t address, uint32_t ports) noexcept
    @cython.locals(key=bytes)
    cpdef add(self, Connection connection, PortHold hold)
    @cython.locals(hold=PortHold, slot=uint32_t, ports_at=Py_ssize_t)
    cpdef PortHold remove(self, Connection connection)

cdef bint _is_key(bytes key, bytes frame, int64_t at, int64_t length) except -1
cpdef bytes key_of(Connection connection)
