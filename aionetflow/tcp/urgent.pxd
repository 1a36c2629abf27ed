import cython
from libc.stdint cimport uint32_t

from aionetflow.packet cimport TxPacket
from aionetflow.tcp.buffer cimport ReceiveQueue
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.segment cimport Segment, urgent_pointer
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_add, seq_geq, seq_gt, seq_lt, seq_sub
from aionetflow.tcp.urgent_mark cimport UrgentMark

cdef int URG
cdef int CLOSED
cdef int _AWAITED
cdef int _HERE
cdef int _NONE
cdef int _TAKEN
cdef uint32_t _FARTHEST

cpdef UrgentMark mark_of(Connection connection)
@cython.locals(snd=Sender, mark=UrgentMark)
cpdef send_urgent(Connection connection)
@cython.locals(mark=UrgentMark)
cpdef bint is_sending(Connection connection) except -1
@cython.locals(snd=Sender, mark=UrgentMark, distance=uint32_t, header=bytearray, l4=Py_ssize_t)
cpdef stamp(Connection connection, TxPacket packet, uint32_t seq)
@cython.locals(mark=UrgentMark)
cpdef bint probes_urgent(Connection connection) except -1
@cython.locals(mark=UrgentMark, offset=uint32_t)
cpdef receive_urgent(Connection connection, Segment segment)
@cython.locals(mark=UrgentMark, rcv=Receiver, pointer=int, urg_seq=uint32_t)
cpdef _notice(Connection connection, Segment segment)
@cython.locals(rcv=Receiver, read=uint32_t)
cpdef uint32_t copied_seq(Connection connection) except? -1
@cython.locals(mark=UrgentMark)
cpdef bint is_at_mark(Connection connection) except -1
@cython.locals(mark=UrgentMark, queue=ReceiveQueue, skip=Py_ssize_t, length=Py_ssize_t, before=uint32_t, data=bytes)
cpdef bytes read_until_mark(Connection connection, Py_ssize_t limit, bint peek)
@cython.locals(mark=UrgentMark)
cpdef bytes take_urgent(Connection connection, Py_ssize_t limit, bint peek)
@cython.locals(mark=UrgentMark, queue=ReceiveQueue, before=uint32_t)
cpdef Py_ssize_t readable_without_mark(Connection connection) except? -1
