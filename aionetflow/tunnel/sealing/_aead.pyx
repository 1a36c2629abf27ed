"""AES-256-GCM of many messages a call, by the OpenSSL that Python itself has loaded. See `aead.py` for what it does."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef extern from *:
    """
    #include <stddef.h>
    typedef struct {
        void *(*make)(void);
        void (*drop)(void *);
        const void *(*cipher)(void);
        int (*seal_init)(void *, const void *, void *, const unsigned char *, const unsigned char *);
        int (*seal_update)(void *, unsigned char *, int *, const unsigned char *, int);
        int (*seal_final)(void *, unsigned char *, int *);
        int (*open_init)(void *, const void *, void *, const unsigned char *, const unsigned char *);
        int (*open_update)(void *, unsigned char *, int *, const unsigned char *, int);
        int (*open_final)(void *, unsigned char *, int *);
        int (*control)(void *, int, int, void *);
    } anf_evp;

    #if defined(_WIN32)
    static int anf_load(const char *name, anf_evp *evp) { (void)name; (void)evp; return 0; }
    #else
    #include <dlfcn.h>
    static int anf_load(const char *name, anf_evp *evp) {
        /* Only what is loaded already: another OpenSSL beside it would be one more to keep up to date. */
        void *library = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
        if (!library) return 0;
        *(void **)&evp->make = dlsym(library, "EVP_CIPHER_CTX_new");
        *(void **)&evp->drop = dlsym(library, "EVP_CIPHER_CTX_free");
        *(void **)&evp->cipher = dlsym(library, "EVP_aes_256_gcm");
        *(void **)&evp->seal_init = dlsym(library, "EVP_EncryptInit_ex");
        *(void **)&evp->seal_update = dlsym(library, "EVP_EncryptUpdate");
        *(void **)&evp->seal_final = dlsym(library, "EVP_EncryptFinal_ex");
        *(void **)&evp->open_init = dlsym(library, "EVP_DecryptInit_ex");
        *(void **)&evp->open_update = dlsym(library, "EVP_DecryptUpdate");
        *(void **)&evp->open_final = dlsym(library, "EVP_DecryptFinal_ex");
        *(void **)&evp->control = dlsym(library, "EVP_CIPHER_CTX_ctrl");
        return evp->make && evp->drop && evp->cipher && evp->seal_init && evp->seal_update && evp->seal_final &&
            evp->open_init && evp->open_update && evp->open_final && evp->control;
    }
    #endif
    """
    ctypedef struct anf_evp:
        void *(*make)()
        void (*drop)(void *)
        const void *(*cipher)()
        int (*seal_init)(void *, const void *, void *, const uint8_t *, const uint8_t *)
        int (*seal_update)(void *, uint8_t *, int *, const uint8_t *, int)
        int (*seal_final)(void *, uint8_t *, int *)
        int (*open_init)(void *, const void *, void *, const uint8_t *, const uint8_t *)
        int (*open_update)(void *, uint8_t *, int *, const uint8_t *, int)
        int (*open_final)(void *, uint8_t *, int *)
        int (*control)(void *, int, int, void *)
    int anf_load(const char *, anf_evp *)

cdef enum:
    GET_TAG = 0x10, SET_TAG = 0x11  # openssl/evp.h EVP_CTRL_AEAD_...
    KEY = 32, TAG = 16, NONCE = 12, COUNTER = 8
    LONGEST = 1 << 20

cdef anf_evp evp
LOADED = any([anf_load(name, &evp) for name in (b"libcrypto.so.3", b"libcrypto.so.1.1", b"libcrypto.3.dylib")])


cdef void set_nonce(uint8_t *nonce, uint64_t counter) noexcept:
    cdef int i
    memset(nonce, 0, NONCE - COUNTER)
    for i in range(COUNTER):
        nonce[NONCE - 1 - i] = <uint8_t>(counter >> (8 * i))


cdef class Cipher:
    cdef void *sealing
    cdef void *opening

    def __cinit__(self, bytes key):
        cdef const uint8_t *octets = <const uint8_t *>PyBytes_AS_STRING(key)
        if not LOADED or PyBytes_GET_SIZE(key) != KEY:
            raise ValueError("no cipher")
        self.sealing, self.opening = evp.make(), evp.make()
        if self.sealing == NULL or self.opening == NULL:
            raise MemoryError
        if evp.seal_init(self.sealing, evp.cipher(), NULL, octets, NULL) != 1:
            raise RuntimeError("OpenSSL takes no key for AES-256-GCM")
        if evp.open_init(self.opening, evp.cipher(), NULL, octets, NULL) != 1:
            raise RuntimeError("OpenSSL takes no key for AES-256-GCM")

    def __dealloc__(self):
        if self.sealing != NULL:
            evp.drop(self.sealing)
        if self.opening != NULL:
            evp.drop(self.opening)

    def seal(self, bytes prefix, uint64_t counter, bytearray block, Py_ssize_t size):
        cdef uint8_t nonce[NONCE]
        cdef Py_ssize_t before = PyBytes_GET_SIZE(prefix), length = PyByteArray_GET_SIZE(block), taken
        cdef uint8_t *datagram = <uint8_t *>PyByteArray_AS_STRING(block)
        while length > 0:
            taken = min(size, length)
            if taken < before + COUNTER + TAG or taken > LONGEST:
                raise ValueError("no room for what sealing adds")
            set_nonce(nonce, counter)
            memcpy(datagram, PyBytes_AS_STRING(prefix), before)
            memcpy(datagram + before, nonce + NONCE - COUNTER, COUNTER)
            self.seal_in_place(nonce, datagram + before + COUNTER, taken - before - COUNTER - TAG)
            datagram += taken
            length -= taken
            counter += 1

    def run(
        self, bytes prefix, uint64_t counter, bytearray buffer, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t size,
        bytearray into, Py_ssize_t at,
    ):
        cdef uint8_t nonce[NONCE]
        cdef Py_ssize_t known = PyBytes_GET_SIZE(prefix), count = 0, length
        cdef const uint8_t *octets = <const uint8_t *>PyByteArray_AS_STRING(buffer)
        cdef uint8_t *out = <uint8_t *>PyByteArray_AS_STRING(into)
        if not (0 <= start <= stop <= len(buffer) and 0 <= at and stop - start <= len(into) - at and size > 0):
            raise ValueError("out of the buffer")
        while start < stop:
            length = min(size, stop - start) - known - COUNTER
            set_nonce(nonce, counter)
            if length < TAG or memcmp(octets + start, PyBytes_AS_STRING(prefix), known):
                break
            if memcmp(octets + start + known, nonce + NONCE - COUNTER, COUNTER):
                break
            if not self.opened(nonce, octets + start + known + COUNTER, length, out + at):
                break
            at += length - TAG
            start += size
            counter += 1
            count += 1
        return count

    def open(self, uint64_t counter, bytes sealed):
        cdef uint8_t nonce[NONCE]
        cdef Py_ssize_t length = PyBytes_GET_SIZE(sealed)
        if length < TAG or length > LONGEST:
            return None
        cdef bytes payload = PyBytes_FromStringAndSize(NULL, length - TAG)
        set_nonce(nonce, counter)
        if not self.opened(
            nonce, <const uint8_t *>PyBytes_AS_STRING(sealed), length, <uint8_t *>PyBytes_AS_STRING(payload)
        ):
            return None
        return payload

    cdef int seal_in_place(self, const uint8_t *nonce, uint8_t *octets, Py_ssize_t size) except -1:
        """Seals what stands there, and puts the tag behind it."""
        cdef int done = 0, rest = 0
        if (
            evp.seal_init(self.sealing, NULL, NULL, NULL, nonce) != 1
            or evp.seal_update(self.sealing, octets, &done, octets, <int>size) != 1
            or evp.seal_final(self.sealing, octets + done, &rest) != 1
            or done + rest != size
            or evp.control(self.sealing, GET_TAG, TAG, octets + size) != 1
        ):
            raise RuntimeError("OpenSSL has not sealed a message")
        return 0

    cdef bint opened(self, const uint8_t *nonce, const uint8_t *sealed, Py_ssize_t length, uint8_t *out) except -1:
        """Whether what is sealed there is true; then it stands in `out`, without its tag. Else what is there is void."""
        cdef Py_ssize_t size = length - TAG
        cdef int done = 0, rest = 0
        cdef uint8_t tag[TAG]
        memcpy(tag, sealed + size, TAG)
        if (
            evp.open_init(self.opening, NULL, NULL, NULL, nonce) != 1
            or evp.open_update(self.opening, out, &done, sealed, <int>size) != 1
            or evp.control(self.opening, SET_TAG, TAG, tag) != 1
        ):
            raise RuntimeError("OpenSSL has not opened a message")
        return evp.open_final(self.opening, out + done, &rest) == 1 and done + rest == size
