"""A UDP socket of the kernel's that sends and receives many datagrams a call."""

import contextlib
import errno
import socket
from typing import Literal

from aionetflow.tunnel import kernel
from aionetflow.tunnel.address import Address, family_of, plain, shown

Batching = Literal["segments", "many", "single"]

MOST = 64  # datagrams a call; Linux UDP_MAX_SEGMENTS before 6.9
SLOT = 65536  # octets: the longest datagram, and what UDP_GRO puts together
_SLOTS = 16  # read in a call: 1 MiB
_ROOM4, _ROOM6 = 65507, 65527  # octets of UDP payload (RFC 768, RFC 8200)
_BUFFER = 8 << 20  # octets asked of the kernel, each way: a receive window of Linux's size, and what is around it
# Made and freed once, so that glibc does not give the memory of each batch back to the kernel, to ask for it again with
# the next: the M_TRIM_THRESHOLD becomes twice the largest that was mapped and is freed (mallopt(3)).
_KEPT = 8 << 20
_SO_RCVBUFFORCE, _SO_SNDBUFFORCE = 33, 32  # asm-generic/socket.h
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_DO = 10, 23, 2  # linux/in.h, linux/in6.h
_FULL = (errno.EAGAIN, errno.ENOBUFS)
_System = socket.socket  # whatever the name comes to mean


class Datagrams:
    """A socket, bound to an address of the machine's; nothing blocks.

    batching says how: "segments", by UDP_SEGMENT and UDP_GRO, where one call moves up to 64 datagrams as one; "many",
    by sendmmsg and recvmmsg; "single", one after another. What the kernel does not have falls back to the next.

    Counters, in datagrams: `sent`, `received`, `send_dropped` (no room, or refused), `kernel_dropped` (the kernel threw
    away, since nobody had read the ones before them); and `calls` of the kernel.

    Raises OSError: the address is in use, is none of the machine's, or its port is not for everybody.
    """

    def __init__(self, bind: Address, batching: Batching = "segments") -> None:
        self.sent = self.received = self.send_dropped = self.kernel_dropped = self.calls = 0
        self.family = family = family_of(bind)
        self._room = _ROOM4 if family == socket.AF_INET else _ROOM6
        self._socket = _System(family, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0))
        try:
            self._socket.setblocking(False)
            self._set_up(family)
            self._socket.bind(bind)
        except OSError as error:
            self._socket.close()
            raise OSError(error.errno, f"{shown(bind)}: {_reason(error)}") from None
        except BaseException:
            self._socket.close()
            raise
        self.local: Address = plain(self._socket.getsockname())
        self.batching = self._choose(batching)
        self._slots = {"segments": _SLOTS, "many": MOST, "single": 1}[self.batching]
        self._buffer = bytearray(SLOT * self._slots)
        bytearray(_KEPT)

    @property
    def slots(self) -> int:
        """How many arrivals `receive` tells of at the most."""
        return self._slots

    @property
    def buffer(self) -> bytearray:
        """Where `receive` puts what it reads; the next call overwrites it."""
        return self._buffer

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed."""
        return self._socket.fileno()

    def lay_out(
        self, frames: list[bytes], merged_by: int, header: bytes, before: int = 0, behind: int = 0
    ) -> list[kernel.Block]:
        """The blocks that `send` takes, each in one call if it can: see `kernel.lay_out`."""
        return kernel.lay_out(frames, merged_by, header, before, behind, self._room, MOST)

    def send(self, to: bytes, block: bytearray, size: int) -> int:
        """Sends a block of datagrams, all but the last of `size` octets; `to` is an address in the kernel's form.

        Returns 0, or the errno of what was not sent, and is counted: EMSGSIZE if the path does not take such lengths.
        """
        if self._socket.fileno() < 0:
            return 0
        count = max(-(-len(block) // size), 1) if size else 1
        if self.batching != "segments":
            return self._send_each(to, block, size, count)
        self.calls += 1
        code = kernel.send_segments(self._socket, to, block, size)
        if code == -errno.EIO:
            self.batching = "many"  # a device that can neither cut nor sum (Linux udp_send_skb): EIO
            return self._send_each(to, block, size, count)
        self._count(0 if code < 0 else count, count if code < 0 else 0)
        return -code

    def _send_each(self, to: bytes, block: bytearray, size: int, count: int) -> int:
        first, problem = 0, 0
        while first < count:
            self.calls += 1
            done = kernel.send_many(self._socket, to, block, size, first, MOST if self.batching == "many" else 1)
            if -done in _FULL:
                self._count(0, count - first)
                return -done
            if done <= 0:  # what is refused may be one among many: the others get their chance
                problem = -done
            self._count(max(done, 0), int(done <= 0))
            first += max(done, 1)
        return problem

    def _count(self, sent: int, dropped: int) -> None:
        self.sent += sent
        self.send_dropped += dropped

    def receive(self) -> list[kernel.Arrival]:
        """What has come, in `buffer`; nothing when there is nothing, or the socket is closed."""
        if self._socket.fileno() < 0:
            return []
        self.calls += 1
        arrivals = kernel.receive(self._socket, self._buffer, SLOT, self._slots)
        if isinstance(arrivals, int):
            return []
        for _, _, length, size, dropped in arrivals:
            self.received += -(-length // size) if size else 1
            if dropped:
                self.kernel_dropped = dropped
        return arrivals

    def close(self) -> None:
        """Gives the address back; harmless when called again."""
        self._socket.close()

    def _set_up(self, family: socket.AddressFamily) -> None:
        """Room for bursts, no fragments of our own (RFC 7348 4.3), and to be told what was thrown away."""
        for forced, plainly in ((_SO_RCVBUFFORCE, socket.SO_RCVBUF), (_SO_SNDBUFFORCE, socket.SO_SNDBUF)):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, forced, _BUFFER)  # beyond net.core.rmem_max, as root
            except OSError:
                with contextlib.suppress(OSError):
                    self._socket.setsockopt(socket.SOL_SOCKET, plainly, _BUFFER)
        if family == socket.AF_INET6:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kernel.LINUX:
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_DO)
            else:
                self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_DO)
            self._socket.setsockopt(socket.SOL_SOCKET, kernel.SO_RXQ_OVFL, 1)

    def _choose(self, wanted: Batching) -> Batching:
        """The best way that the kernel has, and not better than the one that is wanted."""
        if not kernel.LINUX:
            return "single"
        if wanted == "segments":
            try:
                self._socket.setsockopt(kernel.SOL_UDP, kernel.UDP_SEGMENT, 0)
                self._socket.setsockopt(kernel.SOL_UDP, kernel.UDP_GRO, 1)
            except OSError:
                return "many"
        return wanted


def _reason(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "the address is in use"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    if error.errno == errno.EACCES:
        return "a port below net.ipv4.ip_unprivileged_port_start needs CAP_NET_BIND_SERVICE (run as root)"
    return error.strerror or str(error)
