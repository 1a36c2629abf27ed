"""Many datagrams a call: UDP_SEGMENT and UDP_GRO, sendmmsg and recvmmsg (Linux). See `kernel.py` for what they do."""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy

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

    /* One sendmsg of `count` datagrams, each of `header` and a payload: those before the last all of `size` octets. */
    static int anf_send_segments(int fd, char *to, int to_length, struct iovec *parts, int count, int size) {
        char control[CMSG_SPACE(sizeof(uint16_t))];
        struct msghdr message;
        memset(&message, 0, sizeof message);
        message.msg_name = to; message.msg_namelen = to_length;
        message.msg_iov = parts; message.msg_iovlen = 2 * count;
        if (count > 1) {
            struct cmsghdr *item;
            uint16_t octets = (uint16_t)size;
            memset(control, 0, sizeof control);
            message.msg_control = control; message.msg_controllen = sizeof control;
            item = CMSG_FIRSTHDR(&message);
            item->cmsg_level = SOL_UDP; item->cmsg_type = UDP_SEGMENT;
            item->cmsg_len = CMSG_LEN(sizeof octets);
            memcpy(CMSG_DATA(item), &octets, sizeof octets);
        }
        return sendmsg(fd, &message, MSG_DONTWAIT) < 0 ? -errno : count;
    }

    static int anf_send_many(int fd, char *to, int to_length, struct iovec *parts, int count) {
        struct mmsghdr messages[ANF_MOST];
        int i, sent;
        memset(messages, 0, count * sizeof messages[0]);
        for (i = 0; i < count; i++) {
            messages[i].msg_hdr.msg_name = to; messages[i].msg_hdr.msg_namelen = to_length;
            messages[i].msg_hdr.msg_iov = parts + 2 * i; messages[i].msg_hdr.msg_iovlen = 2;
        }
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
    struct iovec { void *iov_base; size_t iov_len; };
    typedef struct { int length; int size; uint32_t dropped; int name_length; char name[28]; } anf_arrival;
    #define anf_send_segments(fd, to, to_length, parts, count, size) (-ENOSYS)
    #define anf_send_many(fd, to, to_length, parts, count) (-ENOSYS)
    #define anf_receive(fd, buffer, slot, count, arrivals) (-ENOSYS)
    #endif
    """
    cdef enum:
        ANF_LINUX, ANF_MOST
    cdef struct iovec:
        void *iov_base
        size_t iov_len
    ctypedef struct anf_arrival:
        int length
        int size
        uint32_t dropped
        int name_length
        char name[28]
    int anf_send_segments(int, char *, int, iovec *, int, int) nogil
    int anf_send_many(int, char *, int, iovec *, int) nogil
    int anf_receive(int, char *, int, int, anf_arrival *) nogil

LINUX = bool(ANF_LINUX)


cdef void fill(iovec *parts, bytes header, list payloads, Py_ssize_t first, int count):
    cdef int i
    cdef bytes payload
    for i in range(count):
        payload = payloads[first + i]
        parts[2 * i].iov_base = PyBytes_AS_STRING(header)
        parts[2 * i].iov_len = PyBytes_GET_SIZE(header)
        parts[2 * i + 1].iov_base = PyBytes_AS_STRING(payload)
        parts[2 * i + 1].iov_len = PyBytes_GET_SIZE(payload)


def send_segments(sock, bytes to, bytes header, list payloads, Py_ssize_t first, int count, int size):
    cdef iovec parts[2 * ANF_MOST]
    cdef int fd = sock.fileno()
    if count > ANF_MOST:
        raise ValueError("too many")
    fill(parts, header, payloads, first, count)
    return anf_send_segments(fd, PyBytes_AS_STRING(to), PyBytes_GET_SIZE(to), parts, count, size)


def send_many(sock, bytes to, bytes header, list payloads, Py_ssize_t first, int count):
    cdef iovec parts[2 * ANF_MOST]
    cdef int fd = sock.fileno()
    if count > ANF_MOST:
        raise ValueError("too many")
    fill(parts, header, payloads, first, count)
    return anf_send_many(fd, PyBytes_AS_STRING(to), PyBytes_GET_SIZE(to), parts, count)


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


def equal_run(list payloads, Py_ssize_t first, int most, Py_ssize_t header, Py_ssize_t room):
    cdef Py_ssize_t total = len(payloads), size
    cdef int count = 1
    cdef Py_ssize_t full = PyBytes_GET_SIZE(<bytes?>payloads[first])
    cdef Py_ssize_t octets = header + full
    while count < most and first + count < total:
        size = PyBytes_GET_SIZE(<bytes?>payloads[first + count])
        octets += header + size
        if size > full or octets > room:
            break
        count += 1
        if size < full:
            break
    return count


cdef bint take(const char *place, Py_ssize_t size, const char *vni, list frames, set macs, const char **known) except -1:
    """Whether these octets were a frame of that network, which is taken out; `known` is the MAC that came last."""
    if size < 22 or not place[0] & 8 or memcmp(place + 4, vni, 3):
        return False
    frames.append(PyBytes_FromStringAndSize(place + 8, size - 8))
    if known[0] == NULL or memcmp(known[0], place + 14, 6):
        known[0] = place + 14
        macs.add(PyBytes_FromStringAndSize(place + 14, 6))
    return True


def unwrap(list datagrams, bytes header, list frames, set macs):
    cdef const char *vni = PyBytes_AS_STRING(header) + 4
    cdef const char *known = NULL
    cdef bytes datagram
    cdef list others = None
    if PyBytes_GET_SIZE(header) != 8:
        raise ValueError("no header")
    for datagram in datagrams:
        if not take(PyBytes_AS_STRING(datagram), PyBytes_GET_SIZE(datagram), vni, frames, macs, &known):
            if others is None:
                others = []
            others.append(datagram)
    return others


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


def split(bytearray buffer, Py_ssize_t start, Py_ssize_t length, Py_ssize_t size, bytes header, list frames, set macs):
    cdef const char *octets = PyByteArray_AS_STRING(buffer)
    cdef const char *vni = PyBytes_AS_STRING(header) + 4
    cdef const char *known = NULL
    cdef Py_ssize_t stop = start + length, taken
    cdef list others = None
    if start < 0 or length < 0 or stop > len(buffer) or size <= 0 or PyBytes_GET_SIZE(header) != 8:
        raise ValueError("out of the buffer")
    while start < stop:
        taken = size if start + size <= stop else stop - start
        if not take(octets + start, taken, vni, frames, macs, &known):
            if others is None:
                others = []
            others.append(PyBytes_FromStringAndSize(octets + start, taken))
        start += taken
    return others
