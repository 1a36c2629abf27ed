"""Where the core's randomness comes from: it is handed in, and this is all that is asked of it."""

from typing import Protocol


class Random(Protocol):
    """What `random.Random` has; the same seed gives the same numbers on every Python version."""

    def random(self) -> float:
        """A number in [0, 1)."""

    def getrandbits(self, k: int, /) -> int:
        """A number of k random bits."""
