"""What a link is to the interface or switch port at each of its ends."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol


class Receiver(Protocol):
    """What can be attached to a link end: an interface, a switch port, a test."""

    def receive(self, frames: list[bytes]) -> None:
        """Takes the frames that have arrived, those of one instant at once, and does not change the list."""


class LinkEnd(ABC):
    """One end of a link: frames handed to `send` leave here, and those that arrive go to what is attached.

    `name` tells it from other ends in messages and captures.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.receiver: Receiver | None = None
        self.on_mtu: Callable[[int], None] | None = None  # called when what may be sent from here changes, in octets

    @property
    @abstractmethod
    def mtu(self) -> int:
        """The longest IP packet, in octets, that may be sent from here."""

    @abstractmethod
    def send(self, frames: list[bytes]) -> None:
        """Sends a batch of frames, in order; never blocks, never fails, never calls back before it returns.

        The list is the link's afterwards: the caller must not change it.
        """

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
