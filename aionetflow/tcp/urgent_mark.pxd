import cython
from libc.stdint cimport uint32_t

@cython.final
cdef class UrgentMark:
    cdef public uint32_t snd_up
    cdef public uint32_t urg_seq
    cdef public int state
    cdef public int octet
    cdef public bint sending
    cdef public bint probed
    cdef public bint inline
