"""The other ends of a tunnel, and what there is to complain of about them."""

from logging import getLogger
from typing import Protocol

from aionetflow.config import SECOND
from aionetflow.tunnel.address import Address, packed, shown

_log = getLogger("aionetflow.tunnel")
_AGAIN = 60 * SECOND  # after which the same is said again
_REMEMBERED = 256  # complaints; of more than that, only the kind is told apart


class Sealer(Protocol):
    """What turns frames into datagrams that only the peer can read, and back (sealing/session.py)."""

    @property
    def established(self) -> bool:
        """Whether both ends have keys."""

    def seal_block(self, block: bytearray, size: int, now: int) -> tuple[bool, list[bytes]]:
        """Seals datagrams in place, if there is a key for that; and what else is to be sent."""

    def open_all(
        self, buffer: bytearray, start: int, length: int, size: int, into: bytearray, now: int
    ) -> tuple[list[tuple[int, int, int]], list[bytes]]:
        """Puts the payloads of these datagrams into `into`; where they are there, and what is to be sent in reply."""

    def expire(self, now: int) -> list[bytes]:
        """What time has made due to be sent."""

    def close(self) -> None:
        """Forgets the keys."""


class Segment(Protocol):
    """A tunnel's near end, for the network of one VNI, as the socket knows it that carries it."""

    vni: int
    header: bytes
    learning: bool  # whether it takes peers that were not named
    arrived: list[bytes]  # frames that `deliver` will hand over
    merged_by: int  # how runs of them are to be merged (gso.py); 0 if not

    @property
    def longest(self) -> int:
        """How many octets a frame may have."""

    def heard(self, peer: "Peer", macs: set[bytes], frames: int, now: int) -> None:
        """So many frames of a peer's, from these MACs, were put into `arrived`."""

    def refuse(self, peer: "Peer", octets: int, now: int) -> None:
        """A peer has sent a frame that is too long, and so it was not."""

    def deliver(self) -> None:
        """Hands over what has arrived."""

    def learn(self, address: Address) -> "Peer":
        """Takes a peer that was not named."""


class Peer:
    """Another end of the tunnel: its UDP address, what has passed, and when it was last heard.

    `frames_in` and `frames_out` are counted in Ethernet frames; `heard` is the time of the network's clock in ns, -1
    before anything has come.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.octets = packed(address)
        self.frames_in = self.frames_out = 0
        self.heard = -1
        self.named = False  # by the program, and not only heard
        self.session: Sealer | None = None  # where there is a key
        self.segments: dict[int, Segment] = {}  # the tunnels that it is a peer of, by VNI
        self.latest: Segment | None = None  # the one that its last frames were for

    def __repr__(self) -> str:
        return f"<Peer {shown(self.address)}>"


class Complaints:
    """What the log says of what others do wrong: the same at most once a minute."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, bytes], int] = {}

    def say(self, now: int, kind: str, about: bytes, text: str, *arguments: object) -> None:
        """Logs a line, unless the same kind has been said about the same sender (octets) in the last minute."""
        if len(self._said) >= _REMEMBERED:
            self._said = {key: when for key, when in self._said.items() if now - when < _AGAIN}
            if len(self._said) >= _REMEMBERED:
                about = b""
        said = self._said.get((kind, about))
        if said is None or now - said >= _AGAIN:
            self._said[kind, about] = now
            _log.warning(text, *arguments)
