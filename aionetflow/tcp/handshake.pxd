import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.packet cimport TxPacket
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.mtu_probing cimport begin_with_search
from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.early_data cimport end_handshake, take_syn_ack
from aionetflow.tcp.ecn cimport offer_ecn, take_ecn_offer
from aionetflow.tcp.options cimport SynOptions
from aionetflow.tcp.rack cimport arm_timeout
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.sack cimport note_duplicate
from aionetflow.tcp.segment cimport Segment, emit
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_add, seq_geq, seq_gt, seq_leq
from aionetflow.tcp.timeouts cimport arm_keepalive

cdef int64_t DELAYED_ACK_MAX
cdef int TIMESTAMPS_LENGTH
cdef int64_t NEVER
cdef int64_t RTO_FALLBACK
cdef int64_t TIMEOUT_MIN
cdef int ECE
cdef int ACK
cdef int RST
cdef int SYN
cdef int SYN_RECEIVED
cdef int SYN_SENT
cdef int _PASSIVE_OPEN
cdef int _ACTIVE_OPEN
cdef int _RCV_SYN
cdef int _RCV_SYN_ACK
cdef int _RCV_ACK_OF_SYN
cdef int _RCV_RST
cdef int _CLOSE
cdef int _WINDOW_SCALE

cpdef open_actively(Connection connection, int64_t now)
cpdef send_first_syn(Connection connection)
cpdef open_passively(Connection connection, Segment syn, int64_t now)
cpdef resume_passively(Connection connection, Segment syn, int64_t sent_at, int retries, int64_t now)
@cython.locals(snd=Sender, acknowledges=bint)
cpdef receive_in_syn_sent(Connection connection, Segment segment, int64_t now)
@cython.locals(snd=Sender)
cpdef bint receive_ack_of_syn(Connection connection, Segment segment, int64_t now) except -1
@cython.locals(snd=Sender)
cpdef bint receive_ack_of_syn_ack(Connection connection, Segment segment, int64_t now) except -1
@cython.locals(
    snd=Sender, rcv=Receiver, sysctl=Sysctl, flags=int, scale=int, sack=bint, timestamps=bint, window=uint32_t,
    offer=bytes)
cpdef emit_syn(Connection connection, TxPacket packet, int64_t now)
@cython.locals(mss=int64_t)
cpdef int64_t _window_unit(Connection connection, int64_t now) except? -1
@cython.locals(offered=SynOptions, snd=Sender, rcv=Receiver, sysctl=Sysctl)
cpdef _take_syn(Connection connection, Segment syn, int64_t now)
@cython.locals(snd=Sender, window=int64_t, mss=int64_t)
cpdef _take_window(Connection connection, Segment segment)
@cython.locals(snd=Sender, recovery=Recovery, rtt=int64_t)
cpdef _establish(Connection connection, Segment segment, int64_t now)
