cdef class Identifications:
    cdef public object secret
    cdef dict _counters
    cdef dict _groups
    cdef bytes _source
    cdef bytes _destination
    cdef int _protocol
    cdef int _group
    cpdef int next(self, bytes source, bytes destination, int protocol) except? -1
    cpdef int _group_of(self, bytes key) except? -1
