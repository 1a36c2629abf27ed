import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.ip.route cimport Route
from aionetflow.packet cimport RxPacket, TxPacket
from aionetflow.socket.services cimport Services
from aionetflow.socket.driver cimport Driver
from aionetflow.socket.listener cimport Listener
from aionetflow.socket.table cimport SocketTable
from aionetflow.stats cimport TcpStats
from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp cimport arrival, departure, reset
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.early_data cimport take_syn
from aionetflow.tcp.fast_open cimport FastOpenQueue
from aionetflow.tcp.handshake cimport emit_syn, open_passively, resume_passively
from aionetflow.tcp.request cimport Request, Row
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.sequence cimport seq_add, seq_sub
from aionetflow.tcp.syncookies cimport SynCookies, stamp

cdef int64_t MILLISECOND
cdef int64_t NEVER
cdef int64_t RTO_INITIAL
cdef int64_t RTO_MAX
cdef int UNREACHABLE
cdef int ACK
cdef int FIN
cdef int PROTOCOL
cdef int RST
cdef int SYN
cdef int SYN_RECEIVED
cdef int _SYN_COOKIES_ALWAYS
cdef int _FEW

@cython.final
cdef class HalfOpen:
    cdef readonly Driver driver
    cdef readonly dict requests
    cdef readonly int64_t deadline
    cdef Services _services
    cdef SynCookies _cookies
    cdef list _rows
    cdef Segment _syn
    cdef TxPacket _packet
    cdef TcpStats _stats
    cdef Sysctl _sysctl
    @cython.locals(cookie=bint, route=Route, key=bytes, first=uint32_t, request=Request)
    cpdef begin(self, Listener listener, RxPacket packet, Segment segment, int64_t iss, int64_t now)
    @cython.locals(queue=FastOpenQueue, connection=Connection)
    cpdef _open_early(
        self, Listener listener, Route route, RxPacket packet, Segment segment, uint32_t iss, int64_t now)
    @cython.locals(most=int)
    cpdef bint _is_crowded(self, Listener listener, int64_t iss) except -1
    @cython.locals(iss=uint32_t, template=Connection, scale=int, clock=uint32_t, stamped=uint32_t)
    cpdef _send_cookie(
        self, Listener listener, bytes key, Route route, RxPacket packet, Segment segment, int64_t now)
    @cython.locals(listener=Listener, flags=int)
    cpdef bint receive(self, Request request, RxPacket packet, Segment segment, int64_t now) except -1
    @cython.locals(template=Connection)
    cpdef _refuse(self, Listener listener, Request request, Segment segment, int64_t now)
    @cython.locals(bare=bint, connection=Connection, sent_at=int64_t)
    cpdef _finish(self, Listener listener, Request request, Segment segment, int64_t now)
    @cython.locals(cookies=SynCookies, offset=uint32_t, key=bytes, route=Route, iss=uint32_t, connection=Connection)
    cpdef bint receive_cookie(self, Listener listener, RxPacket packet, Segment segment, int64_t now) except -1
    @cython.locals(port=int, connection=Connection, table=SocketTable)
    cpdef Connection _connection(
        self, Listener listener, Route route, bytes local, bytes remote, int remote_port, uint32_t iss)
    cpdef bint _establish(self, Listener listener, Connection connection, Segment segment, int64_t now) except -1
    cpdef fail(self, Request request, uint32_t seq, bint final)
    @cython.locals(row=Row)
    cpdef expire(self, int64_t now)
    @cython.locals(listener=Listener, again=bint, over=bint)
    cpdef _expire(self, Request request, int64_t now)
    @cython.locals(patience=int, young=int)
    cpdef int _patience(self, Listener listener) except -1
    @cython.locals(delay=int64_t, row=Row)
    cpdef _wait(self, Request request, int64_t now)
    @cython.locals(row=Row)
    cpdef _leave(self, Request request)
    @cython.locals(listener=Listener)
    cpdef _drop(self, Request request)
    cpdef bint _was_answered(self, Request request, Segment segment, int64_t now) except -1
    @cython.locals(template=Connection)
    cpdef Connection _template(
        self, Listener listener, Route route, bytes local, bytes remote, int remote_port, uint32_t iss)
    cpdef Connection _answering(self, Listener listener, Request request)
    @cython.locals(template=Connection)
    cpdef _send_syn_ack(self, Listener listener, Request request, Segment syn, int64_t now)
    @cython.locals(route=Route)
    cpdef _send_again(self, Listener listener, Request request, int64_t now)
    @cython.locals(packet=TxPacket)
    cpdef _transmit(self, Connection template, int64_t now)
    cpdef _reset(self, Request request, Segment segment, int64_t now)
