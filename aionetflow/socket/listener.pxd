from libc.stdint cimport int64_t, uint32_t

from aionetflow.packet cimport RxPacket
from aionetflow.socket.ports cimport PortHold
from aionetflow.stats cimport TcpStats
from aionetflow.tcp.connection cimport Connection, ConnectionUser
from aionetflow.tcp.handshake cimport open_passively
from aionetflow.tcp.segment cimport Segment

cdef int ACK
cdef int RST
cdef int SYN
cdef int CLOSED
cdef int SYN_RECEIVED

cdef class Listener(ConnectionUser):
    cdef public bytes address
    cdef public PortHold hold
    cdef public Py_ssize_t backlog
    cdef public object _make
    cdef public object _tell
    cdef public TcpStats _stats
    cdef public dict handshaking
    cdef public Py_ssize_t _admitted
    cdef public object ready
    cpdef Connection receive(self, RxPacket packet, Segment segment, int64_t iss, int64_t now)
    cpdef bint admits(self, Connection connection) except -1
    cpdef bint _has_room(self) except -1
    cpdef changed(self, Connection connection)
