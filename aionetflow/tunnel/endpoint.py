"""A UDP address of this machine where tunnels end: who may speak there, and to which network a datagram belongs."""

import errno
import os
from collections.abc import Callable
from logging import getLogger

from aionetflow.clock import Clock, Timer
from aionetflow.config import SECOND
from aionetflow.gso import frames_of
from aionetflow.tunnel import kernel
from aionetflow.tunnel.address import Address, host_of, path_mtu, resolved, shown, unpacked
from aionetflow.tunnel.datagrams import SLOT, Datagrams
from aionetflow.tunnel.peers import Complaints, Peer, Sealer, Segment
from aionetflow.tunnel.sealing.messages import HEADER_SIZE as SEALED_HEADER
from aionetflow.tunnel.sealing.messages import INITIATION, OVERHEAD, RESPONSE, TAG_SIZE, TRANSPORT, VERSION
from aionetflow.tunnel.vxlan import HEADER_SIZE, vni_of

_log = getLogger("aionetflow.tunnel")
_MOST_LEARNED = 1024  # peers that were not named
_MOST_CANDIDATES = 64  # who have begun a handshake, and have still to show that it was theirs
_CANDIDATE_TIME = 90 * SECOND  # how long they may take
_READS, _MUCH = 4, 1 << 18  # reads in a turn of the loop at the most, and octets after which there is no other
_TICK = SECOND  # how often sessions are asked what is due: their times are of seconds


