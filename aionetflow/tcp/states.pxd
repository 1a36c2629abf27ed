cdef int _EVENTS
cdef bytes _TABLE
cdef int _UNSYNCHRONIZED
cdef int _RECEIVING
cdef int _SENDING
cdef int _OPEN

cpdef int next_state(int state, int event) except? -1
cpdef bint is_synchronized(int state) except -1
cpdef bint may_receive(int state) except -1
cpdef bint may_send(int state) except -1
cpdef bint is_open(int state) except -1
