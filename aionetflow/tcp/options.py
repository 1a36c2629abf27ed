"""TCP options (RFC 9293 3.2, RFC 7323 2): read from a SYN, written into ours.

Kinds that are not known here are skipped by their length; a list that runs past the header ends the reading, and what
was read until then counts (Linux tcp_parse_options).
"""

from aionetflow.fast import get16

END = 0
NOP = 1
MSS = 2
WINDOW_SCALE = 3
MAX_WINDOW_SCALE = 14  # RFC 7323 2.3
_MAX_EMITTED = 64
_emitted: dict[int, bytes] = {}  # what our SYNs offer is mostly the same


class SynOptions:
    """What a SYN offers."""

    def __init__(self) -> None:
        self.mss = 0  # 0: not said
        self.window_scale = -1  # -1: not said


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
        at += length
    return options


def emit_syn(mss: int, window_scale: int) -> bytes:
    """The options of a SYN in Linux's order; window_scale -1 leaves that option out.

    >>> emit_syn(1460, 7).hex(" ")
    '02 04 05 b4 01 03 03 07'
    """
    key = mss << 8 | (window_scale & 0xFF)
    options = _emitted.get(key)
    if options is None:
        options = bytes((MSS, 4)) + mss.to_bytes(2, "big")
        if window_scale >= 0:
            options += bytes((NOP, WINDOW_SCALE, 3, window_scale))
        if len(_emitted) >= _MAX_EMITTED:
            _emitted.clear()
        _emitted[key] = options
    return options
