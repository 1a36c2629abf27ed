"""What a link is to the interface or switch port at each of its ends."""

from collections.abc import Callable
from typing import Protocol

from aionetflow.widths import i64


class Receiver(Protocol):
    """What can be attached to a link end: an interface, a switch port, a test."""

    def receive(self, frames: list[bytes]) -> None:
        """Takes the frames that have arrived, those of one instant at once, and does not change the list."""


class Station:
    """A receiver that may take merged batches (see gso.py), as interfaces and switch ports do."""

    def receive(self, frames: list[bytes]) -> None:
        """As `Receiver.receive`."""
        raise NotImplementedError

    def takes_merged(self) -> bool:
        """Whether merged batches may come now."""
        return False

    def receive_merged(self, frames: list[bytes], merged_by: i64) -> None:
        """As `receive`, of a batch merged by that MTU (octets); only where takes_merged() says so."""
        raise NotImplementedError


class LinkEnd:
    """One end of a link: frames handed to `send` leave here, and those that arrive go to what is attached.

    `name` tells it from other ends in messages and captures.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.receiver: Receiver | None = None
        self.on_mtu: Callable[[int], None] | None = None  # called when what may be sent from here changes, in octets
        self.offload_mtu: i64 = 0  # octets: that by which batches may be merged now; 0 if they may not

    @property
    def mtu(self) -> int:
        """The longest IP packet, in octets, that may be sent from here."""
        raise NotImplementedError

    def send(self, frames: list[bytes]) -> None:
        """Sends a batch of frames, in order; never blocks, never fails, never calls back before it returns.

        The list is the link's afterwards: the caller must not change it.
        """
        raise NotImplementedError

    def send_merged(self, frames: list[bytes], merged_by: i64) -> None:
        """As `send`, of a batch merged by that MTU (octets): what `offload_mtu` is, or was when that was looked at."""
        raise NotImplementedError

    def attach(self, receiver: Receiver) -> None:
        """Hands what arrives to `receiver` from now on.

        Raises RuntimeError if something else is attached.
        """
        if self.receiver is not None and self.receiver is not receiver:
            raise RuntimeError(f"{self.name} already has something attached: detach it first")
        self.receiver = receiver

    def detach(self) -> None:
        """Drops what arrives from now on; harmless if nothing is attached."""
        self.receiver = None
