"""What happens to a frame on its way: the draws, and the checks of the settings they are made from.

Nothing here keeps state. The draws use `Random.random()` alone, whose stream for a seed is the same on every
version of Python, and as many for each frame whatever is set: with one seed, frames that are lost at
loss=0.01 are also lost when corruption is switched on beside it.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from aionetflow.rng import Random

_LONGEST_SECONDS = 1e9
_MTU = (68, 65535)  # RFC 791 3.1: every link carries 68 octets; an IP length field ends at 65535


class Odds(NamedTuple):
    """How likely each fault is, per frame, between 0 and 1."""

    loss: float = 0.0
    reorder: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0


class Fate(NamedTuple):
    """What is drawn for one frame. The fractions are uniform in [0, 1)."""

    lost: bool = False
    duplicated: bool = False
    corrupted: bool = False
    reordered: bool = False
    late: float = 0.0  # how much of the jitter it gets
    hold: float = 0.0  # if reordered: how much of the span for which frames are held back
    spot: float = 0.0  # if corrupted: where in the frame

    def __str__(self) -> str:
        """What a capture says of the frame: "" or, for example, "lost" or "duplicated, corrupted"."""
        if self.lost:
            return "lost"
        return ", ".join(name for name in ("duplicated", "corrupted", "reordered") if getattr(self, name))


UNHARMED = Fate()


def draw(random: Random, odds: Odds) -> Fate:
    """The fate of one frame: always five draws, in this order: loss, reorder, duplicate, corrupt, jitter.

    A lost frame meets no other fault.

    >>> import random
    >>> source = random.Random(7)
    >>> [str(draw(source, Odds(loss=0.2, corrupt=0.3))) for _ in range(4)]
    ['corrupted', 'corrupted', 'lost', '']
    """
    roll = random.random
    loss, reorder, duplicate, corrupt, late = roll(), roll(), roll(), roll(), roll()
    if loss < odds.loss:
        return Fate(lost=True)
    reordered, corrupted = reorder < odds.reorder, corrupt < odds.corrupt
    return Fate(
        False,
        duplicate < odds.duplicate,
        corrupted,
        reordered,
        late,
        # A draw that fell below the odds is uniform below them: it says how much as well as whether.
        reorder / odds.reorder if reordered else 0.0,
        corrupt / odds.corrupt if corrupted else 0.0,
    )


def flip_bit(frame: bytes, spot: float) -> bytes:
    """The frame with one bit turned over: bit `spot` (in [0, 1)) of the way from its first to its last.

    >>> flip_bit(bytes(2), 0.5).hex()
    '0080'
    """
    if not frame:
        return frame
    bit = int(spot * len(frame) * 8)
    damaged = bytearray(frame)
    damaged[bit >> 3] ^= 0x80 >> (bit & 7)
    return bytes(damaged)


def probability(name: str, value: object) -> float:
    """`value` as a probability; otherwise ValueError.

    >>> probability("loss", 3)
    Traceback (most recent call last):
    ValueError: loss must be between 0 and 1, not 3
    """
    return _number(value, lambda x: 0 <= x <= 1, f"{name} must be between 0 and 1")


def seconds(name: str, value: object) -> float:
    """`value` as a span of seconds, finite and not negative; otherwise ValueError."""
    return _number(value, lambda x: 0 <= x <= _LONGEST_SECONDS, f"{name} must be seconds, 0 or more")


def bit_rate(name: str, value: object) -> float | None:
    """`value` as bits per second, None meaning no limit; otherwise ValueError."""
    if value is None:
        return None
    return _number(value, lambda x: 0 < x < math.inf, f"{name} must be in bits per second, above 0, or None")


def queue_octets(name: str, value: object) -> int | None:
    """`value` as the size of a queue in bytes, None meaning the default; otherwise ValueError."""
    if value is None or (isinstance(value, int) and value >= 0):
        return value
    raise ValueError(f"{name} must be a whole number of bytes, 0 or more, or None, not {value!r}")


def mtu_octets(name: str, value: object) -> int:
    """`value` as an MTU; otherwise ValueError."""
    low, high = _MTU
    if isinstance(value, int) and low <= value <= high:
        return value
    raise ValueError(f"{name} must be a whole number between {low} and {high}, not {value!r}")


def truth(name: str, value: object) -> bool:
    """`value` if it is True or False; otherwise ValueError."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"{name} must be True or False, not {value!r}")


def _number(value: Any, fits: Callable[[float], bool], rule: str) -> float:
    # NaN fits no comparison, so it is refused with the rest.
    if isinstance(value, (int, float)) and fits(value):
        return value
    raise ValueError(f"{rule}, not {value!r}")
