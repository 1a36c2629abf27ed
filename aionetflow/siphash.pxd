import cython
from libc.stdint cimport uint64_t

cdef uint64_t _M64
cdef uint64_t _V0
cdef uint64_t _V1
cdef uint64_t _V2
cdef uint64_t _V3

@cython.final
cdef class SipHash:
    cdef uint64_t _key0
    cdef uint64_t _key1
    @cython.locals(
        v0=uint64_t, v1=uint64_t, v2=uint64_t, v3=uint64_t, word=uint64_t, length=Py_ssize_t, whole=Py_ssize_t,
        i=Py_ssize_t, rounds=int)
    cpdef uint64_t hash(self, bytes data) except? 0

@cython.locals(word=uint64_t, octet=uint64_t, i=Py_ssize_t)
cdef uint64_t _word(bytes data, Py_ssize_t start, Py_ssize_t length) except? 0
cpdef SipHash keyed(object random)
