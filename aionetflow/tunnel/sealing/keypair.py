"""The two keys that a handshake has made: how messages are sealed under one and opened under the other."""

from aionetflow.tunnel.sealing.aead import cipher
from aionetflow.tunnel.sealing.messages import HEADER_SIZE, TRANSPORT
from aionetflow.tunnel.sealing.replay import ReplayWindow
from aionetflow.tunnel.sealing.times import (
    REJECT_AFTER_MESSAGES,
    REJECT_AFTER_TIME,
    REKEY_AFTER_MESSAGES,
    REKEY_AFTER_TIME,
)


class Keypair:
    """What one handshake has agreed on.

    `index` is ours, `their_index` the peer's, of 4 octets; `sending` and `receiving` are keys of 32; `now` is in ns.
    """

    __slots__ = (
        "index", "prefix", "initiated", "born", "rekey_at", "reject_at", "sent", "window",
        "_header", "_sending", "_receiving",
    )

    def __init__(
        self, index: bytes, their_index: bytes, sending: bytes, receiving: bytes, *, initiated: bool, now: int
    ) -> None:
        self.index = index
        self.prefix = bytes([TRANSPORT]) + index  # how a message for us begins
        self.initiated = initiated
        self.born = now
        self.reject_at = now + REJECT_AFTER_TIME
        # Only who began the last handshake begins the next, or both would at the same time.
        self.rekey_at = now + REKEY_AFTER_TIME if initiated else self.reject_at
        self.sent = 0
        self.window = ReplayWindow()
        self._header = bytes([TRANSPORT]) + their_index
        self._sending, self._receiving = cipher(sending), cipher(receiving)

    def usable(self, messages: int, now: int) -> bool:
        """May so many more be sent under it?"""
        return now < self.reject_at and self.sent + messages <= REJECT_AFTER_MESSAGES

    def worn(self, now: int) -> bool:
        """Is it time for another?"""
        return now >= self.rekey_at or self.sent >= REKEY_AFTER_MESSAGES

    def seal(self, block: bytearray, size: int) -> None:
        """Seals a block of datagrams, of `size` octets but for the last, where they stand."""
        counter = self.sent
        self.sent += -(-len(block) // size)  # first of all: whatever goes wrong below, no counter is used twice
        self._sending.seal(self._header, counter, block, size)

    def run(self, buffer: bytearray, start: int, stop: int, size: int, into: bytearray, at: int) -> int:
        """How many of the datagrams there, of `size` octets each, are true and follow one another without a gap.

        That is the common case. What is in them is put into `into`, from `at` on. If already the first is not so, it is
        none; then `open` will count it.
        """
        counter = self.window.next
        count = self._receiving.run(self.prefix, counter, buffer, start, stop, size, into, at)
        if count:
            self.window.mark(counter, counter + count - 1)
        return count

    def open(self, datagram: bytes, counter: int) -> bytes | None:
        """What is in a datagram for us whose counter was not seen; None if it is not true."""
        payload = self._receiving.open(counter, datagram[HEADER_SIZE:])
        if payload is not None:
            self.window.mark(counter, counter)
        return payload
