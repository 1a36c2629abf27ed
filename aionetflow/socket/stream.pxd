import cython
from libc.stdint cimport int64_t

from aionetflow.ip.route cimport Route
from aionetflow.socket cimport fast_open
from aionetflow.socket.listener cimport Listener
from aionetflow.socket.stream_options cimport StreamOptions
from aionetflow.socket.services cimport Services
from aionetflow.socket.ports cimport PortHold, connection_key
from aionetflow.socket.table cimport SocketTable
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.fast_open cimport CookieKeys
from aionetflow.tcp.handshake cimport open_actively

cdef int ERR
cdef int HUP
cdef int IN
cdef int OUT
cdef int RDHUP
cdef int CLOSED
cdef int SYN_RECEIVED
cdef int SYN_SENT
cdef int TIME_WAIT
cdef int _CLOSE
cdef int _TCP
cdef int64_t NO_UNSENT_LIMIT
cdef int BROADCAST

cdef class StreamSocket(StreamOptions):
    cdef public Listener listener
    cdef public int defer_accept
    cdef public bint opens_fast
    cdef public CookieKeys fast_open_keys
    cdef public bint _connecting
    @cython.locals(listener=Listener, sock=StreamSocket, connection=Connection)
    cpdef StreamSocket take_ready(self)
    @cython.locals(route=Route)
    cpdef begin(self, bytes remote, int port)
    @cython.locals(connection=Connection, mask=int)
    cpdef int events(self) except? -1
    @cython.locals(services=Services, local=bytes, connection=Connection, now=int64_t, iss=int64_t,
        without_cookie=bint)
    cpdef _start_connecting(self, Route route, bytes remote, int port)
    cpdef _inherit(self, StreamSocket listening)
    cpdef changed(self, Connection connection)
    @cython.locals(connection=Connection)
    cpdef bint is_connected(self) except -1
    @cython.locals(connection=Connection, error=int)
    cpdef int take_error(self) except? -1
    cpdef _use(self, Connection connection)
    cpdef _let_go(self, Connection connection)
