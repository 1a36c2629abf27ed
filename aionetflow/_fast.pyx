"""The byte loops, compiled: what `_slow.py` promises, value for value and exception for exception.

Every pointer into Python data comes from `octets` or `window`. What lies behind it is read only below a
length compared there, or below `packet_end`, the one place that weighs what a packet says of its length.
The file is better whole: nothing outside of it holds such a pointer.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_CheckExact, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

ctypedef const uint8_t* Octets

# The loops that all octets pass twice. Where the linker can choose at run time (GCC on Linux with glibc), each is there
# twice: for any x86-64, and for those with AVX2, which take half the time. The copy costs what memcpy alone does.
cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__) && defined(__GLIBC__)
    #define AIONETFLOW_CLONES __attribute__((target_clones("avx2", "default")))
    #else
    #define AIONETFLOW_CLONES
    #endif
    AIONETFLOW_CLONES static void aionetflow_sum(
        const uint8_t *at, Py_ssize_t count, uint64_t *total_out, uint64_t *high_out)
    {
        uint64_t total = 0, high = 0, word;
        for (Py_ssize_t i = 0; i < count; i++) {
            memcpy(&word, at + 8 * i, 8);
            total += word;
            high += word >> 32;
        }
        *total_out = total;
        *high_out = high;
    }

    AIONETFLOW_CLONES static void aionetflow_copy_sum(
        uint8_t *restrict to, const uint8_t *restrict at, Py_ssize_t count, uint64_t *total_out, uint64_t *high_out)
    {
        uint64_t total = 0, high = 0, word;
        for (Py_ssize_t i = 0; i < count; i++) {
            memcpy(&word, at + 8 * i, 8);
            memcpy(to + 8 * i, &word, 8);
            total += word;
            high += word >> 32;
        }
        *total_out = total;
        *high_out = high;
    }
    """
    void aionetflow_sum(Octets at, Py_ssize_t count, uint64_t* total, uint64_t* high) noexcept nogil
    void aionetflow_copy_sum(uint8_t* to, Octets at, Py_ssize_t count, uint64_t* total, uint64_t* high) noexcept nogil

cdef enum:
    ICMP = 1, TCP = 6, UDP = 17, ICMPV6 = 58
    FIN = 0x01, PSH = 0x08, ACK = 0x10, CWR = 0x80
    TCP_HEADER = 20
    ETHERNET = 14
    DONT_FRAGMENT = 0x4000
    NOT_FRAGMENTED = 0x3FFF  # more-fragments flag and fragment offset
    SHORT = 16  # words that are summed on the spot


cdef inline Octets octets(object data, Py_ssize_t* size) except NULL:
    """The octets of data and how many they are."""
    if PyBytes_CheckExact(data):
        size[0] = PyBytes_GET_SIZE(data)
        return <Octets>PyBytes_AS_STRING(data)
    if PyByteArray_CheckExact(data):
        size[0] = PyByteArray_GET_SIZE(data)
        return <Octets>PyByteArray_AS_STRING(data)
    raise TypeError(f"bytes or bytearray expected, not {type(data).__name__}")


cdef inline Octets window(object data, Py_ssize_t start, Py_ssize_t length) except NULL:
    """Where [start, start + length) of data begins, once it lies inside."""
    cdef Py_ssize_t size
    cdef Octets at = octets(data, &size)
    if start < 0 or length < 0 or length > size - start:
        raise IndexError(f"{length} octets at {start} are not inside {size} octets")
    return at + start


cdef int ordered(Py_ssize_t a, Py_ssize_t b, Py_ssize_t c, Py_ssize_t d) except -1:
    if not 0 <= a <= b <= c <= d:
        raise IndexError(f"offsets out of order: {a}, {b}, {c}, {d}")
    return 0


cdef Py_ssize_t fixed_header(uint8_t first) noexcept nogil:
    """Octets of the IP header that begins with this one, without options; 0 if it is no IP header."""
    return 20 if first >> 4 == 4 else 40 if first >> 4 == 6 else 0


