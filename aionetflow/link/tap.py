"""A link whose far end is the operating system's: a TAP device, through which Linux sends and takes Ethernet frames.

This is the one link that does I/O. It reads and writes a descriptor that does not block; whoever has an event loop
calls `TapDevice.readable` when there is something to read (network/tap.py). Frames from the kernel enter the link as
any other end's do, and arrive from the clock.
"""

import contextlib
import errno
import os
import struct
from typing import Any

from aionetflow.clock import Clock
from aionetflow.link.base import LinkEnd, Station
from aionetflow.link.memory import MemoryLink
from aionetflow.rng import Random

CLONE_DEVICE = "/dev/net/tun"
NAME_SIZE = 16  # Linux IFNAMSIZ, with the zero at its end
IFF_TUN, IFF_TAP, IFF_NO_PI = 0x0001, 0x0002, 0x1000  # linux/if_tun.h
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_BATCH = 64  # frames read in one turn of the loop; then its other work gets its turn
_SPARE = 64  # octets: an Ethernet header with VLAN tags, and to notice a frame that is too long


def open_device(name: str, kind: int = IFF_TAP) -> tuple[int, str]:
    """Makes the TAP (or TUN) device of that name; returns a descriptor that does not block, and the name it got.

    The device goes when the descriptor is closed, unless it was there before. "tap%d" has the kernel find a number.
    Raises OSError with a line that says what is missing.
    """
    raw = name.encode()
    if not 0 < len(raw) < NAME_SIZE or "/" in name:
        raise ValueError(f"a device's name has 1 to {NAME_SIZE - 1} octets and no slash, unlike {name!r}")
    try:
        import fcntl

        descriptor = os.open(CLONE_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except (ImportError, OSError) as error:
        raise _explained(error, name) from None
    try:
        request = struct.pack("16sH22x", raw, kind | IFF_NO_PI)
        answer = fcntl.ioctl(descriptor, _TUNSETIFF, request)
        # Nothing may be left to hardware that is not there: the kernel cuts and sums what it sends.
        fcntl.ioctl(descriptor, _TUNSETOFFLOAD, 0)
    except OSError as error:
        os.close(descriptor)
        raise _explained(error, name) from None
    return descriptor, answer[:NAME_SIZE].rstrip(b"\0").decode()


def _explained(error: ImportError | OSError, name: str) -> OSError:
    """The same error in a line that says what to do about it."""
    code = error.errno if isinstance(error, OSError) and error.errno else errno.ENOSYS
    reasons = {
        errno.ENOENT: f"there is no {CLONE_DEVICE}: TAP devices need Linux with its tun module",
        errno.ENXIO: f"nothing is behind {CLONE_DEVICE}: load the kernel's tun module (modprobe tun)",
        errno.EACCES: f"{CLONE_DEVICE} may not be opened by this user",
        errno.EPERM: f"making the device {name!r} needs CAP_NET_ADMIN (run as root), or one that is there and yours",
        errno.EBUSY: f"the name {name!r} is in use",
        errno.EINVAL: f"the name {name!r} is that of a device of another kind",
        errno.ENOSYS: "TAP devices are Linux's: this system has none",
    }
    return OSError(code, reasons.get(code, f"{os.strerror(code)}: {name!r}"))


class TapDevice(Station):
    """What is attached to the kernel's end of a TapLink: frames to and from a TAP device.

    `frames_in` were read from the kernel and `frames_out` written to it; `refused` are those that it would not take,
    because the device is down or out of memory.
    """

    def __init__(self, end: LinkEnd, clock: Clock, descriptor: int, name: str) -> None:
        self.name = name
        self.frames_in = self.frames_out = self.refused = 0
        self._end = end
        self._clock = clock
        self._descriptor = descriptor
        end.attach(self)

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed."""
        return self._descriptor

    def receive(self, frames: list[bytes]) -> None:
        """Writes frames from the network to the device."""
        if self._descriptor < 0:
            return
        for frame in frames:
            try:
                os.write(self._descriptor, frame)
            except OSError:
                self.refused += 1
            else:
                self.frames_out += 1

    def readable(self) -> None:
        """Reads what the kernel has sent, as one batch, and puts it on the link."""
        frames: list[bytes] = []
        size = self._end.mtu + _SPARE
        with contextlib.suppress(OSError):  # nothing more; or the device is gone, which is no news to a link
            while self._descriptor >= 0 and len(frames) < _BATCH:
                frames.append(os.read(self._descriptor, size))
        if not frames:
            return
        self.frames_in += len(frames)
        self._clock.hold()
        try:
            self._end.send(frames)
        finally:
            self._clock.release()

    def close(self) -> None:
        """Gives the device back, and with it what it has of addresses and routes; harmless when called again."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __repr__(self) -> str:
        return f"<TapDevice {self.name}{' closed' if self._descriptor < 0 else ''}>"


class TapLink(MemoryLink):
    """A link from a node, at its end `a`, to a TAP device of the operating system's, at its end `b`.

    It has a MemoryLink's settings and counters: towards the kernel frames go the way of `a_to_b`. Made by
    `Network.tap`.
    """

    def __init__(
        self, clock: Clock, random: Random, name: str, descriptor: int, device: str, **settings: Any
    ) -> None:
        super().__init__(clock, random, name, **settings)
        self.device = TapDevice(self.b, clock, descriptor, device)

    def __repr__(self) -> str:
        return f"<TapLink {self.name}>"
