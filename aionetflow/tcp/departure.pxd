import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.packet cimport TxPacket
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.handshake cimport emit_syn
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.segment cimport emit
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_add, seq_sub
from aionetflow.tcp.states cimport may_send
from aionetflow.tcp.timers cimport Timers

cdef int64_t CORK_LIMIT
cdef int64_t NEVER
cdef int ORPHAN_RETRIES
cdef int ACK
cdef int FIN
cdef int PSH
cdef int RST
cdef int CLOSED
cdef int SYN_RECEIVED
cdef int SYN_SENT
cdef int _ABORT
cdef int _TIMEOUT
cdef int ETIMEDOUT

@cython.locals(snd=Sender)
cpdef bint output(Connection connection, TxPacket packet, int64_t now) except -1
@cython.locals(snd=Sender)
cpdef follow_mtu(Connection connection, int64_t now)
@cython.locals(timers=Timers)
cpdef expire(Connection connection, int64_t now)
@cython.locals(rcv=Receiver, window=int)
cpdef _emit(Connection connection, TxPacket packet, uint32_t seq, int flags)
cpdef _emit_reset(Connection connection, TxPacket packet)
@cython.locals(recovery=Recovery)
cpdef _emit_syn(Connection connection, TxPacket packet, int64_t now)
@cython.locals(
    snd=Sender, recovery=Recovery, seq=uint32_t, offset=int64_t, data=int64_t, length=int64_t, fin=bint,
    flags=int)
cpdef _emit_again(Connection connection, TxPacket packet, int64_t now)
@cython.locals(snd=Sender, recovery=Recovery, idle=int64_t, cwnd=int64_t, length=int64_t, last=bint, fin=bint, flags=int)
cpdef bint _emit_new(Connection connection, TxPacket packet, int64_t now) except -1
@cython.locals(snd=Sender, timers=Timers)
cpdef _arm_holding_timers(Connection connection, int64_t now)
@cython.locals(snd=Sender, recovery=Recovery)
cpdef _on_retransmission_timeout(Connection connection, int64_t now)
@cython.locals(patience=int)
cpdef _on_persist_timeout(Connection connection)
cpdef _give_up(Connection connection)
cpdef int _retry_limit(Connection connection) except? -1
