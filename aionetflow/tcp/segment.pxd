import cython
from libc.stdint cimport uint32_t

from aionetflow._fast cimport gather, get16, get32, put_tcp_header
from aionetflow.packet cimport RxPacket, TxPacket

cdef int _FIN
cdef int _SYN
cdef int _ACK

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
    @cython.locals(frame=bytes, l4=Py_ssize_t, offset=Py_ssize_t)
    cpdef bint parse(self, RxPacket packet) except -1
    @cython.locals(payload=bytes)
    cpdef bint take_payload(self, RxPacket packet) except -1
    cpdef uint32_t occupies(self) except? -1

cpdef int urgent_pointer(Segment segment) except? -1
@cython.locals(offset=Py_ssize_t, acknowledged=uint32_t)
cpdef emit(
    TxPacket packet, int source_port, int destination_port, uint32_t seq, uint32_t ack, int flags, int window,
    bytes options)
