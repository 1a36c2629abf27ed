import cython

from aionetflow.dropin.description cimport Description, Taker, ready
from aionetflow.socket.base cimport Socket
from aionetflow.socket.datagram cimport DatagramSocket
from aionetflow.socket.stream cimport StreamSocket

cdef int READABLE
cdef int WRITABLE
cdef int _LONGEST
cdef int _BURST

cdef class Flow(Taker):
    cdef public object transport
    cdef public object protocol
    cdef public Description description
    cdef public bint closing
    cdef public bint paused
    cdef public bint polling
    cdef public int conn_lost
    cdef public object buffer
    cdef public Py_ssize_t buffered
    cdef public object turn
    cdef readonly object context
    cdef bint _early
    cdef object _loop
    cdef object _call_soon
    cpdef bint is_reading(self) except -1
    cpdef changed(self)
    cpdef work(self)
    cpdef read_ready(self)
    @cython.locals(core=Socket, wanted=int)
    cpdef bint _has_work(self) except -1

cdef class StreamFlow(Flow):
    cdef readonly StreamSocket core
    cdef public bint buffered_protocol
    cdef public bint eof
    cdef public object empty_waiter
    @cython.locals(data=bytes)
    cpdef read_ready(self)
    @cython.locals(sent=Py_ssize_t)
    cpdef write(self, object data)
    cpdef _keep(self, object data, Py_ssize_t start)
    cpdef Py_ssize_t send(self, object data) except? -1
    @cython.locals(sent=Py_ssize_t)
    cpdef Py_ssize_t send_rest(self, object data, Py_ssize_t start) except? -1
    @cython.locals(data=bytes)
    cpdef bytes _receive(self)
    cpdef _read_into_buffer(self)
    cpdef Py_ssize_t _receive_into(self, object buffer) except? -1
    cpdef _failed(self, str step, object exc)

cdef class DatagramFlow(Flow):
    cdef readonly DatagramSocket core
    cpdef read_ready(self)
