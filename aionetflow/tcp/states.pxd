cdef int _EVENTS
cdef bytes _TABLE
cdef int _UNSYNCHRONIZED
cdef int _RECEIVING
cdef int _SENDING
cdef int _OPEN

cpdef int next_state(int state, int event)
cpdef bint is_synchronized(int state)
cpdef bint may_receive(int state)
cpdef bint may_send(int state)
cpdef bint is_open(int state)
