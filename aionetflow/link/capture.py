"""Frames into a pcapng file, which Wireshark and tshark open as it is.

Format: draft-ietf-opsawg-pcapng. Times have nanoseconds and are those of the clock that runs the network,
so a capture of virtual time starts at 1970. What became of a frame on its way is its packet comment.
"""

import struct
from collections.abc import Callable
from os import PathLike
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

if TYPE_CHECKING:
    from aionetflow.link.channel import Channel
    from aionetflow.link.memory import MemoryLink

_SECTION_HEADER = 0x0A0D0D0A  # block types
_INTERFACE = 1
_ENHANCED_PACKET = 6
_COMMENT = 1  # options, whose numbers belong to the block they are in
_USER_APPLICATION = 4
_INTERFACE_NAME = 2
_TIME_RESOLUTION = 9
_PACKET_FLAGS = 2
_INBOUND, _OUTBOUND = 1, 2
_NANOSECONDS = bytes([9])  # if_tsresol: 10 ** -9 s
_OPTION_LIMIT = 0xFFFF

LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101


class Capture:
    """A pcapng file that is being written.

    `target` is a path, whose file is made or replaced, or an open binary file, which close() leaves open.
    Raises OSError when the file cannot be made or written.

    >>> import io
    >>> file = io.BytesIO()
    >>> with Capture(file) as capture:
    ...     eth0 = capture.add_interface("eth0")
    ...     capture.write(eth0, 1_500_000_000, bytes(60), "lost", outbound=True)
    >>> file.getvalue()[:4].hex()
    '0a0d0d0a'
    """

    def __init__(self, target: str | PathLike[str] | BinaryIO) -> None:
        self._snaplens: list[int] = []
        self._file: BinaryIO | None
        if isinstance(target, (str, PathLike)):
            self._file, self._owned = open(target, "wb"), True  # noqa: SIM115
        else:
            self._file, self._owned = target, False
        # Byte order magic, version 1.0, a section of unknown length.
        header = struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)
        self._block(_SECTION_HEADER, header + _options((_USER_APPLICATION, b"aionetflow")))

    def add_interface(self, name: str, linktype: int = LINKTYPE_ETHERNET, snaplen: int = 0) -> int:
        """Declares an interface and returns its id for write().

        `linktype` is 1 for Ethernet or 101 for raw IP; longer frames are cut to `snaplen` bytes (0: never).
        Raises ValueError when the capture is closed.
        """
        body = struct.pack("<HHI", linktype, 0, snaplen)
        options = _options((_INTERFACE_NAME, name.encode()), (_TIME_RESOLUTION, _NANOSECONDS))
        self._block(_INTERFACE, body + options)
        self._snaplens.append(snaplen)
        return len(self._snaplens) - 1

    def write(
        self, interface_id: int, time_ns: int, frame: bytes, comment: str = "", outbound: bool | None = None
    ) -> None:
        """Writes one frame, seen at `time_ns` ns, with a packet comment and a direction if they are given.

        Raises IndexError for an interface that was not added, ValueError when the capture is closed.
        """
        data = frame[: self._snaplens[interface_id] or None]
        high, low = time_ns >> 32, time_ns & 0xFFFFFFFF
        body = struct.pack("<IIIII", interface_id, high, low, len(data), len(frame))
        options = []
        if comment:
            options.append((_COMMENT, comment.encode()))
        if outbound is not None:
            options.append((_PACKET_FLAGS, struct.pack("<I", _OUTBOUND if outbound else _INBOUND)))
        self._block(_ENHANCED_PACKET, body + _padded(data) + _options(*options))

    def close(self) -> None:
        """Ends the capture; its file is then whole. Harmless when it is closed already."""
        file, self._file = self._file, None
        if file is None:
            return
        if self._owned:
            file.close()
        else:
            file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _block(self, kind: int, body: bytes) -> None:
        if self._file is None:
            raise ValueError("the capture is closed")
        length = struct.pack("<I", len(body) + 12)
        self._file.write(struct.pack("<I", kind) + length + body + length)


class _Recording:
    """A capture of one thing, which can be closed and used in a `with` statement."""

    def __init__(self, path: str | PathLike[str] | BinaryIO, name: str, linktype: int) -> None:
        self._capture = Capture(path)
        self._id = self._capture.add_interface(name, linktype)

    def close(self) -> None:
        """Stops and completes the file. Harmless when it is closed already."""
        self._capture.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class LinkCapture(_Recording):
    """Writes what enters a link into one file; made by `MemoryLink.capture`.

    Each frame appears once, as it enters (damaged if the link damages it), with its fate as the packet
    comment. The interface in the file is the link's `a` end: what `a` sends is outbound, what `b` sends is
    inbound.
    """

    def __init__(
        self, link: "MemoryLink", path: str | PathLike[str] | BinaryIO, linktype: int = LINKTYPE_ETHERNET
    ) -> None:
        super().__init__(path, link.name, linktype)
        self._outbound = link.a_to_b
        self._tap = link.tap(self._seen)

    def close(self) -> None:
        """Stops and completes the file. Harmless when it is closed already."""
        self._tap.close()
        super().close()

    def _seen(self, time_ns: int, channel: "Channel", frame: bytes, fate: str) -> None:
        self._capture.write(self._id, time_ns, frame, fate, channel is self._outbound)


class Tappable(Protocol):
    """What capture_interface() needs of an interface."""

    name: str
    linktype: int
    taps: list[Callable[[int, bytes, bool], None]]


class InterfaceCapture(_Recording):
    """Writes what an interface sends and receives into a file; made by `capture_interface`."""

    def __init__(self, interface: Tappable, path: str | PathLike[str] | BinaryIO) -> None:
        super().__init__(path, interface.name, interface.linktype)
        self._taps = interface.taps
        self._seen = self._write  # one object, so that it is found again
        self._taps.append(self._seen)

    def close(self) -> None:
        """Stops and completes the file. Harmless when it is closed already."""
        if self._seen in self._taps:
            self._taps.remove(self._seen)
        super().close()

    def _write(self, time_ns: int, frame: bytes, outbound: bool) -> None:
        self._capture.write(self._id, time_ns, frame, "", outbound)


def capture_interface(interface: Tappable, path: str | PathLike[str] | BinaryIO) -> InterfaceCapture:
    """Captures what `interface` sends and receives from now on, until the result is closed.

    Raises OSError when the file cannot be made.

    >>> import io, types
    >>> interface = types.SimpleNamespace(name="eth0", linktype=1, taps=[])
    >>> with capture_interface(interface, io.BytesIO()):
    ...     interface.taps[0](1_000, bytes(60), True)
    >>> interface.taps
    []
    """
    return InterfaceCapture(interface, path)


def _options(*options: tuple[int, bytes]) -> bytes:
    """The list of options that ends a block; nothing when there are none."""
    if not options:
        return b""
    listed = b""
    for code, value in options:
        value = value[:_OPTION_LIMIT]
        listed += struct.pack("<HH", code, len(value)) + _padded(value)
    return listed + bytes(4)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
