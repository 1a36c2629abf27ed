import cython
from libc.stdint cimport int64_t

from aionetflow.ip.route cimport Route
from aionetflow.socket.data cimport DataSocket

cdef int ERR
cdef int HUP
cdef int IN
cdef int OUT
cdef int RDHUP
cdef int BROADCAST
cdef int64_t MAX_PAYLOAD
cdef int64_t _OVERHEAD

cdef class DatagramSocket(DataSocket):
    cdef public object _queue
    cdef public int64_t _queued
    cdef public bint read_shut
    cdef public bint _write_shut
    cdef tuple _sender
    cdef bytes _sender_host
    cdef int _sender_port
    cdef object _target
    cdef bytes _target_host
    cdef int _target_port
    cpdef Py_ssize_t send(self, object data, int flags=*) except? -1
    cpdef Py_ssize_t sendto(self, object data, object address, int flags=*) except? -1
    cpdef tuple recvfrom(self, Py_ssize_t limit, int flags=*)
    @cython.locals(mask=int)
    cpdef int events(self) except? -1
    cpdef bint is_connected(self) except -1
    cpdef bint fits(self, bytes source, int source_port, bytes destination) except -1
    cpdef bint deliver(self, bytes data, bytes source, int source_port) except -1
    cpdef fail(self, int code)
    @cython.locals(data=bytes)
    cpdef tuple _next(self, int flags)
    @cython.locals(payload=bytes, route=Route, source=bytes)
    cpdef Py_ssize_t _send(self, object data, bytes remote, int port, int flags) except? -1
    cpdef Route _route(self, bytes remote)
    cpdef _hold_port(self, bytes address, int port)
