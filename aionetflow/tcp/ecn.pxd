from aionetflow.tcp.connection cimport Connection
from aionetflow.tcp.segment cimport Segment

cdef int _CE
cdef int ACK
cdef int CWR
cdef int ECE

cpdef int offer_ecn(Connection connection) except? -1
cpdef take_ecn_offer(Connection connection, Segment syn)
cpdef take_marks(Connection connection, Segment segment)
