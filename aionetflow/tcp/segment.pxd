import cython
from libc.stdint cimport uint32_t

from aionetflow._fast cimport gather, get16, get32, put_tcp_header
from aionetflow.packet cimport RxPacket, TxPacket
from aionetflow.tcp.options cimport find

cdef uint32_t _PLAIN_TIMESTAMPS
cdef int SACK
cdef int TIMESTAMPS
cdef int _FIN
cdef int _SYN

@cython.final
cdef class Segment:
    cdef public uint32_t seq
    cdef public uint32_t ack
    cdef public int flags
    cdef public uint32_t window
    cdef public int source_port
    cdef public int destination_port
    cdef public bytes payload
    cdef public uint32_t length
    cdef public Py_ssize_t count
    cdef public bint broadcast
    cdef public bytes frame
    cdef public Py_ssize_t options
    cdef public Py_ssize_t options_end
    cdef public int mark
    cdef public bint timestamped
    cdef public uint32_t tsval
    cdef public uint32_t tsecr
    cdef public int sack_count
    cdef public Py_ssize_t sack_at
    @cython.locals(frame=bytes, l4=Py_ssize_t, offset=Py_ssize_t, ip=Py_ssize_t)
    cpdef bint parse(self, RxPacket packet) except -1
    @cython.locals(payload=bytes)
    cpdef bint take_payload(self, RxPacket packet) except -1
    @cython.locals(frame=bytes, at=Py_ssize_t)
    cpdef _find_options(self)
    cpdef uint32_t occupies(self) except? -1
    cpdef bint is_progress(self) except -1

cpdef int urgent_pointer(Segment segment) except? -1
@cython.locals(offset=Py_ssize_t)
cpdef emit(
    TxPacket packet, int source_port, int destination_port, uint32_t seq, uint32_t ack, int flags, int window,
    bytes options)
