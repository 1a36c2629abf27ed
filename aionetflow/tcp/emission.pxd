import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow._fast cimport put32, put_tcp_header
from aionetflow.packet cimport TxPacket
from aionetflow.stats cimport TcpStats
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.early_data cimport fill_syn
from aionetflow.tcp.handshake cimport emit_syn
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.sack cimport block, blocks_to_send
from aionetflow.tcp.scoreboard cimport Run, segments_in
from aionetflow.tcp.segment cimport emit
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_sub
from aionetflow.tcp.timeouts cimport within_user_timeout
from aionetflow.tcp.urgent cimport stamp

cdef int64_t NEVER
cdef int NOP
cdef int SACK
cdef int TIMESTAMPS_LENGTH
cdef int EVER_RESENT
cdef int ACK
cdef int ECE
cdef int FIN
cdef uint32_t PLAIN_TIMESTAMPS
cdef int PROTOCOL
cdef int PSH
cdef int RST

@cython.locals(rcv=Receiver, window=int, blocks=int, length=Py_ssize_t, at=Py_ssize_t)
cpdef emit_segment(Connection connection, TxPacket packet, uint32_t seq, int flags, int64_t now)
@cython.locals(rcv=Receiver, stats=TcpStats)
cpdef _count_closing(Connection connection)
@cython.locals(rcv=Receiver)
cpdef int blocks_due(Connection connection) except? -1
@cython.locals(number=int, start=uint32_t, end=uint32_t)
cpdef _put_blocks(Connection connection, TxPacket packet, Py_ssize_t at, int count)
cpdef emit_reset(Connection connection, TxPacket packet, int64_t now)
cpdef send_syn(Connection connection, TxPacket packet, int64_t now)
@cython.locals(
    snd=Sender, offset=int64_t, data=int64_t, length=int64_t, fin=bint, flags=int,
    segments=int64_t)
cpdef emit_run(Connection connection, TxPacket packet, Run run, int64_t now)
@cython.locals(header=int64_t)
cpdef int64_t mss_in(Connection connection, TxPacket packet) except? -1
