cdef class FastPaths:
    cdef public bint merging
