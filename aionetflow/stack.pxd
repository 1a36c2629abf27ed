import cython
from libc.stdint cimport int64_t

from aionetflow.ethernet.interface cimport Interface, LoopbackInterface, Node
from aionetflow.ip.route cimport Route, RoutingTable
from aionetflow.ip.v4 cimport IPv4
from aionetflow.ip.v6 cimport IPv6
from aionetflow.packet cimport TxPacket
from aionetflow.socket.driver cimport Driver
from aionetflow.socket.table cimport SocketTable
from aionetflow.stats cimport Stats
from aionetflow.tcp.connection cimport Connection
from aionetflow.udp.datagram cimport emit

cdef int64_t NEVER
cdef int LOCAL
cdef int BROADCAST

cdef class Stack(Node):
    cdef readonly object clock
    cdef readonly object random
    cdef readonly Stats stats
    cdef readonly RoutingTable routes
    cdef readonly SocketTable table
    cdef public object sockets
    cdef readonly IPv4 ip
    cdef readonly IPv6 ip6
    cdef readonly object icmp
    cdef readonly Driver driver
    cdef readonly LoopbackInterface lo
    cdef readonly list interfaces
    cdef TxPacket _datagram
    cdef list _free
    cdef list _failures
    cdef bint _running
    cdef object _timer
    cdef int64_t _armed_at
    cdef object __weakref__
    cpdef void touch(self, Connection connection)
    cpdef void run(self)
    @cython.locals(interface=Interface)
    cpdef void _run(self, int64_t now)
    @cython.locals(deadline=int64_t, interface=Interface)
    cpdef int64_t deadline(self)
    @cython.locals(now=int64_t, interface=Interface)
    cpdef void expire(self)
    @cython.locals(deadline=int64_t)
    cpdef void _arm(self)
