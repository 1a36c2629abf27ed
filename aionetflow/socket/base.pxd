import cython
from libc.stdint cimport int64_t

from aionetflow.ip.route cimport Route
from aionetflow.packet cimport TxPacket
from aionetflow.socket.ports cimport PortHold, is_unspecified
from aionetflow.socket.services cimport Services
from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.connection cimport ConnectionUser

cdef class Watcher:
    cpdef socket_changed(self)

cdef class Socket(ConnectionUser):
    cdef public Services _services
    cdef public object owner
    cdef public bytes local
    cdef public bytes remote
    cdef public object on_change
    cdef public PortHold hold
    cdef public dict stored
    cdef object __weakref__
    cdef public int receive_buffer
    cdef public int send_buffer
    cdef public bint receive_locked
    cdef public bint send_locked
    cdef public int descriptor
    cdef public int family
    cdef public int local_port
    cdef public int remote_port
    cdef public bint closed
    cdef public bint reuse_address
    cdef public bint reuse_port
    cdef public bint v6only
    cdef public bint bind_no_port
    cdef public bint broadcast
    cdef public bint linger_on
    cdef public int linger_seconds
    cdef public int user_mss
    cdef public int ttl
    cdef public int tos
    cdef public int hop_limit
    cdef public int traffic_class
    cdef public int mtu_discover
    cdef public int mtu_discover6
    cdef public int asked
    cdef public object groups
    cdef public int error
    cdef public int device
    @cython.locals(stream=bint, sysctl=Sysctl)
    cpdef _set_up(self, Services services, int fd, object owner, int family)
    cpdef int fileno(self) except? -1
    cpdef int events(self) except? -1
    cpdef bint is_connected(self) except -1
    cpdef mark(self, TxPacket packet, Route route, bytes remote, int64_t now)
    cpdef int take_error(self) except? -1
    cpdef check_open(self)
    cpdef Route route_to(self, bytes remote)
    cpdef bytes reached_by(self, bytes remote)
    cpdef tuple hops(self, bytes remote)
    cpdef int discovers(self, bytes remote) except? -1
    @cython.locals(source=bytes)
    cpdef bytes source_for(self, Route route, bytes remote)
    @cython.locals(watcher=Watcher)
    cpdef notify(self)
    cpdef _hold_port(self, bytes address, int port)
