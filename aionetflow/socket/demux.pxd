import cython
from libc.stdint cimport int64_t

from aionetflow._fast cimport get16, get32
from aionetflow.ip.route cimport Route
from aionetflow.packet cimport PacketHandler, RxPacket, TxPacket, packet_end
from aionetflow.socket.driver cimport Driver
from aionetflow.socket.half_open cimport HalfOpen
from aionetflow.socket.listener cimport Listener
from aionetflow.socket.ports cimport connection_key
from aionetflow.socket.table cimport SocketTable
from aionetflow.stats cimport TcpStats, UdpStats
from aionetflow.tcp cimport arrival, reset, timewait
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.request cimport Request
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.sequence cimport seq_between
from aionetflow.udp.datagram cimport is_intact, is_whole

cdef int ACK
cdef int RST
cdef int SYN
cdef int CLOSED
cdef int TIME_WAIT
cdef int UNREACHABLE
cdef int HEADER_LENGTH

cdef class TcpDemux(PacketHandler):
    cdef readonly Driver driver
    cdef readonly HalfOpen half_open
    cdef readonly SocketTable table
    cdef readonly TcpStats stats
    cdef Segment segment
    cdef TxPacket answer
    @cython.locals(segment=Segment)
    cpdef receive(self, RxPacket packet, int64_t now)
    @cython.locals(connection=Connection)
    cpdef _dispatch(self, RxPacket packet, Segment segment, int64_t now)
    @cython.locals(half_open=HalfOpen, request=Request, listener=Listener, flags=int)
    cpdef _begin(self, RxPacket packet, Segment segment, int64_t iss, int64_t now)
    cpdef bint _returns_cookie(self, Listener listener, RxPacket packet, Segment segment, int64_t now) except -1
    cpdef bint _is_succeeded(self, Connection connection, Segment segment, int64_t now) except -1
    @cython.locals(route=Route)
    cpdef _refuse(self, RxPacket packet, Segment segment, int64_t now)
    cpdef _receive_each(self, RxPacket packet, int64_t now)

cdef class UdpDemux(PacketHandler):
    cdef readonly SocketTable table
    cdef readonly UdpStats stats
    cdef object errors
    @cython.locals(frame=bytes, l4=Py_ssize_t, source=bytes, port=int)
    cpdef receive(self, RxPacket packet, int64_t now)
