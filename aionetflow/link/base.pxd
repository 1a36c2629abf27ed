from libc.stdint cimport int64_t

cdef class Station:
    cpdef receive(self, list frames)
    cpdef bint takes_merged(self) except -1
    cpdef receive_merged(self, list frames, int64_t merged_by)

cdef class LinkEnd:
    cdef public str name
    cdef public object receiver
    cdef public object on_mtu
    cdef public int64_t offload_mtu
    cdef object __weakref__
    cpdef send(self, list frames)
    cpdef send_merged(self, list frames, int64_t merged_by)
