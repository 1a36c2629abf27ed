import cython
from libc.stdint cimport uint16_t

from aionetflow._fast cimport get16, put16, verify
from aionetflow.packet cimport RxPacket, TxPacket

cpdef emit(TxPacket packet, uint16_t source_port, uint16_t destination_port, bytes payload)
@cython.locals(length=Py_ssize_t)
cpdef bint is_whole(RxPacket packet) except -1
cpdef bint is_intact(RxPacket packet) except -1
