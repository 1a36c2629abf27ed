"""How many errors a host sends, of either family: token buckets, one for all and one a destination (Linux icmp.c)."""

from aionetflow.config import SECOND

_SAVED_UP = 6  # Linux XRLIM_BURST_FACTOR: errors at once to a host that has had none for as many times the interval
_REMEMBERED = 4096  # destinations
_REFILL = SECOND // 50  # Linux icmp_global_allow: the common bucket is not looked after more often
_REDIRECT_NUMBER = 9  # net.ipv4.route.redirect_number
_REDIRECT_LOAD = SECOND // 50  # net.ipv4.route.redirect_load
_REDIRECT_SILENCE = _REDIRECT_LOAD << 10  # net.ipv4.route.redirect_silence


class RateLimit:
    """The buckets of one host.

    >>> limit = RateLimit()
    >>> [limit.allows_to(b"host", 1_000, now) for now in (0, 0, 0, 0, 0, 0, 0, 999, 1000)]
    [True, True, True, True, True, True, False, False, True]
    """

    def __init__(self) -> None:
        self._credit = -1  # errors that may be sent to all together; -1: as many as can be saved up
        self._refilled_at = 0
        self._redirects: dict[bytes, tuple[int, int]] = {}  # by destination: how many, and when the last was sent
        self._peers: dict[bytes, tuple[int, int]] = {}  # by destination: ns saved up, and when that was so

    def allows(self, per_second: int, burst: int, now: int) -> bool:
        """Whether one more may be sent, wherever to."""
        if self._credit < 0:
            self._credit, self._refilled_at = burst, now
        passed = min(now - self._refilled_at, SECOND)
        if passed >= _REFILL:
            gained = per_second * passed // SECOND
            if gained:
                self._refilled_at = now
            self._credit = min(self._credit + gained, burst)
        if self._credit == 0:
            return False
        self._credit -= 1
        return True

    def allows_redirect(self, destination: bytes, now: int) -> bool:
        """Whether a host may be told again that there is a better way (Linux ip_rt_send_redirect).

        Each time it does not listen it is told half as often, and after nine times not before it was silent a while.
        """
        told, last = self._redirects.pop(destination, (0, now))
        if now - last > _REDIRECT_SILENCE:
            told = 0
        allowed = told == 0 or (told < _REDIRECT_NUMBER and now - last > _REDIRECT_LOAD << told)
        if len(self._redirects) >= _REMEMBERED:
            del self._redirects[next(iter(self._redirects))]
        heard = allowed or told >= _REDIRECT_NUMBER
        self._redirects[destination] = told + allowed, now if heard else last
        return allowed

    def allows_to(self, destination: bytes, interval: int, now: int) -> bool:
        """Whether one more may be sent to a destination, where one every so many ns may, and some are saved up."""
        if interval == 0:
            return True
        saved, then = self._peers.pop(destination, (_SAVED_UP * interval, now))
        saved = min(saved + now - then, _SAVED_UP * interval)
        allowed = saved >= interval
        if len(self._peers) >= _REMEMBERED:
            del self._peers[next(iter(self._peers))]
        self._peers[destination] = saved - interval if allowed else saved, now
        return allowed
