"""The datagrams of a tunnel with a key, as they are on the wire.

    initiation   type | ephemeral key (32) | sealed: time (12), sender's index (4), tag (16)
    response     type | receiver's index (4) | ephemeral key (32) | sealed: sender's index (4), tag (16)
    transport    type | receiver's index (4) | counter (8) | sealed: payload, tag (16)

The type is an octet: in its upper half the version of all this, in its lower the kind. A VXLAN header begins with 0x08.
"""

import struct

from aionetflow.config import SECOND

VERSION = 1
INITIATION = VERSION << 4 | 1
RESPONSE = VERSION << 4 | 2
TRANSPORT = VERSION << 4 | 3

# Part of what is hashed in the handshake, so that ends of different versions never agree on keys.
PROLOGUE = b"aionetflow tunnel %d" % VERSION

EPHEMERAL_SIZE = 32  # a public key of X25519
TAG_SIZE = 16
INDEX_SIZE = 4
TIME_SIZE = 12
HEADER_SIZE = 1 + INDEX_SIZE + 8
INITIATION_SIZE = 1 + EPHEMERAL_SIZE + TIME_SIZE + INDEX_SIZE + TAG_SIZE
RESPONSE_SIZE = 1 + INDEX_SIZE + EPHEMERAL_SIZE + INDEX_SIZE + TAG_SIZE
# How many octets sealing adds to a payload.
OVERHEAD = HEADER_SIZE + TAG_SIZE

# TAI64N: seconds since 1970, by a clock that was 10 s before UTC then, plus 2^62; and nanoseconds.
_TAI64N = struct.Struct(">QI")
_EPOCH = 2**62 + 10


def with_room(payload: bytes) -> bytearray:
    """A transport datagram with this payload, to be sealed where it stands."""
    return bytearray(HEADER_SIZE) + payload + bytes(TAG_SIZE)


def peek_index(datagram: bytes) -> bytes | None:
    """The index that says whose a datagram is; None if it says so itself (an initiation), or is not of this tunnel.

    >>> peek_index(bytes([TRANSPORT]) + b"abcd" + bytes(24))
    b'abcd'
    >>> peek_index(bytes([INITIATION]) + bytes(64))
    """
    if len(datagram) < OVERHEAD or (datagram[0] != TRANSPORT and datagram[0] != RESPONSE):
        return None
    return datagram[1 : 1 + INDEX_SIZE]


def timestamp(wall_ns: int) -> bytes:
    """A time of the wall clock, in ns since 1970, as 12 octets that sort as the times do.

    >>> timestamp(1_000_000_007).hex()
    '400000000000000b00000007'
    """
    seconds, nanoseconds = divmod(wall_ns, SECOND)
    return _TAI64N.pack(_EPOCH + seconds, nanoseconds)
