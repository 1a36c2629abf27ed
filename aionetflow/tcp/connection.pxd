import cython
from libc.stdint cimport int64_t, uint32_t

from aionetflow.ip.route cimport Route
from aionetflow.stats cimport TcpStats
from aionetflow.sysctl cimport Sysctl
from aionetflow.tcp.delayed_ack cimport Acknowledgments
from aionetflow.tcp.fast_open cimport FastOpen
from aionetflow.tcp.challenge cimport ChallengeLimit
from aionetflow.tcp.congestion.base cimport CongestionControl
from aionetflow.tcp.mtu_search cimport MtuSearch
from aionetflow.tcp.pace cimport Pace
from aionetflow.tcp.patience cimport Patience
from aionetflow.tcp.receive cimport Receiver
from aionetflow.tcp.recovery cimport Recovery
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.send cimport Sender
from aionetflow.tcp.sequence cimport seq_add, seq_between, seq_lt, seq_sub
from aionetflow.tcp.states cimport is_open, is_synchronized, may_receive, next_state
from aionetflow.tcp.timers cimport Timers
from aionetflow.tcp.urgent_mark cimport UrgentMark

cdef int64_t MILLISECOND
cdef int64_t NEVER
cdef int64_t SECOND
cdef int TIMESTAMPS_LENGTH
cdef int64_t DEFAULT_MSS
cdef uint32_t M32
cdef int64_t _LEAST_ADVMSS
cdef int64_t _LEAST_ADVMSS_6
cdef int64_t _LONGEST_RTT
cdef int64_t TIME_WAIT_TIME
cdef int RST
cdef int CLOSED
cdef int FIN_WAIT_2
cdef int SYN_RECEIVED
cdef int SYN_SENT
cdef int TIME_WAIT
cdef int64_t _LONGEST
cdef int _CLOSE
cdef int _ABORT
cdef int _TIMEOUT

cdef class ConnectionUser:
    cpdef changed(self, Connection connection)

@cython.final
cdef class Connection:
    cdef public Route route
    cdef readonly bytes local
    cdef readonly bytes remote
    cdef readonly TcpStats stats
    cdef readonly Sysctl sysctl
    cdef readonly ChallengeLimit challenges
    cdef public ConnectionUser user
    cdef readonly Sender snd
    cdef readonly Receiver rcv
    cdef readonly Acknowledgments acks
    cdef readonly Timers timers
    cdef readonly Recovery recovery
    cdef public bytes key
    cdef public object claim
    cdef public Patience patience
    cdef public Pace pace
    cdef public MtuSearch search
    cdef public FastOpen fast_open
    cdef public UrgentMark urgent
    cdef public int64_t sent_at
    cdef public int64_t stuck_since
    cdef public int64_t heard_at
    cdef public int64_t mtu
    cdef public int64_t peer_mss
    cdef public int mtu_discover
    cdef public int ident
    cdef public int64_t answered_at
    cdef public int64_t scheduled_at
    cdef readonly int local_port
    cdef readonly int remote_port
    cdef public int state
    cdef public int error
    cdef public int soft_error
    cdef public int ttl
    cdef public int tos
    cdef public bint passive
    cdef public bint scaling
    cdef public bint timestamps
    cdef public uint32_t ts_offset
    cdef public uint32_t tsecr
    cdef public bint ecn
    cdef public bint ecn_echo
    cdef public bint cwr_due
    cdef public bint read_shut
    cdef public bint write_shut
    cdef public int64_t bytes_retrans
    cdef public uint32_t segs_in
    cdef public uint32_t segs_out
    cdef public uint32_t data_segs_in
    cdef public uint32_t data_segs_out
    cdef public uint32_t total_retrans
    cdef public int total_rto
    cdef public int user_mss
    cdef public int device
    cdef public int retries
    cdef public bint syn_due
    cdef public bint syn_sent
    cdef public bint need_ack
    cdef public int dup_acks_due
    cdef public bint probe_due
    cdef public bint tail_due
    cdef public bint reset_due
    cdef public uint32_t refused
    cdef public bint refuse_due
    cdef public bint wake
    cdef public bint waiting
    cdef public bint numbered
    cdef public bint queued
    cdef public bint unscheduled
    @cython.locals(snd=Sender, room=int64_t, flight=int64_t)
    cpdef int64_t room(self) except? -1
    cpdef write(self, bytes data)
    cpdef write_part(self, bytes data, int64_t start, int64_t stop)
    @cython.locals(data=bytes)
    cpdef bytes read(self, int64_t limit)
    @cython.locals(data=bytes)
    cpdef bytes read_piece(self, int64_t limit)
    @cython.locals(count=int64_t)
    cpdef int64_t read_into(self, object view) except? -1
    cpdef after_read(self)
    cpdef shut_write(self)
    cpdef close(self, int64_t now)
    cpdef abort(self, int error)
    @cython.locals(before=int)
    cpdef transition(self, int event)
    cpdef fail(self, int event, int error)
    cpdef refuse(self, Segment segment)
    cpdef bint is_early(self) except -1
    cpdef bint is_opening(self) except -1
    @cython.locals(mss=int64_t)
    cpdef int advertised_mss(self) except? -1
    @cython.locals(least=int64_t)
    cpdef int offered_mss(self, int64_t now) except? -1
    cpdef int max_mss(self) except? -1
    cpdef int header_length(self) except? -1
    @cython.locals(mss=int64_t)
    cpdef fit_mss(self)
    cpdef set_mss(self, int64_t mss)
    @cython.locals(snd=Sender, cc=CongestionControl, mss=int64_t)
    cpdef bound_mss(self)
    cpdef bint is_cut_too_long(self) except -1
    cpdef uint32_t tsval(self, int64_t now) except? -1
    @cython.locals(ticks=int64_t)
    cpdef int64_t echoed_rtt(self, uint32_t tsecr, int64_t now) except? -2
    cpdef bint echoes_before(self, int64_t when) except -1
    cpdef bint echoes_our_syn(self, Segment segment, int64_t now) except -1
    cpdef queue_cwr(self)
    cpdef challenge(self, int64_t now)
    cpdef bint is_answered(self, int64_t now, bint by_stamp) except -1
    cpdef bint was_answered(self, int64_t now) except -1
    cpdef settle(self, int64_t now)
    @cython.locals(seconds=int64_t, rto=int64_t)
    cpdef bint _leave(self, int64_t now) except -1
