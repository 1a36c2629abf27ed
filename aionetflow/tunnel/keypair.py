"""The two keys that a handshake has made: how messages are sealed under one and opened under the other."""

from itertools import repeat

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from aionetflow.config import SECOND
from aionetflow.tunnel.messages import HEADER_SIZE, INDEX_SIZE, TRANSPORT
from aionetflow.tunnel.replay import ReplayWindow

# WireGuard's times (Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", 6.1).
REKEY_AFTER_TIME = 120 * SECOND
REJECT_AFTER_TIME = 180 * SECOND
# AES-GCM's limit for messages of up to 2^16 octets (RFC 9001 B.1.1). WireGuard's is 2^60: its cipher is another.
REJECT_AFTER_MESSAGES = 2**23
REKEY_AFTER_MESSAGES = 2**22

# So that one that is not true does not have many others looked at again.
_LONGEST_RUN = 64

_PREFIX_SIZE = 1 + INDEX_SIZE
# Noise revision 34, 12: the nonce of AES-GCM is 32 zero bits and the counter.
_ZEROS = bytes(4)


class Keypair:
    """What one handshake has agreed on.

    `index` is ours, `their_index` the peer's, of 4 octets; `sending` and `receiving` are keys of 32; `now` is in ns.
    """

    __slots__ = (
        "index", "prefix", "initiated", "born", "rekey_at", "reject_at", "sent", "window",
        "_header", "_encrypt", "_decrypt",
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
        self._decrypt = AESGCM(receiving).decrypt
        self._header = bytes([TRANSPORT]) + their_index
        self._encrypt = AESGCM(sending).encrypt

    def usable(self, messages: int, now: int) -> bool:
        """May so many more be sent under it?"""
        return now < self.reject_at and self.sent + messages <= REJECT_AFTER_MESSAGES

    def worn(self, now: int) -> bool:
        """Is it time for another?"""
        return now >= self.rekey_at or self.sent >= REKEY_AFTER_MESSAGES

    def seal(self, payloads: list[bytes]) -> list[bytes]:
        """A datagram for each payload."""
        header, encrypt = self._header, self._encrypt
        counter = self.sent
        self.sent += len(payloads)  # first of all: whatever goes wrong below, no counter is used twice
        nonces = [number.to_bytes(12, "big") for number in range(counter, self.sent)]
        return [
            header + nonce[4:] + encrypt(nonce, payload, None)
            for nonce, payload in zip(nonces, payloads, strict=True)
        ]

    def run(self, datagrams: list[bytes], start: int) -> list[bytes]:
        """What is in the datagrams from `start` on that are true and follow one another without a gap: the common case.

        It is 64 payloads at most, and none if already the first datagram is not so.
        """
        prefix, counter = self.prefix, self.window.next
        nonces: list[bytes] = []
        sealed: list[bytes] = []
        for datagram in datagrams[start : start + _LONGEST_RUN]:
            nonce = (counter + len(nonces)).to_bytes(12, "big")
            if datagram[:HEADER_SIZE] != prefix + nonce[4:]:
                break
            nonces.append(nonce)
            sealed.append(datagram[HEADER_SIZE:])
        payloads: list[bytes] = []
        if not nonces:
            return payloads
        try:
            payloads.extend(map(self._decrypt, nonces, sealed, repeat(None)))
        except InvalidTag:  # of the first that is not true: those before it are there, and `open` will count it
            if not payloads:
                return payloads
        self.window.mark(counter, counter + len(payloads) - 1)
        return payloads

    def open(self, datagram: bytes, counter: int) -> bytes | None:
        """What is in a datagram for us whose counter was not seen; None if it is not true."""
        try:
            payload = self._decrypt(_ZEROS + datagram[_PREFIX_SIZE:HEADER_SIZE], datagram[HEADER_SIZE:], None)
        except InvalidTag:
            return None
        self.window.mark(counter, counter)
        return payload
