"""A session: all that is sealed between us and one peer, and the handshakes that make the keys for it.

The construction is Noise's (`noise.py`). When one begins, and how long a key lasts, is as in WireGuard (Donenfeld,
"WireGuard: Next Generation Kernel Network Tunnel", 5 and 6). No I/O, no clock: datagrams and times are handed in.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from aionetflow.config import NEVER
from aionetflow.tunnel.kernel import cut
from aionetflow.tunnel.sealing import noise
from aionetflow.tunnel.sealing.key import KEY_SIZE
from aionetflow.tunnel.sealing.keypair import Keypair
from aionetflow.tunnel.sealing.messages import (
    EPHEMERAL_SIZE,
    HEADER_SIZE,
    INDEX_SIZE,
    INITIATION,
    INITIATION_SIZE,
    OVERHEAD,
    PROLOGUE,
    RESPONSE,
    RESPONSE_SIZE,
    TAG_SIZE,
    TIME_SIZE,
    TRANSPORT,
    VERSION,
    timestamp,
    with_room,
)
from aionetflow.tunnel.sealing.sessions import Sessions, SessionStats
from aionetflow.tunnel.sealing.times import (
    JITTER,
    KEEPALIVE_TIMEOUT,
    REKEY_ATTEMPT_TIME,
    REKEY_TIMEOUT,
    REKEY_WHEN_RECEIVING,
)

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAITING = 128  # payloads

# Payloads in a buffer: where they begin, how many octets they are, and how many each of them but the last.
Run = tuple[int, int, int]


class Session:
    """What is sealed between us and one peer, whichever of the two begins.

    `key` is the 32 octets of `parse_key`; `random_bytes` is os.urandom, but in tests: all keys come from it; `wall_ns`
    gives the wall clock's time, for initiations; `now`, everywhere, is in ns, of a clock that never goes back. Sessions
    of one endpoint share `stats` and `sessions`. The caller sends what the calls return to the peer, in order, and
    calls `expire` when `deadline` has come.
    """

    def __init__(
        self,
        key: bytes,
        random_bytes: Callable[[int], bytes],
        wall_ns: Callable[[], int],
        stats: SessionStats,
        sessions: Sessions | None = None,
    ) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} octets")
        self._start = noise.begin(key, PROLOGUE)
        self._random_bytes = random_bytes
        self._wall_ns = wall_ns
        self._stats = stats
        self._sessions = sessions if sessions is not None else Sessions()
        # The key in use; the one before, for what is still under way; one that the peer has not shown to have yet.
        self._current: Keypair | None = None
        self._previous: Keypair | None = None
        self._next: Keypair | None = None
        self._initiation: noise.Begun | None = None
        self._initiated_at = -REKEY_TIMEOUT  # when we sent the last initiation
        self._sent_time = 0  # the wall clock's, in that
        self._seen_time = b""  # the greatest timestamp in an initiation of the peer's
        self._waiting: deque[bytes] = deque()
        # Deadlines; NEVER if there is nothing to do.
        self._give_up_at = NEVER  # the handshake under way
        self._retry_at = NEVER  # the next initiation of it
        self._keepalive_at = NEVER
        self._silent_at = NEVER  # the peer has not answered for so long that it must have lost the key
        self._patience = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT  # how long that is

    @property
    def established(self) -> bool:
        """Whether there is a key that both ends have."""
        return self._current is not None

    # ---- out

    def seal_block(self, block: bytearray, size: int, now: int) -> tuple[bool, list[bytes]]:
        """Seals a block of datagrams, of `size` octets but for the last, in each of them room around the payload.

        Whether that was done, and what else is to be sent, after them. Without a key the last 128 payloads wait for
        one, and a handshake begins if none is under way.
        """
        count = -(-len(block) // size)
        current = self._current
        if current is None or not current.usable(count, now):
            self._wait([bytes(one[HEADER_SIZE:-TAG_SIZE]) for one in cut(block, 0, len(block), size)])
            return False, self._begin(now)
        current.seal(block, size)
        self._stats.sealed += count
        self._keepalive_at = NEVER
        if self._silent_at == NEVER:
            self._silent_at = now + self._patience
        return True, self._begin(now) if current.worn(now) else []

    def seal(self, payloads: list[bytes], now: int) -> list[bytes]:
        """A datagram for each payload, and what else is to be sent: as `seal_block`."""
        datagrams: list[bytes] = []
        others: list[bytes] = []
        for payload in payloads:
            block = with_room(payload)
            sealed, more = self.seal_block(block, len(block), now)
            datagrams += [bytes(block)] if sealed else []
            others += more
        return datagrams + others

    def _wait(self, payloads: list[bytes]) -> None:
        waiting = self._waiting
        waiting.extend(payloads)
        while len(waiting) > MAX_WAITING:
            waiting.popleft()
            self._stats.waiting_dropped += 1

    def _keepalive(self, keypair: Keypair) -> list[bytes]:
        """A message without a payload: it says that we are here and have the key."""
        self._keepalive_at = NEVER
        self._stats.sealed += 1
        block = with_room(b"")
        keypair.seal(block, len(block))
        return [bytes(block)]

    # ---- in

    def open(self, datagram: bytes, now: int) -> tuple[bytes | None, list[bytes]]:
        """The payload of a datagram, and what is to be sent in return.

        None if it has none: part of a handshake, or dropped. A payload of no octets is a keepalive. One that is not
        None is the peer's, and new: where it came from is where the peer is.
        """
        kind = datagram[0] if datagram else 0
        if kind == TRANSPORT and len(datagram) >= OVERHEAD:
            payload = self._open_transport(datagram, now)
            return (None, []) if payload is None else (payload, self._heard(1, bool(payload), now))
        if kind == INITIATION and len(datagram) == INITIATION_SIZE:
            return None, self._answer(datagram, now)
        if kind == RESPONSE and len(datagram) == RESPONSE_SIZE:
            return None, self._complete(datagram, now)
        if datagram and kind >> 4 != VERSION:
            self._stats.foreign += 1
        else:
            self._stats.malformed += 1
        return None, []

    def open_all(
        self, buffer: bytearray, start: int, length: int, size: int, into: bytearray, now: int
    ) -> tuple[list[Run], list[bytes]]:
        """Opens datagrams that stand one behind another in a buffer: of `size` octets each, the last may have fewer.

        Their payloads, without keepalives, are put into `into`, which is as long as all of them. Returned is where they
        are there, likewise one behind another, and what is to be sent to the peer.
        """
        if not length:
            return [], self.open(b"", now)[1]  # a datagram without octets
        runs: list[Run] = []
        replies: list[bytes] = []
        at, stop = 0, start + length
        while start < stop:
            current, payloads, unit = self._current, 0, size - OVERHEAD
            count = current.run(buffer, start, stop, size, into, at) if current and now < current.reject_at else 0
            taken = min(max(count, 1) * size, stop - start)
            if count:
                payloads = taken - count * OVERHEAD
                replies += self._heard(count, payloads > 0, now)
            else:
                payload, more = self.open(bytes(buffer[start : start + taken]), now)
                replies += more
                if payload:
                    payloads = unit = len(payload)
                    into[at : at + unit] = payload
            if payloads:
                runs.append((at, payloads, unit))
            at += payloads
            start += taken
        return runs, replies

    def _open_transport(self, datagram: bytes, now: int) -> bytes | None:
        stats = self._stats
        keypair = self._current
        if keypair is None or datagram[: 1 + INDEX_SIZE] != keypair.prefix:
            keypair = self._other_keypair_for(datagram)
            if keypair is None:
                stats.unknown_index += 1
                return None
        counter, window = int.from_bytes(datagram[1 + INDEX_SIZE : HEADER_SIZE], "big"), keypair.window
        if now >= keypair.reject_at or window.late(counter):
            stats.late += 1
            return None
        if counter < window.next and window.seen(counter):
            stats.replayed += 1
            return None
        payload = keypair.open(datagram, counter)
        if payload is None:
            stats.altered += 1
        elif keypair is self._next:
            self._confirmed(keypair)
        return payload

    def _other_keypair_for(self, datagram: bytes) -> Keypair | None:
        prefix = datagram[: 1 + INDEX_SIZE]
        for keypair in (self._next, self._previous):
            if keypair is not None and keypair.prefix == prefix:
                return keypair
        return None

    def _heard(self, messages: int, data: bool, now: int) -> list[bytes]:
        """The peer is there, and has a key of ours: it has sent so many messages, some of them with data."""
        self._stats.opened += messages
        self._silent_at = NEVER
        if data and self._keepalive_at == NEVER:
            self._keepalive_at = now + KEEPALIVE_TIMEOUT
        current = self._current
        if current is None:
            return []
        if self._waiting and current.usable(len(self._waiting), now):
            return self._send_waiting(now)
        if current.initiated and now >= current.born + REKEY_WHEN_RECEIVING:
            return self._begin(now)
        return []

    def _send_waiting(self, now: int) -> list[bytes]:
        waiting = list(self._waiting)
        self._waiting.clear()
        return self.seal(waiting, now)

    # ---- handshakes

    def _begin(self, now: int) -> list[bytes]:
        """Begins a handshake, if none is under way: now, or when the last initiation is old enough."""
        if self._give_up_at != NEVER:
            return []
        self._give_up_at = now + REKEY_ATTEMPT_TIME
        self._retry_at = self._initiated_at + REKEY_TIMEOUT
        if self._next is not None:  # the peer has begun one, and is about to show that it has the key
            self._retry_at = max(self._retry_at, self._next.born + REKEY_TIMEOUT)
        return self._initiate(now) if now >= self._retry_at else []

    def _initiate(self, now: int) -> list[bytes]:
        """An initiation, the first or another with a new ephemeral key."""
        self._drop_initiation()
        private = X25519PrivateKey.from_private_bytes(self._random_bytes(EPHEMERAL_SIZE))
        index = self._sessions.new_index(self, self._random_bytes)
        self._sent_time = max(self._wall_ns(), self._sent_time + 1)
        state, message = noise.write_first(self._start, private, timestamp(self._sent_time) + index)
        self._initiation = noise.Begun(index, private, message[: EPHEMERAL_SIZE], state)
        self._initiated_at = now
        self._retry_at = now + REKEY_TIMEOUT + self._jitter()
        return [bytes([INITIATION]) + message]

    def _answer(self, datagram: bytes, now: int) -> list[bytes]:
        """The response to an initiation, and a new key pair that the peer has yet to use."""
        stats = self._stats
        read = noise.read_first(self._start, datagram[1:])
        if read is None:
            stats.altered += 1
            return []
        time, their_index = read.payload[:TIME_SIZE], read.payload[TIME_SIZE:]
        if self._sessions.ours(their_index):
            stats.reflected += 1
            return []
        if time <= self._seen_time:
            stats.old_initiation += 1
            return []
        if not self._sessions.may_answer(now):
            stats.limited += 1
            return []
        self._seen_time = time
        private = X25519PrivateKey.from_private_bytes(self._random_bytes(EPHEMERAL_SIZE))
        index = self._sessions.new_index(self, self._random_bytes)
        written = noise.write_second(read.state, private, read.ephemeral, index)
        if written is None:
            self._sessions.forget(index)
            stats.altered += 1
            return []
        state, message = written
        receiving, sending = noise.split(state)
        self._retire(self._next)
        self._next = Keypair(index, their_index, sending, receiving, initiated=False, now=now)
        # Both have begun: the handshake with the greater ephemeral key is the one that counts, on either side.
        if self._initiation is not None and self._initiation.ephemeral < read.ephemeral:
            self._drop_initiation()
        if self._give_up_at != NEVER:  # the peer is about to show that it has the key
            self._retry_at = now + REKEY_TIMEOUT + self._jitter()
        return [bytes([RESPONSE]) + their_index + message]

    def _complete(self, datagram: bytes, now: int) -> list[bytes]:
        """The response to our initiation: we send under the new key, at once, for the peer waits for that."""
        begun = self._initiation
        if begun is None or begun.our_index != datagram[1 : 1 + INDEX_SIZE]:
            self._stats.unknown_index += 1
            return []
        read = noise.read_second(begun.state, begun.private, datagram[1 + INDEX_SIZE :])
        if read is None:
            self._stats.altered += 1
            return []
        sending, receiving = noise.split(read.state)
        self._initiation = None  # its index goes on with the key pair
        if self._next is not None:  # the peer had begun too, and may have sent under that key already
            self._retire(self._current)
            self._current, self._next = self._next, None
        keypair = Keypair(begun.our_index, read.payload, sending, receiving, initiated=True, now=now)
        self._use(keypair)
        return self._send_waiting(now) if self._waiting else self._keepalive(keypair)

    def _confirmed(self, keypair: Keypair) -> None:
        """The peer, which began the handshake, has sent under its key: we may do so too."""
        self._next = None
        self._drop_initiation()
        self._use(keypair)

    def _use(self, keypair: Keypair) -> None:
        self._retire(self._previous)
        self._previous, self._current = self._current, keypair
        self._give_up_at = self._retry_at = self._silent_at = NEVER
        self._patience = KEEPALIVE_TIMEOUT + REKEY_TIMEOUT + self._jitter()
        self._stats.handshakes += 1

    def _drop_initiation(self) -> None:
        if self._initiation is not None:
            self._sessions.forget(self._initiation.our_index)
            self._initiation = None

    def _retire(self, keypair: Keypair | None) -> None:
        if keypair is not None:
            self._sessions.forget(keypair.index)

    def _jitter(self) -> int:
        return int.from_bytes(self._random_bytes(2), "big") * JITTER >> 16

    # ---- time

    def deadline(self) -> int | None:
        """When `expire` is to be called next, in ns; None if nothing is to be done before something comes."""
        earliest = min(self._retry_at, self._keepalive_at, self._silent_at)
        for keypair in (self._current, self._previous, self._next):
            if keypair is not None and keypair.reject_at < earliest:
                earliest = keypair.reject_at
        return None if earliest == NEVER else earliest

    def expire(self, now: int) -> list[bytes]:
        """Does what is due, and returns what is to be sent."""
        self._drop_expired(now)
        datagrams: list[bytes] = []
        if now >= self._silent_at:
            self._silent_at = NEVER
            datagrams += self._begin(now)
        if now >= self._retry_at:
            datagrams += self._give_up() if now >= self._give_up_at else self._initiate(now)
        if now >= self._keepalive_at:
            self._keepalive_at = NEVER
            if self._current is not None and self._current.usable(1, now):
                datagrams += self._keepalive(self._current)
        return datagrams

    def close(self) -> None:
        """Forgets all keys and indices; the session is not used any more."""
        self._drop_expired(NEVER)
        self._give_up()
        self._silent_at = NEVER

    def _drop_expired(self, now: int) -> None:
        """What was sent under a key can be read no more when both ends have forgotten it."""
        kept = []
        for keypair in (self._current, self._previous, self._next):
            if keypair is not None and now >= keypair.reject_at:
                self._retire(keypair)
                keypair = None
            kept.append(keypair)
        self._current, self._previous, self._next = kept

    def _give_up(self) -> list[bytes]:
        """Nobody has answered for 90 s: what waits is dropped, and no more is sent until there is something to send."""
        self._drop_initiation()
        self._give_up_at = self._retry_at = self._keepalive_at = NEVER
        self._stats.waiting_dropped += len(self._waiting)
        self._waiting.clear()
        return []