cdef Py_ssize_t packet_end(Octets frame, Py_ssize_t size, Py_ssize_t l3) noexcept nogil:
    """Where the IP packet at l3 ends by its own word; -1 if it is no IP packet or not all there."""
    if l3 > size - 20:
        return -1
    cdef Py_ssize_t fixed = fixed_header(frame[l3])
    cdef Py_ssize_t stop = l3 + (be16(frame + l3 + 2) if fixed == 20 else 40 + be16(frame + l3 + 4))
    return stop if fixed and l3 + fixed <= stop <= size else -1


cdef uint32_t be16(Octets at) noexcept nogil:
    return (<uint32_t>at[0] << 8) | at[1]


cdef uint32_t be32(Octets at) noexcept nogil:
    return (be16(at) << 16) | be16(at + 2)


cdef void set16(uint8_t* at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>value


cdef void set32(uint8_t* at, uint32_t value) noexcept nogil:
    set16(at, value >> 16)
    set16(at + 2, value)


cdef uint64_t words(Octets at, Py_ssize_t size) noexcept nogil:
    """The sum of the 32-bit words in the machine's own byte order (RFC 1071 2 (B)), zero octets appended.

    A loop that vectorises: `total` may overflow, `high` does not (below 32 GiB), and the exact sum of the low
    halves is total - 2**32 * high, modulo 2**64.
    """
    cdef uint64_t total = 0, high = 0, word
    cdef uint32_t half = 0
    cdef Py_ssize_t i, whole = size >> 3
    if whole < SHORT:
        for i in range(whole):
            memcpy(&word, at + 8 * i, 8)
            total += word
            high += word >> 32
    else:
        aionetflow_sum(at, whole, &total, &high)
    if size & 4:
        memcpy(&half, at + 8 * whole, 4)
        total += half
    if size & 3:
        half = 0
        memcpy(&half, at + (size - (size & 3)), size & 3)
        total += half
    return total - (high << 32) + high


cdef uint64_t copy_words(uint8_t* to, Octets at, Py_ssize_t size) noexcept nogil:
    """Copy, and `words` of what was copied: in one pass."""
    cdef uint64_t total = 0, high = 0
    cdef Py_ssize_t whole = size >> 3
    if whole < SHORT:
        memcpy(to, at, size)
        return words(at, size)
    aionetflow_copy_sum(to, at, whole, &total, &high)
    memcpy(to + 8 * whole, at + 8 * whole, size & 7)
    return total - (high << 32) + high + words(at + 8 * whole, size & 7)


cdef uint32_t fold(uint64_t total) noexcept nogil:
    """A sum as one's complement 16 bits: carries come back in at the bottom (RFC 1071 1)."""
    total = <uint32_t>total + (total >> 32)
    total = <uint32_t>total + (total >> 32)
    total = <uint16_t>total + (total >> 16)
    return <uint32_t>(<uint16_t>total + (total >> 16))


cdef uint32_t network_fold(uint64_t total, uint64_t initial) noexcept nogil:
    """`fold` of a sum of `words`, in network byte order, and of an initial sum that is so already."""
    cdef uint16_t folded = <uint16_t>fold(total)
    return fold(be16(<Octets>&folded) + initial)


cdef uint32_t pseudo(Octets ip, uint32_t protocol, uint32_t length) noexcept nogil:
    """The pseudo-header's sum (RFC 9293 3.1, RFC 8200 8.1); the fixed IP header is all there."""
    cdef uint64_t addresses = words(ip + 12, 8) if ip[0] >> 4 == 4 else words(ip + 8, 32)
    return network_fold(addresses, <uint64_t>protocol + length)


cdef Py_ssize_t checksum_at(uint32_t protocol) noexcept nogil:
    """Where in the transport header the checksum is; 0 if the protocol has none."""
    return 16 if protocol == TCP else 6 if protocol == UDP else 2 if protocol in (ICMP, ICMPV6) else 0


cpdef uint32_t get16(object data, Py_ssize_t offset) except? -1:
    if PyBytes_CheckExact(data) and 0 <= offset <= PyBytes_GET_SIZE(data) - 2:  # as nearly always: no call
        return be16(<Octets>PyBytes_AS_STRING(data) + offset)
    return be16(window(data, offset, 2))


cpdef uint32_t get32(object data, Py_ssize_t offset) except? -1:
    if PyBytes_CheckExact(data) and 0 <= offset <= PyBytes_GET_SIZE(data) - 4:
        return be32(<Octets>PyBytes_AS_STRING(data) + offset)
    return be32(window(data, offset, 4))


cdef uint8_t* writable(object buffer, Py_ssize_t offset, Py_ssize_t length) except NULL:
    if not PyByteArray_CheckExact(buffer):
        raise TypeError(f"bytearray expected, not {type(buffer).__name__}")
    return <uint8_t*>window(buffer, offset, length)


cpdef bytes part(object data, Py_ssize_t start, Py_ssize_t stop):
    return PyBytes_FromStringAndSize(<char*>window(data, start, stop - start), stop - start)


cpdef void put(object buffer, Py_ssize_t offset, object data) except *:
    cdef Py_ssize_t size
    if not PyByteArray_CheckExact(buffer):
        raise TypeError(f"bytearray expected, not {type(buffer).__name__}")
    cdef Octets source = octets(data, &size)
    memcpy(writable(buffer, offset, size), source, size)


cpdef void put16(object buffer, Py_ssize_t offset, uint64_t value) except *:
    set16(writable(buffer, offset, 2), <uint32_t>value)


cpdef void put32(object buffer, Py_ssize_t offset, uint64_t value) except *:
    set32(writable(buffer, offset, 4), <uint32_t>value)


cpdef bint equal(bytes a, Py_ssize_t start, bytes b, Py_ssize_t other, Py_ssize_t length) except -1:
    return memcmp(window(a, start, length), window(b, other, length), length) == 0


cpdef void store(object buffer, Py_ssize_t offset, bytes data, Py_ssize_t start, Py_ssize_t stop) except *:
    cdef Octets source = window(data, start, stop - start)
    cdef Py_buffer room
    PyObject_GetBuffer(buffer, &room, PyBUF_WRITABLE)
    try:
        if offset < 0 or offset > room.len - (stop - start):
            raise IndexError(f"{stop - start} octets at {offset} are not inside {room.len} octets")
        memcpy(<uint8_t*>room.buf + offset, source, stop - start)
    finally:
        PyBuffer_Release(&room)


cpdef void put_tcp_header(
    object header, Py_ssize_t l4, uint32_t source_port, uint32_t destination_port, uint32_t seq, uint32_t ack,
    uint32_t offset_flags, uint32_t window,
) except *:
    cdef uint8_t* out = writable(header, l4, TCP_HEADER)
    set16(out, source_port)
    set16(out + 2, destination_port)
    set32(out + 4, seq)
    set32(out + 8, ack)
    set16(out + 12, offset_flags)
    set16(out + 14, window)
    set32(out + 16, 0)


cpdef void put_ipv4_header(
    object header, Py_ssize_t l3, uint32_t tos, uint32_t ttl, uint32_t protocol, bytes source, bytes destination
) except *:
    cdef uint8_t* out = writable(header, l3, 20)
    set16(out, 0x4500 | (tos & 0xFF))
    set32(out + 2, 0)
    set16(out + 6, DONT_FRAGMENT)
    set16(out + 8, (ttl & 0xFF) << 8 | (protocol & 0xFF))
    set16(out + 10, 0)
    memcpy(out + 12, window(source, 0, 4), 4)
    memcpy(out + 16, window(destination, 0, 4), 4)


cpdef void put_ipv6_header(
    object header, Py_ssize_t l3, uint32_t class_and_label, uint32_t hop_limit, uint32_t next_header, bytes source,
    bytes destination
) except *:
    cdef uint8_t* out = writable(header, l3, 40)
    set32(out, 0x60 << 24 | (class_and_label & 0xFFFFFFF))
    set16(out + 4, 0)
    set16(out + 6, (next_header & 0xFF) << 8 | (hop_limit & 0xFF))
    memcpy(out + 8, window(source, 0, 16), 16)
    memcpy(out + 24, window(destination, 0, 16), 16)
    if has_scope(out + 8):
        set16(out + 10, 0)
    if has_scope(out + 24):
        set16(out + 26, 0)


cdef bint has_scope(Octets address) noexcept nogil:
    """Whether an IPv6 address means something on one link only: fe80::/10, or a group of that scope or less."""
    if address[0] == 0xFE:
        return address[1] >> 6 == 2
    return address[0] == 0xFF and 0 < address[1] & 15 < 3


cpdef uint32_t sum16(object data, Py_ssize_t start, Py_ssize_t stop, uint32_t initial=0) except? -1:
    return network_fold(words(window(data, start, stop - start), stop - start), initial)


cpdef uint32_t checksum(object data, Py_ssize_t start, Py_ssize_t stop, uint32_t initial=0) except? -1:
    return ~sum16(data, start, stop, initial) & 0xFFFF


cpdef uint32_t pseudo_sum(object data, Py_ssize_t l3, uint32_t protocol, uint32_t length) except? -1:
    cdef Py_ssize_t fixed = fixed_header(window(data, l3, 1)[0])
    if fixed == 0:
        raise ValueError("neither IPv4 nor IPv6")
    return pseudo(window(data, l3, fixed), protocol, length)


cpdef uint32_t update_checksum(uint32_t check, uint32_t old, uint32_t new) except? -1:
    # RFC 1624 3, equation 3: HC' = ~(~HC + ~m + m')
    return ~fold((~check & 0xFFFF) + (~old & 0xFFFF) + (new & 0xFFFF)) & 0xFFFF


cpdef bint verify(object frame, Py_ssize_t l3, Py_ssize_t l4, Py_ssize_t stop, uint32_t protocol) except -1:
    ordered(l3, l4, stop, stop)
    cdef Octets ip = window(frame, l3, stop - l3), transport = ip + (l4 - l3)
    cdef Py_ssize_t field = checksum_at(protocol), fixed, length = stop - l4
    cdef uint32_t initial = 0
    if field == 0:
        return True
    if length < field + 2:
        return False
    if protocol != ICMP:
        fixed = fixed_header(ip[0])
        if fixed == 0 or l4 - l3 < fixed:
            return False
        if protocol == UDP and be16(transport + field) == 0:
            return fixed == 20  # RFC 768: not computed; RFC 8200 8.1: over IPv6 that is an error
        initial = pseudo(ip, protocol, <uint32_t>length)
    return network_fold(words(transport, length), initial) == 0xFFFF


cpdef list segment(
    object header, Py_ssize_t l2, Py_ssize_t l3, Py_ssize_t l4, Py_ssize_t l5,
    object payload, Py_ssize_t start, Py_ssize_t length, Py_ssize_t mss, uint32_t ident, list frames=None,
    Py_ssize_t split=0, bytes tail=None, Py_ssize_t tail_start=0,
):
    if frames is None:
        frames = []  # before any pointer is taken: it may collect garbage, and that may run anything
    ordered(l2, l3, l4, l5)
    cdef Octets template = window(header, l2, l5 - l2), source, second = NULL
    if tail is None:
        split = length
    else:
        second = window(tail, tail_start, length - split)
    source = window(payload, start, split)
    cdef Py_ssize_t ip = l3 - l2, transport = l4 - l2, top = l5 - l2, offset = 0
    cdef uint32_t protocol = template_protocol(template, ip, transport, top)
    cdef Py_ssize_t size = mss if protocol == TCP and 0 < mss < length else length
    cdef bytes frame
    cdef uint8_t* out
    cdef uint64_t total
    if size > 0xFFFF or size + top - (ip if template[ip] >> 4 == 4 else transport) > 0xFFFF:
        raise ValueError("packet longer than 65535 octets")
    while True:
        size = min(size, length - offset)
        frame = PyBytes_FromStringAndSize(NULL, top + size)
        out = <uint8_t*>PyBytes_AS_STRING(frame)
        memcpy(out, template, top)
        total = copy_pieces(out + top, source, second, offset, size, split)
        finish_segment(out, ip, transport, top, offset, size, offset + size == length, ident, protocol, total)
        frames.append(frame)
        offset += size
        ident += 1
        if offset == length:
            return frames


cdef void finish_segment(
    uint8_t* out, Py_ssize_t l3, Py_ssize_t l4, Py_ssize_t l5, Py_ssize_t offset, Py_ssize_t size, bint last,
    uint32_t ident, uint32_t protocol, uint64_t payload
) noexcept nogil:
    """Makes of a copied header that of the piece at offset, whose sum is `payload`."""
    write_ip(out + l3, l4 - l3, l5 - l3 + size, ident)
    if protocol == TCP:
        write_tcp(out + l4, <uint32_t>offset, last)
    write_checksum(out + l3, l4 - l3, l5 - l3, l5 - l3 + size, protocol, payload)


cdef Pieces pieces_of(Octets frame, Py_ssize_t size, Py_ssize_t merged_by) except *:
    """How `gso.cut` takes this frame apart."""
    cdef Pieces into = Pieces(1, size, 0, 0, 0)
    cdef Py_ssize_t l3 = ETHERNET
    if merged_by == 0 or size <= merged_by + l3:
        return into
    if merged_by < 0 or size < l3 + 40:
        raise ValueError("the template holds no IP header")
    into.l4 = l3 + ((frame[l3] & 15) * 4 if frame[l3] >> 4 == 4 else 40)
    into.l5 = into.l4 + ((frame[into.l4 + 12] >> 4) * 4 if into.l4 + TCP_HEADER <= size else 0)
    if into.l5 >= size or into.l5 >= merged_by + l3:
        raise ValueError("the template holds no transport header")
    into.protocol = template_protocol(frame, l3, into.l4, into.l5)
    if into.protocol == TCP:
        into.size = merged_by + l3 - into.l5
        into.count = (size - into.l5 + into.size - 1) // into.size
    else:
        into.size = size - into.l5
    return into


cdef Py_ssize_t write_piece(uint8_t* out, Octets frame, Py_ssize_t size, Pieces* into, Py_ssize_t number) noexcept nogil:
    """Writes one of those true frames; how long it is."""
    cdef Py_ssize_t l5 = into.l5, offset, length
    if l5 == 0:
        memcpy(out, frame, size)
        return size
    offset = number * into.size
    length = min(into.size, size - l5 - offset)
    memcpy(out, frame, l5)
    finish_segment(
        out, ETHERNET, into.l4, l5, offset, length, number == into.count - 1,
        be16(frame + ETHERNET + 4) + <uint32_t>number, into.protocol, copy_words(out + l5, frame + l5 + offset, length)
    )
    return l5 + length


cdef uint64_t copy_pieces(
    uint8_t* to, Octets head, Octets tail, Py_ssize_t offset, Py_ssize_t size, Py_ssize_t split
) noexcept nogil:
    """`copy_words` of what is at offset in head and tail, seen as one: head ends, and tail begins, at split."""
    if offset + size <= split:
        return copy_words(to, head + offset, size)
    if offset >= split:
        return copy_words(to, tail + (offset - split), size)
    cdef Py_ssize_t first = split - offset
    cdef uint64_t before = copy_words(to, head + offset, first), after = copy_words(to + first, tail, size - first)
    if first & 1:  # the second begins in the middle of a word: its octets have changed places (RFC 1071 2 (B))
        after = fold(after)
        after = (after << 8 & 0xFF00) | after >> 8
    return before + after


cdef int template_protocol(Octets template, Py_ssize_t l3, Py_ssize_t l4, Py_ssize_t l5) except -1:
    """What the template carries, once its headers have the sizes that they claim."""
    cdef uint8_t first = template[l3] if l3 < l4 else 0
    cdef Py_ssize_t size = (first & 15) * 4 if first >> 4 == 4 else fixed_header(first)
    if size < 20 or size != l4 - l3:
        raise ValueError("the template holds no IP header")
    cdef int protocol = template[l3 + 9] if first >> 4 == 4 else template[l3 + 6]
    cdef Py_ssize_t field = checksum_at(protocol), above = l5 - l4
    if field and (above < field + 2 or above & 1):
        raise ValueError("the template holds no transport header")  # an odd one would turn the words over
    return protocol


cdef void write_ip(uint8_t* ip, Py_ssize_t l4, Py_ssize_t stop, uint32_t ident) noexcept nogil:
    if ip[0] >> 4 == 6:
        set16(ip + 4, <uint32_t>(stop - l4))
        return
    set16(ip + 2, <uint32_t>stop)
    set16(ip + 4, ident)
    set16(ip + 10, 0)
    set16(ip + 10, ~network_fold(words(ip, l4), 0))


cdef void write_tcp(uint8_t* tcp, uint32_t offset, bint last) noexcept nogil:
    """Sequence number and flags of the piece at offset of a super-segment."""
    set32(tcp + 4, be32(tcp + 4) + offset)
    if not last:
        tcp[13] &= 0xFF ^ (FIN | PSH)  # both mean the end of the data
    if offset:
        tcp[13] &= 0xFF ^ CWR  # RFC 3168 6.1.2: set on the first new packet only


cdef void write_checksum(
    uint8_t* ip, Py_ssize_t l4, Py_ssize_t l5, Py_ssize_t stop, uint32_t protocol, uint64_t payload
) noexcept nogil:
    """The checksum of the message at l4, of whose payload the `words` are known."""
    cdef uint32_t length = <uint32_t>(stop - l4), initial = 0, check
    cdef uint8_t* field = ip + l4 + checksum_at(protocol)
    if field == ip + l4:
        return
    if protocol == UDP:
        set16(ip + l4 + 4, length)
    if protocol != ICMP:
        initial = pseudo(ip, protocol, length)
    set16(field, 0)
    check = ~network_fold(words(ip + l4, l5 - l4) + payload, initial) & 0xFFFF
    if protocol == UDP and check == 0:
        check = 0xFFFF  # RFC 768: zero means that there is none
    set16(field, check)


cpdef Py_ssize_t tcp_run(
    list frames, Py_ssize_t first, Py_ssize_t l2, Py_ssize_t l3, Py_ssize_t l4, Py_ssize_t limit
) except -1:
    cdef Py_ssize_t available = len(frames), size, i, segment_size, length, total
    ordered(l2, l3, l4, l4)
    if not 0 <= first < available:
        raise IndexError(f"no frame {first} in {available} frames")
    cdef Octets frame, head = octets(frames[first], &size)
    segment_size = total = plain_payload(head, size, l3, l4)
    if segment_size == 0 or head[l4 + 13] & PSH:
        return 1
    cdef uint32_t seq = be32(head + l4 + 4)
    for i in range(first + 1, available):
        frame = octets(frames[i], &size)
        length = plain_payload(frame, size, l3, l4)
        if not 0 < length <= segment_size or total + length > limit:
            return i - first
        if be32(frame + l4 + 4) != <uint32_t>(seq + total) or not same_flow(head, frame, l2, l3, l4):
            return i - first
        total += length
        if length < segment_size or frame[l4 + 13] & PSH:
            return i - first + 1
    return available - first


cdef Py_ssize_t plain_payload(Octets frame, Py_ssize_t size, Py_ssize_t l3, Py_ssize_t l4) noexcept nogil:
    """How many octets a whole TCP segment with no flags but ACK and PSH carries; 0 for any other frame."""
    cdef Py_ssize_t stop = packet_end(frame, size, l3), header
    if stop - l4 < TCP_HEADER:
        return 0
    cdef Octets ip = frame + l3, tcp = frame + l4
    if ip[0] >> 4 == 4:
        if (ip[0] & 15) * 4 != l4 - l3 or l4 - l3 < 20 or ip[9] != TCP or be16(ip + 6) & NOT_FRAGMENTED:
            return 0
        if fold(words(ip, l4 - l3)) != 0xFFFF:
            return 0
    elif l4 - l3 != 40 or ip[6] != TCP:
        return 0
    header = (tcp[12] >> 4) * 4
    if tcp[12] & 15 or (tcp[13] | PSH) != (ACK | PSH) or header < TCP_HEADER:
        return 0
    return max(0, stop - l4 - header)


cdef bint same_flow(Octets head, Octets frame, Py_ssize_t l2, Py_ssize_t l3, Py_ssize_t l4) noexcept nogil:
    """Whether two plain segments are equal in all headers that a run leaves alone."""
    cdef bint v4 = head[l3] >> 4 == 4
    cdef Py_ssize_t length = l3 + (2 if v4 else 4), rest = l3 + (12 if v4 else 6)
    cdef Py_ssize_t options = (head[l4 + 12] >> 4) * 4 - TCP_HEADER
    return (
        memcmp(head + l2, frame + l2, length - l2) == 0
        and memcmp(head + l3 + 6, frame + l3 + 6, 4) == 0  # in IPv4 between identification and checksum
        and memcmp(head + rest, frame + rest, l4 + 4 - rest) == 0
        and memcmp(head + l4 + 8, frame + l4 + 8, 5) == 0  # after the sequence number, before the flags
        and memcmp(head + l4 + 14, frame + l4 + 14, 2) == 0
        and memcmp(head + l4 + 18, frame + l4 + 18, 2 + options) == 0  # after the checksum
    )


cpdef bytes gather(
    list frames, Py_ssize_t first, Py_ssize_t count, Py_ssize_t l3, Py_ssize_t l4, Py_ssize_t l5
):
    cdef Py_ssize_t size, stop, total = 0, i, available = len(frames)
    cdef Octets frame
    cdef uint64_t partial
    cdef bint good = True
    ordered(l3, l4, l5, l5)
    if first < 0 or count < 1 or count > available - first:
        raise IndexError(f"no frames {first} to {first + count} in {available} frames")
    if l5 - l4 & 1:
        raise ValueError("a TCP header has no odd length")
    for i in range(first, first + count):
        frame = octets(frames[i], &size)
        stop = packet_end(frame, size, l3)
        good = good and stop >= l5 and stop - l4 >= 18 and l4 - l3 >= fixed_header(frame[l3])
        total += stop - l5
    if not good:
        return None
    cdef bytes joined = PyBytes_FromStringAndSize(NULL, total)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(joined)
    for i in range(first, first + count):
        frame = octets(frames[i], &size)
        stop = packet_end(frame, size, l3)
        partial = words(frame + l4, l5 - l4) + copy_words(out, frame + l5, stop - l5)
        if network_fold(partial, pseudo(frame + l3, TCP, <uint32_t>(stop - l4))) != 0xFFFF:
            return None
        out += stop - l5
    return joined


cdef Py_ssize_t merge_run(
    Octets at, Py_ssize_t skip, Py_ssize_t stride, Py_ssize_t count, Py_ssize_t last, list frames
) except -1:
    """As `gso.merge`, of datagrams that stand one behind another: frames behind `skip` octets, all alike in a run.

    Each begins `stride` octets after the one before it, and ends there, but the last of the `count`, which has `last`.
    The frame that stands for the first so many of them is appended to frames: how many, 0 if the first stays alone.
    """
    cdef Octets head = at + skip, frame
    cdef Py_ssize_t l3 = ETHERNET, l4, l5, payload, length, total = 0, i
    cdef Py_ssize_t run = filling_run(at, skip, stride, count, last, &total)
    if run < 2:
        return 0
    l4 = l3 + ((head[l3] & 15) * 4 if head[l3] >> 4 == 4 else 40)
    l5 = l4 + (head[l4 + 12] >> 4) * 4
    payload = stride - skip - l5
    cdef uint64_t headers, own, summed = 0
    cdef bytes merged = PyBytes_FromStringAndSize(NULL, l5 + total)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(merged)
    memcpy(out, head, l5)
    for i in range(run):
        frame = at + i * stride + skip
        length = min(payload, total - i * payload)
        headers = words(frame + l4, l5 - l4)
        own = copy_words(out + l5 + i * payload, frame + l5, length)
        if network_fold(headers + own, pseudo(frame + l3, TCP, <uint32_t>(l5 - l4 + length))) != 0xFFFF:
            # The run ends before it: it is no part of one, and what is done again for those behind it is bounded.
            if i < 2:
                return 0
            run, total = i, i * payload
            merged = merged[: l5 + total]
            out = <uint8_t*>PyBytes_AS_STRING(merged)
            break
        summed += fold(own)
    out[l4 + 13] = at[(run - 1) * stride + skip + l4 + 13]  # PSH is the last one's
    write_ip(out + l3, l4 - l3, l5 + total - l3, be16(head + l3 + 4))
    write_checksum(out + l3, l4 - l3, l5 - l3, l5 + total - l3, TCP, summed)
    frames.append(merged)
    return run


cdef Py_ssize_t filling_run(
    Octets at, Py_ssize_t skip, Py_ssize_t stride, Py_ssize_t count, Py_ssize_t last, Py_ssize_t* total_out
) noexcept nogil:
    """How many of `merge_run`'s frames are one run, and how many octets they carry; 0 if the first begins none."""
    cdef Octets head = at + skip, frame
    cdef Py_ssize_t full = stride - skip, l3 = ETHERNET, l4, l5, payload, size, length, total, run = 1
    if count < 2 or full < ETHERNET + 40:
        return 0
    l4 = l3 + ((head[l3] & 15) * 4 if head[l3] >> 4 == 4 else 40)
    payload = plain_payload(head, full, l3, l4) if l4 + TCP_HEADER <= full else 0
    l5 = l4 + (head[l4 + 12] >> 4) * 4 if payload else 0
    if payload == 0 or payload & 1 or l5 + payload != full:
        return 0
    total, length, frame = payload, payload, head
    while run < count and length == payload and not frame[l4 + 13] & PSH:
        size = full if run < count - 1 else last - skip
        frame = at + run * stride + skip
        length = plain_payload(frame, size, l3, l4) if l5 < size <= full else 0
        if length == 0 or l5 + length != size or l5 + total + length - l3 > 0xFFFF or memcmp(at, frame - skip, skip):
            break
        if be32(frame + l4 + 4) != <uint32_t>(be32(head + l4 + 4) + total) or not same_flow(head, frame, 0, l3, l4):
            break
        if head[l3] >> 4 == 4 and be16(frame + l3 + 4) != (be16(head + l3 + 4) + run) & 0xFFFF:
            break
        total += length
        run += 1
    total_out[0] = total
    return run


cpdef bytes forward(object frame, Py_ssize_t l3, Py_ssize_t stop, object mac_header):
    cdef Octets packet = window(frame, l3, stop - l3)
    cdef Py_ssize_t mac_size, fixed
    cdef Octets mac = octets(mac_header, &mac_size)
    if stop == l3:
        raise IndexError("no packet")
    fixed = fixed_header(packet[0])
    if fixed == 0:
        raise ValueError("neither IPv4 nor IPv6")
    if stop - l3 < fixed:
        raise IndexError(f"{stop - l3} octets hold no IP header")
    cdef Py_ssize_t hops = 8 if fixed == 20 else 7
    if packet[hops] == 0:
        raise ValueError("no hop left")
    cdef bytes forwarded = PyBytes_FromStringAndSize(NULL, mac_size + stop - l3)
    cdef uint8_t* out = <uint8_t*>PyBytes_AS_STRING(forwarded)
    memcpy(out, mac, mac_size)
    out += mac_size
    memcpy(out, packet, stop - l3)
    out[hops] -= 1
    if fixed == 20:
        set16(out + 10, update_checksum(be16(out + 10), be16(packet + 8), be16(out + 8)))
    return forwarded
