"""What the tunnel asks of the kernel, many datagrams a call: compiled (`_kernel`), or by the socket module's calls.

Datagrams are handed over as a header that all have and a list of payloads. A call returns how many the kernel has
taken, or an errno as a negative number. Addresses are the kernel's octets (`address.py`).
"""

import errno
import socket
import struct

from aionetflow.tunnel.address import packed, plain, unpacked
from aionetflow.tunnel.vxlan import ETHERNET_HEADER, HEADER_SIZE

__all__ = ["LINUX", "cut", "equal_run", "receive", "send_many", "send_segments", "split", "unwrap"]

Arrival = tuple[bytes, int, int, int, int]  # from whom; where in the buffer, how long, of what size each; drops so far

SOL_UDP = socket.IPPROTO_UDP
UDP_SEGMENT, UDP_GRO = 103, 104  # linux/udp.h
SO_RXQ_OVFL = 40  # asm-generic/socket.h
_CONTROL = 64  # octets: for UDP_GRO and SO_RXQ_OVFL
_LEAST = HEADER_SIZE + ETHERNET_HEADER

try:
    from aionetflow.tunnel._kernel import LINUX, cut, equal_run, receive, send_many, send_segments, split, unwrap
except ModuleNotFoundError:
    LINUX = hasattr(socket, "CMSG_LEN") and hasattr(socket, "SO_BINDTODEVICE")

    def send_segments(
        sock: socket.socket, to: bytes, header: bytes, payloads: list[bytes], first: int, count: int, size: int
    ) -> int:
        """Sends `count` datagrams in one call; all but the last are `size` octets long with their header."""
        parts: list[bytes] = []
        for payload in payloads[first : first + count]:
            parts += (header, payload)
        control = [(SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))] if count > 1 else []
        try:
            sock.sendmsg(parts, control, 0, unpacked(to))
        except OSError as error:
            return -(error.errno or errno.EIO)
        return count

    def send_many(
        sock: socket.socket, to: bytes, header: bytes, payloads: list[bytes], first: int, count: int
    ) -> int:
        """Sends so many datagrams of any size; as many as there is room for."""
        for sent in range(count):
            code = send_segments(sock, to, header, payloads, first + sent, 1, 0)
            if code < 0:
                return sent or code
        return count

    def receive(sock: socket.socket, buffer: bytearray, slot: int, count: int) -> list[Arrival] | int:
        """Reads what is there into `count` slots of `slot` octets each, and tells what came."""
        arrivals: list[Arrival] = []
        view = memoryview(buffer)
        for number in range(count):
            start = number * slot
            try:
                length, control, _, sender = sock.recvmsg_into([view[start : start + slot]], _CONTROL)
            except OSError as error:
                return arrivals or -(error.errno or errno.EIO)
            size, dropped = length, 0
            for level, kind, value in control:
                if (level, kind) == (SOL_UDP, UDP_GRO):
                    (size,) = struct.unpack("=i", value)
                elif (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                    (dropped,) = struct.unpack("=I", value)
            arrivals.append((packed(plain(sender)), start, length, size, dropped))
        return arrivals

    def equal_run(payloads: list[bytes], first: int, most: int, header: int, room: int) -> int:
        """How many payloads from `first` on may go as segments of one send: at most `most`, of `room` octets in all.

        They are equally long, but for the last, which may be shorter.

        >>> equal_run([b"aa", b"bb", b"c", b"dd"], 0, 64, 8, 1000)
        3
        """
        full = len(payloads[first])
        octets = header + full
        count = 1
        for payload in payloads[first + 1 : first + most]:
            octets += header + len(payload)
            if len(payload) > full or octets > room:
                break
            count += 1
            if len(payload) < full:
                break
        return count

    def unwrap(datagrams: list[bytes], header: bytes, frames: list[bytes], macs: set[bytes]) -> list[bytes] | None:
        """Takes the frames out of datagrams.

        Those that are VXLAN of the header's network are appended to `frames` and their senders' MACs added to `macs`;
        the other datagrams are returned, None if there are none.
        """
        others: list[bytes] = []
        vni = header[4:7]
        for datagram in datagrams:
            if len(datagram) >= _LEAST and datagram[0] & header[0] and datagram[4:7] == vni:
                frames.append(datagram[HEADER_SIZE:])
                macs.add(datagram[HEADER_SIZE + 6 : HEADER_SIZE + 12])
            else:
                others.append(datagram)
        return others or None

    def cut(buffer: bytearray, start: int, length: int, size: int) -> list[bytes]:
        """The datagrams that stand in a buffer: of `size` octets each, the last may be shorter.

        >>> cut(bytearray(b"..aabbc..."), 2, 5, 2)
        [b'aa', b'bb', b'c']
        """
        stop = start + length
        if not (0 <= start <= stop <= len(buffer) and size >= 0) or (size == 0 and length):
            raise ValueError("out of the buffer")
        return [bytes(buffer[at : min(at + size, stop)]) for at in range(start, stop, max(size, 1))]

    def split(
        buffer: bytearray, start: int, length: int, size: int, header: bytes, frames: list[bytes], macs: set[bytes]
    ) -> list[bytes] | None:
        """As `unwrap`, of what stands in a buffer."""
        return unwrap(cut(buffer, start, length, size), header, frames, macs)
