from libc.stdint cimport int64_t

from aionetflow.clock cimport Clock
from aionetflow.ethernet.interface cimport Node
from aionetflow.ip.route cimport Route, RoutingTable
from aionetflow.ip.v4 cimport IPv4
from aionetflow.socket.base cimport Socket
from aionetflow.socket.table cimport SocketTable
from aionetflow.stats cimport Stats
from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.challenge cimport ChallengeLimit
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.fast_open cimport FastOpenHost
from aionetflow.tcp.isn cimport InitialNumbers

cdef class Services(Node):
    cdef readonly Clock clock
    cdef readonly object random
    cdef readonly RoutingTable routes
    cdef readonly SocketTable table
    cdef readonly IPv4 ip
    cdef readonly Stats stats
    cdef readonly Sysctl sysctl
    cdef public InitialNumbers isn
    cdef readonly ChallengeLimit challenges
    cdef readonly FastOpenHost fast_open
    cpdef int64_t take_over(self, bytes key, int64_t now) except? -2
    cpdef int64_t timestamp_offset(self, bytes local, bytes remote) except? -1
    cdef readonly list interfaces
    cdef readonly object sources
    cdef public dict memberships
    cpdef Socket make_stream(self, object owner, int family)
    cpdef released(self, Socket sock)
    cpdef touch(self, Connection connection)
    cpdef run(self)
    cpdef send_datagram(self, Socket sock, bytes data, Route route, bytes source, bytes remote, int port)