class Endpoint:
    """One socket, which carries as many tunnels as there are numbers, each for the frames of one network.

    What comes from an address that is no peer's is dropped. A kernel's VXLAN makes up the ports it sends from, so that
    without a key the host alone decides where no peer has that very port. `seal` makes the session with a peer, where
    there is a key.

    Counters, in datagrams: `strangers` (from nobody's address), `malformed` (no VXLAN, or nothing in it), `wrong_vni`,
    `unsealed` (plain ones, where there is a key).
    """

    def __init__(
        self, datagrams: Datagrams, clock: Clock, seal: Callable[[], Sealer] | None = None,
        counters: Callable[[], dict[str, int]] | None = None,
    ) -> None:  # fmt: skip
        self.datagrams = datagrams
        self.counters = counters  # of the sessions
        self.strangers = self.malformed = self.wrong_vni = self.unsealed = 0
        self.complaints = Complaints()
        self.path_mtu: Callable[[Address], int] = path_mtu
        self.on_too_long: Callable[[Peer], None] = lambda peer: None
        self._seal = seal
        self._clock = clock
        self._segments: dict[int, Segment] = {}
        self._peers: dict[bytes, Peer] = {}
        self._hosts: dict[bytes, Peer] = {}  # the first peer that was named at each host
        self._candidates: dict[bytes, tuple[Sealer, int]] = {}  # by their addresses; and since when
        self._timer: Timer | None = None
        self._opened = bytearray(SLOT) if seal is not None else bytearray()  # what was sealed in one arrival
        self._altered = 0  # how many datagrams the key had not opened when that was last looked at
        if seal is not None:
            self._timer = clock.call_at(clock.now() + _TICK, self._tick)
        else:
            where = shown(datagrams.local)
            _log.warning("the tunnel at %s is neither private nor authenticated (plain VXLAN): see key=", where)

    # ---- who is there

    @property
    def segments(self) -> list[Segment]:
        """The tunnels that end here."""
        return list(self._segments.values())

    def add(self, segment: Segment) -> None:
        """Takes a tunnel. Raises ValueError if its number is in use here."""
        if segment.vni in self._segments:
            raise ValueError(f"there is a tunnel of VNI {segment.vni} at {shown(self.datagrams.local)} already")
        self._segments[segment.vni] = segment

    def remove(self, segment: Segment) -> None:
        """Forgets a tunnel, and the peers that only it had."""
        if self._segments.pop(segment.vni, None) is not None:
            for peer in list(self._peers.values()):
                self.part(segment, peer)

    def meet(self, segment: Segment, address: Address, *, named: bool = True) -> Peer:
        """The peer at an address, one and the same for all tunnels here; it is one of this tunnel's from now on.

        Where one was named, whatever its host sends is its: the ports that datagrams come from may be any, one for each
        flow (RFC 7348 5). Who was only heard is where it sends from, and others may be at the same host.
        Raises OSError for a host without an address of this socket's family, ValueError for what is no address.
        """
        address = resolved(address, self.datagrams.family)
        if address == self.datagrams.local:
            raise ValueError(f"{shown(address)} is this end of the tunnel, and no peer of it")
        peer = Peer(address)
        known = self._peers.get(peer.octets)
        if known is None:
            known = self._peers[peer.octets] = peer
            if self._seal is not None:
                peer.session = self._seal()
        known.named |= named
        if known.named:
            self._hosts.setdefault(host_of(known.octets), known)
        known.segments[segment.vni] = segment
        return known

    def part(self, segment: Segment, peer: Peer) -> None:
        """This peer is none of this tunnel's any more."""
        peer.segments.pop(segment.vni, None)
        if peer.latest is segment:
            peer.latest = None
        if not peer.segments:
            self._peers.pop(peer.octets, None)
            if peer.session is not None:
                peer.session.close()
            named = [other for other in self._peers.values() if other.named]
            self._hosts = {host_of(other.octets): other for other in reversed(named)}

    def session_counters(self) -> dict[str, int]:
        """What the sessions have counted; nothing without a key."""
        return dict(self.counters()) if self.counters is not None else {}

    def close(self) -> None:
        """Closes the socket; harmless when called again."""
        if self._timer is not None:
            self._timer.cancel()
        self.datagrams.close()

    # ---- sending

    def send(self, peer: Peer, header: bytes, frames: list[bytes], merged_by: int, now: int) -> None:
        """Sends frames to a peer, each behind a tunnel's header; cut by that MTU (gso.py) if it is not 0."""
        peer.frames_out += frames_of(frames, merged_by)
        problem, session = 0, peer.session
        around = (SEALED_HEADER, TAG_SIZE) if session is not None else (0, 0)
        for block, size in self.datagrams.lay_out(frames, merged_by, header, *around):
            ready, more = session.seal_block(block, size, now) if session is not None else (True, [])
            if ready:
                problem = self.datagrams.send(peer.octets, block, size) or problem
            self._reply(peer.octets, more)
        if problem == errno.EMSGSIZE:
            self.on_too_long(peer)
        elif problem:
            self.complaints.say(now, "send", peer.octets, "%s cannot be sent to: %s", shown(peer.address),
                                os.strerror(problem))  # fmt: skip

    def _reply(self, to: bytes, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self.datagrams.send(to, bytearray(datagram), len(datagram))

    def _tick(self) -> None:
        now = self._clock.now()
        for peer in list(self._peers.values()):
            if peer.session is not None:
                self._reply(peer.octets, peer.session.expire(now))
        for sender, (_, since) in list(self._candidates.items()):
            if now - since > _CANDIDATE_TIME:
                self._drop_candidate(sender)
        self._timer = self._clock.call_at(now + _TICK, self._tick)

    # ---- receiving

    def readable(self) -> None:
        """Reads what has come and hands it over, as one batch for each tunnel."""
        self._clock.hold()
        try:
            now = self._clock.now()
            for _ in range(_READS):
                arrivals = self.datagrams.receive()
                for sender, start, length, size, _ in arrivals:
                    take = self._take_plain if self._seal is None else self._take_sealed
                    take(sender, start, length, size, now)
                if len(arrivals) < self.datagrams.slots or sum(arrival[2] for arrival in arrivals) > _MUCH:
                    break
            for segment in self._segments.values():
                segment.deliver()
        finally:
            self._clock.release()

    def _take_plain(self, sender: bytes, start: int, length: int, size: int, now: int) -> None:
        peer = self._peers.get(sender) or self._hosts.get(host_of(sender))
        if peer is None:
            peer = self._learn_plain(sender, self._datagrams(start, length, size), now)
            if peer is None:
                return
        self._take_frames(peer, self.datagrams.buffer, start, length, size, now)

    def _take_sealed(self, sender: bytes, start: int, length: int, size: int, now: int) -> None:
        peer = self._peers.get(sender)
        session = peer.session if peer is not None else self._candidate(sender, now)
        if session is None:
            self._refuse(sender, -(-length // max(size, 1)), now)
            return
        runs, replies = session.open_all(self.datagrams.buffer, start, length, size, self._opened, now)
        self._reply(sender, replies)
        if peer is None:
            peer = self._learn_sealed(sender, session, bool(replies), now)
            if peer is None:
                self._refuse(sender, -(-length // max(size, 1)), now)
        elif not runs:
            self._complain_of_key(peer, self._datagrams(start, length, size), now)
        if peer is not None:
            for place, octets, unit in runs:
                self._take_frames(peer, self._opened, place, octets, unit, now)

    def _datagrams(self, start: int, length: int, size: int) -> list[bytes]:
        return kernel.cut(self.datagrams.buffer, start, length, size) or [b""]

    def _take_frames(self, peer: Peer, buffer: bytearray, start: int, length: int, size: int, now: int) -> None:
        """Takes VXLAN datagrams of a peer's, which stand in a buffer one behind another."""
        peer.heard = now
        segment = peer.latest
        if segment is None or not HEADER_SIZE < size <= HEADER_SIZE + segment.longest:
            self._sort(peer, kernel.cut(buffer, start, length, size) or [b""], now)
            return
        macs: set[bytes] = set()
        others = kernel.split(buffer, start, length, size, segment.header, segment.arrived, macs, segment.merged_by)
        if macs:
            taken = -(-length // size) - len(others or ())
            segment.heard(peer, macs, taken, now)
        if others:
            self._sort(peer, others, now)

    def _sort(self, peer: Peer, datagrams: list[bytes], now: int) -> None:
        """Hands VXLAN datagrams of a peer's to the tunnels that they are for, one by one."""
        for datagram in datagrams:
            vni = vni_of(datagram)
            segment = peer.segments.get(vni)
            if segment is not None and len(datagram) > HEADER_SIZE + segment.longest:
                segment.refuse(peer, len(datagram) - HEADER_SIZE, now)
            elif segment is not None:
                peer.latest = segment
                segment.arrived.append(datagram[HEADER_SIZE:])
                segment.heard(peer, {datagram[HEADER_SIZE + 6 : HEADER_SIZE + 12]}, 1, now)
            elif vni >= 0:
                self.wrong_vni += 1
                ours = " and ".join(map(str, sorted(peer.segments)))
                self.complaints.say(now, "vni", peer.octets, "%s sends frames of VNI %d; we have VNI %s for it",
                                    shown(peer.address), vni, ours)  # fmt: skip
            else:
                self._count_malformed(peer, datagram, now)

    def _count_malformed(self, peer: Peer, datagram: bytes, now: int) -> None:
        self.malformed += 1
        if self._seal is None and len(datagram) > OVERHEAD and datagram[0] in (INITIATION, RESPONSE, TRANSPORT):
            self.complaints.say(now, "sealed", peer.octets, "%s encrypts what it sends; we have no key",
                                shown(peer.address))  # fmt: skip
        else:
            self.complaints.say(now, "malformed", peer.octets, "%s sends what is not VXLAN (RFC 7348): %s...",
                                shown(peer.address), datagram[:8].hex())  # fmt: skip

    def _complain_of_key(self, peer: Peer, datagrams: list[bytes], now: int) -> None:
        """Nothing has come out of these: there is something wrong if one was plain, or the keys or versions differ."""
        plain = sum(vni_of(datagram) >= 0 for datagram in datagrams)
        self.unsealed += plain
        altered, self._altered = self._altered, self.session_counters().get("altered", 0)
        versions = {datagram[0] >> 4 for datagram in datagrams if len(datagram) >= OVERHEAD} - {VERSION}
        if plain:
            self.complaints.say(now, "unsealed", peer.octets, "%s does not encrypt what it sends; we have a key",
                                shown(peer.address))  # fmt: skip
        elif self._altered > altered and any(datagram[0] == INITIATION for datagram in datagrams if datagram):
            self.complaints.say(now, "key", peer.octets, "%s has another key", shown(peer.address))
        elif versions:
            self.complaints.say(now, "version", peer.octets, "%s encrypts by version %d; ours is %d",
                                shown(peer.address), versions.pop(), VERSION)  # fmt: skip

    # ---- strangers

    def _learn_plain(self, sender: bytes, datagrams: list[bytes], now: int) -> Peer | None:
        """Makes a peer of whoever sends a frame of a network that takes new ones; None and counted otherwise."""
        for datagram in datagrams:
            segment = self._segments.get(vni_of(datagram))
            if segment is not None and segment.learning and len(self._peers) < _MOST_LEARNED:
                return segment.learn(unpacked(sender))
        self._refuse(sender, len(datagrams), now)
        return None

    def _candidate(self, sender: bytes, now: int) -> Sealer | None:
        """The session with somebody who is no peer, and may show that he has the key; None if nobody new is taken."""
        if self._seal is None or len(self._peers) >= _MOST_LEARNED or not self._learning():
            return None
        known = self._candidates.get(sender)
        return known[0] if known is not None else self._seal()

    def _learning(self) -> list[Segment]:
        return [segment for segment in self._segments.values() if segment.learning]

    def _learn_sealed(self, sender: bytes, session: Sealer, answered: bool, now: int) -> Peer | None:
        """As `_learn_plain`, of a candidate that has just spoken.

        A recorded handshake is answered like a new one. Only whoever seals something with what came of it is a peer.
        """
        if session.established:
            self._candidates.pop(sender, None)
            peers = [segment.learn(unpacked(sender)) for segment in self._learning()]
            peer = peers[0]  # one and the same
            if peer.session is not None:
                peer.session.close()
            peer.session = session
            return peer
        if sender not in self._candidates:
            if not answered:
                session.close()
                return None
            if len(self._candidates) >= _MOST_CANDIDATES:
                self._drop_candidate(next(iter(self._candidates)))
            self._candidates[sender] = session, now
        return None

    def _drop_candidate(self, sender: bytes) -> None:
        self._candidates.pop(sender)[0].close()

    def _refuse(self, sender: bytes, count: int, now: int) -> None:
        self.strangers += count
        self.complaints.say(now, "stranger", b"", "%s sends to %s and is no peer of it", shown(unpacked(sender)),
                            shown(self.datagrams.local))  # fmt: skip
