import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.packet cimport TxPacket
from aionetflow.tcp cimport options
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.fast_open cimport FastOpen, cookie_in
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_add

cdef int DATA_NOT_ACKED
cdef int SYN_RETRANSMITTED
cdef int SYN_ACK
cdef int TIMEOUT
cdef int ACK
cdef int FIN
cdef int RST
cdef int SYN
cdef int SYN_SENT
cdef int _MAX_OPTIONS
cdef int _LEAST_DATA

@cython.locals(way=int64_t, clamp=int64_t)
cpdef int64_t most_in_syn(Connection connection, int64_t mss, int64_t now) except? -1
@cython.locals(snd=Sender, fast=FastOpen, length=int64_t, start=uint32_t)
cpdef fill_syn(Connection connection, TxPacket packet, int64_t now)
@cython.locals(
    fast=FastOpen, snd=Sender, recovery=Recovery, cookie=bytes, offered=options.SynOptions, mss=int)
cpdef take_syn_ack(Connection connection, Segment segment, int64_t now)
@cython.locals(snd=Sender)
cpdef take_syn(Connection connection, Segment segment, FastOpen fast)
@cython.locals(rcv=Receiver, fast=FastOpen)
cpdef bint is_syn_again(Connection connection, Segment segment, int64_t now) except -1
@cython.locals(fast=FastOpen)
cpdef end_handshake(Connection connection)
@cython.locals(rcv=Receiver)
cpdef _take_data(Connection connection, Segment segment)
