from libc.stdint cimport uint32_t

cdef uint32_t _M32
cdef uint32_t _HALF

cpdef uint32_t seq_add(uint32_t a, uint32_t n) except? -1
cpdef uint32_t seq_sub(uint32_t a, uint32_t b) except? -1
cpdef bint seq_lt(uint32_t a, uint32_t b) except -1
cpdef bint seq_leq(uint32_t a, uint32_t b) except -1
cpdef bint seq_gt(uint32_t a, uint32_t b) except -1
cpdef bint seq_geq(uint32_t a, uint32_t b) except -1
cpdef bint seq_between(uint32_t low, uint32_t a, uint32_t high) except -1
