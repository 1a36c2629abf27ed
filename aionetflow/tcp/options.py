"""TCP options (RFC 9293 3.2, RFC 7323, RFC 2018): read from a SYN, written into ours; found in other segments.

Kinds that are not known here are skipped by their length; a list that runs past the header ends the reading, and what
was read until then counts (Linux tcp_parse_options).
"""

from aionetflow.fast import get16, get32
from aionetflow.widths import u32

END = 0
NOP = 1
MSS = 2
WINDOW_SCALE = 3
SACK_PERMITTED = 4  # RFC 2018 2
SACK = 5  # RFC 2018 3
TIMESTAMPS = 8  # RFC 7323 3.2
FAST_OPEN = 34  # RFC 7413 4.1.1
TIMESTAMPS_LENGTH = 12  # with the two NOPs that Linux puts before it, in every segment
MAX_WINDOW_SCALE = 14  # RFC 7323 2.3


class SynOptions:
    """What a SYN offers."""

    def __init__(self) -> None:
        self.mss = 0  # 0: not said
        self.window_scale = -1  # -1: not said
        self.sack_permitted = False
        self.timestamps = False
        self.tsval: u32 = 0
        self.tsecr: u32 = 0


def parse(frame: bytes, start: int, stop: int) -> SynOptions:
    """The options in frame[start:stop].

    >>> offered = parse(bytes([2, 4, 5, 180, 1, 3, 3, 7]), 0, 8)
    >>> offered.mss, offered.window_scale
    (1460, 7)
    """
    options = SynOptions()
    at = start
    while at < stop and frame[at] != END:
        if frame[at] == NOP:
            at += 1
            continue
        if at + 1 >= stop:
            break
        length = frame[at + 1]
        if length < 2 or at + length > stop:
            break
        if frame[at] == MSS and length == 4:
            options.mss = get16(frame, at + 2)
        elif frame[at] == WINDOW_SCALE and length == 3:
            options.window_scale = min(frame[at + 2], MAX_WINDOW_SCALE)
        elif frame[at] == SACK_PERMITTED and length == 2:
            options.sack_permitted = True
        elif frame[at] == TIMESTAMPS and length == 10:
            options.timestamps = True
            options.tsval = get32(frame, at + 2)
            options.tsecr = get32(frame, at + 6)
        at += length
    return options


def find(frame: bytes, start: int, stop: int, kind: int) -> int:
    """Where the option of that kind begins in frame[start:stop]; -1 if there is none.

    >>> find(bytes([1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]), 0, 12, TIMESTAMPS)
    2
    """
    at = start
    while at < stop and frame[at] != END:
        if frame[at] == NOP:
            at += 1
            continue
        if at + 1 >= stop:
            break
        length = frame[at + 1]
        if length < 2 or at + length > stop:
            break
        if frame[at] == kind:
            return at
        at += length
    return -1


def emit_syn(mss: int, window_scale: int, sack: bool, timestamps: bool, tsval: u32, tsecr: u32) -> bytes:
    """The options of a SYN in Linux's order; window_scale -1 leaves that option out.

    >>> emit_syn(1460, 7, False, False, 0, 0).hex(" ")
    '02 04 05 b4 01 03 03 07'
    >>> emit_syn(1460, 7, True, True, 1, 0).hex(" ")
    '02 04 05 b4 04 02 08 0a 00 00 00 01 00 00 00 00 01 03 03 07'
    """
    options = bytes((MSS, 4)) + mss.to_bytes(2, "big")
    if timestamps:
        options += bytes((SACK_PERMITTED, 2) if sack else (NOP, NOP)) + bytes((TIMESTAMPS, 10))
        options += (tsval << 32 | tsecr).to_bytes(8, "big")
    elif sack:
        options += bytes((NOP, NOP, SACK_PERMITTED, 2))
    if window_scale >= 0:
        options += bytes((NOP, WINDOW_SCALE, 3, window_scale))
    return options
