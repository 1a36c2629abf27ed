from libc.stdint cimport int64_t, uint32_t

from aionetflow.siphash cimport SipHash, keyed

cdef uint32_t _M32

cdef class InitialNumbers:
    cdef SipHash _offsets
    cpdef int64_t initial(self, bytes key, int64_t now) except? -1
    cpdef int64_t timestamp_offset(self, bytes local, bytes remote) except? -1
