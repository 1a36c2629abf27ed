"""AES-256-GCM for the messages of a session, many a call.

By the package cryptography, a call for each message; or, where the tunnel is compiled and Python's own OpenSSL is a
library of its own (Linux as a rule), by that, a call for all of them (`_aead`): half the time.
"""

from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aionetflow.tunnel.sealing.messages import HEADER_SIZE, OVERHEAD, TAG_SIZE

__all__ = ["Aead", "PlainCipher", "cipher"]


class Aead(Protocol):
    """Seals and opens messages under one key. The nonce is 32 zero bits and the counter (Noise revision 34, 12)."""

    def seal(self, prefix: bytes, counter: int, block: bytearray, size: int) -> None:
        """Seals a block of datagrams, of `size` octets but for the last, where they stand.

        Each has room for the prefix and the counter, which goes up by one, the payload, and room for the tag.
        """

    def run(
        self, prefix: bytes, counter: int, buffer: bytearray, start: int, stop: int, size: int, into: bytearray, at: int
    ) -> int:
        """Opens datagrams that stand one behind another, of `size` octets each, as far as they follow one another.

        The first has this prefix and this counter, each one after it the next counter; it ends at the first that has
        not, or is not true. What is in them is put into `into` from `at` on, likewise; of how many is returned.
        """

    def open(self, counter: int, sealed: bytes) -> bytes | None:
        """What is sealed under a counter; None if it is not true."""


class PlainCipher:
    """The one of the package cryptography."""

    def __init__(self, key: bytes) -> None:
        gcm = AESGCM(key)
        self._encrypt, self._decrypt = gcm.encrypt, gcm.decrypt

    def seal(self, prefix: bytes, counter: int, block: bytearray, size: int) -> None:
        """See Aead."""
        for number, start in enumerate(range(0, len(block), size), counter):
            stop = min(start + size, len(block))
            if stop - start < OVERHEAD:
                raise ValueError("no room for what sealing adds")
            nonce = number.to_bytes(12, "big")
            payload = bytes(block[start + HEADER_SIZE : stop - TAG_SIZE])
            block[start:stop] = prefix + nonce[4:] + self._encrypt(nonce, payload, None)

    def run(
        self, prefix: bytes, counter: int, buffer: bytearray, start: int, stop: int, size: int, into: bytearray, at: int
    ) -> int:
        """See Aead."""
        count = 0
        for place in range(start, stop, size):
            datagram = bytes(buffer[place : min(place + size, stop)])
            nonce = (counter + count).to_bytes(12, "big")
            if datagram[:HEADER_SIZE] != prefix + nonce[4:]:
                break
            payload = self.open(counter + count, datagram[HEADER_SIZE:])
            if payload is None:
                break
            into[at : at + len(payload)] = payload
            at += len(payload)
            count += 1
        return count

    def open(self, counter: int, sealed: bytes) -> bytes | None:
        """See Aead."""
        try:
            return self._decrypt(counter.to_bytes(12, "big"), sealed, None)
        except InvalidTag:
            return None


def cipher(key: bytes) -> Aead:
    """The fastest that there is."""
    return _Cipher(key) if _Cipher is not None else PlainCipher(key)


try:
    import _hashlib  # noqa: F401 (Python's OpenSSL is loaded with it)

    from aionetflow.tunnel.sealing._aead import LOADED
    from aionetflow.tunnel.sealing._aead import Cipher as _Compiled

    _Cipher: type[_Compiled] | None = _Compiled if LOADED else None
except ModuleNotFoundError:
    # Not ImportError: an extension that is there but does not load must not go unseen.
    _Cipher = None
