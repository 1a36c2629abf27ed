import cython
from libc.stdint cimport int64_t

cdef int64_t SECOND
cdef int64_t _NO_LIMIT

@cython.final
cdef class ChallengeLimit:
    cdef object _random
    cdef int64_t _second
    cdef int64_t _left
    @cython.locals(half=int64_t, drawn=int64_t)
    cpdef bint allows(self, int64_t limit, int64_t now) except -1
