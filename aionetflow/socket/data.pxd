from aionetflow.socket.base cimport Socket

cdef class DataSocket(Socket):
    pass
