import cython
from libc.stdint cimport int64_t

from aionetflow.ip.route cimport Route
from aionetflow.socket.listener cimport Listener
from aionetflow.socket.stream_data cimport StreamData
from aionetflow.socket.table cimport PortHold
from aionetflow.tcp.connection cimport Connection, ConnectionUser
from aionetflow.tcp.handshake cimport open_actively
from aionetflow.tcp.send cimport Sender

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

cdef class _User(ConnectionUser):
    cdef StreamSocket _sock
    cpdef changed(self, Connection connection)

cdef class StreamSocket(StreamData):
    cdef public bint nodelay
    cdef public bint cork
    cdef public Listener listener
    cdef public _User _user
    cdef public bint _connecting
    @cython.locals(connection=Connection, mask=int)
    cpdef int events(self)
    @cython.locals(connection=Connection)
    cpdef bint is_connected(self)
    @cython.locals(error=int)
    cpdef int take_error(self)
    cpdef _use(self, Connection connection)
    cpdef _let_go(self, Connection connection)
