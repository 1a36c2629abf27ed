cdef class FastPaths:
    cdef public bint merging
    cdef public bint clean_link
    cdef public bint burst
