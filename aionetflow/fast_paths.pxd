cdef class FastPaths:
    cdef public bint header_prediction
    cdef public bint last_addresses
    cdef public bint merging
    cdef public bint clean_link
    cdef public bint burst
    cdef public bint direct_connect
    cdef public bint direct_accept
