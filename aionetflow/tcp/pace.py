"""The pace of a connection whose data leave at a rate: made for those connections only."""

from aionetflow.widths import i64, u32

UNLIMITED = (1 << 63) - 1


class Pace:
    """When the next data may leave, and what has been counted of those that have."""

    def __init__(self, snd_nxt: u32, resent: i64) -> None:
        self.asked: i64 = UNLIMITED  # octets per second: SO_MAX_PACING_RATE ...
        self.most: i64 = UNLIMITED  # ... of which so much counts ...
        self.until: u32 = snd_nxt  # ... while snd_una is still this
        self.next_at: i64 = 0  # when the next data may leave (Linux tcp_wstamp_ns)
        self.counted: u32 = snd_nxt  # new data up to here have been counted ...
        self.counted_again: i64 = resent  # ... and so many octets of what was sent again
