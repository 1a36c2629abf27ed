"""The two keys that a handshake has made: how messages are sealed under one and opened under the other."""

from aionetflow.config import SECOND
from aionetflow.tunnel.sealing.aead import cipher
from aionetflow.tunnel.sealing.messages import HEADER_SIZE, TRANSPORT
from aionetflow.tunnel.sealing.replay import ReplayWindow

# WireGuard's times (Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", 6.1).
REKEY_AFTER_TIME = 120 * SECOND
REJECT_AFTER_TIME = 180 * SECOND
# AES-GCM's limit for messages of up to 2^16 octets (RFC 9001 B.1.1). WireGuard's is 2^60: its cipher is another.
REJECT_AFTER_MESSAGES = 2**23
REKEY_AFTER_MESSAGES = 2**22

# So that one that is not true does not have many others looked at again.
_LONGEST_RUN = 64


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

    def seal(self, payloads: list[bytes]) -> list[bytes]:
        """A datagram for each payload."""
        counter = self.sent
        self.sent += len(payloads)  # first of all: whatever goes wrong below, no counter is used twice
        return self._sending.seal(self._header, counter, payloads)

    def run(self, datagrams: list[bytes], start: int) -> list[bytes]:
        """What is in the datagrams from `start` on that are true and follow one another without a gap: the common case.

        It is 64 payloads at most, and none if already the first datagram is not so: then `open` will count it.
        """
        counter = self.window.next
        payloads = self._receiving.run(self.prefix, counter, datagrams, start, _LONGEST_RUN)
        if payloads:
            self.window.mark(counter, counter + len(payloads) - 1)
        return payloads

    def open(self, datagram: bytes, counter: int) -> bytes | None:
        """What is in a datagram for us whose counter was not seen; None if it is not true."""
        payload = self._receiving.open(counter, datagram[HEADER_SIZE:])
        if payload is not None:
            self.window.mark(counter, counter)
        return payload
