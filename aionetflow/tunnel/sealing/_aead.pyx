"""AES-256-GCM of many messages a call, by the OpenSSL that Python itself has loaded. See `aead.py` for what it does."""

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

    def seal(self, bytes header, uint64_t counter, list payloads):
        cdef list sealed = []
        cdef bytes payload
        for payload in payloads:
            sealed.append(self.sealed(header, counter, payload))
            counter += 1
        return sealed

    def run(self, bytes prefix, uint64_t counter, list datagrams, Py_ssize_t start, Py_ssize_t longest):
        cdef list payloads = []
        cdef bytes datagram, payload
        cdef uint8_t nonce[NONCE]
        cdef Py_ssize_t known = PyBytes_GET_SIZE(prefix), i
        cdef const uint8_t *octets
        for i in range(start, min(start + longest, len(datagrams))):
            datagram = datagrams[i]
            octets = <const uint8_t *>PyBytes_AS_STRING(datagram)
            set_nonce(nonce, counter)
            if PyBytes_GET_SIZE(datagram) < known + COUNTER + TAG or memcmp(octets, PyBytes_AS_STRING(prefix), known):
                break
            if memcmp(octets + known, nonce + NONCE - COUNTER, COUNTER):
                break
            payload = self.opened(nonce, octets + known + COUNTER, PyBytes_GET_SIZE(datagram) - known - COUNTER)
            if payload is None:
                break
            payloads.append(payload)
            counter += 1
        return payloads

    def open(self, uint64_t counter, bytes sealed):
        cdef uint8_t nonce[NONCE]
        set_nonce(nonce, counter)
        return self.opened(nonce, <const uint8_t *>PyBytes_AS_STRING(sealed), PyBytes_GET_SIZE(sealed))

    cdef bytes sealed(self, bytes header, uint64_t counter, bytes payload):
        cdef Py_ssize_t before = PyBytes_GET_SIZE(header), size = PyBytes_GET_SIZE(payload)
        cdef uint8_t nonce[NONCE]
        cdef int done = 0, rest = 0
        if size > LONGEST:
            raise ValueError("too long")
        cdef bytes datagram = PyBytes_FromStringAndSize(NULL, before + COUNTER + size + TAG)
        cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(datagram)
        set_nonce(nonce, counter)
        memcpy(out, PyBytes_AS_STRING(header), before)
        memcpy(out + before, nonce + NONCE - COUNTER, COUNTER)
        out += before + COUNTER
        if (
            evp.seal_init(self.sealing, NULL, NULL, NULL, nonce) != 1
            or evp.seal_update(self.sealing, out, &done, <const uint8_t *>PyBytes_AS_STRING(payload), <int>size) != 1
            or evp.seal_final(self.sealing, out + done, &rest) != 1
            or done + rest != size
            or evp.control(self.sealing, GET_TAG, TAG, out + size) != 1
        ):
            raise RuntimeError("OpenSSL has not sealed a message")
        return datagram

    cdef bytes opened(self, const uint8_t *nonce, const uint8_t *sealed, Py_ssize_t length):
        """What is sealed there; None if it is not true."""
        cdef Py_ssize_t size = length - TAG
        cdef int done = 0, rest = 0
        cdef uint8_t tag[TAG]
        if size < 0 or size > LONGEST:
            return None
        cdef bytes payload = PyBytes_FromStringAndSize(NULL, size)
        cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(payload)
        memcpy(tag, sealed + size, TAG)
        if (
            evp.open_init(self.opening, NULL, NULL, NULL, nonce) != 1
            or evp.open_update(self.opening, out, &done, sealed, <int>size) != 1
            or evp.control(self.opening, SET_TAG, TAG, tag) != 1
        ):
            raise RuntimeError("OpenSSL has not opened a message")
        if evp.open_final(self.opening, out + done, &rest) != 1 or done + rest != size:
            return None
        return payload
