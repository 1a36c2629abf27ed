"""IPv4's options (RFC 791 3.1): read for errors, and otherwise skipped.

Nothing is recorded in them. A packet that says by which way it wants to go is refused, as Linux refuses it with
net.ipv4.conf.all.accept_source_route=0, its default.
"""

from aionetflow.fast import get16

FINE = 0
SOURCE_ROUTED = -1
_END, _NOOP, _RECORD_ROUTE, _TIMESTAMP = 0, 1, 7, 68
_LOOSE, _STRICT, _ROUTER_ALERT = 131, 137, 148
_ONCE = {_RECORD_ROUTE, _TIMESTAMP, _LOOSE, _STRICT}
_ADDRESSES = {_RECORD_ROUTE, _LOOSE, _STRICT}


def check(frame: bytes, l3: int, l4: int) -> int:
    """FINE, SOURCE_ROUTED, or at which octet of the IP header something is wrong (Linux ip_options_compile)."""
    seen: set[int] = set()
    at = l3 + 20
    while at < l4 and frame[at] != _END:
        kind = frame[at]
        if kind == _NOOP:
            at += 1
            continue
        if at + 2 > l4 or not 2 <= frame[at + 1] <= l4 - at:
            return at - l3
        wrong = _wrong(frame[at : at + frame[at + 1]], seen)
        if wrong >= 0:
            return at - l3 + wrong
        seen.add(_STRICT if kind == _LOOSE else kind)  # one of either
        at += frame[at + 1]
    return SOURCE_ROUTED if _STRICT in seen else FINE


def _wrong(option: bytes, seen: set[int]) -> int:
    """Which octet of an option is wrong; -1 if none is."""
    kind, length = option[0], option[1]
    if kind in _ONCE and (_STRICT if kind == _LOOSE else kind) in seen:
        return 0  # RFC 1812 5.2.4.1
    if kind in _ADDRESSES:
        return _wrong_addresses(option)
    if kind == _TIMESTAMP:
        return _wrong_timestamp(option)
    if kind == _ROUTER_ALERT and length < 4:
        return 1  # RFC 2113 2.1
    return -1


def _wrong_addresses(option: bytes) -> int:
    if option[1] < 3:
        return 1
    if option[2] < 4:
        return 2
    if option[0] == _RECORD_ROUTE and option[2] <= option[1] < option[2] + 3:
        return 2  # no room for a whole address
    return -1


def _wrong_timestamp(option: bytes) -> int:
    length = option[1]
    if length < 4:
        return 1
    pointer, how = option[2], get16(option, 2) & 15
    if pointer < 5:
        return 2
    if pointer > length:
        return 3 if how != 3 and option[3] >> 4 == 15 else -1  # it would count too many that found no room
    return 2 if pointer + (7 if how in (1, 3) else 3) > length else -1
