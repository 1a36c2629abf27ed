import cython
from libc.stdint cimport int64_t

from aionetflow.ip.route cimport Route, RoutingTable
from aionetflow.ip.v4 cimport IPv4
from aionetflow.ip.v6 cimport IPv6
from aionetflow.packet cimport TxPacket
from aionetflow.socket.table cimport SocketTable
from aionetflow.stats cimport TcpStats
from aionetflow.tcp.connection cimport Connection, ConnectionUser
from aionetflow.tcp.timewait cimport may_reuse, next_iss
from aionetflow.tcp.departure cimport expire, output

cdef int64_t NEVER
cdef int64_t TIME_WAIT_TIME
cdef int CLOSED
cdef int FIN_WAIT_2
cdef int TIME_WAIT
cdef int _TIMEOUT
cdef int _WANT
cdef int _DO
cdef int UNREACHABLE

@cython.final
cdef class Driver:
    cdef readonly IPv4 ip
    cdef readonly IPv6 ip6
    cdef readonly RoutingTable routes
    cdef readonly SocketTable table
    cdef readonly TcpStats stats
    cdef TxPacket packet
    cdef readonly int64_t time_wait
    cdef list _changed
    cdef list _spare
    cdef list _heap
    cdef list _unscheduled
    cdef int64_t _order
    cpdef touch(self, Connection connection)
    @cython.locals(changed=list, connection=Connection)
    cpdef run(self, int64_t now)
    cpdef int64_t deadline(self) except? -1
    @cython.locals(connection=Connection, when=int64_t)
    cpdef expire(self, int64_t now)
    @cython.locals(connection=Connection, route=Route)
    cpdef learn_mtu(self, bytes destination, int mtu, int64_t now)
    @cython.locals(old=Connection)
    cpdef int64_t take_over(self, bytes key, int64_t now) except? -2
    cpdef transmit(self, TxPacket packet, Route route, bytes source, bytes destination, int64_t now)
    @cython.locals(user=ConnectionUser)
    cpdef _tell(self, Connection connection)
    @cython.locals(packet=TxPacket, route=Route, count=int64_t)
    cpdef _send(self, Connection connection, int64_t now)
    cpdef _let_go(self, Connection connection, int64_t now)
    cpdef _count_waiting(self, Connection connection)
    @cython.locals(connection=Connection)
    cpdef _schedule_all(self)
    @cython.locals(deadline=int64_t)
    cpdef _schedule(self, Connection connection)
    cpdef forget(self, Connection connection)
