"""TCP Fast Open (RFC 7413): data in a SYN, for peers that show a cookie they were given before.

What is here belongs to a host, to a listener, or to one connection; what goes out and comes in is in early_data.py.

    client                                      server
      | SYN, cookie request                       |         the cookie is a hash of both addresses; the client
      |------------------------------------------>|         keeps it, by the server's address, with the MSS
      |                          SYN-ACK, cookie  |
      |<------------------------------------------|
      ...
      | SYN, cookie, data                         |
      |------------------------------------------>|  accept(), recv(), and perhaps send(): before the handshake ends
      |       SYN-ACK that acknowledges the data  |
      |<------------------------------------------|
"""

import struct
from collections import deque

from aionetflow.config import NEVER, SECOND
from aionetflow.fast import part
from aionetflow.rng import Random
from aionetflow.settings import fast_open_key, fast_open_text
from aionetflow.siphash import SipHash
from aionetflow.stats import TcpStats
from aionetflow.sysctl import Sysctl
from aionetflow.tcp.options import FAST_OPEN, find
from aionetflow.tcp.segment import Segment
from aionetflow.widths import i64

# Bits of net.ipv4.tcp_fastopen
CLIENT = 1
SERVER = 2
CLIENT_WITHOUT_COOKIE = 4
SERVER_WITHOUT_COOKIE = 0x200
SERVER_WITHOUT_OPTION = 0x400  # every socket that listens
# Why the data of a SYN were not taken (Linux tcpi_fastopen_client_fail)
COOKIE_UNAVAILABLE = 1
DATA_NOT_ACKED = 2
SYN_RETRANSMITTED = 3
KEY_LENGTH = 16
_KEY = struct.Struct("<QQ")
_LEAST_COOKIE = 4  # RFC 7413 4.1.1: octets
_MOST_COOKIE = 16
_MOST_DESTINATIONS = 4096  # that a host remembers; Linux forgets them with the metrics of a route
_RESET_TIME = 60 * SECOND  # Linux reqsk_fastopen_remove
_MOST_PAUSES = 6  # doublings of the pause after a black hole


def cookie_in(segment: Segment) -> bytes | None:
    """The cookie that a SYN or SYN-ACK carries, b"" for a request, None for neither (RFC 7413 4.1.1)."""
    frame = segment.frame
    at = find(frame, segment.options, segment.options_end, FAST_OPEN)
    if at < 0:
        return None
    length = frame[at + 1] - 2
    if length & 1 or (length and not _LEAST_COOKIE <= length <= _MOST_COOKIE):
        return None
    return part(frame, at + 2, at + 2 + length)


class CookieKeys:
    """The keys that cookies are made with: the one in use, and perhaps the one before, whose cookies are still taken.

    >>> keys = CookieKeys(bytes(range(16)))
    >>> keys.make(bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))).hex()
    '84dc7a7d3b3a4769'
    """

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._hashes = [SipHash(*_KEY.unpack_from(octets, at)) for at in range(0, len(octets), KEY_LENGTH)]

    def make(self, client: bytes, server: bytes, which: int = 0) -> bytes:
        """The cookie of a client at that address for a server at that one (Linux __tcp_fastopen_cookie_gen_cipher)."""
        keyed: SipHash = self._hashes[which]
        return keyed.hash(client + server).to_bytes(8, "little")

    def check(self, cookie: bytes, client: bytes, server: bytes) -> int:
        """Which key a cookie was made with: 1 the one in use, 2 the one before, 0 neither."""
        for which in range(len(self._hashes)):
            if self.make(client, server, which) == cookie:
                return which + 1
        return 0


class Destination:
    """What a client knows of a server."""

    def __init__(self) -> None:
        self.cookie = b""
        self.mss = 0  # that it announced last


class FastOpenHost:
    """What one host keeps: keys for its own cookies, cookies of others, whether the network swallows its SYNs."""

    def __init__(self, random: Random, sysctl: Sysctl, stats: TcpStats) -> None:
        self.sysctl = sysctl
        self.stats = stats
        self._random = random
        self._keys: CookieKeys | None = None
        self._destinations: dict[bytes, Destination] = {}  # by both addresses
        self._paused_at: i64 = -NEVER
        self._pauses = 0

    def keys(self) -> CookieKeys:
        """The host's keys, drawn when they are first asked for, unless net.ipv4.tcp_fastopen_key was set."""
        octets = fast_open_key(self.sysctl.tcp_fastopen_key)
        if not octets:
            octets = self._random.getrandbits(8 * KEY_LENGTH).to_bytes(KEY_LENGTH, "little")
            self.sysctl.tcp_fastopen_key = fast_open_text(octets)
        if self._keys is None or self._keys.octets != octets:
            self._keys = CookieKeys(octets)
        return self._keys

    def known(self, local: bytes, remote: bytes) -> Destination:
        """What is known of a server; nothing, if it was never heard."""
        return self._destinations.get(local + remote) or Destination()

    def learn(self, local: bytes, remote: bytes, cookie: bytes, mss: int) -> None:
        """A server has answered: its MSS, and a cookie if it gave one (RFC 7413 4.1.3.1)."""
        key = local + remote
        destination = self._destinations.pop(key, None) or Destination()
        destination.mss = mss
        destination.cookie = cookie or destination.cookie
        self._destinations[key] = destination
        if len(self._destinations) > _MOST_DESTINATIONS:
            del self._destinations[next(iter(self._destinations))]

    def pause(self, now: i64) -> None:
        """A SYN with the option seems to have been swallowed: for a while none goes out (RFC 7413 4.1.3.1)."""
        if self.sysctl.tcp_fastopen_blackhole_timeout_sec:
            self._paused_at = now
            self._pauses += 1
            self.stats.TCPFastOpenBlackhole += 1

    def is_paused(self, now: i64) -> bool:
        """Whether that while is not over: longer each time (Linux tcp_fastopen_active_should_disable)."""
        if not self._pauses:
            return False
        seconds: i64 = self.sysctl.tcp_fastopen_blackhole_timeout_sec
        return now < self._paused_at + (seconds * SECOND << min(self._pauses - 1, _MOST_PAUSES))

    def is_trying(self) -> bool:
        """Whether there was a pause of which it is not known yet that it was the last."""
        return self._pauses > 0

    def trust(self) -> None:
        """Data came on a connection that was opened so after a pause: all is well again."""
        self._pauses = 0


