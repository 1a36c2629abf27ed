"""TCP Fast Open (RFC 7413): data in the SYN, for a client that brings a cookie from an earlier connection.

The option's kind is 34; empty it asks for a cookie, else it is one of 4 to 16 octets, an even number of them:

    +----+--------+----------------------+
    | 34 | length | cookie ...           |
    +----+--------+----------------------+
"""

from collections import OrderedDict

from aionetflow.rng import Random
from aionetflow.siphash import SipHash, keyed

KIND = 34
_NOP = 1
_FEWEST, _MOST = 4, 16  # octets of a cookie (RFC 7413 4.1.1)
_LENGTH = 8  # of ours (Linux TCP_FASTOPEN_COOKIE_SIZE)
_KEPT = 1024  # cookies of others

# net.ipv4.tcp_fastopen
CLIENT = 1
SERVER = 2
CLIENT_WITHOUT_COOKIE = 4
SERVER_WITHOUT_COOKIE = 0x200
EVERY_LISTENER = 0x400


def option(cookie: bytes) -> bytes:
    """The option with a cookie, b"" to ask for one; padded to whole words.

    >>> option(bytes(8)).hex(" ")
    '22 0a 00 00 00 00 00 00 00 00 01 01'
    """
    octets = bytes((KIND, 2 + len(cookie))) + cookie
    return octets + bytes((_NOP,)) * (-len(octets) % 4)


def cookie_in(value: bytes | None) -> bytes | None:
    """The cookie that an option's value is, b"" for a question; None if there is no option, or it is malformed."""
    if value is None or (value and not (_FEWEST <= len(value) <= _MOST and len(value) % 2 == 0)):
        return None
    return value


class ServerCookies:
    """The cookies that a host gives out: who has one has received at the address that it is for."""

    def __init__(self, random: Random, key: str = "") -> None:
        self._hash: SipHash = parse_key(key) if key else keyed(random)

    def make(self, client: bytes, server: bytes) -> bytes:
        """The cookie of a client's address (RFC 7413 4.1.2)."""
        return self._hash.hash(client + server).to_bytes(_LENGTH, "little")


class ClientCookies:
    """The cookies that a host has been given, the least used of which are forgotten (RFC 7413 4.1.3)."""

    def __init__(self) -> None:
        self._cookies: OrderedDict[tuple[bytes, bytes], tuple[bytes, int]] = OrderedDict()

    def put(self, client: bytes, server: bytes, cookie: bytes, mss: int) -> None:
        """Keeps a server's cookie, and what it said of its segments."""
        self._cookies[client, server] = cookie, mss
        self._cookies.move_to_end((client, server))
        if len(self._cookies) > _KEPT:
            self._cookies.popitem(last=False)

    def get(self, client: bytes, server: bytes) -> tuple[bytes, int]:
        """The cookie for a server and its MSS; (b"", 0) if there is none."""
        return self._cookies.get((client, server), (b"", 0))

    def drop(self, client: bytes, server: bytes) -> None:
        """Forgets a server's cookie: it is valid no more."""
        self._cookies.pop((client, server), None)


def parse_key(text: str) -> SipHash:
    """net.ipv4.tcp_fastopen_key: four numbers of eight hexadecimal digits, with dashes between; ValueError if not.

    A second key, after a comma, is taken back as well on Linux; here it is not.
    """
    words = text.partition(",")[0].split("-")
    if len(words) != 4 or any(len(word) != 8 for word in words):
        raise ValueError(f"a key is xxxxxxxx-xxxxxxxx-xxxxxxxx-xxxxxxxx, not {text!r}")
    first, second, third, fourth = (int(word, 16) for word in words)
    return SipHash(second << 32 | first, fourth << 32 | third)
