import cython
from libc.stdint cimport int64_t

from aionetflow.ip.route cimport Route
from aionetflow.packet cimport RxPacket, TxPacket
from aionetflow.socket.data cimport DataSocket
from aionetflow.socket.message cimport MessageSocket

cdef int ERR
cdef int HUP
cdef int IN
cdef int OUT
cdef int RDHUP
cdef int BROADCAST
cdef int MULTICAST
cdef int _DONT
cdef int _WANT
cdef int _DO
cdef int _PROBE
cdef int _INTERFACE
cdef int EMSGSIZE
cdef int64_t MAX_PAYLOAD
cdef int64_t _MAX_PAYLOAD_6
cdef int64_t _OVERHEAD

cdef class DatagramSocket(MessageSocket):
    cdef public object _queue
    cdef int64_t _drops
    cdef public int segment
    cdef int _ident
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
    @cython.locals(message=tuple, data=bytes)
    cpdef tuple recvfrom(self, Py_ssize_t limit, int flags=*)
    @cython.locals(mask=int)
    cpdef int events(self) except? -1
    cpdef bint is_connected(self) except -1
    cpdef bint fits(self, bytes source, int source_port, bytes destination) except -1
    @cython.locals(hops=int)
    cpdef bint deliver(self, bytes data, RxPacket packet, int source_port, int64_t now) except -1
    @cython.locals(mode=int, mtu=int64_t)
    cpdef mark(self, TxPacket packet, Route route, bytes remote, int64_t now)
    @cython.locals(message=tuple, data=bytes)
    cpdef tuple _next(self, int flags)
    @cython.locals(mode=int, longest=int64_t)
    cpdef int64_t _limit(self, Route route, bytes remote) except? -1
    cpdef int64_t _mtu(self, Route route, bytes remote) except? -1
    @cython.locals(payload=bytes, route=Route, source=bytes, size=int64_t, limit=int64_t)
    cpdef Py_ssize_t _send(self, object data, bytes remote, int port, int flags) except? -1
    cpdef _transmit(self, bytes payload, Route route, bytes source, bytes remote, int port)
    cpdef Route _route(self, bytes remote)
    cpdef _hold_port(self, bytes address, int port)
