import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.fast_paths cimport FastPaths
from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.acknowledgment cimport receive_ack, take_plain
from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.delayed_ack cimport Acknowledgments
from aionetflow.tcp.departure cimport follow_mtu
from aionetflow.tcp.early_data cimport is_syn_again
from aionetflow.tcp.ecn cimport take_marks
from aionetflow.tcp.handshake cimport receive_ack_of_syn, receive_ack_of_syn_ack, receive_in_syn_sent
from aionetflow.tcp.paws cimport keep_timestamp, paws_rejects
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.sack cimport note_duplicate
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_add, seq_between, seq_geq, seq_gt, seq_lt, seq_sub
from aionetflow.tcp.states cimport is_synchronized, may_receive
from aionetflow.tcp.timers cimport Timers
from aionetflow.tcp.urgent cimport receive_urgent

cdef int64_t NEVER
cdef int IN_ORDER
cdef int OUT_OF_ORDER
cdef int REFUSED
cdef int OLD
cdef int CE
cdef FastPaths FAST
cdef int OPEN
cdef int PSH
cdef int ESTABLISHED
cdef int ACK
cdef int FIN
cdef int RST
cdef int SYN
cdef int URG
cdef int CLOSE_WAIT
cdef int CLOSED
cdef int CLOSING
cdef int LAST_ACK
cdef int SYN_RECEIVED
cdef int SYN_SENT
cdef int _ABORT
cdef int _RCV_FIN
cdef int _RCV_RST
cdef int _MAX_DUP_ACKS
cdef int ECONNRESET
cdef int EPIPE
cdef int EMSGSIZE
cdef int IP_PMTUDISC_DONT

@cython.locals(owed=bint, early=bint)
cpdef receive(Connection connection, Segment segment, int64_t now)
cpdef receive_icmp(Connection connection, int code, bint at_once, int64_t now)
@cython.locals(snd=Sender, rcv=Receiver)
cdef bint _is_predicted(Connection connection, Segment segment) except -1
@cython.locals(rcv=Receiver)
cdef _receive_predicted(Connection connection, Segment segment, int64_t now)
@cython.locals(timers=Timers, sysctl=Sysctl, wait=int64_t)
cdef _report_ahead(Connection connection, int64_t now)
@cython.locals(rcv=Receiver, acks=Acknowledgments, timers=Timers)
cdef _acknowledge(Connection connection, int64_t now)
@cython.locals(rcv=Receiver)
cpdef bint _check(Connection connection, Segment segment, int64_t now) except -1
cpdef bint _is_other_syn_ack(Connection connection, Segment segment) except -1
cpdef bint _resets_a_closed_stream(Connection connection, Segment segment) except -1
cpdef _receive_reset(Connection connection)
@cython.locals(rcv=Receiver, fresh=bint, hole=bint, kind=int)
cpdef bint _receive_data(Connection connection, Segment segment, int64_t now) except -1
cpdef _receive_fin(Connection connection, Segment segment, int64_t now)
@cython.locals(rcv=Receiver)
cpdef _receive_after_fin(Connection connection, Segment segment)
@cython.locals(rcv=Receiver)
cpdef bint _deliver_fin(Connection connection, int64_t now) except -1
