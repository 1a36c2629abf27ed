import cython

from aionetflow.socket.services cimport Services
from aionetflow.socket.stream_data cimport StreamData
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.urgent cimport is_at_mark, readable_without_mark
from aionetflow.tcp.urgent_mark cimport UrgentMark

cdef int IPPROTO_TCP
cdef int TCP_QUICKACK
cdef int TCP_WINDOW_CLAMP
cdef int DEFAULT_MSS
cdef int HERE
cdef int IN
cdef int PRI

cdef class StreamOptions(StreamData):
    cdef public bint nodelay
    cdef public bint cork
    cdef public str _congestion
    cpdef _set_up(self, Services services, int fd, object owner, int family)
    @cython.locals(connection=Connection)
    cpdef send_at_once(self)
    @cython.locals(mark=UrgentMark, rcv=Receiver, mask=int)
    cpdef int urgent_events(self, Connection connection) except? -1
