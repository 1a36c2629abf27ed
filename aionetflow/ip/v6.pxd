import cython
from libc.stdint cimport int64_t

from aionetflow._fast cimport get16
from aionetflow.ip.route cimport Route, RoutingTable
from aionetflow.packet cimport PacketHandler, RxPacket, TxPacket
from aionetflow.stats cimport Ip6Stats

cdef int _TCP
cdef int LOCAL

cdef class IPv6(PacketHandler):
    cdef readonly RoutingTable routes
    cdef readonly Ip6Stats stats
    cdef readonly dict handlers
    @cython.locals(frame=bytes, l3=Py_ssize_t, route=Route, handler=PacketHandler)
    cpdef receive(self, RxPacket packet, int64_t now)
    @cython.locals(header=bytearray, l3=Py_ssize_t)
    cpdef output(self, TxPacket packet, Route route, bytes source, bytes destination, int64_t now)
    @cython.locals(frame=bytes, l3=Py_ssize_t)
    cpdef bint _parse(self, RxPacket packet) except -1
