import cython
from libc.stdint cimport int64_t

from aionetflow.alarms cimport Alarms
from aionetflow.ethernet.interface cimport Interface
from aionetflow.ethernet.loopback cimport LoopbackInterface
from aionetflow.fast_paths cimport FastPaths
from aionetflow.ip.route cimport Route
from aionetflow.ip.v6 cimport IPv6
from aionetflow.packet cimport TxPacket
from aionetflow.socket.base cimport Socket
from aionetflow.socket.services cimport Services
from aionetflow.socket.driver cimport Driver
from aionetflow.socket.half_open cimport HalfOpen
from aionetflow.tcp.connection cimport Connection
from aionetflow.udp.datagram cimport emit

cdef int64_t NEVER
cdef FastPaths FAST
cdef int LOCAL
cdef int BROADCAST
cdef int MULTICAST

cdef class Stack(Services):
    cdef public object sockets
    cdef readonly IPv6 ip6
    cdef readonly object icmp
    cdef readonly Alarms alarms
    cdef readonly object icmp6
    cdef readonly object ndp
    cdef readonly object addresses
    cdef readonly object autoconf
    cdef readonly object advertiser
    cdef int64_t _discovery_deadline
    cdef readonly Driver driver
    cdef readonly HalfOpen half_open
    cdef readonly LoopbackInterface lo
    cdef dict _pings
    cdef TxPacket _datagram
    cdef list _free
    cdef list _failures
    cdef bint _running
    cdef object _timer
    cdef int64_t _armed_at
    cdef object __weakref__
    @cython.locals(sock=Socket)
    cpdef Socket make_stream(self, object owner, int family)
    cpdef released(self, Socket sock)
    cpdef Socket _enter(self, Socket sock)
    cpdef int _free_descriptor(self) except? -1
    @cython.locals(packet=TxPacket)
    cpdef send_datagram(self, Socket sock, bytes data, Route route, bytes source, bytes remote, int port)
    cpdef int64_t take_over(self, bytes key, int64_t now) except? -2
    cpdef touch(self, Connection connection)
    cpdef run(self)
    @cython.locals(interface=Interface)
    cpdef _run(self, int64_t now)
    @cython.locals(deadline=int64_t, interface=Interface)
    cpdef int64_t deadline(self) except? -1
    @cython.locals(now=int64_t, interface=Interface)
    cpdef expire(self)
    @cython.locals(deadline=int64_t)
    cpdef _arm(self)
