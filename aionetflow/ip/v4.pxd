import cython
from libc.stdint cimport int64_t

from aionetflow._fast cimport checksum, equal, forward, get16, part, put_ipv4_header, segment
from aionetflow.alarms cimport Alarms
from aionetflow.ethernet.interface cimport Interface
from aionetflow.fast_paths cimport FastPaths
from aionetflow.ip.identification cimport Identifications
from aionetflow.ip.route cimport Route, RoutingTable
from aionetflow.packet cimport PacketHandler, RxPacket, TxPacket
from aionetflow.stats cimport IpStats
from aionetflow.sysctl cimport Sysctl

cdef FastPaths FAST
cdef int _DONT_FRAGMENT
cdef int _FRAGMENT
cdef int _TCP
cdef int64_t _IPV6_MIN_MTU
cdef int64_t _SECOND
cdef int LOCAL
cdef int BROADCAST
cdef int UNREACHABLE
cdef int MULTICAST
cdef bytes LIMITED_BROADCAST
cdef tuple _FOR_ALL

cdef class IcmpErrors:
    cpdef protocol_unreachable(self, RxPacket packet, int64_t now)
    cpdef net_unreachable(self, RxPacket packet, int64_t now)
    cpdef host_unreachable(self, bytes frame, Py_ssize_t l3, int64_t now)
    cpdef time_exceeded(self, RxPacket packet, int64_t now)
    cpdef reassembly_time_exceeded(self, bytes fragment, int64_t now)
    cpdef redirect(self, RxPacket packet, bytes gateway, int64_t now)
    cpdef parameter_problem(self, RxPacket packet, int pointer, int64_t now)
    cpdef fragmentation_needed(self, RxPacket packet, int mtu, int64_t now)

cpdef bytes looped_copy(TxPacket packet)

cdef class IPv4(PacketHandler):
    cdef readonly RoutingTable routes
    cdef readonly IpStats stats
    cdef readonly dict handlers
    cdef public IcmpErrors errors
    cdef public Interface loopback
    cdef public bint forwarding
    cdef readonly Sysctl sysctl
    cdef readonly Alarms alarms
    cdef readonly Identifications idents
    cdef readonly object reassembly
    cdef RxPacket _joined
    cdef RxPacket _looped_packet
    cdef public list looped
    cdef bint _looping
    cdef PacketHandler _last_handler
    cdef int _last_protocol
    cdef object _last_interface
    cdef int64_t _last_version
    cdef bytes _last_source
    cdef bytes _last_destination
    cdef bytes _last_addresses
    @cython.locals(frame=bytes, l3=Py_ssize_t, destination=bytes, route=Route)
    cpdef receive(self, RxPacket packet, int64_t now)
    cpdef output(self, TxPacket packet, Route route, bytes source, bytes destination, int64_t now)
    @cython.locals(payload=Py_ssize_t)
    cpdef _send(self, TxPacket packet, Interface interface, bytes next_hop, int64_t mtu, int64_t now)
    cpdef _send_pieces(self, bytes whole, Interface interface, bytes next_hop, int64_t mtu, int64_t now)
    @cython.locals(minimum=int64_t)
    cpdef Route learn_mtu(self, bytes destination, int64_t mtu, int64_t now)
    cpdef take_looped(self, Interface interface, bytes frame, int64_t now)
    cpdef _receive_group(self, RxPacket packet, bytes destination, int64_t now)
    cdef bint _has_last_addresses(self, RxPacket packet) except -1
    @cython.locals(handler=PacketHandler)
    cdef _remember(self, RxPacket packet)
    @cython.locals(frame=bytes, l3=Py_ssize_t, header_length=Py_ssize_t, stop=Py_ssize_t)
    cpdef bint _parse(self, RxPacket packet) except -1
    @cython.locals(source=bytes, route=Route)
    cpdef bint _may_come_from(self, RxPacket packet, bytes destination) except -1
    @cython.locals(verdict=int)
    cpdef bint _may_have_options(self, RxPacket packet, int64_t now) except -1
    @cython.locals(handler=PacketHandler)
    cpdef _deliver(self, RxPacket packet, int64_t now)
    @cython.locals(frame=bytes, joined=RxPacket, lost=bint)
    cpdef _deliver_piece(self, RxPacket packet, int64_t now)
    cpdef _forward(self, RxPacket packet, Route route, bytes destination, int64_t now)
    @cython.locals(interface=Interface)
    cpdef _forward_too_long(self, RxPacket packet, Route route, bytes destination, int64_t now)
