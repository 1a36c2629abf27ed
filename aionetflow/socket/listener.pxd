from libc.stdint cimport int64_t, uint32_t

from aionetflow.socket.ports cimport PortHold
from aionetflow.stats cimport TcpStats
from aionetflow.tcp.connection cimport Connection, ConnectionUser
from aionetflow.tcp.fast_open cimport FastOpenQueue

cdef int64_t NEVER
cdef int _MAX_WINDOW

cdef class Listener(ConnectionUser):
    cdef public bytes address
    cdef public PortHold hold
    cdef public Py_ssize_t backlog
    cdef public object make
    cdef public bint reuse
    cdef public bint reuse_port
    cdef public int device
    cdef public Connection template
    cdef public int half_open
    cdef public int young
    cdef public int64_t overflowed_at
    cdef public int defer_rounds
    cdef public int syn_retries
    cdef public FastOpenQueue fast_open
    cdef public int64_t receive_limit
    cdef public bint closed
    cdef public object ready
    cdef public object _tell
    cdef public bint _news
    cdef public TcpStats _stats
    cpdef bint is_full(self) except -1
    cpdef uint32_t window(self) except? 0
    cpdef enqueue(self, Connection connection)
    cpdef changed(self, Connection connection)
