import cython

from aionetflow.socket.base cimport Services
from aionetflow.socket.stream_data cimport StreamData
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.send cimport Sender

cdef int IPPROTO_TCP
cdef int TCP_QUICKACK
cdef int TCP_WINDOW_CLAMP
cdef int DEFAULT_MSS

cdef class StreamOptions(StreamData):
    cdef public bint nodelay
    cdef public bint cork
    cpdef _set_up(self, Services services, int fd, object owner, int family)
    @cython.locals(connection=Connection)
    cpdef send_at_once(self)
