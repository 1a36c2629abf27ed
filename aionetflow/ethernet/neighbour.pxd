from libc.stdint cimport int64_t, uint64_t

cdef int64_t NEVER
cdef int _STALE
cdef int _FAILED

cdef class Neighbour:
    cdef readonly bytes address
    cdef public int state
    cdef public bytes mac
    cdef public bytes header
    cdef public list waiting
    cdef public int64_t deadline
    cdef public int asked
    cdef public bint router

cdef class NeighbourTable:
    cdef public bytes mac
    cdef readonly dict entries
    cdef public list questions
    cdef public int64_t deadline
    cdef public uint64_t unresolved_discards
    cpdef Neighbour resolve(self, bytes address, int64_t now)
    cpdef enqueue(self, Neighbour entry, list frames)
    cpdef Neighbour _create(self, bytes address)
    cpdef _ask(self, Neighbour entry, int64_t now)
    cpdef _arm(self, Neighbour entry, int64_t deadline)
