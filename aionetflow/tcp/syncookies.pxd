import cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from aionetflow.siphash cimport SipHash, keyed
from aionetflow.tcp cimport options
from aionetflow.tcp.segment cimport Segment
from aionetflow.tcp.sequence cimport seq_sub

cdef int64_t _MINUTE
cdef int _LIFETIME
cdef uint32_t _M24
cdef uint32_t _M32
cdef uint32_t _CARRIED
cdef int CWR
cdef int ECE
cdef int SYN

@cython.locals(bits=uint32_t, stamped=uint32_t)
cpdef uint32_t stamp(uint32_t clock, offered) except? 0
cpdef read_stamp(uint32_t echoed)

@cython.final
cdef class SynCookies:
    cdef SipHash _ends
    cdef SipHash _minutes
    @cython.locals(offered=options.SynOptions, table=tuple, index=int, minute=int64_t, varied=uint32_t)
    cpdef uint32_t make(self, bytes key, Segment offer, Segment syn, int64_t now) except? 0
    cpdef bint are_awaited(self, int64_t sent_at, int64_t now) except -1
    @cython.locals(seq=uint32_t, rest=uint32_t, minute=int64_t, age=int, index=uint32_t, table=tuple)
    cpdef bint take(self, bytes key, Segment ack, Segment syn, uint32_t ts_offset, int64_t now) except -1
    cpdef uint64_t _hash(self, bytes key, int64_t minute) except? 0

cdef tuple _table(bytes key)
cdef _fill(Segment syn, Segment segment, uint32_t seq)
