import cython
from libc.stdint cimport int64_t

from aionetflow.socket.services cimport Services
from aionetflow.socket.data cimport DataSocket
from aionetflow.socket.fast_open cimport early_room
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.urgent cimport is_sending, read_until_mark, send_urgent, take_urgent

cdef int CLOSED
cdef int SYN_RECEIVED
cdef int SYN_SENT
cdef int MSG_ERRQUEUE
cdef int MSG_FASTOPEN
cdef int MSG_MORE
cdef int MSG_OOB
cdef int MSG_PEEK

cdef class StreamData(DataSocket):
    cdef public Connection connection
    cdef public object _errors
    cdef public bint _read_shut
    cpdef _set_up(self, Services services, int fd, object owner, int family)
    @cython.locals(connection=Connection, room=int64_t, size=int64_t)
    cpdef Py_ssize_t send(self, object data, int flags=*) except? -1
    @cython.locals(connection=Connection, room=int64_t, size=int64_t)
    cpdef Py_ssize_t send_rest(self, bytes data, Py_ssize_t start) except? -1
    @cython.locals(connection=Connection, data=bytes)
    cpdef bytes recv(self, Py_ssize_t limit, int flags=*)
    @cython.locals(connection=Connection, data=bytes)
    cpdef bytes recv_piece(self, Py_ssize_t limit)
    cpdef Connection _writable(self, int flags)
    @cython.locals(snd=Sender)
    cpdef _written(self, Connection connection, int64_t size, int flags)
    @cython.locals(data=bytes)
    cpdef bytes _recv_beside_urgent(self, Connection connection, Py_ssize_t limit, bint peek)
    @cython.locals(error=int)
    cpdef bytes _recv_nothing(self, Connection connection)
