"""What the sessions of one endpoint have in common: their indices, their handshakes, what was dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aionetflow.ip.rate import RateLimit
from aionetflow.tunnel.sealing.messages import INDEX_SIZE, peek_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from aionetflow.tunnel.sealing.session import Session

# An answer costs two operations on the curve, about 0.1 ms.
_ANSWERS_PER_SECOND = 50
_ANSWERS_AT_ONCE = 100


@dataclass(slots=True)
class SessionStats:
    """Counters of datagrams, but for `handshakes` and `waiting_dropped`."""

    sealed: int = 0
    opened: int = 0
    handshakes: int = 0  # keys agreed on
    altered: int = 0  # not what a holder of the key has sent: changed on the way, or sealed under another key
    replayed: int = 0  # came already
    late: int = 0  # so old that nobody knows whether it came already, or under a key that has expired
    unknown_index: int = 0  # for a session that is not, or no more
    old_initiation: int = 0  # an initiation not newer than the last one: most likely recorded and sent again
    reflected: int = 0  # an initiation of our own
    limited: int = 0  # an initiation, because there were too many
    malformed: int = 0  # too short, or of a kind that does not exist
    foreign: int = 0  # of another version, or not sealed at all
    waiting_dropped: int = 0  # payloads that waited for keys which did not come, or with too many others


class Sessions:
    """The sessions of one endpoint, by their indices; and how many handshakes it answers."""

    def __init__(self) -> None:
        self._by_index: dict[bytes, Session] = {}
        self._answers = RateLimit()

    def find(self, datagram: bytes) -> Session | None:
        """The session that a datagram is for by its index, wherever it comes from; None if there is none."""
        index = peek_index(datagram)
        return None if index is None else self._by_index.get(index)

    def new_index(self, session: Session, random_bytes: Callable[[int], bytes]) -> bytes:
        """An index that no session of this endpoint has."""
        while (index := random_bytes(INDEX_SIZE)) in self._by_index:
            pass
        self._by_index[index] = session
        return index

    def ours(self, index: bytes) -> bool:
        """Whether an index is one of this endpoint's."""
        return index in self._by_index

    def forget(self, index: bytes) -> None:
        """Nothing comes under this index any more."""
        del self._by_index[index]

    def may_answer(self, now: int) -> bool:
        """Whether one more initiation may be answered, at `now` in ns."""
        return self._answers.allows(_ANSWERS_PER_SECOND, _ANSWERS_AT_ONCE, now)
