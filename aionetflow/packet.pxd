import cython
from libc.stdint cimport int64_t

from aionetflow._fast cimport get16, tcp_run
from aionetflow.fast_paths cimport FastPaths
from aionetflow.gso cimport frames_in

cdef Py_ssize_t _HEADROOM
cdef Py_ssize_t MAX_SEGMENT_RUN
cdef FastPaths FAST

cpdef Py_ssize_t packet_end(bytes frame, Py_ssize_t l3) except? -1

@cython.final
cdef class RxPacket:
    cdef public list frames
    cdef public Py_ssize_t first
    cdef public Py_ssize_t count
    cdef public bytes frame
    cdef public Py_ssize_t l2
    cdef public Py_ssize_t l3
    cdef public Py_ssize_t l4
    cdef public Py_ssize_t stop
    cdef public bytes source
    cdef public bytes destination
    cdef public int protocol
    cdef public int ttl
    cdef public bint broadcast
    cdef public object interface
    cdef public int64_t merged_by
    cpdef take(self, object interface, list frames, Py_ssize_t first, Py_ssize_t l2, Py_ssize_t l3, bint broadcast)
    cpdef merge(self)
    cpdef int service(self) except? -1
    @cython.locals(i=Py_ssize_t, count=Py_ssize_t)
    cpdef Py_ssize_t segments(self) except? -1

@cython.final
cdef class TxPacket:
    cdef public bytearray header
    cdef public Py_ssize_t l2
    cdef public Py_ssize_t l3
    cdef public Py_ssize_t l4
    cdef public Py_ssize_t l5
    cdef public bytes payload
    cdef public Py_ssize_t start
    cdef public Py_ssize_t length
    cdef public Py_ssize_t split
    cdef public bytes tail
    cdef public Py_ssize_t tail_start
    cdef public Py_ssize_t mss
    cdef public int protocol
    cdef public int ttl
    cdef public int tos
    cdef public int ecn
    cdef public int ident
    cdef public bint dont_fragment
    cdef public bint loop
    cdef public Py_ssize_t mtu
    cpdef reset(self, int protocol, Py_ssize_t header_length)
    cpdef Py_ssize_t count(self) except? -1

cdef class PacketHandler:
    cpdef receive(self, RxPacket packet, int64_t now)
    cpdef unreachable(self, bytes frame, Py_ssize_t l3, int64_t now)
    cpdef error(self, bytes quote, Py_ssize_t l4, int code, bint final, int info, int64_t now, object origin=*)