class FastOpen:
    """What one connection has to do with it; none has without it."""

    def __init__(self, host: FastOpenHost) -> None:
        self.host = host
        self.option = b""  # goes with the next SYN or SYN-ACK, and with no further one
        # Of a client:
        self.asked = False  # its SYN had the option
        self.deferred = False  # connect() has returned; the SYN waits for data
        self.most: i64 = 0  # octets of data that its SYN can hold
        self.length: i64 = 0  # of the data in the SYN
        self.client_fail = 0  # why they were not taken
        self.trying = False  # it was opened after a pause
        # Of a server:
        self.queue: FastOpenQueue | None = None
        self.pending = False  # the handshake has not ended yet
        self.accepted = False  # the application has the socket
        # Of either:
        self.acknowledged = False  # the SYN's data were taken

    def take_option(self) -> bytes:
        """The option for the SYN or SYN-ACK that is being made, padded; b"" if it has none."""
        option, self.option = self.option, b""
        if option:
            self.asked = True
        return option

    def is_suspicious(self, timeouts: int, final: bool) -> bool:
        """Linux tcp_fastopen_active_detect_blackhole: whether so many time-outs look like a black hole.

        The third in a row does, or one that is the last.
        """
        if self.queue is not None or not (self.asked or self.length):
            return False
        return timeouts <= 2 and (final or timeouts == 2)

    def end(self) -> None:
        """The handshake of a server's connection has ended, one way or the other."""
        if self.pending and self.queue is not None:
            self.pending = False
            self.queue.length -= 1

    def over(self, any_data: bool) -> None:
        """The connection is over, and data came in or not."""
        self.end()
        if self.trying and any_data:
            self.host.trust()

    def reset(self, now: i64) -> None:
        """A RST ends it: what the application has already counts on for a minute (Linux reqsk_fastopen_remove).

        Who sends SYNs with the addresses of others provokes RSTs of theirs (RFC 7413 5.1).
        """
        queue = self.queue
        if self.pending and queue is not None and self.accepted and not queue.closed:
            queue.resets.append(now + _RESET_TIME)
            queue.length += 1


class FastOpenQueue:
    """What a listener lets through: at most so many connections whose handshake has not ended (RFC 7413 5.1)."""

    def __init__(self, host: FastOpenHost) -> None:
        self.limit = 0  # TCP_FASTOPEN
        self.without_cookie = False  # TCP_FASTOPEN_NO_COOKIE
        self.own_keys: CookieKeys | None = None  # TCP_FASTOPEN_KEY
        self.length = 0
        self.resets: deque[i64] = deque()  # when those that were reset count no longer
        self.closed = False  # the listener is
        self.answer = FastOpen(host)  # of the SYN-ACKs to those that are not let through
        self._host = host

    def admits(self, segment: Segment, client: bytes, server: bytes, now: i64) -> bool:
        """Whether a SYN makes a connection at once (Linux tcp_try_fastopen); what its SYN-ACK says is in `answer`."""
        sysctl, stats = self._host.sysctl, self._host.stats
        cookie = cookie_in(segment)
        if cookie is not None and not cookie:
            stats.TCPFastOpenCookieReqd += 1
        if not sysctl.tcp_fastopen & SERVER or (cookie is None and not segment.length) or not self._has_room(now):
            return False
        if self.without_cookie or sysctl.tcp_fastopen & SERVER_WITHOUT_COOKIE:
            stats.TCPFastOpenPassive += 1
            return True
        if cookie is None:
            return False
        keys = self.own_keys or self._host.keys()
        which = keys.check(cookie, client, server) if cookie else 0
        if which != 1:  # it is told the right one
            self.answer.option = option_of(keys.make(client, server))
        if which == 0:
            if cookie:
                stats.TCPFastOpenPassiveFail += 1
            return False
        if which == 2:
            stats.TCPFastOpenPassiveAltKey += 1
        stats.TCPFastOpenPassive += 1
        return True

    def child(self) -> FastOpen:
        """What a connection that is let through has of it."""
        fast = FastOpen(self._host)
        fast.queue = self
        fast.option = self.answer.take_option()
        fast.pending = True
        self.length += 1
        return fast

    def _has_room(self, now: i64) -> bool:
        """Linux tcp_fastopen_queue_check."""
        if self.limit == 0:
            return False
        if self.length >= self.limit:
            if not self.resets or self.resets[0] > now:
                self._host.stats.TCPFastOpenListenOverflow += 1
                return False
            self.resets.popleft()
            self.length -= 1
        return True


def option_of(cookie: bytes) -> bytes:
    """The option with a cookie, b"" for a request, padded as Linux does (tcp_options_write).

    >>> option_of(b"").hex(" "), option_of(bytes(4)).hex(" ")
    ('22 02 01 01', '22 06 00 00 00 00 01 01')
    """
    option = bytes((FAST_OPEN, 2 + len(cookie))) + cookie
    return option + b"\1" * (-len(option) % 4)
