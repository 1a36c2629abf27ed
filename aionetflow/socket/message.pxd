from libc.stdint cimport int64_t

from aionetflow.socket.services cimport Services
from aionetflow.socket.data cimport DataSocket

cdef class MessageSocket(DataSocket):
    cdef object _errors
    cdef object _wanted
    cdef public int64_t _queued
    cpdef _set_up(self, Services services, int fd, object owner, int family)
    cpdef tuple _next(self, int flags)
