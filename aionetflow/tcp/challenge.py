"""How many challenge ACKs a host sends (RFC 5961 7): net.ipv4.tcp_challenge_ack_limit in a second.

Linux's limit is none by default, as a limit that all connections share tells one of them about another. Where there is
one it varies from second to second by half, so that it tells little.
"""

from aionetflow.config import SECOND
from aionetflow.rng import Random
from aionetflow.widths import i64

NO_LIMIT = (1 << 31) - 1
_NO_LIMIT = NO_LIMIT


class ChallengeLimit:
    """What one host has sent of them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._second: i64 = -1
        self._left: i64 = 0

    def allows(self, limit: i64, now: i64) -> bool:
        """Whether one more may be sent at `now` (ns); it counts as sent."""
        if limit == _NO_LIMIT:
            return True
        if now // SECOND != self._second:
            self._second = now // SECOND
            half = (limit + 1) // 2
            drawn: i64 = self._random.getrandbits(32)
            self._left = half + (drawn * limit >> 32)
        if self._left <= 0:
            return False
        self._left -= 1
        return True
