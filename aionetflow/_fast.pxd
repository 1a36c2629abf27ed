"""The byte loops, for compiled callers: `from aionetflow._fast cimport get16`. Promises in `_slow.py`."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cpdef uint32_t get16(object data, Py_ssize_t offset) except? -1
cpdef uint32_t get32(object data, Py_ssize_t offset) except? -1
cpdef bytes part(object data, Py_ssize_t start, Py_ssize_t stop)
cpdef void put(object buffer, Py_ssize_t offset, object data) except *
cpdef void put16(object buffer, Py_ssize_t offset, uint64_t value) except *
cpdef void put32(object buffer, Py_ssize_t offset, uint64_t value) except *
cpdef bint equal(bytes a, Py_ssize_t start, bytes b, Py_ssize_t other, Py_ssize_t length) except -1
cpdef void store(object buffer, Py_ssize_t offset, bytes data, Py_ssize_t start, Py_ssize_t stop) except *
cpdef void put_tcp_header(
    object header,
    Py_ssize_t l4,
    uint32_t source_port,
    uint32_t destination_port,
    uint32_t seq,
    uint32_t ack,
    uint32_t offset_flags,
    uint32_t window,
) except *
cpdef void put_ipv4_header(
    object header, Py_ssize_t l3, uint32_t tos, uint32_t ttl, uint32_t protocol, bytes source, bytes destination
) except *
cpdef void put_ipv6_header(
    object header, Py_ssize_t l3, uint32_t class_and_label, uint32_t hop_limit, uint32_t next_header, bytes source,
    bytes destination
) except *

cpdef uint32_t sum16(object data, Py_ssize_t start, Py_ssize_t stop, uint32_t initial=*) except? -1
cpdef uint32_t checksum(object data, Py_ssize_t start, Py_ssize_t stop, uint32_t initial=*) except? -1
cpdef uint32_t pseudo_sum(object data, Py_ssize_t l3, uint32_t protocol, uint32_t length) except? -1
cpdef uint32_t update_checksum(uint32_t check, uint32_t old, uint32_t new) except? -1
cpdef bint verify(object frame, Py_ssize_t l3, Py_ssize_t l4, Py_ssize_t stop, uint32_t protocol) except -1

cpdef list segment(
    object header,
    Py_ssize_t l2,
    Py_ssize_t l3,
    Py_ssize_t l4,
    Py_ssize_t l5,
    object payload,
    Py_ssize_t start,
    Py_ssize_t length,
    Py_ssize_t mss,
    uint32_t ident,
    list frames=*,
    Py_ssize_t split=*,
    bytes tail=*,
    Py_ssize_t tail_start=*,
)
cpdef Py_ssize_t tcp_run(
    list frames, Py_ssize_t first, Py_ssize_t l2, Py_ssize_t l3, Py_ssize_t l4, Py_ssize_t limit
) except -1
cpdef bytes gather(
    list frames, Py_ssize_t first, Py_ssize_t count, Py_ssize_t l3, Py_ssize_t l4, Py_ssize_t l5
)
ctypedef struct Pieces:
    Py_ssize_t count  # the true frames that a super-segment stands for
    Py_ssize_t size  # octets of payload in each but the last; of a true frame, all
    Py_ssize_t l4
    Py_ssize_t l5  # where the payload begins; 0 in a true frame
    uint32_t protocol

cdef Pieces pieces_of(const uint8_t* frame, Py_ssize_t size, Py_ssize_t merged_by) except *
cdef Py_ssize_t write_piece(
    uint8_t* out, const uint8_t* frame, Py_ssize_t size, Pieces* into, Py_ssize_t number
) noexcept nogil
cdef Py_ssize_t merge_run(
    const uint8_t* at, Py_ssize_t skip, Py_ssize_t stride, Py_ssize_t count, Py_ssize_t last, list frames
) except -1
cpdef bytes forward(object frame, Py_ssize_t l3, Py_ssize_t stop, object mac_header)
