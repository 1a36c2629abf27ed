import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow._fast cimport equal, get16, get32, part, put_ipv6_header, segment
from aionetflow.ethernet.interface cimport Interface
from aionetflow.fast_paths cimport FastPaths
from aionetflow.ip.route cimport Route, RoutingTable
from aionetflow.ip.v4 cimport looped_copy
from aionetflow.packet cimport PacketHandler, RxPacket, TxPacket
from aionetflow.stats cimport Ip6Stats

cdef FastPaths FAST
cdef int _TCP
cdef int _HOP_BY_HOP
cdef int LOCAL
cdef int UNREACHABLE
cdef uint32_t _M32
cdef uint32_t _GOLDEN
cdef uint32_t _MIXED
cdef bytes _LOOPBACK
cdef bytes _ANY

@cython.locals(mixed=uint32_t)
cpdef uint32_t flow_label(bytes source, bytes destination, uint32_t ports) except? 0

cdef class Icmp6Errors:
    cpdef parameter_problem(self, RxPacket packet, int code, int pointer, int64_t now)
    cpdef time_exceeded(self, RxPacket packet, int64_t now)
    cpdef packet_too_big(self, RxPacket packet, int mtu, int64_t now)
    cpdef no_route(self, RxPacket packet, int64_t now)
    cpdef beyond_scope(self, RxPacket packet, int64_t now)
    cpdef address_unreachable(self, bytes frame, Py_ssize_t l3, int64_t now)
    cpdef redirect(self, RxPacket packet, Route route, int64_t now)

cdef class Fragments:
    cpdef bint take(self, RxPacket packet, Py_ssize_t at, Py_ssize_t named_at, int64_t now) except -1
    cpdef list cut(self, bytes packet, int mtu)

cdef class IPv6(PacketHandler):
    cdef readonly RoutingTable routes
    cdef readonly Ip6Stats stats
    cdef readonly dict handlers
    cdef public Icmp6Errors errors
    cdef public Fragments fragments
    cdef RxPacket _joined
    cdef RxPacket _looped_packet
    cdef public list looped
    cdef public Interface loopback
    cdef public bint forwarding
    cdef PacketHandler _last_handler
    cdef int _last_protocol
    cdef object _last_interface
    cdef int64_t _last_version
    cdef bytes _last_source
    cdef bytes _last_destination
    cdef bytes _last_addresses
    @cython.locals(destination=bytes, route=Route)
    cpdef receive(self, RxPacket packet, int64_t now)
    @cython.locals(flow=uint32_t)
    cpdef output(self, TxPacket packet, Route route, bytes source, bytes destination, int64_t now)
    cpdef _output_in_pieces(self, TxPacket packet, Route route, bytes destination, int64_t now)
    @cython.locals(packet=RxPacket)
    cpdef take_looped(self, Interface interface, bytes frame, int64_t now)
    @cython.locals(packet=RxPacket)
    cpdef deliver_whole(self, bytes frame, RxPacket piece, int64_t now)
    @cython.locals(frame=bytes, l3=Py_ssize_t)
    cpdef bint _parse(self, RxPacket packet) except -1
    cdef bint _has_last_addresses(self, RxPacket packet) except -1
    @cython.locals(handler=PacketHandler)
    cdef _remember(self, RxPacket packet)
    @cython.locals(frame=bytes, l3=Py_ssize_t, source=bytes, destination=bytes)
    cpdef bint _take_addresses(self, RxPacket packet) except -1
    cpdef bytes on_link(self, bytes address, object heard_by)
    cpdef _receive_group(self, RxPacket packet, int64_t now)
    @cython.locals(handler=PacketHandler, named_at=Py_ssize_t, here=Py_ssize_t)
    cpdef _deliver(self, RxPacket packet, int64_t now)
    @cython.locals(frame=bytes, at=Py_ssize_t, protocol=int, length=Py_ssize_t)
    cpdef bint _pass_header(self, RxPacket packet, Py_ssize_t named_at, int64_t now) except -1
    @cython.locals(source=bytes)
    cpdef _forward(self, RxPacket packet, Route route, bytes destination, int64_t now)
