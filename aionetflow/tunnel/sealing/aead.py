"""AES-256-GCM for the messages of a session, many a call.

By the package cryptography, a call for each message; or, where the tunnel is compiled and Python's own OpenSSL is a
library of its own (Linux as a rule), by that, a call for all of them (`_aead`): half the time.
"""

from contextlib import suppress
from itertools import repeat
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aionetflow.tunnel.sealing.messages import HEADER_SIZE, INDEX_SIZE

__all__ = ["Aead", "PlainCipher", "cipher"]

_PREFIX_SIZE = 1 + INDEX_SIZE


class Aead(Protocol):
    """Seals and opens messages under one key. The nonce is 32 zero bits and the counter (Noise revision 34, 12)."""

    def seal(self, header: bytes, counter: int, payloads: list[bytes]) -> list[bytes]:
        """A datagram for each payload: the header, the counter, which goes up by one, and what is sealed."""

    def run(self, prefix: bytes, counter: int, datagrams: list[bytes], start: int, longest: int) -> list[bytes]:
        """What is in the datagrams from `start` on that begin with this prefix and this counter, and those after it.

        It ends, after `longest` payloads at the most, at the first that does not follow, or is not true.
        """

    def open(self, counter: int, sealed: bytes) -> bytes | None:
        """What is sealed under a counter; None if it is not true."""


class PlainCipher:
    """The one of the package cryptography."""

    def __init__(self, key: bytes) -> None:
        gcm = AESGCM(key)
        self._encrypt, self._decrypt = gcm.encrypt, gcm.decrypt

    def seal(self, header: bytes, counter: int, payloads: list[bytes]) -> list[bytes]:
        """See Aead."""
        encrypt = self._encrypt
        nonces = [number.to_bytes(12, "big") for number in range(counter, counter + len(payloads))]
        return [
            header + nonce[4:] + encrypt(nonce, payload, None)
            for nonce, payload in zip(nonces, payloads, strict=True)
        ]

    def run(self, prefix: bytes, counter: int, datagrams: list[bytes], start: int, longest: int) -> list[bytes]:
        """See Aead."""
        nonces: list[bytes] = []
        sealed: list[bytes] = []
        for datagram in datagrams[start : start + longest]:
            nonce = (counter + len(nonces)).to_bytes(12, "big")
            if datagram[:HEADER_SIZE] != prefix + nonce[4:]:
                break
            nonces.append(nonce)
            sealed.append(datagram[HEADER_SIZE:])
        payloads: list[bytes] = []
        with suppress(InvalidTag):  # of the first that is not true: those before it are there
            payloads.extend(map(self._decrypt, nonces, sealed, repeat(None)))
        return payloads

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
