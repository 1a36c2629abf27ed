"""Initial sequence numbers (RFC 6528, RFC 9293 3.4.1): a clock, and for each pair of ends a secret offset to it.

Who does not know the key cannot foretell the numbers of others' connections from those of its own; and a new
connection between the same ends begins after the numbers of the last one.
"""

from aionetflow.rng import Random
from aionetflow.siphash import SipHash, keyed
from aionetflow.widths import i64, u32

_M32 = 0xFFFFFFFF


class InitialNumbers:
    """Where one host's initial sequence numbers come from."""

    def __init__(self, random: Random) -> None:
        self._offsets: SipHash = keyed(random)

    def initial(self, key: bytes, now: i64) -> u32:
        """The number for a connection with that key in the table of sockets, which begins at `now` (ns).

        The clock goes up every 64 ns (Linux secure_seq.c; RFC 6528 3 has 4 microseconds): it is round in 4.6 minutes,
        longer than a segment lives.
        """
        return (self._offsets.hash(key) + (now >> 6)) & _M32

    def timestamp_offset(self, local: bytes, remote: bytes) -> u32:
        """What the clock of timestamps begins with between two hosts (RFC 7323 5.4, Linux secure_tcp_ts_off)."""
        return self._offsets.hash(remote + local) & _M32
