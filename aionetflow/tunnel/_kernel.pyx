"""Many datagrams a call: UDP_SEGMENT and UDP_GRO, sendmmsg and recvmmsg (Linux). See `kernel.py` for what they do."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

from aionetflow._fast cimport Pieces, merge_run, pieces_of, write_piece

cdef extern from *:
    """
    #if defined(__linux__)
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <errno.h>
    #include <stdint.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #include <netinet/in.h>
    #ifndef SOL_UDP
    #define SOL_UDP 17
    #endif
    #ifndef UDP_SEGMENT
    #define UDP_SEGMENT 103
    #endif
    #ifndef UDP_GRO
    #define UDP_GRO 104
    #endif
    #ifndef SO_RXQ_OVFL
    #define SO_RXQ_OVFL 40
    #endif
    #define ANF_LINUX 1
    #define ANF_MOST 64   /* messages in a call; segments in a message (Linux UDP_MAX_SEGMENTS of old) */

    typedef struct { int length; int size; uint32_t dropped; int name_length; char name[28]; } anf_arrival;

    /* One sendmsg of all that stands there: one datagram, or many of `size` octets, of which the last may be shorter. */
    static int anf_send_segments(int fd, char *to, int to_length, char *octets, size_t length, int size) {
        char control[CMSG_SPACE(sizeof(uint16_t))];
        struct iovec part;
        struct msghdr message;
        memset(&message, 0, sizeof message);
        part.iov_base = octets; part.iov_len = length;
        message.msg_name = to; message.msg_namelen = to_length;
        message.msg_iov = &part; message.msg_iovlen = 1;
        if (length > (size_t)size) {
            struct cmsghdr *item;
            uint16_t segment = (uint16_t)size;
            memset(control, 0, sizeof control);
            message.msg_control = control; message.msg_controllen = sizeof control;
            item = CMSG_FIRSTHDR(&message);
            item->cmsg_level = SOL_UDP; item->cmsg_type = UDP_SEGMENT;
            item->cmsg_len = CMSG_LEN(sizeof segment);
            memcpy(CMSG_DATA(item), &segment, sizeof segment);
        }
        return sendmsg(fd, &message, MSG_DONTWAIT) < 0 ? -errno : 0;
    }

    static int anf_send_many(int fd, char *to, int to_length, char *octets, size_t length, int size, int most) {
        struct mmsghdr messages[ANF_MOST];
        struct iovec parts[ANF_MOST];
        int count = 0, sent;
        memset(messages, 0, sizeof messages);
        do {
            size_t taken = length < (size_t)size ? length : (size_t)size;
            parts[count].iov_base = octets; parts[count].iov_len = taken;
            messages[count].msg_hdr.msg_name = to; messages[count].msg_hdr.msg_namelen = to_length;
            messages[count].msg_hdr.msg_iov = parts + count; messages[count].msg_hdr.msg_iovlen = 1;
            octets += taken; length -= taken;
            count++;
        } while (length && count < most && count < ANF_MOST);
        sent = sendmmsg(fd, messages, count, MSG_DONTWAIT);
        return sent < 0 ? -errno : sent;
    }

    static int anf_receive(int fd, char *buffer, int slot, int count, anf_arrival *arrivals) {
        struct mmsghdr messages[ANF_MOST];
        struct iovec parts[ANF_MOST];
        char control[ANF_MOST][64];
        int i, received;
        memset(messages, 0, count * sizeof messages[0]);
        for (i = 0; i < count; i++) {
            parts[i].iov_base = buffer + (size_t)i * slot; parts[i].iov_len = slot;
            messages[i].msg_hdr.msg_name = arrivals[i].name; messages[i].msg_hdr.msg_namelen = sizeof arrivals[i].name;
            messages[i].msg_hdr.msg_iov = parts + i; messages[i].msg_hdr.msg_iovlen = 1;
            messages[i].msg_hdr.msg_control = control[i]; messages[i].msg_hdr.msg_controllen = sizeof control[i];
        }
        received = recvmmsg(fd, messages, count, MSG_DONTWAIT, NULL);
        if (received < 0) return -errno;
        for (i = 0; i < received; i++) {
            struct cmsghdr *item;
            arrivals[i].length = messages[i].msg_len;
            arrivals[i].size = messages[i].msg_len;
            arrivals[i].dropped = 0;
            arrivals[i].name_length = messages[i].msg_hdr.msg_namelen;
            for (item = CMSG_FIRSTHDR(&messages[i].msg_hdr); item; item = CMSG_NXTHDR(&messages[i].msg_hdr, item)) {
                if (item->cmsg_level == SOL_UDP && item->cmsg_type == UDP_GRO) {
                    int octets;
                    memcpy(&octets, CMSG_DATA(item), sizeof octets);
                    arrivals[i].size = octets;
                } else if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SO_RXQ_OVFL)
                    memcpy(&arrivals[i].dropped, CMSG_DATA(item), sizeof(uint32_t));
            }
        }
        return received;
    }
    #else
    #include <errno.h>
    #include <stdint.h>
    #define ANF_LINUX 0
    #define ANF_MOST 64
    typedef struct { int length; int size; uint32_t dropped; int name_length; char name[28]; } anf_arrival;
    #define anf_send_segments(fd, to, to_length, octets, length, size) (-ENOSYS)
    #define anf_send_many(fd, to, to_length, octets, length, size, most) (-ENOSYS)
    #define anf_receive(fd, buffer, slot, count, arrivals) (-ENOSYS)
    #endif
    """
    cdef enum:
        ANF_LINUX, ANF_MOST
    ctypedef struct anf_arrival:
        int length
        int size
        uint32_t dropped
        int name_length
        char name[28]
    int anf_send_segments(int, char *, int, char *, size_t, int) nogil
    int anf_send_many(int, char *, int, char *, size_t, int, int) nogil
    int anf_receive(int, char *, int, int, anf_arrival *) nogil

LINUX = bool(ANF_LINUX)


def lay_out(
    list frames, Py_ssize_t merged_by, bytes header, Py_ssize_t before, Py_ssize_t behind, Py_ssize_t room, int most
):
    cdef Py_ssize_t inner = PyBytes_GET_SIZE(header), extra = before + inner + behind, size, length, left = 0, number
    cdef list blocks = []
    cdef Block block = Block(blocks, room, most)
    cdef bytes frame
    cdef Pieces pieces
    if before < 0 or behind < 0:
        raise ValueError("no room")
    for frame in frames:
        size = PyBytes_GET_SIZE(frame)
        pieces = pieces_of(<const uint8_t*>PyBytes_AS_STRING(frame), size, merged_by)
        left += size + (pieces.count - 1) * pieces.l5 + pieces.count * extra
    for frame in frames:
        size = PyBytes_GET_SIZE(frame)
        pieces = pieces_of(<const uint8_t*>PyBytes_AS_STRING(frame), size, merged_by)
        for number in range(pieces.count):
            length = size if pieces.l5 == 0 else pieces.l5 + min(pieces.size, size - pieces.l5 - number * pieces.size)
            block.place(length + extra, left)
            memcpy(block.out + before, PyBytes_AS_STRING(header), inner)
            write_piece(block.out + before + inner, <const uint8_t*>PyBytes_AS_STRING(frame), size, &pieces, number)
            left -= length + extra
    block.finish()
    return blocks


cdef class Block:
    """The block that is being laid out, and those that are."""

    cdef list blocks
    cdef bytearray octets
    cdef uint8_t *out  # where the datagram stands that was placed last
    cdef Py_ssize_t unit, end, room
    cdef int count, most
    cdef bint ended

    def __cinit__(self, list blocks, Py_ssize_t room, int most):
        self.blocks, self.room, self.most = blocks, room, most

    cdef int place(self, Py_ssize_t size, Py_ssize_t left) except -1:
        """Makes room for a datagram; `left` are the octets of all that are still to be placed."""
        if self.octets is None or self.ended or size > self.unit or self.count == self.most or self.end + size > self.room:
            self.finish()
            self.octets = PyByteArray_FromStringAndSize(NULL, max(size, min(left, self.room)))
            self.unit, self.end, self.count, self.ended = size, 0, 0, False
        self.out = <uint8_t*>PyByteArray_AS_STRING(self.octets) + self.end
        self.end += size
        self.count += 1
        self.ended = size < self.unit
        return 0

    cdef int finish(self) except -1:
        if self.octets is not None:
            if PyByteArray_GET_SIZE(self.octets) != self.end:
                PyByteArray_Resize(self.octets, self.end)
            self.blocks.append((self.octets, self.unit))
        return 0


def send_segments(sock, bytes to, bytearray block, int size):
    cdef int fd = sock.fileno()
    return anf_send_segments(
        fd, PyBytes_AS_STRING(to), PyBytes_GET_SIZE(to), PyByteArray_AS_STRING(block), PyByteArray_GET_SIZE(block), size
    )


def send_many(sock, bytes to, bytearray block, int size, Py_ssize_t first, int most):
    cdef int fd = sock.fileno()
    cdef Py_ssize_t start = first * size, length = PyByteArray_GET_SIZE(block) - start
    if first < 0 or size < 0 or length < 0:
        raise ValueError("out of the block")
    return anf_send_many(
        fd, PyBytes_AS_STRING(to), PyBytes_GET_SIZE(to), PyByteArray_AS_STRING(block) + start, length, size, most
    )


def receive(sock, bytearray buffer, int slot, int count):
    cdef anf_arrival arrivals[ANF_MOST]
    cdef int fd = sock.fileno(), i, received
    if count > ANF_MOST or <Py_ssize_t>slot * count > len(buffer):
        raise ValueError("too many")
    received = anf_receive(fd, PyByteArray_AS_STRING(buffer), slot, count, arrivals)
    if received < 0:
        return received
    return [
        (arrivals[i].name[:arrivals[i].name_length], i * slot, arrivals[i].length, arrivals[i].size,
         arrivals[i].dropped)
        for i in range(received)
    ]


cdef bint take(const char *place, Py_ssize_t size, const char *vni, list frames, set macs, const char **known) except -1:
    """Whether these octets were a frame of that network, which is taken out; `known` is the MAC that came last."""
    if size < 22 or not place[0] & 8 or memcmp(place + 4, vni, 3):
        return False
    frames.append(PyBytes_FromStringAndSize(place + 8, size - 8))
    if known[0] == NULL or memcmp(known[0], place + 14, 6):
        known[0] = place + 14
        macs.add(PyBytes_FromStringAndSize(place + 14, 6))
    return True


def cut(bytearray buffer, Py_ssize_t start, Py_ssize_t length, Py_ssize_t size):
    cdef const char *octets = PyByteArray_AS_STRING(buffer)
    cdef Py_ssize_t stop = start + length
    cdef list datagrams = []
    if start < 0 or length < 0 or stop > len(buffer) or size < 0 or (size == 0 and length):
        raise ValueError("out of the buffer")
    while start < stop:
        datagrams.append(PyBytes_FromStringAndSize(octets + start, size if start + size <= stop else stop - start))
        start += size
    return datagrams


def split(
    bytearray buffer, Py_ssize_t start, Py_ssize_t length, Py_ssize_t size, bytes header, list frames, set macs,
    Py_ssize_t merged_by=0,
):
    cdef const char *octets = PyByteArray_AS_STRING(buffer)
    cdef const char *vni = PyBytes_AS_STRING(header) + 4
    cdef const char *known = NULL
    cdef Py_ssize_t stop = start + length, taken, run, count
    cdef bint merging = merged_by > 0 and size == merged_by + 22
    cdef list others = None
    if start < 0 or length < 0 or stop > len(buffer) or size <= 0 or PyBytes_GET_SIZE(header) != 8:
        raise ValueError("out of the buffer")
    while start < stop:
        taken = size if start + size <= stop else stop - start
        if not take(octets + start, taken, vni, frames, macs, &known):
            if others is None:
                others = []
            others.append(PyBytes_FromStringAndSize(octets + start, taken))
        elif merging and stop - start > size:
            # That one is for us. If it begins a run, one frame stands for it and for those that follow it.
            count = (stop - start + size - 1) // size
            alone = frames.pop()
            run = merge_run(<const uint8_t*>octets + start, 8, size, count, stop - start - (count - 1) * size, frames)
            if run == 0:
                frames.append(alone)
            else:
                start += (run - 1) * size
                taken = size if start + size <= stop else stop - start
        start += taken
    return others
