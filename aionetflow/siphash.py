"""SipHash-2-4 (Aumasson and Bernstein, 2012): a hash that nobody can foretell who has not the key.

Linux takes it for the same: initial sequence numbers, ports, SYN cookies. What is drawn at random is the key alone, so
that who knows the seed of a network knows every number on it, and who is on the network knows none.
"""

from aionetflow.rng import Random
from aionetflow.widths import u64

_M64 = 0xFFFFFFFFFFFFFFFF
# "somepseudorandomlygeneratedbytes"
_V0 = 0x736F6D6570736575
_V1 = 0x646F72616E646F6D
_V2 = 0x6C7967656E657261
_V3 = 0x7465646279746573


class SipHash:
    """A hash function, by its key of two numbers of 64 bits.

    >>> hex(SipHash(0x0706050403020100, 0x0F0E0D0C0B0A0908).hash(bytes(range(15))))
    '0xa129ca6149be45e5'
    """

    def __init__(self, key0: u64, key1: u64) -> None:
        self._key0 = key0
        self._key1 = key1

    def hash(self, data: bytes) -> u64:
        """The hash of some octets, 64 bits."""
        v0, v1 = _V0 ^ self._key0, _V1 ^ self._key1
        v2, v3 = _V2 ^ self._key0, _V3 ^ self._key1
        length = len(data)
        whole = length // 8
        for i in range(whole + 2):  # the words, the last of them with the length, and the end
            rounds = 2
            word: u64 = 0
            if i > whole:
                v2 ^= 0xFF
                rounds = 4
            else:
                word = _word(data, 8 * i, length)
                v3 ^= word
            for _ in range(rounds):
                v0 = (v0 + v1) & _M64
                v2 = (v2 + v3) & _M64
                v1 = ((v1 << 13 | v1 >> 51) & _M64) ^ v0
                v3 = ((v3 << 16 | v3 >> 48) & _M64) ^ v2
                v0 = (v0 << 32 | v0 >> 32) & _M64
                v2 = (v2 + v1) & _M64
                v0 = (v0 + v3) & _M64
                v1 = ((v1 << 17 | v1 >> 47) & _M64) ^ v2
                v3 = ((v3 << 21 | v3 >> 43) & _M64) ^ v0
                v2 = (v2 << 32 | v2 >> 32) & _M64
            v0 ^= word
        return v0 ^ v1 ^ v2 ^ v3


def _word(data: bytes, start: int, length: int) -> u64:
    """Eight octets, the first the lowest; those after the end are 0, but for the last, which is the length's."""
    word: u64 = 0
    if start + 8 > length:
        word = length & 255
        word <<= 56
    for i in range(min(length - start, 8)):
        octet: u64 = data[start + i]
        word |= octet << 8 * i
    return word


def keyed(random: Random) -> SipHash:
    """A hash function with a key of its own."""
    return SipHash(random.getrandbits(64), random.getrandbits(64))
