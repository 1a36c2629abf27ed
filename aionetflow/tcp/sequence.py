"""Sequence numbers: a circle of 2^32 (RFC 9293 3.4). The only place that adds or compares them.

>>> seq_lt(0xFFFFFFF0, 5), seq_sub(5, 0xFFFFFFF0), seq_add(0xFFFFFFF0, 21)
(True, 21, 5)
"""

from aionetflow.widths import u32

M32 = 0xFFFFFFFF
_M32 = M32
_HALF = 0x80000000


def seq_add(a: u32, n: u32) -> u32:
    """The number n after a."""
    return (a + n) & _M32


def seq_sub(a: u32, b: u32) -> u32:
    """How far a is after b, going upwards."""
    return (a - b) & _M32


def seq_lt(a: u32, b: u32) -> bool:
    """Whether a comes before b: b is less than half the circle ahead."""
    return ((a - b) & _M32) >= _HALF


def seq_leq(a: u32, b: u32) -> bool:
    """Whether a comes before b or is b."""
    return ((b - a) & _M32) < _HALF


def seq_gt(a: u32, b: u32) -> bool:
    """Whether a comes after b."""
    return ((b - a) & _M32) >= _HALF


def seq_geq(a: u32, b: u32) -> bool:
    """Whether a comes after b or is b."""
    return ((a - b) & _M32) < _HALF


def seq_between(low: u32, a: u32, high: u32) -> bool:
    """Whether low <= a <= high on the circle."""
    return ((a - low) & _M32) <= ((high - low) & _M32)
