import cython
from libc.stdint cimport uint32_t

from aionetflow.packet cimport TxPacket
from aionetflow.tcp.segment cimport Segment, emit
from aionetflow.tcp.sequence cimport seq_add

cdef int ACK
cdef int RST

@cython.locals(source=int, destination=int, ack=uint32_t)
cpdef bint answer(TxPacket packet, Segment segment) except -1
