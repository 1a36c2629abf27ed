"""The search for the longest packet that a way takes (RFC 4821 7): made for connections that search only."""

from aionetflow.widths import i64, u32


class MtuSearch:
    """How far the search has come: packets of `low` octets get through, of more than `high` do not."""

    def __init__(self, low: i64, high: i64, now: i64) -> None:
        self.low = low  # RFC 4821 7.1: search_low ...
        self.high = high  # ... and search_high
        self.since = now  # when the range was last made wide
        self.probe_size: i64 = 0  # octets of the packet that is on its way to find out; 0: none is
        self.probe_start: u32 = 0  # ... and what of the stream is in it
        self.probe_end: u32 = 0
