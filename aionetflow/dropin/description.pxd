import cython

from aionetflow.socket.base cimport Socket, Watcher

cdef int _SHOWN

cpdef int ready(Socket core) except? -1

cdef class Taker:
    cdef object __weakref__
    cpdef changed(self)

cdef class Watch:
    cdef Socket _core
    cdef int _mask
    cdef object _loop
    cdef object _callback
    cdef object _args
    cdef object _context
    cdef object _turn
    cdef bint _over
    cpdef look(self)

cdef class Description(Watcher):
    cdef readonly Socket core
    cdef readonly object host
    cdef readonly object loop
    cdef readonly int proto
    cdef public int references
    cdef public object transport
    cdef public Taker taker
    cdef public Py_ssize_t changes
    cdef public object mirror
    cdef public list sleepers
    cdef list _waiting
    cdef dict _watches
    cpdef socket_changed(self)
    @cython.locals(events=int)
    cpdef reflect(self)
    cpdef _end_watches(self)
    cpdef _wake(self)
    cpdef _rouse(self)
