import cython
from libc.stdint cimport uint32_t

from aionetflow._fast cimport part
from aionetflow.packet cimport RxPacket
from aionetflow.tcp.connection cimport Connection

cdef class PortHold:
    cdef readonly bytes address
    cdef public int port
    cdef public bint reuse
    cdef readonly bint reuse_port
    cdef readonly bint v6only
    cdef public bint automatic
    cdef public bint locked
    cdef public bint listening
    cdef public bint released

@cython.final
cdef class SocketTable:
    cdef readonly dict connections
    cdef readonly dict listeners
    cdef readonly dict datagrams
    cdef dict _holds
    cdef dict _connection_holds
    cdef int _next_port
    @cython.locals(frame=bytes, l3=Py_ssize_t, l4=Py_ssize_t)
    cpdef Connection connection_of(self, RxPacket packet)

cpdef bytes connection_key(bytes remote, bytes local, uint32_t remote_port, uint32_t local_port)
cpdef bytes key_of(Connection connection)
